"""Several servers, asked in order, some of which fail."""

import logging
import time

import pytest

from pki import errors, outbound, peers

QUICK = peers.Patience(total_s=5, each_s=1, rounds=3, pause_s=0.01)


class WrongAnswerError(errors.PeerError):
    code = "wrong-answer"
    retriable = False


class Servers:
    """Fail as often as they are told to, and then answer with their name."""

    def __init__(self, **failures: list[errors.PeerError]) -> None:
        self.failures = failures
        self.asked: list[str] = []

    def ask(self, url: str, seconds: float) -> str:
        assert 0 < seconds <= QUICK.each_s
        self.asked.append(url)
        if self.failures.get(url):
            raise self.failures[url].pop(0)
        return url


def _down(times: int) -> list[errors.PeerError]:
    return [outbound.PeerUnavailableError("down") for _ in range(times)]


def test_the_first_server_answers_and_no_other_is_asked() -> None:
    servers = Servers()
    assert peers.ask_in_turn(("a", "b"), servers.ask, QUICK) == "a"
    assert servers.asked == ["a"]


def test_a_server_that_is_down_leaves_the_question_to_the_next() -> None:
    servers = Servers(a=_down(9))
    assert peers.ask_in_turn(("a", "b"), servers.ask, QUICK) == "b"
    assert servers.asked == ["a", "b"]


def test_all_are_asked_again_after_a_pause() -> None:
    servers = Servers(a=_down(1), b=_down(1))
    assert peers.ask_in_turn(("a", "b"), servers.ask, QUICK) == "a"
    assert servers.asked == ["a", "b", "a"]


def test_a_server_that_answered_wrongly_is_not_asked_again_and_is_named_in_the_log(
    caplog: pytest.LogCaptureFixture,
) -> None:
    servers = Servers(a=[WrongAnswerError("not for us")], b=_down(9))
    with (
        caplog.at_level(logging.WARNING),
        pytest.raises(outbound.PeerUnavailableError),
    ):
        peers.ask_in_turn(("a", "b"), servers.ask, QUICK)
    assert servers.asked == ["a", "b", "b", "b"]
    assert "url=a code=wrong-answer reason=not for us" in caplog.text


def test_where_every_server_answered_wrongly_the_preferred_ones_reason_is_told() -> None:
    servers = Servers(a=[WrongAnswerError("first")], b=[WrongAnswerError("second")])
    with pytest.raises(WrongAnswerError, match="first"):
        peers.ask_in_turn(("a", "b"), servers.ask, QUICK)


def test_the_time_for_all_tries_together_is_kept() -> None:
    def ask(url: str, seconds: float) -> str:
        time.sleep(seconds)
        raise outbound.PeerUnavailableError("slow")

    start = time.monotonic()
    with pytest.raises(outbound.PeerUnavailableError):
        peers.ask_in_turn(("a", "b", "c"), ask, peers.Patience(0.5, 0.2, 50, 0.01))
    assert 0.3 < time.monotonic() - start < 1.0


def test_one_server_named_twice_is_one_server() -> None:
    servers = Servers(a=[WrongAnswerError("no")])
    with pytest.raises(WrongAnswerError):
        peers.ask_in_turn(("a", "a"), servers.ask, QUICK)
    assert servers.asked == ["a"]


def test_nobody_to_ask_is_an_input_error() -> None:
    with pytest.raises(errors.InputError):
        peers.ask_in_turn((), Servers().ask)


@pytest.mark.parametrize("limits", [(0, 1, 1, 0), (1, 0, 1, 0), (1, 1, 0, 0), (1, 1, 1, -1)])
def test_a_patience_that_asks_nobody_is_refused(limits: tuple[float, float, int, float]) -> None:
    with pytest.raises(errors.InputError):
        peers.Patience(*limits)
