"""Put keys, certificates, PIN and PUK on a blank PIV card.

The keys are made in the card and never leave it. The requests for certificates are signed by the
card itself, which is the proof of possession (RFC 2986). The transport PUK, PIN and management
key are replaced last, so that a personalisation that broke off before that can be begun again; one
that broke off among these three is finished by hand, with the PIN letter, or the card set aside.
"""

import dataclasses
import datetime
import hashlib
import json
import os
import pathlib
import secrets

from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from card_reader import pin as card_pin
from card_reader import piv, piv_session, signing_card, tlv
from pki import certificates, der, durable_files, errors, registration_calls

CARD_LIFETIME = datetime.timedelta(days=5 * 365)
"""What the card says of itself in its CHUID; the certificates end before."""

MAX_CLOCK_DIFFERENCE = datetime.timedelta(minutes=5)
"""The CA certifies after `at` was read, by a clock of its own: a certificate may begin later."""

_SLOTS = (
    (signing_card.Purpose.AUTHENTICATE, piv.KeySlot.AUTHENTICATION),
    (signing_card.Purpose.SIGN, piv.KeySlot.SIGNATURE),
)

_ECDSA_WITH_SHA256 = "1.2.840.10045.4.3.2"
"""RFC 5758 3.2."""

_FASC_N = bytes.fromhex("D4E739DA739CED39CE739D836858210842108421C84210C3EB")
"""The card number of issuers outside the US government: agency code 9999, the GUID counts
(SP 800-73-4 part 1, 3.1.2)."""

_ISSUER_ID = bytes.fromhex("A000000116FF02")
"""The issuer and card technology at the head of a card identifier in the CCC (GSC-IS 2.1)."""


class WrongCertificateError(errors.PeerError):
    """The CA issued a certificate that is not for this card, or not for this purpose."""

    code = "certificate-not-for-card"
    retriable = False


class PinLetter:
    """A new file, readable by its owner alone, that tells a card's holder the PIN and PUK.

    The secrets are in it before the card has them: a card whose PIN nobody knows is waste.
    """

    def __init__(self, path: pathlib.Path) -> None:
        """Make the file, empty.

        Raises:
            StateError: It exists, or cannot be made.
        """
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
        try:
            os.close(os.open(path, flags, 0o600))
        except OSError as error:
            raise errors.StateError(
                f"expected to make a new file {path}: {error.strerror}"
            ) from error
        self._path = path

    def write(self, pin: card_pin.Pin, puk: card_pin.Pin, management_key: bytes) -> None:
        """Write the secrets durably."""
        content = {
            "pin": pin.reveal().decode(),
            "puk": puk.reveal().decode(),
            "management_key": management_key.hex(),
        }
        with self._path.open("w", encoding="utf-8") as file:
            json.dump(content, file, indent=2)
        durable_files.force(self._path)
        durable_files.force(self._path.parent)


def read_management_key(path: pathlib.Path) -> bytes:
    """Read a management key: 64 hex digits, or a PIN letter's JSON.

    Raises:
        InputError: Neither.
    """
    try:
        text = path.read_text(encoding="ascii").strip()
        if text.startswith("{"):
            text = str(json.loads(text)["management_key"])
        key = bytes.fromhex(text)
    except (OSError, ValueError, KeyError, RecursionError) as error:
        raise errors.InputError(f"expected a management key in {path}") from error
    if len(key) != len(piv.TRANSPORT_MANAGEMENT_KEY):
        raise errors.InputError(f"expected a management key of 32 bytes, got {len(key)}")
    return key


@dataclasses.dataclass(frozen=True)
class PersonalisedCard:
    """A card that is ready to be handed over.

    Attributes:
        management_key: For the issuer's records; without it the card's content is final.
    """

    sign: x509.Certificate
    authenticate: x509.Certificate
    pin: card_pin.Pin
    puk: card_pin.Pin
    management_key: bytes = dataclasses.field(repr=False)


def personalise(
    card: piv_session.PivSession,
    ca: registration_calls.RegistrationClient,
    application_id: str,
    at: datetime.datetime,
    *,
    pin: card_pin.Pin | None = None,
    puk: card_pin.Pin | None = None,
    management_key: bytes = piv.TRANSPORT_MANAGEMENT_KEY,
    person_code: str | None = None,
    letter: PinLetter | None = None,
) -> PersonalisedCard:
    """Turn a blank card into the applicant's.

    Args:
        card: A session with the card; it ends up locked when the connection is closed.
        ca: Where certificates come from.
        application_id: An approved application.
        at: The time against which the certificates' validity is checked.
        pin: Random where None, and told in the answer.
        puk: Random where None.
        management_key: The card's present one.
        person_code: Whose certificates they must be; not compared where None.
        letter: Where the secrets are written before the card takes them over.

    Raises:
        ManagementKeyError: The card is not blank.
        WrongCertificateError: The CA answered with another key's or person's certificate.
        RegistrationRefusedError: The CA refused.
        DeviceError: The card failed or was taken out; it can be begun again.
    """
    card.authenticate_manager(management_key)
    issued = {
        purpose: _certify(card, ca, application_id, purpose, slot, at, person_code)
        for purpose, slot in _SLOTS
    }
    card.write_object(piv.CARDHOLDER_ID_OBJECT, _cardholder_id(at))
    card.write_object(piv.CAPABILITY_OBJECT, _capabilities())
    new_pin, new_puk = pin or random_pin(6), puk or random_pin(8)
    new_key = secrets.token_bytes(len(piv.TRANSPORT_MANAGEMENT_KEY))
    if letter is not None:
        letter.write(new_pin, new_puk, new_key)
    with card_pin.Pin(piv.TRANSPORT_PIN) as old_pin, card_pin.Pin(piv.TRANSPORT_PUK) as old_puk:
        card.change(piv.PUK_REFERENCE, old_puk, new_puk)
        try:
            card.change(piv.PIN_REFERENCE, old_pin, new_pin)
        except errors.ImzaError:
            # The PUK is put back, so that the card is in transport state and can be begun again.
            card.change(piv.PUK_REFERENCE, new_puk, old_puk)
            raise
    card.set_management_key(new_key)
    return PersonalisedCard(
        sign=issued[signing_card.Purpose.SIGN],
        authenticate=issued[signing_card.Purpose.AUTHENTICATE],
        pin=new_pin,
        puk=new_puk,
        management_key=new_key,
    )


def random_pin(digits: int) -> card_pin.Pin:
    """Return a PIN of so many random digits."""
    return card_pin.Pin("".join(secrets.choice("0123456789") for _ in range(digits)))


def make_request(
    card: piv_session.PivSession, slot: piv.KeySlot, key: ec.EllipticCurvePublicKey
) -> bytes:
    """Build a PKCS#10 request whose signature the card makes (RFC 2986 4.2).

    The subject is empty: the CA puts in the name that was vetted, never the one that is asked for.
    """
    key_info = key.public_bytes(
        serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    info = der.encode(
        der.SEQUENCE,
        der.encode(der.INTEGER, b"\x00"),
        der.encode(der.SEQUENCE),
        key_info,
        der.encode(0xA0),
    )
    # A blank card still has the transport PIN, which everybody knows: it is no secret here.
    with card_pin.Pin(piv.TRANSPORT_PIN) as transport:
        card.verify(transport)
    value = card.sign(slot, hashlib.sha256(info).digest())
    algorithm = der.encode(der.SEQUENCE, der.encode_oid(_ECDSA_WITH_SHA256))
    return der.encode(der.SEQUENCE, info, algorithm, der.encode(der.BIT_STRING, b"\x00", value))


def _certify(
    card: piv_session.PivSession,
    ca: registration_calls.RegistrationClient,
    application_id: str,
    purpose: signing_card.Purpose,
    slot: piv.KeySlot,
    at: datetime.datetime,
    person_code: str | None,
) -> x509.Certificate:
    key = card.generate_key(slot)
    request = make_request(card, slot, key)
    if not x509.load_der_x509_csr(request).is_signature_valid:
        raise signing_card.WrongSignatureError(
            "the card's signature does not verify with the key it has just made: set it aside"
        )
    issued = ca.certify(application_id, purpose.value, request)
    certificate = certificates.parse(issued.certificate_der)
    _check_certificate(certificate, key, purpose, at, person_code)
    if issued.chain_der:
        certificates.check_issued_by(certificate, certificates.parse(issued.chain_der[0]))
    card.write_certificate(slot, issued.certificate_der)
    return certificate


def _check_certificate(
    certificate: x509.Certificate,
    key: ec.EllipticCurvePublicKey,
    purpose: signing_card.Purpose,
    at: datetime.datetime,
    person_code: str | None,
) -> None:
    facts = certificates.read(certificate)
    if certificate.public_key() != key:
        raise WrongCertificateError("expected a certificate for the card's key, got another key's")
    if facts.is_for_signing is not (purpose is signing_card.Purpose.SIGN):
        raise WrongCertificateError(
            f"expected a certificate to {purpose.value}, got one with another key usage"
        )
    if not facts.not_before - MAX_CLOCK_DIFFERENCE <= at <= facts.not_after:
        raise WrongCertificateError("expected a certificate that is valid now")
    if person_code is not None and facts.person_code != person_code:
        raise WrongCertificateError("expected the applicant's certificate, got another person's")


def _cardholder_id(at: datetime.datetime) -> bytes:
    """The CHUID without a signature (SP 800-73-4 part 1, table 9)."""
    expires = (at + CARD_LIFETIME).strftime("%Y%m%d").encode()
    return (
        tlv.build(0x30, _FASC_N)
        + tlv.build(0x34, secrets.token_bytes(16))
        + tlv.build(0x35, expires)
        + tlv.build(0x3E, b"")
        + tlv.build(0xFE, b"")
    )


def _capabilities() -> bytes:
    """The CCC, of which only the card identifier says anything (SP 800-73-4 part 1, table 8)."""
    fields = [
        (0xF0, _ISSUER_ID + secrets.token_bytes(14)),
        (0xF1, b"\x21"),
        (0xF2, b"\x21"),
        (0xF3, b""),
        (0xF4, b"\x00"),
        (0xF5, b"\x10"),
        *((tag, b"") for tag in (0xF6, 0xF7, 0xFA, 0xFB, 0xFC, 0xFD, 0xFE)),
    ]
    return b"".join(tlv.build(tag, value) for tag, value in fields)
