"""The bodies that ask for something: CRMF (RFC 4211), rr, certConf and genm (RFC 9810 5.3)."""

import dataclasses
import datetime

from cryptography import exceptions
from cryptography.hazmat.primitives import serialization

from ca import csr
from ca.enrolment import messages, protection
from pki import algorithms, der, der_types, status

CERT_REQ_ID = 0
"""Of the one request in a message (RFC 9483 4.1.1)."""

P10_CERT_REQ_ID = -1
"""PKCS#10 has no place for a number (RFC 9810 5.3.4)."""

MAX_INFO_TYPES = 16

_OLD_CERT_ID = "1.3.6.1.5.5.7.5.1.5"
_REASON_CODE = "2.5.29.21"
_INVALIDITY_DATE = "2.5.29.24"
_REMOVE_FROM_CRL = 8

_ENUMERATED = 0x0A
_EXTENSIONS = 0xA9


@dataclasses.dataclass(frozen=True)
class CertId:
    """A certificate by its issuer's name in DER and its serial number (RFC 4211 6.5)."""

    issuer: bytes
    serial_number: int


@dataclasses.dataclass(frozen=True)
class KeyRequest:
    """A request for a certificate, its proof of possession checked.

    Attributes:
        cert_req_id: Its number.
        public_key: What is to be certified.
        subject: The name asked for in DER, or None.
        asks_for_more: It asks for a validity, extensions or controls, which the profile decides.
        old_certificate: Which certificate it updates, where it says so.
    """

    cert_req_id: int
    public_key: algorithms.PublicKey
    subject: bytes | None
    asks_for_more: bool
    old_certificate: CertId | None = None


@dataclasses.dataclass(frozen=True)
class RevocationRequest:
    """What an rr asks for."""

    certificate: CertId
    reason: status.RevocationReason
    invalidity_date: datetime.datetime | None


@dataclasses.dataclass(frozen=True)
class Confirmation:
    """What a certConf says of the one certificate; `accepted` with a hash, or rejected."""

    cert_req_id: int
    cert_hash: bytes
    hash_algorithm: algorithms.HashAlgorithm | None
    accepted: bool


@dataclasses.dataclass(frozen=True)
class InfoTypeAndValue:
    """A question of a genm; the value is DER or None."""

    kind: str
    value: der.Element | None


def parse_cert_request(body: der.Element) -> KeyRequest:
    """Read the body of an ir, cr or kur and check its proof of possession (RFC 4211 4.1).

    Raises:
        DERError: Malformed.
        RefusedError: Several requests, no key, or no proof that its private half is there.
    """
    requests = body.expect(der.SEQUENCE).children()
    if len(requests) != 1:
        raise messages.RefusedError(
            messages.FailureInfo.badRequest, "expected one certificate request in a message"
        )
    message = der_types.Fields(requests[0])
    request = message.take()
    proof = _take_proof(message)
    message.take_optional(der.SEQUENCE)  # regInfo is for registration authorities.
    message.end()
    fields = der_types.Fields(request)
    cert_req_id = der_types.decode_integer(fields.take())
    template = der_types.Fields(fields.take())
    controls = fields.take_optional(der.SEQUENCE)
    fields.end()
    if cert_req_id != CERT_REQ_ID:
        raise messages.RefusedError(
            messages.FailureInfo.badRequest, f"expected the certReqId {CERT_REQ_ID}"
        )
    parts = _template(template)
    if (key := parts.get(0xA6)) is None:
        raise messages.RefusedError(
            messages.FailureInfo.badCertTemplate,
            "expected a public key: keys are made by their owners, never here",
        )
    public_key = _public_key(der.encode(der.SEQUENCE, key.content))
    _check_proof(proof, der.encode(request.tag, request.content), public_key)
    old_certificate, others = _controls(controls)
    subject = parts.get(0xA5)
    return KeyRequest(
        cert_req_id,
        public_key,
        None if subject is None else _name(subject, 0xA5),
        others or 0xA4 in parts or _EXTENSIONS in parts,
        old_certificate,
    )


def parse_p10_request(body: der.Element) -> KeyRequest:
    """Read the body of a p10cr; its signature is the proof of possession (RFC 2986 4.2).

    Raises:
        CSRError: Malformed.
        RefusedError: No proof of possession, or a key that is not certified here.
    """
    csr_der = der.encode(body.tag, body.content)
    try:
        request = csr.parse(csr_der)
    except csr.ProofOfPossessionError as error:
        raise messages.RefusedError(messages.FailureInfo.badPOP, error.message) from error
    except algorithms.UnsupportedAlgorithmError as error:
        raise messages.RefusedError(messages.FailureInfo.badCertTemplate, error.message) from error
    info = der_types.Fields(der_types.Fields(body).take())
    info.take()  # The version.
    subject = info.take()
    info.take()  # The key.
    attributes = info.take_optional(0xA0)
    return KeyRequest(
        P10_CERT_REQ_ID,
        request.public_key,
        der.encode(subject.tag, subject.content),
        attributes is not None and bool(attributes.content),
    )


def parse_revocation(body: der.Element) -> RevocationRequest:
    """Read the body of an rr (RFC 9810 5.3.9, RFC 9483 4.2).

    Raises:
        DERError: Malformed.
        RefusedError: Several certificates, none named in full, or a reason that is not accepted.
    """
    details = body.expect(der.SEQUENCE).children()
    if len(details) != 1:
        raise messages.RefusedError(
            messages.FailureInfo.badRequest, "expected one revocation in a message"
        )
    fields = der_types.Fields(details[0])
    parts = _template(der_types.Fields(fields.take()))
    extensions = fields.take_optional(der.SEQUENCE)
    fields.end()
    serial_number, issuer = parts.get(0x81), parts.get(0xA3)
    if serial_number is None or issuer is None:
        raise messages.RefusedError(
            messages.FailureInfo.badCertId, "expected the certificate's issuer and serial number"
        )
    number = der_types.decode_integer(der.Element(der.INTEGER, serial_number.content))
    reason, invalidity_date = status.RevocationReason.unspecified, None
    for one in () if extensions is None else der_types.decode_extensions(extensions):
        if one.oid == _REASON_CODE:
            reason = _reason(der.read(one.value).expect(_ENUMERATED))
        elif one.oid == _INVALIDITY_DATE:
            invalidity_date = der_types.decode_time(der.read(one.value))
        elif one.critical:
            raise messages.RefusedError(
                messages.FailureInfo.badRequest, "expected no other critical extension"
            )
    return RevocationRequest(CertId(_name(issuer, 0xA3), number), reason, invalidity_date)


def parse_confirmation(body: der.Element) -> Confirmation | None:
    """Read the body of a certConf; an empty one rejects everything, and is None here.

    Raises:
        DERError: Malformed.
        RefusedError: Several certificates.
    """
    entries = body.expect(der.SEQUENCE).children()
    if not entries:
        return None
    if len(entries) != 1:
        raise messages.RefusedError(
            messages.FailureInfo.badRequest, "expected the confirmation of one certificate"
        )
    fields = der_types.Fields(entries[0])
    cert_hash = fields.take().expect(der.OCTET_STRING).content
    cert_req_id = der_types.decode_integer(fields.take())
    said = fields.take_optional(der.SEQUENCE)
    algorithm = fields.take_optional(0xA0)
    fields.end()
    accepted = True
    if said is not None:
        number = der_types.decode_integer(der_types.Fields(said).take())
        accepted = number in (
            messages.PKIStatus.accepted.value,
            messages.PKIStatus.grantedWithMods.value,
        )
    return Confirmation(
        cert_req_id,
        cert_hash,
        None
        if algorithm is None
        else der_types.decode_hash_algorithm(der_types.unwrap(algorithm, 0xA0)),
        accepted,
    )


def parse_general(body: der.Element) -> tuple[InfoTypeAndValue, ...]:
    """Read the body of a genm (RFC 9810 5.3.19).

    Raises:
        DERError: Malformed, or too many questions.
    """
    entries = body.expect(der.SEQUENCE).children()
    if len(entries) > MAX_INFO_TYPES:
        raise der.DERError(f"expected at most {MAX_INFO_TYPES} questions")
    asked = []
    for one in entries:
        parts = one.expect(der.SEQUENCE).children()
        if not 1 <= len(parts) <= 2:
            raise der.DERError("expected a type with or without a value")
        asked.append(
            InfoTypeAndValue(der.decode_oid(parts[0]), parts[1] if len(parts) == 2 else None)
        )
    return tuple(asked)


def _take_proof(fields: der_types.Fields) -> der.Element | None:
    for tag in (0x80, 0xA1, 0xA2, 0xA3):
        if (found := fields.take_optional(tag)) is not None:
            return found
    return None


def _template(fields: der_types.Fields) -> dict[int, der.Element]:
    """The fields of a CertTemplate by their tags, each in its order (RFC 4211 5)."""
    order = (0x80, 0x81, 0xA2, 0xA3, 0xA4, 0xA5, 0xA6, 0x87, 0x88, _EXTENSIONS)
    found = {tag: one for tag in order if (one := fields.take_optional(tag)) is not None}
    fields.end()
    return found


def _name(element: der.Element, tag: int) -> bytes:
    # Name is a CHOICE, so its tag is explicit.
    inside = der_types.unwrap(element, tag).expect(der.SEQUENCE)
    return der.encode(inside.tag, inside.content)


def _public_key(key_der: bytes) -> algorithms.PublicKey:
    try:
        public_key = serialization.load_der_public_key(key_der)
        algorithms.key_kind(public_key)
        csr.check_exponent(public_key)
    except algorithms.UnsupportedAlgorithmError as error:
        raise messages.RefusedError(messages.FailureInfo.badCertTemplate, error.message) from error
    except (ValueError, TypeError, exceptions.UnsupportedAlgorithm) as error:
        raise messages.RefusedError(
            messages.FailureInfo.badCertTemplate, "expected an EC or RSA public key"
        ) from error
    assert isinstance(public_key, algorithms.PublicKey)  # noqa: S101 - key_kind refused all others
    return public_key


def _check_proof(
    proof: der.Element | None, request_der: bytes, public_key: algorithms.PublicKey
) -> None:
    if proof is None or proof.tag != 0xA1:
        # raVerified is for a registration authority that we trust; there is none.
        raise messages.RefusedError(
            messages.FailureInfo.badPOP, "expected a signature as proof of possession"
        )
    parts = der_types.Fields(proof, 0xA1)
    if parts.take_optional(0xA0) is not None:
        raise messages.RefusedError(
            messages.FailureInfo.badPOP, "expected a proof over the certificate request itself"
        )
    algorithm = parts.take()
    value = der_types.decode_bit_string(parts.take())
    parts.end()
    protection.check_signed(algorithm, value, public_key, request_der, messages.FailureInfo.badPOP)


def _controls(element: der.Element | None) -> tuple[CertId | None, bool]:
    """The certificate that is updated, and whether there are other controls."""
    old_certificate, others = None, False
    for one in () if element is None else element.children():
        fields = der_types.Fields(one)
        kind = der.decode_oid(fields.take())
        value = fields.take()
        fields.end()
        if kind == _OLD_CERT_ID and old_certificate is None:
            parts = der_types.Fields(value)
            issuer = _name(parts.take(), 0xA4)
            old_certificate = CertId(issuer, der_types.decode_integer(parts.take()))
            parts.end()
        else:
            others = True
    return old_certificate, others


def _reason(element: der.Element) -> status.RevocationReason:
    number = der_types.decode_integer(der.Element(der.INTEGER, element.content))
    known = {one.value: one for one in status.RevocationReason}
    if number == _REMOVE_FROM_CRL or number not in known:
        raise messages.RefusedError(
            messages.FailureInfo.badRequest,
            "expected a reason that a revocation can have: an officer ends a hold",
        )
    return known[number]
