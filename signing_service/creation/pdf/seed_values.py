"""What the author of a form demands of the signature in one of its fields (seed values).

ISO 32000-1 tables 234 and 235, with what ISO 32000-2 adds. A demand that is marked as required is
met or the signature is refused with the reason; what is only recommended is not looked at.
"""

import dataclasses
import enum
from collections.abc import Sequence

from cryptography import x509
from pyhanko.pdf_utils import generic

from pki import algorithms, certificates
from signing_service import documents, parameters
from signing_service.creation.pdf import pdf_structure


class SeedValueError(pdf_structure.PdfRefusedError):
    """The signature field demands something else than what is wanted, or than is made here."""

    code = "field-demands"


class _Required(enum.IntFlag):
    FILTER = 1
    SUB_FILTER = 2
    VERSION = 4
    REASONS = 8
    LEGAL_ATTESTATION = 16
    ADD_REV_INFO = 32
    DIGEST_METHOD = 64
    LOCK_DOCUMENT = 128
    APPEARANCE_FILTER = 256


class _RequiredOfCertificate(enum.IntFlag):
    SUBJECT = 1
    ISSUER = 2
    OID = 4
    SUBJECT_DN = 8
    KEY_USAGE = 32
    URL = 64


VERSION = 3
"""The newest seed value dictionary that is understood: that of ISO 32000-2."""


@dataclasses.dataclass(frozen=True)
class Signer:
    """Who will sign.

    Attributes:
        path: The signing certificate and its issuers.
        hash_algorithm: What the signer's key signs.
    """

    path: Sequence[x509.Certificate]
    hash_algorithm: algorithms.HashAlgorithm


def check(
    seed: generic.DictionaryObject,
    chosen: parameters.SignatureParameters,
    signer: Signer | None,
) -> None:
    """Check a wanted signature against the demands of its field. Call in `reading()`.

    Args:
        seed: The entry SV of the field.
        chosen: What the caller wants.
        signer: Who will sign; None where that is not known yet.

    Raises:
        SeedValueError: A demand is not met; the message says which.
    """
    required = _flags(seed)
    if required & ~sum(_Required):
        raise _unmet("nothing that is not known here")
    for flag, key, made in (
        (_Required.FILTER, "/Filter", "/Adobe.PPKLite"),
        (_Required.SUB_FILTER, "/SubFilter", "/ETSI.CAdES.detached"),
    ):
        if required & flag and (accepted := _values(seed, key)) and made not in accepted:
            raise _unmet(f"a signature of the kind {', '.join(map(str, accepted))[:200]}")
    version = pdf_structure.entry(seed, "/V")
    if required & _Required.VERSION and isinstance(version, int | float) and version > VERSION:
        raise _unmet("a program of a later version")
    if required & _Required.REASONS:
        _check_reason([str(one) for one in _values(seed, "/Reasons")], chosen)
    _check_kind(seed, required, chosen)
    if required & _Required.ADD_REV_INFO and bool(pdf_structure.entry(seed, "/AddRevInfo")):
        # It goes into a signed attribute that EN 319 142-1 6.3 does not know.
        raise _unmet("revocation data in the signature itself, which PAdES keeps beside it")
    if required & _Required.APPEARANCE_FILTER:
        raise _unmet("an appearance of a name that is not known here")
    _check_lock(seed, required, chosen)
    stamp = pdf_structure.entry(seed, "/TimeStamp")
    if (
        isinstance(stamp, generic.DictionaryObject)
        and pdf_structure.entry(stamp, "/Ff") == 1
        and chosen.level is documents.SignatureLevel.B_B
    ):
        raise _unmet("a time stamp: choose a level from B-T")
    if signer is None:
        return
    methods = {str(one).upper().replace("-", "") for one in _values(seed, "/DigestMethod")}
    made_with = signer.hash_algorithm.value.upper().replace("-", "")
    if required & _Required.DIGEST_METHOD and methods and made_with not in methods:
        raise _unmet(f"another hash than {signer.hash_algorithm.value}, which the key signs")
    wanted = pdf_structure.entry(seed, "/Cert")
    if isinstance(wanted, generic.DictionaryObject):
        _check_certificate(wanted, signer)


def _check_reason(accepted: list[str], chosen: parameters.SignatureParameters) -> None:
    if accepted in ([], ["."]):
        if chosen.reason is not None:
            raise _unmet("a signature without a reason")
    elif chosen.reason not in accepted:
        raise _unmet(f"one of the reasons {'; '.join(accepted)[:400]}")


def _check_kind(
    seed: generic.DictionaryObject, required: int, chosen: parameters.SignatureParameters
) -> None:
    """Check whether a certification or an approval is wanted, which needs no flag to count."""
    kind = pdf_structure.entry(seed, "/MDP")
    if not isinstance(kind, generic.DictionaryObject):
        return
    number = pdf_structure.entry(kind, "/P")
    if number == 0:
        if chosen.certification is not None:
            raise _unmet("an approval: sign without a certification")
        return
    wanted = [one for one in parameters.PermittedChanges if one.number == number]
    if not wanted:
        raise _unmet("a kind of signature that is not known here")
    if chosen.certification is not wanted[0]:
        raise _unmet(f"the certification {wanted[0].value!r}")
    if required & _Required.LEGAL_ATTESTATION:
        raise _unmet("a legal attestation, which is not made here")


def _check_lock(
    seed: generic.DictionaryObject, required: int, chosen: parameters.SignatureParameters
) -> None:
    """Check whether the signature closes the document (LockDocument of ISO 32000-2 table 237)."""
    if not required & _Required.LOCK_DOCUMENT:
        return
    closes = chosen.certification is parameters.PermittedChanges.NO_CHANGES or (
        chosen.lock is not None and chosen.lock.changes is parameters.PermittedChanges.NO_CHANGES
    )
    wanted = str(pdf_structure.entry(seed, "/LockDocument")).lstrip("/").lower()
    if wanted == "true" and not closes:
        raise _unmet("a lock with the changes 'no-changes'")
    if wanted == "false" and closes:
        raise _unmet("a signature that leaves the document open")


def _check_certificate(wanted: generic.DictionaryObject, signer: Signer) -> None:
    required = _flags(wanted)
    certificate = signer.path[0]
    if required & ~sum(_RequiredOfCertificate):
        raise _unmet("of the certificate nothing that is not known here")
    if required & _RequiredOfCertificate.SUBJECT and certificates.to_der(
        certificate
    ) not in _certificates(wanted, "/Subject"):
        raise _unmet("the certificate of somebody else")
    if required & _RequiredOfCertificate.ISSUER:
        issuers = _certificates(wanted, "/Issuer")
        if not any(certificates.to_der(one) in issuers for one in signer.path[1:]):
            raise _unmet("a certificate of another issuer")
    if required & _RequiredOfCertificate.OID:
        accepted = {str(one) for one in _values(wanted, "/OID")}
        if not accepted & _policies(certificate):
            raise _unmet(f"a certificate under one of the policies {', '.join(accepted)[:200]}")
    if required & _RequiredOfCertificate.SUBJECT_DN and not any(
        _has_name(certificate, one) for one in _values(wanted, "/SubjectDN")
    ):
        raise _unmet("a certificate with another subject")
    if required & _RequiredOfCertificate.KEY_USAGE and not any(
        _has_usage(certificate, str(one)) for one in _values(wanted, "/KeyUsage")
    ):
        raise _unmet("a certificate with another key usage")


_USAGES = (
    "digital_signature",
    "content_commitment",
    "key_encipherment",
    "data_encipherment",
    "key_agreement",
    "key_cert_sign",
    "crl_sign",
    "encipher_only",
    "decipher_only",
)


def _has_usage(certificate: x509.Certificate, wanted: str) -> bool:
    """Compare with a row of 1 (must be set), 0 (must not) and X, one for each bit of RFC 5280."""
    try:
        usage = certificate.extensions.get_extension_for_class(x509.KeyUsage).value
    except x509.ExtensionNotFound:
        return False
    for name, sign in zip(_USAGES, wanted, strict=False):
        # These two have no meaning, and no value, without key agreement.
        only = name in ("encipher_only", "decipher_only")
        is_set = getattr(usage, name) if usage.key_agreement or not only else False
        if sign in "01" and is_set is not (sign == "1"):
            return False
    return True


_NAMES = {
    "CN": "2.5.4.3",
    "SN": "2.5.4.4",
    "SERIALNUMBER": "2.5.4.5",
    "C": "2.5.4.6",
    "L": "2.5.4.7",
    "ST": "2.5.4.8",
    "O": "2.5.4.10",
    "OU": "2.5.4.11",
    "TITLE": "2.5.4.12",
    "GN": "2.5.4.42",
    "E": "1.2.840.113549.1.9.1",
}


def _has_name(certificate: x509.Certificate, wanted: object) -> bool:
    """Tell whether the subject has every attribute of a dictionary, named as RFC 4519 or by OID."""
    if not isinstance(wanted, generic.DictionaryObject) or not wanted:
        return False
    held = {(one.oid.dotted_string, str(one.value)) for one in certificate.subject}
    return all((_NAMES.get(key[1:].upper(), key[1:]), str(wanted[key])) in held for key in wanted)


def _policies(certificate: x509.Certificate) -> set[str]:
    try:
        extension = certificate.extensions.get_extension_for_class(x509.CertificatePolicies)
    except x509.ExtensionNotFound:
        return set()
    return {one.policy_identifier.dotted_string for one in extension.value}


def _certificates(wanted: generic.DictionaryObject, key: str) -> set[bytes]:
    return {
        one.original_bytes
        for one in _values(wanted, key)
        if isinstance(one, generic.ByteStringObject | generic.TextStringObject)
    }


def _values(dictionary: generic.DictionaryObject, key: str) -> list[object]:
    """Return the members of an array, or a value that stands alone."""
    value = pdf_structure.entry(dictionary, key)
    if isinstance(value, generic.ArrayObject):
        return list(pdf_structure.items(value))
    return [] if value is None else [value]


def _flags(dictionary: generic.DictionaryObject) -> int:
    value = pdf_structure.entry(dictionary, "/Ff")
    return int(value) if isinstance(value, int | float) else 0


def _unmet(demand: str) -> SeedValueError:
    return SeedValueError(f"the signature field demands {demand}")
