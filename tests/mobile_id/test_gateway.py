import datetime
from typing import Any

import pytest
import sqlalchemy
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from mobile_id import addressee, gateway, results, settings, subscribers, transactions
from mobile_id.results import CertificateResult, Operation, Result
from mobile_id.simulation import enrolment, personas, sim_applet
from pki import audit, clock, errors
from tests.mobile_id.conftest import PARTY_NAME, WHO, World, representation


def ask(world: World, who: addressee.Addressee = WHO, text: str = "contract", **given: Any) -> str:
    operation = given.get("operation", Operation.SIGNATURE)
    request = gateway.SignatureRequest(
        operation, who, representation(text), given.get("language", results.Language.AZE), "Text"
    )
    return world.gateway.request_signature(
        world.party, PARTY_NAME, request, given.get("at", world.at)
    )


def status(
    world: World, session_id: str, at: datetime.datetime | None = None
) -> gateway.SessionStatus:
    return world.gateway.session_status(
        session_id, Operation.SIGNATURE, "127.0.0.1", at or world.at
    )


def sign(world: World, enrolled: enrolment.Enrolment, text: str = "contract") -> bytes:
    person = enrolled.person
    applet = sim_applet.SimApplet(personas.sim_path(world.folder, person.phone_number))
    applet.display(sim_applet.Prompt(Operation.SIGNATURE, "x", "y", representation(text)))
    applet.confirm()
    return applet.sign(person.pin2).value


def seconds(count: float) -> datetime.timedelta:
    return datetime.timedelta(seconds=count)


def test_a_confirmed_value_is_given_out_and_recorded_for_auditors(world: World) -> None:
    enrolled = world.enrol()
    session_id = ask(world)
    assert status(world, session_id).result is None
    delivered = world.gateway.open_transaction(enrolled.subscriber_id, world.at)
    assert delivered is not None
    assert delivered.representation == representation()
    assert delivered.relying_party == PARTY_NAME
    value = sign(world, enrolled)
    for _ in range(2):
        answer = world.gateway.confirm(enrolled.subscriber_id, delivered.id, value, world.at)
        assert answer is Result.OK
    found = status(world, session_id)
    assert found.result is Result.OK
    assert [one.value for one in found.values] == [value]
    assert found.certificate_der == enrolled.signing_certificate
    with world.sessions() as session:
        entries = list(session.scalars(sqlalchemy.select(audit.EntryRow)))
    assert [entry.event for entry in entries] == ["session.confirmed"]
    assert WHO.person_code not in entries[0].details
    assert WHO.phone_number not in entries[0].details


@pytest.mark.parametrize("kind", ["another hash", "der", "empty", "garbage", "another key"])
def test_a_value_that_does_not_verify_is_released_to_nobody(world: World, kind: str) -> None:
    enrolled = world.enrol()
    session_id = ask(world)
    delivered = world.gateway.open_transaction(enrolled.subscriber_id, world.at)
    assert delivered is not None
    good = sign(world, enrolled)
    value = {
        "another hash": sign(world, enrolled, "another"),
        "der": b"\x30\x44\x02\x20" + good[:32] + b"\x02\x20" + good[32:],
        "empty": b"",
        "garbage": bytes(64),
        "another key": b"\x01" * 64,
    }[kind]
    answer = world.gateway.confirm(enrolled.subscriber_id, delivered.id, value, world.at)
    assert answer is Result.SIGNATURE_HASH_MISMATCH
    found = status(world, session_id)
    assert found.result is Result.SIGNATURE_HASH_MISMATCH
    assert found.values == ()
    assert found.certificate_der is None
    with world.sessions() as session:
        assert transactions.load(session, session_id).signature_value is None
    # The right value does not turn it round.
    with pytest.raises(transactions.TransactionStateError):
        world.gateway.confirm(enrolled.subscriber_id, delivered.id, good, world.at)


def test_a_refused_transaction_is_never_confirmed_and_an_expired_one_neither(
    world: World,
) -> None:
    enrolled = world.enrol()
    refused = ask(world)
    delivered = world.gateway.open_transaction(enrolled.subscriber_id, world.at)
    assert delivered is not None
    world.gateway.refuse(enrolled.subscriber_id, delivered.id, Result.USER_CANCELLED, world.at)
    with pytest.raises(transactions.TransactionStateError):
        world.gateway.confirm(enrolled.subscriber_id, delivered.id, sign(world, enrolled), world.at)
    assert status(world, refused).result is Result.USER_CANCELLED
    expired = ask(world)
    delivered = world.gateway.open_transaction(enrolled.subscriber_id, world.at)
    assert delivered is not None
    late = world.at + seconds(120)
    answer = world.gateway.confirm(
        enrolled.subscriber_id, delivered.id, sign(world, enrolled), late
    )
    assert answer is Result.TIMEOUT
    assert status(world, expired, late).result is Result.TIMEOUT
    assert status(world, expired, late).values == ()


def test_sessions_time_out_after_two_minutes_and_are_gone_after_five(world: World) -> None:
    world.enrol()
    session_id = ask(world)
    assert status(world, session_id, world.at + seconds(119)).result is None
    assert status(world, session_id, world.at + seconds(120)).result is Result.TIMEOUT
    assert status(world, session_id, world.at + seconds(299)).result is Result.TIMEOUT
    with pytest.raises(gateway.SessionNotFoundError):
        status(world, session_id, world.at + seconds(300))


def test_strangers_and_suspended_people_end_as_not_mid_client(world: World) -> None:
    stranger = addressee.Addressee("+994509999999", "5AB12CD")
    assert status(world, ask(world, stranger)).result is Result.NOT_MID_CLIENT
    assert world.gateway.certificate(stranger, world.at).result is CertificateResult.NOT_FOUND
    enrolled = world.enrol()
    with world.sessions() as session:
        subscribers.set_state(session, WHO.phone_number, subscribers.SubscriberState.SUSPENDED)
        session.commit()
    assert status(world, ask(world)).result is Result.NOT_MID_CLIENT
    answer = world.gateway.certificate(WHO, world.at)
    assert answer == gateway.CertificateAnswer(CertificateResult.NOT_ACTIVE, None)
    assert world.gateway.open_transaction(enrolled.subscriber_id, world.at) is None


def test_an_outdated_certificate_is_not_active(world: World) -> None:
    world.enrol()
    later = world.at + datetime.timedelta(days=2000)
    assert world.gateway.certificate(WHO, later).result is CertificateResult.NOT_ACTIVE
    session_id = ask(world, at=later)
    assert status(world, session_id, later).result is Result.NOT_MID_CLIENT


def test_a_sim_gets_one_transaction_at_a_time_in_their_order(world: World) -> None:
    enrolled = world.enrol()
    first, second = ask(world), ask(world, text="second", at=world.at + seconds(1))
    for _ in range(2):
        delivered = world.gateway.open_transaction(enrolled.subscriber_id, world.at + seconds(2))
        assert delivered is not None
        assert delivered.id == first
    world.gateway.refuse(
        enrolled.subscriber_id, first, Result.USER_CANCELLED, world.at + seconds(3)
    )
    delivered = world.gateway.open_transaction(enrolled.subscriber_id, world.at + seconds(4))
    assert delivered is not None
    assert delivered.id == second


def test_the_database_itself_refuses_two_transactions_on_one_sim(world: World) -> None:
    enrolled = world.enrol()
    ask(world)
    ask(world, text="second")
    with world.sessions() as session:
        for row in transactions.open_for(session, enrolled.subscriber_id):
            row.deliver(world.at)
        with pytest.raises(sqlalchemy.exc.IntegrityError):
            session.flush()


@pytest.mark.parametrize("name", ["", "\0", "x" * 5000, "💩", "DE305D54-75B4-431B-ADB2-EB6B9E54"])
def test_any_text_can_be_asked_for_as_a_session(world: World, name: str) -> None:
    with pytest.raises(gateway.SessionNotFoundError):
        status(world, name)
    with pytest.raises(transactions.TransactionNotFoundError):
        world.gateway.refuse("nobody", name, Result.SIM_ERROR, world.at)


def test_nobody_can_be_worn_down_by_requests_without_end(world: World) -> None:
    world.enrol()
    sessions = [ask(world) for _ in range(4)]
    found = [status(world, one).result for one in sessions]
    assert found == [None, None, None, Result.DELIVERY_ERROR]
    late = world.at + seconds(121)
    assert status(world, ask(world, at=late), late).result is None


def test_a_transaction_of_another_sim_does_not_exist(world: World) -> None:
    enrolled = world.enrol()
    other = world.enrol(phone_number="+994501112244", person_code="6AB12CD")
    session_id = ask(world)
    delivered = world.gateway.open_transaction(enrolled.subscriber_id, world.at)
    assert delivered is not None
    with pytest.raises(transactions.TransactionNotFoundError):
        world.gateway.refuse(other.subscriber_id, delivered.id, Result.SIM_ERROR, world.at)
    with pytest.raises(transactions.TransactionNotFoundError):
        world.gateway.confirm(other.subscriber_id, delivered.id, sign(world, enrolled), world.at)
    assert status(world, session_id).result is None


def test_a_session_is_its_relying_partys_alone(world: World) -> None:
    world.enrol()
    session_id = ask(world)
    for address in ("198.51.100.7", "203.0.113.1", None, "not an address"):
        with pytest.raises(errors.AccessError):
            world.gateway.session_status(session_id, Operation.SIGNATURE, address, world.at)
    with pytest.raises(gateway.SessionNotFoundError):
        world.gateway.session_status(session_id, Operation.AUTHENTICATION, "127.0.0.1", world.at)


@pytest.mark.parametrize("reason", sorted(set(Result) - results.REFUSABLE, key=lambda r: r.value))
def test_a_phone_cannot_claim_results_that_are_not_its_own(world: World, reason: Result) -> None:
    enrolled = world.enrol()
    session_id = ask(world)
    world.gateway.open_transaction(enrolled.subscriber_id, world.at)
    with pytest.raises(errors.InputError):
        world.gateway.refuse(enrolled.subscriber_id, session_id, reason, world.at)


@pytest.mark.clause("Mobile-ID REST", "3.2.3")
@pytest.mark.parametrize(
    ("number", "language", "shown"),
    [
        ("+37060000007", "EST", "ENG"), ("+37200000007", "LIT", "ENG"),
        ("+37200000007", "EST", "EST"), ("+994500000001", "AZE", "AZE"),
    ],
)  # fmt: skip
def test_the_languages_that_a_sim_lacks_become_english(
    number: str, language: str, shown: str
) -> None:
    found = results.language_for(results.Language(language), number)
    assert found is results.Language(shown)


def test_changes_of_other_processes_are_listed_by_what_is_waited_for(world: World) -> None:
    enrolled = world.enrol()
    session_id = ask(world)
    assert world.gateway.changed_topics(world.at) == (gateway.sim_topic(enrolled.subscriber_id),)
    world.gateway.open_transaction(enrolled.subscriber_id, world.at)
    assert world.gateway.changed_topics(world.at) == ()
    world.gateway.refuse(enrolled.subscriber_id, session_id, Result.SIM_ERROR, world.at)
    assert world.gateway.changed_topics(world.at) == (gateway.session_topic(session_id),)
    assert world.gateway.changed_topics(world.at + seconds(6)) == ()


def test_the_worker_ends_what_nobody_asks_about(world: World) -> None:
    world.enrol()
    session_id = ask(world)
    assert world.gateway.expire_due(world.at + seconds(119)) == 0
    assert world.gateway.expire_due(world.at + seconds(121)) == 1
    assert world.gateway.expire_due(world.at + seconds(122)) == 0
    assert status(world, session_id, world.at + seconds(122)).result is Result.TIMEOUT


def test_no_pin_and_no_secret_stands_in_the_database(world: World) -> None:
    enrolled = world.enrol()
    session_id = ask(world)
    delivered = world.gateway.open_transaction(enrolled.subscriber_id, world.at)
    assert delivered is not None
    world.gateway.confirm(enrolled.subscriber_id, session_id, sign(world, enrolled), world.at)
    person = enrolled.person
    secrets = [f"{pin.reveal()}" for pin in (person.pin2, person.puk)] + [
        person.device_secret,
        world.party.uuid,
    ]
    with world.sessions() as session:
        stored = []
        for table in (subscribers.SubscriberRow, transactions.TransactionRow, audit.EntryRow):
            for row in session.execute(sqlalchemy.select(table.__table__)):
                stored += [str(one) for one in row if isinstance(one, str)]
    # The search finds what is there.
    assert any(WHO.phone_number == one for one in stored)
    for secret in secrets:
        assert secret not in stored
        if len(secret) > 8:
            assert not any(secret in one for one in stored)


STEPS = ("ask", "fetch", "confirm", "confirm badly", "refuse", "look", "wait")


@hypothesis_settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    steps=st.lists(
        st.tuples(st.sampled_from(STEPS), st.integers(0, 2), st.integers(0, 90)),
        min_size=3,
        max_size=14,
    )
)
def test_no_sequence_of_calls_leads_from_an_end_to_a_signature(
    steps: list[tuple[str, int, int]], one_world: tuple[World, enrolment.Enrolment]
) -> None:
    world, enrolled = one_world
    present = world.present
    assert isinstance(present, clock.FixedClock)
    value = sign(world, enrolled)
    asked: list[str] = []
    ended: dict[str, Result] = {}
    for step, index, pause in steps:
        at = present.now()
        chosen = asked[index % len(asked)] if asked else "none"
        try:
            if step == "ask":
                asked.append(ask(world, at=at))
            elif step == "fetch":
                world.gateway.open_transaction(enrolled.subscriber_id, at)
            elif step == "confirm":
                world.gateway.confirm(enrolled.subscriber_id, chosen, value, at)
            elif step == "confirm badly":
                world.gateway.confirm(enrolled.subscriber_id, chosen, bytes(64), at)
            elif step == "refuse":
                world.gateway.refuse(enrolled.subscriber_id, chosen, Result.USER_CANCELLED, at)
            elif step == "look":
                world.gateway.expire_due(at)
            else:
                present.move(seconds(pause))
        except (errors.StateError, errors.NotFoundError):
            pass
        for session_id in asked:
            try:
                found = status(world, session_id, present.now())
            except gateway.SessionNotFoundError:
                continue
            if session_id in ended:
                assert found.result is ended[session_id]
            if found.result is not None:
                ended[session_id] = found.result
            assert bool(found.values) == (found.result is Result.OK)
    present.move(seconds(600))


@pytest.fixture
def one_world(world: World) -> tuple[World, enrolment.Enrolment]:
    return world, world.enrol()


def test_a_gateway_without_proper_relying_parties_does_not_start(world: World) -> None:
    good = world.party
    for wrong in (
        settings.RelyingParty(good.uuid.upper(), good.names, good.networks),
        settings.RelyingParty(good.uuid, (), good.networks),
        settings.RelyingParty(good.uuid, good.names, ()),
        settings.RelyingParty(good.uuid, good.names, ("somewhere",)),
        settings.RelyingParty(good.uuid, ("x" * 101,), good.networks),
    ):
        with pytest.raises(errors.InputError):
            gateway.Gateway(world.sessions, [wrong], settings.Settings(), lambda topic: None)
    elsewhere = settings.Settings(countries=("AZ", "XX"))
    with pytest.raises(errors.InputError):
        gateway.Gateway(world.sessions, [good], elsewhere, lambda topic: None)
