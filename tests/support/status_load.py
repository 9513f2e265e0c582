"""Many clients that ask for statuses without a pause and check every answer they get."""

import asyncio
import collections
import contextlib
import dataclasses
import datetime
import itertools
import math
import secrets
import threading
import time
import urllib.parse
from collections.abc import Callable, Iterator, Sequence

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes

from pki import clock
from tests.support import status_answers

ANSWER_LIMIT_S = 20.0
"""A client that waits longer has got no answer."""

VISIBLE_WITHIN = datetime.timedelta(seconds=2)
"""After so long every worker tells of a change of status."""


@dataclasses.dataclass
class _Change:
    status: str
    begin: float
    end: float


class Known:
    """A certificate, and what its status may be at each moment."""

    def __init__(self, question: status_answers.Question, status: str) -> None:
        self.question = question
        self._changes = [_Change(status, 0.0, 0.0)]

    @contextlib.contextmanager
    def changing_to(self, status: str) -> Iterator[None]:
        """The status changes somewhere within the block."""
        change = _Change(status, time.monotonic(), math.inf)
        self._changes.append(change)
        yield
        change.end = time.monotonic()

    def allowed(self, asked: float, answered: float) -> set[str]:
        """What may be told to whoever asked and was answered at these times."""
        limit = VISIBLE_WITHIN.total_seconds()
        settled = [one for one in self._changes if one.end + limit <= asked]
        possible = [one for one in self._changes if one.begin <= answered]
        return {one.status for one in possible[len(settled) - 1 :]}


@dataclasses.dataclass
class Tally:
    """What the clients saw."""

    seconds: float = 0.0
    right: int = 0
    wrong: list[str] = dataclasses.field(default_factory=list)
    errors: "collections.Counter[str]" = dataclasses.field(default_factory=collections.Counter)
    refused: int = 0
    lost: int = 0
    asked_again: int = 0
    longest_gap_s: float = 0.0
    slowest_s: float = 0.0

    def table(self, title: str) -> str:
        """As lines for a terminal."""
        rows: list[tuple[str, object]] = [
            ("right answers", f"{self.right} in {self.seconds:.1f} s"),
            ("wrong answers", len(self.wrong)),
            ("errors of the protocol", dict(self.errors) or 0),
            ("connections refused", self.refused),
            ("requests without an answer", self.lost),
            ("asked again, kept connection closed", self.asked_again),
            ("longest time without an answer", f"{self.longest_gap_s * 1000:.0f} ms"),
            ("slowest answer", f"{self.slowest_s * 1000:.0f} ms"),
        ]
        return "\n".join([f"\n{title}", *(f"  {name:<36}{value}" for name, value in rows)]) + "\n"


@dataclasses.dataclass(frozen=True)
class _Prepared:
    known: Known
    algorithm: status_answers.Hash
    nonce: bytes | None
    message: bytes


class Load:
    """Clients in a thread of their own; `running` is the time they ask."""

    def __init__(
        self,
        addresses: Sequence[str],
        known: Sequence[Known],
        *,
        clients: int = 8,
        kept_requests: int = 20,
        pause_s: float = 0.0,
    ) -> None:
        """Say whom to ask about what.

        Args:
            addresses: Responders' addresses without `/ocsp`; the clients take them in turn.
            known: The certificates asked for, in turn.
            clients: How many ask at once.
            kept_requests: So many are sent over one connection, then another is opened.
            pause_s: How long a client waits between two questions.
        """
        self._addresses = addresses
        self._known = known
        self._clients = clients
        self._kept_requests = kept_requests
        self._pause_s = pause_s
        self.checker = status_answers.Checker()
        self._stopping = False
        self._last_right = 0.0
        self.tally = Tally()

    @contextlib.contextmanager
    def running(self) -> Iterator[Tally]:
        """Ask until the end of the block; the tally grows meanwhile."""
        self._stopping = False
        failures: list[BaseException] = []

        def run() -> None:
            try:
                asyncio.run(self._run())
            except BaseException as error:  # noqa: BLE001 - it is raised again below
                failures.append(error)

        thread = threading.Thread(target=run, name="load")
        began = self._last_right = time.monotonic()
        thread.start()
        try:
            yield self.tally
        finally:
            self._stopping = True
            thread.join(ANSWER_LIMIT_S + 10)
            self.tally.seconds += time.monotonic() - began
        if failures:
            raise failures[0]

    def await_right(self, count: int, limit_s: float = 60.0) -> None:
        """Return when the clients got so many right answers more."""
        wanted = self.tally.right + count
        await_that(lambda: self.tally.right >= wanted, limit_s, lambda: str(self.tally))

    async def _run(self) -> None:
        await asyncio.gather(*(self._ask_on(number) for number in range(self._clients)))

    async def _ask_on(self, number: int) -> None:
        place = urllib.parse.urlsplit(self._addresses[number % len(self._addresses)])
        questions = itertools.islice(itertools.cycle(self._known), number, None)
        connection: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None
        sent = 0
        for turn, known in enumerate(questions):
            if self._stopping:
                break
            prepared = self._prepare(known, turn + number, str(place.netloc))
            asked = time.monotonic()
            try:
                if connection is None or sent >= self._kept_requests:
                    await _close(connection)
                    connection, sent = await _open(place.hostname, place.port), 0
            except OSError:
                self.tally.refused += 1
                connection = None
                await asyncio.sleep(0.05)
                continue
            try:
                status_code, body = await asyncio.wait_for(
                    _exchange(connection, prepared.message), ANSWER_LIMIT_S
                )
            except (OSError, EOFError, TimeoutError):
                # A server may close a connection that it kept whenever it likes; clients then
                # ask again (RFC 9110 9.2.2). One that was just opened is another matter.
                if sent:
                    self.tally.asked_again += 1
                else:
                    self.tally.lost += 1
                await _close(connection)
                connection = None
                continue
            sent += 1
            self._judge(prepared, status_code, body, asked, time.monotonic())
            if self._pause_s:
                await asyncio.sleep(self._pause_s)
        await _close(connection)

    def _prepare(self, known: Known, turn: int, host: str) -> _Prepared:
        algorithm = hashes.SHA256() if turn % 2 else hashes.SHA1()  # noqa: S303 - names an issuer
        nonce = secrets.token_bytes(32) if turn % 3 == 1 else None
        request = known.question.build(algorithm, nonce)
        if turn % 3 == 2:
            head = f"GET /ocsp/{status_answers.path_of(request)} HTTP/1.1\r\nHost: {host}\r\n\r\n"
            return _Prepared(known, algorithm, nonce, head.encode())
        head = (
            f"POST /ocsp HTTP/1.1\r\nHost: {host}\r\nContent-Type: application/ocsp-request\r\n"
            f"Content-Length: {len(request)}\r\n\r\n"
        )
        return _Prepared(known, algorithm, nonce, head.encode() + request)

    def _judge(
        self, prepared: _Prepared, status_code: int, body: bytes, asked: float, answered: float
    ) -> None:
        tally = self.tally
        tally.slowest_s = max(tally.slowest_s, answered - asked)
        if status_code != 200:
            tally.errors[f"HTTP {status_code}"] += 1
            return
        try:
            told = self.checker.check(
                body,
                prepared.known.question,
                prepared.algorithm,
                clock.SystemClock().now(),
                prepared.nonce,
            )
        except (status_answers.WrongAnswerError, InvalidSignature, ValueError) as error:
            tally.wrong.append(f"{type(error).__name__}: {error}")
            return
        if told.startswith("error: "):
            tally.errors[told.removeprefix("error: ")] += 1
            return
        allowed = prepared.known.allowed(asked, answered)
        if told not in allowed:
            tally.wrong.append(f"expected one of {sorted(allowed)}, got {told}")
            return
        tally.right += 1
        tally.longest_gap_s = max(tally.longest_gap_s, answered - self._last_right)
        self._last_right = answered


def await_that(
    holds: Callable[[], bool], limit_s: float, otherwise: Callable[[], str] = lambda: ""
) -> float:
    """Return when something holds, and how many seconds that took."""
    began = time.monotonic()
    while not holds():
        assert time.monotonic() - began < limit_s, otherwise()
        time.sleep(0.02)
    return time.monotonic() - began


async def _open(
    host: str | None, port: int | None
) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    return await asyncio.open_connection(host, port)


async def _close(connection: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None) -> None:
    if connection is not None:
        connection[1].close()
        with contextlib.suppress(OSError):
            await connection[1].wait_closed()


async def _exchange(
    connection: tuple[asyncio.StreamReader, asyncio.StreamWriter], message: bytes
) -> tuple[int, bytes]:
    reading, writing = connection
    writing.write(message)
    await writing.drain()
    head = await reading.readuntil(b"\r\n\r\n")
    status_line, *lines = head.decode("latin-1").split("\r\n")
    names = dict(one.lower().split(": ", 1) for one in lines if ": " in one)
    body = await reading.readexactly(int(names.get("content-length", "0")))
    return int(status_line.split(" ")[1]), body
