"""Validation data that travels in a CMS: certificates, CRLs and OCSP responses, wherever it lies.

EN 319 122-1 puts it into SignedData (5.5.3), the extended levels into unsigned attributes (A.1).
"""

import dataclasses

from pki import der, errors
from signing_service.validation import evidence
from signing_service.validation.cades import attributes, signed_data

_ID_BASIC_RESPONSE = der.encode_oid("1.3.6.1.5.5.7.48.1.1")
_ID_OCSP_RESPONSE = der.encode_oid("1.3.6.1.5.5.7.16.2")
_ENUMERATED_SUCCESSFUL = b"\x0a\x01\x00"
_OTHER_FORMAT = 0xA1


@dataclasses.dataclass
class _Found:
    certificates_der: list[bytes] = dataclasses.field(default_factory=list)
    ocsp_responses: list[bytes] = dataclasses.field(default_factory=list)
    crls: list[bytes] = dataclasses.field(default_factory=list)


def take(signed: signed_data.SignedData, known: evidence.Evidence) -> None:
    """Add everything that a SignedData carries; what cannot be read proves nothing."""
    found = _Found(certificates_der=[one for one in signed.certificates if one[0] == der.SEQUENCE])
    for one in signed.crls:
        if one[0] == der.SEQUENCE:
            found.crls.append(one)
        elif one[0] == _OTHER_FORMAT:
            _take_other(one, found)
    for signer in signed.signers:
        for value in signer.values_of(attributes.CERTIFICATE_VALUES):
            found.certificates_der += _members(value, der.SEQUENCE)
        for value in signer.values_of(attributes.REVOCATION_VALUES):
            for field in _members(value, der.SEQUENCE):
                _take_revocation_values(field, found)
    known.add(
        certificates_der=found.certificates_der,
        ocsp_responses=found.ocsp_responses,
        crls=found.crls,
    )


def take_token(token: bytes, known: evidence.Evidence) -> None:
    """Add what a time-stamp token carries, in its attributes too."""
    try:
        take(signed_data.parse(token), known)
    except errors.LimitError:
        raise
    except errors.InputError:
        # Judged, and told, when the token's turn comes.
        return


def _take_other(choice: bytes, found: _Found) -> None:
    """OtherRevocationInfoFormat (RFC 5652 10.2.1, RFC 5940 2.1)."""
    members = _members(choice, None)
    if len(members) == 2 and members[0] == _ID_OCSP_RESPONSE:
        found.ocsp_responses.append(members[1])
    elif len(members) == 2 and members[0] == _ID_BASIC_RESPONSE:
        found.ocsp_responses.append(_ocsp_response(members[1]))


def _take_revocation_values(field: bytes, found: _Found) -> None:
    """One field of RevocationValues (RFC 5126 6.3.4)."""
    values = [one for inner in _members(field, None) for one in _members(inner, der.SEQUENCE)]
    if field[0] == 0xA0:
        found.crls += values
    elif field[0] == 0xA1:
        found.ocsp_responses += [_ocsp_response(one) for one in values]


def _ocsp_response(basic: bytes) -> bytes:
    """The response that a BasicOCSPResponse was taken from (RFC 6960 4.2.1)."""
    body = der.encode(der.SEQUENCE, _ID_BASIC_RESPONSE, der.encode(der.OCTET_STRING, basic))
    return der.encode(der.SEQUENCE, _ENUMERATED_SUCCESSFUL, der.encode(0xA0, body))


def _members(element: bytes, tag: int | None) -> list[bytes]:
    try:
        return list(signed_data.elements(signed_data.content_of(element, tag)))
    except (ValueError, errors.InputError):
        return []
