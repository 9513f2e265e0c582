"""Run a command under the system calls that a systemd unit leaves it, without systemd.

    python -m tests.support.confined UNIT [DROP-IN...] -- COMMAND...

`systemd-analyze` says what the groups of `SystemCallFilter=` hold, libseccomp makes the filter.
Capabilities, new privileges, memory that is both writable and executable, and other address
families are taken away as the unit says too; what has to do with mounts is not.
"""

import ctypes
import errno
import os
import pathlib
import shutil
import subprocess
import sys
from collections.abc import Sequence

ALLOW, ERRNO = 0x7FFF0000, 0x00050000
PROT_WRITE, PROT_EXEC, SHM_EXEC = 2, 4, 0o100000
MASKED_EQUAL, EQUAL = 7, 4
FAMILIES = {"AF_UNIX": 1, "AF_INET": 2, "AF_INET6": 10}
LAST_FAMILY = 46
NAMESPACES = (
    0x00020000, 0x02000000, 0x04000000, 0x08000000, 0x10000000, 0x20000000, 0x40000000,
)  # fmt: skip
"""The CLONE_NEW… flags of clone(2)."""


class _Comparison(ctypes.Structure):
    _fields_ = (
        ("argument", ctypes.c_uint),
        ("operation", ctypes.c_int),
        ("first", ctypes.c_uint64),
        ("second", ctypes.c_uint64),
    )


class MissingProgramError(RuntimeError):
    """systemd-analyze, setpriv or libseccomp is not there."""


def settings(files: Sequence[pathlib.Path]) -> dict[str, list[str]]:
    """The lines of a unit and its drop-ins, by name; an empty one forgets those before it."""
    found: dict[str, list[str]] = {}
    for line in "\n".join(one.read_text() for one in files).splitlines():
        name, is_setting, value = line.partition("=")
        if not is_setting or line.startswith("#"):
            continue
        if value:
            found.setdefault(name, []).append(value)
        else:
            found[name] = []
    return found


def allowed_calls(lines: Sequence[str]) -> set[str]:
    """What `SystemCallFilter=` leaves, its lines taken in order."""
    allowed = _expand("@default")
    for line in lines:
        if line.startswith("~"):
            allowed -= set().union(*(_expand(one) for one in line[1:].split()))
        else:
            allowed |= set().union(*(_expand(one) for one in line.split()))
    return allowed


def _expand(name: str) -> set[str]:
    if not name.startswith("@"):
        return {name}
    program = shutil.which("systemd-analyze")
    if program is None:
        raise MissingProgramError("systemd-analyze is not installed (apt install systemd)")
    told = subprocess.run(
        [program, "--no-pager", "syscall-filter", name], capture_output=True, text=True, check=True
    ).stdout
    inside = [line.strip() for line in told.splitlines()[1:] if line.startswith("    ")]
    names = [one for one in inside if one and not one.startswith("#")]
    return set().union(*(_expand(one) for one in names))


class _Filter:
    """One seccomp filter; several are all obeyed."""

    def __init__(self, otherwise: int) -> None:
        try:
            self._library = ctypes.CDLL("libseccomp.so.2", use_errno=True)
        except OSError as error:
            raise MissingProgramError("libseccomp is not installed") from error
        self._library.seccomp_init.restype = ctypes.c_void_p
        self._library.seccomp_rule_add_array.argtypes = [
            ctypes.c_void_p, ctypes.c_uint32, ctypes.c_int, ctypes.c_uint,
            ctypes.POINTER(_Comparison),
        ]  # fmt: skip
        self._context = ctypes.c_void_p(self._library.seccomp_init(ctypes.c_uint32(otherwise)))

    def add(self, action: int, call: str, *comparisons: _Comparison) -> None:
        """Add a rule; a call that this machine does not have needs none."""
        number = self._library.seccomp_syscall_resolve_name(call.encode())
        if number < 0:
            return
        self._check(
            self._library.seccomp_rule_add_array(
                self._context, action, number,
                len(comparisons), (_Comparison * len(comparisons))(*comparisons),
            ),
            call,
        )  # fmt: skip

    def load(self) -> None:
        """From here on it holds, for this process and its children."""
        self._check(self._library.seccomp_load(self._context), "load")

    @staticmethod
    def _check(code: int, what: str) -> None:
        if code:
            raise OSError(-code, f"{what}: {os.strerror(-code)}")


def confine(unit: dict[str, list[str]]) -> None:
    """Take from this process what the unit takes from its service."""
    allowed = allowed_calls(unit["SystemCallFilter"])
    refuse = ERRNO | errno.EPERM
    if unit["MemoryDenyWriteExecute"] == ["yes"]:
        memory = _Filter(ALLOW)
        both = PROT_WRITE | PROT_EXEC
        memory.add(refuse, "mmap", _Comparison(2, MASKED_EQUAL, both, both))
        for call in ("mprotect", "pkey_mprotect"):
            memory.add(refuse, call, _Comparison(2, MASKED_EQUAL, PROT_EXEC, PROT_EXEC))
        memory.add(refuse, "shmat", _Comparison(2, MASKED_EQUAL, SHM_EXEC, SHM_EXEC))
        memory.load()
    families = {FAMILIES[one] for one in unit["RestrictAddressFamilies"][-1].split()}
    network = _Filter(ALLOW)
    for family in set(range(LAST_FAMILY)) - families:
        unsupported = ERRNO | errno.EAFNOSUPPORT
        network.add(unsupported, "socket", _Comparison(0, EQUAL, family, 0))
    network.load()
    if unit["RestrictNamespaces"] == ["yes"]:
        spaces = _Filter(ALLOW)
        for flag in NAMESPACES:
            spaces.add(refuse, "unshare", _Comparison(0, MASKED_EQUAL, flag, flag))
            spaces.add(refuse, "clone", _Comparison(0, MASKED_EQUAL, flag, flag))
        spaces.add(refuse, "setns")
        # Its flags lie in memory, where no filter sees them; libraries then take clone.
        spaces.add(ERRNO | errno.ENOSYS, "clone3")
        spaces.load()
    calls = _Filter(refuse)
    for one in sorted(allowed):
        calls.add(ALLOW, one)
    calls.load()


def main(arguments: Sequence[str]) -> None:
    """Confine this process and become the command."""
    middle = arguments.index("--")
    setpriv = shutil.which("setpriv")
    if setpriv is None:
        raise MissingProgramError("setpriv is not installed (apt install util-linux)")
    unit = settings([pathlib.Path(one) for one in arguments[:middle]])
    if os.environ.get("IMZA_CONFINED") != "1":
        drop = ["--no-new-privs", "--inh-caps=-all"]
        if os.geteuid() == 0:
            drop.append("--bounding-set=-all")
        again = [sys.executable, "-m", "tests.support.confined", *arguments]
        os.execve(setpriv, [setpriv, *drop, *again], {**os.environ, "IMZA_CONFINED": "1"})  # noqa: S606
    confine(unit)
    command = arguments[middle + 1 :]
    os.execv(command[0], command)  # noqa: S606


if __name__ == "__main__":
    main(sys.argv[1:])
