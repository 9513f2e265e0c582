"""Signed requests: the standard's own example, round trips, and everything that is refused."""

import base64
import dataclasses
import datetime
import hashlib
from collections.abc import Callable

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from hypothesis import given
from hypothesis import strategies as st

from pki import algorithms, errors, message_signatures
from tests.support.hierarchy import MemoryKey, make_key

AT = datetime.datetime(2026, 1, 31, 12, 0, 0, 700_000, tzinfo=datetime.UTC)
KEY_ID = "ab" * 32
TAG = "test"
KEY = MemoryKey("test", ec.derive_private_key(0x1D2C3B4A, ec.SECP256R1()))

TEST_KEY_ECC_P256 = b"""-----BEGIN PUBLIC KEY-----
MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEqIVYZVLCrPZHGHjP17CTW0/+D9Lf
w0EkjqF7xB4FivAxzic30tMM4GF+hR6Dxh71Z50VGGdldkkDXZCnTNnoXQ==
-----END PUBLIC KEY-----
"""
"""RFC 9421 B.1.3."""


def a_request(body: bytes = b'{"a": 1}', **given: str) -> message_signatures.Request:
    fields = [("Host", "ca.example.com")] + ([("Content-Type", "application/json")] if body else [])
    return message_signatures.Request(
        given.get("method", "POST"),
        given.get("path", "/ra/v1/x"),
        given.get("query", "a=%C9%99&b"),
        fields,
        body,
    )


def signed(
    request: message_signatures.Request | None = None,
    key: MemoryKey = KEY,
    at: datetime.datetime = AT,
) -> message_signatures.Request:
    request = request or a_request()
    made = message_signatures.sign(request, key, key_id=KEY_ID, tag=TAG, at=at)
    return dataclasses.replace(request, fields=[*request.fields, *made.items()])


def check(
    request: message_signatures.Request, key: MemoryKey = KEY, at: datetime.datetime = AT
) -> message_signatures.Claim:
    claim = message_signatures.read(request, tag=TAG, at=at)
    message_signatures.check_value(key.public_key, claim.algorithm, claim.base, claim.value)
    return claim


def changed(
    request: message_signatures.Request, name: str, change: Callable[[str], str]
) -> message_signatures.Request:
    fields = [
        (field, change(value) if field.lower() == name else value)
        for field, value in request.fields
    ]
    return dataclasses.replace(request, fields=fields)


@pytest.mark.clause("RFC 9421", "B.2.4")
def test_the_standards_example_of_ecdsa_p256_verifies() -> None:
    key = serialization.load_pem_public_key(TEST_KEY_ECC_P256)
    digest = (
        "sha-512=:mEWXIS7MaLRuGgxOBdODa3xqM1XdEvxoYhvlCFJ41QJgJc4GTsPp29l5oGX69wWdXymyU0rjJuahq4l5"
        "aGgfLQ==:"
    )
    base = message_signatures.signature_base(
        [
            ("@status", "200"),
            ("content-type", "application/json"),
            ("content-digest", digest),
            ("content-length", "23"),
        ],
        '("@status" "content-type" "content-digest" "content-length")'
        ';created=1618884473;keyid="test-key-ecc-p256"',
    )
    value = base64.b64decode(
        "wNmSUAhwb5LxtOtOpNa6W5xj067m5hFrj0XQ4fvpaCLx0NKocgPquLgyahnzDnDAUy5eCdlYUEkLIj+32oiasw=="
    )
    message_signatures.check_value(key, "ecdsa-p256-sha256", base, value)
    with pytest.raises(message_signatures.MessageSignatureError, match="does not verify"):
        message_signatures.check_value(key, "ecdsa-p256-sha256", base + b" ", value)


@pytest.mark.clause("RFC 9421", "2.5")
def test_the_signature_base_is_what_the_standard_says() -> None:
    claim = check(signed())
    assert claim.base.decode().splitlines()[:-1] == [
        '"@method": POST',
        '"@path": /ra/v1/x',
        '"@query": ?a=%C9%99&b',
        f'"content-digest": {message_signatures.content_digest(b"""{"a": 1}""")}',
        '"content-type": application/json',
    ]
    covered = '"@method" "@path" "@query" "content-digest" "content-type"'
    last = claim.base.decode().splitlines()[-1]
    assert last.startswith(f'"@signature-params": ({covered});created=1769860800;expires=')
    assert not claim.base.endswith(b"\n")


@pytest.mark.clause("RFC 9530", "2")
def test_the_digest_is_the_bodys() -> None:
    # The example of RFC 9530 appendix D, `{"title": "Hello"}` spelled by sha-256.
    body = b'{"title": "Hello"}'
    expected = base64.b64encode(hashlib.sha256(body).digest()).decode()
    assert message_signatures.content_digest(body) == f"sha-256=:{expected}:"


@pytest.mark.parametrize("kind", [algorithms.KeyKind.P256, algorithms.KeyKind.P384])
@pytest.mark.parametrize("body", [b"", b"{}", b"x" * 100_000])
def test_what_is_signed_verifies(kind: algorithms.KeyKind, body: bytes) -> None:
    key = MemoryKey("test", make_key(kind))
    claim = check(signed(a_request(body), key), key)
    assert claim.key_id == KEY_ID
    assert claim.created == AT.replace(microsecond=0)
    assert claim.algorithm == f"ecdsa-{'p256-sha256' if kind.name == 'P256' else 'p384-sha384'}"


def test_no_two_signatures_have_the_same_nonce() -> None:
    assert check(signed()).nonce != check(signed()).nonce


def test_a_key_that_signs_no_requests_is_told() -> None:
    key = MemoryKey("test", make_key(algorithms.KeyKind.RSA3072))
    with pytest.raises(algorithms.UnsupportedAlgorithmError):
        signed(key=key)
    with pytest.raises(message_signatures.MessageSignatureError):
        check(signed(), key)


@pytest.mark.parametrize(
    "change",
    [
        {"method": "GET"},
        {"path": "/ra/v1/y"},
        {"path": "/ra/v1/x/"},
        {"query": "a=%C9%99&c"},
        {"query": ""},
        {"body": b'{"a": 2}'},
        {"body": b""},
    ],
)
def test_a_request_that_was_altered_is_refused(change: dict[str, object]) -> None:
    with pytest.raises(message_signatures.MessageSignatureError):
        check(dataclasses.replace(signed(), **change))  # type: ignore[arg-type]


def test_a_body_with_a_digest_of_its_own_is_refused() -> None:
    request = dataclasses.replace(signed(), body=b"{}")
    digest = message_signatures.content_digest(b"{}")
    with pytest.raises(message_signatures.MessageSignatureError, match="does not verify"):
        check(changed(request, "content-digest", lambda _: digest))


def test_another_content_type_is_refused() -> None:
    with pytest.raises(message_signatures.MessageSignatureError):
        check(changed(signed(), "content-type", lambda _: "text/plain"))


@pytest.mark.clause("RFC 9421", "3.2.1")
@pytest.mark.parametrize(
    "component", ['"@method" ', '"@path" ', '"@query" ', ' "content-digest"', ' "content-type"']
)
def test_a_signature_that_leaves_something_uncovered_is_refused(component: str) -> None:
    request = changed(signed(), "signature-input", lambda value: value.replace(component, "", 1))
    with pytest.raises(message_signatures.MessageSignatureError, match="covers"):
        check(request)


def test_a_key_of_another_algorithm_is_refused() -> None:
    for algorithm in ("ecdsa-p384-sha384", "rsa-pss-sha512", "hmac-sha256"):
        request = changed(
            signed(),
            "signature-input",
            lambda value, name=algorithm: value.replace("ecdsa-p256-sha256", name),  # type: ignore[misc]
        )
        with pytest.raises(message_signatures.MessageSignatureError, match="alg"):
            check(request)


@pytest.mark.parametrize("late_s", [-61, 61, 3600, -86400])
def test_a_request_of_another_time_is_refused(late_s: int) -> None:
    with pytest.raises(message_signatures.ClockDifferenceError, match="clock"):
        check(signed(), at=AT + datetime.timedelta(seconds=late_s))


@pytest.mark.parametrize("late_s", [-59, 0, 59])
def test_clocks_may_differ_by_a_minute(late_s: int) -> None:
    check(signed(), at=AT + datetime.timedelta(seconds=late_s))


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (";expires=1769860860", ""),
        (";expires=1769860860", ";expires=1769860861"),
        (";expires=1769860860", ";expires=1769860800"),
        (";created=1769860800", ""),
        (";created=1769860800", ";created=1769860800.0"),
        (";created=1769860800", ";created=1769860800;created=1769860800"),
        (';tag="test"', ';tag="other"'),
        (';tag="test"', ""),
        (';tag="test"', ';tag="test";more=1'),
        (";nonce=", ";nonse="),
        ("imza=(", "other=("),
        ("imza=(", "imza= ("),
        ('"@method" "@path"', '"@method"  "@path"'),
        ('"@method"', '"@method";req'),
        ('"@method"', '"@method" "@method"'),
        ('"content-type")', '"content-type" "host")'),
        ('"@method" "@path"', '"@path" "@method"'),
    ],
)
def test_another_spelling_of_the_parameters_is_refused(old: str, new: str) -> None:
    whole = dict(signed().fields)["Signature-Input"]
    assert old in whole
    request = changed(signed(), "signature-input", lambda value: value.replace(old, new, 1))
    with pytest.raises(message_signatures.MessageSignatureError):
        check(request)


@pytest.mark.parametrize("name", ["Signature-Input", "Signature", "Content-Digest", "Content-Type"])
def test_a_field_that_comes_twice_is_refused(name: str) -> None:
    request = signed()
    value = dict(request.fields)[name]
    for spelled in (name, name.lower(), name.upper()):
        twice = dataclasses.replace(request, fields=[*request.fields, (spelled, value)])
        with pytest.raises(message_signatures.MessageSignatureError, match="once"):
            check(twice)


@pytest.mark.parametrize("name", ["Signature-Input", "Signature", "Content-Digest"])
def test_a_field_that_is_missing_is_refused(name: str) -> None:
    request = signed()
    fields = [one for one in request.fields if one[0] != name]
    with pytest.raises(message_signatures.MessageSignatureError, match=name.lower()):
        check(dataclasses.replace(request, fields=fields))


@pytest.mark.parametrize("name", ["signature-input", "signature", "content-digest"])
@pytest.mark.parametrize(
    "change",
    [
        lambda value: f"{value}, {value}",
        lambda value: f"{value}, other={value.partition('=')[2]}",
        lambda value: f"{value},",
        lambda value: f"{value};a",
        lambda value: value.upper(),
        lambda value: value[:-2],
        lambda value: f"{value}\u0131",
        lambda _: "",
        lambda value: value * 50,
    ],
)
def test_several_signatures_or_digests_are_refused(name: str, change: Callable[[str], str]) -> None:
    with pytest.raises(message_signatures.MessageSignatureError):
        check(changed(signed(), name, change))


def test_two_spellings_of_the_same_base64_are_refused() -> None:
    digest = message_signatures.content_digest(b'{"a": 1}')
    # The last character before the padding has two bits that mean nothing.
    alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
    last = digest[-3]
    other = f"{digest[:-3]}{alphabet[alphabet.index(last) ^ 1]}=:"
    with pytest.raises(message_signatures.MessageSignatureError, match="mean nothing"):
        check(changed(signed(), "content-digest", lambda _: other))


def test_a_long_address_is_refused() -> None:
    with pytest.raises(message_signatures.MessageSignatureError, match="address"):
        signed(a_request(query="a" * 9000))


@given(st.sampled_from(["Signature-Input", "Signature", "Content-Digest"]), st.data())
def test_a_mutated_field_is_refused_and_nothing_else(name: str, data: st.DataObject) -> None:
    request = signed()
    value = dict(request.fields)[name]
    place = data.draw(st.integers(0, len(value) - 1))
    put = data.draw(st.text(max_size=3))
    mutated = value[:place] + put + value[place + 1 :]
    if mutated.strip(" \t") == value:
        return
    with pytest.raises(errors.UnauthenticatedError):
        check(changed(request, name.lower(), lambda _: mutated))
