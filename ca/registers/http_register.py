"""A register that another body runs, asked over HTTP; docs/registers.md describes the answers."""

import dataclasses
import datetime
import pathlib
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from ca.registers import facts
from pki import errors, outbound

UNKNOWN = "not-found"
"""The code of the register's own 404: nobody has this number."""

Found = TypeVar("Found")


class RegisterTokenError(errors.PeerError):
    """The token for the register cannot be read; an operator of the CA must see to it."""

    code = "register-token"
    retriable = False


@dataclasses.dataclass(frozen=True)
class HttpRegister:
    """Asks a service; one that is down, slow or unclear raises and is never taken for a yes.

    Attributes:
        name: How vetting records name it.
        url: Its base address.
        token_file: Holds the bearer token; read for each question, so that it can be changed.
        client: Sends the questions under its time and size limits.
    """

    name: str
    url: str
    token_file: pathlib.Path | None
    client: outbound.Client

    def find_person(self, country: str, person_code: str) -> facts.PersonFacts | None:
        """Return what is known of a person."""
        return self._find(
            "people",
            {"country": country, "person_code": person_code},
            lambda answer: facts.PersonFacts(
                _text(answer, "country"),
                _text(answer, "person_code"),
                _text(answer, "surname"),
                _text(answer, "given_name"),
                facts.PersonState(answer["state"]),
            ),
        )

    def find_organisation(self, country: str, code: str) -> facts.OrganisationFacts | None:
        """Return what is known of an organisation."""
        return self._find(
            "organisations",
            {"country": country, "code": code},
            lambda answer: facts.OrganisationFacts(
                _text(answer, "country"),
                _text(answer, "code"),
                _text(answer, "name"),
                facts.OrganisationKind(answer["kind"]),
                facts.OrganisationState(answer["state"]),
            ),
        )

    def find_representative(
        self, organisation: tuple[str, str], person: tuple[str, str]
    ) -> facts.RepresentativeFacts | None:
        """Return by what right a person acts for an organisation."""
        found = self._find(
            "representatives",
            {
                "organisation_country": organisation[0],
                "organisation_code": organisation[1],
                "person_country": person[0],
                "person_code": person[1],
            },
            lambda answer: facts.RepresentativeFacts(
                _text(answer, "organisation_country"),
                _text(answer, "organisation_code"),
                _text(answer, "person_country"),
                _text(answer, "person_code"),
                _text(answer, "title"),
                None
                if answer["valid_until"] is None
                else datetime.date.fromisoformat(_text(answer, "valid_until")),
            ),
        )
        if found is not None and (
            (found.organisation_country, found.organisation_code) != organisation
            or (found.person_country, found.person_code) != person
        ):
            raise facts.RegisterAnswerError("the register answered about another representative")
        return found

    def _find(
        self, noun: str, question: Mapping[str, str], read: Callable[[Mapping[str, Any]], Found]
    ) -> Found | None:
        # The numbers of people stand in the body: addresses end up in everybody's logs.
        reply = self.client.send_json(
            "POST",
            f"{self.url.rstrip('/')}/{noun}",
            question,
            headers=self._headers(),
            expect=(200, 404),
        )
        answer = reply.json()
        if not isinstance(answer, dict):
            raise facts.RegisterAnswerError("expected a JSON object from the register")
        if reply.status == 404:
            # Only the register's own word counts: a proxy's 404 says nothing about a person.
            if answer.get("code") != UNKNOWN:
                raise facts.RegisterAnswerError(
                    f"expected the code {UNKNOWN!r} in the register's 404, got another answer"
                )
            return None
        try:
            return read(answer)
        except (KeyError, ValueError, TypeError) as error:
            raise facts.RegisterAnswerError(
                f"the register's answer about {noun} lacks a field, or has another value in it"
            ) from error

    def _headers(self) -> Mapping[str, str]:
        if self.token_file is None:
            return {}
        try:
            token = self.token_file.read_text(encoding="ascii").strip()
        except (OSError, UnicodeDecodeError) as error:
            raise RegisterTokenError("the file with the register's token is unreadable") from error
        if not token.isprintable() or not token:
            raise RegisterTokenError("expected one line of text as the register's token")
        return {"Authorization": f"Bearer {token}"}


def _text(answer: Mapping[str, Any], field: str) -> str:
    value = answer[field]
    if not isinstance(value, str):
        raise TypeError(f"expected text in {field}")
    return value
