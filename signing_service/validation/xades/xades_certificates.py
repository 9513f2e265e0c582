"""Which certificate a XAdES signature was made with (EN 319 132-1 5.2.2, XMLDSig 4.5.4)."""

import hashlib
import re
from collections.abc import Sequence

from cryptography import x509
from lxml import etree

from pki import certificates, errors, xml_algorithms, xml_signature, xml_trees
from signing_service.validation import evidence
from signing_service.validation.certificates import foreign_certificates
from signing_service.validation.cms import foreign_keys
from signing_service.validation.xades import xades_properties

MAX_TRIES = 10
"""Certificates whose keys are tried on a value, where nothing says which of them it is."""

_DS = xml_signature.name


def signing_certificate(
    element: etree._Element,
    qualifying: etree._Element | None,
    supplied: Sequence[x509.Certificate] = (),
) -> tuple[x509.Certificate | None, bool | None]:
    """Find the certificate, and say whether the signed properties name it by digest.

    Args:
        element: The ds:Signature.
        qualifying: Its QualifyingProperties.
        supplied: Certificates of trusted people, for a signature that leaves its own out.

    Returns:
        Where nothing is named by digest, that of KeyInfo whose key fits the value, since they may
        stand in any order (XMLDSig 4.5.4); None for naming then.
    """
    infos = element.findall(_DS("KeyInfo"))
    in_key_info = _read_certificates(
        [one for info in infos for one in info.iter(_DS("X509Certificate"))]
    )
    digests = _certificate_digests(qualifying)
    candidates = [
        *in_key_info,
        *_read_certificates(xades_properties.named(qualifying, "EncapsulatedX509Certificate")),
        *supplied,
    ]
    # EN 319 132-1 5.2.2: the first digest is the signing certificate's, others are its issuers'.
    for algorithm, digest in digests:
        for candidate in candidates:
            der = certificates.to_der(candidate)
            if hashlib.new(algorithm, der, usedforsecurity=False).digest() == digest:
                return candidate, True
    if not in_key_info:
        in_key_info = [one for one in supplied if any(_is_described(info, one) for info in infos)]
    return _fitting(element, in_key_info), False if digests else None


def _fitting(
    element: etree._Element, candidates: Sequence[x509.Certificate]
) -> x509.Certificate | None:
    """The certificate whose key verifies the value, or else the first."""
    for one in candidates[:MAX_TRIES] if len(candidates) > 1 else ():
        try:
            xml_signature.check_value(element, foreign_keys.of_certificate(one))
        except errors.InputError:
            # Not this one; where none fits, the value does not verify and that is told.
            continue
        return one
    return candidates[0] if candidates else None


def _is_described(info: etree._Element, certificate: x509.Certificate) -> bool:
    """Whether X509Data describes a certificate without having it (XMLDSig 4.5.4)."""
    for one in info.iter(_DS("X509SKI")):
        try:
            identifier = certificate.extensions.get_extension_for_class(x509.SubjectKeyIdentifier)
            if xml_trees.read_base64(one) == identifier.value.digest:
                return True
        except (x509.ExtensionNotFound, ValueError, errors.InputError):
            continue
    serials = {(one.text or "").strip() for one in info.iter(_DS("X509SerialNumber"))}
    if str(certificate.serial_number) in serials:
        return True
    subject = _comparable(certificate.subject.rfc4514_string())
    return any(_comparable(one.text or "") == subject for one in info.iter(_DS("X509SubjectName")))


def _comparable(name: str) -> str:
    return re.sub(r"\s+", "", name).lower()


def _read_certificates(holders: Sequence[etree._Element]) -> list[x509.Certificate]:
    found = []
    for holder in holders[: evidence.MAX_ITEMS]:
        try:
            found.append(foreign_certificates.read_certificate(xml_trees.read_base64(holder)))
        except errors.InputError:
            # A certificate that cannot be read cannot be the one that verifies the value.
            continue
    return found


def _certificate_digests(qualifying: etree._Element | None) -> list[tuple[str, bytes]]:
    digests = []
    for local in ("SigningCertificateV2", "SigningCertificate"):
        for entry in xades_properties.signed(qualifying, local):
            own = etree.QName(entry).namespace
            for digest in entry.iter(f"{{{own}}}CertDigest"):
                # XAdES 1.1.1 has the two in its own namespace.
                is_oldest = digest.find(f"{{{own}}}DigestMethod") is not None
                space = own if is_oldest else xml_signature.DS
                try:
                    method, holder = (
                        xml_trees.child(digest, f"{{{space}}}{local}")
                        for local in ("DigestMethod", "DigestValue")
                    )
                    algorithm = xml_algorithms.read_digest_method(method)
                    value = xml_trees.read_base64(holder)
                except errors.InputError:
                    # Names nothing that can be compared; then it does not match either.
                    algorithm, value = "sha256", b""
                digests.append((algorithm, value))
    return digests
