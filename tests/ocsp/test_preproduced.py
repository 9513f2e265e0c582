"""Responses signed ahead of need: what they say, and when they are left unused."""

import datetime
import pathlib
import random
from collections.abc import Iterator

import pytest
from cryptography.x509 import ocsp as x509_ocsp

from ocsp import (
    answers,
    cert_id,
    client,
    messages,
    preproduced,
    responder,
    responder_key,
    stock_keeper,
)
from ocsp import (
    stock as stocks,
)
from pki import algorithms, errors, status
from tests.ocsp.conftest import GOOD, World

SHA1, SHA256 = cert_id.CertIDHash.SHA1, cert_id.CertIDHash.SHA256
HALF = responder.DEFAULT_VALIDITY / 2


class Stock:
    """A keeper in a folder, over the world's dictionary of statuses."""

    def __init__(self, world: World, folder: pathlib.Path) -> None:
        self.world = world
        self.path = preproduced.path_of(folder, "citizen")
        self.keeper = stock_keeper.StockKeeper(folder, world.responder, self._enumerate)

    def _enumerate(self, issuer: str) -> Iterator[tuple[int, status.CertificateStatus]]:
        for (name, serial), known in sorted(self.world.statuses.items(), key=lambda one: one[0]):
            if name == issuer:
                yield serial, known

    def refill(self) -> None:
        self.keeper.produce(self.world.clock.now())
        self.keeper.load()

    def ask(
        self, serial: int, kind: cert_id.CertIDHash = SHA1, nonce: bytes | None = None
    ) -> answers.Answer:
        issuer = self.world.hierarchy.issuing.certificate
        asked = cert_id.name_certificate(issuer, serial, kind)
        request = messages.build_request(messages.OCSPRequest((asked,), nonce))
        return responder.respond(request, self.world.responder, self.world.clock.now())

    @property
    def used(self) -> int:
        return self.world.responder.counts.preproduced


@pytest.fixture
def stock(world: World, tmp_path: pathlib.Path) -> Stock:
    return Stock(world, tmp_path)


def _single(answer: answers.Answer) -> messages.SingleResponse:
    _, basic = messages.parse_response(answer.response_der)
    assert basic is not None
    return basic.data.responses[0]


@pytest.mark.clause("RFC 6960", "2.5")
def test_every_certificate_has_a_response_that_verifies(world: World, stock: Stock) -> None:
    when = world.clock.now() - datetime.timedelta(hours=1)
    reasons = list(status.RevocationReason)
    holders = [world.signer() for _ in range(4)]
    holders += [world.signer(status.CertificateStatus(when, one)) for one in reasons]
    holders.append(
        world.signer(status.CertificateStatus(when, reasons[1], when - datetime.timedelta(days=2)))
    )
    stock.refill()
    made_at = world.clock.now()
    world.clock.move(datetime.timedelta(minutes=3))
    for holder in holders:
        serial = holder.certificate.serial_number
        answer = stock.ask(serial)
        checked = client.check_response(
            answer.response_der,
            holder.certificate,
            world.hierarchy.issuing.certificate,
            world.clock.now(),
        )
        assert checked.status == world.statuses["citizen", serial]
        assert checked.this_update == checked.produced_at == made_at
        assert x509_ocsp.load_der_ocsp_response(answer.response_der).serial_number == serial
        # The second time it is sent as it was put together.
        assert stock.ask(serial) is answer
    assert stock.used == len(holders)
    assert world.responder.counts.signed == 0


def test_a_changed_status_is_told_at_once(world: World, stock: Stock) -> None:
    serial = world.signer().certificate.serial_number
    stock.refill()
    hold = status.CertificateStatus(world.clock.now(), status.RevocationReason.certificateHold)
    world.statuses["citizen", serial] = hold
    assert _single(stock.ask(serial)).status == hold
    assert stock.used == 0
    del world.statuses["citizen", serial]
    assert _single(stock.ask(serial)).status is None


def test_what_was_not_signed_ahead_is_signed_on_demand(world: World, stock: Stock) -> None:
    stock.refill()
    holder = world.signer()
    serial = holder.certificate.serial_number
    assert _single(stock.ask(serial)).status == GOOD
    other = world.signer().certificate.serial_number
    stock.refill()
    for kind, nonce in ((SHA256, None), (SHA1, b"n"), (SHA256, b"n")):
        assert _single(stock.ask(other, kind, nonce)).status == GOOD
    assert stock.used == 0


def test_a_revocation_in_the_future_of_a_run_is_left_out(world: World, stock: Stock) -> None:
    when = world.clock.now() + datetime.timedelta(seconds=20)
    known = status.CertificateStatus(when, status.RevocationReason.superseded)
    serial = world.signer(known).certificate.serial_number
    stock.refill()
    world.clock.move(datetime.timedelta(minutes=1))
    assert _single(stock.ask(serial)).this_update == world.clock.now()
    assert stock.used == 0


def test_responses_are_made_anew_before_half_their_life_is_over(world: World, stock: Stock) -> None:
    serial = world.signer().certificate.serial_number
    stock.refill()
    first = _single(stock.ask(serial)).this_update
    world.clock.move(HALF / 2 - datetime.timedelta(seconds=1))
    stock.refill()
    assert _single(stock.ask(serial)).this_update == first
    world.clock.move(datetime.timedelta(seconds=1))
    stock.refill()
    assert _single(stock.ask(serial)).this_update == world.clock.now()
    assert stock.used == 2
    # A job that stopped leaves nothing behind that is too old.
    world.clock.move(HALF)
    assert _single(stock.ask(serial)).this_update == world.clock.now()
    assert stock.used == 2


def test_invariant_14_no_answer_is_older_than_one_before_whatever_was_signed_ahead(
    world: World, stock: Stock
) -> None:
    serials = [world.signer().certificate.serial_number for _ in range(3)]
    latest = dict.fromkeys(serials, world.clock.now() - HALF)
    chance = random.Random(16)  # noqa: S311 - the same steps every time
    for step in range(700):
        seconds = chance.choice((-40, -8, -3, 0, 0, 0, 1, 2, 5, 60, 290))
        world.clock.move(datetime.timedelta(seconds=seconds))
        if chance.random() < 0.5:
            stock.refill()
        nonce = bytes((step % 256,)) if chance.random() < 0.2 else None
        serial = chance.choice(serials)
        answer = stock.ask(serial, chance.choice((SHA1, SHA1, SHA256)), nonce)
        if answer.response_status is messages.ResponseStatus.tryLater:
            continue
        assert _single(answer).this_update >= latest[serial]
        latest[serial] = _single(answer).this_update
    assert stock.used > 10


def test_a_responder_that_is_no_longer_used_has_no_stock(world: World, stock: Stock) -> None:
    serial = world.signer().certificate.serial_number
    stock.refill()
    (issuer,) = world.responder.issuers
    holder = world.hierarchy.ocsp_responder()
    key = responder_key.ResponderKey(holder.certificate, holder.handle)
    world.responder.issuers = (responder_key.StatusIssuer("citizen", issuer.certificate, (key,)),)
    certificates = x509_ocsp.load_der_ocsp_response(stock.ask(serial).response_der).certificates
    assert certificates == [holder.certificate]
    assert stock.used == 0
    with pytest.raises(preproduced.PreproducedFileError, match="not used"):
        preproduced.PreproducedFile(stock.path, world.responder.issuers[0])
    # The next run is the new key's, at once.
    stock.refill()
    assert stock.ask(world.signer().certificate.serial_number).response_status
    file = preproduced.PreproducedFile(stock.path, world.responder.issuers[0])
    assert file.key is key


@pytest.mark.parametrize(
    "damage",
    [
        lambda content: content[:-1],
        lambda content: content + b"\0",
        lambda content: b"",
        lambda content: b"IMZAPRE2" + content[8:],
        lambda content: content[:200] + bytes((content[200] ^ 1,)) + content[201:],
    ],
)
def test_a_damaged_file_is_refused_and_the_one_before_stays(
    world: World, stock: Stock, damage: "object"
) -> None:
    assert callable(damage)
    serial = world.signer().certificate.serial_number
    stock.refill()
    content = damage(stock.path.read_bytes())
    stock.path.unlink()
    stock.path.write_bytes(content)
    with pytest.raises(preproduced.PreproducedFileError):
        preproduced.PreproducedFile(stock.path, world.responder.issuers[0])
    stock.keeper.load()
    assert _single(stock.ask(serial)).status == GOOD
    assert stock.used == 1


def test_a_run_that_fails_leaves_the_file_before(world: World, stock: Stock) -> None:
    world.signer()
    stock.refill()
    before = stock.path.read_bytes()

    def away(_: str) -> Iterator[tuple[int, status.CertificateStatus]]:
        yield 5, GOOD
        raise errors.PeerError("the registry is away")

    keeper = stock_keeper.StockKeeper(stock.path.parent, world.responder, away)
    with pytest.raises(errors.PeerError):
        keeper.produce(world.clock.now())
    assert stock.path.read_bytes() == before
    assert [one.name for one in stock.path.parent.iterdir()] == [stock.path.name]


@pytest.mark.parametrize("count", [0, 1, 2, 3, 9, 400])
@pytest.mark.parametrize("spread", [1, 2**40, 2**120])
def test_every_record_is_found_and_no_other(
    world: World, stock: Stock, count: int, spread: int
) -> None:
    chance = random.Random(count)  # noqa: S311 - the same numbers every time
    serials = sorted({2**100 + chance.randrange(spread * 1000) for _ in range(count)})
    world.statuses.update({("citizen", one): GOOD for one in serials})
    stock.refill()
    file = preproduced.PreproducedFile(stock.path, world.responder.issuers[0])
    assert file.count == len(serials)
    issuer = world.hierarchy.issuing.certificate
    for serial in {*serials, *(one + 1 for one in serials), 1, 2**159}:
        found = file.find(cert_id.name_certificate(issuer, serial, SHA1), GOOD)
        assert (found is not None) is (serial in serials)


def test_keys_of_every_kind_can_sign_ahead(world: World, tmp_path: pathlib.Path) -> None:
    assert set(preproduced.SIGNATURE_BYTES) == set(algorithms.KeyKind)


def test_where_too_many_were_asked_on_demand_the_present_files_are_left_unused(
    world: World, stock: Stock
) -> None:
    serial = world.signer().certificate.serial_number
    stock.refill()
    file = preproduced.PreproducedFile(stock.path, world.responder.issuers[0])
    asked = cert_id.name_certificate(world.hierarchy.issuing.certificate, serial, SHA1)
    own = stocks.Stock()
    own.replace({"citizen": file})
    at = world.clock.now() + datetime.timedelta(minutes=1)
    own.remember("citizen", range(10, 10 + stocks.MAX_REMEMBERED), at)
    assert own.find("citizen", asked, GOOD, at) is not None
    own.remember("citizen", (5,), at)
    assert own.find("citizen", asked, GOOD, at) is None
