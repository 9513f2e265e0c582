"""A backup of the CA zone: its database and settings in one file, with their digests.

The file is a tar archive: `manifest.json`, `database.sqlite` or `database.dump`, `settings.toml`,
and, only where asked for, the files of an encrypted key store under `keys/`. The signature log is
no part of it: it must be newer than any backup.
"""

import contextlib
import dataclasses
import hashlib
import io
import json
import os
import pathlib
import shutil
import sqlite3
import subprocess
import tarfile
import tempfile
from collections.abc import Iterator, Mapping

import sqlalchemy

from pki import durable_files, errors

FORMAT = "imza-backup-1"
MANIFEST = "manifest.json"
SQLITE = "database.sqlite"
POSTGRESQL = "database.dump"
SETTINGS = "settings.toml"
KEYS = "keys/"
MAX_MANIFEST_BYTES = 2**20
PROGRAM_LIMIT_S = 24 * 3600
_CHUNK = 2**20


class BackupError(errors.InputError):
    """The file is no backup of ours, or was changed since."""

    code = "backup-unreadable"


class NotEmptyError(errors.StateError):
    """The database to restore to holds something."""

    code = "database-not-empty"


class ProgramError(errors.PeerError):
    """PostgreSQL's own program failed, or is not installed."""

    code = "database-program-failed"
    retriable = False


@dataclasses.dataclass(frozen=True)
class Manifest:
    """What a backup says of itself.

    Attributes:
        created_at: RFC 3339.
        database: `SQLITE` or `POSTGRESQL`.
        log_number: The signature log's last line when the backup was begun; 0 for none.
        audit_number: The audit log's last entry then.
        sha256: Of each file in the backup, in hex.
    """

    created_at: str
    database: str
    log_number: int
    audit_number: int
    sha256: Mapping[str, str]


def write(
    target: pathlib.Path,
    url: str,
    settings_file: pathlib.Path,
    facts: Manifest,
    keys: pathlib.Path | None = None,
) -> Manifest:
    """Write a backup; a file that was there is replaced once the new one is whole.

    Args:
        target: The file.
        url: Of the database.
        settings_file: The zone's.
        facts: `created_at`, `log_number` and `audit_number`; the rest is filled in.
        keys: The folder of a key store of encrypted files, to put it into the backup too.

    Raises:
        ProgramError: pg_dump failed or is not installed.
        OSError: The disk is full.
    """
    with tempfile.TemporaryDirectory(prefix=".backup-", dir=target.parent) as name:
        folder = pathlib.Path(name)
        database = _dump(url, folder)
        members = {database: folder / database, SETTINGS: settings_file}
        if keys is not None:
            members |= {f"{KEYS}{one.name}": one for one in sorted(keys.iterdir()) if one.is_file()}
        done = dataclasses.replace(
            facts,
            database=database,
            sha256={name: _sha256(path) for name, path in members.items()},
        )
        content = json.dumps({"format": FORMAT, **dataclasses.asdict(done)}, indent=1).encode()
        with durable_files.replacing(target) as partial, tarfile.open(partial, "w") as archive:
            info = tarfile.TarInfo(MANIFEST)
            info.size, info.mode = len(content), 0o600
            archive.addfile(info, io.BytesIO(content))
            for name, path in members.items():
                with path.open("rb") as file:
                    info = tarfile.TarInfo(name)
                    info.size, info.mode = os.fstat(file.fileno()).st_size, 0o600
                    archive.addfile(info, file)
    return done


@contextlib.contextmanager
def opened(source: pathlib.Path) -> Iterator[tuple[Manifest, pathlib.Path]]:
    """Unpack a backup to a folder of its own and check every digest, for the block's duration.

    Raises:
        BackupError: It is no backup, or was changed.
    """
    with tempfile.TemporaryDirectory(prefix=".restore-", dir=source.parent) as name:
        folder = pathlib.Path(name)
        try:
            with tarfile.open(source, "r:") as archive:
                archive.extractall(folder, filter="data")
        except (tarfile.TarError, OSError, EOFError) as error:
            raise BackupError(f"{source}: expected a backup ({type(error).__name__})") from error
        manifest = _manifest(folder)
        present = {str(one.relative_to(folder)) for one in folder.rglob("*") if one.is_file()} - {
            MANIFEST
        }
        if present != set(manifest.sha256):
            raise BackupError(f"{source}: expected exactly the files that its manifest names")
        for name, value in manifest.sha256.items():
            if _sha256(folder / name) != value:
                raise BackupError(f"{source}: {name} is not what was saved")
        yield manifest, folder


def put_back(manifest: Manifest, folder: pathlib.Path, url: str) -> None:
    """Put a database back into an empty one.

    Raises:
        NotEmptyError: It has tables: move it away first.
        BackupError: The backup is of another kind of database.
        ProgramError: pg_restore failed or is not installed.
    """
    address = sqlalchemy.make_url(url)
    wanted = SQLITE if address.get_backend_name() == "sqlite" else POSTGRESQL
    if manifest.database != wanted:
        raise BackupError(f"expected a backup with {wanted}, got one with {manifest.database}")
    if wanted == SQLITE:
        path = pathlib.Path(address.database or "")
        if path.exists():
            raise NotEmptyError(f"{path} exists: move it away first, and keep it")
        shutil.copyfile(folder / SQLITE, path)
        path.chmod(0o600)
        durable_files.force(path)
        durable_files.force(path.parent)
        return
    engine = sqlalchemy.create_engine(address.set(drivername="postgresql+psycopg"))
    try:
        if sqlalchemy.inspect(engine).get_table_names():
            raise NotEmptyError("the database has tables: restore to an empty one")
    finally:
        engine.dispose()
    _run(
        ["pg_restore", "--exit-on-error", "--single-transaction", "--no-owner"],
        address,
        [str(folder / POSTGRESQL)],
        dbname=True,
    )


def _dump(url: str, folder: pathlib.Path) -> str:
    address = sqlalchemy.make_url(url)
    if address.get_backend_name() == "sqlite":
        # SQLite's own way: consistent while others write.
        with (
            contextlib.closing(sqlite3.connect(address.database or "")) as source,
            contextlib.closing(sqlite3.connect(folder / SQLITE)) as copy,
        ):
            source.backup(copy, pages=1000)
            copy.execute("PRAGMA journal_mode=DELETE")
        return SQLITE
    _run(
        ["pg_dump", "--format=custom", "--no-owner", f"--file={folder / POSTGRESQL}"],
        address,
        [],
        dbname=True,
    )
    return POSTGRESQL


def _run(command: list[str], address: sqlalchemy.URL, rest: list[str], *, dbname: bool) -> None:
    """Run a program of PostgreSQL; where it connects to stands in its environment alone."""
    environment = dict(os.environ)
    query = {name: str(value) for name, value in address.query.items()}
    places = {
        "PGHOST": address.host or query.get("host"),
        "PGPORT": str(address.port) if address.port else query.get("port"),
        "PGUSER": address.username,
        "PGPASSWORD": address.password,
        "PGDATABASE": address.database,
        "PGSSLMODE": query.get("sslmode"),
    }
    environment |= {name: str(value) for name, value in places.items() if value}
    named = [f"--dbname={address.database}"] if dbname else []
    try:
        done = subprocess.run(  # noqa: S603 - fixed programs; the address is the operator's
            [*command, *named, *rest],
            env=environment, capture_output=True, text=True, check=False, timeout=PROGRAM_LIMIT_S,
        )  # fmt: skip
    except FileNotFoundError as error:
        raise ProgramError(
            f"{command[0]} is not installed: install PostgreSQL's client programs"
        ) from error
    if done.returncode:
        line = done.stderr.strip().splitlines()[-1:] or ["no message"]
        raise ProgramError(f"{command[0]} failed: {line[0]}")


def _manifest(folder: pathlib.Path) -> Manifest:
    try:
        content = (folder / MANIFEST).read_bytes()
        if len(content) > MAX_MANIFEST_BYTES:
            raise BackupError("expected a manifest of a megabyte at most")
        value = json.loads(content)
        if value.pop("format") != FORMAT:
            raise BackupError(f"expected a backup of the format {FORMAT}")
        made = Manifest(**value)
        if not isinstance(made.sha256, dict) or made.database not in made.sha256:
            raise BackupError("expected a manifest that names the database")
    except (OSError, ValueError, TypeError, KeyError, AttributeError) as error:
        raise BackupError("expected a manifest in the backup") from error
    return made


def _sha256(path: pathlib.Path) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK):
            digest.update(chunk)
    return digest.hexdigest()
