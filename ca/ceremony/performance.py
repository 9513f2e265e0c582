"""Playing a script: each step is announced, confirmed by its witnesses, done, and read back."""

import dataclasses
import datetime
import hashlib
from collections.abc import Callable

from cryptography import x509
from cryptography.hazmat.primitives import serialization
from sqlalchemy import orm

from ca import drafts, foundation, hierarchy, issuance, orders, service_keys, subjects
from ca import settings as ca_settings
from ca.ceremony import detached_signature, foreign_authority, script, transcript, transcript_key
from ca.continuity import compromise
from ca.crls import publication, published
from pki import algorithms, audit, certificates, clock, errors, profiles, registry
from pki.keystore import store

ACTOR = "ceremony"


class NotPlayedError(errors.StateError):
    """The script cannot be played here or now."""

    code = "ceremony-not-played"


class NotConfirmedError(errors.PolicyError):
    """A witness did not agree: the ceremony stops before the step."""

    code = "ceremony-not-confirmed"


Confirm = Callable[[script.Witness, str], None]
"""Asks a witness to agree to a sentence; raises `NotConfirmedError` where they do not."""


@dataclasses.dataclass(frozen=True)
class Stage:
    """Where a ceremony is played.

    Attributes:
        sessions: The installation's database.
        keys: Its key stores, the root's among them.
        settings: What its certificates say.
        present: The clock that the steps are timed by.
        confirm: Asks a witness.
        tell: Says to everybody what was done.
        read_file: Returns the content of a file that lies beside the script.
        unattended: Whether nobody is asked, which only a test installation may; it is recorded.
    """

    sessions: orm.sessionmaker[orm.Session]
    keys: store.KeyStore
    settings: ca_settings.Settings
    present: clock.Clock
    confirm: Confirm
    tell: Callable[[str], None]
    read_file: Callable[[str], bytes]
    unattended: bool = False


@dataclasses.dataclass(frozen=True)
class SignedTranscript:
    """A transcript and its signature, and why the ceremony was stopped, if it was."""

    content: bytes = dataclasses.field(repr=False)
    signature_der: bytes = dataclasses.field(repr=False)
    root: x509.Certificate = dataclasses.field(repr=False)
    stopped_by: errors.ImzaError | None


@dataclasses.dataclass(frozen=True)
class _Evidence:
    keys: tuple[transcript.KeyEvidence, ...] = ()
    certificates: tuple[transcript.CertificateEvidence, ...] = ()
    crls: tuple[transcript.CRLEvidence, ...] = ()

    def sentences(self) -> list[str]:
        lines = [
            f"key {one.label} ({one.kind}) in {one.place}: extractable={one.extractable}"
            f" sensitive={one.sensitive} SHA-256 {one.public_key_sha256}"
            for one in self.keys
        ]
        lines += [f"certificate of {one.name}: SHA-256 {one.sha256}" for one in self.certificates]
        return lines + [
            f"CRL {one.number} of {one.issuer}: SHA-256 {one.sha256}" for one in self.crls
        ]


def play(stage: Stage, played: script.Script) -> SignedTranscript:
    """Play a script and return its signed transcript.

    A step that fails, or that a witness refuses, ends the ceremony; what was done before is in
    the transcript, which then says `stopped`. The steps that are left are played by another
    script.

    Raises:
        NotPlayedError: Another day, nobody to confirm in earnest, or nothing that could sign the
            transcript.
        ImzaError: The ceremony stopped before there was a root that could sign its transcript.
    """
    opened_at = stage.present.now()
    _check_playable(stage, played, opened_at)
    with stage.sessions() as session:
        opened = _point(audit.head(session))
        before = tuple(_authority_evidence(one) for one in registry.issuers(session))
        _tell_audit(session, audit.AuditEvent.CEREMONY_OPENED, opened_at, script=played.sha256)
        session.commit()
    done: list[transcript.PerformedStep] = []
    closing: tuple[transcript.Confirmation, ...] = ()
    stopped_by: errors.ImzaError | None = None
    try:
        for number, step in enumerate(played.steps, 1):
            done.append(_perform(stage, played, number, step))
        sentence = f"the root's certificate has the SHA-256 {_root_sha256(stage)}"
        everybody = tuple(one.id for one in played.witnesses)
        closing = _ask(stage, played, everybody, sentence)
    except errors.ImzaError as error:
        stopped_by = error
        if not _has_root(stage):
            raise
    return _sign(
        stage,
        transcript.Transcript(
            format=transcript.FORMAT,
            test=stage.settings.test,
            unattended=stage.unattended,
            organisation=stage.settings.organisation_name,
            country=stage.settings.country,
            script=transcript.ScriptText(played.sha256, played.text),
            opened_at=transcript.time_text(opened_at),
            closed_at=transcript.time_text(stage.present.now()),
            outcome=transcript.COMPLETED if stopped_by is None else transcript.STOPPED,
            root_sha256=_root_sha256(stage),
            audit_opened=opened,
            audit_closed=opened,
            present=before,
            steps=tuple(done),
            closing=closing,
            reason="" if stopped_by is None else f"{stopped_by.code}: {stopped_by.message}",
        ),
        stopped_by,
    )


def _check_playable(stage: Stage, played: script.Script, at: datetime.datetime) -> None:
    if stage.unattended and not stage.settings.test:
        raise NotPlayedError("witnesses of a real installation confirm for themselves")
    if played.date is None and not stage.settings.test:
        raise NotPlayedError("expected the day of the ceremony in its script, got `today`")
    if played.date is not None and played.date != at.date():
        raise NotPlayedError(f"expected the day of the script, {played.date}, got {at.date()}")
    has_root = _has_root(stage)
    makes_root = any(one.action is script.Action.CERTIFY_ROOT for one in played.steps)
    if has_root == makes_root:
        raise NotPlayedError(
            "there is a root already: expected a script without certify-root"
            if has_root
            else "there is no root: expected a script with certify-root, or the root's key store"
        )


def _perform(
    stage: Stage, played: script.Script, number: int, step: script.Step
) -> transcript.PerformedStep:
    begun = stage.present.now()
    sentence = f"step {number} of {len(played.steps)}: {step.sentence}"
    stage.tell(f"{sentence}{f' ({step.note})' if step.note else ''}")
    confirmations = _ask(stage, played, step.confirmed_by, sentence)
    evidence = _ACTIONS[step.action](stage, step, stage.present.now())
    for line in evidence.sentences():
        stage.tell(f"  {line}")
    return transcript.PerformedStep(
        number,
        step.action.value,
        transcript.time_text(begun),
        transcript.time_text(stage.present.now()),
        confirmations,
        evidence.keys,
        evidence.certificates,
        evidence.crls,
    )


def _ask(
    stage: Stage, played: script.Script, witnesses: tuple[str, ...], sentence: str
) -> tuple[transcript.Confirmation, ...]:
    made = []
    for one in witnesses:
        stage.confirm(played.witness(one), sentence)
        made.append(transcript.Confirmation(one, transcript.time_text(stage.present.now())))
    return tuple(made)


def _generate_key(stage: Stage, step: script.Step, at: datetime.datetime) -> _Evidence:
    assert step.kind is not None  # noqa: S101 - the script's reader saw to it
    service_keys.generate_key(stage.sessions, stage.keys, step.label, step.kind, at, actor=ACTOR)
    return _Evidence((_key_evidence(stage, step.label),))


def _certify_root(stage: Stage, step: script.Step, at: datetime.datetime) -> _Evidence:
    label = hierarchy.key_label(hierarchy.ROOT)
    key = _key_evidence(stage, label)
    _foundation(stage, at).certify_root()
    return _Evidence((key,), (_authority_of(stage, hierarchy.ROOT),))


def _certify_authority(stage: Stage, step: script.Step, at: datetime.datetime) -> _Evidence:
    with stage.sessions() as session:
        if step.name in {one.name for one in registry.issuers(session)}:
            raise NotPlayedError(f"there is an authority {step.name!r} already")
    key = _key_evidence(stage, hierarchy.key_label(step.name))
    foundation = _foundation(stage, at)
    foundation.certify_authority(step.name, foundation.certify_root())
    return _Evidence((key,), (_authority_of(stage, step.name),))


def _certify_responder(stage: Stage, step: script.Step, at: datetime.datetime) -> _Evidence:
    label = hierarchy.responder_label(step.name)
    key = _key_evidence(stage, label)
    present = hierarchy.load_present(stage.sessions, stage.keys, stage.settings)
    present.named(step.name)
    made = service_keys.renew_responders(
        stage.sessions, stage.keys, present, at, names=(step.name,), actor=ACTOR
    )
    if not made:
        raise NotPlayedError(f"the responder of {step.name!r} has a certificate already")
    return _Evidence((key,), tuple(_evidence_of(one, label) for one in made))


def _certify_unit(stage: Stage, step: script.Step, at: datetime.datetime) -> _Evidence:
    label = step.name
    key = _key_evidence(stage, label)
    with stage.sessions() as session:
        present = registry.current_certificate(
            session, profiles.TIME_STAMPING_UNIT.name, at, key_label=label
        )
    if present is not None:
        raise NotPlayedError(f"the time-stamping unit {label!r} has a certificate already")
    made = _foundation(stage, at).certify_time_stamping_unit(label)
    return _Evidence((key,), (_evidence_of(made, label),))


def _certify_list_signer(stage: Stage, step: script.Step, at: datetime.datetime) -> _Evidence:
    return _certify_service(
        stage,
        at,
        hierarchy.TRUSTED_LIST_SIGNER,
        profiles.TRUSTED_LIST_SIGNER,
        service_keys.certify_list_signer,
    )


def _certify_cmp_signer(stage: Stage, step: script.Step, at: datetime.datetime) -> _Evidence:
    return _certify_service(
        stage,
        at,
        hierarchy.CMP_SIGNER,
        profiles.CMP_SIGNER,
        service_keys.certify_cmp_signer,
    )


def _certify_service(
    stage: Stage,
    at: datetime.datetime,
    label: str,
    profile: profiles.CertificateProfile,
    certify: Callable[..., registry.CertificateRecord],
) -> _Evidence:
    key = _key_evidence(stage, label)
    with stage.sessions() as session:
        present = registry.current_certificate(session, profile.name, at, key_label=label)
    if present is not None:
        raise NotPlayedError(f"the signer {label!r} has a certificate already")
    authorities = hierarchy.load_present(stage.sessions, stage.keys, stage.settings)
    made = certify(stage.sessions, stage.keys, authorities, at, actor=ACTOR)
    return _Evidence((key,), (_evidence_of(made, label),))


def _publish_crl(stage: Stage, step: script.Step, at: datetime.datetime) -> _Evidence:
    present = hierarchy.load_present(stage.sessions, stage.keys, stage.settings)
    made = publication.publish(
        stage.sessions, present.named(step.name), stage.settings, at, actor=ACTOR
    )
    return _Evidence(crls=(_crl_evidence(stage, made),))


def _revoke_authority(stage: Stage, step: script.Step, at: datetime.datetime) -> _Evidence:
    assert step.reason is not None  # noqa: S101 - the script's reader saw to it
    made = compromise.revoke_authority(
        stage.sessions,
        hierarchy.load_present(stage.sessions, stage.keys, stage.settings),
        step.name,
        step.reason,
        at,
        actor=ACTOR,
    )
    return _Evidence(crls=(_crl_evidence(stage, made),))


def _crl_evidence(stage: Stage, made: published.PublishedCRL) -> transcript.CRLEvidence:
    with stage.sessions() as session:
        encoded = transcript.encode(published.content(session, made))
    return transcript.CRLEvidence(made.issuer_name, made.number, encoded, made.sha256)


def _cross_certify(stage: Stage, step: script.Step, at: datetime.datetime) -> _Evidence:
    foreign = foreign_authority.read(stage.read_file(step.file), step.sha256)
    root = hierarchy.load_present(stage.sessions, stage.keys, stage.settings).named(hierarchy.ROOT)
    draft = drafts.draft_certificate(
        profiles.CROSS_AUTHORITY,
        root.issuer,
        foreign.subject,
        foreign.public_key,
        stage.settings,
        at,
    )
    ends = draft.not_before + datetime.timedelta(days=step.days, seconds=-1)
    draft = dataclasses.replace(
        draft, not_after=min(draft.not_after, ends, foreign.not_after or ends)
    )
    made = issuance.issue_certificate(
        stage.sessions,
        draft,
        orders.IssuanceRequest(f"cross/{step.name}/{transcript.time_text(at)}", ACTOR),
        stage.settings,
        at,
    )
    return _Evidence(certificates=(_evidence_of(made, step.name),))


_ACTIONS: dict[script.Action, Callable[[Stage, script.Step, datetime.datetime], _Evidence]] = {
    script.Action.GENERATE_KEY: _generate_key,
    script.Action.CERTIFY_ROOT: _certify_root,
    script.Action.CERTIFY_AUTHORITY: _certify_authority,
    script.Action.CERTIFY_RESPONDER: _certify_responder,
    script.Action.CERTIFY_TIME_STAMPING_UNIT: _certify_unit,
    script.Action.CERTIFY_LIST_SIGNER: _certify_list_signer,
    script.Action.CERTIFY_CMP_SIGNER: _certify_cmp_signer,
    script.Action.CROSS_CERTIFY: _cross_certify,
    script.Action.PUBLISH_CRL: _publish_crl,
    script.Action.REVOKE_AUTHORITY: _revoke_authority,
}


def _sign(
    stage: Stage, unsigned: transcript.Transcript, stopped_by: errors.ImzaError | None
) -> SignedTranscript:
    root = hierarchy.load_present(stage.sessions, stage.keys, stage.settings).named(hierarchy.ROOT)
    # EN 319 411-1 6.5.2: the root's key certifies and signs CRLs, and nothing else. So it
    # certifies a key that signs this one document and is forgotten with this function.
    key = transcript_key.TranscriptKey()
    at = stage.present.now()
    draft = drafts.draft_certificate(
        profiles.CEREMONY_TRANSCRIPT,
        root.issuer,
        subjects.service_name(f"Ceremony of {unsigned.opened_at}", stage.settings),
        key.public_key,
        stage.settings,
        at,
    )
    request = orders.IssuanceRequest(
        f"ceremony/{unsigned.opened_at}/{unsigned.script.sha256[:32]}", ACTOR
    )
    record = issuance.issue_certificate(stage.sessions, draft, request, stage.settings, at)
    with stage.sessions() as session:
        closed = _point(audit.head(session))
    content = transcript.write(dataclasses.replace(unsigned, audit_closed=closed))
    signature_der = detached_signature.sign(content, certificates.parse(_der_of(record)), key)
    with stage.sessions() as session:
        _tell_audit(
            session,
            audit.AuditEvent.CEREMONY_CLOSED,
            stage.present.now(),
            outcome=unsigned.outcome,
            transcript=hashlib.sha256(content).hexdigest(),
        )
        session.commit()
    return SignedTranscript(content, signature_der, root.certificate, stopped_by)


def _has_root(stage: Stage) -> bool:
    with stage.sessions() as session:
        known = hierarchy.ROOT in {one.name for one in registry.issuers(session)}
    if known and hierarchy.key_label(hierarchy.ROOT) not in stage.keys.labels():
        raise hierarchy.RootOfflineError("the root's key is not here: open the root's key store")
    return known


def _root_sha256(stage: Stage) -> str:
    return _authority_of(stage, hierarchy.ROOT).sha256


def _foundation(stage: Stage, at: datetime.datetime) -> foundation.Foundation:
    return foundation.Foundation(stage.sessions, stage.keys, stage.settings, at, ACTOR)


def _key_evidence(stage: Stage, label: str) -> transcript.KeyEvidence:
    """Read a key back from its store; a step that certifies it needs it to be there."""
    handle = stage.keys.open_key(label)
    attributes = stage.keys.describe_key(label)
    if not attributes.stays_inside and not stage.settings.test:
        raise NotPlayedError(f"the key {label!r} could be copied out of {attributes.place}")
    return transcript.KeyEvidence(
        label,
        algorithms.key_kind(handle.public_key).value,
        transcript.encode(_public_key_der(handle.public_key)),
        certificates.key_sha256(handle.public_key),
        **dataclasses.asdict(attributes),
    )


def _public_key_der(key: algorithms.PublicKey) -> bytes:
    return key.public_bytes(
        serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
    )


def _authority_of(stage: Stage, name: str) -> transcript.CertificateEvidence:
    with stage.sessions() as session:
        found = {one.name: one for one in registry.issuers(session)}
    return _authority_evidence(found[name])


def _authority_evidence(one: registry.IssuerRecord) -> transcript.CertificateEvidence:
    profile = profiles.ROOT if one.issuer_name == one.name else profiles.AUTHORITY
    return transcript.CertificateEvidence(
        one.name,
        one.issuer_name,
        profile.name,
        transcript.encode(certificates.to_der(one.certificate)),
        certificates.sha256(one.certificate),
    )


def _evidence_of(record: registry.CertificateRecord, name: str) -> transcript.CertificateEvidence:
    data = _der_of(record)
    return transcript.CertificateEvidence(
        name,
        record.issuer_name,
        record.profile,
        transcript.encode(data),
        hashlib.sha256(data).hexdigest(),
    )


def _der_of(record: registry.CertificateRecord) -> bytes:
    if record.certificate_der is None:
        raise NotPlayedError("a certificate was not stored")
    return record.certificate_der


def _point(head: audit.AuditHead) -> transcript.AuditPoint:
    return transcript.AuditPoint(head.number, head.hash)


def _tell_audit(
    session: orm.Session, event: audit.AuditEvent, at: datetime.datetime, **details: str
) -> None:
    audit.append(session, event, at, actor=ACTOR, details=details)
