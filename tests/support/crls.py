"""Publishing an authority's lists and reading back what the world gets."""

import datetime

import sqlalchemy
from cryptography import x509
from sqlalchemy import orm

from ca import authority
from ca.crls import addresses, publication, published, tables
from pki import audit, clock, registry
from tests.support import ca_world, hierarchy


def publish(
    world: ca_world.World,
    at: datetime.datetime | None = None,
    *,
    name: str = "citizen",
    partition: int = 0,
    delta: bool = False,
) -> published.PublishedCRL:
    """Sign and store the next list of an authority's partition."""
    return publication.publish(
        world.sessions,
        world.hierarchy.authorities[name],
        world.settings,
        at or world.at,
        actor="test",
        partition=partition,
        delta=delta,
    )


def publish_der(
    world: ca_world.World, at: datetime.datetime | None = None, *, name: str = "citizen"
) -> bytes:
    """Sign and store the next full list, and return its bytes."""
    made = publish(world, at, name=name)
    with world.sessions() as session:
        return published.content(session, made)


def newest(
    session: orm.Session, name: str, partition: int = 0, *, delta: bool = False
) -> published.PublishedCRL:
    """The newest list of an authority's partition."""
    return published.newest(session, addresses.Scope(name, partition), delta=delta)


def newest_der(
    session: orm.Session, name: str, partition: int = 0, *, delta: bool = False
) -> bytes:
    """The bytes of the newest list."""
    return published.content(session, newest(session, name, partition, delta=delta))


def make_authority(name: str, at: datetime.datetime) -> authority.CertificationAuthority:
    """An authority with a key in memory, that no registry knows."""
    made = hierarchy.make_hierarchy(at)
    certificate = made.issuing.certificate
    issuer = authority.Issuer(
        name, certificate.subject, made.issuing.handle, certificate.not_valid_after_utc
    )
    return authority.CertificationAuthority(issuer, certificate, (made.root.certificate,))


def add_certificate(
    session: orm.Session, name: str, serial_number: int, at: datetime.datetime, partition: int = 0
) -> None:
    """A row of the registry as of a certificate that was issued; its bytes are nobody's."""
    details = {"issuer": name, "serial_number": registry.serial_key(serial_number)}
    head = audit.append(
        session, audit.AuditEvent.CERTIFICATE_ISSUED, at, actor="test", details=details
    )
    session.add(
        registry.CertificateRow(
            issuer_name=name,
            serial_number=registry.serial_key(serial_number),
            state=registry.CertificateState.ISSUED.value,
            profile="sign",
            key_sha256=f"{serial_number:064x}",
            subject="CN=TEST",
            not_before=at,
            not_after=at + datetime.timedelta(days=365),
            to_be_signed_der=b"",
            recorded_at=at,
            crl_partition=partition,
            changed=head.number,
        )
    )
    session.flush()


Said = tuple[datetime.datetime, str | None, datetime.datetime | None]
"""When, why, and since when, as an entry says it."""


def said_by(crl_der: bytes) -> dict[int, Said]:
    """Every entry of a list, by serial number."""
    found: dict[int, Said] = {}
    for entry in x509.load_der_x509_crl(crl_der):
        reason = invalid = None
        for one in entry.extensions:
            if isinstance(one.value, x509.CRLReason):
                reason = one.value.reason.value
            elif isinstance(one.value, x509.InvalidityDate):
                invalid = one.value.invalidity_date_utc
        assert entry.serial_number not in found
        found[entry.serial_number] = (entry.revocation_date_utc, reason, invalid)
    return found


def apply_delta(base: dict[int, Said], delta: dict[int, Said]) -> dict[int, Said]:
    """What a relying party knows that puts a delta on a base (RFC 5280 5.2.4)."""
    result = dict(base)
    for serial_number, said in delta.items():
        if said[1] == "removeFromCRL":
            result.pop(serial_number, None)
        else:
            result[serial_number] = said
    return result


def said_by_registry(session: orm.Session, scope: addresses.Scope) -> dict[int, Said]:
    """What lists have to say, from the registry alone."""
    rows = session.scalars(
        sqlalchemy.select(registry.CertificateRow).where(
            registry.CertificateRow.issuer_name == scope.issuer_name,
            registry.CertificateRow.crl_partition == scope.partition,
            registry.CertificateRow.revoked_at.is_not(None),
        )
    )
    return {
        int(row.serial_number, 16): (
            clock.whole_seconds(row.revoked_at),
            None if row.reason == "unspecified" else row.reason,
            row.invalidity_date,
        )
        for row in rows
        if row.revoked_at is not None
    }


def to_be_signed(session: orm.Session, *, unsigned: bool = False) -> list[bytes]:
    """The recorded to-be-signed bytes of every list, or of those that are not signed yet."""
    query = sqlalchemy.select(tables.CRLRow.id)
    if unsigned:
        query = query.where(tables.CRLRow.tail_der.is_(None))
    chunk = tables.CRLChunkRow
    return [
        b"".join(
            session.scalars(
                sqlalchemy.select(chunk.content).where(chunk.crl_id == one).order_by(chunk.position)
            )
        )
        for one in session.scalars(query).all()
    ]
