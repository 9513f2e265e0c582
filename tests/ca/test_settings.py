import dataclasses
import datetime
from typing import Any

import pytest

from ca import settings as ca_settings
from pki import errors, settings
from tests.support import ca_world

TABLE: dict[str, object] = {
    "country": "GE",
    "organisation_name": "სატესტო ცენტრი",
    "organisation_code": "123456789",
    "base_url": "http://pki.example.ge/",
    "policy_arc": "1.3.6.1.4.1.1.1",
    "crl_validity": 3600,
    "disclosures": [{"url": "https://pki.example.ge/pds.pdf", "language": "en"}],
}


def test_a_section_is_read_with_its_addresses() -> None:
    read = settings.read_section(ca_settings.Settings, TABLE)
    assert read.crl_url("root") == "http://pki.example.ge/crl/root.crl"
    assert read.certificate_url("root") == "http://pki.example.ge/ca/root.cer"
    assert read.status_url == "http://pki.example.ge/ocsp"
    assert read.crl_validity == datetime.timedelta(hours=1)
    assert read.legislation == ("GE",)
    assert not read.secure_device


@pytest.mark.parametrize(
    "change",
    [
        {"country": "XX"},
        {"organisation_code": "12"},
        {"organisation_name": ""},
        {"organisation_name": "x" * 57},
        {"base_url": "https://pki.example.com"},
        {"base_url": "ftp://pki.example.com"},
        {"base_url": "http://nümunə.example.com"},
        {"ocsp_url": "https://pki.example.com/ocsp"},
        {"disclosures": ()},
        {"disclosures": (ca_settings.Disclosure("https://pki.example.com/az.pdf", "az"),)},
        {"disclosures": (ca_settings.Disclosure("http://pki.example.com/en.pdf", "en"),)},
        {"disclosures": (ca_settings.Disclosure("https://pki.example.com/en.pdf"),) * 2},
        {"policy_arc": "1.2.3"},
        {"test": False},
        {"test": False, "policy_arc": "1.3.6.1.4.1.32473.1"},
        {"test": False, "policy_arc": "2.999"},
        {"test": False, "policy_arc": "our own"},
    ],
)
def test_settings_that_break_every_certificate_are_refused_at_the_start(
    change: dict[str, Any],
) -> None:
    with pytest.raises(errors.InputError):
        dataclasses.replace(ca_world.SETTINGS, **change)


@pytest.mark.clause("EN 319 412-5", "4.2.4")
def test_a_country_of_the_union_states_no_legislation() -> None:
    assert "AZ" not in ca_settings.EU_COUNTRIES
    assert len(ca_settings.EU_COUNTRIES) == 27
