"""The JSON of Mobile-ID REST: requests read with the texts that existing clients know, answers.

A request is untrusted: its size is limited by the route, its shape is checked here, and unknown
fields are ignored, as the protocol adds fields over time.
"""

import base64
import binascii
import dataclasses
import datetime
import json

from mobile_id import addressee, display_text, gateway, results, signature_list
from pki import errors, signature

MIN_HASH_CHARACTERS = 44
MAX_HASH_CHARACTERS = 88
"""Base64 of 32 and of 64 bytes."""

MAX_STRING = 1000
"""Longest value of a field that has no limit of its own."""


class MobileIdRequestError(errors.InputError):
    """The request is malformed; the message is the published one where there is one."""

    code = "mobile-id-request"


@dataclasses.dataclass(frozen=True)
class RelyingPartyFields:
    """How a relying party names itself."""

    uuid: str = dataclasses.field(repr=False)
    name: str


@dataclasses.dataclass(frozen=True)
class CertificateRequest:
    """The body of POST /certificate."""

    party: RelyingPartyFields
    who: addressee.Addressee


@dataclasses.dataclass(frozen=True)
class StartRequest:
    """The body of POST /authentication and POST /signature."""

    party: RelyingPartyFields
    request: gateway.SignatureRequest


def parse_certificate_request(body: bytes, countries: tuple[str, ...]) -> CertificateRequest:
    """Read a certificate request.

    Raises:
        MobileIdRequestError: Malformed (Mobile-ID REST 3.1.8).
    """
    fields = _fields(body)
    texts = _required(
        fields,
        ("relyingPartyUUID", "relyingPartyName", "phoneNumber", "nationalIdentityNumber"),
        "{} cannot be null.",
    )
    return CertificateRequest(_party(texts), _who(texts, countries))


def parse_start_request(
    body: bytes, operation: results.Operation, countries: tuple[str, ...]
) -> StartRequest:
    """Read an authentication or signature request.

    Raises:
        MobileIdRequestError: Malformed (Mobile-ID REST 3.2.6).
    """
    fields = _fields(body)
    texts = _required(
        fields,
        (
            "relyingPartyUUID",
            "relyingPartyName",
            "phoneNumber",
            "nationalIdentityNumber",
            "hash",
            "hashType",
            "language",
        ),
        "Required {} is missing.",
    )
    return StartRequest(
        _party(texts),
        gateway.SignatureRequest(
            operation,
            _who(texts, countries),
            _representation(texts["hash"], texts["hashType"]),
            _language(texts["language"]),
            _display_text(fields),
        ),
    )


def parse_list_request(body: bytes, countries: tuple[str, ...]) -> StartRequest:
    """Read a request to sign a list of documents: ours, with `documents` instead of a hash.

    Raises:
        MobileIdRequestError: Malformed.
    """
    fields = _fields(body)
    texts = _required(
        fields,
        (
            "relyingPartyUUID",
            "relyingPartyName",
            "phoneNumber",
            "nationalIdentityNumber",
            "language",
        ),
        "Required {} is missing.",
    )
    try:
        documents = signature_list.SignatureList.from_json(fields.get("documents"))
    except signature_list.SignatureListError as error:
        raise MobileIdRequestError(f"documents: {error.message}") from error
    return StartRequest(
        _party(texts),
        gateway.SignatureRequest(
            results.Operation.SIGNATURE,
            _who(texts, countries),
            documents.digest,
            _language(texts["language"]),
            _display_text(fields),
            documents,
        ),
    )


def session_started(session_id: str) -> dict[str, object]:
    """The answer to a started session."""
    return {"sessionID": session_id}


def certificate_answer(answer: gateway.CertificateAnswer) -> dict[str, object]:
    """The answer to a certificate request (Mobile-ID REST 3.1.6)."""
    shown: dict[str, object] = {"result": answer.result.value}
    if answer.certificate_der is not None:
        shown["cert"] = base64.b64encode(answer.certificate_der).decode()
    return shown


def session_status(
    status: gateway.SessionStatus | None, operation: results.Operation
) -> dict[str, object]:
    """The answer to a status request; None means that it still runs (Mobile-ID REST 3.3.5)."""
    if status is None or status.result is None:
        return {"state": "RUNNING"}
    shown: dict[str, object] = {"state": "COMPLETE", "result": status.result.value}
    if status.values:
        (value,) = status.values
        shown["signature"] = _signature(value)
        # The certificate of a signature is known beforehand, from POST /certificate.
        if operation is results.Operation.AUTHENTICATION and status.certificate_der is not None:
            shown["cert"] = base64.b64encode(status.certificate_der).decode()
    return shown


def list_status(status: gateway.SessionStatus | None) -> dict[str, object]:
    """The answer to a status request of a list: a value for each document, in its order."""
    if status is None or status.result is None:
        return {"state": "RUNNING"}
    shown: dict[str, object] = {"state": "COMPLETE", "result": status.result.value}
    if status.values:
        shown["signatures"] = [_signature(one) for one in status.values]
    return shown


def _signature(value: signature.SignatureValue) -> dict[str, str]:
    return {
        "value": base64.b64encode(value.value).decode(),
        "algorithm": f"{results.HASH_TYPE_NAMES[value.hash_algorithm]}WithECEncryption",
    }


def stamped(value: dict[str, object], trace_id: str, at: datetime.datetime) -> dict[str, object]:
    """Add the time, without a zone, and the trace id by which an operator finds the log line."""
    return {**value, "time": at.strftime("%Y-%m-%dT%H:%M:%S"), "traceId": trace_id}


def _fields(body: bytes) -> dict[str, object]:
    try:
        value = json.loads(body.decode("utf-8"), object_pairs_hook=_without_duplicates)
    # RecursionError: a deeply nested array needs few bytes.
    except (ValueError, RecursionError) as error:
        raise MobileIdRequestError("Request body must be a JSON object in UTF-8") from error
    if not isinstance(value, dict):
        raise MobileIdRequestError("Request body must be a JSON object in UTF-8")
    return value


def _without_duplicates(pairs: list[tuple[str, object]]) -> dict[str, object]:
    fields = dict(pairs)
    if len(fields) != len(pairs):
        raise MobileIdRequestError("Request body must have each parameter once")
    return fields


def _required(fields: dict[str, object], names: tuple[str, ...], missing: str) -> dict[str, str]:
    texts: dict[str, str] = {}
    for name in names:
        value = _text(fields, name)
        if value is None or not value.strip():
            raise MobileIdRequestError(missing.format(name))
        texts[name] = value
    return texts


def _text(fields: dict[str, object], name: str) -> str | None:
    value = fields.get(name)
    if value is None:
        return None
    if not isinstance(value, str) or len(value) > MAX_STRING:
        raise MobileIdRequestError(f"{name} must be a string of at most {MAX_STRING} characters")
    # JSON can spell half a surrogate pair and U+0000, which no database stores.
    if any("\ud800" <= one <= "\udfff" or one == "\0" for one in value):
        raise MobileIdRequestError(f"{name} must be Unicode text")
    return value


def _party(texts: dict[str, str]) -> RelyingPartyFields:
    return RelyingPartyFields(texts["relyingPartyUUID"], texts["relyingPartyName"])


def _language(name: str) -> results.Language:
    try:
        return results.Language(name)
    except ValueError as error:
        known = ", ".join(one.value for one in results.Language)
        raise MobileIdRequestError(f"language must be one of {known}") from error


def _who(texts: dict[str, str], countries: tuple[str, ...]) -> addressee.Addressee:
    phone_number, person_code = texts["phoneNumber"], texts["nationalIdentityNumber"]
    try:
        addressee.check_phone_number(phone_number)
        addressee.check_person_code_shape(person_code, countries)
    except addressee.AddresseeError as error:
        raise MobileIdRequestError(error.message) from error
    return addressee.Addressee(phone_number, person_code)


def _representation(encoded: str, hash_type: str) -> signature.DataToBeSignedRepresentation:
    algorithm = results.HASH_TYPES.get(hash_type)
    if algorithm is None:
        raise MobileIdRequestError(f"hashType must be one of {', '.join(results.HASH_TYPES)}")
    if not MIN_HASH_CHARACTERS <= len(encoded) <= MAX_HASH_CHARACTERS:
        raise MobileIdRequestError(
            f"hash must be valid Base64 string with length between {MIN_HASH_CHARACTERS}"
            f" and {MAX_HASH_CHARACTERS}"
        )
    try:
        value = base64.b64decode(encoded, validate=True)
    except (binascii.Error, ValueError) as error:
        raise MobileIdRequestError("Hash must be Base64 encoded") from error
    if len(value) != algorithm.size:
        raise MobileIdRequestError("The length of the hash must match the type of hash")
    return signature.DataToBeSignedRepresentation(algorithm, value)


def _display_text(fields: dict[str, object]) -> str:
    text = _text(fields, "displayText")
    name = _text(fields, "displayTextFormat")
    try:
        text_format = display_text.DisplayTextFormat(
            name or display_text.DisplayTextFormat.GSM7.value
        )
    except ValueError as error:
        known = " or ".join(one.value for one in display_text.DisplayTextFormat)
        raise MobileIdRequestError(f"displayTextFormat must be {known}") from error
    try:
        return display_text.shown_text(text or "", text_format)
    except display_text.DisplayTextError as error:
        raise MobileIdRequestError(error.message) from error
