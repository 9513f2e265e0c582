"""What an operator sets for the mobile signature gateway."""

import dataclasses
import datetime
import hashlib
import hmac
import ipaddress
import json
import pathlib
import re
from collections.abc import Sequence

from pki import errors, settings

UUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")


MAX_NAME = 100
"""Longest name of a relying party; a phone's screen shows less."""


class UnknownRelyingPartyError(errors.AccessError):
    """Name, UUID and address are not those of one relying party."""

    code = "relying-party-unknown"


@dataclasses.dataclass(frozen=True)
class RelyingParty:
    """A portal that may ask people to confirm.

    Attributes:
        uuid: A shared secret, in small letters.
        names: What the person is shown; compared without regard to case.
        networks: Where its requests come from, such as `192.0.2.0/24`.
    """

    uuid: str = dataclasses.field(repr=False)
    names: tuple[str, ...]
    networks: tuple[str, ...]

    @property
    def key(self) -> str:
        """Names the party in the database without telling its secret."""
        return hashlib.sha256(self.uuid.encode()).hexdigest()[:32]

    def comes_from(self, address: str | None) -> bool:
        """Whether an IP address is one of the party's own."""
        try:
            ip = ipaddress.ip_address(address or "")
        except ValueError:
            return False
        if isinstance(ip, ipaddress.IPv6Address) and ip.ipv4_mapped is not None:
            ip = ip.ipv4_mapped
        return any(ip in ipaddress.ip_network(network) for network in self.networks)

    def registered_name(self, name: str) -> str | None:
        """The name as it was registered, whatever case it came in."""
        for one in self.names:
            if one.casefold() == name.casefold():
                return one
        return None


@dataclasses.dataclass(frozen=True)
class Settings:
    """The section `[mobile_id]`.

    Attributes:
        relying_parties: A JSON file of relying parties; it holds their UUIDs, so mode 0600.
            Without one nobody may ask.
        countries: Whose person codes are accepted: the installation's own and its non-residents'.
        answer_window: How long a person has to answer.
        session_life: How long a session can be asked for.
        max_waiting_per_sim: Requests that may wait for one SIM; 0 sets no limit. More than a few
            are not a person's wish but somebody wearing them down.
    """

    relying_parties: pathlib.Path | None = None
    countries: tuple[str, ...] = ("AZ", "GE", "EE", "LT")
    answer_window: datetime.timedelta = datetime.timedelta(minutes=2)
    session_life: datetime.timedelta = datetime.timedelta(minutes=5)
    max_waiting_per_sim: int = 3


def load_relying_parties(path: pathlib.Path) -> tuple[RelyingParty, ...]:
    """Read the relying parties: a list of `{"uuid", "names": [], "networks": []}`.

    Raises:
        SettingsError: The file is missing, is not JSON, or an entry is wrong.
    """
    try:
        entries = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise settings.SettingsError(f"{path}: expected a JSON list of relying parties") from error
    if not isinstance(entries, list):
        raise settings.SettingsError(f"{path}: expected a JSON list of relying parties")
    parties = tuple(
        settings.read_section(RelyingParty, entry, name=f"relying_parties[{index}]")
        for index, entry in enumerate(entries)
    )
    check_relying_parties(parties)
    return parties


def check_relying_parties(parties: Sequence[RelyingParty]) -> None:
    """Check UUIDs, names and networks.

    Raises:
        SettingsError: A UUID is not in small letters or is used twice, a party has no name or no
            network, or a network cannot be read.
    """
    if len({party.uuid for party in parties}) != len(parties):
        raise settings.SettingsError("expected every relying party to have a UUID of its own")
    for party in parties:
        if not UUID.fullmatch(party.uuid):
            raise settings.SettingsError("expected a relying party's UUID in small letters")
        if not party.names or not party.networks:
            raise settings.SettingsError("expected a relying party to have names and networks")
        if not all(0 < len(name) <= MAX_NAME for name in party.names):
            raise settings.SettingsError(f"expected names of 1 to {MAX_NAME} characters")
        for network in party.networks:
            try:
                ipaddress.ip_network(network)
            except ValueError as error:
                raise settings.SettingsError(f"expected a network, got {network!r}") from error


def authorise(
    parties: Sequence[RelyingParty], uuid: str, name: str, address: str | None
) -> tuple[RelyingParty, str]:
    """Return the relying party and its registered name.

    Raises:
        UnknownRelyingPartyError: Name, UUID and address do not belong together.
    """
    for party in parties:
        # Compared in constant time: the UUID is a secret, and upper case is another value.
        if hmac.compare_digest(party.uuid.encode(), uuid.encode()):
            registered = party.registered_name(name)
            if registered is not None and party.comes_from(address):
                return party, registered
    raise UnknownRelyingPartyError("expected a registered relying party at its own address")
