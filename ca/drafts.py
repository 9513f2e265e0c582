"""The certificate as it is before the authority signs it: prepared, and put on a twin.

A twin is the same to-be-signed certificate signed by a throw-away key, so that linters which
take whole certificates can judge it before the authority's key has been used.
"""

import dataclasses
import datetime
import functools
from collections.abc import Iterator

from cryptography import x509
from cryptography.hazmat.primitives import serialization

from ca import authority, serials, throwaway
from ca import settings as ca_settings
from pki import algorithms, certificates, clock, der, errors, oids, profiles, qc_statements

_VERSION_3 = bytes.fromhex("a003020102")
_EXTENSIONS = 0xA3
_TRUE = bytes.fromhex("0101ff")

_SHAPES = 256
"""How many kinds of certificate are remembered: profiles times authorities, many times over."""


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
        dns_name: What subjectAltName says; None for no such extension.
        ocsp_url: None where its issuer has no responder.
        ca_issuers_url: None where it has no address at all.
        crl_url: None where it has no address at all.
        delta_crl_url: Where deltas on that CRL are; None where certificates do not say it.
        crl_partition: Which of the issuer's CRLs tells of it; that one is at `crl_url`.
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
    crl_partition: int = 0
    dns_name: str | None = None
    delta_crl_url: str | None = None

    @functools.cached_property
    def public_key_der(self) -> bytes:
        """The key as SubjectPublicKeyInfo in DER (RFC 5280 4.1.2.7)."""
        return self.public_key.public_bytes(
            serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
        )


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
    dns_name = None
    if profile.dns_name:
        names = subject.get_attributes_for_oid(x509.ObjectIdentifier(oids.COMMON_NAME))
        dns_name = str(names[0].value)
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
        dns_name=dns_name,
        delta_crl_url=(
            settings.crl_url(issuer.name, delta=True)
            if answered and settings.certificates_name_deltas
            else None
        ),
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
        secure_device=profile.secure_device,
        types=() if profile.qc_type is None else (profile.qc_type,),
        legislation=settings.legislation,
        pds=settings.pds,
        semantics=profile.semantics,
    )


def build_twin(draft: CertificateDraft) -> bytes:
    """Return the certificate with a throw-away signature of the issuer's kind, in DER.

    The to-be-signed part is RFC 5280 4.1.2, field by field. What certificates of one kind share
    is encoded once.
    """
    frame = throwaway.frame_like(draft.issuer.key_kind)
    to_be_signed = der.encode(
        der.SEQUENCE,
        _VERSION_3,
        der.encode_integer(draft.serial_number),
        frame.algorithm_der,
        draft.issuer.subject_der,
        der.encode(
            der.SEQUENCE, der.encode_time(draft.not_before), der.encode_time(draft.not_after)
        ),
        draft.subject.public_bytes(),
        draft.public_key_der,
        der.encode(
            _EXTENSIONS,
            der.encode(
                der.SEQUENCE,
                _encoded_authority_key(draft.issuer.key_identifier),
                *(_encode(*one) for one in _own_extensions(draft)),
                _encoded_lasting_extensions(_shape(draft)),
            ),
        ),
    )
    return der.encode(der.SEQUENCE, to_be_signed, frame.algorithm_der, frame.signature_der)


def extensions_of(draft: CertificateDraft) -> list[tuple[x509.ExtensionType, bool]]:
    """The extensions of a draft, each with its criticality (RFC 5280 4.2.1)."""
    return [
        (_authority_key(draft.issuer.key_identifier), False),
        *_own_extensions(draft),
        *_lasting_extensions(_shape(draft)),
    ]


@dataclasses.dataclass(frozen=True)
class _Shape:
    """What the extensions depend on that certificates of one kind and one issuer share."""

    profile: profiles.CertificateProfile
    key_usage: frozenset[certificates.KeyUsage]
    policies: tuple[str, ...]
    qualified: qc_statements.QcStatements | None
    ocsp_url: str | None
    ca_issuers_url: str | None
    crl_url: str | None
    delta_crl_url: str | None


def _shape(draft: CertificateDraft) -> _Shape:
    return _Shape(
        draft.profile,
        draft.profile.usage_of(draft.public_key),
        draft.policies,
        draft.qualified,
        draft.ocsp_url,
        draft.ca_issuers_url,
        draft.crl_url,
        draft.delta_crl_url,
    )


def _own_extensions(draft: CertificateDraft) -> Iterator[tuple[x509.ExtensionType, bool]]:
    """The extensions that depend on the certificate's own key, its name or its times."""
    yield x509.SubjectKeyIdentifier.from_public_key(draft.public_key), False
    if draft.dns_name is not None:
        yield x509.SubjectAlternativeName([x509.DNSName(draft.dns_name)]), False
    if draft.profile.key_use is not None:
        last = min(draft.not_before + draft.profile.key_use, draft.not_after)
        period = x509.PrivateKeyUsagePeriod(
            draft.not_before.replace(tzinfo=None), last.replace(tzinfo=None)
        )
        yield period, False


def _authority_key(key_identifier: bytes) -> x509.AuthorityKeyIdentifier:
    return x509.AuthorityKeyIdentifier(key_identifier, None, None)


@functools.lru_cache(maxsize=_SHAPES)
def _encoded_authority_key(key_identifier: bytes) -> bytes:
    return _encode(_authority_key(key_identifier), False)


@functools.lru_cache(maxsize=_SHAPES)
def _lasting_extensions(shape: _Shape) -> tuple[tuple[x509.ExtensionType, bool], ...]:
    profile = shape.profile
    extensions: list[tuple[x509.ExtensionType, bool]] = [(_key_usage(shape.key_usage), True)]
    if profile.authority or profile.denies_authority:
        constraints = x509.BasicConstraints(profile.authority, profile.path_length)
        extensions.append((constraints, True))
    if profile.extended_key_usage:
        purposes = [x509.ObjectIdentifier(one) for one in profile.extended_key_usage]
        extensions.append((x509.ExtendedKeyUsage(purposes), profile.extended_key_usage_critical))
    if shape.policies:
        policies = [
            x509.PolicyInformation(x509.ObjectIdentifier(one), None) for one in shape.policies
        ]
        extensions.append((x509.CertificatePolicies(policies), False))
    if shape.crl_url is not None:
        extensions.append((x509.CRLDistributionPoints([_point(shape.crl_url)]), False))
    if shape.delta_crl_url is not None:
        # RFC 5280 4.2.1.15: never critical.
        extensions.append((x509.FreshestCRL([_point(shape.delta_crl_url)]), False))
    if access := _access(shape):
        extensions.append((x509.AuthorityInformationAccess(access), False))
    if profile.ocsp_no_check:
        extensions.append((x509.OCSPNoCheck(), False))
    if shape.qualified is not None:
        value = qc_statements.encode(shape.qualified)
        statements = x509.UnrecognizedExtension(x509.ObjectIdentifier(oids.QC_STATEMENTS), value)
        extensions.append((statements, False))
    return tuple(extensions)


def _point(url: str) -> x509.DistributionPoint:
    return x509.DistributionPoint([x509.UniformResourceIdentifier(url)], None, None, None)


@functools.lru_cache(maxsize=_SHAPES)
def _encoded_lasting_extensions(shape: _Shape) -> bytes:
    return b"".join(_encode(*one) for one in _lasting_extensions(shape))


def _encode(extension: x509.ExtensionType, critical: bool) -> bytes:
    # `critical` is left out where it has its default, FALSE (RFC 5280 4.1, X.690 11.5).
    return der.encode(
        der.SEQUENCE,
        der.encode_oid(extension.oid.dotted_string),
        _TRUE if critical else b"",
        der.encode(der.OCTET_STRING, extension.public_bytes()),
    )


def _access(shape: _Shape) -> list[x509.AccessDescription]:
    addresses = ((oids.AD_OCSP, shape.ocsp_url), (oids.AD_CA_ISSUERS, shape.ca_issuers_url))
    return [
        x509.AccessDescription(x509.ObjectIdentifier(method), x509.UniformResourceIdentifier(url))
        for method, url in addresses
        if url is not None
    ]


def _key_usage(usage: frozenset[certificates.KeyUsage]) -> x509.KeyUsage:
    bits = {one.value: one in usage for one in certificates.KeyUsage}
    return x509.KeyUsage(**bits, encipher_only=False, decipher_only=False)
