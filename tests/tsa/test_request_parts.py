import datetime

from hypothesis import given, settings
from hypothesis import strategies as st

from pki.algorithms import HashAlgorithm
from tests.tsa import test_messages
from tsa import messages, request_parts


@given(
    st.sampled_from(list(HashAlgorithm)),
    st.none() | st.integers(-(2**80), 2**160),
    st.booleans(),
    st.data(),
)
def test_the_quick_reader_says_what_the_whole_reader_says_or_nothing(
    hash_algorithm: HashAlgorithm, nonce: int | None, cert_req: bool, data: st.DataObject
) -> None:
    imprint = messages.MessageImprint(hash_algorithm, bytes(range(hash_algorithm.size)))
    request = messages.TimeStampRequest(imprint, None, nonce, cert_req)
    good = messages.build_request(request)
    place = data.draw(st.integers(0, len(good) - 1))
    octet = data.draw(st.integers(0, 255))
    for request_der in (good, good[:place] + bytes((octet,)) + good[place + 1 :], good[:place]):
        quick = request_parts._read_usual(request_der)
        if quick is not None:
            assert quick == request_parts.parts_of(messages.parse_request(request_der))


def test_the_quick_reader_reads_what_most_clients_send() -> None:
    imprint = messages.MessageImprint(HashAlgorithm.SHA256, bytes(32))
    request = messages.TimeStampRequest(imprint, None, 2**63 + 1, True)
    quick = request_parts._read_usual(messages.build_request(request))
    assert quick == request_parts.parts_of(request)


@given(test_messages.requests, test_messages.infos)
@settings(deadline=None)
def test_the_template_writes_what_the_whole_encoder_writes(
    request: messages.TimeStampRequest, info: messages.TSTInfo
) -> None:
    serial = b"\x06" + bytes(17)
    whole = messages.TSTInfo(
        info.policy,
        request.imprint,
        int.from_bytes(serial, "big"),
        info.gen_time,
        datetime.timedelta(seconds=1),
        nonce=request.nonce,
        qualified=info.qualified,
    )
    template = request_parts.InfoTemplate(
        info.policy, info.gen_time, datetime.timedelta(seconds=1), qualified=info.qualified
    )
    for _ in range(2):
        assert template.encode(request_parts.parts_of(request), serial) == whole.to_der()
