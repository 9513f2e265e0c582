"""Build, sign and publish certificate revocation lists (RFC 5280 5).

As with certificates the intent comes first: number and to-be-signed bytes are recorded, then the
key signs exactly these.
"""

import dataclasses
import datetime
import hashlib
import logging
from collections.abc import Iterable, Mapping

import sqlalchemy
from cryptography import x509
from cryptography.hazmat.primitives import serialization
from sqlalchemy import exc, orm

from ca import authority, peer_lint, tables, throwaway
from pki import audit, clock, der, errors, oids, registry, registry_lock, status

log = logging.getLogger(__name__)


NO_END = datetime.datetime(9999, 12, 31, 23, 59, 59, tzinfo=datetime.UTC)
"""The nextUpdate of an authority's last CRL: 99991231235959Z, a time that never comes (RFC 5280
4.1.2.5 writes a validity without an end so)."""


class CRLNotFoundError(errors.NotFoundError):
    """The authority has published no CRL."""

    code = "crl-not-found"


class CRLRefusedError(errors.StateError):
    """A CRL would break a rule; nothing was signed."""

    code = "crl-refused"


class CRLInProgressError(errors.StateError):
    """Another process took the next number."""

    code = "crl-in-progress"
    retriable = True


@dataclasses.dataclass(frozen=True)
class PublishedCRL:
    """A CRL as the world gets it."""

    issuer_name: str
    number: int
    this_update: datetime.datetime
    next_update: datetime.datetime
    crl_der: bytes


def publish(
    sessions: orm.sessionmaker[orm.Session],
    issuing: authority.CertificationAuthority,
    validity: datetime.timedelta,
    at: datetime.datetime,
    *,
    actor: str,
) -> PublishedCRL:
    """Sign and store the next CRL of an authority.

    Its number is one more than any before, and its thisUpdate is never before the last one's,
    whatever the clock did (RFC 5280 5.2.3).

    Raises:
        CRLRefusedError: The clock is so far back that the list would end before it begins.
        CRLInProgressError: Another process is publishing.
        RegistryLockedError: The registry was restored and is not reconciled yet.
        DeviceError: The key store failed; the number stays unused.
    """
    with sessions() as session:
        registry_lock.check_open(session)
        last = session.scalars(_rows(issuing.name).limit(1)).first()
        number = 1 if last is None else last.number + 1
        this_update = clock.whole_seconds(at)
        if last is not None:
            this_update = max(this_update, last.this_update)
        next_update = clock.whole_seconds(at) + validity
        if next_update <= this_update:
            raise CRLRefusedError("the clock stands before the last CRL's end: check the clock")
        entries = registry.revoked(session, issuing.name)
        twin_der = build_twin(issuing, entries, number, this_update, next_update)
        if findings := peer_lint.crl_findings(twin_der):
            raise CRLRefusedError(f"the CRL would break RFC 5280: {', '.join(findings)}")
        to_be_signed = authority.to_be_signed(twin_der)
        row = tables.CRLRow(
            issuer_name=issuing.name,
            number=number,
            this_update=this_update,
            next_update=next_update,
            to_be_signed_sha256=hashlib.sha256(to_be_signed).hexdigest(),
            to_be_signed_der=to_be_signed,
        )
        session.add(row)
        try:
            session.flush()
        except exc.IntegrityError as error:
            raise CRLInProgressError("another process is publishing this CRL") from error
        _audit(session, audit.AuditEvent.CRL_INTENDED, row, at, actor)
        session.commit()
    crl_der = authority.sign_like(twin_der, issuing.issuer.key)
    with sessions() as session:
        stored = session.get(tables.CRLRow, row.id, with_for_update=True)
        if stored is None or authority.to_be_signed(crl_der) != stored.to_be_signed_der:
            raise authority.SignedBytesError("the signed bytes are not the recorded ones")
        stored.crl_der = crl_der
        _audit(session, audit.AuditEvent.CRL_PUBLISHED, stored, at, actor)
        session.commit()
    log.info("crl_published issuer=%s number=%d entries=%d", issuing.name, number, len(entries))
    return PublishedCRL(issuing.name, number, this_update, next_update, crl_der)


def publish_due(
    sessions: orm.sessionmaker[orm.Session],
    authorities: Iterable[tuple[authority.CertificationAuthority, datetime.timedelta]],
    refresh: datetime.timedelta,
    at: datetime.datetime,
    *,
    actor: str,
) -> tuple[PublishedCRL, ...]:
    """Publish where the newest CRL is older than `refresh` or there is none.

    The worker calls this every few minutes, so that OCSP and CRL agree within the hour even
    where publishing after a revocation failed.
    """
    published = []
    for issuing, validity in authorities:
        with sessions() as session:
            last = find_newest(session, issuing.name)
        if last is None or at - last.this_update >= refresh or at >= last.next_update:
            published.append(publish(sessions, issuing, validity, at, actor=actor))
    return tuple(published)


def newest(session: orm.Session, issuer_name: str) -> PublishedCRL:
    """Return the newest CRL of an authority.

    Raises:
        CRLNotFoundError: Unknown authority, or it has published none.
    """
    found = find_newest(session, issuer_name)
    if found is None:
        raise CRLNotFoundError("no CRL of this name is published")
    return found


def find_newest(session: orm.Session, issuer_name: str) -> PublishedCRL | None:
    """Return the newest CRL of an authority, or None."""
    query = _rows(issuer_name).where(tables.CRLRow.crl_der.is_not(None)).limit(1)
    row = session.scalars(query).first()
    if row is None or row.crl_der is None:
        return None
    return PublishedCRL(row.issuer_name, row.number, row.this_update, row.next_update, row.crl_der)


def publish_last(
    sessions: orm.sessionmaker[orm.Session],
    issuing: authority.CertificationAuthority,
    at: datetime.datetime,
    *,
    actor: str,
) -> PublishedCRL:
    """Sign and store an authority's last CRL, or return it where it was published before.

    Raises as `publish` does.
    """
    with sessions() as session:
        newest = find_newest(session, issuing.name)
    if newest is not None and is_last(newest):
        return newest
    return publish(sessions, issuing, NO_END - clock.whole_seconds(at), at, actor=actor)


def is_last(published: PublishedCRL) -> bool:
    """Whether no CRL of its authority follows this one."""
    return published.next_update >= NO_END


def build_twin(
    issuing: authority.CertificationAuthority,
    entries: Mapping[int, status.CertificateStatus],
    number: int,
    this_update: datetime.datetime,
    next_update: datetime.datetime,
) -> bytes:
    """Return the CRL signed by a throw-away key of the authority's kind, in DER."""
    # The list goes to the constructor: adding entries one by one copies it each time.
    builder = x509.CertificateRevocationListBuilder(
        revoked_certificates=[_entry(serial, one) for serial, one in entries.items()]
    )
    since = issuing.certificate.not_valid_before_utc.strftime("%Y%m%d%H%M%SZ").encode("ascii")
    builder = (
        builder.issuer_name(issuing.issuer.subject)
        .last_update(this_update)
        .next_update(next_update)
        .add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_public_key(issuing.issuer.key.public_key),
            False,
        )
        .add_extension(x509.CRLNumber(number), False)
        # X.509 9.5.2.8: entries stay when their certificates expire, so that old signatures can
        # be judged (EN 319 411-2 6.3.10).
        .add_extension(
            x509.UnrecognizedExtension(
                x509.ObjectIdentifier(oids.EXPIRED_CERTS_ON_CRL),
                der.encode(der.GENERALIZED_TIME, since),
            ),
            False,
        )
    )
    kind = issuing.issuer.key_kind
    twin = builder.sign(throwaway.key_like(kind), kind.hash_algorithm.hasher)
    return twin.public_bytes(serialization.Encoding.DER)


def _entry(serial_number: int, one: status.CertificateStatus) -> x509.RevokedCertificate:
    if one.revoked_at is None or one.reason is None:
        raise CRLRefusedError("expected revoked certificates alone in a CRL")
    builder = (
        x509.RevokedCertificateBuilder()
        .serial_number(serial_number)
        .revocation_date(clock.whole_seconds(one.revoked_at))
    )
    # RFC 5280 5.3.1: `unspecified` is said by leaving the extension out.
    if one.reason is not status.RevocationReason.unspecified:
        builder = builder.add_extension(x509.CRLReason(x509.ReasonFlags(one.reason.name)), False)
    if one.invalidity_date is not None:
        builder = builder.add_extension(
            x509.InvalidityDate(clock.whole_seconds(one.invalidity_date)), False
        )
    return builder.build()


def _rows(issuer_name: str) -> sqlalchemy.Select[tables.CRLRow]:
    return (
        sqlalchemy.select(tables.CRLRow)
        .where(tables.CRLRow.issuer_name == issuer_name)
        .order_by(tables.CRLRow.number.desc())
    )


def _audit(
    session: orm.Session,
    event: audit.AuditEvent,
    row: tables.CRLRow,
    at: datetime.datetime,
    actor: str,
) -> None:
    details: dict[str, str | int | None] = {
        "issuer": row.issuer_name,
        "number": row.number,
        "to_be_signed_sha256": row.to_be_signed_sha256,
    }
    audit.append(session, event, at, actor=actor, details=details)
