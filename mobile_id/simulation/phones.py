"""Simulated phones: each has a SIM and a person, and calls the device API as a handset does.

For the results PHONE_ABSENT and DELIVERY_ERROR the phone also plays the operator's network, which
would report in its place.
"""

import base64
import binascii
import dataclasses
import logging
import pathlib
import threading
from collections.abc import Collection, Sequence

from cryptography.hazmat.primitives.asymmetric import ec, utils

from mobile_id import results, signature_list
from mobile_id.simulation import personas, sim_applet
from pki import algorithms, errors, outbound, signature

log = logging.getLogger(__name__)

LONG_POLL_S = 25
RETRY_S = 1.0
ANSWER_MARGIN_S = 5.0
"""How much longer than the long poll the phone waits for the answer to arrive."""


class DeviceAnswerError(errors.PeerError):
    """The gateway sent the phone something that it cannot read."""

    code = "device-answer"


@dataclasses.dataclass(frozen=True)
class Delivery:
    """A transaction that came to the phone."""

    id: str
    prompt: sim_applet.Prompt
    documents: signature_list.SignatureList | None = None


class DeviceClient:
    """The device API from the phone's side."""

    def __init__(self, client: outbound.Client, base_url: str, device_secret: str) -> None:
        """Keep the connection, the API's address and the SIM's own secret."""
        self._client = client
        self._base_url = base_url.rstrip("/")
        self._headers = {"Authorization": f"Bearer {device_secret}"}

    def fetch(self, wait_s: int, seen: str = "") -> Delivery | None:
        """Return what the SIM should show, or None when `wait_s` passed without anything.

        Raises:
            PeerError: The gateway did not answer, or not as expected.
        """
        reply = self._client.send(
            "GET",
            f"{self._base_url}/transactions/open?wait={wait_s}&seen={seen}",
            headers=self._headers,
            timeout_s=wait_s + ANSWER_MARGIN_S,
            expect=(200, 204),
        )
        return _parse_delivery(reply.json()) if reply.status == 200 else None

    def confirm(self, transaction_id: str, value: signature.SignatureValue) -> results.Result:
        """Send a signature value; return what the gateway made of it."""
        encoded = base64.b64encode(value.value).decode()
        return self._post(transaction_id, "confirmation", {"signature_value": encoded})

    def confirm_list(
        self, transaction_id: str, values: Sequence[signature.SignatureValue]
    ) -> results.Result:
        """Send the values of a list; return what the gateway made of them."""
        encoded = [base64.b64encode(one.value).decode() for one in values]
        return self._post(transaction_id, "list-confirmation", {"signature_values": encoded})

    def refuse(self, transaction_id: str, reason: results.Result) -> results.Result:
        """Send a refusal or a failure."""
        return self._post(transaction_id, "refusal", {"reason": reason.value})

    def _post(self, transaction_id: str, action: str, body: dict[str, object]) -> results.Result:
        reply = self._client.send_json(
            "POST",
            f"{self._base_url}/transactions/{transaction_id}/{action}",
            body,
            headers=self._headers,
        )
        answer = reply.json()
        try:
            return results.Result(answer["result"])  # type: ignore[index]
        except (TypeError, KeyError, ValueError) as error:
            raise DeviceAnswerError("expected a result from the gateway") from error


class SimulatedPhone:
    """A SIM and the person who holds it."""

    def __init__(
        self, applet: sim_applet.SimApplet, person: personas.SimulatedPerson, device: DeviceClient
    ) -> None:
        """Put the SIM into the phone and the phone into the person's hand."""
        self._applet = applet
        self._person = person
        self._device = device

    def answer(
        self, delivery: Delivery, *, code_on_the_other_screen: str | None = None
    ) -> results.Result | None:
        """Answer a transaction as the person would.

        Args:
            delivery: What came.
            code_on_the_other_screen: Where it is given, the person compares: another code than
                the SIM shows is refused, whatever else the person would do.

        Returns:
            What the gateway made of it; None when the person never answered.
        """
        behaviour = self._person.behaviour
        if behaviour in _FAILS_BEFORE_THE_DIALOGUE:
            return self._device.refuse(delivery.id, results.Result(behaviour.value))
        if behaviour is personas.Behaviour.TIMEOUT:
            return None
        try:
            self._applet.display(delivery.prompt)
            if (
                code_on_the_other_screen is not None
                and delivery.prompt.control_code != code_on_the_other_screen
            ) or behaviour is personas.Behaviour.USER_CANCELLED:
                return self._device.refuse(delivery.id, results.Result.USER_CANCELLED)
            self._applet.confirm()
            values = self._sign(delivery)
        except (sim_applet.PinBlockedError, sim_applet.WrongPinError, errors.DeviceError):
            return self._device.refuse(delivery.id, results.Result.SIM_ERROR)
        finally:
            self._applet.cancel()
        if behaviour is personas.Behaviour.SIGNATURE_HASH_MISMATCH:
            # The last one alone is wrong: of a list, all the others are good.
            asked = delivery.prompt.representation
            if delivery.documents is not None:
                asked = delivery.documents.representations[-1]
            values = (*values[:-1], _by_another_key(asked))
        if delivery.documents is not None:
            return self._device.confirm_list(delivery.id, values)
        return self._device.confirm(delivery.id, values[0])

    def _sign(self, delivery: Delivery) -> tuple[signature.SignatureValue, ...]:
        pin = self._person.pin(delivery.prompt.operation)
        if delivery.documents is None:
            return (self._applet.sign(pin),)
        return self._applet.sign_list(pin, delivery.documents)


class SimulatedPhones:
    """Phones that answer by themselves, each in a thread of its own, until they are stopped."""

    def __init__(
        self,
        client: outbound.Client,
        base_url: str,
        folder: pathlib.Path,
        *,
        long_poll_s: int = LONG_POLL_S,
    ) -> None:
        """Keep where the gateway is and where the SIMs are (`DIR/mobile`)."""
        self._long_poll_s = long_poll_s
        self._client = client
        self._base_url = base_url
        self._folder = folder
        self._stopping = threading.Event()
        self._threads: list[threading.Thread] = []

    def switch_on(self, phone_numbers: Collection[str]) -> int:
        """Switch on the phones of those who answer by themselves; return how many they are."""
        switched_on = 0
        for number in phone_numbers:
            person = personas.load_person(self._folder, number)
            if not person.behaviour.is_automatic:
                continue
            thread = threading.Thread(
                target=self._serve, args=(person,), name="simulated-phone", daemon=True
            )
            thread.start()
            self._threads.append(thread)
            switched_on += 1
        return switched_on

    def switch_off(self, wait_s: float = 0.0) -> None:
        """Let every phone stop after its present question; wait for them up to `wait_s`."""
        self._stopping.set()
        for thread in self._threads:
            thread.join(wait_s)

    def _serve(self, person: personas.SimulatedPerson) -> None:
        device = DeviceClient(self._client, self._base_url, person.device_secret)
        applet = sim_applet.SimApplet(personas.sim_path(self._folder, person.phone_number))
        phone = SimulatedPhone(applet, person, device)
        seen = ""
        while not self._stopping.is_set():
            try:
                delivery = device.fetch(self._long_poll_s, seen)
                if delivery is not None and not self._stopping.is_set():
                    seen = delivery.id
                    phone.answer(delivery)
            except errors.ImzaError as error:
                # A phone has no one to report to: it tries again, as a handset without signal.
                if not self._stopping.wait(RETRY_S):
                    log.debug("simulated_phone_retries code=%s", error.code)


_FAILS_BEFORE_THE_DIALOGUE = frozenset(
    {
        personas.Behaviour.PHONE_ABSENT,
        personas.Behaviour.DELIVERY_ERROR,
        personas.Behaviour.SIM_ERROR,
    }
)


def _by_another_key(
    representation: signature.DataToBeSignedRepresentation,
) -> signature.SignatureValue:
    """What a SIM with other keys than the gateway knows would send."""
    key = ec.generate_private_key(sim_applet.CURVE)
    der = key.sign(
        representation.hash, ec.ECDSA(utils.Prehashed(representation.hash_algorithm.hasher))
    )
    return signature.SignatureValue(
        algorithms.SignatureAlgorithm.ECDSA,
        representation.hash_algorithm,
        algorithms.ecdsa_der_to_raw(der, algorithms.ecdsa_size(key.public_key())),
    )


def _parse_delivery(value: object) -> Delivery:
    try:
        fields = dict(value)  # type: ignore[call-overload]
        documents = None
        if "documents" in fields:
            documents = signature_list.SignatureList.from_json(fields["documents"])
            # The digest is the phone's own: nobody sends one.
            representation = documents.digest
        else:
            representation = signature.DataToBeSignedRepresentation(
                results.HASH_TYPES[str(fields["hash_type"])],
                base64.b64decode(str(fields["hash"]), validate=True),
            )
        names = () if documents is None else tuple(one.name for one in documents.documents)
        prompt = sim_applet.Prompt(
            results.Operation(fields["operation"]),
            str(fields["relying_party"]),
            str(fields["text"]),
            representation,
            names,
        )
        return Delivery(str(fields["id"]), prompt, documents)
    except (TypeError, KeyError, ValueError, binascii.Error, errors.InputError) as error:
        raise DeviceAnswerError("expected a transaction from the gateway") from error
