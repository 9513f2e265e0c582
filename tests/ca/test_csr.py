import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from hypothesis import given, settings
from hypothesis import strategies as st

from ca import csr
from pki import algorithms, errors
from tests.support import ca_world
from tests.support.hierarchy import make_key

GOOD = ca_world.make_csr()


@pytest.mark.parametrize("kind", list(algorithms.KeyKind))
@pytest.mark.clause("RFC 2986", "4.2")
def test_a_request_proves_that_its_owner_has_the_key(kind: algorithms.KeyKind) -> None:
    key = make_key(kind)
    parsed = csr.parse(ca_world.make_csr(key=key))
    assert parsed.key_kind is kind
    assert parsed.public_key.public_numbers() == key.public_key().public_numbers()


def test_a_request_signed_by_another_key_is_refused() -> None:
    mine, other = ca_world.make_csr(), ca_world.make_csr()
    request, stolen = x509.load_der_x509_csr(mine), x509.load_der_x509_csr(other)
    point = request.public_key().public_bytes(
        serialization.Encoding.X962, serialization.PublicFormat.UncompressedPoint
    )
    victim = stolen.public_key().public_bytes(
        serialization.Encoding.X962, serialization.PublicFormat.UncompressedPoint
    )
    with pytest.raises(csr.ProofOfPossessionError):
        csr.parse(mine.replace(point, victim))


@pytest.mark.parametrize(
    "key",
    [
        rsa.generate_private_key(65537, 2048),
        rsa.generate_private_key(3, 3072),
        ec.generate_private_key(ec.SECP521R1()),
        ec.generate_private_key(ec.SECP256K1()),
    ],
    ids=["RSA-2048", "exponent 3", "P-521", "secp256k1"],
)
@pytest.mark.clause("TS 119 312", "5")
def test_weak_and_unusual_keys_are_refused(key: algorithms.PrivateKey) -> None:
    with pytest.raises(algorithms.UnsupportedAlgorithmError):
        csr.parse(ca_world.make_csr(key=key))


def test_a_request_of_another_version_is_refused() -> None:
    version = b"\x02\x01\x00"
    with pytest.raises(csr.CSRError):
        csr.parse(GOOD.replace(version, b"\x02\x01\x23", 1))


def test_an_edwards_key_is_refused() -> None:
    name = x509.Name([])
    request = x509.CertificateSigningRequestBuilder().subject_name(name)
    der = request.sign(ed25519.Ed25519PrivateKey.generate(), None)
    with pytest.raises(algorithms.UnsupportedAlgorithmError):
        csr.parse(der.public_bytes(serialization.Encoding.DER))


def test_a_weak_hash_is_refused() -> None:
    request = x509.CertificateSigningRequestBuilder().subject_name(x509.Name([]))
    der = request.sign(make_key(algorithms.KeyKind.P256), hashes.SHA224())
    with pytest.raises(errors.InputError):
        csr.parse(der.public_bytes(serialization.Encoding.DER))


def test_a_huge_request_is_refused() -> None:
    with pytest.raises(errors.LimitError):
        csr.parse(GOOD + bytes(csr.MAX_CSR_BYTES))


@given(st.integers(0, len(GOOD) - 1), st.integers(0, 255), st.integers(0, len(GOOD)))
@settings(max_examples=400, deadline=None)
def test_mutated_input_raises_input_error_and_nothing_else(
    place: int, value: int, length: int
) -> None:
    mutated = bytearray(GOOD)
    mutated[place] = value
    for data in (bytes(mutated), bytes(mutated)[:length], bytes(mutated) + b"\x00"):
        try:
            parsed = csr.parse(data)
        except errors.InputError:
            continue
        assert parsed.key_sha256 == csr.parse(GOOD).key_sha256
