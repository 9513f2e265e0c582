"""The level of a CAdES signature, by what is really present (EN 319 122-1 6, annex A)."""

from collections.abc import Sequence

from cryptography import x509

from pki import certificates, der, errors
from signing_service.validation import evidence
from signing_service.validation.cades import attributes, signed_data
from signing_service.validation.cms import time_stamp_tokens

_SHA1 = der.encode_oid("1.3.14.3.2.26")


def level(
    signed: signed_data.SignedData,
    signer: signed_data.Signer,
    certificate: x509.Certificate | None,
    known: evidence.Evidence,
    *,
    is_counter: bool = False,
    is_archived: bool = False,
) -> str:
    """Name the level of a signer's signature.

    Args:
        signed: What the signer is in.
        signer: Who.
        certificate: The signer's.
        known: The evidence that the signature carries.
        is_counter: It is a counter-signature, which says no type of content (RFC 5652 11.4).
        is_archived: An archive time stamp of the signature it lies in covers it: the hash index of
            EN 319 122-1 5.5.2 has every attribute value.
    """
    names = [one.oid for one in signer.signed]
    bound = sum(_binds(one) for one in signer.signed)
    if not bound:
        return "CMS-NOT-ETSI"
    unsigned = [one.oid for one in signer.unsigned if _holds_something(one)]
    reached = _reached(signed, unsigned, certificate, known)
    if reached == "LT" and is_archived:
        reached = "LTA"
    if reached != "B" and attributes.EVIDENCE_RECORDS.intersection(unsigned):
        return "CAdES-ERS"
    if is_counter:
        names.append(attributes.CONTENT_TYPE)
    if _is_baseline(signed, names, unsigned, bound, certificate):
        return f"CAdES-BASELINE-{reached}"
    return _extended(names, unsigned, reached)


def _holds_something(attribute: signed_data.Attribute) -> bool:
    """Whether an attribute for time stamps has one, be it good or not; others have anything."""
    if attribute.oid not in attributes.TIME_STAMPS:
        return True
    return any(_is_token(value) for value in attribute.values)


def _is_token(value: bytes) -> bool:
    try:
        time_stamp_tokens.read_token(value)
    except errors.InputError:
        return False
    return True


def _binds(attribute: signed_data.Attribute) -> bool:
    """Whether an attribute names the certificate as EN 319 122-1 5.2.2 wants it.

    The second version is for other hashes than SHA-1, which the first one has (RFC 5035 5.4.1).
    """
    if attribute.oid == attributes.SIGNING_CERTIFICATE_V2:
        return not any(_SHA1 in value[:32] for value in attribute.values)
    return attribute.oid == attributes.SIGNING_CERTIFICATE


def _is_baseline(
    signed: signed_data.SignedData,
    names: Sequence[str],
    unsigned: Sequence[str],
    bound: int,
    certificate: x509.Certificate | None,
) -> bool:
    """The requirements of EN 319 122-1 6.3 that can be seen in the signature."""
    once = (attributes.CONTENT_TYPE, attributes.MESSAGE_DIGEST, attributes.SIGNING_TIME)
    older = {
        *attributes.REFERENCES,
        attributes.CERTIFICATE_VALUES,
        attributes.REVOCATION_VALUES,
        attributes.CADES_C_TIME_STAMP,
        attributes.REFERENCES_TIME_STAMP,
        attributes.ARCHIVE_TIME_STAMP,
        attributes.ARCHIVE_TIME_STAMP_V2,
        attributes.LONG_TERM_VALIDATION,
    }
    return (
        bound == 1
        and all(names.count(oid) == 1 for oid in once)
        and not older.intersection(unsigned)
        and certificate is not None
        and certificates.to_der(certificate) in signed.certificates
    )


def _reached(
    signed: signed_data.SignedData,
    unsigned: Sequence[str],
    certificate: x509.Certificate | None,
    known: evidence.Evidence,
) -> str:
    if attributes.SIGNATURE_TIME_STAMP not in unsigned:
        return "B"
    if not signed.crls or certificate is None or not known.mentions(certificate):
        return "T"
    # EN 319 122-1 6.3: each level has what the ones below have.
    return "LTA" if attributes.ARCHIVE_TIME_STAMP_V3 in unsigned else "LT"


def _extended(names: Sequence[str], unsigned: Sequence[str], reached: str) -> str:
    """The names of EN 319 122-2, for what has more or less than a baseline level."""
    if reached == "LTA" or {
        attributes.ARCHIVE_TIME_STAMP,
        attributes.ARCHIVE_TIME_STAMP_V2,
        attributes.ARCHIVE_TIME_STAMP_V3,
        attributes.LONG_TERM_VALIDATION,
    }.intersection(unsigned):
        return "CAdES-A"
    has_references = {
        attributes.CERTIFICATE_REFERENCES,
        attributes.REVOCATION_REFERENCES,
    }.issubset(unsigned)
    if has_references:
        values = {attributes.CERTIFICATE_VALUES, attributes.REVOCATION_VALUES}.issubset(unsigned)
        stamped = {
            attributes.CADES_C_TIME_STAMP,
            attributes.REFERENCES_TIME_STAMP,
        }.intersection(unsigned)
        return f"CAdES-{'X' if stamped or values else 'C'}{'L' if values else ''}"
    if attributes.SIGNATURE_TIME_STAMP in unsigned:
        return "CAdES-T"
    return "CAdES-EPES" if attributes.SIGNATURE_POLICY in names else "CAdES-BES"
