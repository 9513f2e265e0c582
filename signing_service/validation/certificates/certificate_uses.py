"""What a certificate may be used for, in words that say it without object identifiers."""

import enum

from cryptography import x509

from pki import certificates, oids

_EKU = x509.oid.ExtendedKeyUsageOID


class Use(enum.Enum):
    """What a key may do for its holder."""

    SIGNATURE = "signature"
    SEAL = "seal"
    AUTHENTICATION = "authentication"
    ENCRYPTION = "encryption"
    TIME_STAMPING = "time-stamping"
    OCSP_SIGNING = "ocsp-signing"
    CERTIFICATE_SIGNING = "certificate-signing"
    CRL_SIGNING = "crl-signing"
    SERVER = "server-authentication"
    CODE_SIGNING = "code-signing"


_BY_PURPOSE = {
    _EKU.CLIENT_AUTH.dotted_string: Use.AUTHENTICATION,
    _EKU.TIME_STAMPING.dotted_string: Use.TIME_STAMPING,
    _EKU.OCSP_SIGNING.dotted_string: Use.OCSP_SIGNING,
    _EKU.SERVER_AUTH.dotted_string: Use.SERVER,
    _EKU.CODE_SIGNING.dotted_string: Use.CODE_SIGNING,
}
_MACHINES = frozenset({Use.TIME_STAMPING, Use.OCSP_SIGNING, Use.SERVER, Use.CODE_SIGNING})
_ENCRYPTING = frozenset(
    {
        certificates.KeyUsage.keyEncipherment,
        certificates.KeyUsage.dataEncipherment,
        certificates.KeyUsage.keyAgreement,
    }
)


def uses(facts: certificates.CertificateFacts) -> tuple[Use, ...]:
    """Return what a certificate is for, by its key usage, its purposes and its statements.

    A purpose counts only where the key usage lets the key do it (RFC 5280 4.2.1.12). Signing
    documents wants nonRepudiation and no machine's purpose (EN 319 412-2 4.3.2); a seal is a
    signature of an organisation, told by its QcType or by a subject that is no person.
    """
    found: set[Use] = set()
    usages = facts.key_usage
    named = {_BY_PURPOSE[one] for one in facts.extended_key_usage if one in _BY_PURPOSE}
    signs = bool(
        usages & {certificates.KeyUsage.digitalSignature, certificates.KeyUsage.nonRepudiation}
    )
    if signs or not usages:
        found |= named
    if certificates.KeyUsage.nonRepudiation in usages and not (
        facts.is_authority or (named and named <= _MACHINES)
    ):
        found.add(Use.SEAL if _is_for_seals(facts) else Use.SIGNATURE)
    if (
        certificates.KeyUsage.digitalSignature in usages
        and not facts.extended_key_usage
        and not facts.is_authority
    ):
        found.add(Use.AUTHENTICATION)
    if usages & _ENCRYPTING and not named & _MACHINES:
        found.add(Use.ENCRYPTION)
    if facts.is_authority and certificates.KeyUsage.keyCertSign in usages:
        found.add(Use.CERTIFICATE_SIGNING)
    if certificates.KeyUsage.cRLSign in usages:
        found.add(Use.CRL_SIGNING)
    return tuple(one for one in Use if one in found)


def _is_for_seals(facts: certificates.CertificateFacts) -> bool:
    if facts.qualified.types:
        return (
            oids.QC_TYPE_ESEAL in facts.qualified.types
            and oids.QC_TYPE_ESIGN not in facts.qualified.types
        )
    return facts.surname is None and facts.given_name is None and facts.organisation is not None
