"""Requests and responses of the certificate status protocol (RFC 6960 4), nonce (RFC 9654).

Both are read with the strict DER reader, whose cost the input's length bounds, and written by
hand. `cryptography` and asn1crypto read the same bytes in the tests.
"""

import dataclasses
import datetime
import enum
import functools
from typing import TypeVar

from ocsp import cert_id
from pki import der, der_types, errors, signature, status

MAX_REQUEST_BYTES = 4096
"""A request for twenty certificates with a nonce takes about 2 KiB."""

MAX_CERTS_PER_REQUEST = 20
"""Each costs a look-up; clients ask for one, seldom for a chain."""

MAX_RESPONSE_BYTES = 64 * 1024
"""A response with a responder's chain takes 2 to 8 KiB."""

MAX_NONCE_OCTETS = 128
"""RFC 9654 2.1."""

_ID_PKIX_OCSP_BASIC = "1.3.6.1.5.5.7.48.1.1"
_ID_PKIX_OCSP_NONCE = "1.3.6.1.5.5.7.48.1.2"
_ID_PKIX_OCSP_RESPONSE = "1.3.6.1.5.5.7.48.1.4"
_ID_PKIX_OCSP_ARCHIVE_CUTOFF = "1.3.6.1.5.5.7.48.1.6"
_ID_PKIX_OCSP_PREF_SIG_ALGS = "1.3.6.1.5.5.7.48.1.8"
_ID_CE_INVALIDITY_DATE = "2.5.29.24"

_REQUEST_EXTENSIONS = frozenset(
    {_ID_PKIX_OCSP_NONCE, _ID_PKIX_OCSP_RESPONSE, _ID_PKIX_OCSP_PREF_SIG_ALGS}
)
_RESPONSE_EXTENSIONS = frozenset({_ID_PKIX_OCSP_NONCE})
_SINGLE_EXTENSIONS = frozenset({_ID_PKIX_OCSP_ARCHIVE_CUTOFF, _ID_CE_INVALIDITY_DATE})

_ENUMERATED = 0x0A


BASIC_RESPONSE = der.encode_oid(_ID_PKIX_OCSP_BASIC)
"""The responseType of every response here (RFC 6960 4.2.1)."""

SUCCESSFUL = der.encode(_ENUMERATED, b"\x00")
"""The responseStatus of a response that has content."""


class MalformedRequestError(errors.InputError):
    """The bytes are no status request; answered `malformedRequest`."""

    code = "ocsp-request-malformed"


class MalformedResponseError(errors.InputError):
    """The bytes are no status response."""

    code = "ocsp-response-malformed"


class ResponseStatus(enum.Enum):
    """What became of a request (RFC 6960 4.2.1); all but `successful` are unsigned."""

    successful = 0
    malformedRequest = 1
    internalError = 2
    tryLater = 3
    sigRequired = 5
    unauthorized = 6


@dataclasses.dataclass(frozen=True)
class OCSPRequest:
    """A status request; a signature on it is not looked at."""

    cert_ids: tuple[cert_id.CertID, ...]
    nonce: bytes | None = None


@dataclasses.dataclass(frozen=True)
class SingleResponse:
    """The status of one certificate.

    Attributes:
        cert_id: As requested.
        status: None is `unknown`.
        this_update: When this was known to be right.
        next_update: When newer information will be there.
        archive_cutoff: Status is kept for certificates that expired since (RFC 6960 4.4.4).
    """

    cert_id: cert_id.CertID
    status: status.CertificateStatus | None
    this_update: datetime.datetime
    next_update: datetime.datetime | None = None
    archive_cutoff: datetime.datetime | None = None


@dataclasses.dataclass(frozen=True)
class ResponseData:
    """What a responder signs.

    Attributes:
        responder: The SHA-1 of the responder's key (`byKey`), or its name in DER (`byName`).
        by_key: Which of the two `responder` is.
        produced_at: When it was signed.
        responses: One for each certificate asked for.
        nonce: The request's, if it had one.
    """

    responder: bytes
    produced_at: datetime.datetime
    responses: tuple[SingleResponse, ...]
    nonce: bytes | None = None
    by_key: bool = True


@dataclasses.dataclass(frozen=True)
class BasicResponse:
    """A signed response as it was read.

    Attributes:
        data: What it says.
        signed: The exact bytes that the signature covers.
        algorithm: The signature's AlgorithmIdentifier.
        signature: The signature as DER carries it.
        certificates: DER, as sent along.
    """

    data: ResponseData
    signed: bytes = dataclasses.field(repr=False)
    algorithm: der.Element = dataclasses.field(repr=False)
    signature: bytes = dataclasses.field(repr=False)
    certificates: tuple[bytes, ...] = dataclasses.field(repr=False)


def build_request(request: OCSPRequest) -> bytes:
    """Return a request in DER, without a signature."""
    listed = der.encode(
        der.SEQUENCE, *(der.encode(der.SEQUENCE, one.encoded) for one in request.cert_ids)
    )
    extensions = encode_nonce(request.nonce, 0xA2)
    return der.encode(der.SEQUENCE, der.encode(der.SEQUENCE, listed, extensions))


def parse_request(request_der: bytes) -> OCSPRequest:
    """Read a request.

    Raises:
        MalformedRequestError: Not DER, not a request, too large, too many certificates, a nonce of
            another length than RFC 9654 2.1 allows, or an unknown critical extension.
    """
    if len(request_der) > MAX_REQUEST_BYTES:
        raise MalformedRequestError(
            f"expected a request of at most {MAX_REQUEST_BYTES} bytes, got {len(request_der)}"
        )
    try:
        return _parse_request(request_der)
    except errors.InputError as error:
        raise MalformedRequestError(f"the request is malformed: {error}") from error


def build_response_data(data: ResponseData) -> bytes:
    """Return the DER that a responder signs."""
    responder = der.encode(
        0xA2 if data.by_key else 0xA1,
        der.encode(der.OCTET_STRING, data.responder) if data.by_key else data.responder,
    )
    return der.encode(
        der.SEQUENCE,
        responder,
        der_types.encode_time(data.produced_at),
        der.encode(der.SEQUENCE, *(_build_single(one) for one in data.responses)),
        encode_nonce(data.nonce, 0xA1),
    )


def build_response(
    signed: bytes, value: signature.SignatureValue, certificates: tuple[bytes, ...]
) -> bytes:
    """Return a successful response around signed response data.

    Args:
        signed: What `build_response_data` gave.
        value: The responder's signature over it.
        certificates: DER of the responder's certificate.
    """
    basic = der.encode(
        der.SEQUENCE,
        signed,
        der_types.encode_signature_algorithm(value),
        der.encode(der.BIT_STRING, b"\x00", value.encoded_for_cms()),
        der.encode(0xA0, der.encode(der.SEQUENCE, *certificates)) if certificates else b"",
    )
    return der.encode(
        der.SEQUENCE,
        SUCCESSFUL,
        der.encode(
            0xA0,
            der.encode(
                der.SEQUENCE,
                BASIC_RESPONSE,
                der.encode(der.OCTET_STRING, basic),
            ),
        ),
    )


def build_error(why: ResponseStatus) -> bytes:
    """Return an unsigned response that carries a status and nothing else."""
    return der.encode(der.SEQUENCE, der.encode(_ENUMERATED, bytes((why.value,))))


def parse_response(response_der: bytes) -> tuple[ResponseStatus, BasicResponse | None]:
    """Read a response; only a successful one has data. Its signature is not checked here.

    Raises:
        MalformedResponseError: Not DER, not a response, too large, or an unknown critical
            extension.
    """
    if len(response_der) > MAX_RESPONSE_BYTES:
        raise MalformedResponseError(
            f"expected a response of at most {MAX_RESPONSE_BYTES} bytes, got {len(response_der)}"
        )
    try:
        return _parse_response(response_der)
    except errors.InputError as error:
        raise MalformedResponseError(f"the response is malformed: {error}") from error


def encode_nonce(nonce: bytes | None, tag: int) -> bytes:
    """Return the explicitly tagged extensions that hold a nonce alone; nothing without one."""
    return b"" if nonce is None else _before_nonce(len(nonce), tag) + nonce


@functools.lru_cache(maxsize=4 * MAX_NONCE_OCTETS)
def _before_nonce(octets: int, tag: int) -> bytes:
    """Everything before the nonce, which is the same for all nonces of a length."""
    value = der.encode(der.OCTET_STRING, bytes(octets))
    extension = der_types.Extension(_ID_PKIX_OCSP_NONCE, False, value)
    encoded = der.encode(tag, der_types.encode_extensions((extension,)))
    return encoded[: len(encoded) - octets]


def _find_nonce(extensions: tuple[der_types.Extension, ...]) -> bytes | None:
    for one in extensions:
        if one.oid == _ID_PKIX_OCSP_NONCE:
            nonce = der.read(one.value).expect(der.OCTET_STRING).content
            if not 1 <= len(nonce) <= MAX_NONCE_OCTETS:
                # RFC 9654 2.1: no octets, or more than 128, is malformedRequest.
                raise MalformedRequestError(
                    f"expected a nonce of 1 to {MAX_NONCE_OCTETS} octets, got {len(nonce)}"
                )
            return nonce
    return None


def _parse_request(request_der: bytes) -> OCSPRequest:
    outer = der_types.Fields(der.read(request_der))
    fields = der_types.Fields(outer.take())
    outer.take_optional(0xA0)  # A signature: nothing depends on who asks.
    outer.end()
    _check_version(fields)
    fields.take_optional(0xA1)  # The requestor's name, for the same reason.
    listed = fields.take().expect(der.SEQUENCE).children()
    extensions = _parse_extensions(fields.take_optional(0xA2), _REQUEST_EXTENSIONS)
    fields.end()
    if not 1 <= len(listed) <= MAX_CERTS_PER_REQUEST:
        raise MalformedRequestError(
            f"expected 1 to {MAX_CERTS_PER_REQUEST} certificates, got {len(listed)}"
        )
    return OCSPRequest(tuple(_parse_single_request(one) for one in listed), _find_nonce(extensions))


_Choice = TypeVar("_Choice", bound=enum.Enum)


def _parse_enumerated(kind: type[_Choice], element: der.Element) -> _Choice:
    content = element.expect(_ENUMERATED).content
    for one in kind:
        if content == bytes((one.value,)):
            return one
    raise errors.InputError(f"expected a {kind.__name__} that is defined")


def _parse_single_request(element: der.Element) -> cert_id.CertID:
    fields = der_types.Fields(element)
    identity = cert_id.parse(fields.take())
    _parse_extensions(fields.take_optional(0xA0), frozenset())
    fields.end()
    return identity


def _check_version(fields: der_types.Fields) -> None:
    version = fields.take_optional(0xA0)
    if version is not None and der_types.decode_integer(der_types.unwrap(version, 0xA0)) != 0:
        raise errors.InputError("expected version 1")


def _parse_extensions(
    element: der.Element | None, known: frozenset[str]
) -> tuple[der_types.Extension, ...]:
    if element is None:
        return ()
    extensions = der_types.decode_extensions(
        der_types.unwrap(element, element.tag).expect(der.SEQUENCE)
    )
    der_types.check_no_unknown_critical(extensions, known)
    return extensions


def encode_single_extensions(
    archive_cutoff: datetime.datetime | None, invalidity_date: datetime.datetime | None
) -> bytes:
    """Return the singleExtensions with their tag; nothing where there are none."""
    times = (
        (_ID_PKIX_OCSP_ARCHIVE_CUTOFF, archive_cutoff),
        (_ID_CE_INVALIDITY_DATE, invalidity_date),
    )
    extensions = tuple(
        der_types.Extension(oid, False, der_types.encode_time(at))
        for oid, at in times
        if at is not None
    )
    return der.encode(0xA1, der_types.encode_extensions(extensions)) if extensions else b""


def encode_status(known: status.CertificateStatus | None) -> bytes:
    """Return a CertStatus; None is `unknown`."""
    if known is None:
        return der.encode(0x82)
    if known.revoked_at is None:
        return der.encode(0x80)
    reason = b""
    if known.reason not in {None, status.RevocationReason.unspecified}:
        assert known.reason is not None  # noqa: S101 - for the type checker
        # RFC 5280 5.3.1: `unspecified` is said by saying nothing.
        reason = der.encode(0xA0, der.encode(_ENUMERATED, bytes((known.reason.value,))))
    return der.encode(0xA1, der_types.encode_time(known.revoked_at), reason)


def _build_single(single: SingleResponse) -> bytes:
    invalidity_date = single.status.invalidity_date if single.status is not None else None
    return der.encode(
        der.SEQUENCE,
        single.cert_id.encoded,
        encode_status(single.status),
        der_types.encode_time(single.this_update),
        der.encode(0xA0, der_types.encode_time(single.next_update)) if single.next_update else b"",
        encode_single_extensions(single.archive_cutoff, invalidity_date),
    )


def _parse_response(response_der: bytes) -> tuple[ResponseStatus, BasicResponse | None]:
    outer = der_types.Fields(der.read(response_der))
    why = _parse_enumerated(ResponseStatus, outer.take())
    wrapped = outer.take_optional(0xA0)
    outer.end()
    if why is not ResponseStatus.successful:
        return why, None
    if wrapped is None:
        raise errors.InputError("expected a successful response to have content")
    content = der_types.Fields(der_types.unwrap(wrapped, 0xA0))
    if der.decode_oid(content.take()) != _ID_PKIX_OCSP_BASIC:
        raise errors.InputError("expected a basic response")
    basic = der_types.Fields(der.read(content.take().expect(der.OCTET_STRING).content))
    content.end()
    signed = basic.take().expect(der.SEQUENCE)
    algorithm = basic.take().expect(der.SEQUENCE)
    value = der_types.decode_bit_string(basic.take())
    sent = basic.take_optional(0xA0)
    basic.end()
    certificates = der_types.unwrap(sent, 0xA0).expect(der.SEQUENCE).children() if sent else ()
    return why, BasicResponse(
        _parse_response_data(signed),
        der.encode(signed.tag, signed.content),
        algorithm,
        value,
        tuple(der.encode(one.tag, one.content) for one in certificates),
    )


def _parse_response_data(element: der.Element) -> ResponseData:
    fields = der_types.Fields(element)
    _check_version(fields)
    responder = fields.take()
    by_key = responder.tag == 0xA2
    identity = der_types.unwrap(responder, 0xA2 if by_key else 0xA1)
    produced_at = der_types.decode_time(fields.take())
    responses = fields.take().expect(der.SEQUENCE).children()
    extensions = _parse_extensions(fields.take_optional(0xA1), _RESPONSE_EXTENSIONS)
    fields.end()
    return ResponseData(
        identity.expect(der.OCTET_STRING).content
        if by_key
        else der.encode(identity.tag, identity.content),
        produced_at,
        tuple(_parse_single(one) for one in responses),
        _find_nonce(extensions),
        by_key,
    )


def _parse_single(element: der.Element) -> SingleResponse:
    fields = der_types.Fields(element)
    identity = cert_id.parse(fields.take())
    known = _parse_status(fields.take())
    this_update = der_types.decode_time(fields.take())
    wrapped = fields.take_optional(0xA0)
    next_update = der_types.decode_time(der_types.unwrap(wrapped, 0xA0)) if wrapped else None
    extensions = _parse_extensions(fields.take_optional(0xA1), _SINGLE_EXTENSIONS)
    fields.end()
    times = {
        one.oid: der_types.decode_time(der.read(one.value))
        for one in extensions
        if one.oid in _SINGLE_EXTENSIONS
    }
    if known is not None:
        known = dataclasses.replace(known, invalidity_date=times.get(_ID_CE_INVALIDITY_DATE))
    cutoff = times.get(_ID_PKIX_OCSP_ARCHIVE_CUTOFF)
    return SingleResponse(identity, known, this_update, next_update, cutoff)


def _parse_status(element: der.Element) -> status.CertificateStatus | None:
    if element.tag == 0xA1:
        fields = der_types.Fields(element, 0xA1)
        revoked_at = der_types.decode_time(fields.take())
        wrapped = fields.take_optional(0xA0)
        fields.end()
        reason = status.RevocationReason.unspecified
        if wrapped is not None:
            reason = _parse_enumerated(status.RevocationReason, der_types.unwrap(wrapped, 0xA0))
        return status.CertificateStatus(revoked_at=revoked_at, reason=reason)
    if element.content or element.tag not in {0x80, 0x82}:
        raise errors.InputError("expected a status of good, revoked or unknown")
    return status.CertificateStatus() if element.tag == 0x80 else None
