"""PKIMessage: header, body, protection and extra certificates (RFC 9810 5.1).

Messages are read with the strict DER reader. It takes one encoding of each value alone, so that
re-encoding an element gives the very bytes that came: what is verified is what was sent.
"""

import dataclasses
import datetime
import enum

from pki import der, der_types, errors

MAX_MESSAGE_BYTES = 64 * 2**10
"""A request with an RSA key and a chain of certificates takes less than 10 KiB."""

MAX_EXTRA_CERTIFICATES = 16
"""Only the first is looked at; a longer chain is no chain of ours."""

MAX_GENERAL_INFO = 16

NONCE_OCTETS = 16
"""128 bits, of nonces and transaction identifiers (RFC 9483 3.1)."""

MAX_NONCE_OCTETS = 64

MAX_KEY_ID_OCTETS = 128

IMPLICIT_CONFIRM = "1.3.6.1.5.5.7.4.13"

VERSIONS = (2, 3)
"""cmp2000 and cmp2021; the second only tells that newer fields may come (RFC 9810 7)."""

_NULL_NAME = der.encode(0xA4, der.encode(der.SEQUENCE))
_OTHER_NAMES = frozenset({0xA0, 0x81, 0x82, 0xA3, 0xA5, 0x86, 0x87, 0x88})
"""The GeneralNames that are no directoryName (RFC 5280 4.2.1.6)."""


class MalformedMessageError(errors.InputError):
    """The bytes are no PKIMessage."""

    code = "cmp-message-malformed"


class BodyType(enum.Enum):
    """The bodies that are known here, by the number of their tag (RFC 9810 5.1.2)."""

    ir = 0
    ip = 1
    cr = 2
    cp = 3
    p10cr = 4
    kur = 7
    kup = 8
    rr = 11
    rp = 12
    pkiconf = 19
    genm = 21
    genp = 22
    error = 23
    certConf = 24
    pollReq = 25


class FailureInfo(enum.Enum):
    """Why a request was refused: a bit each (RFC 9810 5.2.3)."""

    badAlg = 0
    badMessageCheck = 1
    badRequest = 2
    badTime = 3
    badCertId = 4
    badDataFormat = 5
    wrongAuthority = 6
    incorrectData = 7
    missingTimeStamp = 8
    badPOP = 9
    certRevoked = 10
    certConfirmed = 11
    wrongIntegrity = 12
    badRecipientNonce = 13
    badSenderNonce = 18
    badCertTemplate = 19
    signerNotTrusted = 20
    transactionIdInUse = 21
    unsupportedVersion = 22
    notAuthorized = 23
    systemUnavail = 24
    systemFailure = 25
    duplicateCertReq = 26


class PKIStatus(enum.Enum):
    """What became of a request (RFC 9810 5.2.3); only these three are ever said here."""

    accepted = 0
    grantedWithMods = 1
    rejection = 2


class RefusedError(errors.PolicyError):
    """A request that is answered with a failure.

    Attributes:
        failure: The bit that tells a program why.
    """

    code = "cmp-request-refused"

    def __init__(self, failure: FailureInfo, message: str) -> None:
        """Keep the bit beside the sentence."""
        super().__init__(message)
        self.failure = failure


@dataclasses.dataclass(frozen=True)
class PKIHeader:
    """What stands before every body.

    Attributes:
        version: pvno.
        sender: A GeneralName in DER.
        recipient: Likewise.
        transaction_id: The same in all messages of one conversation.
        sender_nonce: Fresh in every message.
        recipient_nonce: The nonce of the message that this one answers.
        at: messageTime.
        protection_algorithm: An AlgorithmIdentifier in DER.
        sender_key_id: A reference, or the key identifier of the signer's certificate.
        implicit_confirm: No certConf is wanted, or none is awaited.
    """

    version: int
    sender: bytes
    recipient: bytes
    transaction_id: bytes | None
    sender_nonce: bytes | None
    recipient_nonce: bytes | None = None
    at: datetime.datetime | None = None
    protection_algorithm: bytes | None = None
    sender_key_id: bytes | None = None
    implicit_confirm: bool = False


@dataclasses.dataclass(frozen=True)
class PKIMessage:
    """A message that was read; its protection is not checked yet.

    Attributes:
        header: As it was read.
        body_tag: The number of the body's tag, known here or not.
        body: What is inside the tag.
        protected_part: The DER that the protection covers (RFC 9810 5.1.3).
        protection: The octets of the protection, or None.
        extra_certificates: In DER, the signer's first (RFC 9483 3.3).
    """

    header: PKIHeader
    body_tag: int
    body: der.Element
    protected_part: bytes
    protection: bytes | None
    extra_certificates: tuple[bytes, ...]


def null_name() -> bytes:
    """The GeneralName of somebody whose name is not known (RFC 9483 3.1)."""
    return _NULL_NAME


def directory_name(name_der: bytes) -> bytes:
    """The GeneralName of a distinguished name in DER."""
    return der.encode(0xA4, name_der)


def parse_message(message_der: bytes) -> PKIMessage:
    """Read a message.

    Raises:
        MalformedMessageError: Not DER, not a PKIMessage, or larger than any should be.
    """
    if len(message_der) > MAX_MESSAGE_BYTES:
        raise MalformedMessageError(f"expected a message of at most {MAX_MESSAGE_BYTES} bytes")
    try:
        return _parse_message(message_der)
    except errors.InputError as error:
        raise MalformedMessageError(f"the message is malformed: {error}") from error


def _parse_message(message_der: bytes) -> PKIMessage:
    fields = der_types.Fields(der.read(message_der))
    header = fields.take()
    body = fields.take()
    if body.tag & 0xE0 != 0xA0:
        raise der.DERError(f"expected a body with a tag of its own, got {body.tag:#04x}")
    content = der_types.unwrap(body, body.tag)
    protection = fields.take_optional(0xA0)
    extra = fields.take_optional(0xA1)
    fields.end()
    extra_certificates: tuple[der.Element, ...] = ()
    if extra is not None:
        extra_certificates = der_types.unwrap(extra, 0xA1).expect(der.SEQUENCE).children()
        if len(extra_certificates) > MAX_EXTRA_CERTIFICATES:
            raise der.DERError(f"expected at most {MAX_EXTRA_CERTIFICATES} extra certificates")
    return PKIMessage(
        _parse_header(header),
        body.tag & 0x1F,
        content,
        der.encode(
            der.SEQUENCE,
            der.encode(header.tag, header.content),
            der.encode(body.tag, body.content),
        ),
        None
        if protection is None
        else der_types.decode_bit_string(der_types.unwrap(protection, 0xA0)),
        tuple(der.encode(one.tag, one.content) for one in extra_certificates),
    )


def _parse_header(element: der.Element) -> PKIHeader:
    fields = der_types.Fields(element)
    version = der_types.decode_integer(fields.take())
    sender, recipient = fields.take(), fields.take()
    for name in (sender, recipient):
        if name.tag not in _OTHER_NAMES:
            _check_directory_name(name)
    at = fields.take_optional(0xA0)
    algorithm = fields.take_optional(0xA1)
    sender_key_id = _octets(fields, 0xA2, MAX_KEY_ID_OCTETS)
    _octets(fields, 0xA3, MAX_KEY_ID_OCTETS)  # recipKID says nothing to a server with one key.
    transaction_id = _octets(fields, 0xA4, MAX_NONCE_OCTETS)
    sender_nonce = _octets(fields, 0xA5, MAX_NONCE_OCTETS)
    recipient_nonce = _octets(fields, 0xA6, MAX_NONCE_OCTETS)
    fields.take_optional(0xA7)  # freeText is for people.
    general = fields.take_optional(0xA8)
    fields.end()
    protection_algorithm = None
    if algorithm is not None:
        inside = der_types.unwrap(algorithm, 0xA1).expect(der.SEQUENCE)
        protection_algorithm = der.encode(inside.tag, inside.content)
    return PKIHeader(
        version,
        # Only names of the X.500 kind stand in messages (RFC 9483 3.1); others are not repeated.
        der.encode(sender.tag, sender.content) if sender.tag == 0xA4 else _NULL_NAME,
        der.encode(recipient.tag, recipient.content) if recipient.tag == 0xA4 else _NULL_NAME,
        transaction_id,
        sender_nonce,
        recipient_nonce,
        None if at is None else der_types.decode_time(der_types.unwrap(at, 0xA0)),
        protection_algorithm,
        sender_key_id,
        general is not None and _asks_implicit_confirm(general),
    )


def _check_directory_name(element: der.Element) -> None:
    # An answer repeats the name, so it must be one through and through.
    for attributes in der_types.unwrap(element, 0xA4).expect(der.SEQUENCE).children():
        for one in attributes.expect(der.SET).children():
            fields = der_types.Fields(one)
            der.decode_oid(fields.take())
            fields.take()
            fields.end()


def _octets(fields: der_types.Fields, tag: int, limit: int) -> bytes | None:
    element = fields.take_optional(tag)
    if element is None:
        return None
    content = der_types.unwrap(element, tag).expect(der.OCTET_STRING).content
    if len(content) > limit:
        raise der.DERError(f"expected at most {limit} octets, got {len(content)}")
    return content


def _asks_implicit_confirm(general: der.Element) -> bool:
    entries = der_types.unwrap(general, 0xA8).expect(der.SEQUENCE).children()
    if len(entries) > MAX_GENERAL_INFO:
        raise der.DERError(f"expected at most {MAX_GENERAL_INFO} entries of generalInfo")
    # What is not known is passed over (RFC 9810 5.1.1.5: it is information, no demand).
    kinds = [der.decode_oid(der_types.Fields(one).take()) for one in entries]
    return IMPLICIT_CONFIRM in kinds


def encode_header(header: PKIHeader) -> bytes:
    """Return the DER of a header."""
    general = b""
    if header.implicit_confirm:
        entry = der.encode(der.SEQUENCE, der.encode_oid(IMPLICIT_CONFIRM), b"\x05\x00")
        general = der.encode(0xA8, der.encode(der.SEQUENCE, entry))
    return der.encode(
        der.SEQUENCE,
        der_types.encode_integer(header.version),
        header.sender,
        header.recipient,
        b"" if header.at is None else der.encode(0xA0, der_types.encode_time(header.at)),
        _explicit(0xA1, header.protection_algorithm),
        _explicit_octets(0xA2, header.sender_key_id),
        _explicit_octets(0xA4, header.transaction_id),
        _explicit_octets(0xA5, header.sender_nonce),
        _explicit_octets(0xA6, header.recipient_nonce),
        general,
    )


def encode_body(kind: BodyType, content: bytes) -> bytes:
    """Return the DER of a body around its content."""
    return der.encode(0xA0 | kind.value, content)


def encode_protected_part(header: PKIHeader, body: bytes) -> bytes:
    """Return the DER that a protection covers (RFC 9810 5.1.3)."""
    return der.encode(der.SEQUENCE, encode_header(header), body)


def encode_message(
    header: PKIHeader, body: bytes, protection: bytes | None, extra_certificates: tuple[bytes, ...]
) -> bytes:
    """Return the DER of a whole message."""
    guarded = b""
    if protection is not None:
        guarded = der.encode(0xA0, der.encode(der.BIT_STRING, b"\x00", protection))
    extra = b""
    if extra_certificates:
        extra = der.encode(0xA1, der.encode(der.SEQUENCE, *extra_certificates))
    return der.encode(der.SEQUENCE, encode_header(header), body, guarded, extra)


def encode_status(
    status: PKIStatus, failure: FailureInfo | None = None, message: str | None = None
) -> bytes:
    """Return a PKIStatusInfo (RFC 9810 5.2.3)."""
    return der.encode(
        der.SEQUENCE,
        der_types.encode_integer(status.value),
        b"" if message is None else _free_text(message),
        b"" if failure is None else _encode_bit(failure.value),
    )


def encode_error(failure: FailureInfo, message: str) -> bytes:
    """Return the body of an error (RFC 9810 5.3.21)."""
    content = der.encode(der.SEQUENCE, encode_status(PKIStatus.rejection, failure, message))
    return encode_body(BodyType.error, content)


def _free_text(message: str) -> bytes:
    return der.encode(der.SEQUENCE, der.encode(der.UTF8_STRING, message.encode("utf-8")))


def _encode_bit(number: int) -> bytes:
    # A named bit list has no zero bits at its end (X.690 11.2.2).
    octets = bytearray(number // 8 + 1)
    octets[-1] = 0x80 >> number % 8
    return der.encode(der.BIT_STRING, bytes((7 - number % 8,)), bytes(octets))


def _explicit(tag: int, content: bytes | None) -> bytes:
    return b"" if content is None else der.encode(tag, content)


def _explicit_octets(tag: int, content: bytes | None) -> bytes:
    return b"" if content is None else der.encode(tag, der.encode(der.OCTET_STRING, content))
