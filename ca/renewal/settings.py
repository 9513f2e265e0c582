"""The `[renewal]` section of the settings file."""

import dataclasses
import datetime

from pki import errors


class RenewalSettingsError(errors.InputError):
    """The settings would renew nothing, or for ever."""

    code = "renewal-settings-refused"


@dataclasses.dataclass(frozen=True)
class Settings:
    """When a certificate is renewed without its owner being seen again.

    Attributes:
        window: How long before its end a certificate can be renewed, over CMP too.
        identity_validity: How long after an application was recorded its vetting is relied on
            (EN 319 411-1 6.2.3: what was checked must still be valid).
        self_service: Whether owners renew by themselves what was certified at a counter. A key
            that signs hashes which others choose, as Mobile-ID's does, could be led to sign a
            request for a stranger's key, so this is off unless the operator has judged it.
    """

    window: datetime.timedelta = datetime.timedelta(days=30)
    identity_validity: datetime.timedelta = datetime.timedelta(days=6 * 365)
    self_service: bool = False

    def __post_init__(self) -> None:
        """Refuse spans that are not positive."""
        if self.window <= datetime.timedelta() or self.identity_validity <= datetime.timedelta():
            raise RenewalSettingsError("expected a window and an identity_validity above zero")
