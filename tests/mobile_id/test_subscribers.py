import pytest

from mobile_id import addressee, subscribers
from mobile_id.simulation import enrolment, personas
from pki import certificates, errors, person_codes
from tests.mobile_id.conftest import WHO, World
from tests.support import operators


def test_an_enrolled_person_has_two_certificates_for_the_two_keys_of_the_sim(
    world: World,
) -> None:
    enrolled = world.enrol()
    signing = certificates.read(certificates.parse(enrolled.signing_certificate))
    authentication = certificates.read(certificates.parse(enrolled.authentication_certificate))
    assert signing.person_code == authentication.person_code == WHO.person_code
    assert signing.is_for_signing
    assert not authentication.is_for_signing
    assert world.authority.applications["1"]["person"]["person_code"] == WHO.person_code
    with world.sessions() as session:
        row = subscribers.by_phone_number(session, WHO.phone_number)
        assert row is not None
        assert row.iccid == enrolled.iccid
        assert row.device_secret_hash != enrolled.person.device_secret


def test_a_phone_number_has_one_subscriber(world: World) -> None:
    world.enrol()
    with pytest.raises(subscribers.SubscriberExistsError):
        world.enrol(person_code="6AB12CD")
    # The CA was not asked a second time.
    assert len(world.authority.applications) == 1


def test_a_sim_without_subscriber_is_replaced_by_the_next_enrolment(world: World) -> None:
    world.authority.certify_another_key = True
    with pytest.raises(enrolment.WrongCertificateError):
        world.enrol()
    with world.sessions() as session:
        assert subscribers.by_phone_number(session, WHO.phone_number) is None
    world.authority.certify_another_key = False
    enrolled = world.enrol()
    assert personas.load_person(world.folder, WHO.phone_number).pin2.reveal() == (
        enrolled.person.pin2.reveal()
    )


@pytest.mark.parametrize(
    ("country", "person_code", "phone_number", "error"),
    [
        ("AZ", "5AB12CI", "+994501112233", person_codes.PersonCodeError),
        ("EE", "60001017860", "+37268000769", person_codes.PersonCodeError),
        ("TR", "PAS-U12345678", "+905301112233", person_codes.PersonCodeError),
        ("AZ", "5AB12CD", "994501112233", addressee.AddresseeError),
        ("AZ", "5AB12CD", "+1234567", addressee.AddresseeError),
    ],
)
def test_codes_are_checked_by_country_and_numbers_by_shape(
    world: World,
    country: str,
    person_code: str,
    phone_number: str,
    error: type[errors.InputError],
) -> None:
    with pytest.raises(error) as raised:
        world.enrol(country=country, person_code=person_code, phone_number=phone_number)
    assert person_code not in raised.value.message
    assert phone_number not in raised.value.message


def test_only_the_sims_own_secret_opens_the_device_api(world: World) -> None:
    enrolled = world.enrol()
    assert world.gateway.subscriber_id(enrolled.person.device_secret) == enrolled.subscriber_id
    for secret in (None, "", "x", enrolled.subscriber_id, enrolled.person.device_secret + "x"):
        with pytest.raises(subscribers.DeviceSecretError):
            world.gateway.subscriber_id(secret)


def test_a_ca_that_refuses_leaves_no_subscriber(world: World) -> None:
    with (
        operators.registrar("http://127.0.0.1:1") as world.registrar,
        pytest.raises(errors.PeerError),
    ):
        world.enrol()
    with world.sessions() as session:
        assert subscribers.by_phone_number(session, WHO.phone_number) is None


def test_suspending_nobody_is_told(world: World) -> None:
    with world.sessions() as session, pytest.raises(subscribers.SubscriberNotFoundError):
        subscribers.set_state(session, "+994500000000", subscribers.SubscriberState.SUSPENDED)
