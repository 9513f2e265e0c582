import datetime

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, utils

from mobile_id import client, results
from mobile_id.simulation import personas
from pki import algorithms, certificates
from tests.mobile_id.conftest import WHO, World, representation


def test_a_person_signs_on_the_phone_and_the_value_verifies_with_their_certificate(
    live: World,
) -> None:
    enrolled = live.enrol()
    party = live.relying_party
    certificate = party.fetch_certificate(WHO)
    assert certificates.to_der(certificate) == enrolled.signing_certificate
    with live.phones_on(enrolled):
        started = party.start_signature(WHO, representation(), text="Müqavilə № 7")
        value = party.wait_for_signature(started, certificate, patience_s=10)
    key = certificate.public_key()
    assert isinstance(key, ec.EllipticCurvePublicKey)
    key.verify(
        algorithms.ecdsa_raw_to_der(value.value),
        representation().hash,
        ec.ECDSA(utils.Prehashed(value.hash_algorithm.hasher)),
    )
    assert len(value.value) == 64


@pytest.mark.parametrize(
    ("behaviour", "error"),
    [
        (personas.Behaviour.USER_CANCELLED, client.PhoneRefusedError),
        (personas.Behaviour.PHONE_ABSENT, client.PhoneFailedError),
        (personas.Behaviour.DELIVERY_ERROR, client.PhoneFailedError),
        (personas.Behaviour.SIM_ERROR, client.PhoneFailedError),
        (personas.Behaviour.SIGNATURE_HASH_MISMATCH, client.PhoneSignatureError),
    ],
)
def test_every_way_a_phone_fails_has_an_error_of_its_own(
    live: World, behaviour: personas.Behaviour, error: type[Exception]
) -> None:
    enrolled = live.enrol(behaviour)
    party = live.relying_party
    certificate = party.fetch_certificate(WHO)
    with live.phones_on(enrolled):
        started = party.start_signature(WHO, representation())
        with pytest.raises(error):
            party.wait_for_signature(started, certificate, patience_s=10)


def test_a_person_authenticates_and_the_certificate_is_checked(live: World) -> None:
    enrolled = live.enrol()
    issuers = [live.authority.chain.issuing.certificate]
    with live.phones_on(enrolled):
        started = live.relying_party.start_authentication(WHO, representation())
        found = live.relying_party.wait_for_authentication(
            started, WHO, issuers, live.at, patience_s=10
        )
        assert found.person_code == WHO.person_code
        again = live.relying_party.start_authentication(WHO, representation())
        with pytest.raises(client.MobileIdAnswerError):
            live.relying_party.wait_for_authentication(
                again, WHO, [live.authority.chain.root.certificate], live.at, patience_s=10
            )
        late = live.at + datetime.timedelta(days=2000)
        third = live.relying_party.start_authentication(WHO, representation())
        with pytest.raises(client.MobileIdAnswerError):
            live.relying_party.wait_for_authentication(third, WHO, issuers, late, patience_s=10)


def test_the_wrong_person_code_for_a_phone_finds_nobody(live: World) -> None:
    live.enrol()
    stranger = type(WHO)(WHO.phone_number, "9ZZ99ZZ")
    with pytest.raises(client.NotMobileIdClientError):
        live.relying_party.fetch_certificate(stranger)
    started = live.relying_party.start_signature(stranger, representation())
    with pytest.raises(client.NotMobileIdClientError):
        live.relying_party.poll_signature(started, live.authority.chain.issuing.certificate)


def test_a_value_for_another_hash_is_not_given_out(live: World) -> None:
    enrolled = live.enrol()
    party = live.relying_party
    certificate = party.fetch_certificate(WHO)
    with live.phones_on(enrolled):
        started = party.start_signature(WHO, representation("contract"))
        lied = client.StartedSession(
            started.session_id, results.Operation.SIGNATURE, representation("another")
        )
        with pytest.raises(client.PhoneSignatureError):
            party.wait_for_signature(lied, certificate, patience_s=10)


def test_an_unknown_session_is_told_apart_from_a_gateway_that_is_down(live: World) -> None:
    started = client.StartedSession(
        "00000000-0000-4000-8000-000000000000", results.Operation.SIGNATURE, representation()
    )
    with pytest.raises(client.SessionGoneError):
        live.relying_party.poll_signature(started, live.authority.chain.root.certificate)
