import datetime
import pathlib

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa

from pki import settings
from signing_service.validation import policy

EXAMPLE = pathlib.Path("docs/examples/validation-policy.toml")
BEFORE = datetime.datetime(2009, 6, 1, tzinfo=datetime.UTC)
NOW = datetime.datetime(2026, 11, 22, tzinfo=datetime.UTC)
SHA256 = frozenset({"sha256"})


@pytest.fixture(scope="module")
def example() -> policy.ValidationPolicy:
    return policy.load(EXAMPLE)


def test_example_is_a_policy(example):
    assert example.name == "example-2026"
    assert example.require_time_stamp
    assert example.clock_skew == datetime.timedelta(minutes=5)


@pytest.mark.parametrize(
    ("bits", "at", "is_weak"),
    [(3072, NOW, False), (2048, NOW, True), (2048, BEFORE, False), (1024, BEFORE, True)],
)
def test_rsa_key_is_judged_for_the_time_of_its_signature(example, bits, at, is_weak):
    key = rsa.generate_private_key(65537, bits).public_key()
    assert (example.weakness(key, SHA256, at) is not None) is is_weak


@pytest.mark.parametrize(("at", "is_weak"), [(BEFORE, False), (NOW, True)])
def test_hash_function_is_judged_for_the_time_of_its_signature(example, at, is_weak):
    key = ec.generate_private_key(ec.SECP256R1()).public_key()
    weak = example.weakness(key, frozenset({"sha1", "sha256"}), at)
    assert (weak is not None) is is_weak


def test_last_day_of_an_algorithm_counts(example):
    key = ec.generate_private_key(ec.SECP256R1()).public_key()
    last = datetime.datetime(2009, 12, 31, 23, 59, 59, tzinfo=datetime.UTC)
    sha1 = frozenset({"sha1"})
    assert example.weakness(key, sha1, last) is None
    assert example.weakness(key, sha1, last + datetime.timedelta(seconds=1)) is not None


def test_kind_of_key_that_no_rule_names_is_weak(example):
    assert example.weakness(ed25519.Ed25519PrivateKey.generate().public_key(), SHA256, NOW)
    assert example.weakness(None, SHA256, NOW)


@pytest.mark.parametrize(
    "content",
    [
        "name = 5",
        "names = 'a'",
        "name = 'imza-ades-1'",
        "name = 'a'\ndigests = [{name = 'MD5'}]",
        "name = 'a'\nrequire_qualified = ['gold']",
        "name = 'a'\nrsa = [{bits = '2048'}]",
        "name = 'a'\nrsa = [{bits = 2048, until = 2026-01-01T00:00:00Z}]",
        "not toml",
    ],
)
def test_file_that_is_no_policy_is_refused(tmp_path, content):
    path = tmp_path / "policy.toml"
    path.write_text(content)
    with pytest.raises((settings.SettingsError, policy.PolicyFileError)):
        policy.load(path)


def test_two_policies_of_one_name_are_refused(tmp_path):
    for name in ("a.toml", "b.toml"):
        (tmp_path / name).write_text("name = 'same'")
    with pytest.raises(policy.PolicyFileError, match="another policy"):
        policy.load_all([tmp_path / "a.toml", tmp_path / "b.toml"])


def test_unknown_policy_is_told_with_those_that_are_known():
    policies = policy.load_all([EXAMPLE])
    assert policy.named(policies, None) is policy.DEFAULT
    with pytest.raises(policy.UnknownPolicyError, match="example-2026, imza-ades-1"):
        policy.named(policies, "gold")
