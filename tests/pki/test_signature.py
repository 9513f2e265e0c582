import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from hypothesis import given
from hypothesis import strategies as st

from pki import algorithms, errors, signature
from tests.support import hierarchy as chains

KEYS = {kind: chains.MemoryKey(kind.value, chains.make_key(kind)) for kind in algorithms.KeyKind}
ANY_KEY = st.sampled_from(sorted(KEYS, key=lambda kind: kind.value))
ANY_HASH = st.sampled_from(list(algorithms.HashAlgorithm))


@given(ANY_KEY, ANY_HASH, st.binary(max_size=64))
def test_a_value_verifies_over_what_was_signed_and_over_nothing_else(
    kind: algorithms.KeyKind, hash_algorithm: algorithms.HashAlgorithm, data: bytes
) -> None:
    key = KEYS[kind]
    representation = signature.represent(data, hash_algorithm)
    value = key.sign(representation)
    signature.check_value(key.public_key, representation, value)
    other = signature.represent(data + b"x", hash_algorithm)
    with pytest.raises(signature.SignatureValueError):
        signature.check_value(key.public_key, other, value)


@given(st.integers(1, 2**256 - 1), st.integers(1, 2**256 - 1))
def test_raw_and_der_forms_of_an_ecdsa_value_are_one_value(r: int, s: int) -> None:
    raw = r.to_bytes(32, "big") + s.to_bytes(32, "big")
    assert algorithms.ecdsa_der_to_raw(algorithms.ecdsa_raw_to_der(raw), 32) == raw


@given(st.binary(max_size=80))
def test_bytes_that_are_no_ecdsa_value_are_refused(der: bytes) -> None:
    try:
        raw = algorithms.ecdsa_der_to_raw(der, 32)
    except algorithms.SignatureEncodingError:
        return
    assert len(raw) == 64


def test_an_ecdsa_value_in_der_is_refused_by_name() -> None:
    key = KEYS[algorithms.KeyKind.P256]
    representation = signature.represent(b"x", algorithms.HashAlgorithm.SHA256)
    value = key.sign(representation)
    der = signature.SignatureValue(value.algorithm, value.hash_algorithm, value.encoded_for_cms())
    with pytest.raises(algorithms.SignatureEncodingError, match=r"raw r\|\|s of 64 bytes, got DER"):
        signature.check_value(key.public_key, representation, der)


def test_a_value_of_another_key_is_refused() -> None:
    representation = signature.represent(b"x", algorithms.HashAlgorithm.SHA256)
    value = KEYS[algorithms.KeyKind.P256].sign(representation)
    stranger = ec.generate_private_key(ec.SECP256R1()).public_key()
    with pytest.raises(signature.SignatureValueError):
        signature.check_value(stranger, representation, value)


def test_a_hash_of_another_length_is_refused() -> None:
    with pytest.raises(errors.InputError, match="expected a SHA-256 hash of 32 bytes, got 31"):
        signature.DataToBeSignedRepresentation(algorithms.HashAlgorithm.SHA256, b"x" * 31)


def test_curves_that_are_not_allowed_are_refused() -> None:
    with pytest.raises(algorithms.UnsupportedAlgorithmError, match="secp521r1"):
        algorithms.key_kind(ec.generate_private_key(ec.SECP521R1()).public_key())
