"""The certificate as it is before the authority signs it: prepared, and put on a twin.

A twin is the same to-be-signed certificate signed by a throw-away key, so that linters which
take whole certificates can judge it before the authority's key has been used.
"""

import dataclasses
import datetime

from cryptography import x509
from cryptography.hazmat.primitives import serialization

from ca import authority, serials, throwaway
from ca import settings as ca_settings
from pki import algorithms, certificates, clock, errors, oids, profiles, qc_statements


class ProfileRefusedError(errors.PolicyError):
    """The request does not fit the profile."""

    code = "profile-refused"


@dataclasses.dataclass(frozen=True)
class CertificateDraft:
    """Everything that a certificate will say.

    Attributes:
        profile: What it must be.
        issuer: Who will sign it.
        subject: Whom it names.
        public_key: The key it certifies.
        serial_number: Its number.
        not_before: First moment of validity.
        not_after: Last moment of validity.
        policies: Our own policy first, then the standards'.
        qualified: What the QCStatements extension says; None for no such extension.
        ocsp_url: None where its issuer has no responder.
        ca_issuers_url: None where it has no address at all.
        crl_url: None where it has no address at all.
        test: It is made under a test policy and must show it.
    """

    profile: profiles.CertificateProfile
    issuer: authority.Issuer
    subject: x509.Name
    public_key: algorithms.PublicKey
    serial_number: int
    not_before: datetime.datetime
    not_after: datetime.datetime
    policies: tuple[str, ...]
    qualified: qc_statements.QcStatements | None
    ocsp_url: str | None
    ca_issuers_url: str | None
    crl_url: str | None
    test: bool


def draft_certificate(
    profile: profiles.CertificateProfile,
    issuer: authority.Issuer,
    subject: x509.Name,
    public_key: algorithms.PublicKey,
    settings: ca_settings.Settings,
    at: datetime.datetime,
) -> CertificateDraft:
    """Decide everything that a certificate will say.

    Raises:
        ProfileRefusedError: The key is of a kind that the profile does not certify, or the
            issuer has no time left.
    """
    kind = algorithms.key_kind(public_key)
    if kind not in profile.key_kinds:
        accepted = ", ".join(sorted(one.value for one in profile.key_kinds))
        raise ProfileRefusedError(
            f"expected a key of {accepted} for {profile.name}, got {kind.value}"
        )
    not_before = clock.whole_seconds(at)
    # Both ends belong to the validity (RFC 5280 4.1.2.5), hence the second less.
    not_after = min(not_before + profile.validity - datetime.timedelta(seconds=1), issuer.not_after)
    if not_after <= not_before:
        raise ProfileRefusedError(f"the issuer {issuer.name} is at the end of its validity")
    addressed = profile.status is not profiles.StatusService.NONE
    answered = profile.status is profiles.StatusService.OCSP_AND_CRL
    return CertificateDraft(
        profile=profile,
        issuer=issuer,
        subject=subject,
        public_key=public_key,
        serial_number=serials.new_serial_number(),
        not_before=not_before,
        not_after=not_after,
        policies=policies_of(profile, settings),
        qualified=statements_of(profile, settings),
        ocsp_url=settings.status_url if answered else None,
        ca_issuers_url=settings.certificate_url(issuer.name) if addressed else None,
        crl_url=settings.crl_url(issuer.name) if addressed else None,
        test=settings.test,
    )


def policies_of(
    profile: profiles.CertificateProfile, settings: ca_settings.Settings
) -> tuple[str, ...]:
    """The policies a certificate of this profile names."""
    if profile.policy is None:
        return profile.standard_policies
    # anyPolicy stands for every other one: beside it, our own would say nothing.
    if oids.ANY_POLICY in profile.standard_policies:
        return profile.standard_policies
    return (f"{settings.policies_under}.{profile.policy}", *profile.standard_policies)


def statements_of(
    profile: profiles.CertificateProfile, settings: ca_settings.Settings
) -> qc_statements.QcStatements | None:
    """The qualified statements of this profile; None where it has no such extension."""
    if not profile.qualified:
        if profile.semantics is None:
            return None
        return qc_statements.QcStatements(semantics=profile.semantics)
    return qc_statements.QcStatements(
        compliance=True,
        secure_device=oids.QCP_N_QSCD in profile.standard_policies,
        types=(oids.QC_TYPE_ESIGN,),
        legislation=settings.legislation,
        pds=settings.pds,
        semantics=profile.semantics,
    )


def build_twin(draft: CertificateDraft) -> bytes:
    """Return the certificate signed by a throw-away key of the issuer's kind, in DER."""
    builder = (
        x509.CertificateBuilder()
        .subject_name(draft.subject)
        .issuer_name(draft.issuer.subject)
        .public_key(draft.public_key)
        .serial_number(draft.serial_number)
        .not_valid_before(draft.not_before)
        .not_valid_after(draft.not_after)
    )
    for extension, critical in extensions_of(draft):
        builder = builder.add_extension(extension, critical)
    kind = draft.issuer.key_kind
    twin = builder.sign(throwaway.key_like(kind), kind.hash_algorithm.hasher)
    return twin.public_bytes(serialization.Encoding.DER)


def extensions_of(draft: CertificateDraft) -> list[tuple[x509.ExtensionType, bool]]:
    """The extensions of a draft, each with its criticality (RFC 5280 4.2.1)."""
    profile = draft.profile
    extensions: list[tuple[x509.ExtensionType, bool]] = [
        (x509.AuthorityKeyIdentifier.from_issuer_public_key(draft.issuer.key.public_key), False),
        (x509.SubjectKeyIdentifier.from_public_key(draft.public_key), False),
        (_key_usage(profile.key_usage), True),
    ]
    if profile.authority or profile.denies_authority:
        constraints = x509.BasicConstraints(profile.authority, profile.path_length)
        extensions.append((constraints, True))
    if profile.extended_key_usage:
        purposes = [x509.ObjectIdentifier(one) for one in profile.extended_key_usage]
        extensions.append((x509.ExtendedKeyUsage(purposes), profile.extended_key_usage_critical))
    if draft.policies:
        policies = [
            x509.PolicyInformation(x509.ObjectIdentifier(one), None) for one in draft.policies
        ]
        extensions.append((x509.CertificatePolicies(policies), False))
    if draft.crl_url is not None:
        point = x509.DistributionPoint(
            [x509.UniformResourceIdentifier(draft.crl_url)], None, None, None
        )
        extensions.append((x509.CRLDistributionPoints([point]), False))
    if access := _access(draft):
        extensions.append((x509.AuthorityInformationAccess(access), False))
    if profile.ocsp_no_check:
        extensions.append((x509.OCSPNoCheck(), False))
    if profile.key_use is not None:
        last = min(draft.not_before + profile.key_use, draft.not_after)
        period = x509.PrivateKeyUsagePeriod(
            draft.not_before.replace(tzinfo=None), last.replace(tzinfo=None)
        )
        extensions.append((period, False))
    if draft.qualified is not None:
        value = qc_statements.encode(draft.qualified)
        statements = x509.UnrecognizedExtension(x509.ObjectIdentifier(oids.QC_STATEMENTS), value)
        extensions.append((statements, False))
    return extensions


def _access(draft: CertificateDraft) -> list[x509.AccessDescription]:
    addresses = ((oids.AD_OCSP, draft.ocsp_url), (oids.AD_CA_ISSUERS, draft.ca_issuers_url))
    return [
        x509.AccessDescription(x509.ObjectIdentifier(method), x509.UniformResourceIdentifier(url))
        for method, url in addresses
        if url is not None
    ]


def _key_usage(usage: frozenset[certificates.KeyUsage]) -> x509.KeyUsage:
    bits = {one.value: one in usage for one in certificates.KeyUsage}
    return x509.KeyUsage(**bits, encipher_only=False, decipher_only=False)
