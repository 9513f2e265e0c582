"""Time-stamp requests, responses and TSTInfo (RFC 3161 2.4).

Read with the strict DER reader, whose cost the input's length bounds, and written by hand.
"""

import dataclasses
import datetime
import enum

from pki import algorithms, der, der_types, errors

MAX_REQUEST_BYTES = 2048
"""A request with a SHA-512 imprint, a policy and a nonce takes about 150 bytes."""

MAX_RESPONSE_BYTES = 64 * 1024
"""A token with a chain takes 2 to 8 KiB."""

MAX_STATUS_STRINGS = 8
"""How many of a rejection's sentences are read."""

_ID_PE_QC_STATEMENTS = "1.3.6.1.5.5.7.1.3"
_ID_ETSI_TSTS_EU_QCOMPLIANCE = "0.4.0.19422.1.1"


class PKIStatus(enum.Enum):
    """What became of a request (RFC 3161 2.4.2)."""

    granted = 0
    grantedWithMods = 1
    rejection = 2
    waiting = 3
    revocationWarning = 4
    revocationNotification = 5


class PKIFailureInfo(enum.Enum):
    """Why there is no token (RFC 3161 2.4.2); the value is the number of the bit."""

    badAlg = 0
    badRequest = 2
    badDataFormat = 5
    timeNotAvailable = 14
    unacceptedPolicy = 15
    unacceptedExtension = 16
    addInfoNotAvailable = 17
    systemFailure = 25


class RequestRefusedError(errors.InputError):
    """The request is malformed or asks for what is not offered.

    Attributes:
        failure: What the rejection says.
    """

    code = "time-stamp-request-refused"

    def __init__(self, message: str, failure: PKIFailureInfo) -> None:
        """Keep the message and the failure."""
        super().__init__(message)
        self.failure = failure


class MalformedTokenError(errors.InputError):
    """The bytes are no time-stamp response, token or TSTInfo."""

    code = "time-stamp-token-malformed"


@dataclasses.dataclass(frozen=True)
class MessageImprint:
    """The hash that a token covers.

    Attributes:
        hash_algorithm: SHA-256, -384 or -512.
        hash: Of the algorithm's size.
        encoded: The DER as it came, which a token echoes byte for byte; None: written anew.
    """

    hash_algorithm: algorithms.HashAlgorithm
    hash: bytes
    encoded: bytes | None = dataclasses.field(default=None, repr=False, compare=False)

    def __post_init__(self) -> None:
        """Refuse a hash whose length does not fit (RFC 3161 2.4.1)."""
        if len(self.hash) != self.hash_algorithm.size:
            raise errors.InputError(
                f"expected a {self.hash_algorithm.value} hash of {self.hash_algorithm.size} bytes,"
                f" got {len(self.hash)} bytes"
            )

    def to_der(self) -> bytes:
        """The DER of the imprint."""
        return self.encoded or der.encode(
            der.SEQUENCE,
            der_types.encode_hash_algorithm(self.hash_algorithm),
            der.encode(der.OCTET_STRING, self.hash),
        )


@dataclasses.dataclass(frozen=True)
class TimeStampRequest:
    """A TimeStampReq (RFC 3161 2.4.1).

    Attributes:
        imprint: What is to be stamped.
        policy: The policy asked for, or None for the authority's own.
        nonce: Must come back in the token.
        cert_req: Whether the token shall hold the unit's certificate.
    """

    imprint: MessageImprint
    policy: str | None = None
    nonce: int | None = None
    cert_req: bool = False


@dataclasses.dataclass(frozen=True)
class TSTInfo:
    """What a token says (RFC 3161 2.4.2).

    Attributes:
        policy: The policy it was issued under.
        imprint: What it covers.
        serial_number: Unique for the authority.
        gen_time: When it was made.
        accuracy: How far genTime may be from the truth, or None where not said.
        ordering: Whether tokens can be ordered by genTime alone.
        nonce: The request's.
        qualified: Whether it claims to be an EU-qualified time stamp (EN 319 422 9.1).
    """

    policy: str
    imprint: MessageImprint
    serial_number: int
    gen_time: datetime.datetime
    accuracy: datetime.timedelta | None = None
    ordering: bool = False
    nonce: int | None = None
    qualified: bool = False

    def to_der(self) -> bytes:
        """The DER that a token holds and its signature covers; genTime in whole seconds."""
        return der.encode(
            der.SEQUENCE,
            _VERSION_1,
            der.encode_oid(self.policy),
            self.imprint.to_der(),
            der_types.encode_integer(self.serial_number),
            der_types.encode_time(self.gen_time),
            encode_accuracy(self.accuracy) if self.accuracy is not None else b"",
            der.encode(der.BOOLEAN, b"\xff") if self.ordering else b"",
            der_types.encode_integer(self.nonce) if self.nonce is not None else b"",
            encode_qualified() if self.qualified else b"",
        )


@dataclasses.dataclass(frozen=True)
class TimeStampResponse:
    """A TimeStampResp (RFC 3161 2.4.2).

    Attributes:
        status: Granted, or why not.
        failures: Set on a rejection.
        token_der: The ContentInfo; None on a rejection.
        explanation: Sentences for people.
    """

    status: PKIStatus
    failures: frozenset[PKIFailureInfo] = frozenset()
    token_der: bytes | None = dataclasses.field(default=None, repr=False)
    explanation: tuple[str, ...] = ()


_VERSION_1 = der_types.encode_integer(1)
GRANTED = der.encode(der.SEQUENCE, der_types.encode_integer(PKIStatus.granted.value))
"""The PKIStatusInfo before a token."""


def build_request(request: TimeStampRequest) -> bytes:
    """Return a request in DER."""
    return der.encode(
        der.SEQUENCE,
        der_types.encode_integer(1),
        request.imprint.to_der(),
        der.encode_oid(request.policy) if request.policy is not None else b"",
        der_types.encode_integer(request.nonce) if request.nonce is not None else b"",
        der.encode(der.BOOLEAN, b"\xff") if request.cert_req else b"",
    )


def parse_request(request_der: bytes) -> TimeStampRequest:
    """Read a request.

    Raises:
        RequestRefusedError: With the failure that the answer names: not DER or too large
            (badDataFormat), another version (badRequest), a hash that is not allowed (badAlg),
            any extension (unacceptedExtension).
    """
    try:
        if len(request_der) > MAX_REQUEST_BYTES:
            raise der.DERError(
                f"expected a request of at most {MAX_REQUEST_BYTES} bytes, got {len(request_der)}"
            )
        return _parse_request(request_der)
    except RequestRefusedError:
        raise
    except algorithms.UnsupportedAlgorithmError as error:
        raise RequestRefusedError(str(error), PKIFailureInfo.badAlg) from error
    except errors.InputError as error:
        raise RequestRefusedError(str(error), PKIFailureInfo.badDataFormat) from error


def build_granted(token_der: bytes) -> bytes:
    """Return the response that carries a token."""
    return der.encode(der.SEQUENCE, GRANTED, token_der)


def build_rejection(failure: PKIFailureInfo, explanation: str) -> bytes:
    """Return a response without a token, which asn1crypto has no type for."""
    octets = bytearray(failure.value // 8 + 1)
    octets[-1] = 0x80 >> failure.value % 8
    status = der.encode(
        der.SEQUENCE,
        der_types.encode_integer(PKIStatus.rejection.value),
        der.encode(der.SEQUENCE, der.encode(der.UTF8_STRING, explanation.encode())),
        # X.690 11.2.2: a named bit list ends with its last set bit.
        der.encode(der.BIT_STRING, bytes((7 - failure.value % 8,)), bytes(octets)),
    )
    return der.encode(der.SEQUENCE, status)


def parse_response(response_der: bytes) -> TimeStampResponse:
    """Read a response; its token is not looked into.

    Raises:
        MalformedTokenError: Not DER, no response, too large, or granted without a token.
    """
    try:
        if len(response_der) > MAX_RESPONSE_BYTES:
            raise der.DERError(
                f"expected at most {MAX_RESPONSE_BYTES} bytes, got {len(response_der)}"
            )
        return _parse_response(response_der)
    except errors.InputError as error:
        raise MalformedTokenError(f"the time-stamp response is malformed: {error}") from error


def parse_info(info_der: bytes) -> TSTInfo:
    """Read a TSTInfo.

    Raises:
        MalformedTokenError: Not DER, another version, a hash that is not allowed, or an unknown
            critical extension.
    """
    try:
        return _parse_info(info_der)
    except errors.InputError as error:
        raise MalformedTokenError(f"the TSTInfo is malformed: {error}") from error


def encode_accuracy(accuracy: datetime.timedelta) -> bytes:
    """Return the Accuracy of a TSTInfo (RFC 3161 2.4.2)."""
    millis, micros = divmod(accuracy.microseconds, 1000)
    return der.encode(
        der.SEQUENCE,
        der_types.encode_integer(seconds) if (seconds := int(accuracy.total_seconds())) else b"",
        b"\x80" + der_types.encode_integer(millis)[1:] if millis else b"",
        b"\x81" + der_types.encode_integer(micros)[1:] if micros else b"",
    )


def encode_qualified() -> bytes:
    """The extension with the claim of EN 319 422 9.1."""
    statements = der.encode(
        der.SEQUENCE, der.encode(der.SEQUENCE, der.encode_oid(_ID_ETSI_TSTS_EU_QCOMPLIANCE))
    )
    extension = der_types.Extension(_ID_PE_QC_STATEMENTS, False, statements)
    return b"\xa1" + der_types.encode_extensions((extension,))[1:]


def _parse_request(request_der: bytes) -> TimeStampRequest:
    fields = der_types.Fields(der.read(request_der))
    if der_types.decode_integer(fields.take()) != 1:
        raise RequestRefusedError("expected version 1", PKIFailureInfo.badRequest)
    imprint = _parse_imprint(fields.take())
    policy = fields.take_optional(der.OBJECT_IDENTIFIER)
    nonce = fields.take_optional(der.INTEGER)
    cert_req = fields.take_optional(der.BOOLEAN)
    extensions = fields.take_optional(0xA0)
    fields.end()
    if extensions is not None:
        # RFC 3161 2.4.1: one that is not recognised, critical or not, means no token.
        der_types.decode_extensions(extensions)
        raise RequestRefusedError("expected no extension", PKIFailureInfo.unacceptedExtension)
    return TimeStampRequest(
        imprint,
        der.decode_oid(policy) if policy is not None else None,
        der_types.decode_integer(nonce) if nonce is not None else None,
        der_types.decode_boolean(cert_req) if cert_req is not None else False,
    )


def _parse_imprint(element: der.Element) -> MessageImprint:
    fields = der_types.Fields(element)
    hash_algorithm = der_types.decode_hash_algorithm(fields.take())
    digest = fields.take().expect(der.OCTET_STRING).content
    fields.end()
    return MessageImprint(hash_algorithm, digest, der.encode(element.tag, element.content))


def _parse_response(response_der: bytes) -> TimeStampResponse:
    outer = der_types.Fields(der.read(response_der))
    info = der_types.Fields(outer.take())
    token = outer.take_optional(der.SEQUENCE)
    outer.end()
    number = der_types.decode_integer(info.take())
    text = info.take_optional(der.SEQUENCE)
    bits = info.take_optional(der.BIT_STRING)
    info.end()
    if number not in {one.value for one in PKIStatus}:
        raise errors.InputError(f"expected a status from 0 to 5, got {number}")
    status = PKIStatus(number)
    if (token is not None) != (status in {PKIStatus.granted, PKIStatus.grantedWithMods}):
        raise errors.InputError("expected a token where it is granted, and only there")
    sentences = text.children()[:MAX_STATUS_STRINGS] if text is not None else ()
    return TimeStampResponse(
        status,
        _parse_failures(bits) if bits is not None else frozenset(),
        der.encode(token.tag, token.content) if token is not None else None,
        tuple(der.decode_text(one, der.UTF8_STRING) for one in sentences),
    )


def _parse_failures(element: der.Element) -> frozenset[PKIFailureInfo]:
    content = element.content
    if not 1 <= len(content) <= 8 or content[0] > 7:
        raise errors.InputError("expected a BIT STRING of failures")
    return frozenset(
        one
        for one in PKIFailureInfo
        if one.value // 8 + 1 < len(content) and content[one.value // 8 + 1] & 0x80 >> one.value % 8
    )


def _parse_info(info_der: bytes) -> TSTInfo:
    fields = der_types.Fields(der.read(info_der))
    if der_types.decode_integer(fields.take()) != 1:
        raise errors.InputError("expected version 1")
    policy = der.decode_oid(fields.take())
    imprint = _parse_imprint(fields.take())
    serial_number = der_types.decode_integer(fields.take())
    gen_time = der_types.decode_time(fields.take())
    accuracy = fields.take_optional(der.SEQUENCE)
    ordering = fields.take_optional(der.BOOLEAN)
    nonce = fields.take_optional(der.INTEGER)
    fields.take_optional(0xA0)  # The authority's name: its certificate says it.
    tagged = fields.take_optional(0xA1)
    fields.end()
    extensions = der_types.decode_extensions(tagged) if tagged is not None else ()
    der_types.check_no_unknown_critical(extensions, frozenset({_ID_PE_QC_STATEMENTS}))
    return TSTInfo(
        policy,
        imprint,
        serial_number,
        gen_time,
        _parse_accuracy(accuracy) if accuracy is not None else None,
        der_types.decode_boolean(ordering) if ordering is not None else False,
        der_types.decode_integer(nonce) if nonce is not None else None,
        any(_claims_qualified(one) for one in extensions),
    )


def _claims_qualified(extension: der_types.Extension) -> bool:
    if extension.oid != _ID_PE_QC_STATEMENTS:
        return False
    statements = der.read(extension.value).expect(der.SEQUENCE).children()
    return any(
        der.decode_oid(der_types.Fields(one).take()) == _ID_ETSI_TSTS_EU_QCOMPLIANCE
        for one in statements
    )


def _parse_accuracy(element: der.Element) -> datetime.timedelta:
    fields = der_types.Fields(element)
    seconds = fields.take_optional(der.INTEGER)
    millis = fields.take_optional(0x80)
    micros = fields.take_optional(0x81)
    fields.end()
    numbers = [
        der_types.decode_integer(der.Element(der.INTEGER, one.content)) if one is not None else 0
        for one in (seconds, millis, micros)
    ]
    # RFC 3161 2.4.2: milliseconds and microseconds from 1 to 999; a day is no accuracy at all.
    if not 0 <= numbers[0] <= 86400 or not all(0 <= one <= 999 for one in numbers[1:]):
        raise errors.InputError("expected an accuracy of at most a day")
    return datetime.timedelta(seconds=numbers[0], milliseconds=numbers[1], microseconds=numbers[2])
