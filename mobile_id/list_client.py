"""Asking a person to confirm a list of documents at once: our extension of Mobile-ID REST."""

import dataclasses

from cryptography import x509

from mobile_id import addressee, answers, client, results, signature_list
from pki import errors, outbound, signature

PATH = "imza/signature-list"


class ListsUnsupportedError(errors.PolicyError):
    """The person's operator has no such call: its phones confirm one hash at a time."""

    code = "phone-lists-unsupported"


@dataclasses.dataclass(frozen=True)
class StartedList:
    """A list on its way to a phone; plain values, so that any worker can go on with it.

    Attributes:
        session_id: The gateway's name for it.
        representations: What is to be signed, in the list's order.
    """

    session_id: str
    representations: tuple[signature.DataToBeSignedRepresentation, ...]


def start(
    mobile: client.MobileIdClient,
    who: addressee.Addressee,
    documents: signature_list.SignatureList,
    *,
    language: results.Language = results.Language.AZE,
    text: str = "",
) -> StartedList:
    """Ask a person to sign every document of a list; returns once the gateway took the request.

    The control code to show is the list's own, `documents.control_code`.

    Raises:
        ListsUnsupportedError: The gateway does not know the call.
        DisplayTextError: The text does not fit on a phone's screen.
        PeerError: The gateway did not take it.
    """
    asked = {"documents": documents.to_json()}
    try:
        session_id = mobile.start(PATH, who, asked, language, text)
    except outbound.PeerAnswerError as error:
        if error.reply is not None and error.reply.status in (404, 405):
            raise ListsUnsupportedError(
                "this operator's phones confirm one hash at a time: sign many documents in one"
                " ASiC-E container"
            ) from error
        raise
    return StartedList(session_id, documents.representations)


def poll(
    mobile: client.MobileIdClient,
    started: StartedList,
    certificate: x509.Certificate,
    *,
    timeout_ms: int = client.LONG_POLL_MS,
) -> tuple[signature.SignatureValue, ...] | None:
    """Return a value for every document, or None while the person has not answered.

    Raises:
        PhoneSignatureError: One does not verify; none is given out.
        MobileIdAnswerError: Not one for each document.
        Others as `MobileIdClient.poll_signature`.
    """
    answer = mobile.poll(PATH, started.session_id, timeout_ms)
    if answer is None:
        return None
    found = answer.get("signatures")
    if not isinstance(found, list) or len(found) != len(started.representations):
        raise answers.MobileIdAnswerError("expected a signature for each document of the list")
    values = []
    for nested, representation in zip(found, started.representations, strict=True):
        value = answers.read_value(nested, representation)
        answers.check(certificate, representation, value)
        values.append(value)
    return tuple(values)
