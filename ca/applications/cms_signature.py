"""Reading a detached CMS signature of a stranger's making (RFC 5652 5), strictly and in DER.

One signer; signed attributes with the message digest and the hash of the signing certificate
(RFC 5035), as CAdES baseline signatures have them. Certificates inside are not looked at.
"""

import dataclasses
import hmac

from cryptography import x509

from pki import algorithms, certificates, der, der_types, errors, signature

MAX_SIGNATURE_BYTES = 64 * 2**10
"""A signature with its chain, a time stamp and revocation data has some thirty kilobytes."""

_ID_DATA = "1.2.840.113549.1.7.1"
_ID_SIGNED_DATA = "1.2.840.113549.1.7.2"
_ID_CONTENT_TYPE = "1.2.840.113549.1.9.3"
_ID_MESSAGE_DIGEST = "1.2.840.113549.1.9.4"
_ID_SIGNING_CERTIFICATE_V2 = "1.2.840.113549.1.9.16.2.47"
_CONTEXT_0, _CONTEXT_1 = 0xA0, 0xA1
_INTEGER = 0x02


class CMSSignatureError(errors.InputError):
    """Not a detached CMS signature over this content."""

    code = "cms-signature"


@dataclasses.dataclass(frozen=True)
class ParsedSignature:
    """What a signature says before anything is believed.

    Attributes:
        issuer: The signing certificate's issuer name in DER.
        serial_number: The signing certificate's.
        hash_algorithm: Of the content.
        signed_attributes: The attributes as they were signed, with the tag of a SET.
        attributes: Their values by object identifier.
        algorithm: The signature's AlgorithmIdentifier.
        value: The signature's octets.
    """

    issuer: bytes
    serial_number: int
    hash_algorithm: algorithms.HashAlgorithm
    signed_attributes: bytes
    attributes: dict[str, der.Element]
    algorithm: der.Element
    value: bytes


def parse(signature_der: bytes) -> ParsedSignature:
    """Take a signature apart.

    Raises:
        CMSSignatureError: Not DER, not one signer, or not detached.
    """
    if len(signature_der) > MAX_SIGNATURE_BYTES:
        raise CMSSignatureError(f"expected at most {MAX_SIGNATURE_BYTES} bytes of signature")
    try:
        return _parse(signature_der)
    except CMSSignatureError:
        raise
    except errors.InputError as error:
        raise CMSSignatureError(
            f"expected a detached CMS signature in DER: {error.message}"
        ) from error


def check(parsed: ParsedSignature, content: bytes, certificate: x509.Certificate) -> None:
    """Check that a signature is over a content, and by a certificate's key.

    Raises:
        CMSSignatureError: Over another content, or by another certificate.
    """
    digest = parsed.hash_algorithm.digest(content)
    try:
        _check_attributes(parsed, digest, certificate)
        key = certificates.public_key(certificate)
        value = der_types.decode_signature_value(
            parsed.algorithm, parsed.value, key, parsed.hash_algorithm
        )
        represented = signature.represent(parsed.signed_attributes, value.hash_algorithm)
        signature.check_value(key, represented, value)
    except CMSSignatureError:
        raise
    except errors.InputError as error:
        raise CMSSignatureError(f"the signature does not verify: {error.message}") from error


def _parse(signature_der: bytes) -> ParsedSignature:
    outer = der_types.Fields(der.read(signature_der))
    _expect_oid(outer.take(), _ID_SIGNED_DATA)
    signed_data = der_types.Fields(der_types.unwrap(outer.take(), _CONTEXT_0))
    outer.end()
    signed_data.take().expect(_INTEGER)
    signed_data.take().expect(der.SET)
    content = der_types.Fields(signed_data.take())
    _expect_oid(content.take(), _ID_DATA)
    content.end()
    signed_data.take_optional(_CONTEXT_0)
    signed_data.take_optional(_CONTEXT_1)
    signer = der_types.Fields(der_types.unwrap(signed_data.take(), der.SET))
    signed_data.end()
    signer.take().expect(_INTEGER)
    named = der_types.Fields(signer.take())
    issuer = named.take().expect(der.SEQUENCE)
    serial_number = der_types.decode_integer(named.take())
    named.end()
    hash_algorithm = der_types.decode_hash_algorithm(signer.take())
    signed = signer.take().expect(_CONTEXT_0)
    algorithm = signer.take()
    value = signer.take().expect(der.OCTET_STRING).content
    signer.take_optional(_CONTEXT_1)
    signer.end()
    attributes: dict[str, der.Element] = {}
    for one in signed.children():
        fields = der_types.Fields(one)
        name = der.decode_oid(fields.take())
        if name in attributes:
            raise CMSSignatureError("expected each signed attribute once")
        attributes[name] = der_types.unwrap(fields.take(), der.SET)
        fields.end()
    return ParsedSignature(
        der.encode(issuer.tag, issuer.content),
        serial_number,
        hash_algorithm,
        # RFC 5652 5.4: what is signed has the tag of a SET instead of the context's.
        der.encode(der.SET, signed.content),
        attributes,
        algorithm,
        value,
    )


def _check_attributes(
    parsed: ParsedSignature, digest: bytes, certificate: x509.Certificate
) -> None:
    content_type = parsed.attributes.get(_ID_CONTENT_TYPE)
    message_digest = parsed.attributes.get(_ID_MESSAGE_DIGEST)
    signing_certificate = parsed.attributes.get(_ID_SIGNING_CERTIFICATE_V2)
    if content_type is None or message_digest is None or signing_certificate is None:
        raise CMSSignatureError(
            "expected the signed attributes content-type, message-digest and signing-certificate-v2"
        )
    _expect_oid(content_type, _ID_DATA)
    if not hmac.compare_digest(message_digest.expect(der.OCTET_STRING).content, digest):
        raise CMSSignatureError("the signature is over another text")
    # RFC 5035 4: the first identifier is that of the signing certificate.
    identifiers = der_types.Fields(signing_certificate).take().expect(der.SEQUENCE).children()
    if not identifiers:
        raise CMSSignatureError("expected the signing certificate's hash among the attributes")
    fields = der_types.Fields(identifiers[0])
    hash_algorithm = algorithms.HashAlgorithm.SHA256
    named = fields.take_optional(der.SEQUENCE)
    if named is not None:
        hash_algorithm = der_types.decode_hash_algorithm(named)
    expected = hash_algorithm.digest(certificates.to_der(certificate))
    if not hmac.compare_digest(fields.take().expect(der.OCTET_STRING).content, expected):
        raise CMSSignatureError("the signature names another signing certificate")


def _expect_oid(element: der.Element, dotted: str) -> None:
    if der.decode_oid(element) != dotted:
        raise CMSSignatureError(f"expected the object identifier {dotted}")
