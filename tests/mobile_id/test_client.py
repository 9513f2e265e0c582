import base64
import dataclasses
import datetime
import logging
import pathlib
import subprocess
import sys
from collections.abc import Iterator

import fastapi
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, utils
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from mobile_id import answers, client, list_client, results
from mobile_id.simulation import personas
from pki import algorithms, certificates, errors, outbound
from tests.mobile_id.conftest import PARTY_NAME, PARTY_UUID, WHO, World, representation
from tests.support import hierarchy as hierarchy_support
from tests.support import servers


@dataclasses.dataclass
class Liar:
    """A gateway that answers whatever a test tells it to, at once.

    Attributes:
        asked_at: When each question came, by a clock that only the client's pauses move.
    """

    http: outbound.Client
    base_url: str = ""
    answer: object = None
    now_s: float = 0.0
    asked_at: list[float] = dataclasses.field(default_factory=list)

    @property
    def relying_party(self) -> client.MobileIdClient:
        return client.MobileIdClient(
            self.http,
            self.base_url,
            client.RelyingParty(PARTY_UUID, PARTY_NAME),
            elapsed_s=lambda: self.now_s,
            pause=self.pause,
        )

    def pause(self, seconds: float) -> None:
        self.now_s += seconds


@pytest.fixture
def liar() -> Iterator[Liar]:
    app = fastapi.FastAPI()
    http = outbound.Client()
    made = Liar(http)

    @app.api_route("/{rest:path}", methods=["GET", "POST"])
    def lie(rest: str) -> fastapi.responses.JSONResponse:
        made.asked_at.append(made.now_s)
        return fastapi.responses.JSONResponse(made.answer)

    with servers.serve(app) as url:
        made.base_url = url
        yield made
        http.close()


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
        (personas.Behaviour.USER_CANCELLED, answers.PhoneRefusedError),
        (personas.Behaviour.PHONE_ABSENT, answers.PhoneFailedError),
        (personas.Behaviour.DELIVERY_ERROR, answers.PhoneFailedError),
        (personas.Behaviour.SIM_ERROR, answers.PhoneFailedError),
        (personas.Behaviour.SIGNATURE_HASH_MISMATCH, answers.PhoneSignatureError),
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
        with pytest.raises(answers.MobileIdAnswerError):
            live.relying_party.wait_for_authentication(
                again, WHO, [live.authority.chain.root.certificate], live.at, patience_s=10
            )
        late = live.at + datetime.timedelta(days=2000)
        third = live.relying_party.start_authentication(WHO, representation())
        with pytest.raises(answers.MobileIdAnswerError):
            live.relying_party.wait_for_authentication(third, WHO, issuers, late, patience_s=10)


def test_the_wrong_person_code_for_a_phone_finds_nobody(live: World) -> None:
    live.enrol()
    stranger = type(WHO)(WHO.phone_number, "9ZZ99ZZ")
    with pytest.raises(answers.NotMobileIdClientError):
        live.relying_party.fetch_certificate(stranger)
    started = live.relying_party.start_signature(stranger, representation())
    with pytest.raises(answers.NotMobileIdClientError):
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
        with pytest.raises(answers.PhoneSignatureError):
            party.wait_for_signature(lied, certificate, patience_s=10)


def test_an_unknown_session_is_told_apart_from_a_gateway_that_is_down(live: World) -> None:
    started = client.StartedSession(
        "00000000-0000-4000-8000-000000000000", results.Operation.SIGNATURE, representation()
    )
    with pytest.raises(answers.SessionGoneError):
        live.relying_party.poll_signature(started, live.authority.chain.root.certificate)


def test_the_client_and_the_control_code_load_neither_web_nor_database() -> None:
    """What the signing service imports of this package stays small."""
    code = (
        "import sys, mobile_id.client, mobile_id.control_code;"
        "print([one for one in ('fastapi', 'sqlalchemy') if one in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        check=True,
        cwd=pathlib.Path(__file__).parents[2],
    )
    assert done.stdout.strip() == "[]"


def test_the_log_names_nobody_and_holds_no_secret(
    live: World, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG, logger="mobile_id")
    enrolled = live.enrol()
    party = live.relying_party
    certificate = party.fetch_certificate(WHO)
    with live.phones_on(enrolled):
        started = party.start_signature(WHO, representation())
        party.wait_for_signature(started, certificate, patience_s=10)
    text = "\n".join(record.getMessage() for record in caplog.records)
    # The search finds what is there.
    assert "session_ended operation=signature result=OK" in text
    person = enrolled.person
    for secret in (
        WHO.phone_number,
        WHO.person_code,
        person.device_secret,
        live.party.uuid,
        "Əliyeva",
        f"{person.pin2.reveal()} ",
        person.puk.reveal(),
    ):
        assert secret not in text


ANSWERS = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=12),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["state", "result", "signature", "value", "algorithm", "cert"]), inner
        )
    ),
    max_leaves=10,
)


@hypothesis_settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    answer=ANSWERS
    | st.fixed_dictionaries(
        {
            "state": st.just("COMPLETE"),
            "result": st.sampled_from(["OK", "ok", "MAYBE"]),
            "signature": ANSWERS
            | st.fixed_dictionaries(
                {
                    "value": st.sampled_from(["", "AAAA", "*", "A" * 86 + "=="]),
                    "algorithm": st.sampled_from(
                        ["SHA256WithECEncryption", "SHA256WithRSAEncryption", "none"]
                    ),
                }
            ),
        }
    )
)
def test_a_gateway_that_lies_is_found_out_by_an_error_of_ours(
    answer: object, liar: Liar, hierarchy: hierarchy_support.Hierarchy
) -> None:
    liar.answer = answer
    started = client.StartedSession("x", results.Operation.SIGNATURE, representation())
    certificate = hierarchy.signer().certificate
    try:
        found = liar.relying_party.poll_signature(started, certificate)
    except errors.ImzaError:
        return
    assert found is None
    assert isinstance(answer, dict)
    assert answer["state"] == "RUNNING"


def test_a_gateway_that_holds_no_question_is_asked_once_a_second(
    liar: Liar, hierarchy: hierarchy_support.Hierarchy
) -> None:
    liar.answer = {"state": "RUNNING"}
    started = client.StartedSession("x", results.Operation.SIGNATURE, representation())
    certificate = hierarchy.signer().certificate
    with pytest.raises(answers.PhoneTimeoutError):
        liar.relying_party.wait_for_signature(started, certificate, patience_s=5)
    assert liar.asked_at == [0, 1, 2, 3, 4]
    # Whoever asks in a loop of their own, or about a list, is held back in the same way.
    listed = list_client.StartedList("x", (representation(),))
    assert list_client.poll(liar.relying_party, listed, certificate) is None
    assert liar.relying_party.poll_signature(started, certificate, timeout_ms=250) is None
    assert liar.now_s == 6.25


def test_a_gateway_that_held_the_question_is_asked_again_at_once(
    liar: Liar, hierarchy: hierarchy_support.Hierarchy
) -> None:
    certificate = hierarchy.signer().certificate
    started = client.StartedSession("x", results.Operation.SIGNATURE, representation())
    liar.answer = {"state": "RUNNING"}
    ticks = iter([0.0, 20.0])
    held = client.MobileIdClient(
        liar.http,
        liar.base_url,
        client.RelyingParty(PARTY_UUID, PARTY_NAME),
        elapsed_s=lambda: next(ticks),
        pause=lambda seconds: pytest.fail(f"paused {seconds} s"),
    )
    assert held.poll_signature(started, certificate) is None


def test_a_certificate_of_another_person_or_purpose_is_not_taken(
    liar: Liar, hierarchy: hierarchy_support.Hierarchy
) -> None:
    for holder in (hierarchy.signer("6AB12CD"), hierarchy.signer(authentication=True)):
        encoded = base64.b64encode(holder.der).decode()
        liar.answer = {"result": "OK", "cert": encoded}
        with pytest.raises(answers.MobileIdAnswerError):
            liar.relying_party.fetch_certificate(WHO)
    good = hierarchy.signer(WHO.person_code)
    liar.answer = {"result": "OK", "cert": base64.b64encode(good.der).decode()}
    assert liar.relying_party.fetch_certificate(WHO) == good.certificate
