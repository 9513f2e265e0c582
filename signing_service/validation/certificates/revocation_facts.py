"""What OCSP responses and CRLs say, as plain values, whether anybody believes them or not."""

import hashlib
from collections.abc import Iterable

from cryptography import x509
from cryptography.x509 import ocsp as x509_ocsp

from pki import certificates
from signing_service.validation import evidence
from signing_service.validation.certificates import foreign_certificates, response_signatures
from signing_service.validation.diagnostics import diagnostic_data, diagnostic_values

_STATES = {
    x509_ocsp.OCSPCertStatus.GOOD: "good",
    x509_ocsp.OCSPCertStatus.REVOKED: "revoked",
    x509_ocsp.OCSPCertStatus.UNKNOWN: "unknown",
}


def collect(
    known: evidence.Evidence, told: Iterable[x509.Certificate], values: diagnostic_values.Values
) -> tuple[diagnostic_data.RevocationDatum, ...]:
    """Tell every response and list at hand; what cannot be read through is left out.

    Args:
        known: The evidence.
        told: The certificates that a list is asked about.
        values: Takes their DER.
    """
    asked = tuple(told)
    found = []
    for der, response in known.ocsp_responses.items():
        try:
            found.append(_response(der, response, known, values))
        except foreign_certificates.FAULTS:
            continue
    for der, crl in known.crls.items():
        try:
            found.append(_list(der, crl, asked, known, values))
        except foreign_certificates.FAULTS:
            continue
    return tuple(sorted(found, key=lambda one: (one.kind, one.sha256)))


def _response(
    der: bytes,
    response: x509_ocsp.OCSPResponse,
    known: evidence.Evidence,
    values: diagnostic_values.Values,
) -> diagnostic_data.RevocationDatum:
    statements = tuple(_single(one) for one in response.responses)
    name = response.responder_name
    key_hash = response.responder_key_hash
    return diagnostic_data.RevocationDatum(
        sha256=hashlib.sha256(der).hexdigest(),
        kind="OCSP",
        issuer=certificates.name_text(name)
        if name is not None
        else f"key hash {(key_hash or b'').hex()}",
        produced_at=response.produced_at_utc,
        this_update=max((one.this_update for one in statements), default=None),
        next_update=min(
            (one.next_update for one in statements if one.next_update is not None), default=None
        ),
        signature_hash=_hash_name(response),
        statements=statements,
        revoked_count=None,
        origins=tuple(sorted(known.origins_of(der))),
        der=values.told(der),
    )


def _single(one: x509_ocsp.OCSPSingleResponse) -> diagnostic_data.StatedStatus:
    reason = one.revocation_reason
    return diagnostic_data.StatedStatus(
        serial_number=certificates.serial_text(one.serial_number),
        state=_STATES[one.certificate_status],
        this_update=one.this_update_utc,
        next_update=one.next_update_utc,
        revoked_at=one.revocation_time_utc,
        reason=None if reason is None else reason.value,
    )


def _list(
    der: bytes,
    crl: x509.CertificateRevocationList,
    asked: tuple[x509.Certificate, ...],
    known: evidence.Evidence,
    values: diagnostic_values.Values,
) -> diagnostic_data.RevocationDatum:
    own = [one for one in asked if one.issuer == crl.issuer]
    return diagnostic_data.RevocationDatum(
        sha256=hashlib.sha256(der).hexdigest(),
        kind="CRL",
        issuer=certificates.name_text(crl.issuer),
        produced_at=None,
        this_update=crl.last_update_utc,
        next_update=crl.next_update_utc,
        signature_hash=_hash_name(crl),
        statements=tuple(
            sorted((_entry(crl, one) for one in own), key=lambda one: one.serial_number)
        ),
        revoked_count=len(crl),
        origins=tuple(sorted(known.origins_of(der))),
        der=values.told(der),
    )


def _entry(
    crl: x509.CertificateRevocationList, certificate: x509.Certificate
) -> diagnostic_data.StatedStatus:
    entry = crl.get_revoked_certificate_by_serial_number(certificate.serial_number)
    reasons = (
        []
        if entry is None
        else [
            one.value.reason.value
            for one in entry.extensions
            if isinstance(one.value, x509.CRLReason)
        ]
    )
    return diagnostic_data.StatedStatus(
        serial_number=certificates.serial_text(certificate.serial_number),
        state="good" if entry is None else "revoked",
        this_update=crl.last_update_utc,
        next_update=crl.next_update_utc,
        revoked_at=None if entry is None else entry.revocation_date_utc,
        reason=reasons[0] if reasons else None,
    )


def _hash_name(signed: x509_ocsp.OCSPResponse | x509.CertificateRevocationList) -> str | None:
    if isinstance(signed, x509_ocsp.OCSPResponse):
        scheme = response_signatures.scheme_of(signed)
        return None if scheme is None else scheme.hash_name.replace("_", "-")
    try:
        hasher = signed.signature_hash_algorithm
    except foreign_certificates.FAULTS:
        return None
    return None if hasher is None else hasher.name
