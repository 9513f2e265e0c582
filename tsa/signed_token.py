"""The time-stamp token: TSTInfo inside a CMS signature (RFC 3161 2.4.2, RFC 5652, RFC 5816)."""

import dataclasses
import hashlib
from collections.abc import Sequence
from typing import NamedTuple

from cryptography import x509

from pki import algorithms, certificates, der, der_types, errors, signature
from pki.keystore import store
from tsa import messages

MAX_CERTIFICATES = 16
"""More than any authority's chain."""

_ID_SIGNED_DATA = "1.2.840.113549.1.7.2"
_ID_CT_TST_INFO = "1.2.840.113549.1.9.16.1.4"
_ID_CONTENT_TYPE = "1.2.840.113549.1.9.3"
_ID_MESSAGE_DIGEST = "1.2.840.113549.1.9.4"
_ID_SIGNING_CERTIFICATE_V2 = "1.2.840.113549.1.9.16.2.47"

_CONTEXT_0, _CONTEXT_1 = 0xA0, 0xA1

_ENCODED_SIGNED_DATA = der.encode_oid(_ID_SIGNED_DATA)
_ENCODED_CT_TST_INFO = der.encode_oid(_ID_CT_TST_INFO)


class TokenSignatureError(errors.InputError):
    """A token's signature, or what it binds, is not right."""

    code = "time-stamp-token-signature"


@dataclasses.dataclass(frozen=True)
class TimeStampToken:
    """A token as it was read.

    Attributes:
        token_der: The ContentInfo.
        info: What it says.
        info_der: The exact bytes of the TSTInfo.
        certificates: Those sent along, in their order.
        signer: The one signer.
    """

    token_der: bytes = dataclasses.field(repr=False)
    info: messages.TSTInfo
    info_der: bytes = dataclasses.field(repr=False)
    certificates: tuple[x509.Certificate, ...] = dataclasses.field(repr=False)
    signer: "TokenSigner" = dataclasses.field(repr=False)


@dataclasses.dataclass(frozen=True)
class TokenSigner:
    """The SignerInfo of a token.

    Attributes:
        identifier: IssuerAndSerialNumber or [0] SubjectKeyIdentifier.
        hash_algorithm: Of the content.
        attributes_der: The signed attributes as the SET that the signature covers.
        attributes: Their single values.
        algorithm: The signature's AlgorithmIdentifier.
        value: The signature.
    """

    identifier: der.Element
    hash_algorithm: algorithms.HashAlgorithm
    attributes_der: bytes
    attributes: dict[str, der.Element]
    algorithm: der.Element
    value: bytes


class _Frame(NamedTuple):
    """What of a response is the same for all tokens of the same sizes."""

    token_at: int
    before_info: bytes
    before_attributes: bytes
    before_value: bytes


class TokenTemplate:
    """Everything of a token but what it says and its signature, encoded once.

    Nothing of a unit's certificate changes from token to token, and encoding it takes several
    times as long as a signature.
    """

    def __init__(
        self,
        certificate: x509.Certificate,
        handle: store.KeyHandle,
        sent_along: Sequence[x509.Certificate],
    ) -> None:
        """Encode what stays.

        Args:
            certificate: The unit's.
            handle: The unit's key.
            sent_along: Certificates in the token; empty unless the request asks for them.
        """
        kind = algorithms.key_kind(handle.public_key)
        self._sign_value = store.encoded_signer(handle, kind.hash_algorithm)
        hash_algorithm = kind.hash_algorithm
        self._hash = getattr(hashlib, hash_algorithm.short_name)
        digest_algorithm = der_types.encode_hash_algorithm(hash_algorithm)
        size = hash_algorithm.size
        content_type = _attribute(_ID_CONTENT_TYPE, der.encode_oid(_ID_CT_TST_INFO))
        digest = _attribute(_ID_MESSAGE_DIGEST, der.encode(der.OCTET_STRING, bytes(size)))
        binding = _attribute(
            _ID_SIGNING_CERTIFICATE_V2, _signing_certificate(certificate, hash_algorithm)
        )
        # X.690 11.6: the members of a SET OF stand in the order of their encodings. These differ
        # in their lengths, so that the digest's value changes nothing about it.
        attributes = sorted((content_type, digest, binding))
        place = attributes.index(digest)
        before_digest = b"".join(attributes[:place]) + digest[:-size]
        self._after_digest = b"".join(attributes[place + 1 :])
        self._attributes_size = len(b"".join(attributes))
        # RFC 5652 5.4: what is signed begins with the tag of a SET; in the token stands [0].
        self._set_before_digest = _header(der.SET, self._attributes_size) + before_digest
        self._set_header_size = len(self._set_before_digest) - len(before_digest)
        self._signer = b"".join(
            (der_types.encode_integer(1), _issuer_and_serial(certificate), digest_algorithm)
        )
        self._signature_algorithm = der_types.encode_key_algorithm(kind)
        self._version = b"".join(
            (
                der_types.encode_integer(3),  # RFC 5652 5.1: the content is not id-data.
                der.encode(der.SET, digest_algorithm),
            )
        )
        along = sorted(certificates.to_der(one) for one in sent_along)
        self._along = der.encode(_CONTEXT_0, *along) if along else b""
        self._frames: dict[tuple[int, int], _Frame] = {}

    def sign(self, info_der: bytes) -> bytes:
        """Sign a TSTInfo and return the token.

        Raises:
            DeviceError: The key did not sign.
        """
        frame, response_der = self._sign(info_der)
        return response_der[frame.token_at :]

    def grant(self, info_der: bytes) -> bytes:
        """Sign a TSTInfo and return the TimeStampResp that carries the token.

        Raises:
            DeviceError: The key did not sign.
        """
        return self._sign(info_der)[1]

    def _sign(self, info_der: bytes) -> tuple["_Frame", bytes]:
        digest = self._hash(info_der).digest()
        attributes = b"".join((self._set_before_digest, digest, self._after_digest))
        value = self._sign_value(attributes)
        sizes = len(info_der), len(value)
        frame = self._frames.get(sizes)
        if frame is None:
            # A few sizes of nonces and of ECDSA values, and no more: it stays small.
            frame = self._frames[sizes] = self._encode_frame(*sizes)
        return frame, b"".join(
            (
                frame.before_info,
                info_der,
                frame.before_attributes,
                attributes[self._set_header_size :],
                frame.before_value,
                value,
            )
        )

    def _encode_frame(self, info_size: int, value_size: int) -> "_Frame":
        before_value = self._signature_algorithm + _header(der.OCTET_STRING, value_size)
        signer = self._signer + _header(_CONTEXT_0, self._attributes_size)
        signer_size = len(signer) + self._attributes_size + len(before_value) + value_size
        signer = _header(der.SEQUENCE, signer_size) + signer
        signer_size += len(_header(der.SEQUENCE, signer_size))
        before_attributes = self._along + _header(der.SET, signer_size) + signer
        after_info = signer_size + len(self._along) + len(_header(der.SET, signer_size))
        octets = _header(der.OCTET_STRING, info_size)
        content = _header(_CONTEXT_0, len(octets) + info_size) + octets
        content = _ENCODED_CT_TST_INFO + content
        content = _header(der.SEQUENCE, len(content) + info_size) + content
        data = self._version + content
        data = _header(der.SEQUENCE, len(data) + info_size + after_info) + data
        data = _header(_CONTEXT_0, len(data) + info_size + after_info) + data
        data = _ENCODED_SIGNED_DATA + data
        data = _header(der.SEQUENCE, len(data) + info_size + after_info) + data
        data = messages.GRANTED + data
        response = _header(der.SEQUENCE, len(data) + info_size + after_info)
        token_at = len(response) + len(messages.GRANTED)
        return _Frame(token_at, response + data, before_attributes, before_value)


def build_token(
    info: messages.TSTInfo,
    certificate: x509.Certificate,
    handle: store.KeyHandle,
    sent_along: Sequence[x509.Certificate],
) -> bytes:
    """Sign one TSTInfo; see `TokenTemplate`, which is for many."""
    return TokenTemplate(certificate, handle, sent_along).sign(info.to_der())


def parse_token(token_der: bytes) -> TimeStampToken:
    """Read a token; nothing about its signature is checked here.

    Raises:
        MalformedTokenError: Not DER, not a token, or not with one signer.
    """
    if len(token_der) > messages.MAX_RESPONSE_BYTES:
        raise messages.MalformedTokenError(
            f"expected a token of at most {messages.MAX_RESPONSE_BYTES} bytes, got {len(token_der)}"
        )
    try:
        return _parse_token(token_der)
    except errors.InputError as error:
        raise messages.MalformedTokenError(f"the time-stamp token is malformed: {error}") from error


def check_signature(token: TimeStampToken, certificate: x509.Certificate) -> None:
    """Check that the token was signed by the key of `certificate`, and says so.

    Whether the certificate is trusted is not judged here.

    Raises:
        TokenSignatureError: Another certificate is bound, another content, or another key.
        InputError: An algorithm that is not allowed.
    """
    signer = token.signer
    if der.decode_oid(_find(signer, _ID_CONTENT_TYPE)) != _ID_CT_TST_INFO:
        raise TokenSignatureError("the token's content type is not the one that was signed")
    digest = _find(signer, _ID_MESSAGE_DIGEST).expect(der.OCTET_STRING).content
    if digest != signer.hash_algorithm.digest(token.info_der):
        raise TokenSignatureError("the token's content is not what was signed")
    _check_binding(_find(signer, _ID_SIGNING_CERTIFICATE_V2), certificate)
    key = certificates.public_key(certificate)
    value = der_types.decode_signature_value(
        signer.algorithm, signer.value, key, signer.hash_algorithm
    )
    if value.hash_algorithm is not signer.hash_algorithm:
        raise TokenSignatureError("the token's signature and its digest use different hashes")
    try:
        signature.check_value(
            key, signature.represent(signer.attributes_der, value.hash_algorithm), value
        )
    except signature.SignatureValueError as error:
        raise TokenSignatureError("the token's signature does not verify") from error


def find_signer_certificate(token: TimeStampToken) -> x509.Certificate:
    """Return the certificate in the token that its signer identifies.

    Raises:
        TokenSignatureError: It is not there.
    """
    for certificate in token.certificates:
        if _identifies(token.signer.identifier, certificate):
            return certificate
    raise TokenSignatureError("the token does not hold its signer's certificate")


def _header(tag: int, length: int) -> bytes:
    """Tag and length of an element whose content comes later."""
    return der.encode(tag, bytes(length))[:-length]


def _attribute(oid: str, value: bytes) -> bytes:
    return der.encode(der.SEQUENCE, der.encode_oid(oid), der.encode(der.SET, value))


def _signing_certificate(
    certificate: x509.Certificate, hash_algorithm: algorithms.HashAlgorithm
) -> bytes:
    """The SigningCertificateV2 of RFC 5035 3; SHA-256 is its default and then left out."""
    named = b""
    if hash_algorithm is not algorithms.HashAlgorithm.SHA256:
        named = der_types.encode_hash_algorithm(hash_algorithm)
    digest = hash_algorithm.digest(certificates.to_der(certificate))
    identifier = der.encode(der.SEQUENCE, named, der.encode(der.OCTET_STRING, digest))
    return der.encode(der.SEQUENCE, der.encode(der.SEQUENCE, identifier))


def _issuer_and_serial(certificate: x509.Certificate) -> bytes:
    parts = der_types.certificate_parts(certificate.tbs_certificate_bytes)
    return der.encode(
        der.SEQUENCE, parts.issuer, der_types.encode_integer(certificate.serial_number)
    )


def _identifies(identifier: der.Element, certificate: x509.Certificate) -> bool:
    if identifier.tag == 0x80:
        return identifier.content == certificates.read(certificate).subject_key_identifier
    return der.encode(identifier.tag, identifier.content) == _issuer_and_serial(certificate)


def _parse_token(token_der: bytes) -> TimeStampToken:
    outer = der_types.Fields(der.read(token_der))
    if der.decode_oid(outer.take()) != _ID_SIGNED_DATA:
        raise errors.InputError("expected SignedData")
    fields = der_types.Fields(der_types.unwrap(outer.take(), _CONTEXT_0))
    outer.end()
    der_types.decode_integer(fields.take())
    fields.take().expect(der.SET)
    content = der_types.Fields(fields.take())
    sent = fields.take_optional(_CONTEXT_0)
    fields.take_optional(_CONTEXT_1)  # CRLs: the caller fetches its own.
    signers = fields.take().expect(der.SET).children()
    fields.end()
    if der.decode_oid(content.take()) != _ID_CT_TST_INFO:
        raise errors.InputError("expected a TSTInfo inside")
    info_der = der_types.unwrap(content.take(), _CONTEXT_0).expect(der.OCTET_STRING).content
    content.end()
    if len(signers) != 1:
        # RFC 3161 2.4.2: the token has the authority's signature and no other.
        raise errors.InputError(f"expected one signer, got {len(signers)}")
    along = [one for one in (sent.children() if sent is not None else ()) if one.tag == 0x30]
    if len(along) > MAX_CERTIFICATES:
        raise errors.InputError(f"expected at most {MAX_CERTIFICATES} certificates")
    return TimeStampToken(
        token_der,
        messages.parse_info(info_der),
        info_der,
        tuple(certificates.parse(der.encode(one.tag, one.content)) for one in along),
        _parse_signer(signers[0]),
    )


def _parse_signer(element: der.Element) -> TokenSigner:
    fields = der_types.Fields(element)
    der_types.decode_integer(fields.take())
    identifier = fields.take()
    hash_algorithm = der_types.decode_hash_algorithm(fields.take())
    signed = fields.take().expect(_CONTEXT_0)
    algorithm = fields.take().expect(der.SEQUENCE)
    value = fields.take().expect(der.OCTET_STRING).content
    fields.take_optional(_CONTEXT_1)
    fields.end()
    if identifier.tag not in {0x80, der.SEQUENCE}:
        raise errors.InputError("expected a signer identifier")
    attributes: dict[str, der.Element] = {}
    for one in signed.children():
        parts = der_types.Fields(one)
        oid = der.decode_oid(parts.take())
        values = parts.take().expect(der.SET).children()
        parts.end()
        if oid in attributes or len(values) != 1:
            raise errors.InputError("expected each signed attribute once, with one value")
        attributes[oid] = values[0]
    # RFC 5652 5.4: what is signed has the tag of a SET instead of the context's.
    return TokenSigner(
        identifier,
        hash_algorithm,
        der.encode(der.SET, signed.content),
        attributes,
        algorithm,
        value,
    )


def _find(signer: TokenSigner, oid: str) -> der.Element:
    if oid not in signer.attributes:
        raise TokenSignatureError(f"expected the signed attribute {oid}")
    return signer.attributes[oid]


def _check_binding(value: der.Element, certificate: x509.Certificate) -> None:
    """Check that the first ESSCertIDv2 is of this certificate (RFC 5816 2.2.1)."""
    identifiers = der_types.Fields(value).take().expect(der.SEQUENCE).children()
    if not identifiers:
        raise TokenSignatureError("expected an ESSCertIDv2")
    fields = der_types.Fields(identifiers[0])
    named = fields.take_optional(der.SEQUENCE)
    hash_algorithm = algorithms.HashAlgorithm.SHA256
    if named is not None:
        hash_algorithm = der_types.decode_hash_algorithm(named)
    digest = fields.take().expect(der.OCTET_STRING).content
    if digest != hash_algorithm.digest(certificates.to_der(certificate)):
        raise TokenSignatureError("the token is bound to another certificate")
