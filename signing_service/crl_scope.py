"""Whether a CRL speaks of a certificate at all (RFC 5280 6.3.3 (b)).

A list without issuingDistributionPoint speaks of every certificate of its issuer. One of an
authority with several lists has this extension, critical, and speaks of the certificates that name
the same distribution point.
"""

from cryptography import x509


def is_complete_list(crl: x509.CertificateRevocationList) -> bool:
    """Whether a list is of a kind that is read here: no delta, no indirect one, all reasons.

    Raises:
        ValueError: Its extensions cannot be read.
    """
    for one in crl.extensions:
        if isinstance(one.value, x509.DeltaCRLIndicator):
            return False
        if isinstance(one.value, x509.IssuingDistributionPoint):
            # Not critical it is malformed (RFC 5280 5.2.5): nobody knows what it leaves out.
            partial = one.value.indirect_crl or one.value.only_some_reasons is not None
            if partial or not one.critical:
                return False
        elif one.critical:
            return False
    return True


def speaks_of(crl: x509.CertificateRevocationList, certificate: x509.Certificate) -> bool:
    """Whether a complete list of a certificate's issuer covers the certificate.

    Raises:
        ValueError: An extension of either cannot be read.
    """
    try:
        point = crl.extensions.get_extension_for_class(x509.IssuingDistributionPoint).value
    except x509.ExtensionNotFound:
        return True
    if point.only_contains_attribute_certs or point.relative_name is not None:
        return False
    is_authority = _is_authority(certificate)
    if (point.only_contains_ca_certs and not is_authority) or (
        point.only_contains_user_certs and is_authority
    ):
        return False
    return point.full_name is None or not set(point.full_name).isdisjoint(_points(certificate))


def _is_authority(certificate: x509.Certificate) -> bool:
    try:
        return certificate.extensions.get_extension_for_class(x509.BasicConstraints).value.ca
    except x509.ExtensionNotFound:
        return False


def _points(certificate: x509.Certificate) -> set[x509.GeneralName]:
    """The names of the points that give all reasons and are the issuer's own."""
    try:
        points = certificate.extensions.get_extension_for_class(x509.CRLDistributionPoints).value
    except x509.ExtensionNotFound:
        return set()
    return {
        name
        for point in points
        if point.reasons is None and point.crl_issuer is None
        for name in point.full_name or ()
    }
