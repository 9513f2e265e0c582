"""The `[disclosure]` section: what only the operator can say of itself."""

import dataclasses
import datetime
import decimal
import pathlib
import re
import urllib.parse

from pki import errors

LANGUAGES = ("az", "ka", "en")
"""The languages in which the statement's own text exists (ISO 639-1)."""

MIN_RETENTION_YEARS = 7
"""EN 319 411-1 6.4.6: records are kept for at least seven years after a certificate's end."""

VERSION = re.compile(r"[0-9]{1,4}(\.[0-9]{1,4}){0,2}")

MAX_TEXT = 1000

PLACEHOLDERS = re.compile(
    r"\b(todo|tbd|fixme|xxx+|lorem ipsum|change ?me|fill in)\b|[<>{}\[\]]|\bexample\b|\.\.\.|…",
    re.IGNORECASE,
)
"""What an example file holds where the operator has to write something."""

FONTS = pathlib.Path("/usr/share/fonts/truetype/dejavu")
"""Where Debian's fonts-dejavu-core puts fonts with Azerbaijani and Georgian letters."""


class DisclosureSettingsError(errors.InputError):
    """The settings would make a statement that is incomplete or says nothing."""

    code = "disclosure-settings-refused"


@dataclasses.dataclass(frozen=True)
class LocalText:
    """A text in one language (ISO 639-1)."""

    language: str
    text: str


@dataclasses.dataclass(frozen=True)
class Settings:
    """What a statement says that the software cannot know.

    Attributes:
        version: Of the statement; a change of anything below needs a new one.
        effective: Since when this version holds.
        address: Where the operator is: street, postal code, town, country.
        email: Where the operator is asked.
        telephone: Likewise, in the form `+994121234567`.
        website: Of the operator, over https.
        revocation_telephone: Answered at every hour; callers identify themselves.
        revocation_url: Where revocation is asked for online, over https.
        policy_url: The certificate policy, over https.
        practice_statement_url: The certification practice statement, over https.
        terms_url: The subscriber agreement, over https.
        privacy_url: The privacy policy, over https.
        complaints_email: Where complaints go.
        complaints_days: In how many days a complaint is answered.
        supervisory_body: Who supervises the operator, in each language.
        supervisory_url: Of that body, over https.
        law: The law that applies, in each language.
        courts: Who decides a dispute, in each language.
        audits: Which body assessed the operator against which standard and when, in each language.
        liability_limit: The most that is paid for the damage from one certificate.
        reliance_limit: The largest transaction that a certificate is meant for; None sets none.
        currency: Of both limits (ISO 4217).
        retention_years: How long records are kept after a certificate's end.
        refund_days: In how many days a fee can be claimed back; 0 for never.
        languages: In which the statement is published; English must be one.
        font: A TrueType font for the PDF.
        bold_font: Likewise, for its headings.
    """

    version: str
    effective: datetime.date
    address: str
    email: str
    telephone: str
    website: str
    revocation_telephone: str
    revocation_url: str
    policy_url: str
    practice_statement_url: str
    terms_url: str
    privacy_url: str
    complaints_email: str
    complaints_days: int
    supervisory_body: tuple[LocalText, ...]
    supervisory_url: str
    law: tuple[LocalText, ...]
    courts: tuple[LocalText, ...]
    audits: tuple[LocalText, ...]
    liability_limit: decimal.Decimal
    currency: str
    retention_years: int
    refund_days: int
    reliance_limit: decimal.Decimal | None = None
    languages: tuple[str, ...] = LANGUAGES
    font: pathlib.Path = FONTS / "DejaVuSans.ttf"
    bold_font: pathlib.Path = FONTS / "DejaVuSans-Bold.ttf"

    def __post_init__(self) -> None:
        """Refuse, at the start, what would make an incomplete statement."""
        if not VERSION.fullmatch(self.version):
            raise DisclosureSettingsError(f"expected a version such as 1.0, got {self.version!r}")
        if "en" not in self.languages or len(set(self.languages)) != len(self.languages):
            raise DisclosureSettingsError("expected languages without doubles, English among them")
        if unknown := set(self.languages) - set(LANGUAGES):
            raise DisclosureSettingsError(
                f"expected languages of {', '.join(LANGUAGES)}, got {min(unknown)!r}"
            )
        for field in ("website", "revocation_url", "policy_url", "practice_statement_url",
                      "terms_url", "privacy_url", "supervisory_url"):  # fmt: skip
            _check_url(field, getattr(self, field))
        for field in ("email", "complaints_email"):
            value = getattr(self, field)
            if not re.fullmatch(r"[!-?A-~]+@[!-?A-~]+", value):
                raise DisclosureSettingsError(f"expected an e-mail address as {field}")
        for field in ("telephone", "revocation_telephone"):
            if not re.fullmatch(r"\+[0-9]{6,15}", getattr(self, field)):
                raise DisclosureSettingsError(
                    f"expected {field} with its country code, such as +994121234567"
                )
        for field, text in self._texts():
            if not 1 <= len(text) <= MAX_TEXT or not text.isprintable() or text != text.strip():
                raise DisclosureSettingsError(
                    f"expected {field} as one line of 1 to {MAX_TEXT} characters"
                )
        for field in ("supervisory_body", "law", "courts", "audits"):
            self._check_languages(field)
        self._check_numbers()

    def text(self, field: str, language: str) -> str:
        """What one of the fields with a text for each language says in a language."""
        texts: tuple[LocalText, ...] = getattr(self, field)
        return next(one.text for one in texts if one.language == language)

    def check_no_placeholders(self) -> None:
        """Refuse texts that an example left for the operator to write.

        Raises:
            DisclosureSettingsError: Such as `TODO`, or an address under `example`.
        """
        values = [*self._texts(), *((one, str(getattr(self, one))) for one in _ADDRESSES)]
        for field, text in values:
            if found := PLACEHOLDERS.search(text):
                raise DisclosureSettingsError(
                    f"[disclosure]: expected the operator's own {field}, got a placeholder"
                    f" ({found[0]!r}): people rely on what this says"
                )

    def _texts(self) -> list[tuple[str, str]]:
        local = ("supervisory_body", "law", "courts", "audits")
        found = [("address", self.address)]
        for field in local:
            found += [(f"{field} ({one.language})", one.text) for one in getattr(self, field)]
        return found

    def _check_languages(self, field: str) -> None:
        given = [one.language for one in getattr(self, field)]
        if sorted(given) != sorted(self.languages):
            raise DisclosureSettingsError(
                f"expected {field} once in each of {', '.join(self.languages)},"
                f" got {', '.join(given) or 'none'}"
            )

    def _check_numbers(self) -> None:
        if self.retention_years < MIN_RETENTION_YEARS:
            raise DisclosureSettingsError(
                f"expected retention_years of at least {MIN_RETENTION_YEARS},"
                f" got {self.retention_years}"
            )
        if not 1 <= self.complaints_days <= 365 or not 0 <= self.refund_days <= 365:
            raise DisclosureSettingsError("expected days of a year at most")
        if not re.fullmatch(r"[A-Z]{3}", self.currency):
            raise DisclosureSettingsError("expected a currency of three capitals, such as AZN")
        for limit in (self.liability_limit, self.reliance_limit):
            if limit is not None and not 0 < limit < decimal.Decimal("1e12"):
                raise DisclosureSettingsError("expected limits above zero")


_ADDRESSES = ("email", "website", "revocation_url", "policy_url", "practice_statement_url",
              "terms_url", "privacy_url", "complaints_email", "supervisory_url")  # fmt: skip


def _check_url(field: str, url: str) -> None:
    parts = urllib.parse.urlsplit(url)
    if parts.scheme != "https" or not parts.hostname or not url.isascii() or not url.isprintable():
        raise DisclosureSettingsError(f"expected an https address as {field}, got {url!r}")
