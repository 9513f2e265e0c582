"""Every scheme and key that can be verified, in CMS and in PDFs, and odd certificates."""

import hashlib

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import dsa, ec, ed448, ed25519, padding, rsa, utils

from pki import certificates, der, originals
from signing_service.validation import report
from signing_service.validation.certificates import foreign_certificates
from signing_service.validation.cms import cms_signature, foreign_keys, signature_values
from tests.support import forged_pdfs, odd_certificates, scheme_cms, signed_pdfs

CONTENT = b"TEST contract over 100 manat"
SUB = report.SubIndication
HASHES = scheme_cms.HASHES
RSA_KEY = rsa.generate_private_key(65537, 3072)
EC_KEY = ec.generate_private_key(ec.SECP256R1())
DSA_KEY = dsa.generate_private_key(1024)  # noqa: S505 - quickly made, and verified all the same
NULL = b"\x05\x00"


def pss_identifier(name: str) -> bytes:
    hasher = scheme_cms.identifier(HASHES[name][1])
    mask = scheme_cms.identifier("1.2.840.113549.1.1.8", hasher)
    salt = der.encode_integer(HASHES[name][0].digest_size)
    parameters = der.encode(
        der.SEQUENCE, der.encode(0xA0, hasher), der.encode(0xA1, mask), der.encode(0xA2, salt)
    )
    return scheme_cms.identifier("1.2.840.113549.1.1.10", parameters)


def sign_pkcs1(signed: bytes, name: str) -> bytes:
    return RSA_KEY.sign(signed, padding.PKCS1v15(), HASHES[name][0])


def sign_pss(signed: bytes, name: str) -> bytes:
    hasher = HASHES[name][0]
    return RSA_KEY.sign(signed, padding.PSS(padding.MGF1(hasher), hasher.digest_size), hasher)


def sign_ecdsa(signed: bytes, name: str) -> bytes:
    return EC_KEY.sign(signed, ec.ECDSA(HASHES[name][0]))


def sign_plain(signed: bytes, name: str) -> bytes:
    r, s = utils.decode_dss_signature(sign_ecdsa(signed, name))
    return r.to_bytes(32, "big") + s.to_bytes(32, "big")


SHA3_SIGNATURES = "2.16.840.1.101.3.4.3."
PLAIN = "0.4.0.127.0.7.1.1.4.1."
SCHEMES = {
    "PKCS#1, SHA3-256": (
        RSA_KEY,
        "sha3_256",
        scheme_cms.identifier(SHA3_SIGNATURES + "14", NULL),
        sign_pkcs1,
    ),
    "PKCS#1, SHA3-512": (
        RSA_KEY,
        "sha3_512",
        scheme_cms.identifier(SHA3_SIGNATURES + "16", NULL),
        sign_pkcs1,
    ),
    "RSA, SHA3-256": (
        RSA_KEY,
        "sha3_256",
        scheme_cms.identifier("1.2.840.113549.1.1.1", NULL),
        sign_pkcs1,
    ),
    "PSS, SHA-256": (RSA_KEY, "sha256", pss_identifier("sha256"), sign_pss),
    "PSS, SHA3-256": (RSA_KEY, "sha3_256", pss_identifier("sha3_256"), sign_pss),
    "PSS, SHA3-512": (RSA_KEY, "sha3_512", pss_identifier("sha3_512"), sign_pss),
    "ECDSA, SHA3-256": (
        EC_KEY,
        "sha3_256",
        scheme_cms.identifier(SHA3_SIGNATURES + "10"),
        sign_ecdsa,
    ),
    "ECDSA, SHA3-384": (
        EC_KEY,
        "sha3_384",
        scheme_cms.identifier(SHA3_SIGNATURES + "11"),
        sign_ecdsa,
    ),
    "plain ECDSA, SHA-256": (EC_KEY, "sha256", scheme_cms.identifier(PLAIN + "3"), sign_plain),
    "plain ECDSA, SHA3-256": (EC_KEY, "sha3_256", scheme_cms.identifier(PLAIN + "9"), sign_plain),
    "plain ECDSA, SHA3-512": (EC_KEY, "sha3_512", scheme_cms.identifier(PLAIN + "11"), sign_plain),
}


def check(message: bytes, content: bytes = CONTENT) -> frozenset[str]:
    read = cms_signature.Message(message)
    assert read.certificate is not None
    return read.check(read.certificate, signature_values.digest_of(content))


@pytest.mark.parametrize("scheme", SCHEMES)
def test_scheme_is_verified_in_cms_and_in_a_pdf(maker, judge, hierarchy, at, scheme):
    key, digest, algorithm, sign = SCHEMES[scheme]
    certificate = odd_certificates.certify(hierarchy, key.public_key(), at)
    message = scheme_cms.make_cms(certificate, CONTENT, digest, algorithm, sign)
    assert digest in check(message)
    changed = bytearray(message)
    changed[-3] ^= 1
    with pytest.raises(cms_signature.ValueMismatchError):
        check(bytes(changed))
    empty = maker.sign(signed_pdfs.make_pdf())
    inside = scheme_cms.make_cms(certificate, forged_pdfs.covered(empty), digest, algorithm, sign)
    (found,) = judge(forged_pdfs.replace_cms(empty, inside)).signatures
    assert found.intact, found.errors
    assert found.level == "PAdES-BASELINE-B"


@pytest.mark.clause("RFC 8419", "3.1")
@pytest.mark.parametrize(
    ("key", "oid"),
    [
        (ed25519.Ed25519PrivateKey.generate(), "1.3.101.112"),
        (ed448.Ed448PrivateKey.generate(), "1.3.101.113"),
    ],
)
def test_edwards_curves_sign_the_attributes_themselves(hierarchy, at, key, oid):
    certificate = odd_certificates.certify(hierarchy, key.public_key(), at)
    made = scheme_cms.make_cms(
        certificate,
        CONTENT,
        "sha256",
        scheme_cms.identifier(oid),
        lambda signed, _: key.sign(signed),
    )
    assert check(made) == {"sha256"}
    hashed = scheme_cms.make_cms(
        certificate,
        CONTENT,
        "sha256",
        scheme_cms.identifier(oid),
        lambda signed, _: key.sign(hashlib.sha256(signed).digest()),
    )
    with pytest.raises(cms_signature.ValueMismatchError):
        check(hashed)


@pytest.mark.clause("RFC 8419", "3.1")
@pytest.mark.parametrize(
    ("key", "oid"),
    [
        (ed25519.Ed25519PrivateKey.generate(), "1.3.101.112"),
        (ed448.Ed448PrivateKey.generate(), "1.3.101.113"),
    ],
)
def test_edwards_curves_sign_the_content_itself_where_there_are_no_attributes(
    hierarchy, at, key, oid
):
    certificate = odd_certificates.certify(hierarchy, key.public_key(), at)
    made = scheme_cms.make_cms(
        certificate,
        CONTENT,
        "shake_256",
        scheme_cms.identifier(oid),
        lambda signed, _: key.sign(signed),
        bare=True,
    )
    read = cms_signature.Message(made)
    digest = signature_values.digest_of(CONTENT)
    assert read.check(read.certificate, digest, CONTENT) == {"shake_256"}
    with pytest.raises(cms_signature.ValueMismatchError):
        read.check(read.certificate, digest, b"TEST another content")
    with pytest.raises(cms_signature.UnsupportedCMSError):
        read.check(read.certificate, digest)


@pytest.mark.clause("RFC 8419", "2.2")
@pytest.mark.parametrize("bits", [512, 256])
def test_hash_of_ed448_has_512_bits(hierarchy, at, bits):
    key = ed448.Ed448PrivateKey.generate()
    certificate = odd_certificates.certify(hierarchy, key.public_key(), at)
    message = scheme_cms.make_cms(
        certificate,
        CONTENT,
        "shake_256",
        scheme_cms.identifier("1.3.101.113"),
        lambda signed, _: key.sign(signed),
        hash_identifier=scheme_cms.identifier("2.16.840.1.101.3.4.2.18", der.encode_integer(bits)),
    )
    if bits == 512:
        assert check(message) == {"shake_256"}
    else:
        with pytest.raises(cms_signature.UnsupportedCMSError, match="not known"):
            check(message)


def sign_dsa(signed: bytes, name: str) -> bytes:
    return DSA_KEY.sign(signed, HASHES[name][0])


def sign_ripemd(signed: bytes, name: str) -> bytes:
    """PKCS#1 by hand: the library has no RIPEMD-160."""
    info = scheme_cms.identifier(HASHES[name][1], NULL)
    inside = der.encode(
        der.SEQUENCE, info, der.encode(der.OCTET_STRING, originals.digest(signed, name))
    )
    size = RSA_KEY.key_size // 8
    block = b"\x00\x01" + b"\xff" * (size - len(inside) - 3) + b"\x00" + inside
    numbers = RSA_KEY.private_numbers()
    value = pow(int.from_bytes(block, "big"), numbers.d, numbers.public_numbers.n)
    return value.to_bytes(size, "big")


def sign_prehashed(stand_in):
    def sign(signed: bytes, name: str) -> bytes:
        hashed = originals.digest(signed, name)
        return EC_KEY.sign(hashed, ec.ECDSA(utils.Prehashed(stand_in)))

    return sign


RARE = {
    "DSA, SHA-384": (DSA_KEY, "sha384", SHA3_SIGNATURES + "3", sign_dsa),
    "DSA, SHA3-256": (DSA_KEY, "sha3_256", SHA3_SIGNATURES + "6", sign_dsa),
    "PKCS#1, SHA-512/256": (RSA_KEY, "sha512_256", "1.2.840.113549.1.1.16", sign_pkcs1),
    "PKCS#1, RIPEMD-160": (RSA_KEY, "ripemd160", "1.3.36.3.3.1.2", sign_ripemd),
    "RSA, RIPEMD-160": (RSA_KEY, "ripemd160", "1.2.840.113549.1.1.1", sign_ripemd),
    "ECDSA, SHAKE128": (
        EC_KEY,
        "shake_128",
        "1.3.6.1.5.5.7.6.32",
        sign_prehashed(hashes.SHA256()),
    ),
    "ECDSA, SHAKE256": (
        EC_KEY,
        "shake_256",
        "1.3.6.1.5.5.7.6.33",
        sign_prehashed(hashes.SHA512()),
    ),
}


@pytest.mark.parametrize("scheme", RARE)
def test_rare_scheme_is_verified_and_left_to_the_policy(hierarchy, at, scheme):
    key, digest, oid, sign = RARE[scheme]
    certificate = odd_certificates.certify(hierarchy, key.public_key(), at)
    algorithm = scheme_cms.identifier(oid)
    message = scheme_cms.make_cms(certificate, CONTENT, digest, algorithm, sign)
    assert check(message) == {digest}
    changed = bytearray(message)
    changed[-3] ^= 1
    with pytest.raises(cms_signature.ValueMismatchError):
        check(bytes(changed))


def test_algorithm_that_is_not_known_is_no_damage(hierarchy, at):
    """What cannot be verified here may well be intact: nobody may be told otherwise."""
    certificate = odd_certificates.certify(hierarchy, EC_KEY.public_key(), at)
    algorithm = scheme_cms.identifier("1.3.6.1.4.1.99999.1")
    made = scheme_cms.make_cms(certificate, CONTENT, "sha256", algorithm, sign_ecdsa)
    with pytest.raises(cms_signature.UnsupportedCMSError, match=r"1\.3\.6\.1\.4\.1\.99999\.1"):
        check(made)


@pytest.mark.parametrize("curve", [ec.BrainpoolP256R1(), ec.BrainpoolP384R1(), ec.SECP521R1()])
def test_other_curves_with_names_are_verified(hierarchy, at, curve):
    key = ec.generate_private_key(curve)
    certificate = odd_certificates.certify(hierarchy, key.public_key(), at)
    made = scheme_cms.make_cms(
        certificate,
        CONTENT,
        "sha256",
        scheme_cms.identifier("1.2.840.10045.4.3.2"),
        lambda signed, _: key.sign(signed, ec.ECDSA(hashes.SHA256())),
    )
    assert check(made) == {"sha256"}


def test_plain_value_of_another_size_is_refused(hierarchy, at):
    """TR-03111 5.2.1: r and s have as many octets as the order of the curve."""
    certificate = odd_certificates.certify(hierarchy, EC_KEY.public_key(), at)

    def padded(signed: bytes, name: str) -> bytes:
        value = sign_plain(signed, name)
        return bytes(8) + value[:32] + bytes(8) + value[32:]

    made = scheme_cms.make_cms(
        certificate, CONTENT, "sha256", scheme_cms.identifier("0.4.0.127.0.7.1.1.4.1.3"), padded
    )
    with pytest.raises(cms_signature.ValueMismatchError, match="size"):
        check(made)


# --- certificates that a careful reader stumbles over ------------------------------------------


def negative_modulus(hierarchy, at) -> bytes:
    info = odd_certificates.rsa_key_info(RSA_KEY.public_key(), negative=True)
    plain = odd_certificates.certify(hierarchy, RSA_KEY.public_key(), at)
    return odd_certificates.with_field(hierarchy, plain, 6, info)


RSA_SHA256 = scheme_cms.identifier("1.2.840.113549.1.1.11", NULL)


@pytest.mark.clause("X.690", "8.3")
def test_modulus_without_its_zero_octet_is_read_as_meant_and_told(maker, judge, hierarchy, at):
    certificate = negative_modulus(hierarchy, at)
    with pytest.raises(ValueError, match="parsing"):
        x509.load_der_x509_certificate(certificate).public_key()
    empty = maker.sign(signed_pdfs.make_pdf())
    inside = scheme_cms.make_cms(
        certificate, forged_pdfs.covered(empty), "sha256", RSA_SHA256, sign_pkcs1
    )
    (found,) = judge(forged_pdfs.replace_cms(empty, inside)).signatures
    assert found.intact
    assert found.signed_by == "TEST odd key"
    assert "certificate-key-encoding" in {one.code for one in found.warnings}


def test_certificates_of_an_issuer_with_such_a_key_are_found(hierarchy, at):
    issuer = foreign_certificates.read_certificate(negative_modulus(hierarchy, at))
    template = x509.load_der_x509_certificate(
        odd_certificates.certify(hierarchy, EC_KEY.public_key(), at)
    )
    made = (
        x509.CertificateBuilder()
        .subject_name(template.subject)
        .issuer_name(issuer.subject)
        .public_key(EC_KEY.public_key())
        .serial_number(5)
        .not_valid_before(at)
        .not_valid_after(at)
    )
    assert foreign_certificates.is_issued_by(made.sign(RSA_KEY, hashes.SHA256()), issuer)
    other = rsa.generate_private_key(65537, 2048)
    assert not foreign_certificates.is_issued_by(made.sign(other, hashes.SHA256()), issuer)


def test_such_a_key_is_never_read_for_issuing(hierarchy, at):
    with pytest.raises(certificates.CertificateError):
        certificates.parse(negative_modulus(hierarchy, at))


@pytest.mark.clause("RFC 4055", "1.2")
def test_key_for_pss_alone_verifies_nothing_else(hierarchy, at):
    info = odd_certificates.rsa_key_info(
        RSA_KEY.public_key(), algorithm=odd_certificates.RSA_PSS_KEY
    )
    plain = odd_certificates.certify(hierarchy, RSA_KEY.public_key(), at)
    certificate = odd_certificates.with_field(hierarchy, plain, 6, info)
    check(scheme_cms.make_cms(certificate, CONTENT, "sha256", pss_identifier("sha256"), sign_pss))
    with pytest.raises(cms_signature.ValueMismatchError, match="RSASSA-PSS alone"):
        check(scheme_cms.make_cms(certificate, CONTENT, "sha256", RSA_SHA256, sign_pkcs1))


@pytest.mark.clause("RFC 5480", "2.1.1")
@pytest.mark.parametrize("own_generator", [False, True])
def test_curve_that_is_spelled_out_is_taken_only_where_it_is_a_known_one_in_every_part(
    judge, maker, hierarchy, at, own_generator
):
    """With a generator of one's own, everybody's public key is one's own (CVE-2020-0601)."""
    info = odd_certificates.explicit_curve_info(
        EC_KEY.public_key(), generator=EC_KEY.public_key() if own_generator else None
    )
    plain = odd_certificates.certify(hierarchy, EC_KEY.public_key(), at)
    certificate = odd_certificates.with_field(hierarchy, plain, 6, info)
    empty = maker.sign(signed_pdfs.make_pdf())
    inside = scheme_cms.make_cms(
        certificate,
        forged_pdfs.covered(empty),
        "sha256",
        scheme_cms.identifier("1.2.840.10045.4.3.2"),
        sign_ecdsa,
    )
    (found,) = judge(forged_pdfs.replace_cms(empty, inside)).signatures
    if not own_generator:
        assert found.intact
        return
    assert foreign_keys.of_certificate(foreign_certificates.read_certificate(certificate)) is None
    assert found.intact is None
    assert found.sub_indication is SUB.CRYPTO_CONSTRAINTS_FAILURE_NO_POE
    assert "key of the signing certificate" in found.errors[0].message


@pytest.mark.filterwarnings("ignore:Parsed a (negative )?serial number")
@pytest.mark.parametrize("serial", [b"\xff", b"\x00"])
def test_number_that_is_not_positive_still_names_its_certificate(hierarchy, at, serial):
    plain = odd_certificates.certify(hierarchy, EC_KEY.public_key(), at)
    certificate = odd_certificates.with_field(hierarchy, plain, 1, der.encode(der.INTEGER, serial))
    made = scheme_cms.make_cms(
        certificate, CONTENT, "sha256", scheme_cms.identifier("1.2.840.10045.4.3.2"), sign_ecdsa
    )
    assert check(made) == {"sha256"}


def test_extension_that_cannot_be_read_keeps_the_value_intact(maker, judge, hierarchy, at):
    """What the certificate is for cannot be said then, and so the signature does not pass."""
    plain = odd_certificates.certify(hierarchy, EC_KEY.public_key(), at)
    broken = der.encode(
        der.SEQUENCE,
        der.encode(
            der.SEQUENCE, der.encode_oid("2.5.29.15"), der.encode(der.OCTET_STRING, b"\x03\x09\x00")
        ),
    )
    certificate = odd_certificates.with_field(hierarchy, plain, 7, der.encode(0xA3, broken))
    empty = maker.sign(signed_pdfs.make_pdf())
    inside = scheme_cms.make_cms(
        certificate,
        forged_pdfs.covered(empty),
        "sha256",
        scheme_cms.identifier("1.2.840.10045.4.3.2"),
        sign_ecdsa,
    )
    (found,) = judge(forged_pdfs.replace_cms(empty, inside)).signatures
    assert found.intact
    assert found.indication is report.Indication.INDETERMINATE


def test_key_of_half_a_kind_is_refused_and_nothing_raised(hierarchy, at):
    """An exponent of zero, a modulus far too long, a key that is no sequence."""
    plain = odd_certificates.certify(hierarchy, RSA_KEY.public_key(), at)
    oid = scheme_cms.identifier("1.2.840.113549.1.1.1", NULL)
    for bits in (
        der.encode(der.SEQUENCE, der.encode(der.INTEGER, b"\xff" * 256), b"\x02\x01\x00"),
        der.encode(der.SEQUENCE, der.encode(der.INTEGER, b"\xff" * 9000), b"\x02\x01\x03"),
        b"\x30",
        b"",
    ):
        info = der.encode(der.SEQUENCE, oid, der.encode(der.BIT_STRING, b"\0" + bits))
        read = foreign_certificates.read_certificate(
            odd_certificates.with_field(hierarchy, plain, 6, info)
        )
        assert foreign_keys.of_certificate(read) is None
        assert foreign_keys.oddity(read) is None
