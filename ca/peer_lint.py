"""pkilint in this process: linting by software we did not write, at some milliseconds a piece.

Its validators are built once for each kind of document; building them takes longer than linting.
"""

import functools
import threading
from collections.abc import Sequence
from typing import Any

from pkilint import etsi, finding_filter, pkix, validation
from pkilint.etsi import etsi_constants
from pkilint.pkix import certificate as pkix_certificate
from pkilint.pkix import crl as pkix_crl
from pkilint.pkix import extension, name
from pkilint.pkix.certificate import RFC5280Certificate
from pkilint.pkix.crl import RFC5280CertificateList

EIDAS_TYPE = "QCP-N-QSCD-EIDAS-FINAL-CERTIFICATE"
EIDAS_FINDING = "etsi.en_319_412_5.qcs-5.01.qc_cc_legislation_qualified_statement_present"

# Documents are trees that validators annotate; one at a time keeps them apart.
_lock = threading.Lock()


def certificate_findings(certificate_der: bytes, kind: str) -> tuple[str, ...]:
    """Return what pkilint finds at the severity WARNING and above, as codes.

    Args:
        certificate_der: Any certificate.
        kind: The ETSI type, as the command line of pkilint spells it; "" lints by RFC 5280.
    """
    with _lock:
        document = RFC5280Certificate("twin", certificate_der)
        try:
            document.decode()
        except ValueError as error:
            return (f"undecodable: {error}",)
        if not kind:
            return _codes(_pkix_certificate_linter().validate(document.root))
        results = _etsi_linter(kind).validate(document.root)
        kept, _ = finding_filter.filter_results(_etsi_filters(kind), results)
        return _codes(kept)


def crl_findings(crl_der: bytes) -> tuple[str, ...]:
    """Return what pkilint finds in a CRL at the severity WARNING and above, as codes."""
    with _lock:
        document = RFC5280CertificateList("twin", crl_der)
        try:
            document.decode()
        except ValueError as error:
            return (f"undecodable: {error}",)
        return _codes(_crl_linter().validate(document.root))


def load() -> None:
    """Build the linters of the profiles now, so that the first issuance is not slow."""
    _pkix_certificate_linter()
    _crl_linter()
    for kind in (
        "QCP-N-QSCD-NON-EIDAS-FINAL-CERTIFICATE",
        EIDAS_TYPE,
        "NCP-NATURAL-PERSON-CERTIFICATE",
    ):
        _etsi_linter(kind)


def _codes(results: Sequence[Any]) -> tuple[str, ...]:
    threshold = validation.ValidationFindingSeverity.WARNING
    return tuple(
        str(description.finding.code)
        for result in results
        for description in result.finding_descriptions
        if description.finding.severity <= threshold
    )


@functools.cache
def _pkix_certificate_linter() -> Any:
    return pkix_certificate.create_pkix_certificate_validator_container(
        pkix_certificate.create_decoding_validators(
            name.ATTRIBUTE_TYPE_MAPPINGS, extension.EXTENSION_MAPPINGS
        ),
        [
            pkix_certificate.create_issuer_validator_container([]),
            pkix_certificate.create_validity_validator_container(),
            pkix_certificate.create_subject_validator_container([]),
            pkix_certificate.create_extensions_validator_container([]),
            pkix_certificate.create_spki_validator_container([]),
        ],
    )


@functools.cache
def _etsi_linter(kind: str) -> Any:
    certificate_type = etsi_constants.CertificateType.from_option_str(kind)
    return pkix_certificate.create_pkix_certificate_validator_container(
        etsi.create_decoding_validators(certificate_type),
        etsi.create_validators(certificate_type),
    )


@functools.cache
def _etsi_filters(kind: str) -> Any:
    return etsi.create_etsi_finding_filters(etsi_constants.CertificateType.from_option_str(kind))


@functools.cache
def _crl_linter() -> Any:
    return pkix_crl.create_pkix_crl_validator_container(
        [
            pkix.create_attribute_decoder(name.ATTRIBUTE_TYPE_MAPPINGS),
            pkix.create_extension_decoder(extension.EXTENSION_MAPPINGS),
        ],
        [
            pkix_crl.create_issuer_validator_container([]),
            pkix_crl.create_validity_validator_container([]),
            pkix_crl.create_extensions_validator_container([]),
        ],
    )
