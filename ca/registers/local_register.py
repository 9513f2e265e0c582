"""The embedded register: tables of this installation, filled by `imza ca register import`."""

from sqlalchemy import orm

from ca.registers import facts, tables

NAME = "local"


class LocalRegister:
    """Answers from the CA's own database."""

    name = NAME

    def __init__(self, sessions: orm.sessionmaker[orm.Session]) -> None:
        """Take the database."""
        self._sessions = sessions

    def find_person(self, country: str, person_code: str) -> facts.PersonFacts | None:
        """Return what is known of a person."""
        with self._sessions() as session:
            row = session.get(tables.RegisteredPersonRow, (country, person_code))
            if row is None:
                return None
            return facts.PersonFacts(
                row.country,
                row.person_code,
                row.surname,
                row.given_name,
                facts.PersonState(row.state),
            )

    def find_organisation(self, country: str, code: str) -> facts.OrganisationFacts | None:
        """Return what is known of an organisation."""
        with self._sessions() as session:
            row = session.get(tables.RegisteredOrganisationRow, (country, code))
            if row is None:
                return None
            return facts.OrganisationFacts(
                row.country,
                row.code,
                row.name,
                facts.OrganisationKind(row.kind),
                facts.OrganisationState(row.state),
            )

    def find_representative(
        self, organisation: tuple[str, str], person: tuple[str, str]
    ) -> facts.RepresentativeFacts | None:
        """Return by what right a person acts for an organisation."""
        with self._sessions() as session:
            row = session.get(tables.RegisteredRepresentativeRow, (*organisation, *person))
            if row is None:
                return None
            return facts.RepresentativeFacts(
                row.organisation_country,
                row.organisation_code,
                row.person_country,
                row.person_code,
                row.title,
                row.valid_until,
            )
