import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mobile_id import control_code
from pki import errors, signature
from pki.algorithms import HashAlgorithm


@pytest.mark.clause("Mobile-ID REST", "2.4.1")
def test_the_published_example_gives_the_published_code() -> None:
    hash_value = bytes.fromhex("2f665f6a6999e0ef0752e00ec9f453adf59d8cb6")
    assert control_code.control_code_of_hash(hash_value) == "1462"


@given(st.binary(), st.sampled_from(HashAlgorithm))
def test_a_control_code_always_has_four_digits_and_fits_13_bits(
    data: bytes, algorithm: HashAlgorithm
) -> None:
    code = control_code.control_code(signature.represent(data, algorithm))
    assert len(code) == control_code.WIDTH
    assert code.isdigit()
    assert 0 <= int(code) <= control_code.HIGHEST


@given(st.binary(min_size=1))
def test_it_is_what_relying_parties_compute_in_another_way(hash_value: bytes) -> None:
    # How a published client writes it: mask, shift, join.
    other = ((0xFC & hash_value[0]) << 5) | (hash_value[-1] & 0x7F)
    assert int(control_code.control_code_of_hash(hash_value)) == other


def test_small_codes_keep_their_zeros() -> None:
    assert control_code.control_code_of_hash(bytes(32)) == "0000"
    assert control_code.control_code_of_hash(bytes(31) + b"\x29") == "0041"
    assert control_code.control_code_of_hash(b"\xff" * 32) == "8191"


def test_no_hash_has_no_code() -> None:
    with pytest.raises(errors.InputError):
        control_code.control_code_of_hash(b"")


def test_another_document_almost_always_has_another_code() -> None:
    codes = {
        control_code.control_code_of_hash(hashlib.sha256(str(number).encode()).digest())
        for number in range(1000)
    }
    assert len(codes) > 900
