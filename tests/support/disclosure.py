"""The settings of disclosure statements, for a test and for a real installation."""

import dataclasses
import datetime
from typing import Any

from ca import settings as ca_settings
from ca.disclosure import settings as disclosure_settings
from imza import sandbox_disclosure
from pki import settings
from tests.support import ca_world

TEST_TABLE: dict[str, Any] = dict(sandbox_disclosure.section("https://pki.localhost"))

REAL_TABLE: dict[str, Any] = {
    **TEST_TABLE,
    "effective": datetime.date(2026, 1, 31),
    "address": "Nizami küçəsi 1, AZ1000 Bakı",
    "supervisory_body": [
        {"language": "az", "text": "Nəzarət Xidməti"},
        {"language": "ka", "text": "საზედამხედველო სამსახური"},
        {"language": "en", "text": "Supervision Service"},
    ],
    "liability_limit": "10000",
    "reliance_limit": "1234567.50",
    "refund_days": 14,
}

REAL_INSTALLATION = dataclasses.replace(
    ca_world.SETTINGS,
    test=False,
    policy_arc="1.3.6.1.4.1.1.1",
    disclosures=(ca_settings.Disclosure("https://pki.localhost/pds/en", "en"),),
    base_url="http://pki.localhost",
)


def read(table: dict[str, Any], **changes: Any) -> disclosure_settings.Settings:
    """The section with some entries changed; None takes one out."""
    changed = {**table, **changes}
    kept = {name: value for name, value in changed.items() if value is not None}
    return settings.read_section(disclosure_settings.Settings, kept)
