"""Changing over to the next responder's key."""

import concurrent.futures
import contextlib
import datetime
import logging
import threading

import pytest

from ocsp import cert_id, client, messages, responder, responder_key, rotation
from pki import algorithms, errors, registry_reader, signature, status
from pki.keystore import store
from tests.ocsp.conftest import GOOD, World
from tests.support import hierarchy as hierarchy_support


class Desk:
    """What the registry says of responders, and a store whose keys may be away."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.certificates: list[registry_reader.ResponderCertificate] = []
        self.handles: dict[str, store.KeyHandle] = {}
        self.opened: list[str] = []
        self.keys = rotation.ResponderKeys(self._open)

    def _open(self, label: str) -> store.KeyHandle:
        self.opened.append(label)
        if label not in self.handles:
            raise store.KeyNotFoundError(f"no key has the label {label!r}")
        return self.handles[label]

    def certify(
        self, label: str, holder: hierarchy_support.Holder | None = None
    ) -> hierarchy_support.Holder:
        self.world.hierarchy.at = self.world.clock.now()
        holder = holder or self.world.hierarchy.ocsp_responder()
        self.handles[label] = holder.handle
        self.certificates.append(registry_reader.ResponderCertificate("citizen", label, holder.der))
        return holder

    def issuers(self) -> tuple[responder_key.StatusIssuer, ...]:
        issuer = registry_reader.Issuer("citizen", self.world.hierarchy.issuing.der)
        return self.keys.issuers((issuer,), tuple(self.certificates), self.world.clock.now())

    def labels(self) -> list[str]:
        """The certificates in use, by what the store calls their keys, the newest first."""
        names = {one.certificate_der: one.key_label for one in self.certificates}
        (issuer,) = self.issuers()
        return [
            names[hierarchy_support.Holder(one.certificate, None).der]  # type: ignore[arg-type]
            for one in issuer.newest_first
        ]


@pytest.fixture
def desk(world: World) -> Desk:
    made = Desk(world)
    made.certify("first")
    return made


def test_the_next_key_answers_and_the_one_before_can_step_in(world: World, desk: Desk) -> None:
    before = desk.issuers()
    assert desk.issuers() is before
    world.clock.move(datetime.timedelta(days=20))
    desk.certify("second")
    assert desk.labels() == ["second", "first"]
    # What passed is not opened again, and stays the same key: what it signed can be sent again.
    assert desk.issuers()[0].newest_first[1] is before[0].keys[0]
    assert desk.opened == ["first", "second"]
    world.clock.move(datetime.timedelta(days=11))
    assert desk.labels() == ["second"]


def test_a_responder_that_was_revoked_signs_no_more(desk: Desk, world: World) -> None:
    world.clock.move(datetime.timedelta(days=20))
    desk.certify("second")
    assert desk.labels() == ["second", "first"]
    del desk.certificates[1]
    assert desk.labels() == ["first"]


@pytest.mark.clause("RFC 6960", "4.2.2.2")
def test_a_key_that_does_not_pass_is_not_used_and_tried_again(
    world: World, desk: Desk, caplog: pytest.LogCaptureFixture
) -> None:
    second = desk.certify("second")
    right = desk.handles.pop("second")
    stranger = desk.world.hierarchy.ocsp_responder().handle
    with caplog.at_level(logging.ERROR):
        assert desk.labels() == ["first"]
        assert "key-not-found" in caplog.text
        desk.handles["second"] = stranger
        world.clock.move(rotation.TRY_AGAIN)
        assert desk.labels() == ["first"]
        assert "ocsp-responder-self-test" in caplog.text
    opened = len(desk.opened)
    assert desk.labels() == ["first"]
    assert len(desk.opened) == opened
    desk.handles["second"] = right
    world.clock.move(rotation.TRY_AGAIN)
    assert desk.labels()[0] == "second"
    assert second.certificate == desk.issuers()[0].newest_first[0].certificate


def test_what_relying_parties_would_refuse_does_not_pass(world: World, desk: Desk) -> None:
    other_ca = world.hierarchy.ocsp_responder(world.hierarchy.infrastructure)
    desk.certify("another CA's", other_ca)
    desk.certify("no responder's", world.hierarchy.signer(authentication=True))
    world.clock.move(datetime.timedelta(days=4))
    desk.certify("not valid yet")
    world.clock.move(-datetime.timedelta(days=4))
    assert desk.labels() == ["first"]
    world.clock.move(datetime.timedelta(days=4))
    assert desk.labels() == ["not valid yet", "first"]


def test_no_responder_at_all_is_no_issuer(world: World) -> None:
    assert Desk(world).issuers() == ()


class Failing:
    """A key of a module that went away after its test."""

    label = "failing"

    def __init__(self, handle: store.KeyHandle) -> None:
        self._handle = handle
        self.away = False

    @property
    def public_key(self) -> algorithms.PublicKey:
        return self._handle.public_key

    def sign(
        self, representation: signature.DataToBeSignedRepresentation
    ) -> signature.SignatureValue:
        if self.away:
            raise errors.DeviceError("the module is away", retriable=True)
        return self._handle.sign(representation)


def test_the_key_before_steps_in_where_the_newest_fails(world: World, desk: Desk) -> None:
    world.clock.move(datetime.timedelta(days=20))
    desk.certify("second")
    failing = Failing(desk.handles["second"])
    desk.handles["second"] = failing
    answering = responder.Responder(desk.issuers(), world.responder.lookup)
    holder = world.signer()
    issuer = world.hierarchy.issuing.certificate
    signers = []
    for away in (False, True):
        failing.away = away
        asked = cert_id.name_certificate(issuer, holder.certificate.serial_number)
        request = messages.build_request(messages.OCSPRequest((asked,), b"n"))
        response_der = answering.answer(request, world.clock.now()).response_der
        checked = client.check_response(
            response_der, holder.certificate, issuer, world.clock.now(), nonce=b"n"
        )
        signers.append(checked.responder.not_valid_before_utc)
    assert signers[0] > signers[1]
    desk.certificates.pop(0)
    alone = responder.Responder(desk.issuers(), world.responder.lookup)
    answer = responder.respond(request, alone, world.clock.now())
    assert answer.response_status is messages.ResponseStatus.tryLater


def test_invariant_15_every_answer_verifies_while_keys_rotate(world: World, desk: Desk) -> None:
    """Threads ask without a pause while responders come, are tested, take over and end."""
    holders = [world.signer() for _ in range(3)]
    issuer = world.hierarchy.issuing.certificate
    answering = responder.Responder(desk.issuers(), world.responder.lookup)
    stopping = threading.Event()

    def ask(number: int) -> set[bytes]:
        signers = set()
        holder = holders[number]
        for count in range(100_000):
            if stopping.is_set():
                break
            nonce = bytes((number, count % 256)) if count % 3 else None
            asked = cert_id.name_certificate(issuer, holder.certificate.serial_number)
            request = messages.build_request(messages.OCSPRequest((asked,), nonce))
            at = world.clock.now()
            response_der = responder.respond(request, answering, at).response_der
            with contextlib.suppress(client.ResponderRefusedError):
                # The clock stands still but for its steps: it may have been moved meanwhile.
                checked = client.check_response(
                    response_der, holder.certificate, issuer, at, nonce=nonce
                )
                assert checked.status == GOOD
                assert checked.next_update is not None
                assert checked.next_update <= checked.responder.not_valid_after_utc
                signers.add(
                    checked.responder.public_bytes(hierarchy_support.serialization.Encoding.DER)
                )
                continue
            _, basic = messages.parse_response(response_der)
            assert basic is not None, "no answer while keys rotate"
        return signers

    with concurrent.futures.ThreadPoolExecutor(3) as pool:
        asking = [pool.submit(ask, number) for number in range(3)]
        for number in range(4):
            for days in (10, 10):
                world.clock.move(datetime.timedelta(days=days))
                if days == 10 and len(desk.certificates) <= number + 1:
                    desk.certify(f"next-{number}")
                answering.issuers = desk.issuers()
                stopping.wait(0.15)
        stopping.set()
        used = set().union(*(one.result() for one in asking))
    assert len(used) >= 4


def test_the_status_of_the_responder_itself_does_not_matter_to_its_test(world: World) -> None:
    (issuer,) = world.responder.issuers
    assert status.CertificateStatus() == GOOD
    rotation.check_key(issuer.keys[0], issuer.certificate, world.clock.now())
    end = issuer.keys[0].period[1]
    with pytest.raises(rotation.SelfTestError):
        rotation.check_key(issuer.keys[0], issuer.certificate, end + datetime.timedelta(seconds=1))
