"""Figures about a running zone, as OpenMetrics 1.0 writes them; those of all its workers together.

Workers share a piece of memory, and each counts in a part of its own without a lock: counting
takes a tenth of a microsecond. Whoever is asked adds the parts up. A worker that takes the place
of one that ended goes on with its part, so that a sum never falls.

Count in one thread of a process alone, which an event loop is.
"""

import bisect
import fcntl
import mmap
import os
from collections.abc import Callable, Mapping, Sequence

from starlette import types as starlette_types

from pki import der_http, errors

CONTENT_TYPE = b"application/openmetrics-text; version=1.0.0; charset=utf-8"

PART_VALUES = 512
"""Numbers in one worker's part; a zone needs about fifty."""

LATENCIES = (0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0, 5.0)
"""Bounds of a histogram of answer times, in seconds."""

_VALUE_SIZE = 8


class NoPartError(errors.StateError):
    """More processes count than the memory has parts for, or one counts more than a part holds."""

    code = "metrics-full"


class Board:
    """Memory that the processes of a zone share; make it before they part.

    Which part a process has is kept by a lock that the kernel takes back when the process ends,
    however it ends.
    """

    def __init__(self, parts: int = 1) -> None:
        """Make the memory, of so many parts."""
        self.parts = parts
        self._size = PART_VALUES * _VALUE_SIZE
        self._file = os.memfd_create("imza-metrics")
        os.truncate(self._file, parts * self._size)
        self._memory = mmap.mmap(self._file, parts * self._size)
        self.values = memoryview(self._memory).cast("d")

    def claim(self) -> "memoryview[float]":
        """Return this process's part; nobody else writes to it while the process lives.

        Raises:
            NoPartError: Every part has an owner.
        """
        for number in range(self.parts):
            try:
                fcntl.lockf(
                    self._file, fcntl.LOCK_EX | fcntl.LOCK_NB, self._size, number * self._size
                )
            except OSError:
                continue
            return self.values[number * PART_VALUES : (number + 1) * PART_VALUES]
        raise NoPartError(f"expected at most {self.parts} processes")


class Counter:
    """Counts events by one label, whose values are known in advance."""

    def __init__(self, part: "memoryview[float]", places: Mapping[str, int]) -> None:
        """Take the places of the label's values; made by `Metrics.counter`."""
        self._part = part
        self._places = places

    def add(self, value: str = "") -> None:
        """Count one event."""
        self._part[self._places[value]] += 1


class Histogram:
    """Counts durations by how long they took."""

    def __init__(self, part: "memoryview[float]", begin: int, bounds: Sequence[float]) -> None:
        """Take the place of the first bucket; made by `Metrics.histogram`."""
        self._part = part
        self._begin = begin
        self._sum = begin + len(bounds) + 1
        self._bounds = bounds

    def observe(self, seconds: float) -> None:
        """Count one duration."""
        self._part[self._begin + bisect.bisect_left(self._bounds, seconds)] += 1
        self._part[self._sum] += seconds


class Metrics:
    """The figures of one process, and of those that share its board.

    Every process must declare the same counters and histograms in the same order, whatever its
    settings are: their places in the memory follow from that.
    """

    def __init__(self, board: Board | None = None) -> None:
        """Take the board, or a memory of one's own; this process's part is claimed when needed."""
        self._board = board or Board()
        self._part: memoryview[float] | None = None
        self._next = 0
        self._families: dict[str, Callable[[], list[str]]] = {}

    def counter(
        self, name: str, text: str, label: str = "", values: Sequence[str] = ("",)
    ) -> Counter:
        """Declare a counter.

        Args:
            name: Without the ending `_total`.
            text: What is counted.
            label: What its events differ by.
            values: All that the label may be.
        """
        begin = self._take(name, len(values))
        places = {value: begin + number for number, value in enumerate(values)}

        def write() -> list[str]:
            return [
                f"{name}_total{_labels({label: value} if label else {})}"
                f" {_number(self._total(place))}"
                for value, place in places.items()
            ]

        self._declare(name, "counter", text, write)
        return Counter(self._own_part(), places)

    def histogram(self, name: str, text: str, bounds: Sequence[float] = LATENCIES) -> Histogram:
        """Declare a histogram of seconds; its name ends with `_seconds`."""
        begin = self._take(name, len(bounds) + 2)

        def write() -> list[str]:
            lines, count = [], 0.0
            for number, bound in enumerate((*map(repr, bounds), "+Inf")):
                count += self._total(begin + number)
                lines.append(f'{name}_bucket{{le="{bound}"}} {_number(count)}')
            total = self._total(begin + len(bounds) + 1)
            return [*lines, f"{name}_count {_number(count)}", f"{name}_sum {total!r}"]

        self._declare(name, "histogram", text, write)
        return Histogram(self._own_part(), begin, bounds)

    def gauge(
        self, name: str, text: str, read: Callable[[], Mapping[str, float]], label: str = ""
    ) -> None:
        """Declare what is read when it is asked for, in the process that is asked.

        Args:
            name: Its unit last, such as `_seconds`.
            text: What it is.
            read: Returns the number for each value of the label, `""` where there is no label.
                What raises an ImzaError has no number just then.
            label: What the numbers differ by.
        """

        def write() -> list[str]:
            try:
                found = read()
            except errors.ImzaError:
                return []
            return [
                f"{name}{_labels({label: value} if label else {})} {float(number)!r}"
                for value, number in found.items()
            ]

        self._declare(name, "gauge", text, write)

    def write(self) -> bytes:
        """Return all figures as OpenMetrics text."""
        lines = [line for write in self._families.values() for line in write()]
        return ("\n".join((*lines, "# EOF")) + "\n").encode()

    def endpoints(self) -> Mapping[str, starlette_types.ASGIApp]:
        """Return the endpoint `/metrics`; nobody outside should reach it."""

        async def answer(_: der_http.Request) -> der_http.Reply:
            return der_http.Reply(self.write(), ((b"content-type", CONTENT_TYPE),))

        return {
            "/metrics": der_http.endpoint(
                answer,
                request_type="text/plain",
                limit=0,
                methods=frozenset({"GET", "HEAD"}),
            )
        }

    def _declare(self, name: str, kind: str, text: str, write: Callable[[], list[str]]) -> None:
        head = [f"# TYPE {name} {kind}"]
        if name.endswith("_seconds"):
            head.append(f"# UNIT {name} seconds")
        head.append(f"# HELP {name} {_escape(text)}")
        self._families[name] = lambda: [*head, *write()]

    def _take(self, name: str, count: int) -> int:
        if name in self._families:
            raise errors.InputError(f"expected each metric once, got {name} again")
        begin = self._next
        self._next += count
        if self._next > PART_VALUES:
            raise NoPartError(f"expected at most {PART_VALUES} numbers")
        return begin

    def _own_part(self) -> "memoryview[float]":
        if self._part is None:
            self._part = self._board.claim()
        return self._part

    def _total(self, place: int) -> float:
        values = self._board.values
        return sum(values[number * PART_VALUES + place] for number in range(self._board.parts))


def _labels(labels: Mapping[str, str]) -> str:
    shown = ",".join(f'{name}="{_escape(value)}"' for name, value in labels.items())
    return f"{{{shown}}}" if shown else ""


def _escape(text: str) -> str:
    return text.replace("\\", r"\\").replace("\n", r"\n").replace('"', r"\"")


def _number(value: float) -> str:
    return repr(float(value))
