"""Several servers that can answer the same question: asked in order, until one answers rightly."""

import dataclasses
import logging
import random
import time
from collections.abc import Callable, Sequence
from typing import TypeVar

from pki import errors

log = logging.getLogger(__name__)

Answer = TypeVar("Answer")


@dataclasses.dataclass(frozen=True)
class Patience:
    """How long a question is asked.

    Attributes:
        total_s: For all servers and tries together.
        each_s: For one try at one server, of which the last may be cut short by `total_s`.
        rounds: How often each server is asked at most.
        pause_s: Before the second round; each further pause is twice as long, a part of it random.
    """

    total_s: float = 20.0
    each_s: float = 5.0
    rounds: int = 3
    pause_s: float = 0.25

    def __post_init__(self) -> None:
        """Refuse numbers that ask nobody."""
        if self.total_s <= 0 or self.each_s <= 0 or self.rounds < 1 or self.pause_s < 0:
            raise errors.InputError("expected limits on time above zero, and at least one round")


PATIENCE = Patience()


def ask_in_turn(
    urls: Sequence[str],
    ask: Callable[[str, float], Answer],
    patience: Patience = PATIENCE,
) -> Answer:
    """Ask servers in order and return the first answer that was found right.

    A server that failed in a way that may pass is asked again in the next round; one whose answer
    was wrong or final is not. Each failure is logged with the server's address.

    Args:
        urls: The servers, the preferred one first; addresses hold no secrets.
        ask: Asks one server and checks its answer; is given the address and the seconds it may
            take, and raises PeerError where another server should be asked.
        patience: The limits on time.

    Raises:
        InputError: There is no server.
        PeerError: What the first server that was still asked last failed with.
    """
    if not urls:
        raise errors.InputError("expected the address of at least one server")
    ends_at = time.monotonic() + patience.total_s
    left: list[str] = list(dict.fromkeys(urls))
    failures: dict[str, errors.PeerError] = {}
    for number in range(patience.rounds):
        if number:
            pause = patience.pause_s * 2 ** (number - 1)
            # Many clients that failed together must not come back together.
            pause *= 0.5 + random.random() / 2  # noqa: S311 - no secret depends on it
            if time.monotonic() + pause >= ends_at:
                break
            time.sleep(pause)
        for url in list(left):
            seconds = min(patience.each_s, ends_at - time.monotonic())
            if seconds <= 0:
                break
            try:
                return ask(url, seconds)
            except errors.PeerError as error:
                log.warning("peer_failed url=%s code=%s reason=%s", url, error.code, error.message)
                failures[url] = error
                if not error.retriable:
                    left.remove(url)
        if not left:
            break
    # The preferred server's reason says most; one that may pass leaves the caller a later try.
    passing = [error for error in failures.values() if error.retriable]
    raise (passing or list(failures.values()))[0]
