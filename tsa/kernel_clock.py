"""What the kernel says of its own clock: whether a daemon keeps it synchronised."""

import ctypes
import ctypes.util
import dataclasses

from pki import errors

STA_UNSYNC = 0x0040
TIME_ERROR = 5


class _Timeval(ctypes.Structure):
    _fields_ = (("tv_sec", ctypes.c_long), ("tv_usec", ctypes.c_long))


class _Timex(ctypes.Structure):
    """`struct timex` of Linux on machines whose `long` holds a time."""

    _fields_ = (
        ("modes", ctypes.c_uint),
        ("offset", ctypes.c_long),
        ("freq", ctypes.c_long),
        ("maxerror", ctypes.c_long),
        ("esterror", ctypes.c_long),
        ("status", ctypes.c_int),
        ("constant", ctypes.c_long),
        ("precision", ctypes.c_long),
        ("tolerance", ctypes.c_long),
        ("time", _Timeval),
        ("tick", ctypes.c_long),
        ("ppsfreq", ctypes.c_long),
        ("jitter", ctypes.c_long),
        ("shift", ctypes.c_int),
        ("stabil", ctypes.c_long),
        ("jitcnt", ctypes.c_long),
        ("calcnt", ctypes.c_long),
        ("errcnt", ctypes.c_long),
        ("stbcnt", ctypes.c_long),
        ("tai", ctypes.c_int),
        ("reserved", ctypes.c_int * 11),
    )


class KernelClockError(errors.DeviceError):
    """The kernel does not tell the state of its clock."""

    code = "kernel-clock-unreadable"


@dataclasses.dataclass(frozen=True)
class KernelClock:
    """The state of the kernel's clock.

    Attributes:
        synchronised: A daemon disciplines it and has done so recently; the kernel takes the
            mark away by itself when updates stay away.
        max_error_s: The kernel's bound; it grows by 500 parts in a million between updates.
    """

    synchronised: bool
    max_error_s: float


def read() -> KernelClock:
    """Ask the kernel (adjtimex(2), with nothing to change).

    Raises:
        KernelClockError: It refuses, or this is no Linux.
    """
    name = ctypes.util.find_library("c")
    try:
        adjtimex = ctypes.CDLL(name, use_errno=True).adjtimex
    except (OSError, AttributeError) as error:
        raise KernelClockError("this system has no adjtimex") from error
    state = _Timex()
    result = adjtimex(ctypes.byref(state))
    if result < 0:
        raise KernelClockError(f"adjtimex failed with error {ctypes.get_errno()}")
    return KernelClock(
        result != TIME_ERROR and not state.status & STA_UNSYNC, state.maxerror / 1_000_000
    )
