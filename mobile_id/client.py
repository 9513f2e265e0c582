"""Mobile-ID REST from the relying party's side: ask, wait, and believe nothing unchecked.

The signing service is one more relying party. Whatever the gateway answers is checked here with
the certificate and the hash that the caller holds: a gateway that lies is found out.
"""

import base64
import dataclasses
import datetime
import time
import urllib.parse
from collections.abc import Callable, Collection, Mapping
from typing import TypeVar

from cryptography import x509

from mobile_id import addressee, answers, control_code, display_text, results
from pki import certificates, errors, outbound, signature

LONG_POLL_MS = 20_000
ANSWER_MARGIN_MS = 1_500
"""How much longer than the long poll to wait for the answer (Mobile-ID REST 3.3.4)."""

MIN_POLL_S = 1.0
"""Least time from one question about a session to the next, though the gateway answers at once."""

_Answer = TypeVar("_Answer")


@dataclasses.dataclass(frozen=True)
class RelyingParty:
    """How the caller names itself to the gateway."""

    uuid: str = dataclasses.field(repr=False)
    name: str


@dataclasses.dataclass(frozen=True)
class StartedSession:
    """A request that is on its way to a phone; plain values, so that any worker can go on with it.

    Attributes:
        session_id: The gateway's name for it.
        operation: What was asked.
        representation: What is to be signed.
    """

    session_id: str
    operation: results.Operation
    representation: signature.DataToBeSignedRepresentation

    @property
    def control_code(self) -> str:
        """The digits to show to the person, who compares them with the phone."""
        return control_code.control_code(self.representation)


@dataclasses.dataclass(frozen=True)
class Authentication:
    """A person who proved on the phone to be there. Their certificate's status is not judged."""

    certificate: x509.Certificate
    person_code: str = dataclasses.field(repr=False)


class MobileIdClient:
    """Calls one gateway as one relying party; safe to use from several threads."""

    def __init__(
        self,
        client: outbound.Client,
        api_root: str,
        party: RelyingParty,
        *,
        elapsed_s: Callable[[], float] = time.monotonic,
        pause: Callable[[float], object] = time.sleep,
    ) -> None:
        """Ask nothing yet.

        Args:
            client: Sends the requests; whoever made it closes it.
            api_root: The address of `/mid-api`.
            party: Who asks.
            elapsed_s: A stopwatch; the time of day does not matter to a wait.
            pause: Waits some seconds.
        """
        self._client = client
        self._api_root = api_root.rstrip("/")
        self._party = party
        self._elapsed_s = elapsed_s
        self._pause = pause

    def fetch_certificate(self, who: addressee.Addressee) -> x509.Certificate:
        """Return a person's signing certificate.

        Its key usage and its person code are checked here; its path and status by the caller.

        Raises:
            NotMobileIdClientError: Nobody has both, or the certificate is not active.
            MobileIdAnswerError: The certificate is another person's, or not for signing.
            PeerError: The gateway did not answer.
        """
        answer = self._post("certificate", self._addressed(who))
        result = answers.text_of(answer, "result")
        if result in (
            results.CertificateResult.NOT_FOUND.value,
            results.CertificateResult.NOT_ACTIVE.value,
        ):
            raise answers.NotMobileIdClientError(
                "nobody with this phone number and person code has an active certificate"
            )
        if result != results.CertificateResult.OK.value:
            raise answers.MobileIdAnswerError("expected OK, NOT_FOUND or NOT_ACTIVE as the result")
        certificate = answers.certificate_in(answer)
        facts = certificates.read(certificate)
        if facts.person_code != who.person_code or not facts.is_for_signing:
            raise answers.MobileIdAnswerError(
                "expected the signing certificate of the person asked for"
            )
        return certificate

    def start_signature(
        self,
        who: addressee.Addressee,
        representation: signature.DataToBeSignedRepresentation,
        *,
        language: results.Language = results.Language.AZE,
        text: str = "",
    ) -> StartedSession:
        """Ask a person to sign; returns as soon as the gateway took the request.

        Raises:
            DisplayTextError: The text does not fit on a phone's screen.
            PeerError: The gateway did not take it.
        """
        return self._start(results.Operation.SIGNATURE, who, representation, language, text)

    def start_authentication(
        self,
        who: addressee.Addressee,
        representation: signature.DataToBeSignedRepresentation,
        *,
        language: results.Language = results.Language.AZE,
        text: str = "",
    ) -> StartedSession:
        """Ask a person to authenticate over a hash that nobody could foresee. Raises as above."""
        return self._start(results.Operation.AUTHENTICATION, who, representation, language, text)

    def poll_signature(
        self,
        started: StartedSession,
        certificate: x509.Certificate,
        *,
        timeout_ms: int = LONG_POLL_MS,
    ) -> signature.SignatureValue | None:
        """Return the signature value, or None while the person has not answered.

        Args:
            started: What was asked.
            certificate: The signing certificate that the value must verify with.
            timeout_ms: How long the gateway may hold the question.

        Raises:
            PhoneRefusedError: The person refused.
            PhoneTimeoutError: The person did not answer in time.
            PhoneFailedError: The phone is absent, or it, its SIM or the network failed.
            PhoneSignatureError: The value does not verify; it is not given out.
            NotMobileIdClientError: The person has no active certificate.
            SessionGoneError: The gateway no longer knows the session.
            PeerError: The gateway did not answer, or not as the protocol says.
        """
        answer = self._poll(started, timeout_ms)
        if answer is None:
            return None
        value = answers.read_value(answer.get("signature"), started.representation)
        answers.check(certificate, started.representation, value)
        return value

    def poll_authentication(
        self,
        started: StartedSession,
        who: addressee.Addressee,
        issuers: Collection[x509.Certificate],
        at: datetime.datetime,
        *,
        timeout_ms: int = LONG_POLL_MS,
    ) -> Authentication | None:
        """Return who authenticated, or None while the person has not answered.

        Checked: the value over our own hash with the certificate's key, one of `issuers` as its
        issuer, its validity at `at`, its key usage, and that it is the person who was asked
        (Mobile-ID REST 3.3.6 and more). The caller asks for the certificate's status.

        Raises:
            As `poll_signature`; MobileIdAnswerError also for a certificate that fails a check.
        """
        answer = self._poll(started, timeout_ms)
        if answer is None:
            return None
        certificate = answers.certificate_in(answer)
        value = answers.read_value(answer.get("signature"), started.representation)
        answers.check(certificate, started.representation, value)
        answers.check_identity(certificate, who, issuers, at)
        return Authentication(certificate, who.person_code)

    def wait_for_signature(
        self,
        started: StartedSession,
        certificate: x509.Certificate,
        *,
        patience_s: float = 150.0,
    ) -> signature.SignatureValue:
        """Poll until the person has answered. Raises as `poll_signature`."""
        return self._wait(
            lambda timeout_ms: self.poll_signature(started, certificate, timeout_ms=timeout_ms),
            patience_s,
        )

    def wait_for_authentication(
        self,
        started: StartedSession,
        who: addressee.Addressee,
        issuers: Collection[x509.Certificate],
        at: datetime.datetime,
        *,
        patience_s: float = 150.0,
    ) -> Authentication:
        """Poll until the person has answered. Raises as `poll_authentication`."""
        return self._wait(
            lambda timeout_ms: self.poll_authentication(
                started, who, issuers, at, timeout_ms=timeout_ms
            ),
            patience_s,
        )

    def _wait(self, poll: Callable[[int], _Answer | None], patience_s: float) -> _Answer:
        deadline = self._elapsed_s() + patience_s
        while True:
            left_ms = int((deadline - self._elapsed_s()) * 1000)
            found = poll(max(1000, min(LONG_POLL_MS, left_ms)))
            if found is not None:
                return found
            if self._elapsed_s() >= deadline:
                raise answers.PhoneTimeoutError("the person did not answer on the phone in time")

    def _start(
        self,
        operation: results.Operation,
        who: addressee.Addressee,
        representation: signature.DataToBeSignedRepresentation,
        language: results.Language,
        text: str,
    ) -> StartedSession:
        session_id = self.start(
            operation.value,
            who,
            {
                "hash": base64.b64encode(representation.hash).decode(),
                "hashType": results.HASH_TYPE_NAMES[representation.hash_algorithm],
            },
            language,
            text,
        )
        return StartedSession(session_id, operation, representation)

    def start(
        self,
        path: str,
        who: addressee.Addressee,
        asked: Mapping[str, object],
        language: results.Language,
        text: str,
    ) -> str:
        """Ask something of a person by one call of the gateway; return the session's id.

        Raises:
            DisplayTextError: The text does not fit on a phone's screen.
            PeerError: The gateway did not take it.
        """
        body = {**self._addressed(who), **asked, "language": language.value}
        if text:
            text_format = display_text.format_for(text)
            display_text.shown_text(text, text_format)
            body |= {"displayText": text, "displayTextFormat": text_format.value}
        return answers.text_of(self._post(path, body), "sessionID")

    def _addressed(self, who: addressee.Addressee) -> dict[str, object]:
        return {
            "relyingPartyUUID": self._party.uuid,
            "relyingPartyName": self._party.name,
            "phoneNumber": who.phone_number,
            "nationalIdentityNumber": who.person_code,
        }

    def _post(self, path: str, body: Mapping[str, object]) -> Mapping[str, object]:
        try:
            reply = self._client.send_json("POST", f"{self._api_root}/{path}", body)
        except outbound.PeerAnswerError as error:
            if error.reply is not None and error.reply.status == 400:
                raise errors.InputError(
                    f"the gateway refused the request: {answers.error_text(error.reply)}"
                ) from error
            raise
        return answers.json_object(reply)

    def _poll(self, started: StartedSession, timeout_ms: int) -> Mapping[str, object] | None:
        return self.poll(started.operation.value, started.session_id, timeout_ms)

    def poll(self, path: str, session_id: str, timeout_ms: int) -> Mapping[str, object] | None:
        """Return the answer of a session that ended well, or None while it runs.

        None takes `MIN_POLL_S` at least (or the `timeout_ms` of a shorter question), so that who
        asks until there is an answer does not flood a gateway that holds no question.

        Raises as `poll_signature`, of a session that ended in another way.
        """
        session = urllib.parse.quote(session_id, safe="")
        url = f"{self._api_root}/{path}/session/{session}"
        asked = self._elapsed_s()
        try:
            reply = self._client.send(
                "GET",
                f"{url}?timeoutMs={timeout_ms}",
                accept="application/json",
                timeout_s=(timeout_ms + ANSWER_MARGIN_MS) / 1000,
                expect_type="application/json",
            )
        except outbound.PeerAnswerError as error:
            if error.reply is not None and error.reply.status == 404:
                raise answers.SessionGoneError("the gateway no longer knows the session") from error
            raise
        answer = answers.json_object(reply)
        state = answers.text_of(answer, "state")
        if state == "RUNNING":
            left_s = min(MIN_POLL_S, timeout_ms / 1000) - (self._elapsed_s() - asked)
            if left_s > 0:
                self._pause(left_s)
            return None
        if state != "COMPLETE":
            raise answers.MobileIdAnswerError("expected RUNNING or COMPLETE as the state")
        answers.raise_unless_ok(answers.text_of(answer, "result"))
        return answer
