"""Backups of the CA zone's database, on SQLite and by PostgreSQL's own programs."""

import io
import os
import pathlib
import shutil
import tarfile

import pytest
import sqlalchemy
from sqlalchemy import orm

from imza import backup
from pki import audit, clock, database

FACTS = backup.Manifest("2027-03-01T00:00:00Z", "", 5, 7, {})


@pytest.fixture
def saved(engine: sqlalchemy.Engine, tmp_path: pathlib.Path) -> pathlib.Path:
    if engine.url.get_backend_name() != "sqlite" and shutil.which("pg_dump") is None:
        if os.environ.get("CI"):
            pytest.fail("pg_dump is not installed")
        pytest.skip("pg_dump is not installed")
    sessions = database.session_factory(engine)
    _append(sessions)
    (tmp_path / "ca.toml").write_text("x = 1\n")
    target = tmp_path / "ca.backup"
    made = backup.write(target, _url(engine), tmp_path / "ca.toml", FACTS)
    assert made.log_number == 5
    return target


def _append(sessions: orm.sessionmaker[orm.Session]) -> audit.AuditHead:
    with sessions() as session:
        head = audit.append(
            session, audit.AuditEvent.KEY_GENERATED, clock.SystemClock().now(), actor="x",
            details={},
        )  # fmt: skip
        session.commit()
    return head


def _url(engine: sqlalchemy.Engine) -> str:
    return engine.url.render_as_string(hide_password=False)


def _empty(engine: sqlalchemy.Engine) -> None:
    engine.dispose()
    if engine.url.get_backend_name() == "sqlite":
        for one in pathlib.Path(str(engine.url.database)).parent.glob("test.sqlite*"):
            one.unlink()
    else:
        with engine.begin() as connection:
            connection.execute(sqlalchemy.text("DROP SCHEMA public CASCADE"))
            connection.execute(sqlalchemy.text("CREATE SCHEMA public"))


def test_a_backup_is_put_back_as_it_was(saved: pathlib.Path, engine: sqlalchemy.Engine) -> None:
    sessions = database.session_factory(engine)
    with sessions() as session:
        before = audit.head(session)
    _append(sessions)
    with backup.opened(saved) as (manifest, folder):
        assert (manifest.log_number, manifest.audit_number) == (5, 7)
        assert (folder / "settings.toml").read_text() == "x = 1\n"
        with pytest.raises(backup.NotEmptyError):
            backup.put_back(manifest, folder, _url(engine))
        _empty(engine)
        backup.put_back(manifest, folder, _url(engine))
    with sessions() as session:
        assert audit.verify(session) == before
    assert saved.stat().st_mode & 0o777 == 0o600
    assert not list(saved.parent.glob(".backup-*"))


@pytest.mark.parametrize("harm", ["cut", "changed", "no tar", "extra", "outside"])
def test_a_backup_that_was_changed_is_refused(tmp_path: pathlib.Path, harm: str) -> None:
    source = tmp_path / "test.sqlite"
    engine = database.connect(f"sqlite:///{source}")
    database.Base.metadata.create_all(engine)
    engine.dispose()
    (tmp_path / "ca.toml").write_text("x = 1\n")
    saved = tmp_path / "ca.backup"
    backup.write(saved, f"sqlite:///{source}", tmp_path / "ca.toml", FACTS)
    content = saved.read_bytes()
    if harm == "cut":
        saved.write_bytes(content[: len(content) // 2])
    elif harm == "changed":
        saved.write_bytes(content.replace(b"SQLite format 3", b"SQLite format 4"))
    elif harm == "no tar":
        saved.write_bytes(b"hello" * 1000)
    else:
        with tarfile.open(saved, "a") as archive:
            info = tarfile.TarInfo("../evil" if harm == "outside" else "more")
            info.size = 4
            archive.addfile(info, io.BytesIO(b"evil"))
    with pytest.raises(backup.BackupError), backup.opened(saved):
        pass
    assert not (tmp_path.parent / "evil").exists()
