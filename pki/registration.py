"""What is registered: the words that applications, the CA and its clients share."""

import dataclasses
import enum

CMS_TYPE = "application/pkcs7-mime"
"""Of a renewal request (RFC 8551 3.2)."""

MAX_BATCH = 100
"""How many certificates one call may ask for; its body holds 64 KiB besides."""


class Category(enum.Enum):
    """In what role somebody applies: a person for themselves or for others, or an organisation.

    Each category of people has an issuing CA of its own; the one of business certifies the seals
    and servers of organisations too.
    """

    CITIZEN = "citizen"
    BUSINESS = "business"
    OFFICIAL = "official"
    ORGANISATION = "organisation"


class ApplicationState(enum.Enum):
    """How far an application came; a vetted one is approved, or awaits a second officer."""

    RECORDED = "recorded"
    AWAITING_APPROVAL = "awaiting_approval"
    APPROVED = "approved"
    CERTIFIED = "certified"
    REJECTED = "rejected"


@dataclasses.dataclass(frozen=True)
class Person:
    """A person as the identity document names them."""

    country: str
    person_code: str = dataclasses.field(repr=False)
    surname: str = dataclasses.field(repr=False)
    given_name: str = dataclasses.field(repr=False)


@dataclasses.dataclass(frozen=True)
class Organisation:
    """The organisation that a person acts for, or that is certified itself."""

    country: str
    code: str
    name: str


@dataclasses.dataclass(frozen=True)
class Server:
    """An organisation's X-Road security server.

    Attributes:
        member_class: The class of the member, such as GOV; its code is the organisation's.
        dns_name: The server's name, which its authentication certificate carries.
    """

    member_class: str
    dns_name: str | None = None


@dataclasses.dataclass(frozen=True)
class Application:
    """An application as the CA keeps it."""

    id: str
    state: ApplicationState
    request_hash: str
