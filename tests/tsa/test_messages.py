import contextlib
import datetime

import pytest
from asn1crypto import core
from asn1crypto import tsp as asn1_tsp
from hypothesis import given, settings
from hypothesis import strategies as st

from pki import der, der_types
from pki.algorithms import HashAlgorithm
from tsa import messages

imprints = st.sampled_from(HashAlgorithm).flatmap(
    lambda algorithm: st.builds(
        messages.MessageImprint,
        st.just(algorithm),
        st.binary(min_size=algorithm.size, max_size=algorithm.size),
    )
)
policies = st.sampled_from(["0.4.0.2023.1.1", "1.2.3", "2.999.4294967296.7"])
nonces = st.none() | st.integers(0, 2**160)
requests = st.builds(
    messages.TimeStampRequest,
    imprints,
    policy=st.none() | policies,
    nonce=nonces,
    cert_req=st.booleans(),
)
infos = st.builds(
    messages.TSTInfo,
    policy=policies,
    imprint=imprints,
    serial_number=st.integers(1, 2**159),
    gen_time=st.datetimes(
        datetime.datetime(2000, 1, 1),  # noqa: DTZ001 - Hypothesis adds the zone
        datetime.datetime(2100, 1, 1),  # noqa: DTZ001
        timezones=st.just(datetime.UTC),
    ).map(lambda at: at.replace(microsecond=0)),
    accuracy=st.none()
    | st.timedeltas(datetime.timedelta(microseconds=1), datetime.timedelta(seconds=60)),
    ordering=st.booleans(),
    nonce=nonces,
    qualified=st.booleans(),
)


@given(requests)
@settings(deadline=None)
def test_a_built_request_reads_back_here_and_in_asn1crypto(
    request: messages.TimeStampRequest,
) -> None:
    encoded = messages.build_request(request)
    assert messages.parse_request(encoded) == request
    theirs = asn1_tsp.TimeStampReq.load(encoded, strict=True)
    assert theirs["nonce"].native == request.nonce
    assert theirs["cert_req"].native == request.cert_req
    assert theirs["message_imprint"]["hashed_message"].native == request.imprint.hash


@given(infos)
@settings(deadline=None)
def test_a_built_info_reads_back_here_and_in_asn1crypto(info: messages.TSTInfo) -> None:
    encoded = info.to_der()
    assert messages.parse_info(encoded) == info
    theirs = asn1_tsp.TSTInfo.load(encoded, strict=True)
    assert theirs["serial_number"].native == info.serial_number
    assert theirs["gen_time"].native == info.gen_time
    assert theirs["ordering"].native == info.ordering
    assert theirs["nonce"].native == info.nonce
    if info.accuracy is not None:
        shown = theirs["accuracy"].native
        assert (
            datetime.timedelta(
                seconds=shown["seconds"] or 0,
                milliseconds=shown["millis"] or 0,
                microseconds=shown["micros"] or 0,
            )
            == info.accuracy
        )


@pytest.mark.clause("RFC 3161", "2.4.2")
@pytest.mark.parametrize("failure", list(messages.PKIFailureInfo))
def test_a_rejection_reads_back_here_and_in_asn1crypto(failure: messages.PKIFailureInfo) -> None:
    encoded = messages.build_rejection(failure, "no, thank you")
    response = messages.parse_response(encoded)
    assert response.status is messages.PKIStatus.rejection
    assert response.failures == {failure}
    assert response.explanation == ("no, thank you",)
    assert response.token_der is None
    # asn1crypto has no response without a token, so its status is read alone.
    status = asn1_tsp.PKIStatusInfo.load(core.Sequence.load(encoded)[0].dump(), strict=True)
    assert status["status"].native == "rejection"
    assert len(status["fail_info"].native) == 1
    bits = asn1_tsp.PKIFailureInfo._map
    assert status["fail_info"].native == {bits[failure.value]}


def _request_of(*parts: bytes) -> bytes:
    return der.encode(der.SEQUENCE, *parts)


def _imprint(oid: str, size: int) -> bytes:
    return der.encode(
        der.SEQUENCE,
        der.encode(der.SEQUENCE, der.encode_oid(oid)),
        der.encode(der.OCTET_STRING, b"h" * size),
    )


SHA256_OID = "2.16.840.1.101.3.4.2.1"


@pytest.mark.clause("RFC 3161", "2.4.2")
@pytest.mark.parametrize(
    ("encoded", "failure"),
    [
        (_request_of(b"\x02\x01\x01", _imprint("1.3.14.3.2.26", 20)), "badAlg"),
        (_request_of(b"\x02\x01\x01", _imprint("2.16.840.1.101.3.4.2.4", 28)), "badAlg"),
        (_request_of(b"\x02\x01\x01", _imprint(SHA256_OID, 31)), "badDataFormat"),
        (_request_of(b"\x02\x01\x02", _imprint(SHA256_OID, 32)), "badRequest"),
        (
            _request_of(
                b"\x02\x01\x01",
                _imprint(SHA256_OID, 32),
                b"\xa0"
                + der_types.encode_extensions((der_types.Extension("1.2.3", False, b"\x05\x00"),))[
                    1:
                ],
            ),
            "unacceptedExtension",
        ),
        (_request_of(b"\x02\x01\x01", _imprint(SHA256_OID, 32), b"\x04\x00"), "badDataFormat"),
        (b"\x30" * 5000, "badDataFormat"),
    ],
)
def test_each_fault_has_its_own_failure(encoded: bytes, failure: str) -> None:
    with pytest.raises(messages.RequestRefusedError) as caught:
        messages.parse_request(encoded)
    assert caught.value.failure.name == failure


@pytest.mark.parametrize(
    "text",
    ["20261121120000.0Z", "20261121120000.10Z", "20261121120000", "20261321120000Z", "2026112112Z"],
)
def test_a_time_that_is_not_der_is_refused(text: str) -> None:
    element = der.Element(der.GENERALIZED_TIME, text.encode())
    with pytest.raises(der.DERError):
        der_types.decode_time(element)


def test_a_time_with_a_fraction_is_read() -> None:
    element = der.Element(der.GENERALIZED_TIME, b"20261121120000.25Z")
    assert der_types.decode_time(element).microsecond == 250_000


REQUEST = messages.build_request(
    messages.TimeStampRequest(
        messages.MessageImprint(HashAlgorithm.SHA256, b"h" * 32), "1.2.3.4", 2**63 + 1, True
    )
)
RESPONSE = messages.build_rejection(messages.PKIFailureInfo.badAlg, "no")
edits = st.lists(
    st.tuples(st.integers(0, 300), st.integers(0, 2), st.integers(0, 255)), min_size=1, max_size=4
)


def _mutate(encoded: bytes, changes: list[tuple[int, int, int]]) -> bytes:
    changed = bytearray(encoded)
    for position, kind, byte in changes:
        index = position % (len(changed) or 1)
        if kind == 0 and changed:
            changed[index] = byte
        elif kind == 1:
            changed[index:index] = bytes((byte,))
        else:
            del changed[index : index + 1 + byte % 8]
    return bytes(changed)


@given(edits)
@settings(deadline=None, max_examples=500)
def test_mutated_messages_raise_input_errors_and_nothing_else(
    changes: list[tuple[int, int, int]],
) -> None:
    with contextlib.suppress(messages.RequestRefusedError):
        messages.parse_request(_mutate(REQUEST, changes))
    with contextlib.suppress(messages.MalformedTokenError):
        messages.parse_response(_mutate(RESPONSE, changes))


@given(st.binary(max_size=300))
@settings(deadline=None, max_examples=300)
def test_any_bytes_raise_input_errors_and_nothing_else(junk: bytes) -> None:
    with contextlib.suppress(messages.RequestRefusedError):
        messages.parse_request(junk)
    with contextlib.suppress(messages.MalformedTokenError):
        messages.parse_response(junk)
    with contextlib.suppress(messages.MalformedTokenError):
        messages.parse_info(junk)
