"""`imza ca audit export` and `verify`: over the API, with time stamps of a real unit."""

import datetime
import json
import pathlib
import tomllib
from collections.abc import Iterator

import pytest
import sqlalchemy
from click.testing import CliRunner

from ca.audit_log import anchors, api
from ca.operators import gate, roles
from imza import audit_command
from pki import algorithms, audit, clock, database, web
from tests.support import hierarchy as hierarchy_support
from tests.support import operators, servers
from tsa import messages, signed_token


@pytest.fixture
def office(
    engine: sqlalchemy.Engine,
    at: datetime.datetime,
    hierarchy: hierarchy_support.Hierarchy,
    tmp_path: pathlib.Path,
) -> Iterator[pathlib.Path]:
    """A running auditor's API over a log of 1203 entries; the file holds credentials for it."""
    sessions = database.session_factory(engine)
    unit = hierarchy.time_stamping_unit()

    def stamp(digest: bytes, at: datetime.datetime) -> bytes:
        imprint = messages.MessageImprint(algorithms.HashAlgorithm.SHA256, digest)
        info = messages.TSTInfo("1.3.6.1.4.1.99999.2", imprint, 1, at)
        return signed_token.build_token(info, unit.certificate, unit.handle, unit.chain[:-1])

    with sessions() as session:
        for number in range(1203):
            audit.append(
                session,
                audit.AuditEvent.CERTIFICATE_ISSUED,
                at,
                actor="test",
                details={"serial_number": f"{number:x}"},
            )
        session.commit()
    auditor = operators.certified_by(hierarchy.infrastructure, roles.Role.AUDITOR, at)
    operators.record(sessions, auditor, hierarchy.infrastructure, at)
    present = clock.FixedClock(at)
    gates = gate.SignedRequestGate(sessions, clock.SystemClock())
    anchoring = anchors.Anchoring(tmp_path / "anchors", stamp)
    routers = [
        api.routes(sessions, anchoring, gates, present),
    ]
    (tmp_path / "root.pem").write_bytes(hierarchy.root.pem)
    with servers.serve(web.application("test", routers)) as base_url:
        yield auditor.write(tmp_path, base_url)


def test_an_export_is_stamped_to_its_end_and_proven(office: pathlib.Path) -> None:
    folder = office.parent
    target, root = folder / "audit.jsonl", str(folder / "root.pem")
    runner = CliRunner()
    made = runner.invoke(
        audit_command.export,
        [str(target), "--credentials", str(office), "--json"],
        catch_exceptions=False,
    )
    assert json.loads(made.stdout) == {"file": str(target), "entries": 1203, "anchors": 1}
    arguments = ["--export", str(target), "--root", root, "--json"]
    shown = runner.invoke(
        audit_command.verify, arguments, standalone_mode=False, catch_exceptions=False
    )
    found = json.loads(shown.stdout)
    assert shown.return_value == 0
    assert (found["entries"], found["anchored"], found["warnings"]) == (1203, 1203, [])
    lines = target.read_bytes().splitlines(keepends=True)
    unstamped = [one for one in lines if b'"kind":"anchor"' not in one]
    target.write_bytes(b"".join(unstamped))
    shown = runner.invoke(
        audit_command.verify, arguments, standalone_mode=False, catch_exceptions=False
    )
    assert shown.return_value == audit_command.EXIT_INDETERMINATE
    kept = runner.invoke(
        audit_command.verify,
        [*arguments, "--anchors", str(folder / "anchors")],
        standalone_mode=False,
        catch_exceptions=False,
    )
    assert kept.return_value == 0


def test_the_auditors_routes_need_an_auditor(office: pathlib.Path) -> None:
    import httpx

    base_url = tomllib.loads(office.read_text())["server"]
    for method, path in (("GET", "entries"), ("GET", "anchors"), ("POST", "anchors")):
        answer = httpx.request(method, f"{base_url}/ra/v1/audit/{path}")
        assert answer.status_code == 401


@pytest.mark.parametrize("arguments", [[], ["--credentials", "{0}", "--export", "{0}"]])
def test_verify_takes_either_an_export_or_credentials(
    arguments: list[str], tmp_path: pathlib.Path
) -> None:
    file = tmp_path / "x"
    file.write_text("{}")
    given = [one.format(file) for one in arguments]
    assert CliRunner().invoke(audit_command.verify, given).exit_code == 2
