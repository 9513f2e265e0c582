import contextlib
import logging
import pathlib

import pytest

from imza import health
from pki import database, errors, outbound, web
from tests.support import servers


def _get(url: str, status: int) -> outbound.Reply:
    with contextlib.closing(outbound.Client()) as client:
        return client.send("GET", url, expect=(status,))


def _fail() -> object:
    raise RuntimeError("secret detail")


def _refuse() -> object:
    raise errors.StateError("expected this, got that: do so")


def test_a_process_that_cannot_work_lives_but_is_not_ready(
    tmp_path: pathlib.Path, caplog: pytest.LogCaptureFixture
) -> None:
    sessions = database.session_factory(database.connect(f"sqlite:///{tmp_path}/x.sqlite"))
    probes = {"database": health.database_probe(sessions), "unit": _fail, "key": _refuse}
    app = web.application("test", [], health.endpoints(probes, {"clock": "trusted"}))
    with caplog.at_level(logging.WARNING), servers.serve(app) as url:
        assert _get(f"{url}/healthz", 200).json() == {"status": "alive"}
        told = _get(f"{url}/readyz", 503)
    assert told.json() == {
        "status": "not ready",
        "checks": {
            "database": "ok",
            "unit": "failed",
            "key": "failed: expected this, got that: do so",
        },
        "notes": {"clock": "trusted"},
    }
    assert b"secret detail" not in told.body
    assert "probe_failed name=unit error=RuntimeError" in caplog.text


def test_a_process_whose_probes_all_pass_is_ready() -> None:
    app = web.application("test", [], health.endpoints({"one": lambda: 1}, {}))
    with servers.serve(app) as url:
        assert _get(f"{url}/readyz", 200).json()["status"] == "ready"


def test_a_database_that_went_away_makes_the_process_unready(tmp_path: pathlib.Path) -> None:
    folder = tmp_path / "gone"
    sessions = database.session_factory(database.connect(f"sqlite:///{folder}/x.sqlite"))
    app = web.application("test", [], health.endpoints({"db": health.database_probe(sessions)}, {}))
    with servers.serve(app) as url:
        told = _get(f"{url}/readyz", 503).json()["checks"]["db"]
        assert told.startswith("failed: the database cannot be used")
        folder.mkdir()
        assert _get(f"{url}/readyz", 200).json()["checks"] == {"db": "ok"}
