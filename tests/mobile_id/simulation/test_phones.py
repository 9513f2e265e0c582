import json
import pathlib
import stat
import time
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mobile_id import addressee, answers, client, results
from mobile_id.simulation import personas, phones, sim_applet
from pki import errors
from tests.mobile_id.conftest import WHO, World, representation


def answer(world: World, code: str | None) -> tuple[results.Result | None, phones.Delivery]:
    enrolled = world.enrol()
    world.relying_party.start_signature(WHO, representation())
    device = world.device(enrolled)
    delivery = device.fetch(2)
    assert delivery is not None
    applet = sim_applet.SimApplet(personas.sim_path(world.folder, WHO.phone_number))
    phone = phones.SimulatedPhone(applet, enrolled.person, device)
    return phone.answer(delivery, code_on_the_other_screen=code), delivery


def test_a_person_confirms_the_code_that_both_screens_show(live: World) -> None:
    started = client.StartedSession("x", results.Operation.SIGNATURE, representation())
    result, delivery = answer(live, started.control_code)
    assert result is results.Result.OK
    assert delivery.prompt.control_code == started.control_code


def test_a_person_told_another_code_refuses(live: World) -> None:
    shown = client.StartedSession("x", results.Operation.SIGNATURE, representation()).control_code
    other = f"{(int(shown) + 1) % 8192:04d}"
    result, _ = answer(live, other)
    assert result is results.Result.USER_CANCELLED


def test_a_person_who_never_answers_leaves_the_request_open(live: World) -> None:
    enrolled = live.enrol(personas.Behaviour.TIMEOUT)
    party = live.relying_party
    started = party.start_signature(WHO, representation())
    with live.phones_on(enrolled):
        time.sleep(0.3)
        certificate = party.fetch_certificate(WHO)
        assert party.poll_signature(started, certificate, timeout_ms=1000) is None


def test_a_manual_person_has_no_phone_that_answers_by_itself(live: World) -> None:
    enrolled = live.enrol(personas.Behaviour.MANUAL)
    with live.phones_on(enrolled) as switched:
        assert switched.switch_on([WHO.phone_number]) == 0


def test_a_wrong_pin_in_the_persons_head_is_a_sim_error_and_costs_a_try(live: World) -> None:
    enrolled = live.enrol()
    live.relying_party.start_signature(WHO, representation())
    device = live.device(enrolled)
    delivery = device.fetch(2)
    assert delivery is not None
    applet = sim_applet.SimApplet(personas.sim_path(live.folder, WHO.phone_number))
    digits = enrolled.person.pin2.reveal()
    wrong = sim_applet.Pin(f"{(int(digits) + 1) % 100000:05d}")
    confused = personas.SimulatedPerson(
        WHO.phone_number,
        personas.Behaviour.OK,
        enrolled.person.pin1,
        wrong,
        enrolled.person.puk,
        enrolled.person.device_secret,
    )
    phone = phones.SimulatedPhone(applet, confused, device)
    assert phone.answer(delivery) is results.Result.SIM_ERROR
    assert applet.tries_left(results.Operation.SIGNATURE) == 2
    assert applet.step is sim_applet.Step.IDLE


def test_a_persons_file_is_theirs_alone_and_their_repr_tells_nothing(live: World) -> None:
    person = live.enrol().person
    path = personas.person_path(live.folder, WHO.phone_number)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert personas.load_person(live.folder, WHO.phone_number).behaviour is personas.Behaviour.OK
    for secret in (person.pin1.reveal(), person.pin2.reveal(), person.device_secret):
        assert secret not in repr(person)
    with pytest.raises(personas.PersonFileError):
        personas.load_person(live.folder, "+994500000000")


@given(
    st.recursive(
        st.none() | st.integers() | st.text(max_size=10),
        lambda inner: (
            st.lists(inner, max_size=3)
            | st.dictionaries(
                st.sampled_from(["id", "operation", "relying_party", "text", "hash_type", "hash"]),
                inner,
            )
        ),
        max_leaves=12,
    )
)
def test_any_json_from_a_gateway_is_a_delivery_or_a_peer_error(value: Any) -> None:
    try:
        phones._parse_delivery(json.loads(json.dumps(value)))
    except errors.PeerError:
        return


@pytest.mark.slow
def test_the_published_test_persons_have_their_published_results(live: World) -> None:
    """SK's test numbers; TIMEOUT is in its own test, as it takes two minutes."""
    from imza import people

    known = [one for one in people.PEOPLE if one.country in ("EE", "LT") and one.phone_number]
    assert len(known) == 10
    enrolled = [
        live.enrol(
            personas.Behaviour(one.behaviour),
            phone_number=one.phone_number or "",
            person_code=one.person_code,
            country=one.country,
            surname=one.surname,
        )
        for one in known
        if personas.Behaviour(one.behaviour).has_sim
    ]
    party = live.relying_party
    with live.phones_on(*enrolled):
        for one in known:
            who = addressee.Addressee(one.phone_number or "", one.person_code)
            started = party.start_authentication(who, representation())
            ended = _result(party, started, who, live)
            expected = "RUNNING" if one.behaviour == "TIMEOUT" else one.behaviour
            assert ended == expected, one.person_code


def _result(
    party: client.MobileIdClient,
    started: client.StartedSession,
    who: addressee.Addressee,
    world: World,
) -> str:
    issuers = [world.authority.chain.issuing.certificate]
    try:
        found = party.poll_authentication(started, who, issuers, world.at, timeout_ms=5000)
    except answers.PhoneRefusedError:
        return "USER_CANCELLED"
    except answers.NotMobileIdClientError:
        return "NOT_MID_CLIENT"
    except answers.PhoneSignatureError:
        return "SIGNATURE_HASH_MISMATCH"
    except answers.PhoneFailedError as error:
        return error.result.value
    return "RUNNING" if found is None else "OK"


@pytest.mark.parametrize(
    "content", ["", "[]", "{}", '{"phone_number": "+1", "behaviour": "OK", "pin1": "x"}', "\x00"]
)
def test_a_damaged_persons_file_is_nobodys(tmp_path: pathlib.Path, content: str) -> None:
    path = personas.person_path(tmp_path, WHO.phone_number)
    path.parent.mkdir(parents=True)
    path.write_text(content)
    with pytest.raises(personas.PersonFileError):
        personas.load_person(tmp_path, WHO.phone_number)
