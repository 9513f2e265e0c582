import contextlib
import datetime
import hashlib

import pytest
from asn1crypto import ocsp as asn1_ocsp
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.x509 import ocsp as x509_ocsp
from hypothesis import given, settings
from hypothesis import strategies as st

from ocsp import cert_id, messages
from pki import der, der_types, status
from tests.support import hierarchy as hierarchy_support

AT = datetime.datetime(2026, 11, 21, 12, 0, 0, tzinfo=datetime.UTC)
HIERARCHY = hierarchy_support.make_hierarchy(AT)
ISSUER = HIERARCHY.issuing.certificate
SIGNER = HIERARCHY.signer()

times = st.datetimes(
    datetime.datetime(2000, 1, 1),  # noqa: DTZ001 - Hypothesis adds the zone
    datetime.datetime(2049, 1, 1),  # noqa: DTZ001
    timezones=st.just(datetime.UTC),
).map(lambda at: at.replace(microsecond=0))
nonces = st.none() | st.binary(min_size=1, max_size=128)
cert_ids = st.builds(
    cert_id.name_certificate,
    st.just(ISSUER),
    st.integers(1, 2**159),
    st.sampled_from(cert_id.CertIDHash),
)
statuses = (
    st.none()
    | st.just(status.CertificateStatus())
    | st.builds(
        status.CertificateStatus,
        revoked_at=times,
        reason=st.sampled_from(status.RevocationReason),
        invalidity_date=st.none() | times,
    )
)
singles = st.builds(
    messages.SingleResponse,
    cert_id=cert_ids,
    status=statuses,
    this_update=times,
    next_update=st.none() | times,
    archive_cutoff=st.none() | times,
)
data = st.builds(
    messages.ResponseData,
    responder=st.binary(min_size=20, max_size=20),
    produced_at=times,
    responses=st.lists(singles, min_size=1, max_size=3).map(tuple),
    nonce=nonces,
)


def _sign(signed: bytes) -> bytes:
    from pki import signature
    from pki.algorithms import HashAlgorithm

    holder = HIERARCHY.issuing
    value = holder.handle.sign(signature.represent(signed, HashAlgorithm.SHA384))
    return messages.build_response(signed, value, (holder.der,))


@given(st.lists(cert_ids, min_size=1, max_size=20), nonces)
@settings(deadline=None, max_examples=50)
def test_a_built_request_reads_back(ids: list[cert_id.CertID], nonce: bytes | None) -> None:
    request = messages.OCSPRequest(tuple(ids), nonce)
    encoded = messages.build_request(request)
    assert messages.parse_request(encoded) == request
    theirs = asn1_ocsp.OCSPRequest.load(encoded, strict=True)
    listed = theirs["tbs_request"]["request_list"]
    assert [one["req_cert"]["serial_number"].native for one in listed] == [
        one.serial_number for one in ids
    ]
    assert (theirs.nonce_value.native if theirs.nonce_value else None) == nonce


@given(data)
@settings(deadline=None, max_examples=80)
def test_a_built_response_reads_back_here_and_in_two_libraries(
    built: messages.ResponseData,
) -> None:
    encoded = _sign(messages.build_response_data(built))
    why, basic = messages.parse_response(encoded)
    assert why is messages.ResponseStatus.successful
    assert basic is not None
    assert basic.data == built
    assert basic.certificates == (HIERARCHY.issuing.der,)

    theirs = x509_ocsp.load_der_ocsp_response(encoded)
    assert theirs.tbs_response_bytes == basic.signed
    assert theirs.responder_key_hash == built.responder
    for one, single in zip(theirs.responses, built.responses, strict=True):
        assert one.serial_number == single.cert_id.serial_number
        assert one.this_update_utc == single.this_update
        assert one.next_update_utc == single.next_update
        expected = x509_ocsp.OCSPCertStatus.UNKNOWN
        if single.status is not None:
            expected = x509_ocsp.OCSPCertStatus.GOOD
            if single.status.revoked_at is not None:
                expected = x509_ocsp.OCSPCertStatus.REVOKED
        assert one.certificate_status is expected

    other = asn1_ocsp.OCSPResponse.load(encoded, strict=True).response_data
    for one, single in zip(other["responses"], built.responses, strict=True):
        shown = {
            extension["extn_id"].native: extension["extn_value"].parsed.native
            for extension in one["single_extensions"]
        }
        assert shown.get("archive_cutoff") == single.archive_cutoff
        invalid = single.status.invalidity_date if single.status else None
        assert shown.get("invalidity_date") == invalid


@pytest.mark.clause("RFC 6960", "4.1.1")
@pytest.mark.parametrize("algorithm", [hashes.SHA1(), hashes.SHA256()])  # noqa: S303
def test_a_request_by_another_library_names_the_same_certificate(
    algorithm: hashes.SHA1 | hashes.SHA256,
) -> None:
    theirs = (
        x509_ocsp.OCSPRequestBuilder()
        .add_certificate(SIGNER.certificate, ISSUER, algorithm)
        .add_extension(x509.OCSPNonce(b"\x07" * 32), False)
        .build()
        .public_bytes(serialization.Encoding.DER)
    )
    request = messages.parse_request(theirs)
    assert request.nonce == b"\x07" * 32
    (one,) = request.cert_ids
    assert one.serial_number == SIGNER.certificate.serial_number
    kind = cert_id.CertIDHash[algorithm.name.upper()]
    assert one.issuer == cert_id.issuer_id(ISSUER, kind)


def test_the_key_hash_leaves_out_tag_length_and_unused_bits() -> None:
    identifier = x509.SubjectKeyIdentifier.from_public_key(ISSUER.public_key())
    assert cert_id.key_hash(ISSUER, cert_id.CertIDHash.SHA1) == identifier.digest
    assert len(cert_id.key_hash(ISSUER, cert_id.CertIDHash.SHA256)) == hashlib.sha256().digest_size


@pytest.mark.clause("RFC 9654", "2.1")
@pytest.mark.parametrize("size", [0, 129])
def test_a_nonce_of_no_octets_or_over_128_is_malformed(size: int) -> None:
    request = messages.OCSPRequest((cert_id.name_certificate(ISSUER, 5),), b"n" * size)
    with pytest.raises(messages.MalformedRequestError, match="nonce"):
        messages.parse_request(messages.build_request(request))


@pytest.mark.clause("RFC 9654", "2.1")
@pytest.mark.parametrize("size", [1, 128])
def test_a_nonce_of_1_to_128_octets_is_read(size: int) -> None:
    request = messages.OCSPRequest((cert_id.name_certificate(ISSUER, 5),), b"n" * size)
    assert messages.parse_request(messages.build_request(request)).nonce == b"n" * size


def test_a_request_for_too_many_certificates_is_malformed() -> None:
    ids = tuple(cert_id.name_certificate(ISSUER, serial) for serial in range(1, 22))
    with pytest.raises(messages.MalformedRequestError, match="1 to 20"):
        messages.parse_request(messages.build_request(messages.OCSPRequest(ids)))


def test_a_request_for_no_certificate_is_malformed() -> None:
    with pytest.raises(messages.MalformedRequestError):
        messages.parse_request(messages.build_request(messages.OCSPRequest(())))


def test_a_request_over_the_size_limit_is_not_even_read() -> None:
    with pytest.raises(messages.MalformedRequestError, match="at most"):
        messages.parse_request(b"\x30" * (messages.MAX_REQUEST_BYTES + 1))


@pytest.mark.clause("RFC 6960", "4.4")
def test_an_unknown_critical_extension_is_malformed() -> None:
    one = cert_id.name_certificate(ISSUER, 5)
    listed = der.encode(der.SEQUENCE, der.encode(der.SEQUENCE, one.encoded))
    for critical, accepted in ((True, False), (False, True)):
        extension = der_types.Extension("1.2.3.4", critical, b"\x05\x00")
        wrapped = der.encode(0xA2, der_types.encode_extensions((extension,)))
        encoded = der.encode(der.SEQUENCE, der.encode(der.SEQUENCE, listed, wrapped))
        if accepted:
            assert messages.parse_request(encoded).cert_ids == (one,)
        else:
            with pytest.raises(messages.MalformedRequestError, match="critical"):
                messages.parse_request(encoded)


REQUEST = messages.build_request(
    messages.OCSPRequest((cert_id.name_certificate(ISSUER, 2**127 + 5),), b"n" * 32)
)
RESPONSE = _sign(
    messages.build_response_data(
        messages.ResponseData(
            b"k" * 20,
            AT,
            (
                messages.SingleResponse(
                    cert_id.name_certificate(ISSUER, 77),
                    status.CertificateStatus(AT, status.RevocationReason.certificateHold, AT),
                    AT,
                    AT,
                    AT,
                ),
            ),
            b"n" * 32,
        )
    )
)


def _mutate(encoded: bytes, edits: list[tuple[int, int, int]]) -> bytes:
    changed = bytearray(encoded)
    for position, kind, byte in edits:
        index = position % (len(changed) or 1)
        if kind == 0 and changed:
            changed[index] = byte
        elif kind == 1:
            changed[index:index] = bytes((byte,))
        else:
            del changed[index : index + 1 + byte % 8]
    return bytes(changed)


edits = st.lists(
    st.tuples(st.integers(0, 2000), st.integers(0, 2), st.integers(0, 255)), min_size=1, max_size=4
)


@given(edits)
@settings(deadline=None, max_examples=500)
def test_a_mutated_request_raises_input_error_and_nothing_else(
    changes: list[tuple[int, int, int]],
) -> None:
    with contextlib.suppress(messages.MalformedRequestError):
        messages.parse_request(_mutate(REQUEST, changes))


@given(edits)
@settings(deadline=None, max_examples=500)
def test_a_mutated_response_raises_input_error_and_nothing_else(
    changes: list[tuple[int, int, int]],
) -> None:
    with contextlib.suppress(messages.MalformedResponseError):
        messages.parse_response(_mutate(RESPONSE, changes))


@given(st.binary(max_size=300))
@settings(deadline=None, max_examples=300)
def test_any_bytes_raise_input_error_and_nothing_else(junk: bytes) -> None:
    with pytest.raises(messages.MalformedRequestError):
        messages.parse_request(junk)
    with pytest.raises(messages.MalformedResponseError):
        messages.parse_response(junk)
