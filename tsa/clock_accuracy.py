"""A clock that tells the time only while it can be vouched for (EN 319 421 7.7.1).

Three witnesses: the steady clock of the machine, against which a step shows at once; the kernel,
which says whether a daemon keeps the time; and time servers, asked over NTP, whose word alone
can justify a new time after a step.
"""

import concurrent.futures
import dataclasses
import datetime
import logging
import threading
import time
from collections.abc import Callable, Sequence

from cryptography import x509

from pki import certificates, clock, errors
from tsa import kernel_clock, ntp

log = logging.getLogger(__name__)

TEST_MARK = "TEST"
"""In the names of every certificate of a test installation."""

READING_LIMIT_S = 0.01
"""Wall clock and steady clock are read within this time of each other, or read again."""

READING_TRIES = 5

_NEVER = float("-inf")


class TimeNotAvailableError(errors.DeviceError):
    """The time cannot be vouched for now; answered `timeNotAvailable`."""

    code = "time-not-available"
    retriable = True


class UnwatchedClockError(errors.InputError):
    """A unit that is no test must not believe its machine's clock unseen."""

    code = "clock-unwatched"


@dataclasses.dataclass(frozen=True)
class Settings:
    """How the clock is watched.

    Attributes:
        trust_system_clock: Believe the machine's clock without a witness but the steady clock.
            For sandboxes; refused where the unit's certificate does not say TEST.
        servers: NTP servers, `HOST` or `HOST:PORT`; more than half must agree with our clock.
        kernel: Require the kernel's word that a daemon keeps the time.
        tolerance: How far the clock may be off. It is a part of the declared accuracy: a token is
            not made in the last `tolerance` of a second, so that the second that it names and
            the clock's error together stay within the declared one second.
        period: How often the witnesses are looked at.
        server_period: How often the servers are asked while all is well.
        holdover: How long their last agreement counts when they cannot be reached.
        settling: How long a clock that jumped must run evenly where it is now, with the kernel's
            word, before it is taken again where no servers can confirm it.
    """

    trust_system_clock: bool = False
    servers: tuple[str, ...] = ()
    kernel: bool = True
    tolerance: datetime.timedelta = datetime.timedelta(milliseconds=100)
    period: datetime.timedelta = datetime.timedelta(seconds=1)
    server_period: datetime.timedelta = datetime.timedelta(seconds=64)
    holdover: datetime.timedelta = datetime.timedelta(minutes=15)
    settling: datetime.timedelta = datetime.timedelta(minutes=1)

    def __post_init__(self) -> None:
        """Refuse what would never vouch, or vouch for anything."""
        if not datetime.timedelta(0) < self.tolerance <= datetime.timedelta(seconds=0.5):
            raise errors.InputError("tolerance: expected more than 0 and at most 0.5 seconds")
        if self.period <= datetime.timedelta(0) or self.period > datetime.timedelta(seconds=10):
            raise errors.InputError("period: expected more than 0 and at most 10 seconds")
        if not self.trust_system_clock and not self.kernel and not self.servers:
            raise errors.InputError("expected kernel = true, or servers to compare the clock with")


def check_settings(settings: Settings, unit: x509.Certificate) -> None:
    """Refuse to trust the system clock for a unit whose certificate does not say TEST.

    Raises:
        UnwatchedClockError: This is a real unit.
    """
    if settings.trust_system_clock and TEST_MARK not in certificates.name_text(unit.subject):
        raise UnwatchedClockError(
            "trust_system_clock: expected a unit whose certificate says TEST, got a real one:"
            " remove the setting and let chrony or ntpd keep the machine's clock"
        )


@dataclasses.dataclass(frozen=True)
class Witnesses:
    """Where the facts come from; replaced in tests."""

    wall: clock.Clock = dataclasses.field(default_factory=clock.SystemClock)
    # Counts on while the machine sleeps; nothing sets it.
    steady: Callable[[], float] = lambda: time.clock_gettime(time.CLOCK_BOOTTIME)
    kernel: Callable[[], kernel_clock.KernelClock] = kernel_clock.read
    compare: Callable[[str, Callable[[], datetime.datetime]], ntp.Comparison] = ntp.compare


@dataclasses.dataclass(frozen=True)
class ClockState:
    """Whether the time is vouched for, and if not, why."""

    reason: str | None
    comparisons: tuple[ntp.Comparison, ...] = ()

    @property
    def trusted(self) -> bool:
        """Whether tokens may be made."""
        return self.reason is None


@dataclasses.dataclass(frozen=True)
class _Reading:
    wall: datetime.datetime
    steady: float


class AccurateClock:
    """A `Clock` whose time is vouched for, or that raises.

    Give it to a thread with `start`, or call `check` every `period`. When the checks stay away
    the clock stops vouching: a watch that died must not look like a watch that is content.
    """

    def __init__(
        self,
        settings: Settings,
        witnesses: Witnesses | None = None,
        tell: Callable[[ClockState, datetime.datetime], object] | None = None,
    ) -> None:
        """Take the witnesses; the clock vouches for nothing before the first check.

        Args:
            settings: What is required of the clock.
            witnesses: Those of this machine unless others are given.
            tell: Called with each change of state, for the audit log.
        """
        self.settings = settings
        self._witnesses = witnesses or Witnesses()
        self._tell = tell
        self._lock = threading.Lock()
        self._state = ClockState("the clock was not checked yet")
        self._reference: _Reading | None = None
        self._checked_at = _NEVER
        self._told: bool | None = None
        # Where the clock stands since it jumped; None while it stands where it is expected.
        self._candidate: _Reading | None = None
        self._jumps = 0
        self._agreed_at: float | None = None
        self._asked_at = _NEVER
        self._disagreement: str | None = None
        self._comparisons: tuple[ntp.Comparison, ...] = ()
        self._stopping = threading.Event()
        self._threads: list[threading.Thread] = []

    @property
    def state(self) -> ClockState:
        """What the last check found."""
        return self._state

    def now(self) -> datetime.datetime:
        """Return the time.

        Raises:
            TimeNotAvailableError: It cannot be vouched for: a witness disagrees, the clock has
                jumped since the last check, or the checks stay away.
        """
        reading = self._read()
        state = self._state
        if state.reason is not None:
            raise TimeNotAvailableError(state.reason)
        reference = self._reference
        if reference is None or reading.steady - self._checked_at > self._patience:
            raise TimeNotAvailableError("the checks of the clock stay away")
        if not self._is_near(reference, reading):
            step = _step(reference, reading)
            raise TimeNotAvailableError(f"the clock jumped by {step:+.3f} s")
        return reading.wall

    def check(self) -> ClockState:
        """Look at every witness once, and keep what they say until the next check."""
        with self._lock:
            reading = self._read()
            reason = self._judge(reading)
            if reason is None:
                # What a daemon slews between two checks is no step.
                self._reference, self._candidate = reading, None
            state = self._state = ClockState(reason, self._comparisons)
            self._checked_at = reading.steady
            # The figures in a reason change from check to check: only the sign is news.
            news = self._told is not state.trusted
            self._told = state.trusted
        if news:
            log.warning("clock_%s reason=%s", "trusted" if state.trusted else "untrusted", reason)
            if self._tell is not None:
                self._tell(state, reading.wall)
        return state

    def ask_servers(self) -> None:
        """Compare the clock with the servers, if it is time to; the next check knows the result.

        It may take as long as name resolution does, and is therefore no part of a check.
        """
        servers = self.settings.servers
        with self._lock:
            steady, jumps = self._witnesses.steady(), self._jumps
            well = self._agreed_at is not None
            pause = self.settings.server_period if well else self.settings.period
            if not servers or steady - self._asked_at < pause.total_seconds():
                return
            self._asked_at = steady
        comparisons = self._compare(servers)
        agreeing = sum(abs(one.offset_s) <= self._tolerance for one in comparisons)
        apart = [one for one in comparisons if abs(one.offset_s) > self._tolerance]
        with self._lock:
            if jumps != self._jumps:
                # The clock jumped meanwhile: what was said was said of another time.
                return
            self._comparisons = comparisons
            self._disagreement = None
            if agreeing > len(servers) // 2:
                self._agreed_at = steady
            elif apart:
                # They answered and say another time: holding over would be wishful.
                self._agreed_at = None
                worst = max(apart, key=lambda one: abs(one.offset_s))
                self._disagreement = (
                    f"{len(apart)} of {len(servers)} time servers say that the clock is off"
                    f" ({worst.server}: {worst.offset_s:+.3f} s)"
                )

    def start(self) -> None:
        """Check now, then every period in a thread of its own; the servers have another."""
        if not self.settings.trust_system_clock:
            self.ask_servers()
        self.check()
        duties: list[tuple[str, Callable[[], object]]] = [("clock", self.check)]
        if self.settings.servers and not self.settings.trust_system_clock:
            duties.append(("clock-servers", self.ask_servers))
        for name, duty in duties:
            thread = threading.Thread(target=self._repeat, args=(duty,), name=name, daemon=True)
            thread.start()
            self._threads.append(thread)

    def close(self) -> None:
        """End the threads; the clock stops vouching a few periods later."""
        self._stopping.set()
        for thread in self._threads:
            thread.join(5)

    @property
    def error_bound(self) -> datetime.timedelta:
        """How far the time that `now` returns may be off; zero where nobody vouches for that."""
        return (
            datetime.timedelta(0) if self.settings.trust_system_clock else self.settings.tolerance
        )

    @property
    def _tolerance(self) -> float:
        return self.settings.tolerance.total_seconds()

    @property
    def _patience(self) -> float:
        return max(3 * self.settings.period.total_seconds(), 3.0)

    def _repeat(self, duty: Callable[[], object]) -> None:
        while not self._stopping.wait(self.settings.period.total_seconds()):
            try:
                duty()
            except Exception:
                # Without fresh checks `now` refuses; the thread goes on, the fault may pass.
                log.exception("clock_check_failed")

    def _read(self) -> _Reading:
        for _ in range(READING_TRIES):
            before = self._witnesses.steady()
            wall = self._witnesses.wall.now()
            after = self._witnesses.steady()
            if after - before <= READING_LIMIT_S:
                return _Reading(wall, (before + after) / 2)
        raise TimeNotAvailableError("the clock could not be read without an interruption")

    def _judge(self, reading: _Reading) -> str | None:
        """Say why the time cannot be vouched for; None where it can."""
        step = 0.0 if self._reference is None else _step(self._reference, reading)
        if abs(step) > self._tolerance:
            if self._candidate is None or not self._is_near(self._candidate, reading):
                # What was said of the clock was said of another time.
                self._candidate, self._jumps = reading, self._jumps + 1
                self._agreed_at, self._disagreement, self._asked_at = None, None, _NEVER
        else:
            self._candidate = None
        objection = self._kernel_objection() or self._servers_objection(reading)
        if self._candidate is None:
            return objection
        if objection is not None:
            self._candidate = reading
        settled = reading.steady - self._candidate.steady >= self.settings.settling.total_seconds()
        confirmed = bool(self.settings.servers) and not self.settings.trust_system_clock
        if objection is None and (confirmed or settled):
            return None
        return f"the clock jumped by {step:+.3f} s" + (f", and {objection}" if objection else "")

    def _is_near(self, reference: _Reading, reading: _Reading) -> bool:
        return abs(_step(reference, reading)) <= self._tolerance

    def _kernel_objection(self) -> str | None:
        if self.settings.trust_system_clock or not self.settings.kernel:
            return None
        try:
            synchronised = self._witnesses.kernel().synchronised
        except kernel_clock.KernelClockError as error:
            return error.message
        return None if synchronised else "the kernel says that no daemon keeps its clock in time"

    def _servers_objection(self, reading: _Reading) -> str | None:
        servers = self.settings.servers
        if self.settings.trust_system_clock or not servers:
            return None
        if self._disagreement is not None:
            return self._disagreement
        if self._agreed_at is None:
            return f"fewer than {len(servers) // 2 + 1} time servers confirm the clock"
        if reading.steady - self._agreed_at > self.settings.holdover.total_seconds():
            return "no time server could be reached for too long"
        return None

    def _compare(self, servers: Sequence[str]) -> tuple[ntp.Comparison, ...]:
        found = []
        with concurrent.futures.ThreadPoolExecutor(len(servers), "ntp") as pool:
            asked = [
                pool.submit(self._witnesses.compare, one, self._witnesses.wall.now)
                for one in servers
            ]
            for server, one in zip(servers, asked, strict=True):
                try:
                    found.append(one.result())
                except ntp.NtpError as error:
                    log.info("time_server_failed server=%s code=%s", server, error.code)
        # An answer whose own error is larger than what is tolerated is no witness for or against,
        # unless it is off by more than both together.
        return tuple(
            one
            for one in found
            if one.bound_s <= self._tolerance or abs(one.offset_s) - one.bound_s > self._tolerance
        )


def _step(reference: _Reading, reading: _Reading) -> float:
    """How many seconds the wall clock moved beyond what passed."""
    return (reading.wall - reference.wall).total_seconds() - (reading.steady - reference.steady)
