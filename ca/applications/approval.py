"""Who must approve what: the one place that says which applications need two people."""

from pki import errors, registration
from pki import vetting as vettings

ONE_OFFICER_METHODS = frozenset({vettings.Method.IN_PERSON})
"""Who saw the citizen and the document may decide alone (docs/adr/0008)."""


class FourEyesError(errors.PolicyError):
    """The operator who approves is the one who vetted."""

    code = "second-officer-needed"


def needs_second_officer(category: registration.Category, method: vettings.Method) -> bool:
    """Return whether another operator than the one who vetted must approve.

    A citizen who came in person is approved by the vetting itself. A signature or a consulate's
    word is judged by two people, and so is everything that is done for an organisation
    (EN 319 411-1 6.2.2): business people, officials, seals and servers.
    """
    if category is not registration.Category.CITIZEN:
        return True
    return method not in ONE_OFFICER_METHODS


def check_distinct(vetted_by: str, approved_by: str) -> None:
    """Check that two operators decided; names are those of their credentials.

    Raises:
        FourEyesError: It is the same operator twice.
    """
    if vetted_by == approved_by:
        raise FourEyesError(
            "expected the approval of another operator than the one who vetted:"
            " ask a colleague with a credential of their own"
        )
