"""What an operator decides about status responses."""

import dataclasses
import datetime

from ocsp import responder


@dataclasses.dataclass(frozen=True)
class Settings:
    """The `ocsp` table of the settings file.

    Attributes:
        validity: From thisUpdate to nextUpdate of a response, in seconds.
    """

    validity: datetime.timedelta = responder.DEFAULT_VALIDITY
