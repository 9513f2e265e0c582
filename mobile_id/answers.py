"""What a Mobile-ID gateway answers, read and checked; and how a request can end otherwise.

Nothing is believed unchecked: a value has to verify with the certificate that the caller holds,
over the hash that the caller sent.
"""

import base64
import binascii
import datetime
from collections.abc import Collection, Mapping

from cryptography import x509
from cryptography.x509.oid import ExtendedKeyUsageOID

from mobile_id import addressee, results
from pki import algorithms, certificates, errors, outbound, signature

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


def raise_unless_ok(text: str) -> None:
    """Raise the error of a session that ended with another result than OK."""
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


def check_identity(
    certificate: x509.Certificate,
    who: addressee.Addressee,
    issuers: Collection[x509.Certificate],
    at: datetime.datetime,
) -> None:
    """Check that a certificate authenticates a person (Mobile-ID REST 3.3.6 and more).

    Raises:
        MobileIdAnswerError: It is another's, not for authentication, not in time, or of an issuer
            that is not among those known.
    """
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


def certificate_in(answer: Mapping[str, object]) -> x509.Certificate:
    """Return the certificate of an answer.

    Raises:
        MobileIdAnswerError: There is none.
    """
    try:
        return certificates.parse(_binary(text_of(answer, "cert")))
    except certificates.CertificateError as error:
        raise MobileIdAnswerError("expected a certificate in the answer") from error


def json_object(reply: outbound.Reply) -> Mapping[str, object]:
    """Return the object that a reply is.

    Raises:
        MobileIdAnswerError: It is something else.
    """
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


def error_text(reply: outbound.Reply) -> str:
    """Return the reason that a refusal gives, cut to what a message takes."""
    try:
        return text_of(json_object(reply), "error")[:200]
    except errors.PeerError:
        return "it gave no reason"
