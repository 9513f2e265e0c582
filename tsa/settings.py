"""What an operator decides about time stamps."""

import dataclasses
import pathlib

from pki import oids
from tsa import clock_accuracy


@dataclasses.dataclass(frozen=True)
class Settings:
    """The `tsa` table of the settings file.

    Attributes:
        certificates: PEM: the unit's certificate, then the CAs above it, without the root.
        key_label: The unit's key in the key store.
        policies: Object identifiers; the first is used where a request names none.
        clock: How the clock is watched.
        qualified: Claim in each token that it is EU-qualified (EN 319 422 9.1): only for who is.
    """

    certificates: pathlib.Path
    key_label: str = "tsu-1"
    policies: tuple[str, ...] = (oids.BTSP,)
    clock: clock_accuracy.Settings = dataclasses.field(default_factory=clock_accuracy.Settings)
    qualified: bool = False
