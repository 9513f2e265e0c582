"""The status client before several responders, some of which misbehave on the wire."""

import datetime
import logging
import re
import time
from collections.abc import Callable, Iterator
from contextlib import closing

import pytest
from cryptography import x509
from cryptography.x509.oid import ExtendedKeyUsageOID

from ocsp import cert_id, client, messages, responder
from pki import errors, outbound, peers, signature
from pki.algorithms import HashAlgorithm, KeyKind
from tests.ocsp.conftest import GOOD, World
from tests.support import bad_servers
from tests.support import hierarchy as hierarchy_support

PATIENCE = peers.Patience(total_s=6, each_s=0.7, rounds=2, pause_s=0.01)
REPLY = client.RESPONSE_TYPE
HOUR = datetime.timedelta(hours=1)


@pytest.fixture
def http() -> Iterator[outbound.Client]:
    with closing(outbound.Client(timeout_s=5)) as opened:
        yield opened


def _ask(
    world: World,
    http: outbound.Client,
    *urls: str,
    holder: hierarchy_support.Holder | None = None,
    **asked: object,
) -> client.CheckedStatus:
    return client.fetch_status(
        http,
        (holder or world.signer()).certificate,
        world.hierarchy.issuing.certificate,
        world.clock.now(),
        urls=urls,
        patience=PATIENCE,
        **asked,  # type: ignore[arg-type]
    )


def _old_answer(world: World) -> bytes:
    """A right answer, about another certificate and of another nonce."""
    return _answer_without_nonce(world, world.signer(), nonce=b"m" * 32)


def _answer_without_nonce(
    world: World,
    holder: hierarchy_support.Holder,
    *,
    nonce: bytes | None = None,
    signer: hierarchy_support.Holder | None = None,
    age: datetime.timedelta = datetime.timedelta(0),
    next_update: datetime.timedelta | None = HOUR,
) -> bytes:
    signer = signer or world.hierarchy.ocsp_responder()
    at = world.clock.now() - age
    name = cert_id.name_certificate(
        world.hierarchy.issuing.certificate, holder.certificate.serial_number
    )
    single = messages.SingleResponse(name, GOOD, at, at + next_update if next_update else None)
    key = cert_id.key_hash(signer.certificate, cert_id.CertIDHash.SHA1)
    signed = messages.build_response_data(messages.ResponseData(key, at, (single,), nonce))
    value = signer.handle.sign(signature.represent(signed, HashAlgorithm.SHA256))
    return messages.build_response(signed, value, (signer.der,))


def _error(why: messages.ResponseStatus) -> bad_servers.Conversation:
    return bad_servers.answer(messages.build_error(why), REPLY)


BAD: dict[str, Callable[[World], bad_servers.Conversation]] = {
    "hangs": lambda _: bad_servers.hang,
    "drips": lambda _: bad_servers.drip(b"HTTP/1.1 200 OK\r\nContent-Length: 9999\r\n\r\n" * 9),
    "floods": lambda _: bad_servers.flood,
    "breaks off": lambda _: bad_servers.break_off,
    "answers with a page": lambda _: bad_servers.answer(b"<html>", "text/html"),
    "answers 500": lambda _: bad_servers.answer(b"", REPLY, status="500 Fault"),
    "answers junk": lambda _: bad_servers.answer(b"\x30\x80" * 500, REPLY),
    "says tryLater": lambda _: _error(messages.ResponseStatus.tryLater),
    "says unauthorized": lambda _: _error(messages.ResponseStatus.unauthorized),
    "repeats an old answer": lambda world: bad_servers.answer(_old_answer(world), REPLY),
}


@pytest.mark.parametrize("fault", list(BAD))
def test_a_responder_that_fails_leaves_the_question_to_the_next_and_is_named_in_the_log(
    world: World,
    base_url: str,
    http: outbound.Client,
    fault: str,
    caplog: pytest.LogCaptureFixture,
) -> None:
    with bad_servers.serve(BAD[fault](world)) as bad, caplog.at_level(logging.WARNING, "pki.peers"):
        start = time.monotonic()
        checked = _ask(world, http, bad.url, f"{base_url}/ocsp")
        assert time.monotonic() - start < 3
    assert checked.status == GOOD
    assert re.search(rf"peer_failed url={re.escape(bad.url)} code=\S+ reason=.", caplog.text)


def test_where_every_responder_fails_the_time_for_all_is_kept(
    world: World, http: outbound.Client
) -> None:
    with bad_servers.serve(bad_servers.hang) as one, bad_servers.serve(bad_servers.hang) as two:
        start = time.monotonic()
        with pytest.raises(outbound.PeerUnavailableError):
            _ask(world, http, one.url, two.url)
        assert time.monotonic() - start < PATIENCE.total_s + 1


def test_no_more_than_four_of_the_responders_that_a_certificate_names_are_asked(
    world: World, http: outbound.Client
) -> None:
    with bad_servers.serve(_error(messages.ResponseStatus.unauthorized)) as bad:
        with pytest.raises(client.ResponderRefusedError):
            _ask(world, http, *(f"{bad.url}{number}" for number in range(50)))
        assert bad.requests == client.MAX_RESPONDERS


PREFERRED = client.Demands(client.NoncePolicy.PREFERRED, max_age=HOUR)


@pytest.mark.clause("RFC 9654", "2.1")
def test_an_answer_without_the_nonce_is_taken_only_where_that_is_the_policy(
    world: World, http: outbound.Client
) -> None:
    holder = world.signer()
    talk = bad_servers.answer(_answer_without_nonce(world, holder), REPLY)
    with bad_servers.serve(talk) as server:
        assert _ask(world, http, server.url, holder=holder, demands=PREFERRED).status == GOOD
        with pytest.raises(client.ResponseRefusedError, match="nonce"):
            _ask(world, http, server.url, holder=holder)


def test_an_answer_with_another_nonce_is_refused_under_every_policy(
    world: World, http: outbound.Client
) -> None:
    holder = world.signer()
    old = _answer_without_nonce(world, holder, nonce=b"m" * 32)
    with (
        bad_servers.serve(bad_servers.answer(old, REPLY)) as server,
        pytest.raises(client.ResponseRefusedError, match="nonce"),
    ):
        _ask(world, http, server.url, holder=holder, demands=PREFERRED)


@pytest.mark.clause("RFC 5019", "4")
def test_an_answer_from_a_cache_is_taken_while_it_is_fresh(
    world: World, http: outbound.Client
) -> None:
    holder = world.signer()
    demands = client.Demands(client.NoncePolicy.NOT_SENT, max_age=HOUR)
    for age, fresh in ((HOUR / 2, True), (2 * HOUR, False)):
        cached = _answer_without_nonce(world, holder, age=age, next_update=24 * HOUR)
        with bad_servers.serve(bad_servers.answer(cached, REPLY)) as server:
            if fresh:
                assert _ask(world, http, server.url, holder=holder, demands=demands)
                continue
            with pytest.raises(client.StaleResponseError, match="at most 3600 s old"):
                _ask(world, http, server.url, holder=holder, demands=demands)


def _responder_without_nocheck(world: World) -> hierarchy_support.Holder:
    return world.hierarchy._leaf(
        world.hierarchy.issuing,
        [(x509.NameOID.COMMON_NAME, "TEST responder")],
        KeyKind.P256,
        [
            (hierarchy_support._usage(digital_signature=True), True),
            (x509.ExtendedKeyUsage([ExtendedKeyUsageOID.OCSP_SIGNING]), False),
        ],
        addresses=False,
    )


@pytest.mark.clause("RFC 6960", "4.2.2.2.1")
def test_a_responder_without_nocheck_needs_a_status_of_its_own(
    world: World, http: outbound.Client
) -> None:
    holder, signer = world.signer(), _responder_without_nocheck(world)
    talk = bad_servers.answer(_answer_without_nonce(world, holder, signer=signer), REPLY)
    asked: list[x509.Certificate] = []

    def revoked(certificate: x509.Certificate) -> None:
        raise errors.PolicyError("the responder is revoked")

    with bad_servers.serve(talk) as server:
        good = _ask(
            world, http, server.url, holder=holder, demands=PREFERRED, check_responder=asked.append
        )
        assert good.responder == signer.certificate
        assert asked == [signer.certificate]
        with pytest.raises(client.ResponseRefusedError, match="ocsp-nocheck"):
            _ask(world, http, server.url, holder=holder, demands=PREFERRED)
        with pytest.raises(client.ResponseRefusedError, match="the responder is revoked"):
            _ask(world, http, server.url, holder=holder, demands=PREFERRED, check_responder=revoked)


def test_a_response_from_before_its_responders_certificate_is_refused(world: World) -> None:
    holder = world.signer()
    signer = world.hierarchy.ocsp_responder()
    age = world.clock.now() - signer.certificate.not_valid_before_utc + HOUR
    early = _answer_without_nonce(world, holder, signer=signer, age=age, next_update=age + HOUR)
    with pytest.raises(client.ResponseRefusedError, match="when the response was produced"):
        client.check_response(
            early, holder.certificate, world.hierarchy.issuing.certificate, world.clock.now()
        )


@pytest.mark.clause("RFC 6960", "4.1.1")
def test_x_roads_way_of_asking_is_answered(world: World) -> None:
    """POST, SHA-1 CertID, no nonce; the first response is read, at most an hour old."""
    holder = world.signer()
    name = cert_id.name_certificate(
        world.hierarchy.issuing.certificate,
        holder.certificate.serial_number,
        cert_id.CertIDHash.SHA1,
    )
    request_der = messages.build_request(messages.OCSPRequest((name,), None))
    answer = responder.respond(request_der, world.responder, world.clock.now())
    _, basic = messages.parse_response(answer.response_der)
    assert basic is not None
    first = basic.data.responses[0]
    assert basic.data.nonce is None
    assert first.cert_id == name
    assert first.status == GOOD
    assert world.clock.now() - first.this_update <= datetime.timedelta(seconds=3600)
