"""PINs, client secrets and passphrases stand nowhere in clear but in the files made to hold them.

A sandbox with random secrets does the main job, wrong PINs and wrong secrets included; then
everything it wrote, printed and showed in the process list is searched for them.
"""

import base64
import contextlib
import json
import os
import pathlib
import re
import secrets
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Iterable, Iterator, Mapping

import pytest

from imza import people
from tests.support import world as worlds

pytestmark = [pytest.mark.slow, pytest.mark.card, pytest.mark.xdist_group("world")]

CITIZEN = "5AB12CD"
OFFICIAL = "3KL78RS"

MEANT_TO_HOLD_SECRETS = ("sandbox.json", "secrets/*", "cards/*.letter.json", "mobile/people/*")
"""What the holder of a secret is handed; everything else in DIR is searched."""

LONG = 8
"""A secret of so many characters does not occur by chance in a few megabytes."""


def forms(secret: str) -> Iterator[re.Pattern[bytes]]:
    """How a secret may stand somewhere: as it is, in hex, and in base64 at any position."""
    raw = secret.encode()
    if len(secret) < LONG:
        # A short PIN is looked for as a word, as any five digits stand in some long number.
        yield re.compile(rb"(?<![0-9A-Za-z.:])" + re.escape(raw) + rb"(?![0-9A-Za-z])")
        return
    for form in (
        raw,
        raw.hex().encode(),
        raw.hex().upper().encode(),
        raw.decode().encode("utf-16-le"),
    ):
        yield re.compile(re.escape(form))
    for before in range(3):
        for encode in (base64.b64encode, base64.urlsafe_b64encode):
            padded = encode(b"\0" * before + raw + b"\0" * 3)
            # The characters at both ends mix with what stands beside.
            inner = padded[(before * 8 + 5) // 6 : (before + len(raw)) * 8 // 6]
            yield re.compile(re.escape(inner))


def find(known: Mapping[str, str], places: Iterable[tuple[str, bytes]]) -> list[str]:
    """Which secrets stand where, by name: a test that fails must not print them either."""
    patterns = {name: tuple(forms(secret)) for name, secret in known.items()}
    return [
        f"{name} in {where}"
        for where, content in places
        for name, searched in patterns.items()
        if any(pattern.search(content) for pattern in searched)
    ]


def files_below(folder: pathlib.Path) -> Iterator[tuple[str, bytes]]:
    for path in sorted(folder.rglob("*")):
        name = path.relative_to(folder)
        meant = any(name.match(pattern) for pattern in MEANT_TO_HOLD_SECRETS)
        if path.is_file() and not meant and name.parts[0] != "secrets":
            with contextlib.suppress(FileNotFoundError):  # A session's file may just be replaced.
                yield str(name), path.read_bytes()


class ProcessWatch:
    """Notes the arguments and the environment of every process while it is open."""

    def __init__(self) -> None:
        self.seen: set[bytes] = set()
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)

    def __enter__(self) -> "ProcessWatch":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stopping.set()
        self._thread.join()

    def _watch(self) -> None:
        while not self._stopping.wait(0.02):
            for process in pathlib.Path("/proc").iterdir():
                if not process.name.isdigit():
                    continue
                # A process may end while it is looked at, or be another user's.
                for part in ("cmdline", "environ"):
                    with contextlib.suppress(OSError):
                        self.seen.add((process / part).read_bytes())


def random_pin() -> str:
    return "".join(secrets.choice("0123456789") for _ in range(8))


def test_secrets_stand_nowhere_but_where_they_belong(
    card_world: worlds.World, contract: pathlib.Path, tmp_path: pathlib.Path
) -> None:
    world, printed = card_world, []
    card = world.card(CITIZEN)
    phone = next(one for one in people.PEOPLE if one.person_code == OFFICIAL)
    pin, wrong_pin, no_pin = random_pin(), random_pin(), f"{random_pin()}99"
    no_secret = secrets.token_urlsafe(32)
    stranger = tmp_path / "stranger.json"
    stranger.write_text(json.dumps({"client_id": "sandbox-portal", "client_secret": no_secret}))
    signing = ("sign", str(contract), "--level", "B-T")
    by_card = ("--card", "--reader", card["reader"])
    by_phone = ("--phone", str(phone.phone_number), "--person", phone.person_code)
    to = ("-o", str(tmp_path / "signed.pdf"))

    def run(*arguments: str, expect: int = 0, pin: str | None = None) -> None:
        done = world.imza(*arguments, pin=pin, expect=expect)
        printed.append(done.stdout + done.stderr)

    with ProcessWatch() as processes:
        run("card", "change-pin", "--reader", card["reader"], pin=f"{card['pin1']}\n{pin}")
        try:
            run(*signing, *by_card, *world.service, *to, pin=pin)
            run(*signing, *by_card, *world.service, *to, pin=wrong_pin, expect=4)
            run(*signing, *by_card, *world.service, *to, "--json", pin=no_pin, expect=4)
            run("--traceback", *signing, *by_card, *world.service, *to, pin=pin)
        finally:
            run("card", "change-pin", "--reader", card["reader"], pin=f"{pin}\n{card['pin1']}")
        run(*signing, *by_phone, *world.service, *to)
        server = ("--server", world.base_url, "--credentials", str(stranger))
        run(*signing, *by_phone, *server, *to, expect=4)
        run("mobile", "show", "--dir", str(world.folder), "--phone", str(phone.phone_number))
        run("ca", "list", *world.credentials)
        run("card", "show", "--reader", card["reader"])
        token = world.api().headers["Authorization"].removeprefix("Bearer ")

    sim = json.loads(
        (world.folder / "mobile" / "people" / f"{str(phone.phone_number)[1:]}.json").read_text()
    )
    keystores = (world.folder / "secrets").glob("keystore-*")
    parties = (world.folder / "secrets").glob("relying-party-*")
    known = {
        "card PIN": pin,
        "first card PIN": card["pin1"],
        "PUK": card["puk"],
        "wrong PIN": wrong_pin,
        "malformed PIN": no_pin,
        "SIM PIN2": sim["pin2"],
        "SIM PUK": sim["puk"],
        "SIM device secret": sim["device_secret"],
        "portal's secret": world.description["api_client"]["client_secret"],
        "wrong secret": no_secret,
        "access token": token,
        **{one.name: one.read_text() for one in (*keystores, *parties)},
    }
    places = [
        *files_below(world.folder),
        ("what the sandbox printed", world.output.encode()),
        *((f"output {number}", text.encode()) for number, text in enumerate(printed)),
        *(("a process's arguments or environment", seen) for seen in processes.seen),
    ]
    names = {name for name, _ in places}
    assert {"imza.log", "ca.sqlite", "signing.sqlite", "mobile.sqlite"} <= names
    assert any(b"imza" in seen and b"--pin-fd" in seen for seen in processes.seen)
    assert find(known, places) == []


@pytest.mark.parametrize("secret", ["sEcReT-of-a-client-42", "83920174"])
def test_search_finds_what_is_planted(tmp_path: pathlib.Path, secret: str) -> None:
    """The search above would see a leak of each kind, or its silence would say nothing."""
    (tmp_path / "w" / "sub").mkdir(parents=True)
    log = tmp_path / "w" / "imza.log"
    for position, written in enumerate(
        (
            secret,
            secret.encode().hex(),
            base64.b64encode(b"x" + secret.encode() + b"yz").decode(),
            base64.b64encode(b"pin=" + secret.encode()).decode(),
            base64.b64encode(b"{}" + secret.encode()).decode(),
            base64.urlsafe_b64encode(secret.encode()).decode().rstrip("="),
        )
    ):
        log.write_text(f"INFO a harmless line\nINFO value={written}\n")
        assert find({"it": secret}, files_below(tmp_path / "w")) == ["it in imza.log"], position
    log.unlink()

    with contextlib.closing(sqlite3.connect(tmp_path / "w" / "sub" / "x.sqlite")) as database:
        database.execute("CREATE TABLE one (content BLOB)")
        database.execute("INSERT INTO one VALUES (?)", (secret.encode(),))
        database.commit()
    assert find({"it": secret}, files_below(tmp_path / "w")) == ["it in sub/x.sqlite"]

    with (
        ProcessWatch() as processes,
        subprocess.Popen(
            [sys.executable, "-c", "input()", secret], stdin=subprocess.PIPE
        ) as careless,
    ):
        deadline = threading.Event()
        while not any(secret.encode() in one for one in processes.seen):
            assert careless.poll() is None
            deadline.wait(0.01)
        assert careless.stdin is not None
        careless.stdin.write(b"\n")
    assert find({"it": secret}, [("processes", one) for one in processes.seen])


def test_search_finds_a_short_pin_as_a_word_and_not_within_a_number() -> None:
    assert find({"PIN2": "30261"}, [("a log", b"pin=30261 refused")]) == ["PIN2 in a log"]
    assert find({"PIN2": "30261"}, [("a log", b"serial=8430261947")]) == []


def test_only_the_owner_can_read_what_holds_secrets(world: worlds.World) -> None:
    for pattern in MEANT_TO_HOLD_SECRETS:
        for path in world.folder.glob(pattern):
            assert path.stat().st_mode & 0o077 == 0, path.name
    assert os.stat(world.folder).st_mode & 0o077 == 0
