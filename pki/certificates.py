"""Reading certificates: names, key usage, policies, addresses and qualified statements.

Everything a stranger can put into a certificate is read here and nowhere else, so that a
malformed one always ends as `CertificateError`.
"""

import contextlib
import dataclasses
import datetime
import enum
import functools
import hashlib
from collections.abc import Iterator
from typing import TypedDict, TypeVar

from asn1crypto import x509 as asn1_x509
from cryptography import exceptions, x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa

from pki import algorithms, der, errors, oids, person_codes, qc_statements

MAX_CERTIFICATE_BYTES = 64 * 2**10
"""Certificates have one to three kilobytes; more is no certificate of a person or an authority."""

MAX_SERIAL_DIGITS = 40
"""20 octets at most (RFC 5280 4.1.2.2)."""

ExtensionValue = TypeVar("ExtensionValue", bound=x509.ExtensionType)


class CertificateError(errors.InputError):
    """The bytes are not a certificate that can be read in full."""

    code = "certificate-malformed"


class CertificateSignatureError(errors.InputError):
    """The certificate was not signed by the issuer it was checked against."""

    code = "certificate-signature-invalid"


class KeyUsage(enum.Enum):
    """What a key may do, spelled as RFC 5280 4.2.1.3 spells it; the value is `cryptography`'s."""

    digitalSignature = "digital_signature"
    nonRepudiation = "content_commitment"
    keyEncipherment = "key_encipherment"
    dataEncipherment = "data_encipherment"
    keyAgreement = "key_agreement"
    keyCertSign = "key_cert_sign"
    cRLSign = "crl_sign"


@dataclasses.dataclass(frozen=True)
class CertificateFacts:
    """What a certificate says, as plain values.

    Attributes:
        sha256: Fingerprint of the DER, in hex.
        serial_number: The issuer's number for it.
        subject: The name as text, readable for people (RFC 4514 order, letters kept).
        issuer: The same of the issuer.
        not_before: First moment of validity.
        not_after: Last moment of validity.
        name: What to call the subject on a screen: given name and surname, else its common name,
            else its organisation.
        common_name: Or None.
        surname: Or None.
        given_name: Or None.
        country: The subject's country, or None.
        identifier: The subject's serialNumber, such as `PNOAZ-5AB12CD`, or None.
        person_code: The number inside a `PNO` identifier; the number of a passport or an identity
            card with its kind before it, such as `PAS-U12345678`; or None.
        person_country: The country of that number, or None.
        organisation: The organisation's name, or None.
        organisation_identifier: Such as `NTRAZ-1234567890`, or None.
        title: The person's position in the organisation, or None.
        key_kind: None for a key that this product would not make.
        key_usage: Empty where the extension is absent.
        extended_key_usage: Object identifiers; empty where the extension is absent.
        policies: Object identifiers.
        qualified: The qualified certificate statements; empty where there are none.
        is_authority: Whether it may certify others.
        ocsp_urls: Where to ask for its status.
        ca_issuers_urls: Where its issuer's certificate is.
        crl_urls: Where its issuer's CRL is.
        subject_key_identifier: Or None.
        authority_key_identifier: Or None.
    """

    sha256: str
    serial_number: int
    subject: str
    issuer: str
    not_before: datetime.datetime
    not_after: datetime.datetime
    name: str
    common_name: str | None
    surname: str | None
    given_name: str | None
    country: str | None
    identifier: str | None
    person_code: str | None
    person_country: str | None
    organisation: str | None
    organisation_identifier: str | None
    title: str | None
    key_kind: algorithms.KeyKind | None
    key_usage: frozenset[KeyUsage]
    extended_key_usage: tuple[str, ...]
    policies: tuple[str, ...]
    qualified: qc_statements.QcStatements
    is_authority: bool
    ocsp_urls: tuple[str, ...]
    ca_issuers_urls: tuple[str, ...]
    crl_urls: tuple[str, ...]
    subject_key_identifier: bytes | None
    authority_key_identifier: bytes | None

    @property
    def is_for_signing(self) -> bool:
        """Whether its key makes signatures that bind the person (EN 319 412-2 4.3.2)."""
        return KeyUsage.nonRepudiation in self.key_usage


def parse(certificate_der: bytes) -> x509.Certificate:
    """Read one DER certificate whose every extension can be decoded.

    Raises:
        CertificateError: Not DER, too large, bytes after it, or a part that cannot be decoded.
    """
    return parse_with_facts(certificate_der)[0]


def parse_with_facts(
    certificate_der: bytes, *, alike: CertificateFacts | None = None
) -> tuple[x509.Certificate, CertificateFacts]:
    """Read one DER certificate and what it says; raises as `parse` does.

    Args:
        certificate_der: The certificate.
        alike: What another one says that has all but its number, times, subject, key and subject
            key identifier in common with this one, where the caller has compared their bytes; the
            identifier is the one made of the key. Then only these are decoded.
    """
    if len(certificate_der) > MAX_CERTIFICATE_BYTES:
        raise CertificateError(
            f"expected a certificate of at most {MAX_CERTIFICATE_BYTES} bytes,"
            f" got {len(certificate_der)}"
        )
    try:
        certificate = x509.load_der_x509_certificate(certificate_der)
    except (ValueError, x509.InvalidVersion) as error:
        raise CertificateError("expected a DER certificate, got something else") from error
    if certificate.serial_number <= 0:
        # RFC 5280 4.1.2.2; the library only warns of it.
        raise CertificateError("expected a positive serial number")
    # The library decodes names, keys and extensions only when asked: asking here means that
    # nothing below can fail later.
    facts = read(certificate) if alike is None else _read_alike(certificate, certificate_der, alike)
    if facts.key_kind is None:
        _check_key_encoding(certificate)
    return certificate, facts


def read(certificate: x509.Certificate) -> CertificateFacts:
    """Return what a certificate says; its key alone may be one that cannot be decoded.

    Raises:
        CertificateError: A part of it cannot be decoded.
    """
    with _decoding():
        return _read(certificate)


def _check_key_encoding(certificate: x509.Certificate) -> None:
    """Refuse a key that is malformed; one of a kind that is not known is let through."""
    try:
        certificate.public_key()
    except exceptions.UnsupportedAlgorithm:
        return
    except ValueError as error:
        raise CertificateError("the key in the certificate cannot be decoded") from error


def key_identifier(key_bits: bytes) -> bytes:
    """The identifier of a key (RFC 5280 4.2.1.2, method 1).

    Args:
        key_bits: The content of the BIT STRING subjectPublicKey, with its count of unused bits.
    """
    # An identifier is no protection: SHA-1 is what the method says.
    return hashlib.sha1(key_bits[1:], usedforsecurity=False).digest()


def sha256(certificate: x509.Certificate) -> str:
    """The fingerprint of the DER, in hex."""
    return hashlib.sha256(to_der(certificate)).hexdigest()


def to_der(certificate: x509.Certificate) -> bytes:
    """The DER of a certificate: what is stored and compared."""
    return certificate.public_bytes(serialization.Encoding.DER)


def to_pem(certificate: x509.Certificate) -> str:
    """The PEM text of a certificate."""
    return certificate.public_bytes(serialization.Encoding.PEM).decode("ascii")


def to_asn1(certificate: x509.Certificate) -> asn1_x509.Certificate:
    """The same certificate for what takes asn1crypto's (CMS, pyHanko)."""
    return asn1_x509.Certificate.load(to_der(certificate))


def from_asn1(certificate: asn1_x509.Certificate) -> x509.Certificate:
    """The same certificate as `cryptography` has it; its bytes are checked anew."""
    return parse(certificate.dump())


def public_key(certificate: x509.Certificate) -> algorithms.PublicKey:
    """The key of a certificate, where it is of a kind that is allowed.

    Raises:
        UnsupportedAlgorithmError: Another algorithm, curve or size.
    """
    try:
        key = certificate.public_key()
    except (ValueError, exceptions.UnsupportedAlgorithm) as error:
        raise algorithms.UnsupportedAlgorithmError(
            "expected an EC or RSA public key, got one that cannot be read"
        ) from error
    algorithms.key_kind(key)
    assert isinstance(key, algorithms.PublicKey)  # noqa: S101 - key_kind refused all others
    return key


def key_sha256(public_key: algorithms.PublicKey) -> str:
    """The SHA-256 of a SubjectPublicKeyInfo, in hex: the same key gives the same value."""
    return hashlib.sha256(
        public_key.public_bytes(
            serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
        )
    ).hexdigest()


def serial_text(serial_number: int) -> str:
    """A serial number as hex in lower case with an even number of digits: how the API writes it."""
    text = f"{serial_number:x}"
    return text.zfill(len(text) + len(text) % 2)


def parse_serial(text: str) -> int:
    """Return the serial number that `serial_text` wrote.

    Raises:
        InputError: Not 1 to 40 hex digits, or zero.
    """
    if not 1 <= len(text) <= MAX_SERIAL_DIGITS:
        raise errors.InputError(
            f"expected a serial number of at most {MAX_SERIAL_DIGITS} hex digits"
        )
    try:
        number = int.from_bytes(bytes.fromhex(text.zfill(len(text) + len(text) % 2)), "big")
    except ValueError as error:
        raise errors.InputError("expected a serial number in hex") from error
    if number == 0:
        raise errors.InputError("expected a serial number above zero")
    return number


def name_text(name: x509.Name) -> str:
    """A name for people: most specific part first, letters of every script kept."""
    labels = {
        x509.NameOID.SERIAL_NUMBER: "serialNumber",
        x509.NameOID.SURNAME: "SN",
        x509.NameOID.GIVEN_NAME: "GN",
        x509.NameOID.TITLE: "title",
        x509.NameOID.ORGANIZATION_IDENTIFIER: "organizationIdentifier",
    }
    return name.rfc4514_string(labels)


def check_issued_by(certificate: x509.Certificate, issuer: x509.Certificate) -> None:
    """Check that the issuer's key made the certificate's signature and that the names agree.

    Nothing else of a path is judged here (RFC 5280 6.1 does more).

    Raises:
        CertificateSignatureError: Another name, another key, or an algorithm that is not allowed.
    """
    if certificate.issuer != issuer.subject:
        raise CertificateSignatureError("the certificate names another issuer")
    try:
        key = issuer.public_key()
        hasher = certificate.signature_hash_algorithm
        if hasher is None or hasher.name not in {"sha256", "sha384", "sha512"}:
            raise CertificateSignatureError("expected a signature with SHA-256, -384 or -512")
        signed = certificate.tbs_certificate_bytes
        if isinstance(key, ec.EllipticCurvePublicKey):
            key.verify(certificate.signature, signed, ec.ECDSA(hasher))
        elif isinstance(key, rsa.RSAPublicKey):
            parameters = certificate.signature_algorithm_parameters
            if not isinstance(parameters, padding.PKCS1v15 | padding.PSS):
                raise CertificateSignatureError("expected an RSA signature by an RSA key")
            key.verify(certificate.signature, signed, parameters, hasher)
        else:
            raise CertificateSignatureError("expected an issuer with an EC or RSA key")
    except (exceptions.InvalidSignature, exceptions.UnsupportedAlgorithm, ValueError) as error:
        raise CertificateSignatureError(
            "the certificate's signature does not verify with the issuer's key"
        ) from error


def _read_alike(
    certificate: x509.Certificate, certificate_der: bytes, alike: CertificateFacts
) -> CertificateFacts:
    with _decoding():
        own_key = certificate.public_key()
        return dataclasses.replace(
            alike,
            sha256=hashlib.sha256(certificate_der).hexdigest(),
            serial_number=certificate.serial_number,
            not_before=certificate.not_valid_before_utc,
            not_after=certificate.not_valid_after_utc,
            key_kind=algorithms.key_kind(own_key),
            subject_key_identifier=x509.SubjectKeyIdentifier.from_public_key(own_key).digest,
            **_subject_facts(certificate.subject),
        )


@contextlib.contextmanager
def _decoding() -> Iterator[None]:
    try:
        yield
    except (ValueError, TypeError, exceptions.UnsupportedAlgorithm, x509.DuplicateExtension,
            x509.UnsupportedGeneralNameType, x509.InvalidVersion) as error:  # fmt: skip
        raise CertificateError(
            f"a part of the certificate cannot be decoded ({type(error).__name__})"
        ) from error
    except errors.InputError as error:
        raise CertificateError(f"a part of the certificate cannot be decoded: {error}") from error


def _read(certificate: x509.Certificate) -> CertificateFacts:
    extensions = certificate.extensions
    usage = _find(extensions, x509.KeyUsage)
    extended = _find(extensions, x509.ExtendedKeyUsage)
    policies = _find(extensions, x509.CertificatePolicies)
    constraints = _find(extensions, x509.BasicConstraints)
    access = _find(extensions, x509.AuthorityInformationAccess) or ()
    own_key = _find(extensions, x509.SubjectKeyIdentifier)
    authority_key = _find(extensions, x509.AuthorityKeyIdentifier)
    return CertificateFacts(
        sha256=sha256(certificate),
        serial_number=certificate.serial_number,
        issuer=name_text(certificate.issuer),
        not_before=certificate.not_valid_before_utc,
        not_after=certificate.not_valid_after_utc,
        key_kind=_key_kind(certificate),
        key_usage=_key_usage(usage),
        extended_key_usage=tuple(one.dotted_string for one in extended or ()),
        policies=tuple(one.policy_identifier.dotted_string for one in policies or ()),
        qualified=_qualified(extensions),
        is_authority=constraints is not None and constraints.ca,
        ocsp_urls=tuple(_access_urls(access, oids.AD_OCSP)),
        ca_issuers_urls=tuple(_access_urls(access, oids.AD_CA_ISSUERS)),
        crl_urls=tuple(_crl_urls(_find(extensions, x509.CRLDistributionPoints))),
        subject_key_identifier=own_key.digest if own_key else None,
        authority_key_identifier=authority_key.key_identifier if authority_key else None,
        **_subject_facts(certificate.subject),
    )


class _SubjectFacts(TypedDict):
    """What is read from a subject's name."""

    subject: str
    name: str
    common_name: str | None
    surname: str | None
    given_name: str | None
    country: str | None
    identifier: str | None
    person_code: str | None
    person_country: str | None
    organisation: str | None
    organisation_identifier: str | None
    title: str | None


def _subject_facts(subject: x509.Name) -> _SubjectFacts:
    attributes = _attributes(subject)
    surname, given_name = attributes.get(oids.SURNAME), attributes.get(oids.GIVEN_NAME)
    common_name = attributes.get(oids.COMMON_NAME)
    organisation = attributes.get(oids.ORGANIZATION_NAME)
    identifier = attributes.get(oids.SERIAL_NUMBER)
    person = person_codes.parse_identifier(identifier) if identifier else None
    person_code = person_codes.person_code_of(person) if person is not None else None
    return _SubjectFacts(
        subject=name_text(subject),
        name=_display_name(surname, given_name) or common_name or organisation or "",
        common_name=common_name,
        surname=surname,
        given_name=given_name,
        country=attributes.get(oids.COUNTRY_NAME),
        identifier=identifier,
        person_code=person_code,
        person_country=person.country if person is not None and person_code else None,
        organisation=organisation,
        organisation_identifier=attributes.get(oids.ORGANIZATION_IDENTIFIER),
        title=attributes.get(oids.TITLE),
    )


def _find(extensions: x509.Extensions, kind: type[ExtensionValue]) -> ExtensionValue | None:
    try:
        return extensions.get_extension_for_class(kind).value
    except x509.ExtensionNotFound:
        return None


def _attributes(name: x509.Name) -> dict[str, str]:
    """The attributes of a name by their identifiers; of several of one kind the first."""
    found: dict[str, str] = {}
    for one in name:
        dotted = one.oid.dotted_string
        # A name with two numbers would be whichever person a reader picks.
        if dotted in found and dotted == oids.SERIAL_NUMBER:
            raise ValueError("expected one serialNumber in a name")
        found.setdefault(dotted, str(one.value))
    return found


def _display_name(surname: str | None, given_name: str | None) -> str:
    return " ".join(part for part in (given_name, surname) if part)


def _key_kind(certificate: x509.Certificate) -> algorithms.KeyKind | None:
    try:
        return algorithms.key_kind(certificate.public_key())
    except (algorithms.UnsupportedAlgorithmError, exceptions.UnsupportedAlgorithm, ValueError):
        return None


def _key_usage(usage: x509.KeyUsage | None) -> frozenset[KeyUsage]:
    if usage is None:
        return frozenset()
    return frozenset(one for one in KeyUsage if getattr(usage, one.value))


def _qualified(extensions: x509.Extensions) -> qc_statements.QcStatements:
    try:
        value = extensions.get_extension_for_oid(x509.ObjectIdentifier(oids.QC_STATEMENTS)).value
    except x509.ExtensionNotFound:
        return qc_statements.QcStatements()
    if not isinstance(value, x509.UnrecognizedExtension):
        raise TypeError("expected the raw value of the QCStatements extension")
    try:
        return _statements(value.value)
    except der.DERError:
        # Others' certificates have malformed statements; such a one states nothing that counts.
        return qc_statements.QcStatements(readable=False)


@functools.lru_cache(maxsize=64)
def _statements(value: bytes) -> qc_statements.QcStatements:
    """What an authority's certificates state is the same in most of them."""
    return qc_statements.parse(value)


def _access_urls(access: x509.AuthorityInformationAccess | tuple[()], method: str) -> Iterator[str]:
    for one in access:
        if one.access_method.dotted_string == method and isinstance(
            one.access_location, x509.UniformResourceIdentifier
        ):
            yield one.access_location.value


def _crl_urls(points: x509.CRLDistributionPoints | None) -> Iterator[str]:
    for point in points or ():
        for name in point.full_name or ():
            if isinstance(name, x509.UniformResourceIdentifier):
                yield name.value
