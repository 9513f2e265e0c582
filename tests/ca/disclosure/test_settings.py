import pathlib
from typing import Any

import pytest

from ca.disclosure import settings, statement
from pki import errors
from tests.support import ca_world, disclosure

LOCAL = [{"language": one, "text": "TODO"} for one in ("az", "ka", "en")]


@pytest.mark.parametrize(
    "change",
    [
        {"version": "first"},
        {"version": "1.0/../x"},
        {"languages": ["az", "ka"]},
        {"languages": ["en", "ru"]},
        {"languages": ["en", "en"]},
        {"website": "http://pki.localhost"},
        {"policy_url": "https://"},
        {"privacy_url": "https://pki.localhost/ə"},
        {"email": "nobody"},
        {"complaints_email": "a b@localhost"},
        {"telephone": "112"},
        {"address": ""},
        {"address": "two\nlines"},
        {"law": [{"language": "en", "text": "The law of Azerbaijan."}]},
        {"courts": [*LOCAL, {"language": "en", "text": "again"}]},
        {"complaints_days": 0},
        {"refund_days": -1},
        {"liability_limit": "0"},
        {"currency": "manat"},
    ],
)
def test_an_incomplete_or_wrong_section_is_refused(change: dict[str, Any]) -> None:
    with pytest.raises(errors.InputError):
        disclosure.read(disclosure.TEST_TABLE, **change)


@pytest.mark.clause("EN 319 411-1", "6.4.6")
def test_records_are_kept_for_seven_years_at_least() -> None:
    with pytest.raises(settings.DisclosureSettingsError, match="at least 7, got 6"):
        disclosure.read(disclosure.TEST_TABLE, retention_years=6)


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"address": "TODO"}, "address"),
        ({"address": "Street <number>"}, "address"),
        ({"website": "https://www.example.az/"}, "website"),
        ({"email": "info@pki.example"}, "email"),
        ({"law": LOCAL}, r"law \(az\)"),
        ({"audits": [{**one, "text": "Audited by ..."} for one in LOCAL]}, r"audits \(az\)"),
    ],
)
def test_a_real_installation_cannot_publish_placeholders(
    change: dict[str, Any], named: str
) -> None:
    own = disclosure.read(disclosure.REAL_TABLE, **change)
    with pytest.raises(settings.DisclosureSettingsError, match=f"own {named}, got a placeholder"):
        statement.compose(own, disclosure.REAL_INSTALLATION, "en")
    assert statement.compose(own, ca_world.SETTINGS, "en").notice.startswith("TEST")


def test_a_placeholder_is_refused_even_where_its_language_comes_last() -> None:
    texts = [{**one, "text": "TODO" if one["language"] == "en" else "?"} for one in LOCAL]
    own = disclosure.read(disclosure.REAL_TABLE, courts=texts)
    with pytest.raises(settings.DisclosureSettingsError, match=r"courts \(en\)"):
        statement.compose(own, disclosure.REAL_INSTALLATION, "az")


def test_fonts_are_those_of_the_settings() -> None:
    own = disclosure.read(disclosure.TEST_TABLE, font="/fonts/a.ttf")
    assert own.font == pathlib.Path("/fonts/a.ttf")
