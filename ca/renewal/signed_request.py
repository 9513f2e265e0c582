"""A renewal request: PKCS#10 for the new key inside CMS signed by the old one (RFC 5652 5).

What `openssl cms -sign -binary -nodetach -outform DER` makes of a DER request is one. The signer is
named by issuer and serial number; whose certificate that is, the registry says, so certificates
that are sent along are not looked at.
"""

import dataclasses
import hmac
from collections.abc import Callable

from cryptography import x509

from pki import algorithms, certificates, der, der_types, errors, signature

MAX_REQUEST_BYTES = 64 * 2**10
"""A request, a signature, and the certificate and chain that most software sends along."""

MAX_ATTRIBUTES = 16

_ID_DATA = "1.2.840.113549.1.7.1"
_ID_SIGNED_DATA = "1.2.840.113549.1.7.2"
_ID_CONTENT_TYPE = "1.2.840.113549.1.9.3"
_ID_MESSAGE_DIGEST = "1.2.840.113549.1.9.4"
_CONTEXT_0 = 0xA0
_CONTEXT_1 = 0xA1


class RenewalRequestError(errors.InputError):
    """The bytes are no CMS that a renewal can be read from."""

    code = "renewal-request-malformed"


class RenewalSignatureError(errors.PolicyError):
    """The request is not signed by the certificate that it names."""

    code = "renewal-signature"


@dataclasses.dataclass(frozen=True)
class SignedRequest:
    """A request as it was read; its signature is not checked yet.

    Attributes:
        csr_der: The PKCS#10 request.
        issuer: The issuer's name of the signer's certificate, in DER.
        serial_number: Of that certificate.
    """

    csr_der: bytes
    issuer: bytes
    serial_number: int
    _digest: algorithms.HashAlgorithm
    _attributes: bytes
    _algorithm: der.Element
    _value: bytes

    def check(self, certificate: x509.Certificate) -> None:
        """Check that a certificate's key signed the request (RFC 5652 5.6).

        Raises:
            RenewalSignatureError: It did not.
        """
        key = certificates.public_key(certificate)
        try:
            value = der_types.decode_signature_value(
                self._algorithm, self._value, key, self._digest
            )
            # RFC 5652 5.4: what is signed has the tag of a SET instead of the context's.
            signed = der.encode(der.SET, self._attributes)
            signature.check_value(key, signature.represent(signed, value.hash_algorithm), value)
        except errors.InputError as error:
            raise RenewalSignatureError(
                "the request's signature does not verify with the certificate's key"
            ) from error


def parse(request_der: bytes) -> SignedRequest:
    """Read a renewal request; nothing of it is trusted yet.

    Raises:
        RenewalRequestError: Not DER, not SignedData with one signer over data inside it, or the
            signed digest is not that of the data.
        LimitError: Too large.
    """
    if len(request_der) > MAX_REQUEST_BYTES:
        raise errors.LimitError(f"expected a request of at most {MAX_REQUEST_BYTES} bytes")
    try:
        return _parse(request_der)
    except RenewalRequestError:
        raise
    except errors.InputError as error:
        raise RenewalRequestError(
            f"expected CMS SignedData in DER over a PKCS#10 request: {error.message}"
        ) from error


def build(
    csr_der: bytes,
    certificate: x509.Certificate,
    sign: Callable[[signature.DataToBeSignedRepresentation], signature.SignatureValue],
) -> bytes:
    """Sign a PKCS#10 request with the key of a certificate.

    Args:
        csr_der: For the new key.
        certificate: The one to be renewed.
        sign: Its key: a file's, a card's or a module's.

    Raises:
        SignatureValueError: What signed is not the certificate's key.
    """
    key = certificates.public_key(certificate)
    digest = algorithms.key_kind(key).hash_algorithm
    attributes = b"".join(
        sorted(
            der.encode(der.SEQUENCE, der.encode_oid(oid), der.encode(der.SET, value))
            for oid, value in (
                (_ID_CONTENT_TYPE, der.encode_oid(_ID_DATA)),
                (_ID_MESSAGE_DIGEST, der.encode(der.OCTET_STRING, digest.digest(csr_der))),
            )
        )
    )  # X.690 11.6: the members of a SET OF stand in the order of their encodings.
    representation = signature.represent(der.encode(der.SET, attributes), digest)
    value = sign(representation)
    signature.check_value(key, representation, value)
    signer = der.encode(
        der.SEQUENCE,
        der_types.encode_integer(1),
        der.encode(
            der.SEQUENCE,
            certificate.issuer.public_bytes(),
            der_types.encode_integer(certificate.serial_number),
        ),
        der_types.encode_hash_algorithm(digest),
        der.encode(_CONTEXT_0, attributes),
        der_types.encode_signature_algorithm(value),
        der.encode(der.OCTET_STRING, value.encoded_for_cms()),
    )
    content = der.encode(_CONTEXT_0, der.encode(der.OCTET_STRING, csr_der))
    signed_data = der.encode(
        der.SEQUENCE,
        der_types.encode_integer(1),
        der.encode(der.SET, der_types.encode_hash_algorithm(digest)),
        der.encode(der.SEQUENCE, der.encode_oid(_ID_DATA), content),
        der.encode(_CONTEXT_0, certificates.to_der(certificate)),
        der.encode(der.SET, signer),
    )
    return der.encode(
        der.SEQUENCE, der.encode_oid(_ID_SIGNED_DATA), der.encode(_CONTEXT_0, signed_data)
    )


def _parse(request_der: bytes) -> SignedRequest:
    outer = der_types.Fields(der.read(request_der))
    _expect_oid(outer.take(), _ID_SIGNED_DATA)
    signed_data = der_types.Fields(der_types.unwrap(outer.take(), _CONTEXT_0))
    outer.end()
    _expect_version(signed_data.take())
    signed_data.take().expect(der.SET)  # The digest algorithms: the signer names its own again.
    encapsulated = der_types.Fields(signed_data.take())
    _expect_oid(encapsulated.take(), _ID_DATA)
    content = encapsulated.take_optional(_CONTEXT_0)
    if content is None:
        raise RenewalRequestError("expected the PKCS#10 request inside the CMS (-nodetach)")
    csr_der = der_types.unwrap(content, _CONTEXT_0).expect(der.OCTET_STRING).content
    signed_data.take_optional(_CONTEXT_0)  # Certificates and
    signed_data.take_optional(_CONTEXT_1)  # CRLs sent along.
    signers = signed_data.take().expect(der.SET).children()
    signed_data.end()
    if len(signers) != 1:
        raise RenewalRequestError(f"expected one signer, got {len(signers)}")
    return _parse_signer(signers[0], csr_der)


def _parse_signer(signer_element: der.Element, csr_der: bytes) -> SignedRequest:
    signer = der_types.Fields(signer_element)
    if der_types.decode_integer(signer.take()) != 1:
        raise RenewalRequestError("expected a signer named by issuer and serial number")
    named = der_types.Fields(signer.take())
    issuer = named.take().expect(der.SEQUENCE)
    serial_number = der_types.decode_integer(named.take())
    named.end()
    digest = der_types.decode_hash_algorithm(signer.take())
    attributes = signer.take().expect(_CONTEXT_0)
    algorithm = signer.take()
    value = signer.take().expect(der.OCTET_STRING).content
    signer.take_optional(_CONTEXT_1)  # Unsigned attributes say nothing that counts.
    signer.end()
    _check_attributes(attributes, digest.digest(csr_der))
    return SignedRequest(
        csr_der,
        der.encode(issuer.tag, issuer.content),
        serial_number,
        digest,
        attributes.content,
        algorithm,
        value,
    )


def _check_attributes(attributes: der.Element, message_digest: bytes) -> None:
    """Check content type and digest, each there once with one value (RFC 5652 11.1, 11.2)."""
    found: dict[str, der.Element] = {}
    members = attributes.children()
    if len(members) > MAX_ATTRIBUTES:
        raise RenewalRequestError(f"expected at most {MAX_ATTRIBUTES} signed attributes")
    for one in members:
        fields = der_types.Fields(one)
        oid = der.decode_oid(fields.take())
        values = fields.take().expect(der.SET).children()
        fields.end()
        if oid in found or len(values) != 1:
            raise RenewalRequestError("expected each signed attribute once, with one value")
        found[oid] = values[0]
    if not {_ID_CONTENT_TYPE, _ID_MESSAGE_DIGEST} <= set(found):
        raise RenewalRequestError("expected the signed attributes contentType and messageDigest")
    _expect_oid(found[_ID_CONTENT_TYPE], _ID_DATA)
    digest = found[_ID_MESSAGE_DIGEST].expect(der.OCTET_STRING).content
    if not hmac.compare_digest(digest, message_digest):
        raise RenewalRequestError("the signed digest is not that of the request (use -binary)")


def _expect_oid(element: der.Element, wanted: str) -> None:
    got = der.decode_oid(element)
    if got != wanted:
        raise RenewalRequestError(f"expected {wanted}, got {got}")


def _expect_version(element: der.Element) -> None:
    version = der_types.decode_integer(element)
    if version not in (1, 3):
        raise RenewalRequestError(f"expected SignedData of version 1 or 3, got {version}")
