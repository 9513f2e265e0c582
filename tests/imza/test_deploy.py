"""The example settings and the unit are what an operator begins with, so they are tried."""

import dataclasses
import hashlib
import pathlib
import re
import tomllib
import typing

import pytest

from imza import config
from imza.wiring.zone import ZONES
from pki import access

DEPLOY = pathlib.Path(__file__).parents[2] / "deploy"
GUIDE = DEPLOY.parent / "docs" / "operator-guide.md"

NEEDED = {
    "ca": {
        "audit",
        "disclosure",
        "statistics",
        "enrolment",
        "notices",
        "renewal",
        "subscribers",
        "database",
        "keystore",
        "keystore_ocsp",
        "keystore_tsa",
        "signature_log",
        "ca",
    },
    "ocsp": {"database", "keystore", "ocsp"},
    "tsa": {"database", "keystore", "tsa"},
    "mobile": {"database", "mobile_id", "access"},
    "signing": {"database", "signing", "mobile_peer", "access"},
}


def test_there_is_an_example_for_each_zone() -> None:
    assert {one.stem for one in (DEPLOY / "settings").iterdir()} == set(ZONES)


@pytest.mark.parametrize("zone", ZONES)
def test_an_example_can_be_read_and_holds_what_its_zone_needs(zone: str) -> None:
    path = DEPLOY / "settings" / f"{zone}.toml"
    config.read(path)
    assert set(tomllib.loads(path.read_text())) == {"server"} | NEEDED[zone]


@pytest.mark.parametrize("zone", ZONES)
def test_an_example_without_its_comments_signs_can_be_read_too(zone: str) -> None:
    text = (DEPLOY / "settings" / f"{zone}.toml").read_text()
    spare = re.sub(r"(?m)^# (\w+ = )", r"\1", text)
    if zone == "ca":
        spare = spare.replace("test = true", "test = false")
        spare = spare.replace('policy_arc = ""', 'policy_arc = "1.3.6.1.4.1.99999.1"')
    config.parse(tomllib.loads(spare))


def test_no_two_zones_listen_on_one_port() -> None:
    ports = [config.read(one).server.port for one in (DEPLOY / "settings").iterdir()]
    assert len(set(ports)) == len(ports)


def _fields(section: object) -> list[str]:
    found = []
    for field in dataclasses.fields(section):  # type: ignore[arg-type]
        found.append(field.name)
        hint = typing.get_type_hints(section)[field.name]
        for inner in (hint, *typing.get_args(hint)):
            if dataclasses.is_dataclass(inner):
                found += _fields(inner)
    return found


@pytest.mark.parametrize("name", sorted(set(_fields(config.Config))))
def test_every_entry_of_the_settings_is_explained(name: str) -> None:
    assert re.search(rf"`\[?{name}\]?`", GUIDE.read_text(encoding="utf-8")), name


def test_the_settings_that_the_guide_shows_can_be_read() -> None:
    shown = re.findall(r"(?s)```toml\n(.*?)```", GUIDE.read_text(encoding="utf-8"))
    assert shown
    for text in shown:
        config.parse(tomllib.loads(text))


def test_the_guides_way_to_hash_a_secret_is_the_programs() -> None:
    assert "hashlib.sha256" in GUIDE.read_text(encoding="utf-8")
    assert access.hash_secret("TEST") == hashlib.sha256(b"TEST").hexdigest()
