"""Issuing certificates, one or many: prepare, lint, record, sign, record.

The intent comes first (`ca.intents`): before the authority's key is used, the registry holds the
serial number and the exact bytes that will be signed. A crash at any point leaves at worst an
intent, which is ended as abandoned and revoked; no certificate can exist that the registry does
not know. Many share the two commits and nothing else: each is linted, recorded, signed and stored,
or refused, as it would be alone.
"""

import datetime
from collections.abc import Mapping, Sequence

from sqlalchemy import orm

from ca import authority, drafts, intents, lint, orders
from ca import settings as ca_settings
from ca.crls import partitions
from pki import errors, failpoints, registry
from pki.keystore import logged_store

MAX_ORDERS = 100
"""So many are linted in two seconds; nobody should wait much longer for an answer."""


def issue_certificate(
    sessions: orm.sessionmaker[orm.Session],
    draft: drafts.CertificateDraft,
    request: orders.IssuanceRequest,
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
    (outcome,) = issue_certificates(sessions, (orders.Order(draft, request),), settings, at)
    return _record_of(outcome)


def issue_certificates(
    sessions: orm.sessionmaker[orm.Session],
    asked: Sequence[orders.Order],
    settings: ca_settings.Settings,
    at: datetime.datetime,
) -> tuple[orders.Outcome, ...]:
    """Issue many certificates with the two commits of one; the outcomes come in the same order.

    Each order ends as it would alone: one that is refused, or whose signature fails, is told as
    the error that `issue_certificate` would raise, and the others are issued all the same.

    Raises:
        LimitError: More than `MAX_ORDERS`.
        DatabaseError: The database is away: nothing was signed, or what was signed is abandoned
            and revoked by the next `intents.reconcile`.
    """
    if len(asked) > MAX_ORDERS:
        raise errors.LimitError(f"expected at most {MAX_ORDERS} orders, got {len(asked)}")
    by_place = dict(enumerate(asked))
    with sessions() as session:
        connection = session.connection()
        outcomes = orders.settled(connection, by_place)
        placed = partitions.place(connection, [one.draft for one in asked], settings)
    judged = {}
    for place, order in by_place.items():
        if place not in outcomes:
            try:
                order = order.placed(placed[place])
                judged[place] = judge(drafts.build_twin(order.draft), order, settings, at)
            except errors.ImzaError as error:
                outcomes[place] = error
    outcomes |= _issue(sessions, judged, at)
    return tuple(outcomes[place] for place in by_place)


def issue_twin(
    sessions: orm.sessionmaker[orm.Session],
    twin_der: bytes,
    draft: drafts.CertificateDraft,
    request: orders.IssuanceRequest,
    settings: ca_settings.Settings,
    at: datetime.datetime,
) -> registry.CertificateRecord:
    """Lint a twin, record it, sign exactly its bytes, store the result. Raises as above."""
    judged = judge(twin_der, orders.Order(draft, request), settings, at)
    return _record_of(_issue(sessions, {0: judged}, at)[0])


def judge(
    twin_der: bytes, order: orders.Order, settings: ca_settings.Settings, at: datetime.datetime
) -> orders.JudgedOrder:
    """Lint a twin; what comes back may be recorded and signed.

    Raises:
        LintError: It would break its profile.
        StorageError: The authority's key would not sign now.
        DeviceError: So it is.
    """
    failpoints.reach("reserve")
    # A key that is known not to sign now costs no serial number.
    logged_store.check_ready(order.draft.issuer.key)
    facts = lint.check_twin(twin_der, order.draft.profile, order.draft.issuer, settings, at)
    failpoints.reach("lint")
    return orders.JudgedOrder(order, twin_der, facts)


def _issue(
    sessions: orm.sessionmaker[orm.Session],
    judged: Mapping[int, orders.JudgedOrder],
    at: datetime.datetime,
) -> dict[int, orders.Outcome]:
    """Record the intents, sign exactly what was linted, store what was signed."""
    if not judged:
        return {}
    with logged_store.issuing(one.order.draft.issuer.key for one in judged.values()):
        return _issue_known(sessions, judged, at)


def _issue_known(
    sessions: orm.sessionmaker[orm.Session],
    judged: Mapping[int, orders.JudgedOrder],
    at: datetime.datetime,
) -> dict[int, orders.Outcome]:
    outcomes = intents.record(sessions, judged, at)
    failpoints.reach("intent")
    left = {place: one for place, one in judged.items() if place not in outcomes}
    results = _sign(left)
    failpoints.reach("sign")
    failures = {place: one for place, one in results.items() if isinstance(one, Exception)}
    intents.abandon(sessions, [left[place] for place in failures], at)
    signed = {place: one for place, one in results.items() if isinstance(one, bytes)}
    outcomes |= intents.fulfil(sessions, {place: left[place] for place in signed}, signed, at)
    for place, failure in failures.items():
        if not isinstance(failure, errors.ImzaError):
            raise failure  # No error of ours, and not before the others were stored.
        outcomes[place] = failure
    return outcomes


def _sign(judged: Mapping[int, orders.JudgedOrder]) -> dict[int, bytes | Exception]:
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


def _record_of(outcome: orders.Outcome) -> registry.CertificateRecord:
    if isinstance(outcome, errors.ImzaError):
        raise outcome
    return outcome
