"""The certificate registry: who issues, what was issued, what was revoked, when and why.

`ca` writes it, `ocsp` reads it. A certificate has a row before its issuer signs it, so that no
certificate can exist that the registry does not know.
"""

import dataclasses
import datetime
import enum
import hashlib
from collections.abc import Collection, Mapping

import sqlalchemy
from cryptography import x509
from sqlalchemy import orm

from pki import certificates, database, errors, status

SERIAL_DIGITS = 40
"""Serial numbers are stored as hex of fixed length: 20 octets at most (RFC 5280 4.1.2.2)."""

PAGE_SIZE = 100
"""How many certificates one page of a list holds."""


class CertificateNotFoundError(errors.NotFoundError):
    """The registry has no such certificate."""

    code = "certificate-not-found"


class CertificateState(enum.Enum):
    """How far a certificate came.

    `INTENDED`: its to-be-signed bytes are recorded; nobody was given it and it may not exist.
    `ISSUED`: it exists and was stored. `ABANDONED`: it may exist, was never handed out, and is
    revoked.
    """

    INTENDED = "intended"
    ISSUED = "issued"
    ABANDONED = "abandoned"


class IssuerRow(database.Base):
    """An authority whose certificates are in the registry."""

    __tablename__ = "issuers"

    name: orm.Mapped[str] = orm.mapped_column(sqlalchemy.String(64), primary_key=True)
    certificate_der: orm.Mapped[bytes] = orm.mapped_column(sqlalchemy.LargeBinary)
    issuer_name: orm.Mapped[str] = orm.mapped_column(sqlalchemy.String(64))
    key_label: orm.Mapped[str] = orm.mapped_column(sqlalchemy.String(64))


class CertificateRow(database.Base):
    """One serial number of one issuer."""

    __tablename__ = "certificates"
    __table_args__ = (
        sqlalchemy.UniqueConstraint("issuer_name", "serial_number", name="uq_certificates_serial"),
        sqlalchemy.Index("ix_certificates_crl_partition", "issuer_name", "crl_partition"),
        # Whatever a responder has to know of a certificate, in the order of the changes: it reads
        # the index alone, never the rows with the certificates' bytes.
        sqlalchemy.Index(
            "ix_certificates_changed",
            "changed",
            "issuer_name",
            "serial_number",
            "revoked_at",
            "reason",
            "invalidity_date",
            sqlite_where=sqlalchemy.text("changed IS NOT NULL"),
            postgresql_where=sqlalchemy.text("changed IS NOT NULL"),
        ),
        # The few certificates of our own services.
        sqlalchemy.Index(
            "ix_certificates_services",
            "profile",
            sqlite_where=sqlalchemy.text("key_label IS NOT NULL"),
            postgresql_where=sqlalchemy.text("key_label IS NOT NULL"),
        ),
    )

    id: orm.Mapped[int] = orm.mapped_column(primary_key=True)
    issuer_name: orm.Mapped[str] = orm.mapped_column(sqlalchemy.String(64))
    serial_number: orm.Mapped[str] = orm.mapped_column(sqlalchemy.String(SERIAL_DIGITS), index=True)
    state: orm.Mapped[str] = orm.mapped_column(sqlalchemy.String(16), index=True)
    profile: orm.Mapped[str] = orm.mapped_column(sqlalchemy.String(32))
    # What the certificate was asked for by; None once abandoned, so that the same may be asked
    # again, and unique, so that it is never answered twice.
    request_key: orm.Mapped[str | None] = orm.mapped_column(sqlalchemy.String(128), unique=True)
    key_sha256: orm.Mapped[str] = orm.mapped_column(sqlalchemy.String(64), index=True)
    key_label: orm.Mapped[str | None] = orm.mapped_column(sqlalchemy.String(64))
    subject: orm.Mapped[str] = orm.mapped_column(sqlalchemy.Text)
    person_identifier: orm.Mapped[str | None] = orm.mapped_column(sqlalchemy.String(80), index=True)
    organisation_identifier: orm.Mapped[str | None] = orm.mapped_column(
        sqlalchemy.String(80), index=True
    )
    not_before: orm.Mapped[datetime.datetime] = orm.mapped_column(database.UtcDateTime)
    not_after: orm.Mapped[datetime.datetime] = orm.mapped_column(database.UtcDateTime, index=True)
    to_be_signed_der: orm.Mapped[bytes] = orm.mapped_column(sqlalchemy.LargeBinary)
    certificate_der: orm.Mapped[bytes | None] = orm.mapped_column(sqlalchemy.LargeBinary)
    recorded_at: orm.Mapped[datetime.datetime] = orm.mapped_column(database.UtcDateTime)
    issued_at: orm.Mapped[datetime.datetime | None] = orm.mapped_column(database.UtcDateTime)
    revoked_at: orm.Mapped[datetime.datetime | None] = orm.mapped_column(database.UtcDateTime)
    reason: orm.Mapped[str | None] = orm.mapped_column(sqlalchemy.String(32))
    invalidity_date: orm.Mapped[datetime.datetime | None] = orm.mapped_column(database.UtcDateTime)
    # Which of the issuer's revocation lists tells of it; 0 is the one without a partition.
    crl_partition: orm.Mapped[int] = orm.mapped_column(default=0, server_default="0")
    # The number of the audit log's entry about the last change of its status: issued, abandoned,
    # held, released, revoked. None while it is intended, and unknown to responders. The log's head
    # is locked from the number until the commit, so that changes become visible in this order and
    # whoever has read up to a number has missed nothing below it.
    changed: orm.Mapped[int | None] = orm.mapped_column()


@dataclasses.dataclass(frozen=True)
class IssuerRecord:
    """An authority: its short name, its certificate, and who certified it.

    `issuer_name` of a root is its own name.
    """

    name: str
    certificate: x509.Certificate
    issuer_name: str
    key_label: str

    def name_hash(self, algorithm: str) -> bytes:
        """The hash of its DER subject name, as OCSP identifies issuers (RFC 6960 4.1.1)."""
        # SHA-1 here is an index that requesters choose; nothing relies on its strength.
        data = self.certificate.subject.public_bytes()
        return hashlib.new(algorithm, data, usedforsecurity=False).digest()

    def key_hash(self, algorithm: str) -> bytes:
        """The hash of its public key's BIT STRING content (RFC 6960 4.1.1)."""
        key = certificates.to_asn1(self.certificate).public_key["public_key"]
        data = key.contents[1:]  # without the count of unused bits
        return hashlib.new(algorithm, data, usedforsecurity=False).digest()


@dataclasses.dataclass(frozen=True)
class CertificateRecord:
    """One certificate of the registry."""

    id: int
    issuer_name: str
    serial_number: int
    state: CertificateState
    profile: str
    subject: str
    person_identifier: str | None
    organisation_identifier: str | None
    not_before: datetime.datetime
    not_after: datetime.datetime
    key_label: str | None
    certificate_der: bytes | None
    status: status.CertificateStatus
    crl_partition: int = 0

    @property
    def certificate(self) -> x509.Certificate:
        """The certificate of an entry that says it was issued.

        Raises:
            TamperedError: Its bytes are not there.
        """
        if self.certificate_der is None:
            raise errors.TamperedError("expected the bytes of a certificate that was issued")
        return certificates.parse(self.certificate_der)


@dataclasses.dataclass(frozen=True)
class CertificatePage:
    """A part of a list, and where the next one starts (None: this was the last)."""

    certificates: tuple[CertificateRecord, ...]
    next_cursor: int | None


def serial_key(serial_number: int) -> str:
    """A serial number as the registry stores it."""
    return f"{serial_number:0{SERIAL_DIGITS}x}"


def issuers(session: orm.Session) -> tuple[IssuerRecord, ...]:
    """All authorities, sorted by name."""
    rows = session.scalars(sqlalchemy.select(IssuerRow).order_by(IssuerRow.name))
    return tuple(
        IssuerRecord(
            row.name, certificates.parse(row.certificate_der), row.issuer_name, row.key_label
        )
        for row in rows
    )


def add_issuer(session: orm.Session, issuer: IssuerRecord) -> None:
    """Record an authority; one that is recorded already stays as it is."""
    if session.get(IssuerRow, issuer.name) is None:
        session.add(
            IssuerRow(
                name=issuer.name,
                certificate_der=certificates.to_der(issuer.certificate),
                issuer_name=issuer.issuer_name,
                key_label=issuer.key_label,
            )
        )


def status_of(
    session: orm.Session, issuer_name: str, serial_number: int
) -> status.CertificateStatus | None:
    """Return the status of one certificate; None where the issuer never issued it."""
    return statuses_of(session, issuer_name, (serial_number,)).get(serial_number)


def statuses_of(
    session: orm.Session, issuer_name: str, serial_numbers: Collection[int]
) -> Mapping[int, status.CertificateStatus]:
    """Return the statuses of several certificates of one issuer; a missing key: never issued.

    A certificate whose signature is only intended is not issued; an abandoned one is revoked,
    because its signature may exist.
    """
    by_key = {serial_key(one): one for one in serial_numbers if 0 < one < 1 << 160}
    rows = session.execute(
        sqlalchemy.select(
            CertificateRow.serial_number,
            CertificateRow.revoked_at,
            CertificateRow.reason,
            CertificateRow.invalidity_date,
        ).where(
            CertificateRow.issuer_name == issuer_name,
            CertificateRow.serial_number.in_(by_key),
            CertificateRow.state != CertificateState.INTENDED.value,
        )
    )
    return {
        by_key[key]: _status(revoked_at, reason, invalidity_date)
        for key, revoked_at, reason, invalidity_date in rows
    }


def revoked(session: orm.Session, issuer_name: str) -> Mapping[int, status.CertificateStatus]:
    """Every certificate of an issuer that is revoked or on hold, by serial number."""
    rows = session.execute(
        sqlalchemy.select(
            CertificateRow.serial_number,
            CertificateRow.revoked_at,
            CertificateRow.reason,
            CertificateRow.invalidity_date,
        )
        .where(
            CertificateRow.issuer_name == issuer_name,
            CertificateRow.revoked_at.is_not(None),
        )
        .order_by(CertificateRow.serial_number)
    )
    return {
        int(key, 16): _status(revoked_at, reason, invalidity_date)
        for key, revoked_at, reason, invalidity_date in rows
    }


def find_row(session: orm.Session, serial_number: int, *, lock: bool = False) -> CertificateRow:
    """Return the row of a serial number, whoever issued it.

    Serials are 128 random bits, so two issuers never share one; if they did, nobody could say
    which certificate is meant, and the call is refused.

    Raises:
        CertificateNotFoundError: None, or more than one.
    """
    query = sqlalchemy.select(CertificateRow).where(
        CertificateRow.serial_number == serial_key(serial_number)
    )
    rows = session.scalars(query.with_for_update() if lock else query).all()
    if len(rows) != 1:
        raise CertificateNotFoundError(
            "expected the serial number of one certificate of this installation,"
            f" got one of {len(rows)}"
        )
    return rows[0]


def find(session: orm.Session, serial_number: int) -> CertificateRecord:
    """Return the record of a serial number; raises as `find_row` does."""
    return to_record(find_row(session, serial_number))


def find_issued(session: orm.Session, certificate_der: bytes) -> CertificateRecord | None:
    """Return the record of exactly this certificate, or None."""
    serial_number = certificates.parse(certificate_der).serial_number
    rows = session.scalars(
        sqlalchemy.select(CertificateRow).where(
            CertificateRow.serial_number == serial_key(serial_number)
        )
    )
    return next((to_record(row) for row in rows if row.certificate_der == certificate_der), None)


def current_certificate(
    session: orm.Session,
    profile: str,
    at: datetime.datetime,
    *,
    issuer_name: str | None = None,
    key_label: str | None = None,
) -> CertificateRecord | None:
    """Return the newest good certificate of a service: a responder's or a time-stamping unit's."""
    query = sqlalchemy.select(CertificateRow).where(
        CertificateRow.profile == profile,
        CertificateRow.state == CertificateState.ISSUED.value,
        CertificateRow.revoked_at.is_(None),
        CertificateRow.not_before <= at,
        CertificateRow.not_after >= at,
    )
    if issuer_name is not None:
        query = query.where(CertificateRow.issuer_name == issuer_name)
    if key_label is not None:
        query = query.where(CertificateRow.key_label == key_label)
    row = session.scalars(
        query.order_by(CertificateRow.not_after.desc(), CertificateRow.id.desc()).limit(1)
    ).first()
    return None if row is None else to_record(row)


def certificates_of(
    session: orm.Session,
    *,
    person_code: str | None = None,
    after: int = 0,
    limit: int = PAGE_SIZE,
) -> CertificatePage:
    """Return a page of the certificates that were issued, oldest first.

    Args:
        session: The database.
        person_code: Only of people with this number, whatever their country.
        after: The cursor of the page before.
        limit: How many at most.
    """
    query = sqlalchemy.select(CertificateRow).where(
        CertificateRow.state == CertificateState.ISSUED.value, CertificateRow.id > after
    )
    if person_code is not None:
        query = query.where(
            CertificateRow.person_identifier.endswith(f"-{person_code}", autoescape=True)
        )
    rows = session.scalars(query.order_by(CertificateRow.id).limit(limit + 1)).all()
    page = rows[:limit]
    return CertificatePage(
        tuple(to_record(row) for row in page), page[-1].id if len(rows) > limit else None
    )


def to_record(row: CertificateRow) -> CertificateRecord:
    """The row as a value."""
    return CertificateRecord(
        id=row.id,
        issuer_name=row.issuer_name,
        serial_number=int(row.serial_number, 16),
        state=CertificateState(row.state),
        profile=row.profile,
        subject=row.subject,
        person_identifier=row.person_identifier,
        organisation_identifier=row.organisation_identifier,
        not_before=row.not_before,
        not_after=row.not_after,
        key_label=row.key_label,
        certificate_der=row.certificate_der,
        status=_status(row.revoked_at, row.reason, row.invalidity_date),
        crl_partition=row.crl_partition,
    )


def _status(
    revoked_at: datetime.datetime | None,
    reason: str | None,
    invalidity_date: datetime.datetime | None,
) -> status.CertificateStatus:
    if revoked_at is None:
        return status.CertificateStatus()
    return status.CertificateStatus(
        revoked_at,
        status.RevocationReason.from_name(reason or status.RevocationReason.unspecified.name),
        invalidity_date,
    )
