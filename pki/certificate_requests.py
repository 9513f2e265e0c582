"""PKCS#10 requests signed by a key that only signs: a file's, a token's or a card's."""

from cryptography.hazmat.primitives import serialization

from pki import algorithms, der, signature
from pki.keystore import store

_ALGORITHMS = {
    algorithms.KeyKind.P256: "1.2.840.10045.4.3.2",
    algorithms.KeyKind.P384: "1.2.840.10045.4.3.3",
}
"""ecdsa-with-SHA256 and ecdsa-with-SHA384 (RFC 5758 3.2)."""


def build(key: store.KeyHandle) -> bytes:
    """Return a request in DER (RFC 2986 4.2) with an empty subject, which the CA decides.

    Raises:
        UnsupportedAlgorithmError: Not an EC key.
        DeviceError: The key's token failed.
    """
    kind = algorithms.key_kind(key.public_key)
    if kind not in _ALGORITHMS:
        raise algorithms.UnsupportedAlgorithmError(
            f"expected a key on P-256 or P-384, got {kind.value}"
        )
    key_info = key.public_key.public_bytes(
        serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    info = der.encode(
        der.SEQUENCE,
        der.encode(der.INTEGER, b"\x00"),
        der.encode(der.SEQUENCE),
        key_info,
        der.encode(0xA0),
    )
    value = key.sign(signature.represent(info, kind.hash_algorithm)).encoded_for_cms()
    algorithm = der.encode(der.SEQUENCE, der.encode_oid(_ALGORITHMS[kind]))
    return der.encode(der.SEQUENCE, info, algorithm, der.encode(der.BIT_STRING, b"\x00", value))
