"""Named places at which a test can kill the process, to show that nothing is lost there.

`IMZA_FAILPOINT=NAME` in the environment arms one for its first arrival there, `NAME:COUNT` for a
later one. It takes an installation whose settings say that it is for tests; any other refuses to
start while the variable is set.
"""

import os
import signal
import threading

from pki import errors

VARIABLE = "IMZA_FAILPOINT"

ISSUANCE = ("reserve", "lint", "intent", "sign", "store", "audit", "publish", "reply")
"""The places of issuing a certificate, in the order in which it comes to them.

`reserve`: its serial number is drawn. `lint`: its twin was judged. `intent`: serial number and
to-be-signed bytes are committed. `sign`: the key has signed. `store`, `audit`: the certificate,
and its audit entry, are in a transaction that is not committed. `publish`: that is committed, and
OCSP says good. `reply`: nothing is left but to answer.
"""

BAD_DAYS = ("revocation-batch", "reconciliation-batch", "reconciled")
"""Of a compromise and of a reconciliation: a batch is committed; all but the end is."""

LISTS = ("crl-intended", "crl-signed")
"""Of a CRL: its number and its to-be-signed bytes are committed; the key has signed."""

NAMES = frozenset({*ISSUANCE, *BAD_DAYS, *LISTS, "document-embedded"})

MAX_COUNT = 1_000_000

_lock = threading.Lock()
_armed: str | None = None
_arrivals_left = 0


class FailpointRefusedError(errors.PolicyError):
    """The installation is not one for tests."""

    code = "failpoint-refused"


def arm_from_environment(*, allowed: bool) -> None:
    """Arm what the environment names; nothing where it names nothing.

    Args:
        allowed: The installation is one for tests.

    Raises:
        FailpointRefusedError: It is not, and the variable is set.
        InputError: There is no such place.
    """
    value = os.environ.get(VARIABLE)
    if value is None:
        return
    if not allowed:
        raise FailpointRefusedError(
            f"{VARIABLE} is set, which would kill this process, but its settings are not those of"
            " a test installation ([testing] failpoints = true): unset it"
        )
    name, separator, count = value.partition(":")
    if separator and not (count.isascii() and count.isdecimal() and len(count) <= 7):
        raise errors.InputError(f"expected {VARIABLE} to be NAME or NAME:COUNT, got {value!r}")
    arm(name, int(count) if separator else 1)


def arm(name: str, count: int = 1) -> None:
    """Make the process die, as by `kill -9`, at its COUNT-th arrival at this place.

    Raises:
        InputError: There is no such place.
    """
    global _armed, _arrivals_left
    if name not in NAMES:
        raise errors.InputError(f"expected a failpoint of {sorted(NAMES)}, got {name!r}")
    if not 1 <= count <= MAX_COUNT:
        raise errors.InputError(f"expected a count of 1 to {MAX_COUNT}, got {count}")
    with _lock:
        _armed, _arrivals_left = name, count


def reach(name: str) -> None:
    """Say that a named place is reached; does nothing unless it is armed."""
    global _arrivals_left
    if name != _armed:
        return
    with _lock:
        _arrivals_left -= 1
        if _arrivals_left <= 0:
            os.kill(os.getpid(), signal.SIGKILL)
