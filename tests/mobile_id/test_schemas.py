import base64
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mobile_id import schemas
from mobile_id.results import Operation
from pki import errors
from pki.algorithms import HashAlgorithm

COUNTRIES = ("AZ", "GE", "EE", "LT")


def body(**changes: Any) -> bytes:
    fields: dict[str, Any] = {
        "relyingPartyUUID": "de305d54-75b4-431b-adb2-eb6b9e546014",
        "relyingPartyName": "DEMO",
        "phoneNumber": "+37268000769",
        "nationalIdentityNumber": "60001017869",
        "hash": base64.b64encode(bytes(32)).decode(),
        "hashType": "SHA256",
        "language": "ENG",
        "displayText": "Text",
        "displayTextFormat": "GSM-7",
    }
    fields.update(changes)
    return json.dumps({name: one for name, one in fields.items() if one is not ...}).encode()


def parse(data: bytes) -> schemas.StartRequest:
    return schemas.parse_start_request(data, Operation.SIGNATURE, COUNTRIES)


def test_a_request_as_existing_clients_send_it_is_read() -> None:
    read = parse(body(displayText=None, displayTextFormat=None, addedLater={"x": 1}))
    assert read.request.representation.hash_algorithm is HashAlgorithm.SHA256
    assert read.request.display_text == ""
    assert read.party.name == "DEMO"


REQUIRED = [
    "relyingPartyUUID", "relyingPartyName", "phoneNumber", "nationalIdentityNumber",
    "hash", "hashType", "language",
]  # fmt: skip


@pytest.mark.clause("Mobile-ID REST", "3.2.6")
@pytest.mark.parametrize("name", REQUIRED)
@pytest.mark.parametrize("value", [..., None, "", " "])
def test_a_missing_parameter_is_named_with_the_published_text(name: str, value: Any) -> None:
    with pytest.raises(schemas.MobileIdRequestError) as raised:
        parse(body(**{name: value}))
    assert raised.value.message == f"Required {name} is missing."


@pytest.mark.clause("Mobile-ID REST", "3.1.8")
@pytest.mark.parametrize("name", REQUIRED[:4])
def test_a_certificate_request_names_it_in_its_own_words(name: str) -> None:
    with pytest.raises(schemas.MobileIdRequestError) as raised:
        schemas.parse_certificate_request(body(**{name: None}), COUNTRIES)
    assert raised.value.message == f"{name} cannot be null."


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"phoneNumber": "37268000769"}, "phoneNumber must contain of + and numbers(8-30)"),
        ({"phoneNumber": "+1234567"}, "phoneNumber must contain of + and numbers(8-30)"),
        ({"phoneNumber": "+" + "1" * 31}, "phoneNumber must contain of + and numbers(8-30)"),
        ({"phoneNumber": "+٣٧٢٦٨٠٠٠٧٦٩"}, "phoneNumber must contain of + and numbers(8-30)"),
        ({"phoneNumber": "+37268000769\n"}, "phoneNumber must contain of + and numbers(8-30)"),
        ({"nationalIdentityNumber": "6000101786"},
         "nationalIdentityNumber must contain of 11 digits"),
        ({"hash": "AAAA"}, "hash must be valid Base64 string with length between 44 and 88"),
        ({"hash": "*" * 44}, "Hash must be Base64 encoded"),
        ({"hashType": "SHA512"}, "The length of the hash must match the type of hash"),
        ({"hash": base64.b64encode(bytes(64)).decode()},
         "The length of the hash must match the type of hash"),
    ],
)  # fmt: skip
def test_malformed_values_get_the_texts_that_clients_know(
    changes: dict[str, str], text: str
) -> None:
    with pytest.raises(schemas.MobileIdRequestError) as raised:
        parse(body(**changes))
    assert raised.value.message == text


@pytest.mark.parametrize(
    "changes",
    [
        {"hashType": "SHA1"}, {"hashType": "sha256"}, {"language": "FRA"},
        {"displayTextFormat": "UTF-8"}, {"displayText": "x" * 101}, {"displayText": 5},
        {"relyingPartyName": "\ud800"}, {"relyingPartyName": "a\0"}, {"phoneNumber": ["+1"]},
        {"nationalIdentityNumber": "IO12345"}, {"relyingPartyName": "x" * 2000},
    ],
)  # fmt: skip
def test_other_malformed_values_are_refused(changes: dict[str, Any]) -> None:
    with pytest.raises(schemas.MobileIdRequestError):
        parse(body(**changes))


@pytest.mark.parametrize("code", ["5AB12CD", "1234567", "01017000011", "60001017869"])
def test_person_codes_of_the_installation_and_its_non_residents_have_the_right_shape(
    code: str,
) -> None:
    assert parse(body(nationalIdentityNumber=code)).request.who.person_code == code


@pytest.mark.parametrize(
    "data",
    [b"", b"[]", b"null", b"\xff", b'{"a":1,"a":2}', b"[" * 16000, b"{" * 9000, b'"text"',
     b'{"hash": 1e999999}', b'{"hash": ' + b"9" * 5000 + b"}"],
)  # fmt: skip
def test_what_is_no_json_object_is_refused(data: bytes) -> None:
    with pytest.raises(schemas.MobileIdRequestError):
        parse(data)


@given(st.data())
def test_mutated_requests_raise_input_errors_and_nothing_else(data: st.DataObject) -> None:
    content = bytearray(body())
    for _ in range(data.draw(st.integers(1, 4))):
        index = data.draw(st.integers(0, len(content) - 1))
        content[index] = data.draw(st.integers(0, 255))
    try:
        parse(bytes(content[: data.draw(st.integers(len(content) // 2, len(content)))]))
    except errors.InputError:
        return


@given(
    st.dictionaries(
        st.sampled_from([*REQUIRED, "displayText", "displayTextFormat"]),
        st.none() | st.text(max_size=120) | st.integers() | st.lists(st.text(max_size=3)),
    )
)
def test_values_of_any_type_raise_input_errors_and_nothing_else(changes: dict[str, Any]) -> None:
    try:
        parse(body(**changes))
    except errors.InputError:
        return
