"""What the list says of its scheme, in each of its languages (TS 119 612 5.3, D.6)."""

import dataclasses
from collections.abc import Mapping

from ca import settings as ca_settings
from ca import subjects
from ca.trusted_list import settings as list_settings
from pki import errors

TAG = "http://uri.etsi.org/19612/TSLTag"
EU_GENERIC = "http://uri.etsi.org/TrstSvc/TrustedList/TSLType/EUgeneric"
VERSION = 6
"""TS 119 612 5.3.1, of version 2.3.1 and later."""

_BASE = "http://uri.etsi.org/TrstSvc/TrustedList"

_NAMES: Mapping[str, str] = {
    "en": "Trusted list of qualified trust services",
    "az": "İxtisaslı etibar xidmətlərinin etibarlı siyahısı",
    "ka": "კვალიფიციური სანდო მომსახურებების სანდო სია",
}
_NOTICES: Mapping[str, str] = {
    "en": "This list states the trust services of the scheme and the status that each of them has"
    " under the law of the scheme's territory. Whoever relies on it checks its signature and its"
    " next update first.",
    "az": "Bu siyahı sxemin etibar xidmətlərini və onların hər birinin sxemin ərazisinin"
    " qanunvericiliyinə görə statusunu bildirir. Ona istinad edən əvvəlcə imzasını və növbəti"
    " yenilənmə vaxtını yoxlayır.",
    "ka": "ეს სია აცხადებს სქემის სანდო მომსახურებებს და თითოეული მათგანის სტატუსს სქემის"
    " ტერიტორიის კანონმდებლობის მიხედვით. მისი მომხმარებელი ჯერ ამოწმებს ხელმოწერას და მომდევნო"
    " განახლების დროს.",
}
_TEST_NOTICES: Mapping[str, str] = {
    "en": "TEST: a test installation. This list has no legal effect.",
    "az": "TEST: sınaq quraşdırması. Bu siyahının hüquqi qüvvəsi yoxdur.",
    "ka": "TEST: სატესტო ინსტალაცია. ამ სიას იურიდიული ძალა არ აქვს.",
}


class NoTrustedListError(errors.StateError):
    """The installation publishes no trusted list: its settings name no scheme."""

    code = "trusted-list-not-configured"


@dataclasses.dataclass(frozen=True)
class Variant:
    """One form in which the list is published.

    Attributes:
        name: NAME in `/tl/NAME.xml`.
        list_type: Its TSLType.
    """

    name: str
    list_type: str


@dataclasses.dataclass(frozen=True)
class Scheme:
    """The scheme of an installation."""

    installation: ca_settings.Settings
    operator: list_settings.Settings

    @property
    def territory(self) -> str:
        """The country, as 5.1.5 spells it: two of them not as ISO 3166 does."""
        return {"GB": "UK", "GR": "EL"}.get(self.installation.country, self.installation.country)

    @property
    def variants(self) -> tuple[Variant, ...]:
        """The list of this country (D.6), and one for readers that know the Union's type alone.

        Both say the same; the second claims nothing of the Union but the type of its form.
        """
        name = self.territory.lower()
        national = f"{_BASE}/TSLType/{self.territory}list"
        return Variant(name, national), Variant(f"{name}-eugeneric", EU_GENERIC)

    @property
    def status_determination(self) -> str:
        """How the status of services is found (5.3.8, D.6)."""
        return f"{_BASE}/StatusDetn/{self.territory}determination"

    @property
    def rules(self) -> str:
        """The rules of the country (5.3.9)."""
        return f"{_BASE}/schemerules/{self.territory}"

    @property
    def operator_names(self) -> Mapping[str, str]:
        """The operator's name by language; it is the one in the signer's certificate (5.7.1)."""
        mark = self._mark
        return {
            language: mark
            + self.operator.operator_name(language, self.installation.organisation_name)
            for language in self.operator.languages
        }

    @property
    def names(self) -> Mapping[str, str]:
        """The scheme's name by language, after its territory (5.3.6)."""
        return {
            language: f"{self.territory}:{self._mark}{_NAMES[language]}"
            for language in self.operator.languages
        }

    @property
    def notices(self) -> Mapping[str, str]:
        """The legal notice by language (5.3.11)."""
        return {
            language: (f"{_TEST_NOTICES[language]} " if self.installation.test else "")
            + _NOTICES[language]
            for language in self.operator.languages
        }

    def url(self, variant: Variant) -> str:
        """Where a variant is published."""
        return f"{self.installation.base_url.rstrip('/')}/tl/{variant.name}.xml"

    @property
    def _mark(self) -> str:
        return f"{subjects.TEST_MARK} " if self.installation.test else ""


def of(installation: ca_settings.Settings) -> Scheme:
    """Return the scheme of an installation.

    Raises:
        NoTrustedListError: Its settings name none.
    """
    if installation.trusted_list is None:
        raise NoTrustedListError(
            "this installation publishes no trusted list: add a section [ca.trusted_list]"
        )
    return Scheme(installation, installation.trusted_list)
