"""CMS signatures by any scheme and with any certificate, put together octet by octet."""

from cryptography.hazmat.primitives import hashes

from pki import der, originals
from tests.support import signed_cms

HASHES = {
    "sha1": (hashes.SHA1(), "1.3.14.3.2.26"),  # noqa: S303
    "sha256": (hashes.SHA256(), "2.16.840.1.101.3.4.2.1"),
    "sha384": (hashes.SHA384(), "2.16.840.1.101.3.4.2.2"),
    "sha512_256": (hashes.SHA512_256(), "2.16.840.1.101.3.4.2.6"),
    "ripemd160": (None, "1.3.36.3.2.1"),
    "shake_128": (None, "2.16.840.1.101.3.4.2.11"),
    "shake_256": (None, "2.16.840.1.101.3.4.2.12"),
    "sha3_256": (hashes.SHA3_256(), "2.16.840.1.101.3.4.2.8"),
    "sha3_384": (hashes.SHA3_384(), "2.16.840.1.101.3.4.2.9"),
    "sha3_512": (hashes.SHA3_512(), "2.16.840.1.101.3.4.2.10"),
}


def identifier(oid: str, *parameters: bytes) -> bytes:
    """An AlgorithmIdentifier, or any SEQUENCE that begins with an identifier."""
    return der.encode(der.SEQUENCE, der.encode_oid(oid), *parameters)


def make_cms(  # type: ignore[no-untyped-def]
    certificate: bytes,
    content: bytes,
    digest: str,
    algorithm: bytes,
    sign,
    *,
    attached=False,
    bare=False,
    hash_identifier=None,
) -> bytes:
    """A signature by any scheme; `sign` gets the attributes and the hash's name.

    A bare one has no attributes: what is signed is the content.
    """
    digest_identifier = hash_identifier or identifier(HASHES[digest][1])
    tbs, *_ = der.read(certificate).children()
    _, serial, _, issuer, *_ = tbs.children()
    bound = der.encode(
        der.SEQUENCE,
        digest_identifier,
        der.encode(der.OCTET_STRING, originals.digest(certificate, digest)),
    )
    imprint = der.encode(der.OCTET_STRING, originals.digest(content, digest))
    attributes = sorted(
        (
            signed_cms.attribute("1.2.840.113549.1.9.3", der.encode_oid(signed_cms.DATA)),
            signed_cms.attribute("1.2.840.113549.1.9.4", imprint),
            signed_cms.attribute(
                "1.2.840.113549.1.9.16.2.47",
                der.encode(der.SEQUENCE, der.encode(der.SEQUENCE, bound)),
            ),
        )
    )
    signed = content if bare else der.encode(der.SET, *attributes)
    signer = der.encode(
        der.SEQUENCE,
        b"\x02\x01\x01",
        der.encode(
            der.SEQUENCE,
            der.encode(issuer.tag, issuer.content),
            der.encode(serial.tag, serial.content),
        ),
        digest_identifier,
        *(() if bare else (der.encode(0xA0, *attributes),)),
        algorithm,
        der.encode(der.OCTET_STRING, sign(signed, digest)),
    )
    inside = [der.encode(0xA0, der.encode(der.OCTET_STRING, content))] if attached else []
    body = der.encode(
        der.SEQUENCE,
        b"\x02\x01\x01",
        der.encode(der.SET, digest_identifier),
        identifier(signed_cms.DATA, *inside),
        der.encode(0xA0, certificate),
        der.encode(der.SET, signer),
    )
    return identifier("1.2.840.113549.1.7.2", der.encode(0xA0, body))
