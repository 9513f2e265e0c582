"""Statuses from memory: what the responder's workers ask for every certificate of a request."""

import collections
import datetime
import logging
import threading
import time

from ocsp.statuses import contents as views
from pki import clock, errors, registry_reader, status

log = logging.getLogger(__name__)

DEFAULT_POLL = datetime.timedelta(seconds=0.5)
"""How often the source is asked for changes: they are visible well within two seconds."""

DEFAULT_MAX_AGE = datetime.timedelta(minutes=10)
"""How old the view may get while its source is away."""

LONGEST_MAX_AGE = datetime.timedelta(minutes=60)
"""EN 319 411-1 wants a revocation to be known within 60 minutes of its confirmation."""

CLOCK_TOLERANCE = datetime.timedelta(seconds=5)
"""How far the clocks of two machines may be apart."""

MISS_LIMIT_S = 0.25
"""How long a request waits for the source when its serial number is not known here."""

MISSES_PER_SECOND = 100
"""So often at most the source is asked because of unknown serial numbers, by each process."""

REMEMBERED_MISSES = 10_000
"""Unknown serial numbers that wait for the next published state."""


class StatusesUnavailableError(errors.PeerError):
    """There is no view of the registry yet, or it is too old to be told; answered `tryLater`."""

    code = "statuses-unavailable"


class RegistryNotReconciledError(errors.PeerError):
    """The registry was restored from a backup and is not reconciled; answered `tryLater`."""

    code = "registry-locked"


class StatusNotYetKnownError(errors.PeerError):
    """The serial number may be one that was issued a moment ago; answered `tryLater`."""

    code = "status-not-yet-known"


class StatusView:
    """The statuses of every certificate, followed by one thread and asked by any.

    A status is told only while the view is younger than it may be, as the clock of this machine
    has it, and the registry is not locked. `unknown` is told only once the source was asked after
    the question came: a certificate that was delivered is never unknown.
    """

    def __init__(
        self,
        source: views.Source,
        present: clock.Clock,
        *,
        max_age: datetime.timedelta = DEFAULT_MAX_AGE,
        poll: datetime.timedelta = DEFAULT_POLL,
        start: views.Contents | None = None,
    ) -> None:
        """Take the source, the clock and, where the source may be away, what to start from."""
        self._source = source
        self._present = present
        self._max_age = max_age
        self._poll_s = poll.total_seconds()
        self._contents = start
        self._updating = threading.Lock()
        self._failure = ""
        self._refusal: errors.ImzaError | None = None
        self._first_asked: collections.OrderedDict[tuple[str, bytes], datetime.datetime]
        self._first_asked = collections.OrderedDict()
        self._budget = _Budget(MISSES_PER_SECOND)
        self._asking = threading.Condition()
        self._asked = 0
        self._answered = 0
        self._stopping = False
        self._thread: threading.Thread | None = None

    def look_up(self, issuer_name: str, serial_number: int) -> status.CertificateStatus | None:
        """Return the status of a certificate; None where the issuer never issued it.

        Raises:
            StatusesUnavailableError: Nothing is known, or only what is too old.
            RegistryNotReconciledError: The registry is locked.
            StatusNotYetKnownError: Not known here, and the source cannot be asked right now.
        """
        contents = self.contents()
        if not 0 < serial_number < 1 << 160:
            return None  # No certificate has it (RFC 5280 4.1.2.2).
        serial = serial_number.to_bytes(registry_reader.SERIAL_BYTES, "big")
        found = contents.find(issuer_name, serial)
        if found is not None or not any(one.name == issuer_name for one in contents.issuers):
            return found
        if self._source.is_asked:
            self._ask()
            # Asked anew: the registry may have been locked meanwhile.
            return self.contents().find(issuer_name, serial)
        return self._wait_for_news(contents, issuer_name, serial)

    def contents(self) -> views.Contents:
        """Everything that is known, if it may be told; raises as `look_up`."""
        contents = self._contents
        if contents is None:
            raise StatusesUnavailableError(
                f"no certificate's status is known yet: {self._failure or 'wait a moment'}"
            )
        if contents.locked_at is not None:
            raise RegistryNotReconciledError("the registry is locked: no status is told")
        age = self._present.now() - contents.as_of
        if not -CLOCK_TOLERANCE <= age <= self._max_age:
            raise StatusesUnavailableError(
                f"what is known is {age.total_seconds():.0f} s old, and no status older than"
                f" {self._max_age.total_seconds():.0f} s is told: {self._failure or 'no news'}"
            )
        return contents

    @property
    def known(self) -> views.Contents | None:
        """Everything that is known, whether or not it may be told."""
        return self._contents

    @property
    def issuers(self) -> tuple[registry_reader.Issuer, ...]:
        """The authorities of the registry, as far as they are known."""
        return () if self._contents is None else self._contents.issuers

    @property
    def responders(self) -> tuple[registry_reader.ResponderCertificate, ...]:
        """The certificates that let our keys answer, for each issuer the newest one last."""
        return () if self._contents is None else self._contents.responders

    @property
    def age(self) -> datetime.timedelta | None:
        """How old the view is; None before there is one."""
        return None if self._contents is None else self._present.now() - self._contents.as_of

    def update(self) -> None:
        """Ask the source for what changed; raises as it does, and keeps what is known then."""
        with self._updating:
            try:
                self._contents = self._merged(
                    self._source.update(self._contents, self._present.now())
                )
            except errors.ImzaError as error:
                if self._failure != error.message:
                    log.warning("statuses_not_updated code=%s error=%s", error.code, error.message)
                self._failure, self._refusal = error.message, error
                raise
            if self._failure:
                log.info("statuses_updated_again")
            self._failure, self._refusal = "", None

    def start(self, wait_s: float = 0.0) -> None:
        """Follow the source in a thread from now on.

        Args:
            wait_s: Return when the source was asked once, or after so long: a large registry that
                is read without a file takes its time, and `tryLater` is told meanwhile.

        Raises:
            StateError: The source is not one of this version.
        """
        self._thread = threading.Thread(target=self._run, name="statuses", daemon=True)
        self._thread.start()
        with self._asking:
            self._asked += 1
            ticket = self._asked
            self._asking.notify_all()
            self._asking.wait_for(lambda: self._answered >= ticket, wait_s)
        if isinstance(self._refusal, errors.StateError):
            raise self._refusal

    def close(self) -> None:
        """Stop following, and let go of the source."""
        with self._asking:
            self._stopping = True
            self._asking.notify_all()
        if self._thread is not None:
            self._thread.join(registry_reader.ANSWER_LIMIT_S)
        self._source.close()

    def _merged(self, contents: views.Contents) -> views.Contents:
        before = self._contents
        if (before is None or before.locked_at is None) and contents.locked_at is not None:
            log.error("registry_locked: requests are answered tryLater")
        return views.settled(contents)

    def _ask(self) -> None:
        """Have the source asked once more, after this call began, and wait for the answer."""
        if self._failure:
            raise StatusNotYetKnownError("the registry cannot be asked for a new certificate")
        if not self._budget.take():
            raise StatusNotYetKnownError("too many serial numbers are asked that nobody issued")
        if self._thread is None:
            self.update()
            return
        with self._asking:
            self._asked += 1
            ticket = self._asked
            self._asking.notify_all()
            done = self._asking.wait_for(lambda: self._answered >= ticket, MISS_LIMIT_S)
        if not done:
            # Nobody else waits for it: the next update that comes to its end takes this away.
            self._failure = "the source does not answer"
        if self._failure:
            raise StatusNotYetKnownError("the registry cannot be asked for a new certificate")

    def _wait_for_news(
        self, contents: views.Contents, issuer_name: str, serial: bytes
    ) -> status.CertificateStatus | None:
        """Say `unknown` only from a state that was published after the serial was first asked."""
        now = self._present.now()
        first = self._first_asked.setdefault((issuer_name, serial), now)
        while len(self._first_asked) > REMEMBERED_MISSES:
            self._first_asked.popitem(last=False)
        if contents.as_of < first + CLOCK_TOLERANCE:
            raise StatusNotYetKnownError("a certificate that was just issued is not known here yet")
        return None

    def _run(self) -> None:
        while True:
            with self._asking:
                self._asking.wait_for(
                    lambda: self._stopping or self._asked > self._answered, self._poll_s
                )
                if self._stopping:
                    return
                ticket = self._asked
            try:
                self.update()
            except errors.ImzaError:
                log.debug("statuses_not_updated")  # It was told, and is tried again.
            except Exception:
                # Whatever it is, the view must go on being followed, and grows too old otherwise.
                log.exception("statuses_not_updated")
                self._failure = "an internal error"
            with self._asking:
                self._answered = ticket
                self._asking.notify_all()


class _Budget:
    """So many uses a second, and as many at once."""

    def __init__(self, per_second: int) -> None:
        self._per_second = per_second
        self._left = float(per_second)
        self._filled_at = time.monotonic()
        self._lock = threading.Lock()

    def take(self) -> bool:
        with self._lock:
            now = time.monotonic()
            self._left = min(
                self._per_second, self._left + (now - self._filled_at) * self._per_second
            )
            self._filled_at = now
            if self._left < 1:
                return False
            self._left -= 1
            return True
