import dataclasses
import datetime

import pytest

from pki import clock
from tests.support import hierarchy as hierarchy_support
from tsa import clock_accuracy, kernel_clock, ntp

SERVERS = ("one", "two", "three")
SECOND = datetime.timedelta(seconds=1)


class Machine:
    """A clock, a steady clock, a kernel and time servers, all moved by hand."""

    def __init__(self, at: datetime.datetime) -> None:
        self.wall = clock.FixedClock(at)
        self.steady = 1000.0
        self.synchronised = True
        self.offsets: dict[str, float] = dict.fromkeys(SERVERS, 0.0)
        self.bound = 0.01
        self.told: list[clock_accuracy.ClockState] = []

    def pass_time(self, seconds: float) -> None:
        self.steady += seconds
        self.wall.move(datetime.timedelta(seconds=seconds))

    def step(self, seconds: float) -> None:
        """Somebody sets the clock; the servers stay where they are."""
        self.wall.move(datetime.timedelta(seconds=seconds))
        self.offsets = {name: offset - seconds for name, offset in self.offsets.items()}

    def compare(self, server: str, _: object) -> ntp.Comparison:
        if server not in self.offsets:
            raise ntp.NtpError(f"{server}: no answer")
        return ntp.Comparison(server, self.offsets[server], self.bound)

    def watch(self, **settings: object) -> clock_accuracy.AccurateClock:
        made = dataclasses.replace(clock_accuracy.Settings(), **settings)  # type: ignore[arg-type]
        witnesses = clock_accuracy.Witnesses(
            self.wall,
            lambda: self.steady,
            lambda: kernel_clock.KernelClock(self.synchronised, 0.01),
            self.compare,
        )
        watched = clock_accuracy.AccurateClock(
            made, witnesses, lambda one, _: self.told.append(one)
        )
        watched.ask_servers()
        watched.check()
        return watched


@pytest.fixture
def machine(at: datetime.datetime) -> Machine:
    return Machine(at)


def run(machine: Machine, watched: clock_accuracy.AccurateClock, seconds: int) -> None:
    for _ in range(seconds):
        machine.pass_time(1)
        watched.ask_servers()
        watched.check()


def test_a_clock_vouches_for_nothing_before_it_was_checked(machine: Machine) -> None:
    watched = clock_accuracy.AccurateClock(clock_accuracy.Settings())
    with pytest.raises(clock_accuracy.TimeNotAvailableError, match="not checked"):
        watched.now()


def test_a_synchronised_clock_tells_the_time(machine: Machine) -> None:
    watched = machine.watch()
    run(machine, watched, 5)
    assert watched.now() == machine.wall.now()
    assert [one.trusted for one in machine.told] == [True]


@pytest.mark.parametrize("seconds", [2.0, -2.0, 0.2, -3600.0])
def test_invariant_14_a_step_stops_the_clock_at_once_and_its_end_heals_it(
    machine: Machine, seconds: float
) -> None:
    watched = machine.watch()
    run(machine, watched, 3)
    machine.step(seconds)
    # Even before the next check.
    with pytest.raises(clock_accuracy.TimeNotAvailableError, match="jumped by"):
        watched.now()
    run(machine, watched, 3)
    with pytest.raises(clock_accuracy.TimeNotAvailableError, match="jumped by"):
        watched.now()
    machine.step(-seconds)
    run(machine, watched, 1)
    assert watched.now() == machine.wall.now()
    assert [one.trusted for one in machine.told] == [True, False, True]


def test_a_slow_correction_is_no_step(machine: Machine) -> None:
    watched = machine.watch()
    for _ in range(60):
        machine.wall.move(datetime.timedelta(milliseconds=50))
        run(machine, watched, 1)
        assert watched.now() == machine.wall.now()


def test_a_kernel_without_a_daemon_is_no_witness(machine: Machine) -> None:
    machine.synchronised = False
    watched = machine.watch()
    with pytest.raises(clock_accuracy.TimeNotAvailableError, match="no daemon"):
        watched.now()
    machine.synchronised = True
    run(machine, watched, 1)
    assert watched.now() == machine.wall.now()


def test_a_stepped_clock_is_taken_again_when_the_kernel_has_kept_it_for_a_while(
    machine: Machine,
) -> None:
    watched = machine.watch(settling=10 * SECOND)
    machine.step(2)
    run(machine, watched, 5)
    machine.synchronised = False
    run(machine, watched, 1)
    machine.synchronised = True
    # The while begins anew after the kernel's doubt.
    run(machine, watched, 9)
    assert not watched.state.trusted
    run(machine, watched, 2)
    assert watched.now() == machine.wall.now()


def test_a_clock_that_keeps_jumping_never_settles(machine: Machine) -> None:
    watched = machine.watch(settling=5 * SECOND)
    for _ in range(10):
        machine.step(1)
        run(machine, watched, 4)
        assert not watched.state.trusted


def test_servers_confirm_a_clock_that_was_wrong_and_was_set_right(machine: Machine) -> None:
    machine.offsets = dict.fromkeys(SERVERS, 2.0)
    watched = machine.watch(servers=SERVERS)
    with pytest.raises(clock_accuracy.TimeNotAvailableError, match="3 of 3 time servers"):
        watched.now()
    machine.step(2)
    run(machine, watched, 2)
    assert watched.now() == machine.wall.now()


def test_drift_that_no_step_shows_is_seen_by_the_servers(machine: Machine) -> None:
    watched = machine.watch(servers=SERVERS, server_period=10 * SECOND)
    for _ in range(30):
        machine.wall.move(datetime.timedelta(milliseconds=20))
        machine.offsets = {name: offset - 0.02 for name, offset in machine.offsets.items()}
        run(machine, watched, 1)
    with pytest.raises(clock_accuracy.TimeNotAvailableError, match="say that the clock is off"):
        watched.now()


def test_one_false_server_of_three_changes_nothing_and_two_do(machine: Machine) -> None:
    machine.offsets["two"] = 5.0
    watched = machine.watch(servers=SERVERS)
    assert watched.now() == machine.wall.now()
    machine.offsets["three"] = 5.0
    run(machine, watched, 65)
    with pytest.raises(clock_accuracy.TimeNotAvailableError, match="2 of 3 time servers"):
        watched.now()


def test_servers_that_cannot_be_reached_are_held_over_for_a_while(machine: Machine) -> None:
    watched = machine.watch(servers=SERVERS, holdover=200 * SECOND)
    machine.offsets = {}
    run(machine, watched, 150)
    assert watched.now() == machine.wall.now()
    run(machine, watched, 120)
    with pytest.raises(clock_accuracy.TimeNotAvailableError, match="could be reached for too long"):
        watched.now()


def test_servers_that_were_never_reached_confirm_nothing(machine: Machine) -> None:
    machine.offsets = {}
    watched = machine.watch(servers=SERVERS)
    with pytest.raises(clock_accuracy.TimeNotAvailableError, match="fewer than 2 time servers"):
        watched.now()


def test_an_answer_with_a_large_error_is_no_confirmation(machine: Machine) -> None:
    machine.bound = 0.5
    watched = machine.watch(servers=SERVERS)
    with pytest.raises(clock_accuracy.TimeNotAvailableError, match="fewer than 2 time servers"):
        watched.now()


def test_what_servers_said_before_a_jump_does_not_count_after_it(machine: Machine) -> None:
    watched = machine.watch(servers=SERVERS)
    machine.offsets = {}
    machine.step(5)
    run(machine, watched, 120)
    with pytest.raises(clock_accuracy.TimeNotAvailableError, match="jumped by"):
        watched.now()


def test_a_watch_that_died_stops_the_clock(machine: Machine) -> None:
    watched = machine.watch()
    machine.pass_time(10)
    with pytest.raises(clock_accuracy.TimeNotAvailableError, match="checks of the clock stay away"):
        watched.now()


def test_a_clock_that_is_trusted_unseen_still_stops_at_a_step(machine: Machine) -> None:
    machine.synchronised = False
    watched = machine.watch(trust_system_clock=True, settling=10 * SECOND)
    assert watched.now() == machine.wall.now()
    assert watched.error_bound == datetime.timedelta(0)
    machine.step(2)
    run(machine, watched, 8)
    with pytest.raises(clock_accuracy.TimeNotAvailableError, match="jumped by"):
        watched.now()
    run(machine, watched, 5)
    assert watched.now() == machine.wall.now()


def test_a_real_unit_refuses_to_trust_its_machine_unseen(
    hierarchy: hierarchy_support.Hierarchy,
) -> None:
    trusting = clock_accuracy.Settings(trust_system_clock=True)
    unit = hierarchy.time_stamping_unit().certificate
    if "TEST" in unit.subject.rfc4514_string():
        clock_accuracy.check_settings(trusting, unit)
    else:
        with pytest.raises(clock_accuracy.UnwatchedClockError, match="says TEST"):
            clock_accuracy.check_settings(trusting, unit)
    clock_accuracy.check_settings(clock_accuracy.Settings(), unit)


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"kernel": False}, "expected kernel = true"),
        ({"tolerance": datetime.timedelta(0)}, "tolerance"),
        ({"tolerance": SECOND}, "tolerance"),
        ({"period": datetime.timedelta(0)}, "period"),
    ],
)
def test_settings_that_would_watch_nothing_are_refused(
    settings: dict[str, object], words: str
) -> None:
    with pytest.raises(Exception, match=words):
        clock_accuracy.Settings(**settings)  # type: ignore[arg-type]


def test_this_machines_kernel_is_asked_in_its_own_words() -> None:
    assert kernel_clock.read().max_error_s >= 0
