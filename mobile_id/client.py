"""Mobile-ID REST from the relying party's side: ask, wait, and believe nothing unchecked.

The signing service is one more relying party. Whatever the gateway answers is checked here with
the certificate and the hash that the caller holds: a gateway that lies is found out.
"""

import base64
import binascii
import dataclasses
import datetime
import time
import urllib.parse
from collections.abc import Collection, Mapping

from cryptography import x509
from cryptography.x509.oid import ExtendedKeyUsageOID

from mobile_id import addressee, control_code, display_text, results
from pki import algorithms, certificates, errors, outbound, signature

LONG_POLL_MS = 20_000
ANSWER_MARGIN_MS = 1_500
"""How much longer than the long poll to wait for the answer (Mobile-ID REST 3.3.4)."""

MAX_ANSWER_CHARACTERS = 64 * 2**10


class MobileIdAnswerError(errors.PeerError):
    """The gateway's answer is not what the protocol says, or does not verify."""

    code = "mobile-id-answer"
    retriable = False


class SessionGoneError(errors.StateError):
    """The gateway no longer knows the session."""

    code = "mobile-id-session-gone"


class NotMobileIdClientError(errors.NotFoundError):
    """Nobody with this phone number and person code has an active certificate."""

    code = "not-mobile-id-client"


class PhoneRefusedError(errors.PolicyError):
    """The person refused on the phone."""

    code = "phone-refused"


class PhoneTimeoutError(errors.StateError):
    """The person did not answer in time."""

    code = "phone-timeout"


class PhoneFailedError(errors.DeviceError):
    """The phone could not be reached, or its SIM failed.

    Attributes:
        result: Which of the protocol's results it was.
    """

    code = "phone-failed"

    def __init__(self, message: str, *, result: results.Result) -> None:
        """Keep the sentence and the result."""
        super().__init__(message, retriable=True)
        self.result = result


class PhoneSignatureError(errors.DeviceError):
    """The phone signed with another key, or another hash; nothing of it is used."""

    code = "phone-signature-wrong"


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

    def __init__(self, client: outbound.Client, api_root: str, party: RelyingParty) -> None:
        """Keep the connection, the address of `/mid-api` and who asks."""
        self._client = client
        self._api_root = api_root.rstrip("/")
        self._party = party

    def fetch_certificate(self, who: addressee.Addressee) -> x509.Certificate:
        """Return a person's signing certificate.

        Its key usage and its person code are checked here; its path and status by the caller.

        Raises:
            NotMobileIdClientError: Nobody has both, or the certificate is not active.
            MobileIdAnswerError: The certificate is another person's, or not for signing.
            PeerError: The gateway did not answer.
        """
        answer = self._post("certificate", self._addressed(who))
        result = text_of(answer, "result")
        if result in (
            results.CertificateResult.NOT_FOUND.value,
            results.CertificateResult.NOT_ACTIVE.value,
        ):
            raise NotMobileIdClientError(
                "nobody with this phone number and person code has an active certificate"
            )
        if result != results.CertificateResult.OK.value:
            raise MobileIdAnswerError("expected OK, NOT_FOUND or NOT_ACTIVE as the result")
        certificate = _certificate(answer)
        facts = certificates.read(certificate)
        if facts.person_code != who.person_code or not facts.is_for_signing:
            raise MobileIdAnswerError("expected the signing certificate of the person asked for")
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
        value = read_value(answer.get("signature"), started.representation)
        check(certificate, started.representation, value)
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
        certificate = _certificate(answer)
        value = read_value(answer.get("signature"), started.representation)
        check(certificate, started.representation, value)
        _check_identity(certificate, who, issuers, at)
        return Authentication(certificate, who.person_code)

    def wait_for_signature(
        self,
        started: StartedSession,
        certificate: x509.Certificate,
        *,
        patience_s: float = 150.0,
    ) -> signature.SignatureValue:
        """Poll until the person has answered. Raises as `poll_signature`."""
        deadline = time.monotonic() + patience_s
        while True:
            value = self.poll_signature(started, certificate, timeout_ms=_ms_until(deadline))
            if value is not None:
                return value
            if time.monotonic() >= deadline:
                raise PhoneTimeoutError("the person did not answer on the phone in time")

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
        deadline = time.monotonic() + patience_s
        while True:
            found = self.poll_authentication(
                started, who, issuers, at, timeout_ms=_ms_until(deadline)
            )
            if found is not None:
                return found
            if time.monotonic() >= deadline:
                raise PhoneTimeoutError("the person did not answer on the phone in time")

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
        return text_of(self._post(path, body), "sessionID")

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
                    f"the gateway refused the request: {_error_text(error.reply)}"
                ) from error
            raise
        return _object(reply)

    def _poll(self, started: StartedSession, timeout_ms: int) -> Mapping[str, object] | None:
        return self.poll(started.operation.value, started.session_id, timeout_ms)

    def poll(self, path: str, session_id: str, timeout_ms: int) -> Mapping[str, object] | None:
        """Return the answer of a session that ended well, or None while it runs.

        Raises as `poll_signature`, of a session that ended in another way.
        """
        session = urllib.parse.quote(session_id, safe="")
        url = f"{self._api_root}/{path}/session/{session}"
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
                raise SessionGoneError("the gateway no longer knows the session") from error
            raise
        answer = _object(reply)
        state = text_of(answer, "state")
        if state == "RUNNING":
            return None
        if state != "COMPLETE":
            raise MobileIdAnswerError("expected RUNNING or COMPLETE as the state")
        _raise_unless_ok(text_of(answer, "result"))
        return answer


def _raise_unless_ok(text: str) -> None:
    try:
        result = results.Result(text)
    except ValueError as error:
        raise MobileIdAnswerError("expected a result of the protocol") from error
    match result:
        case results.Result.OK:
            return
        case results.Result.USER_CANCELLED:
            raise PhoneRefusedError("the person refused on the phone")
        case results.Result.TIMEOUT:
            raise PhoneTimeoutError("the person did not answer on the phone in time")
        case results.Result.NOT_MID_CLIENT:
            raise NotMobileIdClientError("the person has no active mobile certificate")
        case results.Result.SIGNATURE_HASH_MISMATCH:
            raise PhoneSignatureError("the phone signed with another key than the person's")
        case results.Result.PHONE_ABSENT:
            raise PhoneFailedError("the phone is switched off or out of reach", result=result)
        case results.Result.DELIVERY_ERROR:
            raise PhoneFailedError("the request could not be sent to the phone", result=result)
        case results.Result.SIM_ERROR:
            raise PhoneFailedError("the SIM failed or its PIN is blocked", result=result)


def read_value(
    nested: object, representation: signature.DataToBeSignedRepresentation
) -> signature.SignatureValue:
    """Read a value over a hash; whether it verifies is not judged.

    Raises:
        MobileIdAnswerError: It is none, or by another algorithm.
    """
    if not isinstance(nested, dict):
        raise MobileIdAnswerError("expected a signature in the answer")
    hash_algorithm = representation.hash_algorithm
    named = text_of(nested, "algorithm").lower()
    name = results.HASH_TYPE_NAMES[hash_algorithm].lower()
    schemes = {
        f"{name}withecencryption": algorithms.SignatureAlgorithm.ECDSA,
        f"{name}withrsaencryption": algorithms.SignatureAlgorithm.RSA_PKCS1,
    }
    if named not in schemes:
        raise MobileIdAnswerError("expected an EC or RSA signature over the hash that was sent")
    return signature.SignatureValue(
        schemes[named], hash_algorithm, _binary(text_of(nested, "value"))
    )


def check(
    certificate: x509.Certificate,
    representation: signature.DataToBeSignedRepresentation,
    value: signature.SignatureValue,
) -> None:
    """Check a value with the person's certificate.

    Raises:
        PhoneSignatureError: It does not verify.
    """
    try:
        signature.check_value(certificate.public_key(), representation, value)
    except errors.InputError as error:
        raise PhoneSignatureError(
            "the signature from the phone does not verify with the person's certificate"
        ) from error


def _check_identity(
    certificate: x509.Certificate,
    who: addressee.Addressee,
    issuers: Collection[x509.Certificate],
    at: datetime.datetime,
) -> None:
    facts = certificates.read(certificate)
    if facts.person_code != who.person_code:
        raise MobileIdAnswerError("expected the certificate of the person asked for")
    if certificates.KeyUsage.digitalSignature not in facts.key_usage or (
        ExtendedKeyUsageOID.CLIENT_AUTH.dotted_string not in facts.extended_key_usage
    ):
        raise MobileIdAnswerError("expected an authentication certificate")
    if not facts.not_before <= at <= facts.not_after:
        raise MobileIdAnswerError("expected an authentication certificate that is in time")
    for issuer in issuers:
        try:
            certificates.check_issued_by(certificate, issuer)
        except certificates.CertificateSignatureError:
            continue
        return
    raise MobileIdAnswerError("expected an authentication certificate of a known issuer")


def _certificate(answer: Mapping[str, object]) -> x509.Certificate:
    try:
        return certificates.parse(_binary(text_of(answer, "cert")))
    except certificates.CertificateError as error:
        raise MobileIdAnswerError("expected a certificate in the answer") from error


def _object(reply: outbound.Reply) -> Mapping[str, object]:
    value = reply.json()
    if not isinstance(value, dict):
        raise MobileIdAnswerError("expected a JSON object from the gateway")
    return value


def text_of(answer: Mapping[str, object], name: str) -> str:
    """Return a text of an answer.

    Raises:
        MobileIdAnswerError: There is none, or too long a one.
    """
    value = answer.get(name)
    if not isinstance(value, str) or not 0 < len(value) <= MAX_ANSWER_CHARACTERS:
        raise MobileIdAnswerError(f"expected {name} in the gateway's answer")
    return value


def _binary(text: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError) as error:
        raise MobileIdAnswerError("expected base64 in the gateway's answer") from error


def _error_text(reply: outbound.Reply) -> str:
    try:
        return text_of(_object(reply), "error")[:200]
    except errors.PeerError:
        return "it gave no reason"


def _ms_until(deadline: float) -> int:
    left_ms = int((deadline - time.monotonic()) * 1000)
    return max(1000, min(LONG_POLL_MS, left_ms))
