import pathlib
import re
import resource
import shutil
import stat

import pytest
from cryptography import x509
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mobile_id import control_code
from mobile_id.results import Operation
from mobile_id.simulation import sim_applet
from mobile_id.simulation.pin import Pin
from pki import errors, signature
from pki.algorithms import HashAlgorithm

PIN1, PIN2, PUK = Pin("4711"), Pin("58123"), Pin("87654321")
PINS = {Operation.AUTHENTICATION: PIN1, Operation.SIGNATURE: PIN2}


def make(folder: pathlib.Path) -> sim_applet.SimApplet:
    return sim_applet.SimApplet.create(
        folder / "sim.json", msisdn="+994501112233", pin1=PIN1, pin2=PIN2, puk=PUK
    )


def prompt(
    operation: Operation = Operation.SIGNATURE, algorithm: HashAlgorithm = HashAlgorithm.SHA256
) -> sim_applet.Prompt:
    return sim_applet.Prompt(
        operation, "TEST portal", "Contract", signature.represent(b"contract", algorithm)
    )


@pytest.mark.parametrize("operation", Operation)
@pytest.mark.parametrize("algorithm", HashAlgorithm)
def test_a_shown_and_confirmed_hash_is_signed_itself_as_raw_r_and_s(
    tmp_path: pathlib.Path, operation: Operation, algorithm: HashAlgorithm
) -> None:
    applet = make(tmp_path)
    asked = prompt(operation, algorithm)
    applet.display(asked)
    applet.confirm()
    value = applet.sign(PINS[operation])
    assert len(value.value) == 64
    signature.check_value(applet.public_keys[operation], asked.representation, value)
    assert applet.step is sim_applet.Step.IDLE


def test_the_two_keys_differ_and_the_sim_survives_a_restart(tmp_path: pathlib.Path) -> None:
    first = make(tmp_path)
    again = sim_applet.SimApplet(tmp_path / "sim.json")
    assert again.iccid == first.iccid
    assert re.fullmatch(r"8999400[0-9]{12}", first.iccid)
    assert again.public_keys == first.public_keys
    assert again.public_keys[Operation.SIGNATURE] != again.public_keys[Operation.AUTHENTICATION]


def test_the_state_file_is_for_its_owner_alone_and_holds_no_pin(tmp_path: pathlib.Path) -> None:
    make(tmp_path)
    path = tmp_path / "sim.json"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    content = path.read_text()
    for pin in (PIN1, PIN2, PUK):
        assert f'"{pin.reveal()}"' not in content
        assert pin.reveal() not in repr(pin)
        assert pin.reveal() not in str(pin)


def test_the_sim_shows_the_control_code_that_it_computes(tmp_path: pathlib.Path) -> None:
    asked = prompt()
    assert asked.control_code == control_code.control_code(asked.representation)


def test_nothing_is_signed_before_it_was_shown_and_confirmed(tmp_path: pathlib.Path) -> None:
    applet = make(tmp_path)
    with pytest.raises(sim_applet.SimStepError):
        applet.sign(PIN2)
    with pytest.raises(sim_applet.SimStepError):
        applet.confirm()
    applet.display(prompt())
    with pytest.raises(sim_applet.SimStepError):
        applet.sign(PIN2)
    applet.cancel()
    with pytest.raises(sim_applet.SimStepError):
        applet.confirm()


def test_one_dialogue_at_a_time_even_from_two_programs(tmp_path: pathlib.Path) -> None:
    applet = make(tmp_path)
    other = sim_applet.SimApplet(tmp_path / "sim.json")
    applet.display(prompt())
    with pytest.raises(sim_applet.SimBusyError):
        applet.display(prompt())
    with pytest.raises(sim_applet.SimBusyError):
        other.display(prompt())
    applet.cancel()
    other.display(prompt())
    other.cancel()


def test_three_wrong_pins_block_and_only_the_puk_helps(tmp_path: pathlib.Path) -> None:
    applet = make(tmp_path)
    wrong = Pin("00000")
    applet.display(prompt())
    applet.confirm()
    for left in (2, 1):
        with pytest.raises(sim_applet.WrongPinError) as raised:
            applet.sign(wrong)
        assert raised.value.tries_left == left
        assert applet.step is sim_applet.Step.CONFIRMED
    with pytest.raises(sim_applet.PinBlockedError):
        applet.sign(wrong)
    assert applet.step is sim_applet.Step.IDLE
    again = sim_applet.SimApplet(tmp_path / "sim.json")
    again.display(prompt())
    again.confirm()
    with pytest.raises(sim_applet.PinBlockedError):
        again.sign(PIN2)
    assert again.tries_left(Operation.AUTHENTICATION) == 3
    with pytest.raises(sim_applet.WrongPinError):
        again.set_pin(Operation.SIGNATURE, Pin("11111111"), Pin("12345"))
    again.set_pin(Operation.SIGNATURE, PUK, Pin("12345"))
    again.display(prompt())
    again.confirm()
    assert len(again.sign(Pin("12345")).value) == 64


def test_a_right_pin_gives_all_tries_back(tmp_path: pathlib.Path) -> None:
    applet = make(tmp_path)
    applet.display(prompt())
    applet.confirm()
    with pytest.raises(sim_applet.WrongPinError):
        applet.sign(Pin("00000"))
    applet.sign(PIN2)
    assert applet.tries_left(Operation.SIGNATURE) == 3


def test_a_try_is_on_disk_before_the_pin_is_looked_at(
    tmp_path: pathlib.Path,
) -> None:
    """The power goes while the PIN is compared: that try is lost, not won."""

    class PowerCut(BaseException):
        pass

    class Unplugged(Pin):
        def matches(self, salt: bytes, digest: bytes) -> bool:
            raise PowerCut

    applet = make(tmp_path)
    applet.display(prompt())
    applet.confirm()
    with pytest.raises(PowerCut):
        applet.sign(Unplugged("58123"))
    assert sim_applet.SimApplet(tmp_path / "sim.json").tries_left(Operation.SIGNATURE) == 2


def test_a_sim_that_cannot_keep_a_try_gives_no_answer(tmp_path: pathlib.Path) -> None:
    applet = make(tmp_path)
    applet.display(prompt())
    applet.confirm()
    # The disk refuses the new state.
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, limits[1]))
    try:
        with pytest.raises(sim_applet.SimError):
            applet.sign(PIN2)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert len(applet.sign(PIN2).value) == 64


def test_a_sim_that_is_taken_out_is_a_device_error(tmp_path: pathlib.Path) -> None:
    folder = tmp_path / "sims"
    applet = make(folder)
    shutil.rmtree(folder)
    with pytest.raises(errors.DeviceError):
        applet.display(prompt())
    with pytest.raises(errors.DeviceError):
        applet.tries_left(Operation.SIGNATURE)
    with pytest.raises(errors.DeviceError):
        applet.certificate_request(Operation.SIGNATURE, PIN2)


@pytest.mark.clause("RFC 2986", "4.2")
@pytest.mark.parametrize("operation", Operation)
def test_the_sim_proves_possession_of_its_keys(
    tmp_path: pathlib.Path, operation: Operation
) -> None:
    applet = make(tmp_path)
    request = x509.load_der_x509_csr(applet.certificate_request(operation, PINS[operation]))
    assert request.is_signature_valid
    assert request.public_key() == applet.public_keys[operation]
    with pytest.raises(sim_applet.WrongPinError):
        applet.certificate_request(operation, Pin("00000"))


def test_pins_of_another_length_are_refused(tmp_path: pathlib.Path) -> None:
    with pytest.raises(errors.InputError):
        sim_applet.SimApplet.create(
            tmp_path / "s.json", msisdn="+994501112233", pin1=PIN2, pin2=PIN2, puk=PUK
        )
    for text in ("123", "1" * 13, "12a4", "١٢٣٤"):
        with pytest.raises(errors.InputError):
            Pin(text)


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_a_damaged_state_file_is_a_sim_error_and_nothing_else(
    tmp_path: pathlib.Path, data: st.DataObject
) -> None:
    path = tmp_path / "sim.json"
    make(tmp_path)
    content = bytearray(path.read_bytes())
    index = data.draw(st.integers(0, len(content) - 1))
    content[index] = data.draw(st.integers(0, 255))
    path.write_bytes(bytes(content[: data.draw(st.integers(0, len(content)))]))
    try:
        sim_applet.SimApplet(path)
    except sim_applet.SimError:
        return


@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    steps=st.lists(st.sampled_from(["display", "confirm", "cancel", "right", "wrong"]), max_size=12)
)
def test_no_sequence_signs_without_prompt_confirmation_and_pin(
    tmp_path: pathlib.Path, steps: list[str]
) -> None:
    applet = make(tmp_path)
    shown = confirmed = False
    tries = 3
    for step in steps:
        try:
            if step == "display":
                applet.display(prompt())
                shown, confirmed = True, False
            elif step == "confirm":
                applet.confirm()
                confirmed = True
            elif step == "cancel":
                applet.cancel()
                shown = confirmed = False
            else:
                applet.sign(PIN2 if step == "right" else Pin("00000"))
                assert shown
                assert confirmed
                assert tries > 0
                assert step == "right"
                shown = confirmed = False
                tries = 3
        except sim_applet.WrongPinError:
            tries -= 1
        except sim_applet.PinBlockedError:
            tries = 0
            shown = confirmed = False
        except errors.StateError:
            pass
        assert applet.tries_left(Operation.SIGNATURE) == tries
    applet.cancel()
