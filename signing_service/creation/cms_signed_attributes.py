"""What a CMS signer signs: the attributes of PAdES and CAdES (RFC 5652 11, EN 319 122-1 5.2)."""

import datetime

from cryptography import x509

from pki import algorithms, certificates, der
from signing_service import parameters
from signing_service.creation import cms

_ID_CONTENT_TYPE = der.encode_oid("1.2.840.113549.1.9.3")
_ID_COMMITMENT_TYPE = der.encode_oid("1.2.840.113549.1.9.16.2.16")
_ID_SIGNING_TIME = der.encode_oid("1.2.840.113549.1.9.5")
_ID_SIGNER_LOCATION = der.encode_oid("1.2.840.113549.1.9.16.2.17")
_ID_SIGNER_ATTRIBUTES_V2 = der.encode_oid("0.4.0.19122.1.1")
_ID_TITLE = der.encode_oid("2.5.4.12")
_ID_MIME_TYPE = der.encode_oid("0.4.0.1733.2.1")
_ID_SIGNING_CERTIFICATE_V2 = der.encode_oid("1.2.840.113549.1.9.16.2.47")

_DIRECTORY_NAME = 0xA4
_CONTEXT_0, _CONTEXT_1 = 0xA0, 0xA1


def build(
    *,
    content_digest: bytes,
    hash_algorithm: algorithms.HashAlgorithm,
    certificate: x509.Certificate,
    chosen: parameters.SignatureParameters,
    content_type: bytes | None = cms.ID_DATA,
    signing_time: datetime.datetime | None = None,
    mime_type: str | None = None,
) -> bytes:
    """Build the signed attributes as the DER SET that is hashed (RFC 5652 5.4).

    Args:
        content_digest: The hash of what the signature covers.
        hash_algorithm: The function of `content_digest`, used for the certificate too.
        certificate: The signing certificate, bound by ESS signing-certificate-v2.
        chosen: What signing means, the claimed role in signer-attributes-v2 (EN 319 122-1 5.2.6.1)
            and the place in signer-location (5.2.5).
        content_type: The identifier of the content's type, as a whole element; None for a
            counter-signature, which has none (RFC 5652 11.4).
        signing_time: Claimed; None in a PDF, which says it, and the place, in its own dictionary
            (EN 319 142-1 6.3).
        mime_type: What a file format the content has.
    """
    bound = _signing_certificate_v2(certificate, hash_algorithm)
    attributes = [
        cms.attribute(cms.ID_MESSAGE_DIGEST, der.encode(der.OCTET_STRING, content_digest)),
        cms.attribute(_ID_SIGNING_CERTIFICATE_V2, bound),
    ]
    if content_type is not None:
        attributes.append(cms.attribute(_ID_CONTENT_TYPE, content_type))
    if chosen.commitment is not None:
        meaning = der.encode(der.SEQUENCE, der.encode_oid(chosen.commitment.oid))
        attributes.append(cms.attribute(_ID_COMMITMENT_TYPE, meaning))
    if signing_time is not None:
        # RFC 5652 11.3: UTCTime through 2049, as der.encode_time writes it.
        attributes.append(cms.attribute(_ID_SIGNING_TIME, der.encode_time(signing_time)))
        if chosen.place is not None:
            city = der.encode(der.UTF8_STRING, chosen.place.encode())
            locality = der.encode(der.SEQUENCE, der.encode(_CONTEXT_1, city))
            attributes.append(cms.attribute(_ID_SIGNER_LOCATION, locality))
    if mime_type is not None:
        kind = der.encode(der.UTF8_STRING, mime_type.encode())
        attributes.append(cms.attribute(_ID_MIME_TYPE, kind))
    if chosen.role is not None:
        attributes.append(cms.attribute(_ID_SIGNER_ATTRIBUTES_V2, _claimed_role(chosen.role)))
    # DER orders the members of a SET OF by their encodings (X.690 11.6).
    return der.encode(der.SET, *sorted(attributes))


def _claimed_role(role: str) -> bytes:
    """SignerAttributeV2 with one claimed attribute: the X.520 title, a function that one has."""
    title = cms.attribute(_ID_TITLE, der.encode(der.UTF8_STRING, role.encode()))
    # [0] EXPLICIT ClaimedAttributes, a SEQUENCE OF Attribute.
    return der.encode(der.SEQUENCE, der.encode(_CONTEXT_0, der.encode(der.SEQUENCE, title)))


def _signing_certificate_v2(
    certificate: x509.Certificate, hash_algorithm: algorithms.HashAlgorithm
) -> bytes:
    digest = hash_algorithm.digest(certificates.to_der(certificate))
    # RFC 5035 4: SHA-256 is the DEFAULT, which DER leaves out.
    named = (
        b""
        if hash_algorithm is algorithms.HashAlgorithm.SHA256
        else cms.algorithm_of(hash_algorithm)
    )
    directory_name = der.encode(_DIRECTORY_NAME, certificate.issuer.public_bytes())
    issuer_serial = der.encode(
        der.SEQUENCE,
        der.encode(der.SEQUENCE, directory_name),
        cms.serial_number(certificate),
    )
    cert_id = der.encode(der.SEQUENCE, named, der.encode(der.OCTET_STRING, digest), issuer_serial)
    return der.encode(der.SEQUENCE, der.encode(der.SEQUENCE, cert_id))
