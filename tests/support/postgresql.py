"""A private PostgreSQL of Debian's package, on a socket in a temporary folder."""

import contextlib
import os
import pathlib
import pwd
import shutil
import subprocess
from collections.abc import Iterator, Sequence

USER = "postgres"


class PostgresqlMissingError(RuntimeError):
    """The programs are not installed."""


class Server:
    """A server whose database lies in a folder; it can be stopped and started again."""

    def __init__(
        self,
        folder: pathlib.Path,
        *,
        durable: bool = False,
        settings: Sequence[pathlib.Path] = (),
        primary: "Server | None" = None,
    ) -> None:
        """Make an empty database in `folder`, or a standby of another one.

        The server refuses to run as root, so root starts it as the package's own user.

        Args:
            folder: Where it lies.
            durable: Wait for the disk, as a real one does.
            settings: Files of deploy/postgresql, put at the end of its own.
            primary: A running server, whose standby this will be.
        """
        programs = _programs()
        self._folder = folder
        data, socket = folder / "data", folder / "socket"
        socket.mkdir(parents=True, exist_ok=True)
        prefix: list[str] = []
        if os.geteuid() == 0:
            entry = pwd.getpwnam(USER)
            user, group = entry.pw_uid, entry.pw_gid
            prefix = ["setpriv", f"--reuid={user}", f"--regid={group}", "--clear-groups"]
            os.chown(folder, user, group)
            os.chown(socket, user, group)
            for parent in folder.parents:
                if parent.stat().st_uid == 0 and not parent.stat().st_mode & 0o001:
                    parent.chmod(parent.stat().st_mode | 0o011)
        if primary is None:
            _run(
                [*prefix, str(programs / "initdb"), "-D", str(data), "-A", "trust", "-U", "imza",
                 "--no-sync", "-E", "UTF8", "--locale=C.UTF-8"],
                folder,
            )  # fmt: skip
        else:
            _run(
                [*prefix, str(programs / "pg_basebackup"), "-d", f"host={primary.socket} user=imza",
                 "-D", str(data), "-R", "-X", "stream", "--no-sync", "-c", "fast"],
                folder,
            )  # fmt: skip
        with (data / "postgresql.conf").open("a", encoding="utf-8") as file:
            file.writelines(one.read_text(encoding="utf-8") for one in settings)
        self.socket = socket
        self._programs = programs
        self._options = f"-k {socket} -c listen_addresses='' -c fsync={'on' if durable else 'off'}"
        self._control = [*prefix, str(programs / "pg_ctl"), "-D", str(data), "-w"]
        self.url = f"postgresql://imza@/postgres?host={socket}"

    def start(self) -> None:
        """Start and wait until it answers."""
        log = str(self._folder / "log")
        _run([*self._control, "-l", log, "-o", self._options, "start"], self._folder)

    def psql(self, database: str, file: pathlib.Path, *, user: str = "imza") -> None:
        """Run a file of deploy/postgresql as an administrator does."""
        _run(
            [str(self._programs / "psql"), "-h", str(self.socket), "-U", user, "-d", database,
             "-v", "ON_ERROR_STOP=1", "-q", "-f", str(file)],
            self._folder,
        )  # fmt: skip

    def address(self, database: str, user: str) -> str:
        """The address of a database for a role."""
        return f"postgresql://{user}@/{database}?host={self.socket}"

    def stop(self) -> None:
        """Stop at once, as a machine that loses power."""
        _run([*self._control, "-m", "immediate", "stop"], self._folder)


@contextlib.contextmanager
def running(
    folder: pathlib.Path,
    *,
    durable: bool = False,
    settings: Sequence[pathlib.Path] = (),
    primary: Server | None = None,
) -> Iterator[Server]:
    """Run a server in `folder`, made as `Server` makes it."""
    server = Server(folder, durable=durable, settings=settings, primary=primary)
    server.start()
    try:
        yield server
    finally:
        server.stop()


@contextlib.contextmanager
def private_server(folder: pathlib.Path) -> Iterator[str]:
    """Run a server in `folder` and give the address of its database."""
    with running(folder) as server:
        yield server.url


def _programs() -> pathlib.Path:
    if found := shutil.which("initdb"):
        return pathlib.Path(found).resolve().parent
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
