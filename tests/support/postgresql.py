"""A private PostgreSQL of Debian's package, on a socket in a temporary folder."""

import contextlib
import os
import pathlib
import pwd
import shutil
import subprocess
from collections.abc import Iterator

USER = "postgres"


class PostgresqlMissingError(RuntimeError):
    """The programs are not installed."""


@contextlib.contextmanager
def private_server(folder: pathlib.Path) -> Iterator[str]:
    """Start a server in `folder` and give the address of its database.

    The server refuses to run as root, so root starts it as the package's own user.
    """
    programs = _programs()
    data, socket = folder / "data", folder / "socket"
    socket.mkdir(parents=True, exist_ok=True)
    prefix: list[str] = []
    if os.geteuid() == 0:
        entry = pwd.getpwnam(USER)
        prefix = ["setpriv", f"--reuid={entry.pw_uid}", f"--regid={entry.pw_gid}", "--clear-groups"]
        os.chown(folder, entry.pw_uid, entry.pw_gid)
        os.chown(socket, entry.pw_uid, entry.pw_gid)
        for parent in folder.parents:
            if parent.stat().st_uid == 0 and not parent.stat().st_mode & 0o001:
                parent.chmod(parent.stat().st_mode | 0o011)
    _run(
        [*prefix, str(programs / "initdb"), "-D", str(data), "-A", "trust", "-U", "imza",
         "--no-sync", "-E", "UTF8", "--locale=C.UTF-8"],
        folder,
    )  # fmt: skip
    options = f"-k {socket} -c listen_addresses='' -c fsync=off"
    control = [*prefix, str(programs / "pg_ctl"), "-D", str(data), "-w"]
    _run([*control, "-l", str(folder / "log"), "-o", options, "start"], folder)
    try:
        yield f"postgresql://imza@/postgres?host={socket}"
    finally:
        _run([*control, "-m", "immediate", "stop"], folder)


def _programs() -> pathlib.Path:
    if found := shutil.which("initdb"):
        return pathlib.Path(found).parent
    versions = sorted(pathlib.Path("/usr/lib/postgresql").glob("*/bin"))
    if not versions:
        raise PostgresqlMissingError("PostgreSQL is not installed (apt install postgresql)")
    return versions[-1]


def _run(command: list[str], folder: pathlib.Path) -> None:
    done = subprocess.run(
        command, cwd=folder, capture_output=True, text=True, timeout=60, check=False,
        env={**os.environ, "LC_ALL": "C.UTF-8"},
    )  # fmt: skip
    if done.returncode:
        raise RuntimeError(f"{command[-1]}: {done.stderr or done.stdout}")
