"""Subscribers of the gateway: phone number, certificates and the SIM's own access secret."""

import datetime
import enum
import hashlib
import secrets
import uuid

import sqlalchemy
from cryptography import x509
from sqlalchemy import orm

from mobile_id import addressee, results
from pki import access, algorithms, database, errors, person_codes


class SubscriberExistsError(errors.StateError):
    """The phone number has a subscriber already."""

    code = "subscriber-exists"


class SubscriberNotFoundError(errors.NotFoundError):
    """No such subscriber."""

    code = "subscriber-not-found"


class DeviceSecretError(access.InvalidTokenError):
    """The phone did not show the secret that it was given."""

    code = "device-secret-wrong"


class SubscriberState(enum.Enum):
    """Whether requests reach the subscriber."""

    ACTIVE = "active"
    SUSPENDED = "suspended"


class SubscriberRow(database.Base):
    """A subscriber; PINs are unknown here, they never leave the phone."""

    __tablename__ = "mobile_subscribers"

    id: orm.Mapped[str] = orm.mapped_column(sqlalchemy.String(36), primary_key=True)
    phone_number: orm.Mapped[str] = orm.mapped_column(sqlalchemy.String(31), unique=True)
    country: orm.Mapped[str] = orm.mapped_column(sqlalchemy.String(2))
    person_code: orm.Mapped[str] = orm.mapped_column(sqlalchemy.String(32))
    iccid: orm.Mapped[str] = orm.mapped_column(sqlalchemy.String(22), unique=True)
    authentication_certificate: orm.Mapped[bytes] = orm.mapped_column(sqlalchemy.LargeBinary)
    signing_certificate: orm.Mapped[bytes] = orm.mapped_column(sqlalchemy.LargeBinary)
    device_secret_hash: orm.Mapped[str] = orm.mapped_column(sqlalchemy.String(64), unique=True)
    state: orm.Mapped[str] = orm.mapped_column(sqlalchemy.String(16))
    created_at: orm.Mapped[datetime.datetime] = orm.mapped_column(database.UtcDateTime)

    def certificate_der(self, operation: results.Operation) -> bytes:
        """The certificate of the key that an operation uses."""
        if operation is results.Operation.AUTHENTICATION:
            return self.authentication_certificate
        return self.signing_certificate

    def is_active(self, operation: results.Operation, at: datetime.datetime) -> bool:
        """Whether the subscriber can be asked: not suspended, and the certificate is in time."""
        if self.state != SubscriberState.ACTIVE.value:
            return False
        certificate = x509.load_der_x509_certificate(self.certificate_der(operation))
        return certificate.not_valid_before_utc <= at <= certificate.not_valid_after_utc


def new_device_secret() -> str:
    """Return an unpredictable secret for one SIM; the database keeps its hash alone."""
    return secrets.token_urlsafe(32)


def hash_device_secret(secret: str) -> str:
    """The hash that is stored; 256 random bits need no salt and no slow hash."""
    return hashlib.sha256(secret.encode()).hexdigest()


def check_number(country: str, person_code: str) -> None:
    """Check that a relying party could ask for a person: by a national number.

    Raises:
        PersonCodeError: The person has none here, or another shape.
    """
    person_codes.rules(country)
    person_codes.check_person_code(country, person_code)


def record(
    session: orm.Session,
    who: addressee.Addressee,
    *,
    country: str,
    iccid: str,
    authentication_certificate: bytes,
    signing_certificate: bytes,
    device_secret: str,
    at: datetime.datetime,
) -> SubscriberRow:
    """Record a subscriber; the caller commits.

    Raises:
        SubscriberExistsError: The phone number has one already.
        InputError: The phone number, the person code or a certificate is wrong.
    """
    addressee.check_phone_number(who.phone_number)
    check_number(country, who.person_code)
    if by_phone_number(session, who.phone_number) is not None:
        raise SubscriberExistsError("the phone number has a subscriber already")
    for der in (authentication_certificate, signing_certificate):
        algorithms.key_kind(_parse(der).public_key())
    row = SubscriberRow(
        id=str(uuid.uuid4()),
        phone_number=who.phone_number,
        country=country,
        person_code=who.person_code,
        iccid=iccid,
        authentication_certificate=authentication_certificate,
        signing_certificate=signing_certificate,
        device_secret_hash=hash_device_secret(device_secret),
        state=SubscriberState.ACTIVE.value,
        created_at=at,
    )
    session.add(row)
    session.flush()
    return row


def by_phone_number(session: orm.Session, phone_number: str) -> SubscriberRow | None:
    """The subscriber of a phone number."""
    return session.scalar(
        sqlalchemy.select(SubscriberRow).where(SubscriberRow.phone_number == phone_number)
    )


def by_addressee(session: orm.Session, who: addressee.Addressee) -> SubscriberRow | None:
    """The subscriber whose number and person code both match.

    One without the other is nobody, so that a stranger's number cannot be probed for a name.
    """
    row = by_phone_number(session, who.phone_number)
    return row if row is not None and row.person_code == who.person_code else None


def by_device_secret(session: orm.Session, secret: str | None) -> SubscriberRow:
    """The subscriber whose SIM was given `secret`.

    Raises:
        DeviceSecretError: No SIM was.
    """
    row = None
    if secret:
        row = session.scalar(
            sqlalchemy.select(SubscriberRow).where(
                SubscriberRow.device_secret_hash == hash_device_secret(secret)
            )
        )
    if row is None:
        raise DeviceSecretError("expected the secret that the SIM was given")
    return row


def set_state(session: orm.Session, phone_number: str, state: SubscriberState) -> SubscriberRow:
    """Suspend a subscriber or end the suspension; the caller commits.

    Raises:
        SubscriberNotFoundError: The phone number has none.
    """
    row = by_phone_number(session, phone_number)
    if row is None:
        raise SubscriberNotFoundError("the phone number has no subscriber")
    row.state = state.value
    return row


def _parse(der: bytes) -> x509.Certificate:
    try:
        return x509.load_der_x509_certificate(der)
    except ValueError as error:
        raise errors.InputError("expected a certificate in DER") from error
