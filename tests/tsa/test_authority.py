import contextlib
import datetime
import subprocess
import sys

import pytest
from asn1crypto import cms as asn1_cms
from asn1crypto import tsp as asn1_tsp
from cryptography.hazmat.primitives import hashes
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pki import clock, errors, signature
from pki.algorithms import HashAlgorithm, KeyKind
from tests.support import hierarchy as hierarchy_support
from tests.tsa.conftest import IMPRINT, OTHER_POLICY, POLICY, World
from tsa import authority, client, messages, signed_token, unit_certificate

FAILURES = messages.PKIFailureInfo


def _issue(world: World, **asked: object) -> signed_token.TimeStampToken:
    request = messages.TimeStampRequest(IMPRINT, **asked)  # type: ignore[arg-type]
    token_der = authority.issue_time_stamp(request, world.authority, world.clock.now())
    return signed_token.parse_token(token_der)


def _failures(response_der: bytes) -> frozenset[messages.PKIFailureInfo]:
    response = messages.parse_response(response_der)
    assert response.token_der is None
    return response.failures


@pytest.mark.clause("RFC 3161", "2.4.2")
def test_a_token_says_what_was_asked(world: World) -> None:
    world.clock.move(datetime.timedelta(microseconds=654_321))
    info = _issue(world, nonce=77).info
    assert info.imprint == IMPRINT
    assert info.policy == POLICY
    assert info.nonce == 77
    assert info.gen_time == clock.whole_seconds(world.clock.now())
    assert info.gen_time <= world.clock.now()
    assert info.accuracy == datetime.timedelta(seconds=1)
    assert not info.ordering
    assert not info.qualified


def test_a_token_without_a_nonce_was_asked_without(world: World) -> None:
    assert _issue(world).info.nonce is None


@pytest.mark.clause("RFC 3161", "2.4.1")
def test_certificates_are_sent_only_where_they_were_asked_for(world: World) -> None:
    assert _issue(world).certificates == ()
    sent = _issue(world, cert_req=True).certificates
    assert set(sent) == {world.unit.certificate, world.hierarchy.infrastructure.certificate}
    assert world.hierarchy.root.certificate not in sent


@pytest.mark.clause("RFC 5816", "2.2.1")
@pytest.mark.parametrize("kind", list(KeyKind))
def test_the_token_is_bound_to_the_unit_and_verifies(world: World, kind: KeyKind) -> None:
    holder = world.hierarchy.time_stamping_unit(kind)
    unit = authority.TimeStampingUnit(holder.certificate, holder.handle, holder.issuers[:-1])
    issuing = authority.TimeStampAuthority(unit, (POLICY,))
    request = messages.TimeStampRequest(IMPRINT, cert_req=True)
    token_der = authority.issue_time_stamp(request, issuing, world.clock.now())
    assert client.check_token(signed_token.parse_token(token_der), IMPRINT) == holder.certificate

    signed = asn1_cms.ContentInfo.load(token_der, strict=True)["content"]
    assert signed["version"].native == "v3"
    assert signed["encap_content_info"]["content_type"].native == "tst_info"
    assert isinstance(signed["encap_content_info"]["content"].parsed, asn1_tsp.TSTInfo)
    (signer,) = signed["signer_infos"]
    shown = {one["type"].native: one["values"][0] for one in signer["signed_attrs"]}
    assert set(shown) == {"content_type", "message_digest", "signing_certificate_v2"}
    identifier = shown["signing_certificate_v2"]["certs"][0]
    digest = kind.hash_algorithm
    assert identifier["hash_algorithm"]["algorithm"].native == digest.short_name
    hasher = hashes.Hash(digest.hasher)
    hasher.update(holder.der)
    assert identifier["cert_hash"].native == hasher.finalize()


def test_the_second_policy_is_given_where_it_is_asked_for(world: World) -> None:
    assert _issue(world, policy=OTHER_POLICY).info.policy == OTHER_POLICY


def test_an_unknown_policy_is_rejected(world: World) -> None:
    request = messages.build_request(messages.TimeStampRequest(IMPRINT, "1.2.3.4.5"))
    answer = authority.respond(request, world.authority, world.clock.now)
    assert _failures(answer) == {FAILURES.unacceptedPolicy}


@pytest.mark.clause("EN 319 422", "9.1")
def test_the_claim_of_a_qualified_time_stamp_is_a_setting(world: World) -> None:
    issuing = authority.TimeStampAuthority(world.authority.unit, (POLICY,), qualified=True)
    request = messages.TimeStampRequest(IMPRINT)
    token_der = authority.issue_time_stamp(request, issuing, world.clock.now())
    assert signed_token.parse_token(token_der).info.qualified


def test_serial_numbers_are_unique_and_fit_in_20_octets(world: World) -> None:
    at = world.clock.now()
    numbers = {authority.new_serial_number(at) for _ in range(20_000)}
    assert len(numbers) == 20_000
    assert all(0 < number < 2**159 for number in numbers)


@pytest.mark.clause("RFC 3161", "2.4.2")
def test_serial_numbers_stay_unique_when_the_service_starts_again() -> None:
    """Each process begins with nothing but the clock, which even stands still here."""
    program = (
        "import datetime; from tsa import authority;"
        "at = datetime.datetime(2026, 11, 21, tzinfo=datetime.UTC);"
        "print(*(authority.new_serial_number(at) for _ in range(500)))"
    )
    numbers: list[str] = []
    for _ in range(3):
        done = subprocess.run(
            [sys.executable, "-c", program], capture_output=True, text=True, check=True
        )
        numbers += done.stdout.split()
    assert len(set(numbers)) == len(numbers) == 1500


def test_a_clock_that_goes_back_stops_the_authority(world: World) -> None:
    _issue(world)
    world.clock.move(-datetime.timedelta(seconds=5))
    request = messages.build_request(messages.TimeStampRequest(IMPRINT))
    answer = authority.respond(request, world.authority, world.clock.now)
    assert _failures(answer) == {FAILURES.timeNotAvailable}
    world.clock.move(datetime.timedelta(seconds=5))
    assert _issue(world).info.gen_time == clock.whole_seconds(world.clock.now())


def test_an_expired_unit_signs_no_more(world: World) -> None:
    request = messages.build_request(messages.TimeStampRequest(IMPRINT))
    late = world.unit.certificate.not_valid_after_utc + datetime.timedelta(seconds=1)
    assert _failures(authority.respond(request, world.authority, lambda: late)) == {
        FAILURES.systemFailure
    }


def test_a_key_that_fails_is_a_system_failure(world: World) -> None:
    class Broken:
        label = "broken"
        public_key = world.unit.key.public_key()

        def sign(
            self, representation: signature.DataToBeSignedRepresentation
        ) -> signature.SignatureValue:
            raise errors.DeviceError("the module is away", retriable=True)

    unit = authority.TimeStampingUnit(world.unit.certificate, Broken(), ())
    issuing = authority.TimeStampAuthority(unit, (POLICY,))
    request = messages.build_request(messages.TimeStampRequest(IMPRINT))
    answer = authority.respond(request, issuing, world.clock.now)
    assert _failures(answer) == {FAILURES.systemFailure}


def test_a_unit_needs_its_own_key(world: World) -> None:
    with pytest.raises(authority.UnitKeyError):
        authority.TimeStampingUnit(
            world.unit.certificate, world.hierarchy.time_stamping_unit().handle, ()
        )


def test_a_units_chain_has_no_gap_and_no_root(world: World) -> None:
    with pytest.raises(authority.UnitKeyError, match="gap"):
        authority.TimeStampingUnit(
            world.unit.certificate, world.unit.handle, (world.hierarchy.issuing.certificate,)
        )
    with pytest.raises(authority.UnitKeyError, match="root"):
        authority.TimeStampingUnit(world.unit.certificate, world.unit.handle, world.unit.issuers)


@pytest.mark.clause("RFC 3161", "2.3")
def test_a_unit_needs_a_certificate_for_time_stamping_alone(world: World) -> None:
    for holder in (world.hierarchy.signer(), world.hierarchy.ocsp_responder()):
        with pytest.raises(unit_certificate.UnitCertificateError):
            authority.TimeStampingUnit(holder.certificate, holder.handle, ())


AT = datetime.datetime(2026, 11, 21, 12, 0, 0, tzinfo=datetime.UTC)
UNIT = hierarchy_support.make_hierarchy(AT).time_stamping_unit()
AUTHORITY = authority.TimeStampAuthority(
    authority.TimeStampingUnit(UNIT.certificate, UNIT.handle, UNIT.issuers[:-1]), (POLICY,)
)
TOKEN_DER = authority.issue_time_stamp(
    messages.TimeStampRequest(IMPRINT, nonce=5, cert_req=True), AUTHORITY, AT
)


@given(st.binary(max_size=200))
@settings(deadline=None, max_examples=200)
def test_any_bytes_get_a_well_formed_answer(junk: bytes) -> None:
    response = messages.parse_response(authority.respond(junk, AUTHORITY, lambda: AT))
    assert response.status is messages.PKIStatus.rejection
    assert response.failures


# A mutated certificate may be one that the library only warns of; we refuse it ourselves.
@pytest.mark.filterwarnings("ignore::cryptography.utils.CryptographyDeprecationWarning")
@given(
    st.lists(
        st.tuples(st.integers(0, len(TOKEN_DER) - 1), st.integers(1, 255)), min_size=1, max_size=3
    )
)
@settings(deadline=None, max_examples=400, suppress_health_check=[HealthCheck.too_slow])
def test_a_mutated_token_raises_input_error_and_nothing_else(
    changes: list[tuple[int, int]],
) -> None:
    changed = bytearray(TOKEN_DER)
    for position, difference in changes:
        changed[position] ^= difference
    with contextlib.suppress(messages.MalformedTokenError):
        signed_token.parse_token(bytes(changed))


# A mutated certificate may be one that the library only warns of; we refuse it ourselves.
@pytest.mark.filterwarnings("ignore::cryptography.utils.CryptographyDeprecationWarning")
@given(st.integers(0, len(TOKEN_DER) - 1), st.integers(0, 7))
@settings(deadline=None, max_examples=300)
def test_no_flipped_bit_changes_what_a_checked_token_says(position: int, bit: int) -> None:
    changed = bytearray(TOKEN_DER)
    changed[position] ^= 1 << bit
    try:
        token = signed_token.parse_token(bytes(changed))
        client.check_token(token, IMPRINT)
    except errors.InputError:
        return
    original = signed_token.parse_token(TOKEN_DER)
    assert token.info_der == original.info_der
    assert signed_token.find_signer_certificate(token) == UNIT.certificate


def test_the_hash_of_the_imprint_may_be_any_allowed_one(world: World) -> None:
    for algorithm in HashAlgorithm:
        imprint = messages.MessageImprint(algorithm, algorithm.digest(b"x"))
        token_der = authority.issue_time_stamp(
            messages.TimeStampRequest(imprint, cert_req=True), world.authority, world.clock.now()
        )
        client.check_token(signed_token.parse_token(token_der), imprint)
