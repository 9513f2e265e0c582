"""A list of documents on its way: relying party, gateway, phone, applet, and back; all or none."""

import json
from typing import Any

import pytest
import sqlalchemy
from cryptography import x509

from mobile_id import (
    answers,
    gateway,
    list_client,
    results,
    settings,
    transactions,
)
from mobile_id import client as mobile_client
from mobile_id.results import Operation, Result
from mobile_id.signature_list import ListedDocument, SignatureList
from mobile_id.simulation import enrolment, personas, phones, sim_applet
from mobile_id.simulation.pin import Pin
from pki import audit, errors, outbound, signature, usage
from tests.mobile_id.conftest import PARTY_NAME, PARTY_UUID, WHO, World, mid_hash, representation
from tests.mobile_id.test_gateway import ask, seconds


def listed(*texts: str) -> SignatureList:
    return SignatureList(
        tuple(ListedDocument(f"{one}.pdf", representation(one)) for one in texts or ("a", "ə", "c"))
    )


DOCUMENTS = listed()


def ask_list(world: World, documents: SignatureList = DOCUMENTS) -> str:
    request = gateway.SignatureRequest(
        Operation.SIGNATURE, WHO, documents.digest, results.Language.AZE, "", documents
    )
    return world.gateway.request_signature(world.party, PARTY_NAME, request, world.at)


def status(world: World, session_id: str, *, of_list: bool = True) -> gateway.SessionStatus:
    return world.gateway.session_status(
        session_id, Operation.SIGNATURE, "127.0.0.1", world.at, of_list=of_list
    )


def applet_of(world: World, enrolled: enrolment.Enrolment) -> sim_applet.SimApplet:
    return sim_applet.SimApplet(personas.sim_path(world.folder, enrolled.person.phone_number))


def prompt(documents: SignatureList) -> sim_applet.Prompt:
    names = tuple(one.name for one in documents.documents)
    return sim_applet.Prompt(Operation.SIGNATURE, "x", "", documents.digest, names)


def sign(
    world: World, enrolled: enrolment.Enrolment, documents: SignatureList = DOCUMENTS
) -> list[bytes]:
    applet = applet_of(world, enrolled)
    applet.display(prompt(documents))
    applet.confirm()
    return [one.value for one in applet.sign_list(enrolled.person.pin2, documents)]


def wait(
    world: World, started: list_client.StartedList, certificate: x509.Certificate
) -> tuple[signature.SignatureValue, ...]:
    values = None
    while values is None:
        values = list_client.poll(world.relying_party, started, certificate)
    return values


def test_a_confirmed_list_gives_a_value_for_each_document_and_is_recorded_once(
    world: World,
) -> None:
    enrolled = world.enrol()
    session_id = ask_list(world)
    delivered = world.gateway.open_transaction(enrolled.subscriber_id, world.at)
    assert delivered is not None
    assert delivered.documents == DOCUMENTS
    values = sign(world, enrolled)
    for _ in range(2):
        answer = world.gateway.confirm_all(enrolled.subscriber_id, delivered.id, values, world.at)
        assert answer is Result.OK
    assert [one.value for one in status(world, session_id).values] == values
    with pytest.raises(gateway.SessionNotFoundError):
        status(world, session_id, of_list=False)
    with world.sessions() as session:
        (entry,) = session.scalars(sqlalchemy.select(audit.EntryRow))
        counted = list(session.scalars(sqlalchemy.select(usage.UsageRow)))
    details = json.loads(entry.details)
    assert (details["documents"], details["hash"]) == (3, DOCUMENTS.digest.hash.hex())
    assert len(counted) == 1


@pytest.mark.parametrize(
    "kind", ["one missing", "one too many", "two exchanged", "one of another key", "the digest's"]
)
def test_one_value_that_is_wrong_leaves_none(world: World, kind: str) -> None:
    enrolled = world.enrol()
    session_id = ask_list(world)
    delivered = world.gateway.open_transaction(enrolled.subscriber_id, world.at)
    assert delivered is not None
    good = sign(world, enrolled)
    wrong = {
        "one missing": good[:2],
        "one too many": [*good, good[0]],
        "two exchanged": [good[1], good[0], good[2]],
        "one of another key": [*good[:2], bytes([1] * 64)],
        "the digest's": [good[0]],
    }[kind]
    answer = world.gateway.confirm_all(enrolled.subscriber_id, delivered.id, wrong, world.at)
    assert answer is Result.SIGNATURE_HASH_MISMATCH
    found = status(world, session_id)
    assert (found.result, found.values) == (Result.SIGNATURE_HASH_MISMATCH, ())
    with pytest.raises(transactions.TransactionStateError):
        world.gateway.confirm_all(enrolled.subscriber_id, delivered.id, good, world.at)
    with world.sessions() as session:
        assert not list(session.scalars(sqlalchemy.select(audit.EntryRow)))


def test_a_list_expires_as_a_whole_and_a_single_hash_takes_no_list_of_values(world: World) -> None:
    enrolled = world.enrol()
    session_id = ask_list(world)
    late = world.at + settings.Settings().answer_window
    found = world.gateway.session_status(
        session_id, Operation.SIGNATURE, "127.0.0.1", late, of_list=True
    )
    assert (found.result, found.values) == (Result.TIMEOUT, ())
    ask(world, at=late)
    delivered = world.gateway.open_transaction(enrolled.subscriber_id, late + seconds(1))
    assert delivered is not None
    assert delivered.documents is None
    values = sign(world, enrolled)
    answer = world.gateway.confirm_all(
        enrolled.subscriber_id, delivered.id, values, late + seconds(1)
    )
    assert answer is Result.SIGNATURE_HASH_MISMATCH


def test_the_applet_signs_a_list_only_if_it_is_the_one_that_was_shown(world: World) -> None:
    enrolled = world.enrol()
    applet, pin = applet_of(world, enrolled), enrolled.person.pin2
    renamed = SignatureList(
        (ListedDocument("x.pdf", representation("a")), *DOCUMENTS.documents[1:])
    )
    others = (
        listed("a", "ə"), listed("ə", "a", "c"), listed("a", "ə", "c", "d"), listed("a", "ə", "x"),
        renamed,
    )  # fmt: skip
    for other in others:
        applet.display(prompt(DOCUMENTS))
        applet.confirm()
        with pytest.raises(sim_applet.ListChangedError):
            applet.sign_list(pin, other)
        assert applet.step is sim_applet.Step.IDLE
    # Names that were shown and are not those of the list are found out too.
    shown = sim_applet.Prompt(Operation.SIGNATURE, "x", "", DOCUMENTS.digest, ("harmless.pdf",))
    applet.display(shown)
    applet.confirm()
    with pytest.raises(sim_applet.ListChangedError):
        applet.sign_list(pin, DOCUMENTS)
    # No PIN was looked at for any of these.
    assert applet.tries_left(Operation.SIGNATURE) == sim_applet.PIN_TRIES


def test_the_applet_signs_no_digest_of_a_list_and_no_list_for_a_hash(world: World) -> None:
    enrolled = world.enrol()
    applet, pin = applet_of(world, enrolled), enrolled.person.pin2
    with pytest.raises(sim_applet.SimStepError):
        applet.sign_list(pin, DOCUMENTS)
    applet.display(prompt(DOCUMENTS))
    with pytest.raises(sim_applet.SimStepError):
        applet.sign_list(pin, DOCUMENTS)
    applet.confirm()
    with pytest.raises(sim_applet.SimStepError, match="a list was shown"):
        applet.sign(pin)
    applet.cancel()
    applet.display(sim_applet.Prompt(Operation.SIGNATURE, "x", "", DOCUMENTS.digest))
    applet.confirm()
    with pytest.raises(sim_applet.SimStepError, match="a single hash was shown"):
        applet.sign_list(pin, DOCUMENTS)


def test_one_pin_is_for_the_whole_list_and_a_wrong_one_signs_nothing(world: World) -> None:
    enrolled = world.enrol()
    applet = applet_of(world, enrolled)
    applet.display(prompt(DOCUMENTS))
    applet.confirm()
    wrong = Pin("00000" if enrolled.person.pin2.reveal() != "00000" else "11111")
    with pytest.raises(sim_applet.WrongPinError) as caught:
        applet.sign_list(wrong, DOCUMENTS)
    assert caught.value.tries_left == sim_applet.PIN_TRIES - 1
    values = applet.sign_list(enrolled.person.pin2, DOCUMENTS)
    assert len(values) == 3
    assert applet.tries_left(Operation.SIGNATURE) == sim_applet.PIN_TRIES
    key = applet.public_keys[Operation.SIGNATURE]
    for one, value in zip(DOCUMENTS.representations, values, strict=True):
        signature.check_value(key, one, value)


def test_relying_party_gets_every_value_over_http(live: World) -> None:
    enrolled = live.enrol()
    with live.phones_on(enrolled):
        started = list_client.start(live.relying_party, WHO, DOCUMENTS, text="Müqavilələr")
        certificate = live.relying_party.fetch_certificate(WHO)
        values = wait(live, started, certificate)
    for one, value in zip(DOCUMENTS.representations, values, strict=True):
        signature.check_value(certificate.public_key(), one, value)


@pytest.mark.parametrize(
    ("behaviour", "error"),
    [
        (personas.Behaviour.USER_CANCELLED, answers.PhoneRefusedError),
        (personas.Behaviour.SIGNATURE_HASH_MISMATCH, answers.PhoneSignatureError),
        (personas.Behaviour.SIM_ERROR, answers.PhoneFailedError),
    ],
)
def test_list_that_is_not_signed_in_full_gives_no_value(
    live: World, behaviour: personas.Behaviour, error: type[errors.ImzaError]
) -> None:
    enrolled = live.enrol(behaviour)
    certificate = live.relying_party.fetch_certificate(WHO)
    started = list_client.start(live.relying_party, WHO, DOCUMENTS)
    with live.phones_on(enrolled), pytest.raises(error):
        wait(live, started, certificate)


def test_phone_shows_every_name_and_the_code_that_the_relying_party_shows(live: World) -> None:
    enrolled = live.enrol()
    list_client.start(live.relying_party, WHO, DOCUMENTS)
    delivery = live.device(enrolled).fetch(5)
    assert delivery is not None
    assert delivery.prompt.document_names == ("a.pdf", "ə.pdf", "c.pdf")
    assert delivery.prompt.control_code == DOCUMENTS.control_code
    # A phone that compares refuses a list with another code.
    person = enrolled.person
    phone = phones.SimulatedPhone(applet_of(live, enrolled), person, live.device(enrolled))
    other = "0000" if DOCUMENTS.control_code != "0000" else "0001"
    assert phone.answer(delivery, code_on_the_other_screen=other) is Result.USER_CANCELLED


def test_gateway_that_knows_no_lists_is_told_as_such(live: World) -> None:
    live.enrol()
    elsewhere = mobile_client.MobileIdClient(
        live.http, f"{live.base_url}/mobile-device", mobile_client.RelyingParty(PARTY_UUID, "DEMO")
    )
    with pytest.raises(list_client.ListsUnsupportedError):
        list_client.start(elsewhere, WHO, DOCUMENTS)


@pytest.mark.parametrize(
    "documents",
    [
        None, [], "x", [{"name": "a.pdf"}],
        [{"name": "a\u202e.pdf", "hash": mid_hash(), "hashType": "SHA256"}],
        [{"name": "a.pdf", "hash": mid_hash(), "hashType": "SHA256"}] * 21,
    ],
)  # fmt: skip
def test_malformed_list_is_refused_in_the_protocols_own_form(live: World, documents: Any) -> None:
    body = {
        "relyingPartyUUID": PARTY_UUID, "relyingPartyName": PARTY_NAME, "language": "ENG",
        "phoneNumber": WHO.phone_number, "nationalIdentityNumber": WHO.person_code,
        "documents": documents,
    }  # fmt: skip
    with pytest.raises(outbound.PeerAnswerError) as caught:
        live.http.send_json("POST", f"{live.api_root}/imza/signature-list", body)
    assert caught.value.reply is not None
    assert caught.value.reply.status == 400
    said = caught.value.reply.json()
    assert isinstance(said, dict)
    assert said["error"].startswith("documents: ")


def test_published_paths_neither_take_nor_show_lists(live: World) -> None:
    live.enrol()
    started = list_client.start(live.relying_party, WHO, DOCUMENTS)
    for path in ("signature", "authentication"):
        with pytest.raises(answers.SessionGoneError):
            live.relying_party.poll(path, started.session_id, 1000)
    alone = live.relying_party.start_signature(WHO, representation())
    with pytest.raises(answers.SessionGoneError):
        live.relying_party.poll(list_client.PATH, alone.session_id, 1000)
