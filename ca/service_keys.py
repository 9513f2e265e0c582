"""Keys and certificates of our own services: responders, the signers of lists and messages."""

import datetime
import logging
from collections.abc import Sequence

from sqlalchemy import orm

from ca import drafts, generations, hierarchy, issuance, orders, subjects
from pki import algorithms, audit, certificates, clock, profiles, registry
from pki.keystore import store

log = logging.getLogger(__name__)

STATUS_PUBLISHER = "status-publisher"
"""The label of the key that signs status files."""


def renew_responders(
    sessions: orm.sessionmaker[orm.Session],
    keys: store.KeyStore,
    authorities: hierarchy.Hierarchy,
    at: datetime.datetime,
    *,
    names: Sequence[str] | None = None,
    actor: str = orders.SYSTEM,
) -> tuple[registry.CertificateRecord, ...]:
    """Certify the issuing CAs' responders anew where their certificates near their ends.

    Each certificate has a key of its own. The old one stays valid beside the new one, so that
    every answer verifies while the responders change over, and the old key can step in. Every
    generation has its own; `names` limits it to some.
    """
    renewed = []
    for name in authorities.status_served() if names is None else names:
        with sessions() as session:
            present = registry.current_certificate(
                session, profiles.OCSP_RESPONDER.name, at, issuer_name=name
            )
        label = hierarchy.responder_label(name)
        if present is not None:
            if present.not_after - at > authorities.settings.responder_renewal:
                continue
            label = hierarchy.next_responder_label(name, at)
        handle = open_or_generate(sessions, keys, label, algorithms.KeyKind.P256, at, actor=actor)
        issuing = authorities.named(name)
        draft = drafts.draft_certificate(
            profiles.OCSP_RESPONDER,
            issuing.issuer,
            subjects.service_name(
                f"{generations.title_of(name)} OCSP responder", authorities.settings
            ),
            handle.public_key,
            authorities.settings,
            at,
        )
        request = orders.IssuanceRequest(
            f"responder/{name}/{clock.whole_seconds(at).isoformat()}", actor, label
        )
        renewed.append(
            issuance.issue_certificate(sessions, draft, request, authorities.settings, at)
        )
    return tuple(renewed)


def renew_list_signer(
    sessions: orm.sessionmaker[orm.Session],
    keys: store.KeyStore,
    authorities: hierarchy.Hierarchy,
    at: datetime.datetime,
    *,
    actor: str = orders.SYSTEM,
) -> registry.CertificateRecord | None:
    """Certify the trusted list's signer where there is none or its certificate nears its end.

    The key stays, so that a list signed before verifies with either certificate's key. Without a
    scheme in the settings there is no signer.
    """
    settings = authorities.settings
    if settings.trusted_list is None:
        return None
    with sessions() as session:
        present = registry.current_certificate(
            session, profiles.TRUSTED_LIST_SIGNER.name, at, key_label=hierarchy.TRUSTED_LIST_SIGNER
        )
    if present is not None and present.not_after - at > settings.trusted_list.signer_renewal:
        return None
    return certify_list_signer(sessions, keys, authorities, at, actor=actor)


def certify_list_signer(
    sessions: orm.sessionmaker[orm.Session],
    keys: store.KeyStore,
    authorities: hierarchy.Hierarchy,
    at: datetime.datetime,
    *,
    actor: str = orders.SYSTEM,
) -> registry.CertificateRecord:
    """Certify the trusted list's signer by the infrastructure CA, whatever there was before."""
    return _certify(
        sessions,
        keys,
        authorities,
        at,
        actor,
        profile=profiles.TRUSTED_LIST_SIGNER,
        label=hierarchy.TRUSTED_LIST_SIGNER,
        kind=algorithms.KeyKind.P384,
        title="Trusted list signer",
    )


def certify_cmp_signer(
    sessions: orm.sessionmaker[orm.Session],
    keys: store.KeyStore,
    authorities: hierarchy.Hierarchy,
    at: datetime.datetime,
    *,
    actor: str = orders.SYSTEM,
) -> registry.CertificateRecord:
    """Certify what signs CMP messages by the infrastructure CA, whatever there was before."""
    return _certify(
        sessions,
        keys,
        authorities,
        at,
        actor,
        profile=profiles.CMP_SIGNER,
        label=hierarchy.CMP_SIGNER,
        kind=algorithms.KeyKind.P256,
        title="Certificate management",
    )


def _certify(
    sessions: orm.sessionmaker[orm.Session],
    keys: store.KeyStore,
    authorities: hierarchy.Hierarchy,
    at: datetime.datetime,
    actor: str,
    *,
    profile: profiles.CertificateProfile,
    label: str,
    kind: algorithms.KeyKind,
    title: str,
) -> registry.CertificateRecord:
    settings = authorities.settings
    handle = open_or_generate(sessions, keys, label, kind, at, actor=actor)
    draft = drafts.draft_certificate(
        profile,
        authorities.current(hierarchy.INFRASTRUCTURE).issuer,
        subjects.service_name(title, settings),
        handle.public_key,
        settings,
        at,
    )
    request = orders.IssuanceRequest(
        f"service/{label}/{clock.whole_seconds(at).isoformat()}", actor, label
    )
    return issuance.issue_certificate(sessions, draft, request, settings, at)


def open_status_publisher(
    sessions: orm.sessionmaker[orm.Session],
    keys: store.KeyStore,
    at: datetime.datetime,
    *,
    actor: str = orders.SYSTEM,
) -> store.KeyHandle:
    """Open the key that signs the status files for responders elsewhere, or make it.

    It has no certificate: responders are given its public key, since the status of whoever tells
    them all statuses could not be asked anywhere.
    """
    return open_or_generate(
        sessions, keys, STATUS_PUBLISHER, algorithms.KeyKind.P256, at, actor=actor
    )


def open_or_generate(
    sessions: orm.sessionmaker[orm.Session],
    keys: store.KeyStore,
    label: str,
    kind: algorithms.KeyKind,
    at: datetime.datetime,
    *,
    actor: str,
) -> store.KeyHandle:
    """Open the key of a label, or make it and record that in the audit log."""
    try:
        return keys.open_key(label)
    except store.KeyNotFoundError:
        return generate_key(sessions, keys, label, kind, at, actor=actor)


def generate_key(
    sessions: orm.sessionmaker[orm.Session],
    keys: store.KeyStore,
    label: str,
    kind: algorithms.KeyKind,
    at: datetime.datetime,
    *,
    actor: str,
) -> store.KeyHandle:
    """Make a key of one of our own services and tell the audit log.

    Raises:
        KeyExistsError: The label is taken.
    """
    handle = keys.generate(label, kind)
    with sessions() as session:
        audit.append(
            session,
            audit.AuditEvent.KEY_GENERATED,
            at,
            actor=actor,
            details={"label": label, "key_sha256": certificates.key_sha256(handle.public_key)},
        )
        session.commit()
    log.info("key_generated label=%s kind=%s", label, kind.value)
    return handle
