"""One time-stamping unit takes over from another under load; openssl judges every token."""

import concurrent.futures
import dataclasses
import datetime
import pathlib
import subprocess
import time

import httpx
import pytest
from cryptography.hazmat.primitives.serialization import pkcs7

from pki import clock
from tests.support import world as worlds

pytestmark = [pytest.mark.slow, pytest.mark.peer]

CLIENTS = 4
START_S = 20
"""Until the takeover: the zone must have started by then, on a busy machine too."""
AROUND_S = 3
PAUSE_S = 0.1


@dataclasses.dataclass(frozen=True)
class Stamped:
    """A reply, by its file, and what openssl reads in it."""

    reply: pathlib.Path
    query: pathlib.Path
    gen_time: datetime.datetime
    unit: int


def _openssl(folder: pathlib.Path, *arguments: str | pathlib.Path) -> str:
    done = subprocess.run(
        ["openssl", *map(str, arguments)], cwd=folder, capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


def _ask_until(
    folder: pathlib.Path, url: str, client: int, end: datetime.datetime
) -> list[tuple[pathlib.Path, pathlib.Path]]:
    """Ask again and again; every answer must be HTTP 200, and is kept."""
    query = folder / f"{client}.tsq"
    made = []
    with httpx.Client(trust_env=False, timeout=30) as http:
        while clock.SystemClock().now() < end:
            reply = http.post(
                f"{url}/tsa",
                content=query.read_bytes(),
                headers={"Content-Type": "application/timestamp-query"},
            )
            assert reply.status_code == 200, reply.text
            path = folder / f"{client}-{len(made)}.tsr"
            path.write_bytes(reply.content)
            made.append((path, query))
            time.sleep(PAUSE_S)
    return made


def _read(folder: pathlib.Path, reply: pathlib.Path, query: pathlib.Path) -> Stamped:
    text = _openssl(folder, "ts", "-reply", "-in", reply, "-text")
    assert "Status: Granted." in text, text
    (stated,) = (line for line in text.splitlines() if line.startswith("Time stamp: "))
    gen_time = datetime.datetime.strptime(
        stated.removeprefix("Time stamp: "), "%b %d %H:%M:%S %Y GMT"
    ).replace(tzinfo=datetime.UTC)
    token = reply.with_suffix(".der")
    _openssl(folder, "ts", "-reply", "-in", reply, "-token_out", "-out", token)
    subjects = {
        one.subject.rfc4514_string()
        for one in pkcs7.load_der_pkcs7_certificates(token.read_bytes())
    }
    (name,) = (one for one in subjects if "Time-stamping unit" in one)
    (unit,) = (number for number in (1, 2) if f"Time-stamping unit {number}" in name)
    return Stamped(reply, query, gen_time, unit)


@pytest.mark.clause("RFC 3161", "2.4.2")
def test_tokens_before_during_and_after_a_takeover_verify(tmp_path: pathlib.Path) -> None:
    with worlds.zones_apart(tmp_path / "w", started=()) as zones:
        folder = zones.installation.folder
        subprocess.run(
            [*worlds.IMZA, "ca", "rollover", "tsu", "--officer", "admin-1", "--out", str(folder),
             "--config", str(zones.installation.config_path("ca"))],
            check=True, capture_output=True,
        )  # fmt: skip
        for client in range(CLIENTS):
            (tmp_path / f"{client}.txt").write_text(f"contract {client}")
            _openssl(tmp_path, "ts", "-query", "-data", f"{client}.txt", "-sha256", "-cert",
                     "-out", f"{client}.tsq")  # fmt: skip
        present = clock.SystemClock()
        begins = clock.whole_seconds(present.now()) + datetime.timedelta(seconds=START_S)
        zones.change(
            "tsa",
            "tsa",
            successors=[
                {
                    "certificates": str(folder / "tsu-2.pem"),
                    "key_label": "tsu-2",
                    "active_from": clock.time_text(begins),
                }
            ],
        )
        zones.start("tsa")
        around = datetime.timedelta(seconds=AROUND_S)
        left = (begins - around - present.now()).total_seconds()
        assert left > -AROUND_S / 2, "the zone took too long to start"
        time.sleep(max(left, 0))
        with concurrent.futures.ThreadPoolExecutor(CLIENTS) as pool:
            asked = [
                pool.submit(_ask_until, tmp_path, zones.addresses.tsa, one, begins + around)
                for one in range(CLIENTS)
            ]
        replies = [pair for one in asked for pair in one.result()]
        # Back to one unit alone, the new one, as the guide says for the day after.
        zones.stop("tsa")
        zones.change(
            "tsa", "tsa", successors=None,
            certificates=str(folder / "tsu-2.pem"), key_label="tsu-2",
        )  # fmt: skip
        zones.start("tsa")
        (tmp_path / "later").mkdir()
        (tmp_path / "later" / "0.tsq").write_bytes((tmp_path / "0.tsq").read_bytes())
        replies += _ask_until(
            tmp_path / "later", zones.addresses.tsa, 0, present.now() + datetime.timedelta(0, 1)
        )
        stamped = [_read(tmp_path, *one) for one in replies]
        for one in stamped:
            told = _openssl(
                tmp_path, "ts", "-verify", "-in", one.reply, "-queryfile", one.query,
                "-CAfile", folder / "trust-anchors.pem", "-untrusted", folder / "authorities.pem",
            )  # fmt: skip
            assert "Verification: OK" in told
    # One unit at a time: what names a second before the takeover is the old one's, all else not.
    assert {one.unit for one in stamped if one.gen_time < begins} == {1}
    assert {one.unit for one in stamped if one.gen_time >= begins} == {2}
    assert begins in {one.gen_time for one in stamped}
