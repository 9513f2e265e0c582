"""The `[statistics]` section: whose counters are asked for, and what things cost."""

import dataclasses
import datetime
import decimal
import enum
import pathlib
import re
import urllib.parse
from collections.abc import Mapping

from pki import errors, months

ZONES = ("signing", "mobile")
"""The zones that count uses."""


class Category(enum.Enum):
    """Who is counted, as the bulletin groups them.

    `CITIZEN`: people for themselves. `OFFICIAL`: state bodies. `BUSINESS`: legal entities, their
    representatives and seals. `OTHER`: certified by somebody else.
    """

    CITIZEN = "citizen"
    OFFICIAL = "official"
    BUSINESS = "business"
    OTHER = "other"


FEE_CATEGORIES = (Category.CITIZEN.value, Category.OFFICIAL.value, Category.BUSINESS.value)


class StatisticsSettingsError(errors.InputError):
    """The settings name no zone, or a tariff that cannot be reckoned with."""

    code = "statistics-settings-refused"


@dataclasses.dataclass(frozen=True)
class Source:
    """A zone that is asked for its counters.

    Attributes:
        zone: `signing` or `mobile`.
        url: Its base address.
        credentials: A file with `client_id` and `client_secret`, mode 0600, scope `statistics`.
        tls_ca: Whom to trust for its TLS, where that is a private CA.
    """

    zone: str
    url: str
    credentials: pathlib.Path
    tls_ca: pathlib.Path | None = None

    def __post_init__(self) -> None:
        """Refuse an unknown zone, and an address that is none."""
        if self.zone not in ZONES:
            raise StatisticsSettingsError(f"expected a zone of {', '.join(ZONES)}")
        parts = urllib.parse.urlsplit(self.url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise StatisticsSettingsError(f"expected an http or https address of {self.zone}")


@dataclasses.dataclass(frozen=True)
class Tariff:
    """What things cost from a month on, until the next tariff.

    Attributes:
        valid_from: The first day of a month.
        currency: ISO 4217.
        certificates: The fee for a signing or seal certificate, by category; the authentication
            certificate that comes with it costs nothing.
        mobile_transaction: The price of a confirmed transaction on a phone.
        vat_percent: Such as `18`; 0 for none.
        prices_include_vat: Whether the prices above hold it already.
    """

    valid_from: datetime.date
    currency: str
    certificates: Mapping[str, decimal.Decimal]
    mobile_transaction: decimal.Decimal
    vat_percent: decimal.Decimal = decimal.Decimal(0)
    prices_include_vat: bool = False

    def __post_init__(self) -> None:
        """Refuse what could not be reckoned with month by month."""
        if self.valid_from.day != 1:
            raise StatisticsSettingsError("expected valid_from on the first day of a month")
        if not re.fullmatch(r"[A-Z]{3}", self.currency):
            raise StatisticsSettingsError("expected a currency of three capitals, such as AZN")
        if set(self.certificates) != set(FEE_CATEGORIES):
            raise StatisticsSettingsError(f"expected a fee for each of {', '.join(FEE_CATEGORIES)}")
        if not 0 <= self.vat_percent <= 100:
            raise StatisticsSettingsError("expected vat_percent from 0 to 100")

    @property
    def first(self) -> months.Month:
        """The first month that it is for."""
        return months.Month(self.valid_from.year, self.valid_from.month)


@dataclasses.dataclass(frozen=True)
class Settings:
    """Who is asked, and what things cost.

    Attributes:
        sources: Whose counters make the statistics of signatures and authentications.
        tariffs: In any order; none: nothing is priced.
    """

    sources: tuple[Source, ...] = ()
    tariffs: tuple[Tariff, ...] = ()

    def __post_init__(self) -> None:
        """Refuse two sources of one zone, and two tariffs from one month."""
        if len({one.zone for one in self.sources}) != len(self.sources):
            raise StatisticsSettingsError("expected one source for each zone")
        if len({one.valid_from for one in self.tariffs}) != len(self.tariffs):
            raise StatisticsSettingsError("expected tariffs from different months")

    def tariff(self, month: months.Month) -> Tariff | None:
        """What holds in a month; None before the first tariff."""
        begun = [one for one in self.tariffs if one.first <= month]
        return max(begun, key=lambda one: one.first, default=None)
