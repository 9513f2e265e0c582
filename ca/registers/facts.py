"""What a register knows, and the two ways of asking one: a table here, or a service elsewhere."""

import dataclasses
import datetime
import enum
from typing import Protocol

from pki import errors


class RegisterAnswerError(errors.PeerError):
    """The register answered with something that is not what was agreed."""

    code = "register-answer"
    retriable = False


class PersonState(enum.Enum):
    """Whether a person lives."""

    ALIVE = "alive"
    DECEASED = "deceased"


class OrganisationState(enum.Enum):
    """Whether an organisation exists."""

    ACTIVE = "active"
    STRUCK_OFF = "struck_off"


class OrganisationKind(enum.Enum):
    """Whose officials there are, and whose business people."""

    STATE_BODY = "state_body"
    LEGAL_ENTITY = "legal_entity"


@dataclasses.dataclass(frozen=True)
class PersonFacts:
    """A person: by FIN in Azerbaijan, by personal number in Georgia."""

    country: str
    person_code: str = dataclasses.field(repr=False)
    surname: str = dataclasses.field(repr=False)
    given_name: str = dataclasses.field(repr=False)
    state: PersonState


@dataclasses.dataclass(frozen=True)
class OrganisationFacts:
    """An organisation: by VÖEN in Azerbaijan, by identification code in Georgia."""

    country: str
    code: str
    name: str
    kind: OrganisationKind
    state: OrganisationState


@dataclasses.dataclass(frozen=True)
class RepresentativeFacts:
    """Who may act for an organisation.

    Attributes:
        organisation_country: Of the organisation's number.
        organisation_code: The organisation's number.
        person_country: Of the person's number.
        person_code: The person's number.
        title: The person's position.
        valid_until: The last day; None where it has none.
    """

    organisation_country: str
    organisation_code: str
    person_country: str
    person_code: str = dataclasses.field(repr=False)
    title: str
    valid_until: datetime.date | None


class Register(Protocol):
    """An authentic source; every call may raise `PeerError` or `DatabaseError`, never guesses."""

    @property
    def name(self) -> str:
        """How vetting records name it."""

    def find_person(self, country: str, person_code: str) -> PersonFacts | None:
        """Return what is known of a person; None: nobody has this number."""

    def find_organisation(self, country: str, code: str) -> OrganisationFacts | None:
        """Return what is known of an organisation; None: none has this number."""

    def find_representative(
        self, organisation: tuple[str, str], person: tuple[str, str]
    ) -> RepresentativeFacts | None:
        """Return by what right a person acts for an organisation, each as country and number."""
