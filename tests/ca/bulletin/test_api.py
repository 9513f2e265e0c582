import contextlib
import csv
import datetime
import json
import pathlib
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from click import testing

from ca import revocation
from ca.bulletin import api, commands, settings, sources
from ca.bulletin import client as bulletin
from ca.operators import gate
from pki import (
    access,
    access_settings,
    certificates,
    clock,
    months,
    outbound,
    registration,
    registration_answers,
    registration_calls,
    status,
    usage,
    usage_api,
    web,
)
from tests.ca.bulletin.test_statement import OWN
from tests.support import ca_world, operators, servers

BUSINESS = registration.Category.BUSINESS
OFFICIAL = registration.Category.OFFICIAL


class Office:
    """A CA and two zones with counters, each behind HTTP on loopback."""

    def __init__(self, world: ca_world.World, folder: pathlib.Path) -> None:
        self.world = world
        self.secret = access.new_secret()
        known = access_settings.Settings(
            clients=(
                access_settings.ApiClient(
                    "station", access.hash_secret(self.secret), ("register",)
                ),
                access_settings.ApiClient("ca", access.hash_secret(self.secret), ("statistics",)),
            )
        )
        self.tokens = access.AccessTokens(known, world.sessions)
        self.present = clock.FixedClock(world.at)
        self.guard = gate.SignedRequestGate(world.sessions, clock.SystemClock())
        self.folder = folder
        self.file = folder
        self.source_file = folder / "source.json"
        self.source_file.write_text(json.dumps({"client_id": "ca", "client_secret": self.secret}))
        self.base_url = ""

    @contextlib.contextmanager
    def open(self, own: settings.Settings = OWN) -> Iterator[None]:
        zones = web.application(
            "zones",
            [
                web.token_routes(self.tokens, self.present),
                *(
                    usage_api.routes(zone, self.world.sessions, self.tokens, self.present)
                    for zone in ("signing", "mobile")
                ),
            ],
        )
        with servers.serve(zones) as url, contextlib.closing(outbound.Client()) as client:
            asks = [
                sources.asking(settings.Source(zone, url, self.source_file), client)
                for zone in ("signing", "mobile")
            ]
            silent = f"http://127.0.0.1:{servers.free_port()}"
            self.silent = [
                sources.asking(settings.Source("mobile", silent, self.source_file), client)
            ]
            guard = self.guard
            routers = [
                api.routes(self.world.sessions, own, asks, guard, self.present),
            ]
            with servers.serve(web.application("ca", routers)) as self.base_url:
                self.file = operators.office(self.world, self.folder, self.base_url)
                yield

    def count(self, zone: str, channel: usage.Channel, certificate_der: bytes, times: int) -> None:
        with self.world.sessions() as session:
            for _ in range(times):
                usage.count(
                    session, zone, channel, usage.Operation.SIGNATURE,
                    certificates.parse(certificate_der), "portal", self.world.at,
                )  # fmt: skip
            session.commit()

    def imza(self, *arguments: str) -> "testing.Result":
        words = [*arguments, "--credentials", str(self.file)]
        return testing.CliRunner().invoke(commands.group, words, catch_exceptions=False)


@pytest.fixture
def office(world: ca_world.World, tmp_path: pathlib.Path) -> Office:
    return Office(world, tmp_path)


def _sum(told: dict[str, Any], **wanted: str) -> tuple[int, int]:
    found = [
        one
        for one in told["certificates"]
        if all(one[name] == value for name, value in wanted.items())
    ]
    return sum(one["issued"] for one in found), sum(one["valid"] for one in found)


def test_statistics_count_what_was_issued_and_used_by_category(office: Office) -> None:
    world = office.world
    citizen = world.application()
    signing = world.certify(citizen)
    world.certify(citizen, "authenticate")
    business = world.certify(world.application(category=BUSINESS))
    official = world.certify(world.application(category=OFFICIAL))
    office.count("signing", usage.Channel.CARD, signing.certificate_der, 3)
    office.count("signing", usage.Channel.PHONE, business.certificate_der, 2)
    office.count("mobile", usage.Channel.PHONE, business.certificate_der, 2)
    office.count("mobile", usage.Channel.PHONE, official.certificate_der, 1)
    month = str(months.Month.of(world.at))
    with office.open():
        done = office.imza("--from", month, "--to", month, "--json")
        assert done.exit_code == 0, done.output
        told = json.loads(done.output)
        table = office.imza("--from", month, "--to", month).output
    assert _sum(told) == (4, 4)
    assert _sum(told, category="citizen") == (2, 2)
    assert _sum(told, category="citizen", purpose="authentication") == (1, 1)
    assert _sum(told, category="official", purpose="signature") == (1, 1)
    assert {(one["category"], one["channel"]): one["count"] for one in told["uses"]} == {
        ("citizen", "card"): 3, ("business", "phone"): 2, ("official", "phone"): 1,
    }  # fmt: skip
    (total,) = told["totals"]
    assert total["signatures_by_phone"] == {"count": 3, "on_month": None, "on_year": None}
    assert [one["gross"] for one in told["fees"]] == ["1.18", "1.18", "1.18"]
    assert [one["answered"] for one in told["sources"]] == [True, True]
    assert "2 / 2" in table
    assert "4 / 4" in table
    for person in (ca_world.CITIZEN, ca_world.ESTONIAN):
        assert person.person_code not in json.dumps(told) + table


def test_a_revoked_and_an_expired_certificate_are_issued_and_not_valid(office: Office) -> None:
    world = office.world
    made = world.certify(world.application())
    with world.sessions() as session:
        serial = int(made.record.serial_number)
        revocation.revoke(
            session, serial, status.RevocationReason.keyCompromise, world.at, actor="test"
        )
        session.commit()
    last = months.Month.of(world.at)
    with office.open():
        told = json.loads(office.imza("--to", str(last), "--json").output)
    assert len(told["totals"]) == 12
    assert _sum(told, month=str(last)) == (1, 0)
    assert _sum(told, month=str(last.later(-1))) == (0, 0)


def test_months_to_come_have_nothing_valid(office: Office) -> None:
    world = office.world
    world.certify(world.application())
    after = str(months.Month.of(world.at).later(1))
    with office.open():
        told = json.loads(office.imza("--from", after, "--to", after, "--json").output)
    assert _sum(told) == (0, 0)


def test_a_usage_statement_is_written_as_csv(office: Office, tmp_path: pathlib.Path) -> None:
    made = office.world.certify(office.world.application())
    office.count("mobile", usage.Channel.PHONE, made.certificate_der, 10)
    month = str(months.Month.of(office.world.at))
    path = tmp_path / "usage.csv"
    with office.open():
        done = office.imza(
            "usage", "--month", month, "--relying-party", "portal", "--csv", str(path)
        )
        assert done.exit_code == 0, done.output
        shown = office.imza("usage", "--month", month, "--relying-party", "portal").output
    *lines, total = csv.DictReader(path.read_text().splitlines())
    assert [one["count"] for one in lines] == ["10"]
    assert (total["net"], total["vat"], total["gross"]) == ("0.33", "0.06", "0.39")
    assert "0.39 AZN" in done.output
    assert shown.splitlines()[0].startswith("month,relying_party,zone")


def test_a_zone_that_does_not_answer_is_named_and_its_figures_are_not_zero(office: Office) -> None:
    with office.open():
        guard = office.guard
        router = api.routes(office.world.sessions, OWN, office.silent, guard, office.present)
        app = web.application("ca", [router])
        with servers.serve(app) as url:
            told = json.loads(office.imza("--server", url, "--json").output)
            table = office.imza("--server", url).output
            month = str(months.Month.of(office.world.at))
            with pytest.raises(registration_answers.RegistrationRefusedError) as refused:
                office.imza("usage", "--month", month, "--relying-party", "portal", "--server", url)
    assert told["sources"] == [{"zone": "mobile", "answered": False, "code": "peer-unavailable"}]
    assert told["totals"][0]["signatures_by_phone"]["count"] is None
    assert told["totals"][0]["signatures_by_card"]["count"] is None
    assert "The zone mobile did not answer" in table
    assert refused.value.problem_code == "statistics-incomplete"


@pytest.mark.parametrize(
    "query",
    ["from=2026-13", "from=2026-02&to=2026-01", "from=2001-01&to=2026-01", "from=%00",
     "to=9999-99"],
)  # fmt: skip
def test_a_wrong_range_is_refused(office: Office, query: str) -> None:
    with office.open():
        with (
            registration_calls.open_client(None, office.file, operator="auditor") as client,
            pytest.raises(registration_answers.RegistrationRefusedError) as refused,
        ):
            client.call("GET", f"statistics?{query}", None, role=bulletin.ROLE)
        assert refused.value.problem_code == "month-refused"
        assert httpx.get(f"{office.base_url}/ra/v1/statistics").status_code == 401


def test_counters_are_told_to_who_has_the_scope_alone(office: Office) -> None:
    app = web.application(
        "zone", [usage_api.routes("mobile", office.world.sessions, office.tokens, office.present)]
    )
    with servers.serve(app) as url:
        address = f"{url}/usage/v1/mobile?from=2026-01&to=2026-02"
        for client, expected in (("ca", 200), ("station", 403)):
            token = office.tokens.issue(client, office.secret, None, office.world.at).value
            answer = httpx.get(address, headers={"Authorization": f"Bearer {token}"})
            assert answer.status_code == expected
        assert httpx.get(address).status_code == 401


def test_a_february_ends_where_march_begins(office: Office) -> None:
    assert months.Month(2028, 2).end - months.Month(2028, 2).start == datetime.timedelta(days=29)
