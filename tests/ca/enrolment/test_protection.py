import dataclasses
import hashlib
import hmac

import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from ca.enrolment import messages, protection
from pki import algorithms, der, der_types
from tests.support import cmp_office
from tests.support.hierarchy import make_key

PART = b"protected part"
MAC = cmp_office.MAC


def _message(value: bytes | None) -> messages.PKIMessage:
    header = messages.PKIHeader(2, b"", b"", None, None)
    return messages.PKIMessage(header, 0, der.Element(0x30, b""), PART, value, ())


@pytest.mark.clause("RFC 9810", "5.1.3.1")
def test_the_mac_is_an_hmac_with_a_key_hashed_as_often_as_said() -> None:
    key = b"secret" + MAC.salt
    for _ in range(MAC.iterations):
        key = hashlib.sha256(key).digest()
    assert MAC.compute(b"secret", PART) == hmac.new(key, PART, "sha1").digest()


def test_a_mac_by_another_secret_over_other_bytes_or_none_is_refused() -> None:
    good = MAC.compute(b"secret", PART)
    protection.check_mac(MAC, b"secret", _message(good))
    for secret, value in ((b"other", good), (b"secret", good[:-1]), (b"secret", None)):
        with pytest.raises(messages.RefusedError) as refused:
            protection.check_mac(MAC, secret, _message(value))
        assert refused.value.failure is messages.FailureInfo.badMessageCheck


@pytest.mark.parametrize("hash_number", [1, 2, 3])
@pytest.mark.parametrize("mac", ["1.3.6.1.5.5.8.1.2", "1.2.840.113549.2.9", "1.2.840.113549.2.11"])
def test_parameters_are_read_back(hash_number: int, mac: str) -> None:
    made = protection.PasswordBasedMac(b"salt", f"2.16.840.1.101.3.4.2.{hash_number}", 100, mac)
    assert protection.is_password_based(made.algorithm())
    assert protection.parse_password_based(made.algorithm()) == made
    assert made.with_fresh_salt().salt != made.with_fresh_salt().salt


@pytest.mark.parametrize(
    "changes",
    [
        {"iterations": 99},
        {"iterations": 100_001},
        {"iterations": 2**64},
        {"iterations": -1},
        {"salt": bytes(129)},
        {"one_way_function": "1.3.14.3.2.26"},
        {"one_way_function": "1.2.840.113549.2.5"},
        {"mac": "1.2.840.113549.2.6"},
    ],
)
@pytest.mark.clause("RFC 4211", "4.4")
def test_parameters_that_cost_too_much_or_protect_too_little_are_refused(
    changes: dict[str, object],
) -> None:
    made = dataclasses.replace(MAC, **changes)  # type: ignore[arg-type]
    with pytest.raises(messages.RefusedError) as refused:
        protection.parse_password_based(made.algorithm())
    assert refused.value.failure is messages.FailureInfo.badAlg


@pytest.mark.parametrize("kind", list(algorithms.KeyKind))
def test_a_signature_is_checked_with_the_key_it_is_said_to_come_from(
    kind: algorithms.KeyKind,
) -> None:
    key = make_key(kind)
    value = cmp_office.sign(key, PART)
    algorithm = der_types.encode_signature_algorithm(value)
    signed = _message(value.encoded_for_cms())
    protection.check_signature(algorithm, key.public_key(), signed)
    for other in (make_key(kind), make_key(algorithms.KeyKind.P384)):
        with pytest.raises(messages.RefusedError):
            protection.check_signature(algorithm, other.public_key(), signed)


def test_a_signature_with_a_weak_hash_is_refused() -> None:
    key = make_key(algorithms.KeyKind.P256)
    assert isinstance(key, ec.EllipticCurvePrivateKey)
    ecdsa_with_sha1 = der.encode(der.SEQUENCE, der.encode_oid("1.2.840.10045.4.1"))
    with pytest.raises(messages.RefusedError) as refused:
        protection.check_signature(ecdsa_with_sha1, key.public_key(), _message(b"x"))
    assert refused.value.failure is messages.FailureInfo.badAlg
