"""`/healthz` and `/readyz`: whether the process lives, and whether it can do its work."""

import logging
from collections.abc import Callable, Mapping

import fastapi
import sqlalchemy
from fastapi import responses
from sqlalchemy import orm

from pki import database, durable_files, errors

log = logging.getLogger(__name__)


def database_probe(sessions: orm.sessionmaker[orm.Session]) -> Callable[[], object]:
    """Return a probe that asks the database something."""

    def ask() -> object:
        with sessions() as session:
            return session.scalar(sqlalchemy.text("SELECT 1"))

    return ask


def writable_database_probe(sessions: orm.sessionmaker[orm.Session]) -> Callable[[], object]:
    """Return a probe that fails too where the database answers and cannot be written."""

    def ask() -> None:
        with sessions() as session:
            engine = session.get_bind().engine
            if engine.dialect.name == "postgresql":
                if session.scalar(sqlalchemy.text("SHOW transaction_read_only")) != "off":
                    raise errors.StorageError("the database is read-only: is it a standby?")
                return
            session.scalar(sqlalchemy.text("SELECT 1"))
        if (file := database.file_of(str(engine.url))) is not None:
            durable_files.check_room(file.absolute().parent)

    return ask


def routes(
    probes: Mapping[str, Callable[[], object]], notes: Mapping[str, str]
) -> fastapi.APIRouter:
    """Return both routes.

    Args:
        probes: What must work, by name; a probe raises when it does not.
        notes: What an operator should know of how this process runs.
    """
    router = fastapi.APIRouter(tags=["health"])

    @router.get("/healthz")
    def alive() -> dict[str, str]:
        return {"status": "alive"}

    @router.get("/readyz")
    def ready() -> fastapi.Response:
        states = {name: _try(name, probe) for name, probe in probes.items()}
        good = all(state == "ok" for state in states.values())
        return responses.JSONResponse(
            {"status": "ready" if good else "not ready", "checks": states, "notes": dict(notes)},
            200 if good else 503,
        )

    return router


def _try(name: str, probe: Callable[[], object]) -> str:
    try:
        probe()
    except errors.ImzaError as error:
        # Its message is made for people and holds no secret.
        log.warning("probe_failed name=%s code=%s", name, error.code)
        return f"failed: {error.message}"
    except Exception as error:  # noqa: BLE001 - whatever is wrong, the answer is "not ready"
        log.warning("probe_failed name=%s error=%s", name, type(error).__name__)
        return "failed"
    return "ok"
