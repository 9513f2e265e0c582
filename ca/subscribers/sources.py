"""Where revocation passwords are tried from: who misses waits, longer each time, and nobody else.

A password has sixty random bits, so no number of tries online finds it; what has to be limited is
the work that strangers cause. A lock on the person would let anybody who knows a number keep the
person from revoking. So it is the address that waits.

The waits are kept in this process alone: they need not outlive it.
"""

import collections
import dataclasses
import datetime
import ipaddress
import threading

from ca.subscribers import settings as subscriber_settings
from pki import errors

MAX_SOURCES = 10_000
"""So many addresses are remembered, some hundred bytes each; the oldest miss is forgotten first."""

FIRST_WAIT = datetime.timedelta(seconds=1)

IPV6_PREFIX = 64
"""Whoever has one address of such a network has them all (RFC 4291 2.5.4)."""


class WaitError(errors.TooSoonError):
    """This address missed too often and has to wait."""

    code = "revocation-wait"
    retriable = True


@dataclasses.dataclass
class _Misses:
    count: int
    last: datetime.datetime
    wait_until: datetime.datetime


def name_of(host: str | None) -> str:
    """What counts as one source: an IPv4 address, or an IPv6 network."""
    try:
        address = ipaddress.ip_address(host or "")
    except ValueError:
        return "unknown"
    if isinstance(address, ipaddress.IPv6Address):
        if address.ipv4_mapped is not None:
            return str(address.ipv4_mapped)
        return str(ipaddress.ip_network((int(address), IPV6_PREFIX), strict=False))
    return str(address)


class Sources:
    """The addresses that missed, and until when they wait."""

    def __init__(self, settings: subscriber_settings.Settings) -> None:
        """Know none."""
        self._settings = settings
        self._lock = threading.Lock()
        self._misses: collections.OrderedDict[str, _Misses] = collections.OrderedDict()

    def begin(self, source: str, at: datetime.datetime) -> bool:
        """Begin a try, which counts as missed until `forgive`; tell whether one was missed before.

        It counts at once, so that many tries at the same time are no way around the wait.

        Raises:
            WaitError: The source has to wait.
        """
        if not self._settings.password_tries:
            return False
        with self._lock:
            known = self._misses.get(source)
            if known is not None and at - known.last > self._settings.password_delay:
                known = None
            if known is not None and at < known.wait_until:
                seconds = -(-(known.wait_until - at) // datetime.timedelta(seconds=1))
                raise WaitError(
                    f"too many wrong passwords came from your address: wait {seconds} s, or call"
                    " the hotline"
                )
            count = 1 if known is None else known.count + 1
            wait = self.wait_after(count)
            self._misses[source] = _Misses(count, at, at + wait)
            self._misses.move_to_end(source)
            while len(self._misses) > MAX_SOURCES:
                self._misses.popitem(last=False)
        return known is not None

    def forgive(self, source: str) -> None:
        """Forget what a source missed: it knew a password, or nothing was tried."""
        with self._lock:
            self._misses.pop(source, None)

    def wait_after(self, misses: int) -> datetime.timedelta:
        """How long to wait after so many misses in a row: none at first, then doubling."""
        return progressive_wait(misses, self._settings)


def progressive_wait(misses: int, settings: subscriber_settings.Settings) -> datetime.timedelta:
    """The wait after `password_tries` misses in a row and more: doubling, and never for good."""
    over = misses - settings.password_tries
    if over < 0:
        return datetime.timedelta(0)
    # Thirty doublings are thirty years: no larger number is needed to reach any sensible end.
    return min(FIRST_WAIT * (1 << min(over, 30)), settings.password_delay)
