"""Intents: what will be signed is recorded first, and each one is ended, one way or the other.

Before an authority's key is used, the registry holds the serial number and the exact bytes that
will be signed. What was signed is stored; whatever else may have been signed is abandoned and
revoked.
"""

import datetime
import logging
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, cast

import sqlalchemy
from sqlalchemy import exc, orm

from ca import authority, orders
from ca.crls import entries
from pki import audit, database, failpoints, registry, status
from pki.keystore import logged_store, store, under_way

log = logging.getLogger(__name__)

OPEN_LIMIT = datetime.timedelta(minutes=5)
"""An intent that is older has lost its process, or its process the database."""

# The object-relational layer would take longer than all the rest of a certificate of many.
_CERTIFICATES = cast(sqlalchemy.Table, registry.CertificateRow.__table__)
_INTEND = sqlalchemy.insert(_CERTIFICATES)
_INTENTS = (
    sqlalchemy.select(
        _CERTIFICATES.c.id,
        _CERTIFICATES.c.issuer_name,
        _CERTIFICATES.c.serial_number,
        _CERTIFICATES.c.state,
        _CERTIFICATES.c.to_be_signed_der,
    )
    .where(_CERTIFICATES.c.serial_number.in_(sqlalchemy.bindparam("serials", expanding=True)))
    .order_by(_CERTIFICATES.c.id)
    .with_for_update()
)
_STORE = (
    sqlalchemy.update(_CERTIFICATES)
    .where(_CERTIFICATES.c.id == sqlalchemy.bindparam("row_id"))
    .values(
        state=registry.CertificateState.ISSUED.value,
        certificate_der=sqlalchemy.bindparam("der"),
        issued_at=sqlalchemy.bindparam("at"),
        changed=sqlalchemy.bindparam("change"),
    )
)


def end_left_open(
    sessions: orm.sessionmaker[orm.Session], keys: store.KeyStore, at: datetime.datetime
) -> tuple[int, ...]:
    """End what processes that are no more left open; when one starts, before it issues.

    Waits until no other process of the authority issues. Where one goes on for too long, only what
    is too old to be its own is ended now, and the rest as time goes by.

    Raises:
        StorageError: The locks beside the signature log cannot be opened.
    """
    with logged_store.alone(keys) as is_alone:
        if not is_alone:
            log.warning("start_not_alone limit_s=%g", under_way.ALONE_LIMIT_S)
        return reconcile(sessions, at, recorded_before=None if is_alone else at - OPEN_LIMIT)


def reconcile(
    sessions: orm.sessionmaker[orm.Session],
    at: datetime.datetime,
    *,
    recorded_before: datetime.datetime | None = None,
) -> tuple[int, ...]:
    """End every intent, or every one that no process can be working on any more.

    Such a certificate may have been signed and was handed to nobody, so it is abandoned and
    revoked. A process that is issuing at this moment finds its intent gone and stores nothing.

    Args:
        sessions: The database.
        at: The present.
        recorded_before: Only older ones, for a CA that is running; see `OPEN_LIMIT`.

    Returns:
        The serial numbers that were abandoned.
    """
    query = sqlalchemy.select(registry.CertificateRow).where(
        registry.CertificateRow.state == registry.CertificateState.INTENDED.value
    )
    if recorded_before is not None:
        query = query.where(registry.CertificateRow.recorded_at < recorded_before)
    with sessions() as session:
        rows = session.scalars(query.order_by(registry.CertificateRow.id).with_for_update()).all()
        for row in rows:
            _abandon(session, row.id, orders.SYSTEM, at)
        session.commit()
    return tuple(int(row.serial_number, 16) for row in rows)


def record(
    sessions: orm.sessionmaker[orm.Session],
    judged: Mapping[int, orders.JudgedOrder],
    at: datetime.datetime,
) -> dict[int, orders.Outcome]:
    """Record what will be signed, all of it in one transaction; return what needs no signature."""
    with sessions() as session:
        # Asked again now that the audit log's head is locked: whoever recorded the same request
        # or the same key at the same moment has committed and is seen.
        connection = session.connection()
        head = audit.lock(session)
        settled = orders.settled(connection, {place: one.order for place, one in judged.items()})
        left = [one for place, one in judged.items() if place not in settled]
        if not left:
            return settled
        try:
            connection.execute(_INTEND, [_intent(one, at) for one in left])
        except exc.IntegrityError as error:
            # A serial number that the issuer used before: another one is drawn.
            raise orders.RequestInProgressError(
                "the same certificate is being issued: ask again shortly"
            ) from error
        event = audit.AuditEvent.CERTIFICATE_INTENDED
        audit.append_all(session, [_occurrence(event, one, at) for one in left], locked=head)
        session.commit()
    return settled


def _intent(judged: orders.JudgedOrder, at: datetime.datetime) -> dict[str, object]:
    draft, request, facts = judged.order.draft, judged.order.request, judged.facts
    return {
        "issuer_name": draft.issuer.name,
        "serial_number": registry.serial_key(facts.serial_number),
        "state": registry.CertificateState.INTENDED.value,
        "profile": draft.profile.name,
        "request_key": request.key,
        "key_sha256": judged.order.key_sha256,
        "key_label": request.key_label,
        "subject": facts.subject,
        "person_identifier": facts.identifier,
        "organisation_identifier": facts.organisation_identifier,
        "not_before": facts.not_before,
        "not_after": facts.not_after,
        "to_be_signed_der": authority.to_be_signed(judged.twin_der),
        "recorded_at": at,
        "crl_partition": draft.crl_partition,
    }


def fulfil(
    sessions: orm.sessionmaker[orm.Session],
    judged: Mapping[int, orders.JudgedOrder],
    signed: Mapping[int, bytes],
    at: datetime.datetime,
) -> dict[int, orders.Outcome]:
    """Store what was signed, all of it in one transaction.

    Raises:
        SignedBytesError: What was signed is not what was recorded; nothing is stored.
    """
    if not judged:
        return {}
    outcomes: dict[int, orders.Outcome] = {}
    stored: list[orders.JudgedOrder] = []
    values: list[dict[str, object]] = []
    with sessions() as session:
        connection = session.connection()
        rows = _intents_of(connection, judged.values())
        for place, one in judged.items():
            row = rows.get(_place_in_registry(one))
            if row is None or row.state != registry.CertificateState.INTENDED.value:
                outcomes[place] = orders.IssuanceAbandonedError(
                    "the certificate was abandoned meanwhile: ask again"
                )
                continue
            if authority.to_be_signed(signed[place]) != row.to_be_signed_der:
                raise authority.SignedBytesError("the signed bytes are not the recorded ones")
            stored.append(one)
            values.append({"row_id": row.id, "der": signed[place], "at": at})
            outcomes[place] = _issued(row.id, one, signed[place])
        if stored:
            event = audit.AuditEvent.CERTIFICATE_ISSUED
            head = audit.append_all(session, [_occurrence(event, one, at) for one in stored])
            failpoints.reach("audit")
            # Under the log's number, by which responders learn of them; see `registry.changed`.
            connection.execute(_STORE, [value | {"change": head.number} for value in values])
            failpoints.reach("store")
        session.commit()
    for one in stored:
        failpoints.reach("publish")
        log.info("certificate_issued issuer=%s serial=%s", *_place_in_registry(one))
    return outcomes


def abandon(
    sessions: orm.sessionmaker[orm.Session],
    judged: Sequence[orders.JudgedOrder],
    at: datetime.datetime,
) -> None:
    """End intents whose signature failed; with the database away it is left to `reconcile`.

    Whether a key signed before it failed is unknown: the serial number is never used again.
    """
    if not judged:
        return
    try:
        with sessions() as session:
            rows = _intents_of(session.connection(), judged)
            for one in judged:
                row = rows[_place_in_registry(one)]
                _abandon(session, row.id, one.order.request.actor, at)
            session.commit()
    except database.DatabaseError:
        # The worker ends them when the database is back.
        log.warning("intents_left_open count=%d", len(judged))


def _intents_of(
    connection: sqlalchemy.Connection, judged: Iterable[orders.JudgedOrder]
) -> dict[tuple[str, str], Any]:
    serials = [_place_in_registry(one)[1] for one in judged]
    found = connection.execute(_INTENTS, {"serials": serials})
    return {(row.issuer_name, row.serial_number): row for row in found}


def _place_in_registry(judged: orders.JudgedOrder) -> tuple[str, str]:
    serial_number = registry.serial_key(judged.facts.serial_number)
    return judged.order.draft.issuer.name, serial_number


def _issued(
    row_id: int, judged: orders.JudgedOrder, certificate_der: bytes
) -> registry.CertificateRecord:
    draft, facts = judged.order.draft, judged.facts
    return registry.CertificateRecord(
        id=row_id,
        issuer_name=draft.issuer.name,
        serial_number=facts.serial_number,
        state=registry.CertificateState.ISSUED,
        profile=draft.profile.name,
        subject=facts.subject,
        person_identifier=facts.identifier,
        organisation_identifier=facts.organisation_identifier,
        not_before=facts.not_before,
        not_after=facts.not_after,
        key_label=judged.order.request.key_label,
        certificate_der=certificate_der,
        status=status.CertificateStatus(),
        crl_partition=draft.crl_partition,
    )


def _abandon(session: orm.Session, row_id: int, actor: str, at: datetime.datetime) -> None:
    row = session.get(registry.CertificateRow, row_id, with_for_update=True)
    if row is None or row.state != registry.CertificateState.INTENDED.value:
        return
    request_key = row.request_key or ""
    row.state = registry.CertificateState.ABANDONED.value
    # The request may be made again; it gets another serial number.
    row.request_key = None
    row.revoked_at = at
    row.reason = status.RevocationReason.unspecified.name
    head = audit.append(
        session,
        audit.AuditEvent.CERTIFICATE_ABANDONED,
        at,
        actor=actor,
        details=_details(row.issuer_name, row.serial_number, row.profile, request_key),
    )
    entries.record(session, [row], head.number, at)
    log.warning("certificate_abandoned issuer=%s serial=%s", row.issuer_name, row.serial_number)


def _occurrence(
    event: audit.AuditEvent, judged: orders.JudgedOrder, at: datetime.datetime
) -> audit.Occurrence:
    issuer_name, serial_number = _place_in_registry(judged)
    request = judged.order.request
    details = _details(issuer_name, serial_number, judged.order.draft.profile.name, request.key)
    return audit.Occurrence(event, at, request.actor, details)


def _details(
    issuer_name: str, serial_number: str, profile: str, request_key: str
) -> dict[str, str | int | None]:
    return {
        "issuer": issuer_name,
        "serial_number": serial_number,
        "profile": profile,
        "request": request_key,
    }
