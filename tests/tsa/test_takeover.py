"""One time-stamping unit takes over from another at a set time, and exactly one signs."""

import datetime
import pathlib

import pytest

from pki import clock, errors, oids
from tests.support import ca_world
from tsa import authority, settings

HOUR = datetime.timedelta(hours=1)


@pytest.fixture
def units(tmp_path: pathlib.Path) -> tuple[authority.TimeStampingUnit, authority.TimeStampingUnit]:
    from ca.continuity import rollover
    from pki import database, profiles, registry

    engine = database.connect(f"sqlite:///{tmp_path}/ca.sqlite")
    database.Base.metadata.create_all(engine)
    at = clock.whole_seconds(clock.SystemClock().now())
    world = ca_world.make_world(database.session_factory(engine), at)
    rollover.make_next_unit(world.sessions, world.keys, world.settings, at, actor="test")
    above = world.hierarchy.named("infrastructure").certificate
    made = []
    for label in ("tsu-1", "tsu-2"):
        with world.sessions() as session:
            record = registry.current_certificate(
                session, profiles.TIME_STAMPING_UNIT.name, at, key_label=label
            )
        assert record is not None
        made.append(
            authority.TimeStampingUnit(record.certificate, world.keys.open_key(label), (above,))
        )
    engine.dispose()
    return made[0], made[1]


def test_the_successor_signs_from_its_time_on_and_alone(
    units: tuple[authority.TimeStampingUnit, authority.TimeStampingUnit],
) -> None:
    first, second = units
    at = clock.whole_seconds(clock.SystemClock().now()) + HOUR
    issuing = authority.TimeStampAuthority(first, (oids.BTSP,), successors=[(at, second)])
    assert issuing.unit_at(at - datetime.timedelta(seconds=1)) is first
    assert issuing.unit_at(at) is second
    # A clock that goes back within its accuracy does not wake the old unit.
    assert issuing.unit_at(at - datetime.timedelta(seconds=1)) is second
    # After its key's period the old key signs nothing, whoever asks.
    with pytest.raises(authority.UnitNotValidError):
        first.check_valid_at(at + datetime.timedelta(days=2 * 365))


def test_successors_stand_in_the_order_of_their_times(
    units: tuple[authority.TimeStampingUnit, authority.TimeStampingUnit],
) -> None:
    first, second = units
    at = clock.SystemClock().now()
    with pytest.raises(errors.InputError):
        authority.TimeStampAuthority(
            first, (oids.BTSP,), successors=[(at, second), (at - HOUR, first)]
        )


@pytest.mark.parametrize("text", ["", "tomorrow", "2027-03-01", "2027-03-01T00:00:00"])
def test_a_time_without_a_zone_is_refused(text: str) -> None:
    with pytest.raises(settings.SuccessorSettingsError):
        settings.Successor(pathlib.Path("x"), "tsu-2", text)
    assert settings.Successor(pathlib.Path("x"), "t", "2027-03-01T00:00:00Z").begins().year == 2027
