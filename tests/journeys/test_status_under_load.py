"""The status service while it is asked without a pause: processes killed and replaced, statuses
changed, the database stopped. Every answer is checked; none may be wrong.
"""

import os
import pathlib
import signal
import sys
import tempfile
import time
from collections.abc import Callable, Iterator

import pytest

from tests.support import nginx, postgresql, status_load, status_zones

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("status")]

LIMIT_S = 60.0

Tell = Callable[[str], None]


@pytest.fixture
def tell(capsys: pytest.CaptureFixture[str]) -> Tell:
    """Show what the clients saw."""

    def show(text: str) -> None:
        with capsys.disabled():
            sys.stdout.write(text)

    return show


@pytest.fixture(scope="module")
def service() -> Iterator[status_zones.StatusZones]:
    with (
        tempfile.TemporaryDirectory(prefix="imza-") as folder,
        status_zones.running(pathlib.Path(folder), workers=4) as running,
    ):
        yield running


@pytest.fixture(scope="module")
def known(service: status_zones.StatusZones) -> list[status_load.Known]:
    """Good ones, one that is revoked, one on hold, and a number that was never given."""
    made = service.certify(6)
    service.revoke(made[0])
    service.revoke(made[1], "hold")
    for one in made[:2]:
        service.await_status(one, "revoked")
    return [*made, service.unknown()]


def test_killed_processes_cost_at_most_what_they_were_answering(
    service: status_zones.StatusZones, known: list[status_load.Known], tell: Tell
) -> None:
    kills, clients = 6, 8
    load = status_load.Load([service.address], known, clients=clients)
    with load.running() as tally:
        for number in range(kills):
            load.await_right(50)
            # Each in turn: one that answers, or the one that does the duties.
            workers = service.workers()
            os.kill(workers[number % len(workers)], signal.SIGKILL)
        load.await_right(200)
    tell(tally.table(f"{kills} processes killed with -9, {clients} clients"))
    assert tally.wrong == []
    assert tally.errors == {}
    assert tally.refused == 0
    assert tally.lost + tally.asked_again <= kills * clients
    status_load.await_that(lambda: len(service.workers()) == 5, LIMIT_S)


def test_behind_nginx_a_killed_process_costs_nothing(
    service: status_zones.StatusZones,
    known: list[status_load.Known],
    tell: Tell,
    tmp_path: pathlib.Path,
) -> None:
    place = {"ocsp": [service.address.removeprefix("http://")]}
    with nginx.running(tmp_path / "nginx", place) as proxy:
        load = status_load.Load([proxy.address], known)
        with load.running() as tally:
            for number in range(6):
                load.await_right(50)
                workers = service.workers()
                os.kill(workers[number % len(workers)], signal.SIGKILL)
            load.await_right(200)
    tell(tally.table("6 processes killed with -9 behind nginx"))
    assert tally.wrong == []
    assert tally.errors == {}
    assert (tally.refused, tally.lost) == (0, 0)


def test_behind_nginx_a_machine_that_is_gone_costs_nothing(
    service: status_zones.StatusZones,
    known: list[status_load.Known],
    tell: Tell,
    tmp_path: pathlib.Path,
) -> None:
    with service.another_machine() as (address, process):
        places = {"ocsp": [one.removeprefix("http://") for one in (service.address, address)]}
        with nginx.running(tmp_path / "nginx", places) as proxy:
            load = status_load.Load([proxy.address], known)
            with load.running() as tally:
                load.await_right(200)
                # Its other processes go with the first.
                process.kill()
                load.await_right(500)
    tell(tally.table("one of two machines gone, behind nginx"))
    assert tally.wrong == []
    assert tally.errors == {}
    assert (tally.refused, tally.lost) == (0, 0)


def test_a_reload_loses_no_request(
    service: status_zones.StatusZones, known: list[status_load.Known], tell: Tell
) -> None:
    # One request over each connection: a server may close one that it kept, but none that is new.
    load = status_load.Load([service.address], known, kept_requests=1)
    with load.running() as tally:
        for _ in range(2):
            load.await_right(100)
            service.reload()
        load.await_right(100)
    tell(tally.table("reloaded twice (SIGHUP)"))
    assert tally.wrong == []
    assert tally.errors == {}
    assert (tally.refused, tally.lost, tally.asked_again) == (0, 0, 0)


def test_every_worker_tells_of_a_revocation_within_two_seconds(
    service: status_zones.StatusZones, tell: Tell
) -> None:
    victims = service.certify(3)
    rows = []
    for victim in victims:
        connections = service.connections_to_each_worker()
        assert len(connections) == 4
        for one in connections.values():
            assert status_zones.ask(one, victim) == "good"
        done = service.revoke(victim)
        seen: dict[int, float] = {}
        while len(seen) < len(connections):
            for worker, one in connections.items():
                if worker not in seen and status_zones.ask(one, victim) == "revoked":
                    seen[worker] = time.monotonic() - done
            assert time.monotonic() - done < LIMIT_S
        for one in connections.values():
            one.close()
        rows.append([seen[worker] for worker in sorted(seen)])
    lines = ["\nSeconds from `imza ca revoke` to `revoked`, by worker"]
    lines += ["  " + "".join(f"{one:8.3f}" for one in row) for row in rows]
    tell("\n".join(lines) + "\n")
    assert max(max(row) for row in rows) < 2.0


def test_statuses_that_change_under_load_are_told_right_by_all(
    service: status_zones.StatusZones, known: list[status_load.Known], tell: Tell
) -> None:
    changing = service.certify(3)
    load = status_load.Load([service.address], [*known, *changing])
    with load.running() as tally:
        load.await_right(100)
        service.revoke(changing[0])
        service.revoke(changing[1], "hold")
        load.await_right(100)
        service.revoke(changing[1], "release")
        service.revoke(changing[2])
        time.sleep(status_load.VISIBLE_WITHIN.total_seconds())
        load.await_right(200)
    tell(tally.table("revoked, held, released and revoked while asked"))
    assert tally.wrong == []
    assert tally.errors == {}
    assert (tally.refused, tally.lost) == (0, 0)


@pytest.mark.clause("RFC 6960", "4.2.2.2")
def test_invariant_15_while_the_responders_key_rotates_every_answer_verifies(
    service: status_zones.StatusZones, known: list[status_load.Known], tell: Tell
) -> None:
    load = status_load.Load([service.address], known)
    with load.running() as tally:
        for rotation in range(1, 3):
            load.await_right(100)
            service.renew_responders()
            # Noticed without a reload; answers of the key before verify too.
            status_load.await_that(lambda: len(load.checker.signers) > rotation, LIMIT_S)  # noqa: B023
        load.await_right(200)
    tell(tally.table(f"responder's key renewed twice, {len(load.checker.signers)} signers seen"))
    assert tally.wrong == []
    assert tally.errors == {}
    assert (tally.refused, tally.lost) == (0, 0)
    assert len(load.checker.signers) == 3


@pytest.fixture(scope="module")
def server() -> Iterator[postgresql.Server]:
    with tempfile.TemporaryDirectory(prefix="imza-pg-") as folder:
        try:
            with postgresql.running(pathlib.Path(folder)) as started:
                yield started
        except postgresql.PostgresqlMissingError as error:
            if os.environ.get("CI"):
                pytest.fail(str(error))
            pytest.skip(str(error))


@pytest.mark.peer
def test_a_database_that_stops_and_comes_back_leads_to_no_wrong_answer(
    server: postgresql.Server, tell: Tell
) -> None:
    with (
        tempfile.TemporaryDirectory(prefix="imza-") as folder,
        status_zones.running(pathlib.Path(folder), database_url=server.url) as service,
    ):
        good, victim = service.certify(2)
        load = status_load.Load([service.address], [good, victim, service.unknown()])
        with load.running() as tally:
            load.await_right(100)
            server.stop()
            time.sleep(4)
            server.start()
            load.await_right(100)
            service.revoke(victim)
            time.sleep(status_load.VISIBLE_WITHIN.total_seconds())
            load.await_right(200)
        tell(tally.table("PostgreSQL away for four seconds"))
        assert tally.wrong == []
        assert set(tally.errors) <= {"TRY_LATER"}
        assert (tally.refused, tally.lost) == (0, 0)
        # What does not depend on the database went on, or was refused in the protocol's way.
        assert tally.longest_gap_s < LIMIT_S
