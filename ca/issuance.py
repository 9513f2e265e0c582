"""Issuing certificates, one or many: prepare, lint, record, sign, record.

The intent comes first: before the authority's key is used, the registry holds the serial number
and the exact bytes that will be signed. A crash at any point leaves at worst an intent, which
`reconcile` ends as abandoned and revoked; no certificate can exist that the registry does not
know. Many share the two commits and nothing else: each is linted, recorded, signed and stored, or
refused, as it would be alone.
"""

import dataclasses
import datetime
import functools
import logging
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, cast

import sqlalchemy
from sqlalchemy import exc, orm

from ca import authority, drafts, lint
from ca import settings as ca_settings
from ca.continuity import closures
from ca.crls import entries, partitions
from pki import audit, certificates, database, errors, failpoints, registry, status
from pki.keystore import logged_store

log = logging.getLogger(__name__)

OPEN_LIMIT = datetime.timedelta(minutes=5)
"""An intent that is older has lost its process, or its process the database."""

SYSTEM = "system"
"""The actor of what no client or officer asked for."""

MAX_ORDERS = 100
"""So many are linted in two seconds; nobody should wait much longer for an answer."""

# The object-relational layer would take longer than all the rest of a certificate of many.
_CERTIFICATES = cast(sqlalchemy.Table, registry.CertificateRow.__table__)
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


class RequestInProgressError(errors.StateError):
    """The same certificate is being issued at this moment."""

    code = "issuance-in-progress"
    retriable = True


class RequestAnsweredError(errors.StateError):
    """The request got a certificate already, for another key."""

    code = "already-certified"


class KeyCertifiedError(errors.PolicyError):
    """The key was certified before, for somebody else or for something else."""

    code = "key-already-certified"


class IssuanceAbandonedError(errors.StateError):
    """The certificate was abandoned and revoked while it was being issued."""

    code = "issuance-abandoned"
    retriable = True


@dataclasses.dataclass(frozen=True)
class IssuanceRequest:
    """What a certificate is asked for by, and by whom.

    Attributes:
        key: Names the request; the same name never yields a second certificate.
        actor: Which client or officer asks.
        key_label: Where the key of one of our own services lies; None for subscribers.
    """

    key: str
    actor: str
    key_label: str | None = None


@dataclasses.dataclass(frozen=True)
class Order:
    """One certificate to be issued: what it will say, and who asks for it."""

    draft: drafts.CertificateDraft
    request: IssuanceRequest

    @functools.cached_property
    def key_sha256(self) -> str:
        """The key that is certified."""
        return certificates.key_sha256(self.draft.public_key)

    @functools.cached_property
    def use(self) -> tuple[str, str]:
        """What a key is certified for: a subject and a profile."""
        return certificates.name_text(self.draft.subject), self.draft.profile.name


Outcome = registry.CertificateRecord | errors.ImzaError
"""What became of an order."""


@dataclasses.dataclass(frozen=True)
class _Judged:
    """An order whose certificate was linted and may be signed."""

    order: Order
    twin_der: bytes
    facts: certificates.CertificateFacts


def issue_certificate(
    sessions: orm.sessionmaker[orm.Session],
    draft: drafts.CertificateDraft,
    request: IssuanceRequest,
    settings: ca_settings.Settings,
    at: datetime.datetime,
) -> registry.CertificateRecord:
    """Issue what a draft says, or return what the same request was given before.

    Raises:
        LintError: The certificate would break its profile; nothing was recorded or signed.
        RequestInProgressError: The same request is under way elsewhere.
        RequestAnsweredError: The request was answered before, for another key.
        KeyCertifiedError: The key belongs to another subject or profile already.
        AuthorityClosedError: The issuer certifies nobody any more.
        DeviceError: The key store failed; the certificate is abandoned and revoked.
    """
    (outcome,) = issue_certificates(sessions, (Order(draft, request),), settings, at)
    return _record_of(outcome)


def issue_certificates(
    sessions: orm.sessionmaker[orm.Session],
    orders: Sequence[Order],
    settings: ca_settings.Settings,
    at: datetime.datetime,
) -> tuple[Outcome, ...]:
    """Issue many certificates with the two commits of one; the outcomes come in the same order.

    Each order ends as it would alone: one that is refused, or whose signature fails, is told as
    the error that `issue_certificate` would raise, and the others are issued all the same.

    Raises:
        LimitError: More than `MAX_ORDERS`.
        DatabaseError: The database is away: nothing was signed, or what was signed is abandoned
            and revoked by the next `reconcile`.
    """
    if len(orders) > MAX_ORDERS:
        raise errors.LimitError(f"expected at most {MAX_ORDERS} orders, got {len(orders)}")
    by_place = dict(enumerate(orders))
    with sessions() as session:
        outcomes = _settled(session, by_place)
        placed = partitions.place(session, [one.draft for one in orders], settings)
    judged = {}
    for place, order in by_place.items():
        if place not in outcomes:
            try:
                order = dataclasses.replace(order, draft=placed[place])
                judged[place] = _judge(drafts.build_twin(order.draft), order, settings, at)
            except errors.ImzaError as error:
                outcomes[place] = error
    outcomes |= _issue(sessions, judged, at)
    return tuple(outcomes[place] for place in by_place)


def issue_twin(
    sessions: orm.sessionmaker[orm.Session],
    twin_der: bytes,
    draft: drafts.CertificateDraft,
    request: IssuanceRequest,
    settings: ca_settings.Settings,
    at: datetime.datetime,
) -> registry.CertificateRecord:
    """Lint a twin, record it, sign exactly its bytes, store the result. Raises as above."""
    judged = _judge(twin_der, Order(draft, request), settings, at)
    return _record_of(_issue(sessions, {0: judged}, at)[0])


def reconcile(
    sessions: orm.sessionmaker[orm.Session],
    at: datetime.datetime,
    *,
    recorded_before: datetime.datetime | None = None,
) -> tuple[int, ...]:
    """End every intent that no process works on any more; run it when the CA starts.

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
            _abandon(session, row.id, SYSTEM, at)
        session.commit()
    return tuple(int(row.serial_number, 16) for row in rows)


def _judge(
    twin_der: bytes, order: Order, settings: ca_settings.Settings, at: datetime.datetime
) -> _Judged:
    failpoints.reach("reserve")
    # A key that is known not to sign now costs no serial number.
    logged_store.check_ready(order.draft.issuer.key)
    facts = lint.check_twin(twin_der, order.draft.profile, order.draft.issuer, settings, at)
    failpoints.reach("lint")
    return _Judged(order, twin_der, facts)


def _issue(
    sessions: orm.sessionmaker[orm.Session],
    judged: Mapping[int, _Judged],
    at: datetime.datetime,
) -> dict[int, Outcome]:
    """Record the intents, sign exactly what was linted, store what was signed."""
    if not judged:
        return {}
    outcomes = _record_intents(sessions, judged, at)
    failpoints.reach("intent")
    left = {place: one for place, one in judged.items() if place not in outcomes}
    results = _sign(left)
    failpoints.reach("sign")
    failures = {place: one for place, one in results.items() if isinstance(one, Exception)}
    _abandon_now(sessions, [left[place] for place in failures], at)
    signed = {place: one for place, one in results.items() if isinstance(one, bytes)}
    outcomes |= _store(sessions, {place: left[place] for place in signed}, signed, at)
    for place, failure in failures.items():
        if not isinstance(failure, errors.ImzaError):
            raise failure  # No error of ours, and not before the others were stored.
        outcomes[place] = failure
    return outcomes


def _settled(session: orm.Session, orders: Mapping[int, Order]) -> dict[int, Outcome]:
    """The orders that need no signature: answered before, under way, or not allowed."""
    by_request, by_key = _rows_about(session, orders)
    asked: set[str] = set()
    may_certify: set[tuple[str, str]] = set()
    settled: dict[int, Outcome] = {}
    for place, order in orders.items():
        try:
            if order.request.key in asked:
                raise RequestInProgressError("the same certificate is asked for twice at once")
            asked.add(order.request.key)
            if (row := by_request.get(order.request.key)) is not None:
                settled[place] = _answer(row, order.key_sha256)
                continue
            # One key with two certificates would make a signature point at either of two
            # subjects, and an authentication could be replayed as a signature.
            if by_key.setdefault(order.key_sha256, {order.use}) != {order.use}:
                raise KeyCertifiedError(
                    "this key has a certificate for another subject or another use: make a new key"
                )
            issuer_and_profile = order.draft.issuer.name, order.draft.profile.name
            if issuer_and_profile not in may_certify:
                closures.check_open(session, *issuer_and_profile)
                may_certify.add(issuer_and_profile)
        except errors.ImzaError as error:
            settled[place] = error
    return settled


def _rows_about(
    session: orm.Session, orders: Mapping[int, Order]
) -> tuple[dict[str, registry.CertificateRow], dict[str, set[tuple[str, str]]]]:
    """What is known of the requests, and for whom and what the keys were certified before."""
    keys = {one.key_sha256 for one in orders.values()}
    requests = {one.request.key for one in orders.values()}
    rows = session.scalars(
        sqlalchemy.select(registry.CertificateRow).where(
            registry.CertificateRow.request_key.in_(requests)
            | registry.CertificateRow.key_sha256.in_(keys)
        )
    )
    by_request, by_key = {}, dict[str, set[tuple[str, str]]]()
    for row in rows:
        if row.request_key in requests:
            by_request[row.request_key] = row
        by_key.setdefault(row.key_sha256, set()).add((row.subject, row.profile))
    return by_request, by_key


def find_answer(
    session: orm.Session, request: IssuanceRequest, key_sha256: str
) -> registry.CertificateRecord | None:
    """Return what a request was given before; None for a new one. Raises as `_answer`."""
    row = session.scalars(
        sqlalchemy.select(registry.CertificateRow).where(
            registry.CertificateRow.request_key == request.key
        )
    ).first()
    return None if row is None else _answer(row, key_sha256)


def _answer(row: registry.CertificateRow, key_sha256: str) -> registry.CertificateRecord:
    """What a request was given before.

    Raises:
        RequestInProgressError: It is being issued now.
        RequestAnsweredError: It was for another key.
    """
    if row.key_sha256 != key_sha256:
        raise RequestAnsweredError(
            "this application has its certificate of that profile already, for another key:"
            " a new key needs a new application"
        )
    if row.state == registry.CertificateState.INTENDED.value:
        raise RequestInProgressError("the same certificate is being issued: ask again shortly")
    return registry.to_record(row)


def _record_intents(
    sessions: orm.sessionmaker[orm.Session], judged: Mapping[int, _Judged], at: datetime.datetime
) -> dict[int, Outcome]:
    """Record what will be signed, all of it in one transaction; return what needs no signature."""
    with sessions() as session:
        # Asked again now that the audit log's head is locked: whoever recorded the same request
        # or the same key at the same moment has committed and is seen.
        audit.lock(session)
        settled = _settled(session, {place: one.order for place, one in judged.items()})
        left = [one for place, one in judged.items() if place not in settled]
        if not left:
            return settled
        try:
            session.execute(sqlalchemy.insert(_CERTIFICATES), [_intent(one, at) for one in left])
        except exc.IntegrityError as error:
            # A serial number that the issuer used before: another one is drawn.
            raise RequestInProgressError(
                "the same certificate is being issued: ask again shortly"
            ) from error
        event = audit.AuditEvent.CERTIFICATE_INTENDED
        audit.append_all(session, [_occurrence(event, one, at) for one in left])
        session.commit()
    return settled


def _intent(judged: _Judged, at: datetime.datetime) -> dict[str, object]:
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


def _sign(judged: Mapping[int, _Judged]) -> dict[int, bytes | Exception]:
    """Sign each twin; those of one authority are one use of its key."""
    by_key: dict[int, list[int]] = {}
    for place, one in judged.items():
        by_key.setdefault(id(one.order.draft.issuer.key), []).append(place)
    signed: dict[int, bytes | Exception] = {}
    for places in by_key.values():
        key = judged[places[0]].order.draft.issuer.key
        try:
            results = authority.sign_all_like([judged[one].twin_der for one in places], key)
        except Exception as error:  # noqa: BLE001 - told to the caller once all others are stored
            results = [error] * len(places)
        signed |= zip(places, results, strict=True)
    return signed


def _store(
    sessions: orm.sessionmaker[orm.Session],
    judged: Mapping[int, _Judged],
    signed: Mapping[int, bytes],
    at: datetime.datetime,
) -> dict[int, Outcome]:
    """Store what was signed, all of it in one transaction.

    Raises:
        SignedBytesError: What was signed is not what was recorded; nothing is stored.
    """
    if not judged:
        return {}
    outcomes: dict[int, Outcome] = {}
    stored: list[_Judged] = []
    values: list[dict[str, object]] = []
    with sessions() as session:
        rows = _intents_of(session, judged.values())
        for place, one in judged.items():
            row = rows.get(_place_in_registry(one))
            if row is None or row.state != registry.CertificateState.INTENDED.value:
                outcomes[place] = IssuanceAbandonedError(
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
            session.execute(_STORE, [value | {"change": head.number} for value in values])
            failpoints.reach("store")
        session.commit()
    for one in stored:
        failpoints.reach("publish")
        log.info("certificate_issued issuer=%s serial=%s", *_place_in_registry(one))
    return outcomes


def _abandon_now(
    sessions: orm.sessionmaker[orm.Session], judged: Sequence[_Judged], at: datetime.datetime
) -> None:
    # Whether a key signed before it failed is unknown: the serial is never used again.
    if not judged:
        return
    try:
        with sessions() as session:
            rows = _intents_of(session, judged)
            for one in judged:
                row = rows[_place_in_registry(one)]
                _abandon(session, row.id, one.order.request.actor, at)
            session.commit()
    except database.DatabaseError:
        # The worker ends them when the database is back.
        log.warning("intents_left_open count=%d", len(judged))


def _intents_of(session: orm.Session, judged: Iterable[_Judged]) -> Mapping[tuple[str, str], Any]:
    columns = _CERTIFICATES.c
    found = session.execute(
        sqlalchemy.select(
            columns.id,
            columns.issuer_name,
            columns.serial_number,
            columns.state,
            columns.to_be_signed_der,
        )
        .where(columns.serial_number.in_([_place_in_registry(one)[1] for one in judged]))
        .order_by(columns.id)
        .with_for_update()
    )
    return {(row.issuer_name, row.serial_number): row for row in found}


def _place_in_registry(judged: _Judged) -> tuple[str, str]:
    serial_number = registry.serial_key(judged.facts.serial_number)
    return judged.order.draft.issuer.name, serial_number


def _issued(row_id: int, judged: _Judged, certificate_der: bytes) -> registry.CertificateRecord:
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
    event: audit.AuditEvent, judged: _Judged, at: datetime.datetime
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


def _record_of(outcome: Outcome) -> registry.CertificateRecord:
    if isinstance(outcome, errors.ImzaError):
        raise outcome
    return outcome
