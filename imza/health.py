"""`/healthz` and `/readyz`: whether the process lives, and whether it can do its work."""

import json
import logging
import typing
from collections.abc import Callable, Mapping

import anyio.to_thread
from starlette import types as starlette_types

from pki import der_http, durable_files, errors

if typing.TYPE_CHECKING:
    from sqlalchemy import orm

log = logging.getLogger(__name__)

_JSON = b"application/json"


def database_probe(sessions: "orm.sessionmaker[orm.Session]") -> Callable[[], object]:
    """Return a probe that asks the database something."""
    import sqlalchemy

    def ask() -> object:
        with sessions() as session:
            return session.scalar(sqlalchemy.text("SELECT 1"))

    return ask


def writable_database_probe(sessions: "orm.sessionmaker[orm.Session]") -> Callable[[], object]:
    """Return a probe that fails too where the database answers and cannot be written."""
    import sqlalchemy

    from pki import database

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


def endpoints(
    probes: Mapping[str, Callable[[], object]], notes: Mapping[str, str]
) -> Mapping[str, starlette_types.ASGIApp]:
    """Return both endpoints, which need no web framework.

    Args:
        probes: What must work, by name; a probe raises when it does not.
        notes: What an operator should know of how this process runs.
    """

    async def alive(_: der_http.Request) -> der_http.Reply:
        return _reply({"status": "alive"}, 200)

    async def ready(_: der_http.Request) -> der_http.Reply:
        # Each may wait for a database or a disk.
        states = await anyio.to_thread.run_sync(
            lambda: {name: _try(name, probe) for name, probe in probes.items()}
        )
        good = all(state == "ok" for state in states.values())
        content = {
            "status": "ready" if good else "not ready",
            "checks": states,
            "notes": dict(notes),
        }
        return _reply(content, 200 if good else 503)

    return {"/healthz": _endpoint(alive), "/readyz": _endpoint(ready)}


def _endpoint(handler: der_http.Handler) -> starlette_types.ASGIApp:
    return der_http.endpoint(
        handler, request_type="application/json", limit=0, methods=frozenset({"GET", "HEAD"})
    )


def _reply(content: Mapping[str, object], status: int) -> der_http.Reply:
    return der_http.Reply(
        json.dumps(content, ensure_ascii=False).encode(), ((b"content-type", _JSON),), status
    )


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
