import dataclasses
import string
import unicodedata

import pytest

from ca import drafts
from ca.disclosure import settings, statement, wording
from pki import profiles
from tests.support import ca_world, disclosure

LANGUAGES = settings.LANGUAGES

ANNEX_A = (
    "TSP contact info",
    "Certificate type, validation procedures and usage",
    "Reliance limits",
    "Obligations of subscribers",
    "Certificate status checking obligations of relying parties",
    "Limited warranty and disclaimer/Limitation of liability",
    "Applicable agreements, CPS, CP",
    "Privacy policy",
    "Refund policy",
    "Applicable law, complaints and dispute resolution",
    "TSP and repository licences, trust marks, and audit",
)

AZERBAIJANI = set("abcçdeəfgğhxıijkqlmnoöprsştuüvyz")
GEORGIAN = {chr(point) for point in range(0x10D0, 0x10F1)}
LATIN_WORDS = {
    "CPS",
    "CP",
    "CRL",
    "OCSP",
    "PDF",
    "PIN",
    "PKI",
    "SHA",
    "SIM",
    "TEST",
    "UTC",
    "X",
    "Road",
}


def _sentences(one: wording.Wording) -> list[wording.Sentence]:
    found = list(one.introduction)
    for section in one.sections:
        found += [*section.paragraphs, *section.points]
    return found


def _all_texts(one: wording.Wording) -> list[str]:
    found = [text.text for text in _sentences(one)]
    found += [
        getattr(one, field.name)
        for field in dataclasses.fields(one)
        if field.type is str and field.name != "language"
    ]
    for section in one.sections:
        found += [section.heading, *(fact.label for fact in section.facts)]
    return found


def _names(text: str) -> set[str]:
    return {name for _, name, _, _ in string.Formatter().parse(text) if name}


@pytest.mark.clause("EN 319 411-1", "Annex A")
def test_a_statement_has_the_headings_of_the_annex_in_their_order() -> None:
    own = disclosure.read(disclosure.REAL_TABLE)
    made = statement.compose(own, disclosure.REAL_INSTALLATION, "en")
    assert tuple(one.heading for one in made.sections) == ANNEX_A


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_language_says_the_same_under_the_same_conditions(language: str) -> None:
    english, other = statement.WORDINGS["en"], statement.WORDINGS[language]
    assert tuple(one.name for one in other.sections) == wording.SECTIONS
    for ours, theirs in zip(english.sections, other.sections, strict=True):
        for part in ("paragraphs", "points"):
            pairs = list(zip(getattr(ours, part), getattr(theirs, part), strict=True))
            assert all(a.condition is b.condition for a, b in pairs), (language, ours.name)
            assert all(_names(a.text) == _names(b.text) for a, b in pairs), (language, ours.name)
        facts = [(one.name, one.condition) for one in ours.facts]
        assert facts == [(one.name, one.condition) for one in theirs.facts]


def test_azerbaijani_has_its_own_letters_and_no_others() -> None:
    seen: set[str] = set()
    for text in _all_texts(statement.WORDINGS["az"]):
        plain = string.Formatter().vformat(text, (), {name: "" for name in _names(text)})
        for word in plain.replace("SHA-256", "").split():
            bare = word.strip(".,:;()\"'-/").partition("-")[0]
            if bare in LATIN_WORDS:
                continue
            letters = {one for one in word if one.isalpha()}
            # The capital of i is İ, and that of ı is I: Python's own lower() knows neither.
            small = {{"İ": "i", "I": "ı"}.get(one, one.lower()) for one in letters}
            assert small <= AZERBAIJANI | {"w"}, word
            seen |= small
    assert set("əıığşçöü") <= seen


def test_georgian_is_written_in_mkhedruli_without_capitals() -> None:
    seen: set[str] = set()
    for text in _all_texts(statement.WORDINGS["ka"]):
        plain = string.Formatter().vformat(text, (), {name: "" for name in _names(text)})
        assert unicodedata.is_normalized("NFC", plain)
        for word in plain.split():
            letters = {one for one in word if one.isalpha()}
            latin = {one for one in letters if one.isascii()}
            if latin:
                parts = "".join(one if one.isascii() else " " for one in word)
                parts = parts.replace("-", " ").replace("(", " ").replace(")", " ")
                words = {one.strip(".,:;") for one in parts.split()}
                assert {one for one in words if one.isalpha()} <= LATIN_WORDS, word
            assert letters - latin <= GEORGIAN, word
            seen |= letters
    assert len(seen & GEORGIAN) > 25


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_test_installation_says_so_and_claims_no_device(language: str) -> None:
    own = disclosure.read(disclosure.TEST_TABLE)
    made = statement.compose(own, ca_world.SETTINGS, language)
    assert made.notice.startswith("TEST")
    secure = next(
        one.text
        for one in _sentences(statement.WORDINGS[language])
        if one.condition is wording.Condition.SECURE_DEVICE
    )
    assert secure not in [text for one in made.sections for text in one.points]


def test_only_a_real_installation_with_devices_promises_them() -> None:
    own = disclosure.read(disclosure.REAL_TABLE)
    with_devices = dataclasses.replace(disclosure.REAL_INSTALLATION, keys_in_secure_devices=True)
    for installation, promised in ((with_devices, True), (disclosure.REAL_INSTALLATION, False)):
        made = statement.compose(own, installation, "en")
        points = made.sections[1].points
        assert made.notice == ""
        assert any("are in qualified" in one for one in points) is promised
        assert any("Nothing is promised about the device" in one for one in points) is not promised


def test_facts_come_from_the_settings() -> None:
    own = disclosure.read(disclosure.REAL_TABLE)
    made = statement.compose(own, disclosure.REAL_INSTALLATION, "az")
    contact, certificates, reliance, _, status = made.sections[:5]
    assert [one.text for one in contact.lines][:3] == [
        "Nümunə Sertifikat Mərkəzi", "NTRAZ-1234567890", "Nizami küçəsi 1, AZ1000 Bakı",
    ]  # fmt: skip
    assert certificates.lines[0].text == "1.3.6.1.4.1.1.1.1, 0.4.0.194112.1.0"
    assert "1\u00a0234\u00a0567.50\u00a0AZN" in reliance.paragraphs[0]
    assert status.lines[0].text == "http://pki.localhost/ocsp"
    assert status.lines[0].url == "http://pki.localhost/ocsp"
    assert status.lines[1].url is None


def test_a_fact_that_changes_changes_the_hash_of_the_facts() -> None:
    own = disclosure.read(disclosure.REAL_TABLE)
    before = statement.facts_sha256(own, disclosure.REAL_INSTALLATION)
    assert statement.facts_sha256(own, disclosure.REAL_INSTALLATION) == before
    for change in (
        {"telephone": "+994000000001"}, {"reliance_limit": None}, {"refund_days": 0},
    ):  # fmt: skip
        other = disclosure.read(disclosure.REAL_TABLE, **change)
        assert statement.facts_sha256(other, disclosure.REAL_INSTALLATION) != before


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_statement_tells_of_everything_that_is_certified(language: str) -> None:
    made = statement.compose(disclosure.read(disclosure.TEST_TABLE), ca_world.SETTINGS, language)
    section = next(one for one in made.sections if one.name == "certificates")
    told = {policy for line in section.lines for policy in line.text.split(", ")}
    for name in profiles.SUBSCRIBER_NAMES:
        profile = profiles.subscriber_profile(name, secure_device=True)
        assert set(drafts.policies_of(profile, ca_world.SETTINGS)) <= told, name
    assert sum("X-Road" in one for one in (*section.paragraphs, *section.points)) == 2
