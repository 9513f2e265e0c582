"""Certificates with keys of every kind, and ones that a careful reader stumbles over."""

import datetime

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import NameOID

from pki import der
from tests.support import hierarchy

ECDSA_SHA256 = der.encode(der.SEQUENCE, der.encode_oid("1.2.840.10045.4.3.2"))
RSA_PSS_KEY = der.encode(der.SEQUENCE, der.encode_oid("1.2.840.113549.1.1.10"))


def certify(world: hierarchy.Hierarchy, public_key, at: datetime.datetime) -> bytes:  # type: ignore[no-untyped-def]
    """A certificate for signing documents, for any key that the library can hold."""
    built = (
        x509.CertificateBuilder()
        .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "TEST odd key")]))
        .issuer_name(world.issuing.certificate.subject)
        .public_key(public_key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(at - datetime.timedelta(days=1))
        .not_valid_after(at + datetime.timedelta(days=300))
        .add_extension(
            x509.KeyUsage(False, True, False, False, False, False, False, False, False), True
        )
        .sign(world.issuing.key, hashes.SHA256())
    )
    return built.public_bytes(serialization.Encoding.DER)


def with_field(world: hierarchy.Hierarchy, certificate: bytes, place: int, field: bytes) -> bytes:
    """The certificate with another element at a place of its TBSCertificate, signed anew."""
    tbs, *_ = der.read(certificate).children()
    fields = [der.encode(one.tag, one.content) for one in tbs.children()]
    fields[place] = field
    return signed(world, der.encode(der.SEQUENCE, *fields))


def signed(world: hierarchy.Hierarchy, tbs: bytes) -> bytes:
    """A certificate around any TBSCertificate."""
    value = world.issuing.key.sign(tbs, ec.ECDSA(hashes.SHA256()))
    bits = der.encode(der.BIT_STRING, b"\0" + value)
    # The issuing CA's key is on P-384; its twin's algorithm names SHA-256 all the same.
    return der.encode(der.SEQUENCE, tbs, ECDSA_SHA256, bits)


def rsa_key_info(
    key: rsa.RSAPublicKey, *, algorithm: bytes | None = None, negative: bool = False
) -> bytes:
    """A SubjectPublicKeyInfo, perhaps with a modulus that X.690 reads as negative."""
    numbers = key.public_numbers()
    modulus = numbers.n.to_bytes((key.key_size + 7) // 8, "big")
    bits = der.encode(
        der.SEQUENCE,
        der.encode(der.INTEGER, modulus if negative else b"\0" + modulus),
        der.encode_integer(numbers.e),
    )
    plain = der.encode(der.SEQUENCE, der.encode_oid("1.2.840.113549.1.1.1"), b"\x05\x00")
    return der.encode(der.SEQUENCE, algorithm or plain, der.encode(der.BIT_STRING, b"\0" + bits))


def explicit_curve_info(
    key: ec.EllipticCurvePublicKey, *, generator: ec.EllipticCurvePublicKey | None = None
) -> bytes:
    """A SubjectPublicKeyInfo that spells P-256 out instead of naming it (X9.62 specifiedCurve)."""
    prime = 2**256 - 2**224 + 2**192 + 2**96 - 1
    b = 0x5AC635D8AA3A93E7B3EBBD55769886BC651D06B0CC53B0F63BCE3C3E27D2604B
    order = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
    generator = generator or ec.derive_private_key(1, ec.SECP256R1()).public_key()
    point = (serialization.Encoding.X962, serialization.PublicFormat.UncompressedPoint)
    parameters = der.encode(
        der.SEQUENCE,
        der.encode_integer(1),
        der.encode(der.SEQUENCE, der.encode_oid("1.2.840.10045.1.1"), der.encode_integer(prime)),
        der.encode(
            der.SEQUENCE,
            der.encode(der.OCTET_STRING, (prime - 3).to_bytes(32, "big")),
            der.encode(der.OCTET_STRING, b.to_bytes(32, "big")),
        ),
        der.encode(der.OCTET_STRING, generator.public_bytes(*point)),
        der.encode_integer(order),
        der.encode_integer(1),
    )
    algorithm = der.encode(der.SEQUENCE, der.encode_oid("1.2.840.10045.2.1"), parameters)
    return der.encode(
        der.SEQUENCE, algorithm, der.encode(der.BIT_STRING, b"\0" + key.public_bytes(*point))
    )
