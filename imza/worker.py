"""The regular duties of a zone: raise levels, expire sessions, publish CRLs."""

import datetime
import logging
import threading
from collections.abc import Sequence

from imza.wiring.zone import Job
from pki import clock, errors

log = logging.getLogger(__name__)

PAUSE_S = 0.5

FIRST_RUN = datetime.timedelta(minutes=15)


class Worker:
    """Runs jobs, each at its own pace, in one thread; a job that fails is tried again in turn."""

    def __init__(self, jobs: Sequence[Job], present: clock.Clock) -> None:
        """Take the jobs; each runs for the first time an interval from now, or soon after.

        A zone that is restarted every night must not miss its daily duties.
        """
        self._present = present
        self._due = {job.name: present.now() + min(job.every, FIRST_RUN) for job in jobs}
        self._jobs = tuple(jobs)
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="worker", daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def stop(self, wait_s: float = 10.0) -> None:
        """Finish the job under way."""
        self._stopping.set()
        self._thread.join(wait_s)

    def run_due(self) -> int:
        """Run every job whose time has come; return how many."""
        ran = 0
        for job in self._jobs:
            at = self._present.now()
            if at < self._due[job.name] or self._stopping.is_set():
                continue
            self._due[job.name] = at + job.every
            ran += 1
            try:
                job.run(at)
            except errors.ImzaError as error:
                log.warning("job_failed name=%s code=%s", job.name, error.code)
            except Exception:
                # A fault in one duty must not end the others; it is in the log, and tried again.
                log.exception("job_failed name=%s", job.name)
        return ran

    def _run(self) -> None:
        while not self._stopping.wait(PAUSE_S):
            self.run_due()
