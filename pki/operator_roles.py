"""The roles of the CA's operators, as clients and the CA name them."""

import enum


class Role(enum.Enum):
    """What an operator of the CA is there for; each has one role, by a certificate of its own.

    `RA_OFFICER` sees people and takes their applications. `APPROVER` decides on what others took.
    `CA_ADMINISTRATOR` looks after authorities, publication and operators. `AUDITOR` reads.
    """

    RA_OFFICER = "ra-officer"
    APPROVER = "approver"
    CA_ADMINISTRATOR = "ca-administrator"
    AUDITOR = "auditor"
