"""Statistics and statements from the side of who asks the CA for them."""

import urllib.parse
from collections.abc import Mapping

from pki import operator_roles, registration_answers, registration_calls

ROLE = operator_roles.Role.AUDITOR
"""Whom the calls are made as, where the keys of several operators are at hand."""


def statistics(
    client: registration_calls.RegistrationClient, first: str | None, last: str | None
) -> Mapping[str, object]:
    """Return the statistics of some months, such as `2026-10`.

    Raises:
        RegistrationRefusedError: The CA refused.
        PeerError: It did not answer, or not as its API says.
    """
    asked = {name: text for name, text in (("from", first), ("to", last)) if text is not None}
    query = urllib.parse.urlencode(asked)
    path = f"statistics?{query}" if query else "statistics"
    answer = client.call("GET", path, None, role=ROLE)
    names = ("certificates", "uses", "totals", "fees", "sources")
    if not all(isinstance(answer.get(one), list) for one in names):
        raise registration_answers.RegistrationAnswerError(
            f"expected {', '.join(names)} from the CA"
        )
    return answer


def usage_statement(
    client: registration_calls.RegistrationClient, month: str, relying_party: str
) -> Mapping[str, object]:
    """Return what a relying party used in a month, and what it owes; raises as `statistics`."""
    query = urllib.parse.urlencode({"month": month, "relying_party": relying_party})
    answer = client.call("GET", f"statistics/usage?{query}", None, role=ROLE)
    if not isinstance(answer.get("lines"), list) or not isinstance(answer.get("total"), dict):
        raise registration_answers.RegistrationAnswerError("expected lines and a total from the CA")
    return answer
