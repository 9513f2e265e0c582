import datetime
import itertools
import random

import pytest
from cryptography.x509 import ocsp as x509_ocsp
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ocsp import answers, cert_id, delegation, messages, responder, responder_key
from pki import errors, signature, status
from tests.ocsp.conftest import World

STATUS = messages.ResponseStatus


def _request(world: World, *serials: int, nonce: bytes | None = None) -> bytes:
    issuer = world.hierarchy.issuing.certificate
    ids = tuple(cert_id.name_certificate(issuer, serial) for serial in serials)
    return messages.build_request(messages.OCSPRequest(ids, nonce))


def _data(answer: answers.Answer) -> messages.ResponseData:
    why, basic = messages.parse_response(answer.response_der)
    assert why is STATUS.successful
    assert basic is not None
    return basic.data


def test_a_good_certificate_is_good(world: World) -> None:
    serial = world.signer().certificate.serial_number
    answer = responder.respond(_request(world, serial), world.responder, world.clock.now())
    (single,) = _data(answer).responses
    assert single.status == status.CertificateStatus()
    assert single.this_update == world.clock.now()
    assert single.next_update == world.clock.now() + responder.DEFAULT_VALIDITY


@pytest.mark.clause("RFC 6960", "2.2")
def test_a_serial_that_was_never_issued_is_unknown(world: World) -> None:
    answer = responder.respond(_request(world, 12345), world.responder, world.clock.now())
    (single,) = _data(answer).responses
    assert single.status is None
    assert single.next_update is None
    # It may be issued in a moment: nobody may keep this answer.
    assert answer.next_update is None


@pytest.mark.clause("RFC 6960", "4.2.1")
@pytest.mark.parametrize("reason", list(status.RevocationReason))
def test_a_revoked_certificate_is_revoked_with_its_reason_and_time(
    world: World, reason: status.RevocationReason
) -> None:
    when = world.clock.now() - datetime.timedelta(hours=3)
    known = status.CertificateStatus(when, reason, when - datetime.timedelta(days=1))
    serial = world.signer(known).certificate.serial_number
    answer = responder.respond(_request(world, serial), world.responder, world.clock.now())
    (single,) = _data(answer).responses
    assert single.status == known
    theirs = x509_ocsp.load_der_ocsp_response(answer.response_der)
    assert theirs.certificate_status is x509_ocsp.OCSPCertStatus.REVOKED
    expected = None if reason is status.RevocationReason.unspecified else reason.name
    assert (theirs.revocation_reason.value if theirs.revocation_reason else None) == expected


def test_status_is_kept_since_the_issuer_began(world: World) -> None:
    serial = world.signer().certificate.serial_number
    answer = responder.respond(_request(world, serial), world.responder, world.clock.now())
    (single,) = _data(answer).responses
    assert single.archive_cutoff == world.hierarchy.issuing.certificate.not_valid_before_utc


def test_several_certificates_are_answered_in_their_order(world: World) -> None:
    good = world.signer().certificate.serial_number
    hold = status.CertificateStatus(world.clock.now(), status.RevocationReason.certificateHold)
    held = world.signer(hold).certificate.serial_number
    answer = responder.respond(_request(world, held, 99, good), world.responder, world.clock.now())
    found = [(one.cert_id.serial_number, one.status) for one in _data(answer).responses]
    assert found == [(held, hold), (99, None), (good, status.CertificateStatus())]


@pytest.mark.clause("RFC 6960", "4.1.1")
@pytest.mark.parametrize("kind", list(cert_id.CertIDHash))
def test_the_certificate_is_named_in_the_requesters_own_hash(
    world: World, kind: cert_id.CertIDHash
) -> None:
    serial = world.signer().certificate.serial_number
    asked = cert_id.name_certificate(world.hierarchy.issuing.certificate, serial, kind)
    answer = responder.respond(
        messages.build_request(messages.OCSPRequest((asked,))), world.responder, world.clock.now()
    )
    (single,) = _data(answer).responses
    assert single.cert_id.encoded == asked.encoded
    assert single.status == status.CertificateStatus()


@pytest.mark.clause("RFC 9654", "2.1")
def test_a_nonce_comes_back_and_makes_the_answer_private(world: World) -> None:
    serial = world.signer().certificate.serial_number
    answer = responder.respond(
        _request(world, serial, nonce=b"n" * 32), world.responder, world.clock.now()
    )
    assert _data(answer).nonce == b"n" * 32
    assert answer.next_update is None
    without = responder.respond(_request(world, serial), world.responder, world.clock.now())
    assert _data(without).nonce is None
    assert without.next_update is not None


def test_the_responder_is_named_by_its_key_and_its_signature_verifies(world: World) -> None:
    serial = world.signer().certificate.serial_number
    answer = responder.respond(_request(world, serial), world.responder, world.clock.now())
    theirs = x509_ocsp.load_der_ocsp_response(answer.response_der)
    (certificate,) = theirs.certificates
    assert theirs.responder_key_hash == cert_id.key_hash(certificate, cert_id.CertIDHash.SHA1)
    assert theirs.responder_name is None
    from cryptography.hazmat.primitives.asymmetric import ec

    key = certificate.public_key()
    assert isinstance(key, ec.EllipticCurvePublicKey)
    assert theirs.signature_hash_algorithm is not None
    key.verify(
        theirs.signature, theirs.tbs_response_bytes, ec.ECDSA(theirs.signature_hash_algorithm)
    )


@pytest.mark.clause("RFC 6960", "2.3")
def test_an_unknown_issuer_is_unauthorized(world: World) -> None:
    asked = cert_id.name_certificate(world.hierarchy.infrastructure.certificate, 5)
    encoded = messages.build_request(messages.OCSPRequest((asked,)))
    answer = responder.respond(encoded, world.responder, world.clock.now())
    assert answer.response_status is STATUS.unauthorized
    assert answer.response_der == bytes.fromhex("30030a0106")


def test_certificates_of_two_issuers_are_unauthorized(world: World) -> None:
    ids = tuple(
        cert_id.name_certificate(one.certificate, 5)
        for one in (world.hierarchy.issuing, world.hierarchy.infrastructure)
    )
    encoded = messages.build_request(messages.OCSPRequest(ids))
    answer = responder.respond(encoded, world.responder, world.clock.now())
    assert answer.response_status is STATUS.unauthorized


def test_an_issuer_of_the_same_name_and_another_key_is_unauthorized(world: World) -> None:
    right = cert_id.name_certificate(world.hierarchy.issuing.certificate, 5)
    assert right.issuer is not None
    encoded = right.encoded.replace(right.issuer.key_hash, b"k" * len(right.issuer.key_hash))
    wrong = cert_id.CertID(None, 5, encoded)
    answer = responder.respond(
        messages.build_request(messages.OCSPRequest((wrong,))), world.responder, world.clock.now()
    )
    assert answer.response_status is STATUS.unauthorized


@pytest.mark.clause("RFC 6960", "4.2.2.2")
def test_no_answer_outlives_its_signers_certificate(world: World) -> None:
    serial = world.signer().certificate.serial_number
    end = world.responder.issuers[0].keys[0].certificate.not_valid_after_utc
    at = end - datetime.timedelta(minutes=7)
    (single,) = _data(responder.respond(_request(world, serial), world.responder, at)).responses
    assert single.next_update == end


def test_an_expired_responder_refuses_to_answer(world: World) -> None:
    serial = world.signer().certificate.serial_number
    end = world.responder.issuers[0].keys[0].certificate.not_valid_after_utc
    answer = responder.respond(
        _request(world, serial), world.responder, end + datetime.timedelta(seconds=1)
    )
    assert answer.response_status is STATUS.internalError


def test_while_keys_rotate_the_newest_valid_one_answers(world: World) -> None:
    older = world.responder.issuers[0].keys[0]
    later = world.hierarchy
    later.at = world.clock.now() + datetime.timedelta(days=20)
    holder = later.ocsp_responder()
    newer = responder_key.ResponderKey(holder.certificate, holder.handle)
    serial = world.signer().certificate.serial_number
    for keys in itertools.permutations((older, newer)):
        issuer = responder_key.StatusIssuer("citizen", world.hierarchy.issuing.certificate, keys)
        rotating = responder.Responder((issuer,), world.responder.lookup)
        for days, expected in ((0, older), (25, newer), (45, newer)):
            at = world.clock.now() + datetime.timedelta(days=days)
            answer = responder.respond(_request(world, serial, nonce=b"n"), rotating, at)
            theirs = x509_ocsp.load_der_ocsp_response(answer.response_der)
            assert theirs.certificates == [expected.certificate]


def test_invariant_14_a_clock_that_goes_back_never_yields_a_smaller_this_update(
    world: World,
) -> None:
    serials = [world.signer().certificate.serial_number for _ in range(3)]
    chance = random.Random(14)  # noqa: S311 - the same steps every time
    signing = responder.Responder(world.responder.issuers, world.responder.lookup, kept_bytes=0)
    at = latest = world.clock.now()
    responder.respond(_request(world, serials[0]), signing, at)
    refused = answered = 0
    for step in range(400):
        at += datetime.timedelta(seconds=chance.choice((-40, -7, -3, -0.4, 0, 0.3, 2, 5, 80)))
        nonce = bytes((step % 256,)) if step % 2 else None
        request = _request(world, chance.choice(serials), nonce=nonce)
        answer = responder.respond(request, signing, at)
        if answer.response_status is STATUS.tryLater:
            # So far back that an answer would come from the future.
            assert latest - at > responder.MAX_STEP_BACK
            refused += 1
            continue
        data = _data(answer)
        (single,) = data.responses
        assert single.this_update == data.produced_at >= latest
        assert single.this_update <= at + responder.MAX_STEP_BACK
        assert single.next_update is not None
        assert single.next_update > at
        latest = single.this_update
        answered += 1
    assert refused > 10
    assert answered > 100


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (errors.DeviceError("the module is away", retriable=True), STATUS.tryLater),
        (errors.DeviceError("the module is broken"), STATUS.internalError),
        (errors.PeerError("the database is away"), STATUS.tryLater),
        (errors.TamperedError("the registry was changed"), STATUS.internalError),
    ],
)
def test_a_failure_behind_the_responder_has_its_own_status(
    world: World, error: errors.ImzaError, expected: messages.ResponseStatus
) -> None:
    def lookup(issuer: str, serial: int) -> status.CertificateStatus | None:
        raise error

    broken = responder.Responder(world.responder.issuers, lookup)
    answer = responder.respond(_request(world, 5), broken, world.clock.now())
    assert answer.response_status is expected


def test_a_key_that_fails_makes_the_client_try_later(world: World) -> None:
    class Broken:
        label = "broken"
        public_key = world.responder.issuers[0].keys[0].handle.public_key

        def sign(
            self, representation: signature.DataToBeSignedRepresentation
        ) -> signature.SignatureValue:
            raise errors.DeviceError("the module is away", retriable=True)

    certificate = world.responder.issuers[0].keys[0].certificate
    issuer = responder_key.StatusIssuer(
        "citizen",
        world.hierarchy.issuing.certificate,
        (responder_key.ResponderKey(certificate, Broken()),),
    )
    broken = responder.Responder((issuer,), world.responder.lookup)
    answer = responder.respond(_request(world, 5), broken, world.clock.now())
    assert answer.response_status is STATUS.tryLater


@pytest.mark.clause("RFC 6960", "4.2.2.2")
def test_a_responder_certified_by_another_ca_is_refused(world: World) -> None:
    holder = world.hierarchy.ocsp_responder(world.hierarchy.infrastructure)
    with pytest.raises(delegation.ResponderCertificateError, match="very issuer"):
        responder_key.StatusIssuer(
            "citizen",
            world.hierarchy.issuing.certificate,
            (responder_key.ResponderKey(holder.certificate, holder.handle),),
        )


def test_a_responder_needs_the_key_of_its_certificate(world: World) -> None:
    certificate = world.hierarchy.ocsp_responder().certificate
    other = world.hierarchy.ocsp_responder().handle
    with pytest.raises(delegation.ResponderCertificateError, match="not that of"):
        responder_key.StatusIssuer(
            "citizen",
            world.hierarchy.issuing.certificate,
            (responder_key.ResponderKey(certificate, other),),
        )


def test_an_issuer_without_a_responder_is_refused(world: World) -> None:
    with pytest.raises(delegation.ResponderCertificateError, match="no responder"):
        responder_key.StatusIssuer("citizen", world.hierarchy.issuing.certificate, ())


@given(junk=st.binary(max_size=300))
@settings(
    deadline=None, max_examples=200, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
def test_any_bytes_get_a_well_formed_answer(world: World, junk: bytes) -> None:
    answer = responder.respond(junk, world.responder, world.clock.now())
    assert answer.response_der == bytes.fromhex("30030a0101")
    assert messages.parse_response(answer.response_der) == (STATUS.malformedRequest, None)
