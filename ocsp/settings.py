"""What an operator decides about status responses."""

import dataclasses
import datetime
import pathlib

from ocsp import kept_responses, responder
from ocsp.statuses import view
from pki import settings


@dataclasses.dataclass(frozen=True)
class Settings:
    """The `ocsp` table of the settings file.

    Attributes:
        validity: From thisUpdate to nextUpdate of a response, in seconds.
        kept_bytes: How much memory each process takes for responses that it sends again.
        preproduced: A folder in which one process keeps responses that were signed ahead of need
            for all workers to map; none: responses are signed when they are asked for.
        status_file: With a `[database]`: where one process keeps the statuses for all workers to
            map; none: each worker reads all of the registry when it starts. Without a
            `[database]`: the file that the CA publishes for other machines.
        status_publisher: Without a `[database]`: the public keys, in PEM, of whom such a file is
            taken (`imza ca status-file key`).
        status_poll: How often the registry is asked for changes, in seconds.
        status_max_age: How old what is known may be when the registry is away, in seconds; at
            most an hour. Older statuses are not told.
    """

    validity: datetime.timedelta = responder.DEFAULT_VALIDITY
    kept_bytes: int = kept_responses.DEFAULT_BYTES
    preproduced: pathlib.Path | None = None
    status_file: pathlib.Path | None = None
    status_publisher: pathlib.Path | None = None
    status_poll: datetime.timedelta = view.DEFAULT_POLL
    status_max_age: datetime.timedelta = view.DEFAULT_MAX_AGE

    def __post_init__(self) -> None:
        """Refuse what would tell old statuses as new ones."""
        if not datetime.timedelta(0) < self.status_max_age <= view.LONGEST_MAX_AGE:
            raise settings.SettingsError(
                "[ocsp] status_max_age: expected at most"
                f" {view.LONGEST_MAX_AGE.total_seconds():.0f} seconds (EN 319 411-1: a revocation"
                f" is known within 60 minutes), got {self.status_max_age.total_seconds():.0f}"
            )
        if not datetime.timedelta(0) < self.status_poll < self.status_max_age:
            raise settings.SettingsError(
                "[ocsp] status_poll: expected more than 0 and less than status_max_age, got"
                f" {self.status_poll.total_seconds()}"
            )
