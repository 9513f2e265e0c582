"""What an operator decides about time stamps."""

import dataclasses
import datetime
import pathlib

from pki import errors, oids
from tsa import clock_accuracy


class SuccessorSettingsError(errors.InputError):
    """The units' order in time cannot be told from the settings."""

    code = "time-stamping-unit-successor"


@dataclasses.dataclass(frozen=True)
class Successor:
    """A unit that takes over from the one before it.

    Attributes:
        certificates: PEM: its certificate, then the CAs above it, without the root.
        key_label: Its key in the key store.
        active_from: RFC 3339, UTC: from then on it signs, and the one before it does not.
    """

    certificates: pathlib.Path
    key_label: str
    active_from: str

    def __post_init__(self) -> None:
        """Refuse a time that is none."""
        self.begins()

    def begins(self) -> datetime.datetime:
        """`active_from` as a time.

        Raises:
            SuccessorSettingsError: It is no time with a zone.
        """
        message = "expected active_from such as 2027-03-01T00:00:00Z"
        try:
            at = datetime.datetime.fromisoformat(self.active_from)
        except ValueError as error:
            raise SuccessorSettingsError(message) from error
        if at.tzinfo is None:
            raise SuccessorSettingsError(message)
        return at.astimezone(datetime.UTC)


@dataclasses.dataclass(frozen=True)
class Unit:
    """A unit beside the first, under policies of its own.

    Attributes:
        certificates: PEM: its certificate, then the CAs above it, without the root.
        key_label: Its key in the key store.
        policies: Object identifiers; a request that names one of them is stamped by this unit.
        successors: Units that take over from it later, in their order in time.
    """

    certificates: pathlib.Path
    key_label: str
    policies: tuple[str, ...]
    successors: tuple[Successor, ...] = ()


@dataclasses.dataclass(frozen=True)
class Settings:
    """The `tsa` table of the settings file.

    Attributes:
        certificates: PEM: the first unit's certificate, then the CAs above it, without the root.
        key_label: That unit's key in the key store.
        policies: Of that unit: object identifiers; the first is used where a request names none.
        clock: How the clock is watched.
        successors: Units that take over from it later, in their order in time.
        units: Other units beside it, each under policies of its own.
        qualified: Claim in each token that it is EU-qualified (EN 319 422 9.1): only for who is.
    """

    certificates: pathlib.Path
    key_label: str = "tsu-1"
    policies: tuple[str, ...] = (oids.BTSP,)
    clock: clock_accuracy.Settings = dataclasses.field(default_factory=clock_accuracy.Settings)
    successors: tuple[Successor, ...] = ()
    units: tuple[Unit, ...] = ()
    qualified: bool = False
