"""One line of the table of results, and how two functions come to stand beside each other in it."""

import dataclasses
import statistics
import time
from collections.abc import Callable

ROUNDS = 20
WARM_UP = 2
"""Rounds that are not counted: caches are filled, modules loaded."""


@dataclasses.dataclass(frozen=True)
class Row:
    """A figure beside its peer.

    Attributes:
        subject: What was measured.
        peer: What it stands beside, or the limit.
        ours: Our figure with its unit.
        theirs: The peer's figure, or the limit itself.
        ratio: Ours divided by theirs.
        target: What to aim at, as a sentence such as `<= 0.5`.
        met: Whether this run met the target.
    """

    subject: str
    peer: str
    ours: str
    theirs: str
    ratio: float
    target: str
    met: bool


def compare(
    subject: str,
    peer: str,
    ours: Callable[[], object],
    theirs: Callable[[], object],
    target: float,
    *,
    rounds: int = ROUNDS,
) -> Row:
    """Run two functions in turns and return the ratio of their medians.

    Args:
        subject: What they do.
        peer: Whose the second one is.
        ours: Ours.
        theirs: The peer's.
        target: The largest ratio that is aimed at.
        rounds: How often each is run.
    """
    taken: tuple[list[float], list[float]] = ([], [])
    for number in range(WARM_UP + rounds):
        for times, function in zip(taken, (ours, theirs), strict=True):
            start = time.perf_counter()
            function()
            if number >= WARM_UP:
                times.append(time.perf_counter() - start)
    mine, other = (statistics.median(times) * 1000 for times in taken)
    return Row(
        subject,
        peer,
        f"{mine:.1f} ms (slowest of {rounds}: {max(taken[0]) * 1000:.1f})",
        f"{other:.1f} ms",
        mine / other,
        f"<= {target:g}",
        mine / other <= target,
    )


def steadiness(subject: str, function: Callable[[], object], target: float, *, rounds: int) -> Row:
    """Run a function often and return the slowest beside the median."""
    taken = []
    for number in range(WARM_UP + rounds):
        start = time.perf_counter()
        function()
        if number >= WARM_UP:
            taken.append((time.perf_counter() - start) * 1000)
    slowest, median = max(taken), statistics.median(taken)
    return Row(
        f"{subject}, slowest of {rounds}",
        "its median",
        f"{slowest:.1f} ms",
        f"{median:.1f} ms",
        slowest / median,
        f"<= {target:g}",
        slowest / median <= target,
    )
