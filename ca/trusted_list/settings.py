"""The `[ca.trusted_list]` section: who operates the scheme and how often the list is renewed."""

import dataclasses
import datetime
import urllib.parse

from pki import errors

LANGUAGES = ("en", "az", "ka")
"""The languages in which the scheme's own texts exist."""

MAX_VALIDITY = datetime.timedelta(days=181)
"""TS 119 612 5.3.15: at most six months from issue to next update."""


class TrustedListSettingsError(errors.InputError):
    """The settings would make a list that breaks TS 119 612."""

    code = "trusted-list-settings-refused"


@dataclasses.dataclass(frozen=True)
class LocalName:
    """A name in one language (ISO 639-1)."""

    language: str
    name: str


@dataclasses.dataclass(frozen=True)
class Settings:
    """Who operates the scheme; an installation without this section publishes no list.

    Attributes:
        street_address: Where the operator helps by mail.
        locality: The town.
        postal_code: Of the town.
        email: Where the operator helps by e-mail.
        website: Tells of the scheme, over https.
        languages: In which the list says what it says; English must be one (TS 119 612 5.1.4).
        operator_names: The operator's name where it is not the organisation's in a language.
        validity: From issue to next update.
        renewal: How long before the next update a new list is published.
        signer_renewal: How long before its end the signer's certificate is renewed.
    """

    street_address: str
    locality: str
    postal_code: str
    email: str
    website: str
    languages: tuple[str, ...] = LANGUAGES
    operator_names: tuple[LocalName, ...] = ()
    validity: datetime.timedelta = datetime.timedelta(days=30)
    renewal: datetime.timedelta = datetime.timedelta(days=10)
    signer_renewal: datetime.timedelta = datetime.timedelta(days=90)

    def __post_init__(self) -> None:
        """Refuse, at the start, what no valid list could say."""
        for field in ("street_address", "locality", "postal_code"):
            value = str(getattr(self, field))
            if not 1 <= len(value) <= 200 or not value.isprintable():
                raise TrustedListSettingsError(f"expected a {field} of 1 to 200 characters")
        if self.email.count("@") != 1 or not self.email.isascii() or " " in self.email:
            raise TrustedListSettingsError("expected an e-mail address of the scheme operator")
        parts = urllib.parse.urlsplit(self.website)
        if parts.scheme != "https" or not parts.hostname or not self.website.isascii():
            raise TrustedListSettingsError("expected an https website of the scheme operator")
        if "en" not in self.languages or len(set(self.languages)) != len(self.languages):
            raise TrustedListSettingsError("expected languages without doubles, English among them")
        if unknown := set(self.languages) - set(LANGUAGES):
            raise TrustedListSettingsError(
                f"expected languages of {', '.join(LANGUAGES)}, got {min(unknown)!r}"
            )
        if not datetime.timedelta(0) < self.renewal < self.validity <= MAX_VALIDITY:
            raise TrustedListSettingsError(
                "expected a renewal shorter than the validity, and a validity of six months at most"
            )

    def operator_name(self, language: str, otherwise: str) -> str:
        """The operator's name in a language."""
        return next(
            (one.name for one in self.operator_names if one.language == language), otherwise
        )
