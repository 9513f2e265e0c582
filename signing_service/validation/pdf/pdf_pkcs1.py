"""PKCS #1 signatures of PDFs, which PDF 2.0 gave up (ISO 32000-1 12.8.3.2)."""

import dataclasses
from typing import BinaryIO

from pki import der, errors
from signing_service.validation import findings, report
from signing_service.validation.certificates import foreign_certificates
from signing_service.validation.cms import ber, cms_signature, signature_values
from signing_service.validation.pdf import pdf_structure

SUBFILTER = "/adbe.x509.rsa_sha1"

_SCHEME = signature_values.Scheme("rsassa_pkcs1v15", "sha1")


def check(
    base: findings.FoundSignature, file: BinaryIO, entry: pdf_structure.Entry
) -> findings.FoundSignature:
    """Verify the value, an OCTET STRING in DER, with the certificate beside it.

    Nothing in it names the certificate and its hash is SHA-1, so it never passes.

    Raises:
        InputError: The value or the certificate is malformed.
    """
    if not entry.certificates_der:
        return dataclasses.replace(base, level="PDF-NOT-ETSI")
    certificate = foreign_certificates.read_certificate(entry.certificates_der[0])
    found = dataclasses.replace(
        base, level="PDF-NOT-ETSI", certificate=certificate, digest_algorithms=frozenset({"sha1"})
    )
    body, size = ber.header(entry.contents, 0, len(entry.contents))
    if entry.contents[0] != der.OCTET_STRING or size is None:
        raise cms_signature.CMSFormatError("expected a signature value as an OCTET STRING")
    value = entry.contents[body : body + size]
    if entry.range_problem is not None:
        problem = report.Finding("byte-range", entry.range_problem)
        failure = report.SubIndication.FORMAT_FAILURE, problem
        return dataclasses.replace(found, intact=False, failure=failure)
    try:
        signature_values.verify(
            certificate,
            _SCHEME,
            value,
            None,
            lambda name: pdf_structure.digest(file, entry.ranges, name),
        )
    except errors.InputError as error:
        unknown = isinstance(error, cms_signature.UnsupportedCMSError)
        sub_indication = (
            report.SubIndication.CRYPTO_CONSTRAINTS_FAILURE_NO_POE
            if unknown
            else report.SubIndication.SIG_CRYPTO_FAILURE
        )
        problem = report.Finding(error.code, error.message)
        return dataclasses.replace(
            found, intact=None if unknown else False, failure=(sub_indication, problem)
        )
    return dataclasses.replace(found, intact=True)
