"""Named places at which a test can kill the process, to show that nothing is lost there.

Nothing is armed unless the settings file says so (`[testing] failpoint = "NAME"`).
"""

import os
import signal

from pki import errors

NAMES = frozenset(
    {"intent-recorded", "certificate-signed", "document-embedded", "revocation-batch"}
)

_armed: str | None = None


def arm(name: str) -> None:
    """Make the process die, as by `kill -9`, when it next reaches this place.

    Raises:
        InputError: There is no such place.
    """
    global _armed
    if name not in NAMES:
        raise errors.InputError(f"expected a failpoint of {sorted(NAMES)}, got {name!r}")
    _armed = name


def reach(name: str) -> None:
    """Say that a named place is reached; does nothing unless it is armed."""
    if name == _armed:
        os.kill(os.getpid(), signal.SIGKILL)
