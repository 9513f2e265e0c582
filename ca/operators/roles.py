"""Operators' roles and what each may do (EN 319 401 7.2: least privilege, separation of duties)."""

import dataclasses
import enum
from collections.abc import Mapping

from pki import operator_roles


class Permission(enum.Enum):
    """One kind of call to the registration API."""

    READ_APPLICATIONS = "read-applications"
    RECORD_APPLICATIONS = "record-applications"
    VET_APPLICATIONS = "vet-applications"
    APPROVE_APPLICATIONS = "approve-applications"
    REJECT_APPLICATIONS = "reject-applications"
    CERTIFY = "certify"
    READ_CERTIFICATES = "read-certificates"
    SUSPEND = "suspend"
    REVOKE = "revoke"
    PUBLISH = "publish"
    READ_OPERATORS = "read-operators"
    ADMINISTER_OPERATORS = "administer-operators"
    RENEW_OWN_CERTIFICATE = "renew-own-certificate"
    ADMINISTER_AUTHORITIES = "administer-authorities"
    READ_STATISTICS = "read-statistics"
    READ_AUDIT = "read-audit"


Role = operator_roles.Role

_EVERYBODY = frozenset({Permission.RENEW_OWN_CERTIFICATE})

PERMISSIONS: Mapping[Role, frozenset[Permission]] = {
    Role.RA_OFFICER: frozenset(
        {
            Permission.READ_APPLICATIONS,
            Permission.RECORD_APPLICATIONS,
            Permission.VET_APPLICATIONS,
            Permission.REJECT_APPLICATIONS,
            Permission.CERTIFY,
            Permission.READ_CERTIFICATES,
            Permission.SUSPEND,
            Permission.REVOKE,
        }
    )
    | _EVERYBODY,
    Role.APPROVER: frozenset(
        {
            Permission.READ_APPLICATIONS,
            Permission.APPROVE_APPLICATIONS,
            Permission.REJECT_APPLICATIONS,
            Permission.READ_CERTIFICATES,
            Permission.SUSPEND,
            Permission.REVOKE,
        }
    )
    | _EVERYBODY,
    Role.CA_ADMINISTRATOR: frozenset(
        {
            Permission.READ_CERTIFICATES,
            Permission.PUBLISH,
            Permission.READ_OPERATORS,
            Permission.ADMINISTER_OPERATORS,
            Permission.ADMINISTER_AUTHORITIES,
            Permission.READ_STATISTICS,
            # Of operators and services; see `reach`.
            Permission.SUSPEND,
            Permission.REVOKE,
        }
    )
    | _EVERYBODY,
    Role.AUDITOR: frozenset(
        {
            Permission.READ_APPLICATIONS,
            Permission.READ_CERTIFICATES,
            Permission.READ_OPERATORS,
            Permission.READ_STATISTICS,
            Permission.READ_AUDIT,
        }
    )
    | _EVERYBODY,
}
"""Nobody who takes applications approves them, and nobody who does either reads the audit log
as its auditor."""


@dataclasses.dataclass(frozen=True)
class Operator:
    """Who makes a call, as the gate made sure of it.

    Attributes:
        name: The operator's own name in this installation; two names are two people.
        role: What they may ask for, by `PERMISSIONS`.
    """

    name: str
    role: Role

    @property
    def actor(self) -> str:
        """How the audit log names them."""
        return f"operator:{self.name}"
