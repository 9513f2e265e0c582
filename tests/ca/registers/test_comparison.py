"""What a register says decides: compared with the local one and with one over HTTP."""

import dataclasses
import datetime
import pathlib
from collections.abc import Iterator
from typing import Any

import fastapi
import pytest
from fastapi import responses

from ca import subjects
from ca.registers import comparison, facts, http_register
from ca.registers import settings as register_settings
from pki import errors, outbound, registration
from tests.support import ca_world, servers

ON = datetime.date(2026, 1, 31)
PERSON = facts.PersonFacts(
    "AZ", "5AB12CD", ca_world.CITIZEN.surname, ca_world.CITIZEN.given_name, facts.PersonState.ALIVE
)
ORGANISATION = facts.OrganisationFacts(
    "AZ",
    ca_world.ORGANISATION.code,
    ca_world.ORGANISATION.name,
    facts.OrganisationKind.STATE_BODY,
    facts.OrganisationState.ACTIVE,
)
REPRESENTATIVE = facts.RepresentativeFacts(
    "AZ", ca_world.ORGANISATION.code, "AZ", "5AB12CD", "Direktor", ON
)
OFFICIAL = subjects.Applicant(
    registration.Category.OFFICIAL, ca_world.CITIZEN, ca_world.ORGANISATION, "Direktor"
)
CITIZEN = subjects.Applicant(registration.Category.CITIZEN, ca_world.CITIZEN)


@dataclasses.dataclass
class KnownRegister:
    """A register that knows what it is told."""

    person: facts.PersonFacts | None = PERSON
    organisation: facts.OrganisationFacts | None = ORGANISATION
    representative: facts.RepresentativeFacts | None = REPRESENTATIVE
    name: str = "TEST register"

    def find_person(self, country: str, person_code: str) -> facts.PersonFacts | None:
        return self.person

    def find_organisation(self, country: str, code: str) -> facts.OrganisationFacts | None:
        return self.organisation

    def find_representative(
        self, organisation: tuple[str, str], person: tuple[str, str]
    ) -> facts.RepresentativeFacts | None:
        return self.representative


def _change(value: Any, **changes: object) -> Any:
    return dataclasses.replace(value, **changes)


def test_a_register_that_agrees_lets_pass_and_leaves_a_digest() -> None:
    found = comparison.compare(KnownRegister(), OFFICIAL, "AZ", ON)
    assert found.found == ("organisation", "person", "representative")
    other = KnownRegister(representative=_change(REPRESENTATIVE, valid_until=None))
    assert comparison.compare(other, OFFICIAL, "AZ", ON).answer_sha256 != found.answer_sha256
    assert comparison.compare(KnownRegister(), CITIZEN, "AZ", ON).found == ("person",)


DISAGREEMENTS: dict[str, tuple[KnownRegister, str]] = {
    "nobody": (KnownRegister(person=None), "person_code"),
    "deceased": (
        KnownRegister(person=_change(PERSON, state=facts.PersonState.DECEASED)),
        "deceased",
    ),
    "another surname": (
        KnownRegister(person=_change(PERSON, surname="Aliyeva")),
        "surname differs",
    ),
    "another letter": (
        KnownRegister(person=_change(PERSON, given_name="Gunay Öztürk")),
        "given_name differs",
    ),
    "upper case": (
        KnownRegister(person=_change(PERSON, surname=PERSON.surname.upper())),
        "surname differs",
    ),
    "no organisation": (KnownRegister(organisation=None), "no organisation"),
    "struck off": (
        KnownRegister(organisation=_change(ORGANISATION, state=facts.OrganisationState.STRUCK_OFF)),
        "struck off",
    ),
    "another name": (
        KnownRegister(organisation=_change(ORGANISATION, name="TEST MMC")),
        "organisation.name differs",
    ),
    "no state body": (
        KnownRegister(organisation=_change(ORGANISATION, kind=facts.OrganisationKind.LEGAL_ENTITY)),
        "no state body",
    ),
    "no representative": (KnownRegister(representative=None), "no representative"),
    "ended yesterday": (
        KnownRegister(
            representative=_change(REPRESENTATIVE, valid_until=ON - datetime.timedelta(days=1))
        ),
        "has ended",
    ),
    "another title": (
        KnownRegister(representative=_change(REPRESENTATIVE, title="Müdir")),
        "title differs",
    ),
}


@pytest.mark.parametrize("name", DISAGREEMENTS)
def test_what_differs_is_told_by_its_field_and_refused(name: str) -> None:
    register, said = DISAGREEMENTS[name]
    with pytest.raises(comparison.RegisterMismatchError, match=said) as refused:
        comparison.compare(register, OFFICIAL, "AZ", ON)
    for secret in ("5AB12CD", PERSON.surname, PERSON.given_name):
        assert secret not in refused.value.message


def test_all_differences_are_told_at_once() -> None:
    register = KnownRegister(
        person=_change(PERSON, surname="X", given_name="Y"), representative=None
    )
    with pytest.raises(comparison.RegisterMismatchError) as refused:
        comparison.compare(register, OFFICIAL, "AZ", ON)
    for said in ("surname differs", "given_name differs", "no representative"):
        assert said in refused.value.message


def test_the_same_letters_in_another_unicode_form_agree() -> None:
    decomposed = _change(PERSON, given_name="Gu\u0308nay O\u0308ztu\u0308rk")
    comparison.compare(KnownRegister(person=decomposed), CITIZEN, "AZ", ON)


def test_a_non_resident_may_be_unknown_but_not_contradicted() -> None:
    stranger = subjects.Applicant(registration.Category.CITIZEN, ca_world.GEORGIAN)
    assert comparison.compare(KnownRegister(person=None), stranger, "AZ", ON).found == ()
    known = facts.PersonFacts("GE", "01234567890", "Başqa", "ნინო", facts.PersonState.ALIVE)
    with pytest.raises(comparison.RegisterMismatchError, match="surname differs"):
        comparison.compare(KnownRegister(person=known), stranger, "AZ", ON)


def test_an_answer_about_somebody_else_is_a_failed_register() -> None:
    other = _change(PERSON, person_code="7XY34ZK")
    with pytest.raises(facts.RegisterAnswerError):
        comparison.compare(KnownRegister(person=other), CITIZEN, "AZ", ON)


@dataclasses.dataclass
class Peer:
    """A register over HTTP; `answers` are by path."""

    answers: dict[str, tuple[int, object]]
    asked: list[tuple[str, dict[str, Any], str | None]]
    register: http_register.HttpRegister


@pytest.fixture
def peer(tmp_path: pathlib.Path) -> Iterator[Peer]:
    app = fastapi.FastAPI()
    token = tmp_path / "token"
    token.write_text("TEST-token\n")
    client = outbound.Client(timeout_s=2)

    @app.post("/v1/{noun}")
    def answer(noun: str, body: dict[str, Any], request: fastapi.Request) -> fastapi.Response:
        made.asked.append((noun, body, request.headers.get("authorization")))
        status, value = made.answers[noun]
        if isinstance(value, bytes):
            return fastapi.Response(value, status)
        return responses.JSONResponse(value, status)

    with servers.serve(app) as base_url:
        made = Peer({}, [], http_register.HttpRegister("state", f"{base_url}/v1", token, client))
        yield made
    client.close()


ANSWERS: dict[str, dict[str, object]] = {
    "people": {
        "country": "AZ",
        "person_code": "5AB12CD",
        "surname": PERSON.surname,
        "given_name": PERSON.given_name,
        "state": "alive",
    },
    "organisations": {
        "country": "AZ",
        "code": ORGANISATION.code,
        "name": ORGANISATION.name,
        "kind": "state_body",
        "state": "active",
    },
    "representatives": {
        "organisation_country": "AZ",
        "organisation_code": ORGANISATION.code,
        "person_country": "AZ",
        "person_code": "5AB12CD",
        "title": "Direktor",
        "valid_until": "2026-01-31",
    },
}


def test_a_register_over_http_says_the_same_as_a_local_one(peer: Peer) -> None:
    peer.answers = {noun: (200, answer) for noun, answer in ANSWERS.items()}
    found = comparison.compare(peer.register, OFFICIAL, "AZ", ON)
    assert found == comparison.compare(KnownRegister(), OFFICIAL, "AZ", ON)
    assert [noun for noun, _, _ in peer.asked] == ["people", "organisations", "representatives"]
    assert {token for _, _, token in peer.asked} == {"Bearer TEST-token"}
    assert peer.asked[0][1] == {"country": "AZ", "person_code": "5AB12CD"}


def test_only_the_registers_own_not_found_means_that_nobody_is_there(peer: Peer) -> None:
    peer.answers = {"people": (404, {"code": "not-found"})}
    assert peer.register.find_person("AZ", "5AB12CD") is None
    for answer in ({}, {"detail": "Not Found"}, [], b"<html>"):
        peer.answers = {"people": (404, answer)}
        with pytest.raises(errors.PeerError):
            peer.register.find_person("AZ", "5AB12CD")


@pytest.mark.parametrize(
    "answer",
    [
        (200, {}),
        (200, []),
        (200, None),
        (200, b"not JSON"),
        (200, b"[" * 100_000),
        (200, {**ANSWERS["people"], "state": "asleep"}),
        (200, {**ANSWERS["people"], "state": None}),
        (200, {**ANSWERS["people"], "surname": 5}),
        (200, {**ANSWERS["people"], "surname": None}),
        (200, b"x" * (outbound.DEFAULT_MAX_BYTES + 1)),
        (301, {}),
        (401, {}),
        (500, {}),
        (503, b""),
    ],
    ids=lambda one: str(one)[:40],
)
def test_any_other_answer_is_a_failure_and_never_a_yes(
    peer: Peer, answer: tuple[int, object]
) -> None:
    peer.answers = {"people": answer}
    with pytest.raises(errors.PeerError):
        peer.register.find_person("AZ", "5AB12CD")


def test_an_answer_about_another_representative_is_a_failure(peer: Peer) -> None:
    peer.answers = {"representatives": (200, {**ANSWERS["representatives"], "person_code": "X"})}
    with pytest.raises(facts.RegisterAnswerError):
        peer.register.find_representative(("AZ", ORGANISATION.code), ("AZ", "5AB12CD"))


def test_a_register_that_is_down_is_a_failure(peer: Peer) -> None:
    down = dataclasses.replace(peer.register, url=f"http://127.0.0.1:{servers.free_port()}")
    with pytest.raises(outbound.PeerUnavailableError):
        down.find_person("AZ", "5AB12CD")


@pytest.mark.parametrize("content", [None, b"", b"\xff", b"two\nlines"])
def test_a_token_that_cannot_be_sent_is_a_failure(peer: Peer, content: bytes | None) -> None:
    assert peer.register.token_file is not None
    peer.register.token_file.unlink()
    if content is not None:
        peer.register.token_file.write_bytes(content)
    with pytest.raises(http_register.RegisterTokenError):
        peer.register.find_person("AZ", "5AB12CD")
    assert peer.asked == []


@pytest.mark.parametrize(
    "given",
    [
        {"kind": "other"},
        {"kind": "local", "url": "https://x.example"},
        {"kind": "http", "name": "x"},
        {"kind": "http", "name": "x", "url": "http://x.example"},
        {"kind": "http", "name": "x", "url": "https://u:p@x.example"},
        {"kind": "http", "name": "local", "url": "https://x.example"},
        {"kind": "http", "url": "https://x.example"},
        {"kind": "http", "name": "x", "url": "https://x.example", "timeout": 0},
    ],
)
def test_settings_that_lead_nowhere_are_refused(given: dict[str, Any]) -> None:
    with pytest.raises(register_settings.RegisterSettingsError):
        register_settings.Settings(**given)
