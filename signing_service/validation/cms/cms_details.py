"""What a CMS signature says of itself, for diagnostic data (EN 319 122-1 5.2, RFC 5652 11)."""

import base64
from collections.abc import Iterator

from pki import der, errors
from signing_service.validation import findings, report
from signing_service.validation.cms import ber, cms_signature
from signing_service.validation.diagnostics import diagnostic_data

_COMMITMENT = "1.2.840.113549.1.9.16.2.16"
_LOCATION = "1.2.840.113549.1.9.16.2.17"
_SIGNER_ATTRIBUTES = ("1.2.840.113549.1.9.16.2.18", "0.4.0.19122.1.1")
_POLICY = "signature_policy_identifier"

_OID = 0x06
_STRINGS = {0x0C: "utf-8", 0x13: "ascii", 0x16: "ascii", 0x1E: "utf-16-be"}
"""UTF8String, PrintableString, IA5String, BMPString."""
MAX_DEPTH = 10
MAX_PARTS = 50


def of_signature(
    message: cms_signature.Message, found: findings.FoundSignature
) -> diagnostic_data.SignatureDetails:
    """Tell what a signature says, and whether its content is what was signed."""
    digest = message.attribute_octets("message_digest")
    differs = found.failure is not None and found.failure[0] is report.SubIndication.HASH_FAILURE
    matches = True if found.intact else False if differs else None
    reference = diagnostic_data.SignatureReference(
        source="signature",
        uri=found.scope_names[0] if found.scope_names else None,
        type="message-digest",
        transforms=(),
        digest_algorithm=message.digest_algorithm,
        digest=base64.b64encode(_content(digest[0])).decode("ascii") if digest else None,
        matches=matches,
    )
    return diagnostic_data.SignatureDetails(
        signature_algorithm=message.signature_algorithm,
        references=(reference,),
        signed_properties=tuple(sorted(message.attribute_names)),
        unsigned_properties=tuple(sorted(message.unsigned_attribute_names)),
        claimed_roles=_strings(message, *_SIGNER_ATTRIBUTES),
        production_place=_strings(message, _LOCATION),
        commitments=_first_identifiers(message, "commitment_type", _COMMITMENT),
        signature_policy=next(iter(_first_identifiers(message, _POLICY)), None),
    )


def _strings(message: cms_signature.Message, *names: str) -> tuple[str, ...]:
    """All texts in the values of attributes, in their order."""
    found = []
    for value in _values(message, names):
        for tag, content in _walk(value, 0):
            if tag in _STRINGS:
                found.append(content.decode(_STRINGS[tag], "replace"))
    return tuple(found[:MAX_PARTS])


def _first_identifiers(message: cms_signature.Message, *names: str) -> tuple[str, ...]:
    """The first object identifier of each value."""
    found = []
    for value in _values(message, names):
        first = next((content for tag, content in _walk(value, 0) if tag == _OID), None)
        if first is not None:
            found.append(_dotted(first))
    return tuple(found[:MAX_PARTS])


def _values(message: cms_signature.Message, names: tuple[str, ...]) -> Iterator[bytes]:
    for name in names:
        yield from message.attribute_octets(name)


def _walk(octets: bytes, depth: int) -> Iterator[tuple[int, bytes]]:
    """The primitive elements inside, by tag and content; nothing of what cannot be read."""
    offset = 0
    while offset < len(octets) and depth < MAX_DEPTH:
        try:
            body, size = ber.header(octets, offset, len(octets))
        except errors.InputError:
            return
        if size is None:
            return
        tag = octets[offset]
        content = octets[body : body + size]
        if tag & 0x20:
            yield from _walk(content, depth + 1)
        else:
            yield tag, content
        offset = body + size


def _content(element: bytes) -> bytes:
    return next((content for _, content in _walk(element, 0)), b"")


def _dotted(content: bytes) -> str:
    try:
        return der.decode_oid(der.Element(_OID, content))
    except (ValueError, errors.InputError):
        return content.hex()
