"""CRL numbers strictly increase across crash and failover; nextUpdate never lapses."""

import datetime
import multiprocessing
import pathlib
import signal
import subprocess
import sys

import hypothesis
import pytest
import sqlalchemy
from hypothesis import strategies as st

from ca.crls import addresses, publication, published, tables
from pki import audit, database
from tests.support import ca_world, crls

START = datetime.datetime(2026, 1, 31, 12, tzinfo=datetime.UTC)
SCOPE = addresses.Scope("citizen")
ROUNDS = 8

KILLED = """
import datetime, sys
from ca.crls import publication
from pki import database, failpoints
from tests.support import ca_world, crls
AT = datetime.datetime(2026, 1, 31, 12, tzinfo=datetime.UTC)
failpoints.arm(sys.argv[2])
publication.publish(
    database.session_factory(database.connect(sys.argv[1])), crls.make_authority("citizen", AT),
    ca_world.SETTINGS, AT, actor="killed")
"""


def _rows(office) -> list[tables.CRLRow]:
    with office.sessions() as session:
        query = sqlalchemy.select(tables.CRLRow).order_by(tables.CRLRow.id)
        return list(session.scalars(query))


@pytest.mark.clause("RFC 5280", "5.2.3")
@pytest.mark.parametrize("failpoint", ["crl-intended", "crl-signed"])
def test_invariant_8_a_number_of_a_process_that_was_killed_is_never_given_again(
    office, engine: sqlalchemy.Engine, failpoint: str
) -> None:
    (first, _) = office.publish_full()
    url = engine.url.render_as_string(hide_password=False)
    done = subprocess.run(
        [sys.executable, "-c", KILLED, url, failpoint],
        cwd=pathlib.Path(__file__).parents[3],
        capture_output=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == -signal.SIGKILL, done.stderr
    rows = _rows(office)
    lost = rows[-1]
    # What may have been signed is known by its exact bytes, and the last good list is served on.
    assert (lost.tail_der, lost.number) == (None, rows[-2].number + 1)
    with office.sessions() as session:
        assert published.newest(session, SCOPE) == first
    following, _ = office.publish_full()
    assert following.number == lost.number + 1
    with office.sessions() as session:
        audit.verify(session)


def _publish_many(url: str, count: int) -> None:
    sessions = database.session_factory(database.connect(url))
    issuing = crls.make_authority("citizen", START)
    for turn in range(count):
        publication.publish(
            sessions,
            issuing,
            ca_world.SETTINGS,
            START + datetime.timedelta(seconds=turn),
            actor="one of two",
        )


def test_invariant_8_two_processes_that_publish_at_once_never_share_a_number(
    office, engine: sqlalchemy.Engine
) -> None:
    url = engine.url.render_as_string(hide_password=False)
    context = multiprocessing.get_context("spawn")
    both = [context.Process(target=_publish_many, args=(url, ROUNDS)) for _ in range(2)]
    for one in both:
        one.start()
    for one in both:
        one.join(120)
    assert [one.exitcode for one in both] == [0, 0]
    rows = _rows(office)
    assert sorted(one.number for one in rows) == list(range(1, 2 * ROUNDS + 1))
    assert all(one.tail_der is not None for one in rows)
    ordered = sorted(rows, key=lambda one: one.number)
    times = [one.this_update for one in ordered]
    assert times == sorted(times)
    with office.sessions() as session:
        audit.verify(session)


@pytest.mark.slow
@hypothesis.settings(
    max_examples=8,
    deadline=None,
    suppress_health_check=[hypothesis.HealthCheck.function_scoped_fixture],
)
@hypothesis.given(
    moves=st.lists(st.integers(1, 180), min_size=5, max_size=15),
    validity_hours=st.integers(4, 48),
    large=st.booleans(),
)
def test_invariant_8_next_update_never_lapses_while_the_worker_runs(
    issuing, tmp_path_factory, moves: list[int], validity_hours: int, large: bool
) -> None:
    """Whatever the settings, and even where the worker is as late as half of a list's time."""
    import dataclasses

    from tests.ca.crls.conftest import Office

    folder = tmp_path_factory.mktemp("lists")
    engine = database.connect(f"sqlite:///{folder}/ca.sqlite")
    database.Base.metadata.create_all(engine)
    validity = datetime.timedelta(hours=validity_hours)
    office = Office(
        database.session_factory(engine),
        issuing,
        dataclasses.replace(
            ca_world.SETTINGS, crl_validity=validity, crl_delta_from=0 if large else 10_000
        ),
        START,
    )
    office.publish_due()
    for minutes in moves:
        office.at += min(datetime.timedelta(minutes=minutes), validity / 2.1)
        with office.sessions() as session:
            found = [published.find_newest(session, SCOPE, delta=one) for one in (False, True)]
        assert all(one.next_update > office.at for one in found if one is not None)
        office.publish_due()
    engine.dispose()
