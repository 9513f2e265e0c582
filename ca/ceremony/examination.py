"""Checking a transcript with the root's certificate and nothing else.

The script in the transcript is read anew and followed: each step must be there, in its order,
confirmed by whom the script names, and show exactly what such a step makes. Each certificate and
CRL is verified by the keys that the transcript itself showed before, up to the root.
"""

import dataclasses
import datetime
import hashlib
from collections.abc import Mapping

from cryptography import x509
from cryptography.hazmat.primitives import serialization

from ca import generations, hierarchy
from ca.ceremony import detached_signature, script, transcript
from pki import algorithms, certificates, errors, profiles

CLOCK_STEP = datetime.timedelta(seconds=2)
"""Certificates have whole seconds and the transcript too: they may differ by the rounding."""

_Refused = transcript.TranscriptError


@dataclasses.dataclass(frozen=True)
class Examination:
    """What a transcript shows, once everything about it was found in order.

    Attributes:
        transcript: The record.
        script: The script that was played.
        root_sha256: The root's certificate; to be compared with the one noted on paper.
        warnings: What a reader must know, such as keys that could be copied.
    """

    transcript: transcript.Transcript
    script: script.Script
    root_sha256: str
    warnings: tuple[str, ...]


def examine(content: bytes, signature_der: bytes, root: x509.Certificate) -> Examination:
    """Check a transcript.

    Args:
        content: The transcript.
        signature_der: Its detached signature.
        root: The root's certificate, from a place that is trusted.

    Raises:
        TranscriptError: It does not show what it claims.
        InputError: It, its signature, its script or a certificate in it is malformed.
    """
    certificates.check_issued_by(root, root)
    signer = detached_signature.check(content, signature_der)
    record = transcript.read(content)
    _check_signer(signer, root, record)
    if hashlib.sha256(record.script.text.encode()).hexdigest() != record.script.sha256:
        raise _Refused("the script is not the one whose hash is stated")
    played = script.read(record.script.text.encode())
    if record.root_sha256 != certificates.sha256(root):
        raise _Refused("the transcript is of another root")
    _check_course(record, played)
    found = _Followed(record, root)
    found.follow(played)
    return Examination(record, played, record.root_sha256, tuple(found.warnings))


def _check_signer(
    signer: x509.Certificate, root: x509.Certificate, record: transcript.Transcript
) -> None:
    certificates.check_issued_by(signer, root)
    facts = certificates.read(signer)
    profile = profiles.CEREMONY_TRANSCRIPT
    if facts.is_authority or facts.key_usage != profile.key_usage:
        raise _Refused("the signer's certificate is not one for transcripts")
    if not facts.policies or facts.policies[0].rpartition(".")[2] != str(profile.policy):
        raise _Refused("the signer's certificate is not one for transcripts")
    closed = transcript.parse_time(record.closed_at)
    if abs(facts.not_before - closed) > CLOCK_STEP:
        raise _Refused("the signer's certificate is not of the time when the ceremony closed")


def _check_course(record: transcript.Transcript, played: script.Script) -> None:
    """Check the order of times, the day, the outcome and every confirmation."""
    if record.outcome not in {transcript.COMPLETED, transcript.STOPPED}:
        raise _Refused("expected an outcome of completed or stopped")
    completed = record.outcome == transcript.COMPLETED
    if completed == bool(record.reason):
        raise _Refused("expected a reason where the ceremony stopped, and only there")
    if len(record.steps) > len(played.steps) or (
        completed and len(record.steps) != len(played.steps)
    ):
        raise _Refused(f"expected {len(played.steps)} steps, got {len(record.steps)}")
    times = [record.opened_at]
    for number, (done, step) in enumerate(zip(record.steps, played.steps, strict=False), 1):
        if done.number != number or done.action != step.action.value:
            raise _Refused(f"step {number} is not the one of the script")
        if tuple(one.witness for one in done.confirmations) != step.confirmed_by:
            raise _Refused(f"step {number} was not confirmed by whom the script names")
        times += [done.begun_at, *(one.at for one in done.confirmations), done.done_at]
    if completed and tuple(one.witness for one in record.closing) != tuple(
        one.id for one in played.witnesses
    ):
        raise _Refused("the closing was not confirmed by every witness")
    times += [*(one.at for one in record.closing), record.closed_at]
    read = [transcript.parse_time(one) for one in times]
    if read != sorted(read):
        raise _Refused("the times of the steps are not in their order")
    if played.date is not None and read[0].date() != played.date:
        raise _Refused("the ceremony was not held on the day of its script")
    if played.date is None and not record.test:
        raise _Refused("expected the day of the ceremony in its script")
    if record.unattended and not record.test:
        raise _Refused("expected witnesses who were asked")
    if record.audit_closed.number <= record.audit_opened.number:
        raise _Refused("expected the audit log to have grown")


class _Followed:
    """What is known of keys and authorities at each point of the ceremony."""

    def __init__(self, record: transcript.Transcript, root: x509.Certificate) -> None:
        self._record = record
        self._root = root
        self._generated: dict[str, transcript.KeyEvidence] = {}
        self._authorities: dict[str, x509.Certificate] = {}
        self.warnings: list[str] = []
        for one in record.present:
            certificate = _certificate(one)
            self._check_path(one, certificate)
            self._authorities[one.name] = certificate

    def follow(self, played: script.Script) -> None:
        for done, step in zip(self._record.steps, played.steps, strict=False):
            try:
                self._follow_one(done, step)
            except errors.InputError as error:
                raise _Refused(f"step {done.number}: {error.message}") from error
        if self._record.unattended:
            self.warnings.append("a rehearsal: nobody was asked to confirm")
        if self._record.outcome == transcript.STOPPED:
            self.warnings.append(f"the ceremony was stopped: {self._record.reason}")
        if hierarchy.ROOT not in self._authorities:
            raise _Refused("the transcript does not show its root")

    def _follow_one(self, done: transcript.PerformedStep, step: script.Step) -> None:
        action = script.Action
        expected = {
            action.GENERATE_KEY: (1, 0, 0),
            action.CROSS_CERTIFY: (0, 1, 0),
            action.PUBLISH_CRL: (0, 0, 1),
            action.REVOKE_AUTHORITY: (0, 0, 1),
        }.get(step.action, (1, 1, 0))
        if (len(done.keys), len(done.certificates), len(done.crls)) != expected:
            raise _Refused("expected the evidence of such a step, no less and no more")
        for key in done.keys:
            self._check_key(key, step)
        for one in done.certificates:
            self._check_certificate(one, done, step)
        for crl in done.crls:
            self._check_crl(crl, done, step)

    def _check_key(self, key: transcript.KeyEvidence, step: script.Step) -> None:
        public_key = _public_key(key)
        kind = algorithms.key_kind(public_key)
        if kind.value != key.kind or certificates.key_sha256(public_key) != key.public_key_sha256:
            raise _Refused(f"the key {key.label!r} is not what is said of it")
        inside = (
            key.sensitive
            and key.always_sensitive
            and key.never_extractable
            and key.local
            and not key.extractable
        )
        if not inside:
            if not self._record.test:
                raise _Refused(f"the key {key.label!r} could be copied out of its store")
            warning = f"the key {key.label!r} could be copied out of its store ({key.place})"
            if warning not in self.warnings:
                self.warnings.append(warning)
        if step.action is script.Action.GENERATE_KEY:
            if key.label != step.label or kind is not step.kind or key.label in self._generated:
                raise _Refused("the key is not the one that the script asked for")
            if any(
                one.public_key_sha256 == key.public_key_sha256 for one in self._generated.values()
            ):
                raise _Refused("two labels share one key")
            self._generated[key.label] = key
            return
        if key.label != _label_of(step):
            raise _Refused("another key than the script asked for was certified")
        if key.label in self._generated and self._generated[key.label] != key:
            raise _Refused(f"the key {key.label!r} is not the one that was made before")

    def _check_certificate(
        self,
        one: transcript.CertificateEvidence,
        done: transcript.PerformedStep,
        step: script.Step,
    ) -> None:
        certificate = _certificate(one)
        wanted_name, wanted_issuer, profile = _wanted(step, one.issuer)
        if (one.name, one.issuer, one.profile) != (wanted_name, wanted_issuer, profile.name):
            raise _Refused("the certificate is not the one that the script asked for")
        facts = certificates.read(certificate)
        if (facts.is_authority, facts.key_usage, facts.extended_key_usage) != (
            profile.authority,
            profile.key_usage,
            profile.extended_key_usage,
        ):
            raise _Refused(f"the certificate is not one of the profile {profile.name}")
        key_sha256 = certificates.key_sha256(certificates.public_key(certificate))
        if done.keys and key_sha256 != done.keys[0].public_key_sha256:
            raise _Refused("the certificate is of another key than was shown")
        begun = transcript.parse_time(done.begun_at)
        ended = transcript.parse_time(done.done_at)
        if not begun - CLOCK_STEP <= facts.not_before <= ended + CLOCK_STEP:
            raise _Refused("the certificate was not made during its step")
        if step.days and facts.not_after >= facts.not_before + datetime.timedelta(days=step.days):
            raise _Refused("the cross-certificate is valid for longer than the script says")
        self._check_path(one, certificate)
        if profile in {profiles.ROOT, profiles.AUTHORITY}:
            if one.name in self._authorities:
                raise _Refused(f"there was an authority {one.name!r} already")
            self._authorities[one.name] = certificate

    def _check_path(
        self, one: transcript.CertificateEvidence, certificate: x509.Certificate
    ) -> None:
        """Check that a certificate is the root or was issued by an authority shown before."""
        if one.name == hierarchy.ROOT:
            if certificate != self._root:
                raise _Refused("the root is not the one that was given")
            return
        if one.issuer == hierarchy.ROOT:
            issuer: x509.Certificate | None = self._root
        else:
            issuer = self._authorities.get(one.issuer)
        if issuer is None:
            raise _Refused(f"the issuer {one.issuer!r} was not shown before")
        certificates.check_issued_by(certificate, issuer)
        if certificate.not_valid_after_utc > issuer.not_valid_after_utc:
            raise _Refused("the certificate outlives its issuer")

    def _check_crl(
        self, one: transcript.CRLEvidence, done: transcript.PerformedStep, step: script.Step
    ) -> None:
        data = transcript.decode(one.crl)
        revokes = step.action is script.Action.REVOKE_AUTHORITY
        wanted = hierarchy.ROOT if revokes else step.name
        if one.issuer != wanted or hashlib.sha256(data).hexdigest() != one.sha256:
            raise _Refused("the CRL is not the one that the script asked for")
        issuer = self._authorities.get(one.issuer)
        if issuer is None:
            raise _Refused(f"the issuer {one.issuer!r} was not shown before")
        try:
            crl = x509.load_der_x509_crl(data)
            number = crl.extensions.get_extension_for_class(x509.CRLNumber).value.crl_number
            verified = crl.is_signature_valid(issuer.public_key())  # type: ignore[arg-type]
        except (ValueError, TypeError, x509.ExtensionNotFound) as error:
            raise _Refused("expected a CRL with a number") from error
        if not verified or crl.issuer != issuer.subject or number != one.number:
            raise _Refused("the CRL is not signed by its issuer")
        begun = transcript.parse_time(done.begun_at)
        if not begun - CLOCK_STEP <= crl.last_update_utc:
            raise _Refused("the CRL was not made during its step")
        if revokes:
            self._check_revoked(crl, step)

    def _check_revoked(self, crl: x509.CertificateRevocationList, step: script.Step) -> None:
        authority = self._authorities.get(step.name)
        if authority is None:
            raise _Refused(f"the authority {step.name!r} was not shown before")
        entry = crl.get_revoked_certificate_by_serial_number(authority.serial_number)
        if entry is None:
            raise _Refused(f"the root's CRL does not revoke {step.name!r}")
        try:
            reason = entry.extensions.get_extension_for_class(x509.CRLReason).value.reason.value
        except x509.ExtensionNotFound:
            reason = ""
        if step.reason is None or reason != step.reason.name:
            raise _Refused(f"the root's CRL revokes {step.name!r} for another reason")


def _wanted(step: script.Step, issuer: str = "") -> tuple[str, str, profiles.CertificateProfile]:
    """Name, issuer and profile of the certificate that a step makes.

    Which generation of the infrastructure CA certifies a time-stamping unit or a signer the script
    does not say: `issuer` is taken where it is one.
    """
    known = generations.is_authority(issuer)
    if not known or generations.role_of(issuer) != hierarchy.INFRASTRUCTURE:
        issuer = hierarchy.INFRASTRUCTURE
    action = script.Action
    fixed: Mapping[script.Action, tuple[str, str, profiles.CertificateProfile]] = {
        action.CERTIFY_ROOT: (hierarchy.ROOT, hierarchy.ROOT, profiles.ROOT),
        action.CERTIFY_AUTHORITY: (step.name, hierarchy.ROOT, profiles.AUTHORITY),
        action.CERTIFY_RESPONDER: (
            hierarchy.responder_label(step.name),
            step.name,
            profiles.OCSP_RESPONDER,
        ),
        action.CERTIFY_TIME_STAMPING_UNIT: (
            step.name,
            issuer,
            profiles.TIME_STAMPING_UNIT,
        ),
        action.CERTIFY_LIST_SIGNER: (
            hierarchy.TRUSTED_LIST_SIGNER,
            issuer,
            profiles.TRUSTED_LIST_SIGNER,
        ),
        action.CERTIFY_CMP_SIGNER: (hierarchy.CMP_SIGNER, issuer, profiles.CMP_SIGNER),
        action.CROSS_CERTIFY: (step.name, hierarchy.ROOT, profiles.CROSS_AUTHORITY),
    }
    return fixed[step.action]


def _label_of(step: script.Step) -> str:
    if step.action is script.Action.CERTIFY_ROOT:
        return hierarchy.key_label(hierarchy.ROOT)
    if step.action is script.Action.CERTIFY_AUTHORITY:
        return hierarchy.key_label(step.name)
    return _wanted(step)[0]


def _certificate(one: transcript.CertificateEvidence) -> x509.Certificate:
    certificate = certificates.parse(transcript.decode(one.certificate))
    if certificates.sha256(certificate) != one.sha256:
        raise _Refused(f"the certificate of {one.name!r} is not the one whose hash is stated")
    return certificate


def _public_key(key: transcript.KeyEvidence) -> algorithms.PublicKey:
    try:
        made = serialization.load_der_public_key(transcript.decode(key.public_key))
    except ValueError as error:
        raise _Refused(f"the key {key.label!r} cannot be read") from error
    algorithms.key_kind(made)
    assert isinstance(made, algorithms.PublicKey)  # noqa: S101 - key_kind refused all others
    return made
