"""Four workers learn of a revocation; a responder elsewhere has a published file alone."""

import contextlib
import os
import pathlib
import re
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from http import client

import httpx
import pytest
from cryptography import x509
from sqlalchemy import orm

from ca import revocation
from imza import installation
from ocsp import cert_id, messages
from pki import clock, database, status
from tests.support import crls, servers

pytestmark = pytest.mark.slow

LIMIT_S = 60
VISIBLE_WITHIN_S = 2.0
WORKERS = 4
SERIAL = 2**120 + 77
IMZA = [sys.executable, "-m", "imza"]


HEAVY = ("sqlalchemy", "fastapi", "pydantic", "pyhanko", "alembic", "lxml", "httpx", "psycopg")
BUILDS = f"""
import contextlib, pathlib, sys
from imza import config
from imza.serving import zone_process
from imza.wiring import resources, zones
from pki import clock
with contextlib.closing(resources.Resources(clock.SystemClock())) as opened:
    built = zones.build(opened, "ocsp", config.read(pathlib.Path(sys.argv[1])))
    probed = built.probes["statuses"]()
    print(len(probed.issuers), [one for one in {HEAVY!r} if one in sys.modules])
"""


class Place:
    """An installation whose registry the test writes, and the responders that read it."""

    def __init__(self, folder: pathlib.Path) -> None:
        self.folder = folder
        self.address = f"http://127.0.0.1:{servers.free_port()}"
        self.world = installation.Installation(folder / "w")
        self.world.lay_out(installation.Addresses.together(self.address))
        self.ca = self.world.config_path("ca")
        self.ca.write_text(
            f'{self.ca.read_text()}\n[status_file]\nfile = "{folder}/published"\nevery = 1\n'
        )
        self.run("ca", "init", "--config", self.ca, "--out", self.world.folder)
        found = x509.load_pem_x509_certificates(self.world.authorities.read_bytes())
        self.issuer = next(one for one in found if "Citizen" in one.subject.rfc4514_string())
        url = re.search(r'url = "(sqlite:[^"]*)"', self.ca.read_text())
        assert url is not None
        self.engine = database.connect(url[1])
        self.sessions: orm.sessionmaker[orm.Session] = database.session_factory(self.engine)
        self.at = clock.SystemClock().now()
        with self.sessions() as session:
            crls.add_certificate(session, "citizen", SERIAL, self.at)
            session.commit()

    def run(self, *arguments: object) -> str:
        done = subprocess.run(
            [*IMZA, *map(str, arguments)], check=True, capture_output=True, text=True,
            timeout=LIMIT_S,
        )  # fmt: skip
        return done.stdout

    def settings(self, name: str, entries: str, *, workers: int, database: bool = True) -> str:
        text = self.world.config_path("ocsp").read_text()
        text = text.replace("[server]", f"[server]\nworkers = {workers}")
        text = text.replace("[ocsp]", f"[ocsp]\n{entries}")
        if not database:
            text = re.sub(r"\[database\]\nurl = .*\n", "", text)
        path = self.folder / f"{name}.toml"
        path.write_text(text)
        return str(path)

    @contextlib.contextmanager
    def serving(self, path: str) -> Iterator["subprocess.Popen[bytes]"]:
        log = self.folder / "ocsp.log"
        with log.open("wb") as writing:
            process = subprocess.Popen([*IMZA, "serve", "ocsp", "--config", path], stderr=writing)
        try:
            deadline = time.monotonic() + LIMIT_S
            while "serves at" not in log.read_text():
                assert process.poll() is None, log.read_text()
                assert time.monotonic() < deadline
                time.sleep(0.02)
            yield process
        finally:
            process.terminate()
            assert process.wait(LIMIT_S) == 0, log.read_text()

    def ask(self, serial: int = SERIAL) -> str:
        """What one of the workers says: a new connection for each question."""
        asked = messages.OCSPRequest((cert_id.name_certificate(self.issuer, serial),))
        connection = client.HTTPConnection(self.address.removeprefix("http://"), timeout=LIMIT_S)
        headers = {"Content-Type": "application/ocsp-request", "Connection": "close"}
        with contextlib.closing(connection):
            connection.request("POST", "/ocsp", messages.build_request(asked), headers)
            why, good = messages.parse_response(connection.getresponse().read())
        if good is None:
            return why.name
        known = good.data.responses[0].status
        if known is None:
            return "unknown"
        return "good" if known.is_good else f"revoked {known.reason.name if known.reason else ''}"

    def change(self, change: str) -> float:
        """Hold or release the certificate; return when that was committed."""
        with self.sessions() as session:
            at = clock.SystemClock().now()
            if change == "revoke":
                reason = status.RevocationReason.keyCompromise
                revocation.revoke(session, SERIAL, reason, at, actor="test")
            else:
                getattr(revocation, change)(session, SERIAL, at, actor="test")
            session.commit()
        return time.monotonic()


@pytest.fixture
def place(tmp_path: pathlib.Path) -> Iterator[Place]:
    made = Place(tmp_path)
    yield made
    made.engine.dispose()


def _last_seen(place: Place, old: str, since: float) -> float:
    """How long after a change any worker still told the old status."""
    last = 0.0
    asked = 0
    while (now := time.monotonic() - since) < 1.5 * VISIBLE_WITHIN_S:
        if place.ask() == old:
            last = now
        asked += 1
    assert asked > 10 * WORKERS
    return last


def test_a_change_is_visible_on_every_worker_within_two_seconds(
    place: Place, record_property: Callable[[str, object], None]
) -> None:
    path = place.settings("many", f'status_file = "{place.folder}/shared"', workers=WORKERS)
    with place.serving(path):
        assert {place.ask() for _ in range(4 * WORKERS)} == {"good"}
        assert place.ask(SERIAL + 1) == "unknown"
        figures = []
        for change, old, new in (
            ("hold", "good", "revoked certificateHold"),
            ("release", "revoked certificateHold", "good"),
            ("revoke", "good", "revoked keyCompromise"),
        ):
            figures.append(_last_seen(place, old, place.change(change)))
            assert {place.ask() for _ in range(4 * WORKERS)} == {new}
        record_property("old_status_last_told_after_s", max(figures))
        print("old status last told after", figures)  # noqa: T201 - the figure of the journey
        assert max(figures) < VISIBLE_WITHIN_S


def test_a_worker_at_work_has_neither_database_layer_nor_web_framework(place: Place) -> None:
    path = place.settings("lean", f'status_file = "{place.folder}/shared"', workers=0)
    done = subprocess.run(
        [sys.executable, "-c", BUILDS, path], check=True, capture_output=True, text=True,
        timeout=LIMIT_S,
    )  # fmt: skip
    assert done.stdout == "5 []\n"


def test_a_responder_without_a_database_follows_the_published_file(place: Place) -> None:
    key = place.folder / "key.pem"
    officer = ("--config", place.ca, "--officer", "admin-1")
    key.write_text(place.run("ca", "status-file", "key", *officer))
    place.run("ca", "status-file", "write", *officer)
    published, brought = place.folder / "published", place.folder / "brought"
    shown = place.run("ca", "status-file", "show", published, "--publisher", key)
    assert re.search(r"signed +True", shown)
    entries = f'status_file = "{brought}"\nstatus_publisher = "{key}"'
    path = place.settings("far", entries, workers=0, database=False)
    with place.serving(path):
        # Nothing was brought yet: whoever asks is asked to come again.
        assert place.ask() == "tryLater"
        ready = httpx.get(f"{place.address}/readyz", trust_env=False)
        assert ready.status_code == 503
        assert "no certificate's status is known yet" in ready.json()["checks"]["statuses"]
        _bring(published, brought)
        _await(place, "good")
        assert httpx.get(f"{place.address}/readyz", trust_env=False).status_code == 200
        assert place.ask(SERIAL + 1) == "tryLater"
        place.change("revoke")
        # A file that is cut on its way is not taken, and the one before stays.
        place.run("ca", "status-file", "write", *officer)
        brought.write_bytes(published.read_bytes()[:-1])
        time.sleep(1.5)
        assert place.ask() == "good"
        _bring(published, brought)
        _await(place, "revoked keyCompromise")


def test_a_responder_whose_database_is_gone_at_the_start_is_not_ready(place: Place) -> None:
    path = place.settings("alone", "", workers=1)
    original = place.world.folder / "ca.sqlite"
    place.engine.dispose()
    for one in original.parent.glob("ca.sqlite*"):
        one.rename(f"{one}.away")
    with place.serving(path):
        assert place.ask() == "tryLater"
        for one in original.parent.glob("ca.sqlite*.away"):
            one.rename(str(one).removesuffix(".away"))
        _await(place, "good")


def _bring(published: pathlib.Path, brought: pathlib.Path) -> None:
    partial = brought.with_suffix(".part")
    partial.write_bytes(published.read_bytes())
    os.replace(partial, brought)


def _await(place: Place, expected: str) -> None:
    deadline = time.monotonic() + 20
    while (found := place.ask()) != expected:
        assert time.monotonic() < deadline, found
        time.sleep(0.1)
