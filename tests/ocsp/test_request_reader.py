"""The quick reader beside the full one: where it answers at all, both say the same."""

import contextlib
import datetime

import pytest
from asn1crypto import ocsp as asn1_ocsp
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.x509 import ocsp as x509_ocsp
from hypothesis import given, settings
from hypothesis import strategies as st

from ocsp import cert_id, messages, request_reader
from pki import der
from tests.support import hierarchy as hierarchy_support

WORLD = hierarchy_support.make_hierarchy(datetime.datetime(2026, 6, 1, tzinfo=datetime.UTC))
ISSUERS = (WORLD.issuing.certificate, WORLD.infrastructure.certificate)
IDENTITIES = [cert_id.issuer_id(one, kind) for one in ISSUERS for kind in cert_id.CertIDHash]
READER = request_reader.RequestReader(IDENTITIES)

serials = st.one_of(
    st.integers(1, 2**160 - 1), st.integers(-300, 300), st.sampled_from([0, 127, 128, 255, 2**159])
)
nonces = st.none() | st.binary(min_size=1, max_size=128)


def _named(identity: cert_id.IssuerID, serial: int, *, null: bool = True) -> cert_id.CertID:
    content = der.read(der.encode_integer(abs(serial))).content
    if serial < 0:
        content = serial.to_bytes(2, "big", signed=True)
    encoded = cert_id.encode(identity, content, b"\x05\x00" if null else b"")
    return cert_id.CertID(identity, serial, encoded)


@st.composite
def usual_requests(draw: st.DrawFn) -> bytes:
    identity, null = draw(st.sampled_from(IDENTITIES)), draw(st.booleans())
    asked = draw(st.lists(serials.filter(lambda one: one >= 0), min_size=1, max_size=8))
    ids = tuple(_named(identity, one, null=null) for one in asked)
    return messages.build_request(messages.OCSPRequest(ids, draw(nonces)))


def check_agreement(request_der: bytes) -> bool:
    """Compare both readers; say whether the quick one answered."""
    found = READER.read(request_der)
    if found is None:
        return False
    full = messages.parse_request(request_der)
    assert (found.cert_ids, found.nonce) == (full.cert_ids, full.nonce)
    assert {one.issuer for one in full.cert_ids} == {found.issuer}
    theirs = asn1_ocsp.OCSPRequest.load(request_der, strict=True)["tbs_request"]
    named = [one["req_cert"]["serial_number"].native for one in theirs["request_list"]]
    assert named == [one.serial_number for one in full.cert_ids]
    sent = theirs["request_extensions"]
    assert found.nonce == (sent[0]["extn_value"].parsed.native if sent else None)
    return True


@given(usual_requests())
@settings(deadline=None, max_examples=300)
def test_every_usual_request_is_read_quickly_and_as_others_read_it(request_der: bytes) -> None:
    assert check_agreement(request_der)


@given(
    usual_requests(),
    st.lists(
        st.tuples(st.integers(0, 600), st.integers(0, 3), st.integers(0, 255)),
        min_size=1,
        max_size=3,
    ),
)
@settings(deadline=None, max_examples=500)
def test_a_mutated_request_is_read_as_in_full_or_left_to_it(
    request_der: bytes, edits: list[tuple[int, int, int]]
) -> None:
    changed = bytearray(request_der)
    for position, kind, byte in edits:
        index = position % (len(changed) or 1)
        if kind == 0 and changed:
            changed[index] = byte
        elif kind == 1:
            changed[index:index] = bytes((byte,))
        elif kind == 2:
            del changed[index : index + 1 + byte % 8]
        elif changed:
            # A length or a first octet that is one too many or too few is the likeliest trap.
            changed[index] = (changed[index] + (1 if byte % 2 else -1)) % 256
    check_agreement(bytes(changed))


@given(st.sampled_from(IDENTITIES), serials, st.booleans(), nonces)
@settings(deadline=None, max_examples=300)
def test_numbers_of_every_form_are_read_alike(
    identity: cert_id.IssuerID, serial: int, null: bool, nonce: bytes | None
) -> None:
    request = messages.OCSPRequest((_named(identity, serial, null=null),), nonce)
    quick = check_agreement(messages.build_request(request))
    # A negative number is no shape that anybody sends.
    assert quick is (serial >= 0)


@pytest.mark.parametrize("content", [b"\x00\x05", b"\x00", b"\x80", b"\xff\xff", b"\x00\x80"])
def test_a_number_that_is_not_the_shortest_is_left_to_the_full_reader(content: bytes) -> None:
    named = cert_id.CertID(IDENTITIES[0], 0, cert_id.encode(IDENTITIES[0], content))
    encoded = messages.build_request(messages.OCSPRequest((named,)))
    with contextlib.suppress(messages.MalformedRequestError):
        messages.parse_request(encoded)
    assert check_agreement(encoded) is (content in {b"\x00", b"\x00\x80"})


@pytest.mark.parametrize("algorithm", [hashes.SHA1(), hashes.SHA256()])  # noqa: S303
@pytest.mark.parametrize("octets", [0, 1, 16, 32, 37, 38, 64, 128])
def test_what_another_library_sends_is_read_quickly(
    algorithm: hashes.SHA1 | hashes.SHA256, octets: int
) -> None:
    builder = x509_ocsp.OCSPRequestBuilder().add_certificate(
        WORLD.signer().certificate, ISSUERS[0], algorithm
    )
    if octets:
        builder = builder.add_extension(x509.OCSPNonce(b"n" * octets), False)
    encoded = builder.build().public_bytes(serialization.Encoding.DER)
    assert check_agreement(encoded)
    found = READER.read(encoded)
    assert found is not None
    assert found.canonical is (algorithm.name == "sha1" and octets == 0)


def test_another_issuer_two_issuers_and_too_many_are_left_to_the_full_reader() -> None:
    known, second = IDENTITIES[0], IDENTITIES[2]
    stranger = cert_id.IssuerID(known.hash_algorithm, known.name_hash, b"k" * 20)
    for named in (
        [_named(stranger, 5)],
        [_named(known, 5), _named(second, 5)],
        [_named(known, 5), _named(stranger, 5)],
        [_named(known, one) for one in range(1, 22)],
    ):
        encoded = messages.build_request(messages.OCSPRequest(tuple(named)))
        assert READER.read(encoded) is None


@pytest.mark.parametrize("size", range(64))
def test_a_request_cut_short_is_left_to_the_full_reader(size: int) -> None:
    encoded = messages.build_request(messages.OCSPRequest((_named(IDENTITIES[0], 77),)))
    cut = der.encode(der.SEQUENCE, der.encode(der.SEQUENCE, encoded[4 : 4 + size]))
    for content in (encoded[:size], cut):
        assert READER.read(content) is None
