"""Responses that are sent again: only while they are right and fresh."""

import dataclasses
import datetime
import random

import pytest

from ocsp import answers, cert_id, kept_responses, messages, responder, responder_key
from pki import clock, status
from tests.ocsp.conftest import GOOD, World

HALF = responder.DEFAULT_VALIDITY / 2
SHA1, SHA256 = cert_id.CertIDHash.SHA1, cert_id.CertIDHash.SHA256


def _ask(
    world: World,
    *serials: int,
    kind: cert_id.CertIDHash = SHA1,
    nonce: bytes | None = None,
) -> answers.Answer:
    issuer = world.hierarchy.issuing.certificate
    ids = tuple(cert_id.name_certificate(issuer, serial, kind) for serial in serials)
    request = messages.build_request(messages.OCSPRequest(ids, nonce))
    return responder.respond(request, world.responder, world.clock.now())


def _single(answer: answers.Answer) -> messages.SingleResponse:
    _, basic = messages.parse_response(answer.response_der)
    assert basic is not None
    return basic.data.responses[0]


@pytest.fixture
def serial(world: World) -> int:
    return world.signer().certificate.serial_number


@pytest.mark.clause("RFC 6960", "2.5")
def test_a_response_is_sent_again_until_half_its_life_is_over(world: World, serial: int) -> None:
    first = _ask(world, serial)
    world.clock.move(HALF - datetime.timedelta(seconds=1))
    assert _ask(world, serial) is first
    world.clock.move(datetime.timedelta(seconds=1))
    second = _ask(world, serial)
    assert second is not first
    assert _single(second).this_update == world.clock.now()
    assert _ask(world, serial) is second


def test_a_change_of_status_is_told_at_once(world: World, serial: int) -> None:
    first = _ask(world, serial)
    hold = status.CertificateStatus(world.clock.now(), status.RevocationReason.certificateHold)
    for known in (hold, dataclasses.replace(hold, invalidity_date=world.clock.now()), GOOD):
        world.statuses["citizen", serial] = known
        told = _ask(world, serial)
        assert _single(told).status == known
        assert told is not first
        assert _ask(world, serial) is told
    del world.statuses["citizen", serial]
    assert _single(_ask(world, serial)).status is None


def test_neither_a_nonce_nor_unknown_nor_several_are_kept(world: World, serial: int) -> None:
    other = world.signer().certificate.serial_number
    for asked in ((serial, b"n"), (4711, None)):
        one, two = (_ask(world, asked[0], nonce=asked[1]) for _ in range(2))
        assert one is not two
    assert _ask(world, serial, other) is not _ask(world, serial, other)


def test_a_response_whose_signer_no_longer_answers_is_not_sent_again(
    world: World, serial: int
) -> None:
    first = _ask(world, serial)
    (issuer,) = world.responder.issuers
    holder = world.hierarchy.ocsp_responder()
    newer = responder_key.ResponderKey(holder.certificate, holder.handle)
    # While both answer, what the older one signed stays good.
    world.responder.issuers = (dataclasses.replace(issuer, keys=(newer, *issuer.keys)),)
    assert _ask(world, serial) is first
    world.responder.issuers = (dataclasses.replace(issuer, keys=(newer,)),)
    assert _ask(world, serial) is not first


def test_both_hashes_share_a_this_update_so_that_neither_makes_the_other_old(
    world: World, serial: int
) -> None:
    first = _ask(world, serial)
    world.clock.move(datetime.timedelta(minutes=5))
    second = _ask(world, serial, kind=SHA256)
    assert _single(second).this_update == _single(first).this_update
    assert _single(second).next_update == _single(first).next_update
    assert second.produced_at == world.clock.now()
    assert _ask(world, serial) is first
    assert _ask(world, serial, kind=SHA256) is second
    world.clock.move(HALF)
    renewed = _ask(world, serial, kind=SHA256)
    assert _single(renewed).this_update == world.clock.now()
    assert _single(_ask(world, serial)).this_update == world.clock.now()


def test_invariant_14_no_answer_about_a_certificate_is_older_than_one_before(world: World) -> None:
    serials = [world.signer().certificate.serial_number for _ in range(4)]
    latest = dict.fromkeys(serials, world.clock.now() - HALF)
    chance = random.Random(15)  # noqa: S311 - the same steps every time
    again = 0
    sent: set[bytes] = set()
    for step in range(1500):
        seconds = chance.choice((-300, -9, -3, -0.4, 0, 0, 0.3, 2, 5, 30, 310))
        world.clock.move(datetime.timedelta(seconds=seconds))
        asked = chance.sample(serials, chance.choice((1, 1, 1, 3)))
        nonce = bytes((step % 256,)) if chance.random() < 0.2 else None
        if chance.random() < 0.1:
            held = status.CertificateStatus(
                clock.whole_seconds(world.clock.now()), status.RevocationReason.certificateHold
            )
            world.statuses["citizen", asked[0]] = chance.choice((GOOD, held))
        answer = _ask(world, *asked, kind=chance.choice((SHA1, SHA256)), nonce=nonce)
        again += answer.response_der in sent
        sent.add(answer.response_der)
        _, basic = messages.parse_response(answer.response_der)
        if basic is None:
            assert answer.response_status is messages.ResponseStatus.tryLater
            continue
        for single in basic.data.responses:
            serial = single.cert_id.serial_number
            assert single.status == world.statuses["citizen", serial]
            assert single.this_update >= latest[serial]
            latest[serial] = single.this_update
    assert again > 20


def test_a_clock_far_behind_stops_even_what_is_kept(world: World, serial: int) -> None:
    first = _ask(world, serial)
    world.clock.move(-responder.MAX_STEP_BACK)
    assert _ask(world, serial) is first
    world.clock.move(-datetime.timedelta(seconds=1))
    assert _ask(world, serial).response_status is messages.ResponseStatus.tryLater


def _kept(world: World, number: int, serial: int) -> kept_responses.Kept:
    at = world.clock.now()
    answer = answers.Answer(b"r" * 1000, messages.ResponseStatus.successful, at, at, at)
    key = world.responder.issuers[0].keys[0]
    return kept_responses.Kept(
        number.to_bytes(4, "big"), answer, "citizen", serial, GOOD, key, at, at
    )


def test_the_memory_is_bounded_and_what_was_used_last_stays(world: World) -> None:
    kept = kept_responses.KeptResponses(100_000)
    for number in range(1000):
        kept.keep(_kept(world, number, number % 300))
        assert kept.find((0).to_bytes(4, "big")) is not None
        assert kept.size_bytes <= 100_000
    assert kept.find((999).to_bytes(4, "big")) is not None
    assert kept.find((500).to_bytes(4, "big")) is None
    assert kept.about("citizen", 200) == []
    for serial in range(300):
        kept.forget("citizen", serial)
    assert kept.size_bytes == 0


def test_no_memory_keeps_nothing(world: World, serial: int) -> None:
    world.responder = responder.Responder(
        world.responder.issuers, world.responder.lookup, kept_bytes=0
    )
    assert _ask(world, serial) is not _ask(world, serial)
