"""The time-stamp client before several authorities, some of which misbehave on the wire."""

import datetime
import logging
import re
import time
from collections.abc import Callable, Iterator
from contextlib import closing

import pytest

from pki import clock, errors, outbound, peers
from pki.algorithms import HashAlgorithm
from tests.support import bad_servers
from tests.tsa.conftest import IMPRINT, OTHER_POLICY, POLICY, World
from tsa import authority, client, messages, signed_token

PATIENCE = peers.Patience(total_s=6, each_s=0.7, rounds=2, pause_s=0.01)
REPLY = client.RESPONSE_TYPE

ANOTHER = messages.MessageImprint(HashAlgorithm.SHA256, HashAlgorithm.SHA256.digest(b"another"))
NO_TIME = messages.build_rejection(messages.PKIFailureInfo.timeNotAvailable, "not now")
NO_POLICY = messages.build_rejection(messages.PKIFailureInfo.unacceptedPolicy, "not here")


@pytest.fixture
def http() -> Iterator[outbound.Client]:
    with closing(outbound.Client(timeout_s=5)) as opened:
        yield opened


def _ask(
    world: World, http: outbound.Client, *urls: str, **asked: object
) -> signed_token.TimeStampToken:
    return client.request_time_stamp(
        http,
        urls,
        IMPRINT,
        world.clock.now(),
        patience=PATIENCE,
        **asked,  # type: ignore[arg-type]
    )


def _old_answer(world: World) -> bytes:
    """A right token, for another imprint and of another nonce."""
    request = messages.TimeStampRequest(ANOTHER, nonce=5, cert_req=True)
    return authority.respond(messages.build_request(request), world.authority, world.clock.now)


BAD = {
    "hangs": lambda _: bad_servers.hang,
    "drips": lambda _: bad_servers.drip(b"HTTP/1.1 200 OK\r\nContent-Length: 9999\r\n\r\n" * 9),
    "floods": lambda _: bad_servers.flood,
    "breaks off": lambda _: bad_servers.break_off,
    "answers with a page": lambda _: bad_servers.answer(b"<html>", "text/html"),
    "answers 503": lambda _: bad_servers.answer(b"", REPLY, status="503 Busy"),
    "redirects": lambda _: bad_servers.answer(
        b"", REPLY, status="307 Elsewhere", headers="Location: http://127.0.0.1:9/\r\n"
    ),
    "answers junk": lambda _: bad_servers.answer(b"\x30\x80" * 500, REPLY),
    "has no time": lambda _: bad_servers.answer(NO_TIME, REPLY),
    "has no such policy": lambda _: bad_servers.answer(NO_POLICY, REPLY),
    "repeats an old token": lambda world: bad_servers.answer(_old_answer(world), REPLY),
}


@pytest.mark.parametrize("fault", list(BAD))
def test_an_authority_that_fails_leaves_the_request_to_the_next_and_is_named_in_the_log(
    world: World,
    base_url: str,
    http: outbound.Client,
    fault: str,
    caplog: pytest.LogCaptureFixture,
) -> None:
    make: Callable[[World], bad_servers.Conversation] = BAD[fault]
    with bad_servers.serve(make(world)) as bad, caplog.at_level(logging.WARNING, "pki.peers"):
        start = time.monotonic()
        token = _ask(world, http, bad.url, f"{base_url}/tsa")
        assert time.monotonic() - start < 3
    assert token.info.imprint == IMPRINT
    assert re.search(rf"peer_failed url={re.escape(bad.url)} code=\S+ reason=.", caplog.text)


def test_where_every_authority_fails_the_time_for_all_is_kept(
    world: World, http: outbound.Client
) -> None:
    with bad_servers.serve(bad_servers.hang) as one, bad_servers.serve(bad_servers.hang) as two:
        start = time.monotonic()
        with pytest.raises(outbound.PeerUnavailableError):
            _ask(world, http, one.url, two.url)
        assert time.monotonic() - start < PATIENCE.total_s + 1
        assert one.requests == two.requests == PATIENCE.rounds


def test_an_authority_is_asked_over_one_connection(
    world: World, http: outbound.Client, caplog: pytest.LogCaptureFixture
) -> None:
    with bad_servers.serve(bad_servers.answer(NO_POLICY, REPLY)) as server:
        for _ in range(3):
            with pytest.raises(client.TimeStampRefusedError):
                _ask(world, http, server.url)
        assert (server.connections, server.requests) == (1, 3)


def test_each_request_has_a_nonce_of_its_own(world: World, http: outbound.Client) -> None:
    seen: list[bytes] = []

    def talk(connection, stopping):  # type: ignore[no-untyped-def]
        bad_servers.answer(NO_TIME, REPLY)(connection, stopping)
        seen.append(bad_servers.read_request(connection))
        bad_servers.answer(NO_TIME, REPLY)(connection, stopping)

    with bad_servers.serve(talk) as server:
        for _ in range(2):
            with pytest.raises(client.TimeStampRefusedError):
                _ask(world, http, server.url)
    nonces = {messages.parse_request(one.partition(b"\r\n\r\n")[2]).nonce for one in seen if one}
    assert len(nonces) == len([one for one in seen if one]) >= 2
    assert None not in nonces


def test_a_unit_that_is_not_trusted_leaves_the_request_to_the_next(
    world: World, base_url: str, http: outbound.Client
) -> None:
    asked = []

    def check_unit(token: signed_token.TimeStampToken) -> None:
        asked.append(token)
        if len(asked) == 1:
            raise errors.PolicyError("no path to a root")

    endless = f"{base_url}/tsa?first"
    token = _ask(world, http, endless, f"{base_url}/tsa", check_unit=check_unit)
    assert token == asked[1]
    asked.clear()
    with pytest.raises(client.TokenRefusedError, match="no path to a root"):
        _ask(world, http, endless, check_unit=check_unit)


def test_a_policy_that_is_not_wanted_is_refused(
    world: World, base_url: str, http: outbound.Client
) -> None:
    wanted = client.Demands(policies=(OTHER_POLICY,))
    with pytest.raises(
        client.TokenRefusedError, match=f"expected a token of a policy of {OTHER_POLICY}"
    ):
        _ask(world, http, f"{base_url}/tsa", demands=wanted)
    token = _ask(world, http, f"{base_url}/tsa", demands=wanted, policy=OTHER_POLICY)
    assert token.info.policy == OTHER_POLICY
    assert _ask(world, http, f"{base_url}/tsa").info.policy == POLICY


@pytest.mark.clause("RFC 3161", "2.4.2")
def test_an_accuracy_that_is_too_wide_is_refused(
    world: World, base_url: str, http: outbound.Client
) -> None:
    fine = client.Demands(max_accuracy=datetime.timedelta(milliseconds=500))
    with pytest.raises(client.TokenRefusedError, match=r"0.5 s or better, got 1 s"):
        _ask(world, http, f"{base_url}/tsa", demands=fine)


def test_a_time_beyond_the_skew_that_is_taken_is_refused(
    world: World, base_url: str, http: outbound.Client
) -> None:
    at = clock.whole_seconds(world.clock.now()) + datetime.timedelta(seconds=11)
    demands = client.Demands(max_skew=datetime.timedelta(seconds=10))
    with pytest.raises(client.TokenRefusedError, match="compare the clocks"):
        client.request_time_stamp(http, f"{base_url}/tsa", IMPRINT, at, demands=demands)
    earlier = at - datetime.timedelta(seconds=2)
    assert client.request_time_stamp(http, f"{base_url}/tsa", IMPRINT, earlier, demands=demands)
