import dataclasses
import datetime

import pytest

from ca.trusted_list import settings
from tests.support import trusted_lists


@pytest.mark.parametrize(
    "change",
    [
        {"street_address": ""},
        {"locality": "a\nb"},
        {"postal_code": "x" * 201},
        {"email": "nobody"},
        {"email": "a b@c"},
        {"website": "http://example.com"},
        {"website": "https://"},
        {"languages": ("az",)},
        {"languages": ("en", "en")},
        {"languages": ("en", "fr")},
        {"validity": datetime.timedelta(days=200)},
        {"renewal": datetime.timedelta(days=30)},
        {"renewal": datetime.timedelta(0)},
    ],
)
def test_a_scheme_that_would_break_the_standard_is_refused(change: dict[str, object]) -> None:
    with pytest.raises(settings.TrustedListSettingsError):
        dataclasses.replace(trusted_lists.SCHEME, **change)  # type: ignore[arg-type]


@pytest.mark.clause("TS 119 612", "5.3.15")
def test_six_months_are_the_longest_validity() -> None:
    longest = dataclasses.replace(trusted_lists.SCHEME, validity=settings.MAX_VALIDITY)
    assert longest.validity.days == 181
