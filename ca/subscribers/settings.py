"""The `[subscribers]` section of the settings file."""

import dataclasses
import datetime

from pki import errors


class SubscriberSettingsError(errors.InputError):
    """The settings contradict themselves."""

    code = "subscriber-settings-refused"


@dataclasses.dataclass(frozen=True)
class Settings:
    """How subscribers act on their own certificates.

    Attributes:
        password_tries: Wrong revocation passwords in a row after which the address that they came
            from has to wait, longer each time; 0 sets no limit, which is for a sandbox.
        password_delay: The longest wait, and how long an address's misses are remembered.
        hold_limit: How long a hold lasts before it becomes a revocation that counts from the
            hold's beginning; none unless set.
    """

    password_tries: int = 5
    password_delay: datetime.timedelta = datetime.timedelta(minutes=15)
    hold_limit: datetime.timedelta | None = None

    def __post_init__(self) -> None:
        """Refuse what cannot be meant."""
        if self.password_tries < 0 or self.password_delay < datetime.timedelta():
            raise SubscriberSettingsError("expected password_tries and password_delay from 0 up")
        if self.hold_limit is not None and self.hold_limit < datetime.timedelta(hours=1):
            raise SubscriberSettingsError("expected a hold_limit of an hour at least")
