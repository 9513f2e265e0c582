"""Sign and publish one list (RFC 5280 5).

As with certificates the intent comes first: the number and the exact to-be-signed bytes are
recorded, then the key signs their hash. A crash in between leaves a number that stays unused.
"""

import dataclasses
import datetime
import hashlib
import logging

import sqlalchemy
from sqlalchemy import exc, orm

from ca import authority
from ca import settings as ca_settings
from ca.crls import addresses, entries, frame, lint, partitions, published, tables
from pki import audit, clock, der, errors, failpoints, registry_lock, signature
from pki.keystore import logged_store

log = logging.getLogger(__name__)


TRIES = 20
"""How often a number is asked for again that another process took at the same moment."""


class CRLInProgressError(errors.StateError):
    """Other processes took the next number, again and again."""

    code = "crl-in-progress"
    retriable = True


class NoBaseError(errors.StateError):
    """There is no full list that a delta could be applied to."""

    code = "crl-no-base"


@dataclasses.dataclass(frozen=True)
class _Plan:
    """Which list is to be made."""

    scope: addresses.Scope
    delta: bool
    last: bool
    settings: ca_settings.Settings


@dataclasses.dataclass(frozen=True)
class _Intent:
    """A list that is recorded and not signed yet."""

    row_id: int
    header: frame.Header
    frame_der: bytes
    to_be_signed: frame.ToBeSigned


def publish(
    sessions: orm.sessionmaker[orm.Session],
    issuing: authority.CertificationAuthority,
    settings: ca_settings.Settings,
    at: datetime.datetime,
    *,
    actor: str,
    partition: int = 0,
    delta: bool = False,
    last: bool = False,
) -> published.PublishedCRL:
    """Sign and store the next list of an authority's partition, full or delta.

    Its number is one more than any before, full or delta, of whatever partition; its thisUpdate
    is never before the last one's in its partition, whatever the clock did (RFC 5280 5.2.3).

    Args:
        sessions: The CA's database.
        issuing: Who signs.
        settings: Say where lists are and for how long they are good.
        at: The present.
        actor: Who publishes.
        partition: Which part of the authority's certificates.
        delta: Only what changed since the newest full list.
        last: No other list will follow: its nextUpdate never comes.

    Raises:
        CRLRefusedError: The clock is so far back that the list would end before it begins, or the
            list would break a rule.
        NoBaseError: A delta was asked for, and no full list that says where deltas are is there.
        CRLInProgressError: Other processes are publishing.
        RegistryLockedError: The registry was restored and is not reconciled yet.
        DeviceError: The key store failed; the number stays unused.
    """
    # A key that is known not to sign now costs no number.
    logged_store.check_ready(issuing.issuer.key)
    plan = _Plan(addresses.Scope(issuing.name, partition), delta, last, settings)
    for left in reversed(range(TRIES)):
        try:
            intent = _record_intent(sessions, issuing, plan, at, actor)
            break
        except CRLInProgressError:
            if left == 0:
                raise
    failpoints.reach("crl-intended")
    representation = dataclasses.replace(
        intent.to_be_signed.represent(issuing.issuer), stands_for=_signed_object(intent)
    )
    tail_der = authority.sign_tail(intent.frame_der, issuing.issuer.key, representation)
    failpoints.reach("crl-signed")
    return _store(sessions, intent, tail_der, at, actor)


def _record_intent(
    sessions: orm.sessionmaker[orm.Session],
    issuing: authority.CertificationAuthority,
    plan: _Plan,
    at: datetime.datetime,
    actor: str,
) -> _Intent:
    scope = plan.scope
    with sessions() as session:
        registry_lock.check_open(session)
        # Read before the entries: every change up to this number is in what is read after it.
        covers = audit.head(session).number
        partitioned = partitions.is_partitioned(session, scope)
        base = _base(session, scope, partitioned) if plan.delta else None
        joined = entries.read(session, scope, since=None if base is None else base.covers)
        this_update, next_update = _times(session, issuing, plan, at)
        names_delta = not (plan.delta or plan.last) and (
            joined.count >= plan.settings.crl_delta_from
        )
        url = plan.settings.crl_url(scope.issuer_name, scope.partition)
        delta_url = plan.settings.crl_url(scope.issuer_name, scope.partition, delta=True)
        header = frame.Header(
            number=published.last_number(session, scope.issuer_name) + 1,
            base_number=None if base is None else base.number,
            this_update=this_update,
            next_update=next_update,
            distribution_point=url if partitioned else None,
            delta_url=delta_url if names_delta else None,
        )
        frame_der = frame.build(issuing, header)
        to_be_signed = frame.join(frame_der, joined)
        lint.check(issuing, header, frame_der, joined, to_be_signed)
        row = tables.CRLRow(
            issuer_name=scope.issuer_name,
            partition=scope.partition,
            number=header.number,
            base_number=header.base_number,
            this_update=header.this_update,
            next_update=header.next_update,
            partitioned=partitioned,
            names_delta=names_delta,
            entries=joined.count,
            covers=covers,
            to_be_signed_size=to_be_signed.size,
            to_be_signed_sha256=to_be_signed.sha256,
            kept=True,
        )
        session.add(row)
        try:
            session.flush()
        except exc.IntegrityError as error:
            raise CRLInProgressError("another process is publishing this CRL") from error
        for position, piece in enumerate(to_be_signed.pieces):
            session.execute(
                sqlalchemy.insert(tables.CRLChunkRow).values(
                    crl_id=row.id, position=position, content=piece
                )
            )
        _audit(session, audit.AuditEvent.CRL_INTENDED, row, at, actor)
        session.commit()
    return _Intent(row.id, header, frame_der, to_be_signed)


def _base(
    session: orm.Session, scope: addresses.Scope, partitioned: bool
) -> published.PublishedCRL:
    """The full list that a delta is applied to: of the same scope (RFC 5280 5.2.4)."""
    base = published.find_newest(session, scope)
    if base is None or base.covers is None or not base.names_delta:
        raise NoBaseError("expected a full list that names its deltas: publish that first")
    if base.partitioned is not partitioned:
        raise NoBaseError("expected a full list of the same scope: publish that first")
    return base


def _times(
    session: orm.Session,
    issuing: authority.CertificationAuthority,
    plan: _Plan,
    at: datetime.datetime,
) -> tuple[datetime.datetime, datetime.datetime]:
    """Return thisUpdate and nextUpdate."""
    this_update = clock.whole_seconds(at)
    before = session.scalars(published.rows_of(plan.scope).limit(1)).first()
    if before is not None:
        this_update = max(this_update, before.this_update)
    if plan.last:
        return this_update, published.NO_END
    # An authority with none above it is a root.
    settings = plan.settings
    validity = settings.crl_validity if issuing.above else settings.root_crl_validity
    next_update = clock.whole_seconds(at) + validity
    if next_update <= this_update:
        raise lint.CRLRefusedError("the clock stands before the last CRL's end: check the clock")
    return this_update, next_update


def _signed_object(intent: _Intent) -> signature.SignedObject:
    """What the signature log is told: as of any CRL, with the digest of the whole."""
    told = authority.signed_object(authority.to_be_signed(intent.frame_der))
    return dataclasses.replace(told, to_be_signed_sha256=intent.to_be_signed.sha256)


def _store(
    sessions: orm.sessionmaker[orm.Session],
    intent: _Intent,
    tail_der: bytes,
    at: datetime.datetime,
    actor: str,
) -> published.PublishedCRL:
    with sessions() as session:
        row = session.get(tables.CRLRow, intent.row_id, with_for_update=True)
        if row is None or intent.to_be_signed.sha256 != row.to_be_signed_sha256:
            raise authority.SignedBytesError("the signed bytes are not the recorded ones")
        row.tail_der = tail_der
        row.sha256 = _sha256(intent.to_be_signed, tail_der)
        scope = addresses.Scope(row.issuer_name, row.partition)
        if row.base_number is None and row.covers is not None:
            entries.forget_removals(session, scope, row.covers)
        _audit(session, audit.AuditEvent.CRL_PUBLISHED, row, at, actor)
        session.commit()
        made = published.to_published(row)
    log.info(
        "crl_published issuer=%s partition=%d number=%d base=%s entries=%d size=%d",
        made.issuer_name, scope.partition, made.number, made.base_number, made.entries, made.size,
    )  # fmt: skip
    return made


def _sha256(to_be_signed: frame.ToBeSigned, tail_der: bytes) -> str:
    digest = hashlib.sha256(der.encode_header(der.SEQUENCE, to_be_signed.size + len(tail_der)))
    for one in (*to_be_signed.pieces, tail_der):
        digest.update(one)
    return digest.hexdigest()


def _audit(
    session: orm.Session,
    event: audit.AuditEvent,
    row: tables.CRLRow,
    at: datetime.datetime,
    actor: str,
) -> None:
    details: dict[str, str | int | None] = {
        "issuer": row.issuer_name,
        "partition": row.partition,
        "number": row.number,
        "base": row.base_number,
        "to_be_signed_sha256": row.to_be_signed_sha256,
    }
    audit.append(session, event, at, actor=actor, details=details)
