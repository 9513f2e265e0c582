import json
import pathlib
from collections.abc import Iterator

import pytest
from click.testing import CliRunner

from ca.operators import gate
from ca.subscribers import api, contacts, passwords
from ca.subscribers import settings as subscriber_settings
from imza import ca_commands
from pki import clock, web
from tests.support import ca_world, operators, servers

SETTINGS = subscriber_settings.Settings()


@pytest.fixture
def credentials(world: ca_world.World, tmp_path: pathlib.Path) -> Iterator[str]:
    present = clock.FixedClock(world.at)
    gates = gate.SignedRequestGate(world.sessions, clock.SystemClock())
    routers = [api.routes(world.sessions, SETTINGS, gates, present)]
    with servers.serve(web.application("test", routers)) as url:
        yield str(operators.office(world, tmp_path, url))


def _run(*arguments: str) -> str:
    done = CliRunner().invoke(ca_commands.group, list(arguments), catch_exceptions=False)
    assert done.exit_code == 0, done.output
    return done.stdout


def test_a_password_is_printed_once_and_is_right(world: ca_world.World, credentials: str) -> None:
    application = world.application()
    options = ("--credentials", credentials)
    first = _run("revocation-password", application, *options).strip()
    second = json.loads(_run("revocation-password", application, *options, "--json"))["password"]

    def is_right(text: str) -> bool:
        return passwords.is_right(
            world.sessions, "PNOAZ-5AB12CD", passwords.RevocationPassword(text), SETTINGS,
            world.at, actor="test",
        )  # fmt: skip

    assert is_right(second)
    assert not is_right(first)


def test_a_contact_is_recorded_and_removed(world: ca_world.World, credentials: str) -> None:
    application = world.application()
    options = ("--language", "ka", "--credentials", credentials)
    assert "recorded" in _run("contact", application, "--email", "nino@example.ge", *options)
    with world.sessions() as session:
        assert contacts.find(session, application) == contacts.Contact(
            "nino@example.ge", None, contacts.Language.GEORGIAN
        )
    assert "removed" in _run("contact", application, *options)
    with world.sessions() as session:
        assert contacts.find(session, application) is None
