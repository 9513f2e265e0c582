import datetime
import json
import pathlib
import stat

import pytest
from cryptography import x509

from card_reader import personalise, piv, piv_session
from card_reader import pin as card_pin
from card_reader.virtual_card import applet, card_file
from pki import (
    certificates,
    errors,
    operator_credentials,
    outbound,
    registration_calls,
)
from tests.support import card_station, operators, servers


@pytest.fixture
def blank(tmp_path: pathlib.Path) -> card_file.CardFile:
    return card_file.CardFile.create(tmp_path / "blank.json")


def session(card: card_file.CardFile) -> piv_session.PivSession:
    return piv_session.PivSession(applet.PivApplet(card).answer)


def test_a_personalised_card_holds_both_certificates_of_its_keys(
    card: card_station.TestCard,
) -> None:
    opened = session(card_file.CardFile.load(card.path))
    for slot, certificate in (
        (piv.KeySlot.SIGNATURE, card.sign),
        (piv.KeySlot.AUTHENTICATION, card.authenticate),
    ):
        assert opened.read_certificate(slot) == certificates.to_der(certificate)
    assert certificates.read(card.sign).is_for_signing
    assert not certificates.read(card.authenticate).is_for_signing
    assert card.sign.public_key() != card.authenticate.public_key()


def test_the_transport_secrets_are_gone(card: card_station.TestCard) -> None:
    opened = session(card_file.CardFile.load(card.path))
    with pytest.raises(piv_session.ManagementKeyError):
        opened.authenticate_manager(piv.TRANSPORT_MANAGEMENT_KEY)
    with pytest.raises(card_pin.WrongPinError):
        opened.verify(card_pin.Pin(piv.TRANSPORT_PIN))
    with pytest.raises(card_pin.WrongPinError) as refused:
        opened.unblock(card_pin.Pin(piv.TRANSPORT_PUK), card_pin.Pin("111111"))
    assert "PUK" in refused.value.message
    opened.verify(card.new_pin())


@pytest.mark.clause("RFC 2986", "4.2")
def test_the_request_is_signed_by_the_card_and_names_nobody(blank: card_file.CardFile) -> None:
    card = session(blank)
    card.authenticate_manager(piv.TRANSPORT_MANAGEMENT_KEY)
    key = card.generate_key(piv.KeySlot.SIGNATURE)
    request = x509.load_der_x509_csr(personalise.make_request(card, piv.KeySlot.SIGNATURE, key))
    assert request.is_signature_valid
    assert request.public_key() == key
    assert len(request.subject.rdns) == 0


def test_a_card_is_personalised_once(
    card: card_station.TestCard, small_ca: card_station.SmallCA
) -> None:
    opened = session(card_file.CardFile.load(card.path))
    with (
        card_station.registration_client(small_ca) as client,
        pytest.raises(piv_session.ManagementKeyError) as refused,
    ):
        personalise.personalise(opened, client, "a1", small_ca.hierarchy.at)
    assert refused.value.code == "management-key-refused"


def test_chosen_pins_and_the_letter(
    blank: card_file.CardFile, small_ca: card_station.SmallCA, tmp_path: pathlib.Path
) -> None:
    letter = personalise.PinLetter(tmp_path / "letter.json")
    with card_station.registration_client(small_ca) as client:
        done = personalise.personalise(
            session(blank),
            client,
            "a1",
            small_ca.hierarchy.at,
            pin=card_pin.Pin("777777"),
            letter=letter,
        )
    told = json.loads((tmp_path / "letter.json").read_bytes())
    assert told["pin"] == "777777"
    assert told["puk"] == done.puk.reveal().decode()
    assert stat.S_IMODE((tmp_path / "letter.json").stat().st_mode) == 0o600
    session(blank).verify(card_pin.Pin("777777"))
    session(blank).authenticate_manager(personalise.read_management_key(tmp_path / "letter.json"))
    with pytest.raises(errors.StateError):
        personalise.PinLetter(tmp_path / "letter.json")
    assert "777777" not in repr(done)
    assert told["management_key"] not in repr(done)
    assert done.management_key.hex() == told["management_key"]


def test_another_keys_certificate_is_not_written(
    blank: card_file.CardFile, small_ca: card_station.SmallCA
) -> None:
    wrong = card_station.SmallCA(small_ca.hierarchy, certify_other_key=True)
    with (
        card_station.registration_client(wrong) as client,
        pytest.raises(personalise.WrongCertificateError, match="another key"),
    ):
        personalise.personalise(session(blank), client, "a1", small_ca.hierarchy.at)
    assert session(blank).read_certificate(piv.KeySlot.AUTHENTICATION) is None


def test_another_persons_certificate_is_not_written(
    blank: card_file.CardFile, small_ca: card_station.SmallCA
) -> None:
    with (
        card_station.registration_client(small_ca) as client,
        pytest.raises(personalise.WrongCertificateError, match="another person"),
    ):
        personalise.personalise(
            session(blank), client, "a1", small_ca.hierarchy.at, person_code="6ZZ99ZZ"
        )


def test_a_ca_whose_clock_is_a_little_ahead_is_no_obstacle(
    blank: card_file.CardFile, small_ca: card_station.SmallCA
) -> None:
    not_before = small_ca.hierarchy.at - datetime.timedelta(hours=1)
    with card_station.registration_client(small_ca) as client:
        with pytest.raises(personalise.WrongCertificateError, match="valid now"):
            personalise.personalise(
                session(blank), client, "a1", not_before - datetime.timedelta(minutes=6)
            )
        personalise.personalise(
            session(blank), client, "a1", not_before - datetime.timedelta(minutes=1)
        )


def test_a_broken_personalisation_can_be_begun_again(
    blank: card_file.CardFile, small_ca: card_station.SmallCA
) -> None:
    with card_station.registration_client(small_ca) as client:
        calls = 0
        inner = applet.PivApplet(blank)

        def flaky(request: bytes) -> bytes:
            nonlocal calls
            calls += 1
            if calls == 20:
                raise errors.DeviceError("the card was taken out")
            return inner.answer(request)

        with pytest.raises(errors.DeviceError, match="taken out"):
            personalise.personalise(
                piv_session.PivSession(flaky), client, "a1", small_ca.hierarchy.at
            )
        done = personalise.personalise(session(blank), client, "a1", small_ca.hierarchy.at)
    session(blank).verify(done.pin)


@pytest.mark.parametrize("content", ["", "zz", "0102", '{"management_key": 5}', "{", '{"a": 1}'])
def test_a_malformed_management_key_file_is_an_input_error(
    tmp_path: pathlib.Path, content: str
) -> None:
    (tmp_path / "key").write_text(content)
    with pytest.raises(errors.InputError):
        personalise.read_management_key(tmp_path / "key")


@pytest.mark.parametrize("content", ["", "[]", "{}", '{"client_id": "a"}', "\xff" * 3])
def test_malformed_credentials_are_an_input_error(tmp_path: pathlib.Path, content: str) -> None:
    (tmp_path / "file.json").write_text(content, encoding="latin-1")
    with (
        pytest.raises(operator_credentials.OperatorCredentialError),
        registration_calls.open_client("http://127.0.0.1:1", tmp_path / "file.json"),
    ):
        pytest.fail("the credentials were taken")


def test_a_ca_that_is_down_is_a_peer_error(tmp_path: pathlib.Path) -> None:
    path = operators.stranger().write(tmp_path, f"http://127.0.0.1:{servers.free_port()}")
    with (
        registration_calls.open_client(None, path) as client,
        pytest.raises(outbound.PeerUnavailableError),
    ):
        client.approve("a1")
