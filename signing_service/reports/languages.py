"""The languages that a report can be read in."""

from collections.abc import Mapping

from signing_service.reports import azerbaijani, english, georgian, preferences
from signing_service.reports.wording import Wording

WORDINGS: Mapping[str, Wording] = {
    one.WORDING.language: one.WORDING for one in (azerbaijani, georgian, english)
}

DEFAULT = english.WORDING


def preferred(accept_language: str) -> Wording:
    """The wording that a reader likes best (RFC 9110 12.5.4); English where none of ours fits."""
    for wish in preferences.ordered(accept_language):
        language = wish.partition("-")[0]
        if language in WORDINGS:
            return WORDINGS[language]
    return DEFAULT
