"""An officer vets, another operator approves, a station puts the keys on card and SIM."""

import json
import os
import pathlib
import re
import subprocess
import sys
from collections.abc import Iterator

import pytest

from card_reader.virtual_card import reader_station
from mobile_id import subscribers  # noqa: F401 - its table
from mobile_id.simulation import station as stations
from pki import database
from tests.support import card_station
from tests.support.office import LIMIT_S, Office

pytestmark = [pytest.mark.peer, pytest.mark.slow, pytest.mark.card]

PERSON = (
    "--category", "official", "--country", "AZ", "--person-code", "7HK93MZ",
    "--surname", "TEST Həsənova", "--given-name", "Aygün", "--organisation-code", "9900000001",
    "--organisation-name", "TEST Nazirlik", "--title", "Müşavir",
)  # fmt: skip


@pytest.fixture
def readers() -> Iterator[reader_station.ReaderStation]:
    with card_station.running_station() as running:
        yield running


def imza(folder: pathlib.Path, *arguments: str, expect: int = 0) -> str:
    """Run `imza …` and return what it prints; the virtual readers are in the environment."""
    done = subprocess.run(
        [sys.executable, "-m", "imza", *arguments],
        capture_output=True, text=True, timeout=LIMIT_S, cwd=folder, env=dict(os.environ),
    )  # fmt: skip
    assert done.returncode == expect, done.stdout + done.stderr
    return done.stdout


def test_a_card_and_a_sim_follow_from_what_two_operators_decided(
    office: Office, readers: reader_station.ReaderStation
) -> None:
    officer, approver = office.named("ra-officer")[0], office.named("approver")[0]
    known = json.loads(office.operators.read_text(encoding="utf-8"))["operators"]
    officers_file = next(one["credential"] for one in known if one["name"] == officer)
    folder, reader = office.folder, readers.reader_names[0]
    reader_station.make_blank_card(folder / "card.json")
    readers.insert(reader, folder / "card.json")
    personalise = (
        "card", "personalise", "--json", "--reader", reader, "--operator", officers_file,
        "--pin-letter",
    )  # fmt: skip
    with office.served():
        application = office.call(
            officer, "request", *PERSON, "--document", "passport:AZ:C0123456:2099-01-31"
        )["id"]
        asked = (*personalise, "letter.json", "--application", application)
        # The officer's own word is not enough; nothing was made of the card by asking.
        early = json.loads(imza(folder, *asked, expect=4))
        assert early["code"] == "application-not-ready"
        (folder / "letter.json").unlink()
        office.call(approver, "approve", application)
        done = json.loads(imza(folder, *asked))
        assert done["application"] == application
        card = json.loads(imza(folder, "card", "show", "--json", "--reader", reader))
        assert [one["person_code"] for one in card["certificates"]] == ["7HK93MZ"] * 2
        assert [one["organisation"] for one in card["certificates"]] == ["TEST Nazirlik"] * 2
        # What gave a card gives no second one.
        reader_station.make_blank_card(folder / "second.json")
        readers.remove(reader)
        readers.insert(reader, folder / "second.json")
        again = imza(
            folder, *personalise, "second-letter.json", "--application", application, expect=4
        )
        assert json.loads(again)["code"] == "application-not-ready"
        _enrol_a_phone(office, officer, approver, pathlib.Path(officers_file))


def _enrol_a_phone(
    office: Office, officer: str, approver: str, officers_file: pathlib.Path
) -> None:
    folder = office.folder
    url = f"sqlite:///{folder}/mobile.sqlite"
    engine = database.connect(url)
    database.Base.metadata.create_all(engine)
    engine.dispose()
    stations.write_settings(
        folder / "mobile",
        stations.StationSettings(url, office.url, officers_file, "http://127.0.0.1:9/"),
    )
    enrol = ("mobile", "enrol", "--dir", str(folder), "--phone", "+994501112233", "--json")
    # The officer alone may not hand in and approve; what was handed in waits for another.
    refused = json.loads(
        imza(
            folder, *enrol, "--person", "7HK93MZ", "--surname", "TEST Həsənova",
            "--given-name", "Aygün", "--category", "official", "--title", "Müşavir",
            "--organisation", "TEST Nazirlik", "--organisation-code", "9900000001",
            "--document", "passport:AZ:C0123456:2099-01-31", expect=4,
        )
    )  # fmt: skip
    assert refused["code"] == "registration-refused"
    (waiting,) = office.call(officer, "application", "list", "--state", "awaiting_approval")[
        "applications"
    ]
    office.call(approver, "approve", waiting["id"])
    made = json.loads(imza(folder, *enrol, "--application", waiting["id"]))
    assert re.fullmatch(r"[0-9]+", made["iccid"])
    shown = json.loads(
        imza(folder, "mobile", "show", "--dir", str(folder), "--phone", "+994501112233", "--json")
    )
    assert "PNOAZ-7HK93MZ" in shown["signature_certificate"]["subject"]


def test_options_say_once_and_in_full_whom_a_card_or_a_sim_is_for(tmp_path: pathlib.Path) -> None:
    (tmp_path / "o.toml").write_text("")
    card = ("card", "personalise", "--operator", "o.toml")
    sim = ("mobile", "enrol", "--dir", "w", "--phone", "+994501112233")
    for command, code in ((card, "--person-code"), (sim, "--person")):
        for more in (("--application", "a1", code, "5AB12CD"), (code, "5AB12CD")):
            done = subprocess.run(
                [sys.executable, "-m", "imza", *command, *more],
                capture_output=True, text=True, timeout=LIMIT_S, cwd=tmp_path,
            )  # fmt: skip
            assert done.returncode == 2, done.stderr
            told = code if "--application" in more else "--surname, --given-name, --document"
            assert told in done.stderr
