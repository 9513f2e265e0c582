"""The signature of a transcript: CMS beside the document (RFC 5652 5), read in one form only.

Any CMS software verifies it. This reader takes the certificate and the value out, builds the
signature anew around them and wants the same bytes: nothing can be changed or added unseen.
"""

from cryptography import x509

from pki import algorithms, certificates, der, der_types, errors, signature
from pki.keystore import store

MAX_SIGNATURE_BYTES = 16 * 2**10

_ID_DATA = "1.2.840.113549.1.7.1"
_ID_SIGNED_DATA = "1.2.840.113549.1.7.2"
_ID_CONTENT_TYPE = "1.2.840.113549.1.9.3"
_ID_MESSAGE_DIGEST = "1.2.840.113549.1.9.4"
_ID_SIGNING_CERTIFICATE_V2 = "1.2.840.113549.1.9.16.2.47"
_CONTEXT_0 = 0xA0


class DetachedSignatureError(errors.InputError):
    """The signature is malformed, or is not one of this document."""

    code = "detached-signature"


def sign(content: bytes, certificate: x509.Certificate, key: store.KeyHandle) -> bytes:
    """Sign a document and return the CMS without it, in DER.

    Raises:
        DeviceError: The key did not sign.
    """
    attributes = _attributes(content, certificate)
    representation = _represent(attributes, certificate)
    value = key.sign(representation)
    signature.check_value(key.public_key, representation, value)
    return _assemble(attributes, certificate, value)


def check(content: bytes, signature_der: bytes) -> x509.Certificate:
    """Check that a signature is over a document, and return whose certificate it holds.

    Whether that certificate is trusted is the caller's to judge.

    Raises:
        DetachedSignatureError: Malformed, of another document, or in another form.
    """
    if len(signature_der) > MAX_SIGNATURE_BYTES:
        raise DetachedSignatureError("the signature is too large to be one")
    try:
        certificate, value = _take_apart(signature_der)
        attributes = _attributes(content, certificate)
        if _assemble(attributes, certificate, value) != signature_der:
            raise DetachedSignatureError("the signature is not over this document")
        signature.check_value(
            certificates.public_key(certificate), _represent(attributes, certificate), value
        )
    except DetachedSignatureError:
        raise
    except errors.InputError as error:
        raise DetachedSignatureError(f"the signature does not verify: {error.message}") from error
    return certificate


def _hash_of(certificate: x509.Certificate) -> algorithms.HashAlgorithm:
    return algorithms.key_kind(certificates.public_key(certificate)).hash_algorithm


def _represent(
    attributes: bytes, certificate: x509.Certificate
) -> signature.DataToBeSignedRepresentation:
    # RFC 5652 5.4: what is signed has the tag of a SET instead of the context's.
    return signature.represent(der.encode(der.SET, attributes), _hash_of(certificate))


def _attributes(content: bytes, certificate: x509.Certificate) -> bytes:
    hash_algorithm = _hash_of(certificate)
    named = b""
    if hash_algorithm is not algorithms.HashAlgorithm.SHA256:
        named = der_types.encode_hash_algorithm(hash_algorithm)  # RFC 5035 3: SHA-256 is left out.
    digest = hash_algorithm.digest(certificates.to_der(certificate))
    identifier = der.encode(der.SEQUENCE, named, der.encode(der.OCTET_STRING, digest))
    every = (
        (_ID_CONTENT_TYPE, der.encode_oid(_ID_DATA)),
        (_ID_MESSAGE_DIGEST, der.encode(der.OCTET_STRING, hash_algorithm.digest(content))),
        (
            _ID_SIGNING_CERTIFICATE_V2,
            der.encode(der.SEQUENCE, der.encode(der.SEQUENCE, identifier)),
        ),
    )
    encoded = sorted(
        der.encode(der.SEQUENCE, der.encode_oid(oid), der.encode(der.SET, value))
        for oid, value in every
    )  # X.690 11.6: the members of a SET OF stand in the order of their encodings.
    return b"".join(encoded)


def _assemble(
    attributes: bytes, certificate: x509.Certificate, value: signature.SignatureValue
) -> bytes:
    digest_algorithm = der_types.encode_hash_algorithm(_hash_of(certificate))
    parts = der_types.certificate_parts(certificate.tbs_certificate_bytes)
    signer = der.encode(
        der.SEQUENCE,
        der_types.encode_integer(1),
        der.encode(der.SEQUENCE, parts.issuer, der_types.encode_integer(certificate.serial_number)),
        digest_algorithm,
        der.encode(_CONTEXT_0, attributes),
        der_types.encode_signature_algorithm(value),
        der.encode(der.OCTET_STRING, value.encoded_for_cms()),
    )
    signed_data = der.encode(
        der.SEQUENCE,
        der_types.encode_integer(1),  # RFC 5652 5.1: id-data, issuer and serial number.
        der.encode(der.SET, digest_algorithm),
        der.encode(der.SEQUENCE, der.encode_oid(_ID_DATA)),
        der.encode(_CONTEXT_0, certificates.to_der(certificate)),
        der.encode(der.SET, signer),
    )
    return der.encode(
        der.SEQUENCE, der.encode_oid(_ID_SIGNED_DATA), der.encode(_CONTEXT_0, signed_data)
    )


def _take_apart(signature_der: bytes) -> tuple[x509.Certificate, signature.SignatureValue]:
    outer = der_types.Fields(der.read(signature_der))
    outer.take()
    signed_data = der_types.Fields(der_types.unwrap(outer.take(), _CONTEXT_0))
    for _ in range(3):
        signed_data.take()
    sent = der_types.unwrap(signed_data.take(), _CONTEXT_0)
    certificate = certificates.parse(der.encode(sent.tag, sent.content))
    signer = der_types.Fields(der_types.unwrap(signed_data.take(), der.SET))
    for _ in range(4):
        signer.take()
    algorithm = signer.take()
    octets = signer.take().expect(der.OCTET_STRING).content
    key = certificates.public_key(certificate)
    return certificate, der_types.decode_signature_value(
        algorithm, octets, key, _hash_of(certificate)
    )
