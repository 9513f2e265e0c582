"""A mount and a network of the process's own, so that a private pcscd can run (Linux only).

pcscd's socket path is fixed at build time, and vpcd listens on every address without asking who
calls. In namespaces of their own neither meets the machine's pcscd nor its network.
"""

import ctypes
import errno
import fcntl
import os
import pathlib
import signal
import socket
import struct

from pki import errors

_CLONE_NEWNS = 0x00020000
_CLONE_NEWUSER = 0x10000000
_CLONE_NEWNET = 0x40000000
_MS_BIND = 0x1000
_MS_REC = 0x4000
_MS_PRIVATE = 0x40000
_PR_SET_PDEATHSIG = 1
_SIOCGIFFLAGS = 0x8913
_SIOCSIFFLAGS = 0x8914
_IFF_UP = 0x1


class ReaderStationError(errors.DeviceError):
    """The virtual readers cannot run on this machine."""

    code = "reader-station-refused"


def enter() -> None:
    """Move this process, which must have one thread, into its own mounts and network.

    As an ordinary user this needs a user namespace, which some machines forbid.

    Raises:
        ReaderStationError: The machine refuses.
    """
    uid, gid = os.getuid(), os.getgid()
    try:
        _call("unshare", _CLONE_NEWNS | _CLONE_NEWNET)
    except OSError as refused:
        if refused.errno != errno.EPERM:
            raise _refusal("namespaces", refused) from refused
        try:
            _call("unshare", _CLONE_NEWUSER | _CLONE_NEWNS | _CLONE_NEWNET)
            pathlib.Path("/proc/self/setgroups").write_text("deny")
            pathlib.Path("/proc/self/uid_map").write_text(f"0 {uid} 1")
            pathlib.Path("/proc/self/gid_map").write_text(f"0 {gid} 1")
        except OSError as error:
            raise _refusal("namespaces, even unprivileged ones,", error) from error
    try:
        # Private first: else the mounts below would show up outside.
        _call("mount", None, b"/", None, _MS_REC | _MS_PRIVATE, None)
        _raise_loopback()
    except OSError as error:
        raise _refusal("a private mount table and loopback", error) from error


def bind(source: pathlib.Path, target: pathlib.Path) -> None:
    """Show a folder at another path of this process's mounts.

    A target that does not exist is made on an empty file system laid over its parent, so that
    nothing changes outside.

    Raises:
        ReaderStationError: The machine refuses.
    """
    # The descriptor still names the folder when the empty file system covers its path.
    folder = os.open(source, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        if not target.is_dir():
            _call("mount", b"tmpfs", bytes(target.parent), b"tmpfs", 0, None)
            target.mkdir()
        _call("mount", f"/proc/self/fd/{folder}".encode(), bytes(target), None, _MS_BIND, None)
    except OSError as error:
        raise _refusal(f"a mount at {target}", error) from error
    finally:
        os.close(folder)


def die_with_parent() -> None:
    """Have the kernel kill this process when the thread that started it ends."""
    _call("prctl", _PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)


def _raise_loopback() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as control:
        request = struct.pack("16sH14x", b"lo", 0)
        answer = fcntl.ioctl(control, _SIOCGIFFLAGS, request)
        flags = struct.unpack("16sH14x", answer)[1]
        fcntl.ioctl(control, _SIOCSIFFLAGS, struct.pack("16sH14x", b"lo", flags | _IFF_UP))


def _call(name: str, *arguments: object) -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    if getattr(libc, name)(*arguments) != 0:
        number = ctypes.get_errno()
        raise OSError(number, f"{name}: {os.strerror(number)}")


def _refusal(what: str, error: OSError) -> ReaderStationError:
    return ReaderStationError(
        f"the machine refuses {what} to the virtual card readers ({error.strerror}):"
        " run as root, or allow unprivileged user namespaces"
    )
