import json
import pathlib
import socket
import sys
import tempfile

import pytest
from click.testing import CliRunner

from imza import doctor, schema
from pki import database


@pytest.fixture(autouse=True)
def no_reader_service(monkeypatch: pytest.MonkeyPatch, tmp_path: pathlib.Path) -> None:
    """The PC/SC library keeps the first path it was told for the life of a process."""
    monkeypatch.setenv("PCSCLITE_CSOCK_NAME", str(tmp_path / "none.socket"))


def _found(subject: str, findings: list[doctor.Finding]) -> doctor.Finding:
    return next(one for one in findings if one.subject == subject)


def test_a_bare_machine_lacks_what_apt_would_bring(
    tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setenv("PCSCLITE_CSOCK_NAME", str(tmp_path / "no.socket"))
    findings = doctor.examine(None, [], tmp_path)
    for subject, package in (
        ("Card module", "opensc"),
        ("Virtual reader", "vsmartcard-vpcd"),
        ("SoftHSM 2", "softhsm2"),
        ("Font", "fonts-dejavu-core"),
    ):
        one = _found(subject, findings)
        assert one.state is not doctor.State.GOOD
        assert one.advice == f"apt install {package}"
    # Without a font nothing visible can be drawn; the others only narrow what can be done.
    assert _found("Font", findings).state is doctor.State.WRONG
    assert "xmlsec1" in _found("Other verifiers", findings).found


def test_files_are_found_where_debian_puts_them(tmp_path: pathlib.Path) -> None:
    for place in (
        doctor.OPENSC_MODULES[1],
        doctor.SOFTHSM_MODULES[0],
        doctor.VIRTUAL_DRIVERS[2],
        doctor.FONTS[0],
    ):
        (tmp_path / place).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / place).touch()
    findings = doctor.examine(None, [], tmp_path)
    assert _found("Card module", findings).found == str(tmp_path / doctor.OPENSC_MODULES[1])
    assert _found("SoftHSM 2", findings).state is doctor.State.GOOD
    assert _found("Font", findings).state is doctor.State.GOOD
    assert "driver is not installed" not in _found("Virtual reader", findings).found


def test_the_reader_service_is_looked_for_where_the_environment_says(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with tempfile.TemporaryDirectory(prefix="imza-") as folder:
        path = pathlib.Path(folder) / "pcscd.comm"
        monkeypatch.setenv("PCSCLITE_CSOCK_NAME", str(path))
        missing = _found("Reader service", doctor.examine(None, []))
        assert missing.state is doctor.State.WARNING
        assert str(path) in missing.found
        assert missing.advice
        with socket.socket(socket.AF_UNIX) as service:
            service.bind(str(path))
            service.listen()
            # What listens here is no reader service, but it does answer.
            service.settimeout(10)
            assert doctor.reader_service().state is doctor.State.GOOD


def test_a_missing_python_package_is_named_with_its_extra(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(sys.modules, "smartcard", None)
    monkeypatch.setitem(sys.modules, "fastapi", None)
    findings = doctor.examine(None, [])
    card, server = _found("Card packages", findings), _found("Server packages", findings)
    assert (card.found, card.advice) == ("missing: smartcard", "pip install 'imza[card]'")
    assert (server.found, server.advice) == ("missing: fastapi", "pip install 'imza[server]'")
    assert _found("Card readers", findings).found.startswith("not asked")


def test_a_taken_port_is_told_and_a_free_one_is_good() -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        taken = _found(f"Port {port}", doctor.examine(None, [port]))
        assert taken.state is doctor.State.WARNING
        assert taken.advice
    assert _found(f"Port {port}", doctor.examine(None, [port])).state is doctor.State.GOOD


def test_the_clock_is_judged_by_the_kernel() -> None:
    one = _found("Clock", doctor.examine(None, []))
    assert one.state in (doctor.State.GOOD, doctor.State.WARNING)
    assert "synchronised" in one.found


def _settings(folder: pathlib.Path, text: str) -> list[doctor.Finding]:
    path = folder / "zone.toml"
    path.write_text(text)
    return doctor.examine(path, [])


def test_a_settings_file_with_a_slip_is_told_where(tmp_path: pathlib.Path) -> None:
    one = _found("Settings", _settings(tmp_path, "[databse]\n"))
    assert one.state is doctor.State.WRONG
    assert "databse" in one.found


@pytest.mark.parametrize(
    ("text", "part"),
    [
        ("", "none is set"),
        ('[database]\nurl = "sqlite:///FOLDER/missing/x.sqlite"\n', "cannot be used"),
        ('[database]\nurl = "sqlite:///FOLDER/x.sqlite"\n', "no tables"),
        ('[database]\nurl = "mysql://x"\n', "sqlite or postgresql"),
    ],
)
def test_what_is_wrong_with_the_database_is_told(
    tmp_path: pathlib.Path, text: str, part: str
) -> None:
    one = _found("Database", _settings(tmp_path, text.replace("FOLDER", str(tmp_path))))
    assert one.state is doctor.State.WRONG
    assert part in one.found


def test_a_database_of_this_version_is_good(tmp_path: pathlib.Path) -> None:
    url = f"sqlite:///{tmp_path}/x.sqlite"
    engine = database.connect(url)
    schema.upgrade(engine)
    engine.dispose()
    findings = _settings(tmp_path, f'[database]\nurl = "{url}"\n')
    assert _found("Settings", findings).state is doctor.State.GOOD
    assert _found("Database", findings).state is doctor.State.GOOD


def test_something_wrong_leaves_with_5_and_warnings_do_not(tmp_path: pathlib.Path) -> None:
    good, bad = tmp_path / "good.toml", tmp_path / "bad.toml"
    engine = database.connect(f"sqlite:///{tmp_path}/x.sqlite")
    schema.upgrade(engine)
    engine.dispose()
    good.write_text(f'[database]\nurl = "sqlite:///{tmp_path}/x.sqlite"\n')
    bad.write_text("[")
    with socket.create_server(("127.0.0.1", 0)) as other:
        arguments = ["--port", str(other.getsockname()[1]), "--config"]
        warned = CliRunner().invoke(
            doctor.command, [*arguments, str(good)], standalone_mode=False, catch_exceptions=False
        )
        wrong = CliRunner().invoke(
            doctor.command, [*arguments, str(bad)], standalone_mode=False, catch_exceptions=False
        )
    assert warned.return_value == 0
    assert "warn  Port" in warned.output
    assert wrong.return_value == 5
    assert "FAIL  Settings" in wrong.output


def test_json_holds_the_same_findings() -> None:
    done = CliRunner().invoke(doctor.command, ["--json"], standalone_mode=False)
    rows = json.loads(done.stdout)["findings"]
    subjects = [one.subject for one in doctor.examine(None, doctor.DEFAULT_PORTS)]
    assert [row["subject"] for row in rows] == subjects
    assert all(set(row) == {"subject", "state", "found", "advice"} for row in rows)
    assert all(row["advice"] for row in rows if row["state"] == "wrong")
