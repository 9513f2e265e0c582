import dataclasses
import datetime

import hypothesis
import pytest
from hypothesis import strategies
from pyasn1.codec.der import decoder, encoder
from pyasn1_alt_modules import rfc9480

from ca.enrolment import messages
from pki import der

AT = datetime.datetime(2026, 1, 31, 12, tzinfo=datetime.UTC)
HEADER = messages.PKIHeader(
    version=2,
    sender=messages.null_name(),
    recipient=messages.null_name(),
    transaction_id=bytes(16),
    sender_nonce=b"\x01" * 16,
    recipient_nonce=b"\x02" * 16,
    at=AT,
    protection_algorithm=der.encode(der.SEQUENCE, der.encode_oid("1.2.3")),
    sender_key_id=b"somebody",
    implicit_confirm=True,
)
BODY = messages.encode_error(messages.FailureInfo.badTime, "expected the present")
WHOLE = messages.encode_message(HEADER, BODY, b"guard", (der.encode(der.SEQUENCE),))


@hypothesis.given(
    version=strategies.integers(0, 9),
    transaction_id=strategies.none() | strategies.binary(max_size=64),
    sender_nonce=strategies.none() | strategies.binary(max_size=64),
    recipient_nonce=strategies.none() | strategies.binary(max_size=64),
    sender_key_id=strategies.none() | strategies.binary(max_size=128),
    implicit_confirm=strategies.booleans(),
    at=strategies.none() | strategies.just(AT),
    protection=strategies.none() | strategies.binary(max_size=100),
)
def test_what_is_built_is_read_back(protection: bytes | None, **fields: object) -> None:
    header = dataclasses.replace(HEADER, **fields)  # type: ignore[arg-type]
    message = messages.parse_message(messages.encode_message(header, BODY, protection, ()))
    assert message.header == header
    assert message.protection == protection
    assert message.protected_part == messages.encode_protected_part(header, BODY)
    assert message.body_tag == messages.BodyType.error.value


@pytest.mark.clause("RFC 9810", "5.1")
def test_another_library_reads_and_writes_the_same_bytes() -> None:
    whole = messages.encode_message(HEADER, BODY, b"guard", ())
    read, rest = decoder.decode(whole, asn1Spec=rfc9480.PKIMessage())
    assert not rest
    assert read["body"].getName() == "error"
    assert encoder.encode(read) == whole


@pytest.mark.parametrize("failure", list(messages.FailureInfo))
@pytest.mark.clause("RFC 9810", "5.2.3")
def test_each_failure_is_the_bit_that_the_standard_names(failure: messages.FailureInfo) -> None:
    status = messages.encode_status(messages.PKIStatus.rejection, failure)
    read, _ = decoder.decode(status, asn1Spec=rfc9480.PKIStatusInfo())
    bits = list(read["failInfo"])
    assert [number for number, bit in enumerate(bits) if bit] == [failure.value]
    assert rfc9480.PKIFailureInfo.namedValues[failure.name] == failure.value


@hypothesis.given(
    place=strategies.integers(0, len(WHOLE) - 1),
    piece=strategies.binary(max_size=8),
    cut=strategies.integers(0, 8),
)
def test_a_mutated_message_is_refused_and_nothing_else(place: int, piece: bytes, cut: int) -> None:
    mutated = WHOLE[:place] + piece + WHOLE[place + cut :]
    try:
        message = messages.parse_message(mutated)
    except messages.MalformedMessageError:
        return
    # What is accepted has one encoding: the bytes that came.
    assert der.read(message.protected_part).content in mutated


@hypothesis.given(strategies.binary(max_size=300))
def test_any_bytes_are_refused_and_nothing_else(data: bytes) -> None:
    with pytest.raises(messages.MalformedMessageError):
        messages.parse_message(data)


def test_a_message_that_is_too_large_is_refused_unread() -> None:
    with pytest.raises(messages.MalformedMessageError, match="at most 65536"):
        messages.parse_message(bytes(messages.MAX_MESSAGE_BYTES + 1))


def test_too_many_extra_certificates_are_refused() -> None:
    extra = (der.encode(der.SEQUENCE),) * (messages.MAX_EXTRA_CERTIFICATES + 1)
    with pytest.raises(messages.MalformedMessageError, match="extra certificates"):
        messages.parse_message(messages.encode_message(HEADER, BODY, None, extra))


def test_a_senders_name_that_is_no_name_is_refused() -> None:
    broken = dataclasses.replace(HEADER, sender=der.encode(0xA4, der.encode(der.INTEGER, b"\x01")))
    with pytest.raises(messages.MalformedMessageError):
        messages.parse_message(messages.encode_message(broken, BODY, None, ()))
