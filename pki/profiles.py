"""What a certificate of each kind must contain; `ca` builds and lints by these values.

The table is that of EN 319 412-2 (people) and -3 (organisations), X-Road's basic profiles
(servers), RFC 3161 2.3 (time-stamping units), RFC 6960 4.2.2.2 (OCSP responders) and RFC 5280 4.2
(authorities).
"""

import dataclasses
import datetime
import enum

from cryptography.hazmat.primitives.asymmetric import rsa

from pki import algorithms, errors, oids
from pki.certificates import KeyUsage

SUBSCRIBER_VALIDITY = datetime.timedelta(days=3 * 365)
SERVER_VALIDITY = datetime.timedelta(days=2 * 365)
RESPONDER_VALIDITY = datetime.timedelta(days=30)
CMP_SIGNER_VALIDITY = datetime.timedelta(days=365)
OPERATOR_VALIDITY = datetime.timedelta(days=365)
TIME_STAMPING_UNIT_VALIDITY = datetime.timedelta(days=5 * 365)
TIME_STAMPING_KEY_USE = datetime.timedelta(days=2 * 365)
"""A unit's key signs for a part of its certificate's life only, so that its tokens stay
verifiable for years after the last one (EN 319 421 7.7.2)."""
LIST_SIGNER_VALIDITY = datetime.timedelta(days=3 * 365)
"""TS 119 612 5.7.1 wants algorithms that last three years; a signer lasts no longer."""
AUTHORITY_VALIDITY = datetime.timedelta(days=10 * 365)
CROSS_AUTHORITY_VALIDITY = datetime.timedelta(days=5 * 365)
TRANSCRIPT_VALIDITY = datetime.timedelta(days=1)
"""Of a key that signs one document and is forgotten within the hour."""
ROOT_VALIDITY = datetime.timedelta(days=20 * 365)


class UnknownProfileError(errors.InputError):
    """No profile has this name."""

    code = "unknown-profile"


class SubjectKind(enum.Enum):
    """Who a certificate names.

    `SERVER` and `MEMBER` are X-Road's: a security server, and the member that it belongs to.
    """

    PERSON = "person"
    ORGANISATION = "organisation"
    SERVER = "server"
    MEMBER = "member"
    FOREIGN_AUTHORITY = "foreign-authority"


class StatusService(enum.Enum):
    """How a relying party learns whether the certificate was revoked."""

    OCSP_AND_CRL = "ocsp-and-crl"
    CRL = "crl"
    NONE = "none"


@dataclasses.dataclass(frozen=True)
class CertificateProfile:
    """What a certificate of one kind must contain.

    Attributes:
        name: How the API and the registry name it.
        subject: Who it names.
        key_kinds: What keys it certifies.
        key_usage: Exactly these bits; the extension is always critical.
        rsa_key_usage: These besides, where the key is an RSA one.
        validity: How long, unless the issuer ends earlier.
        extended_key_usage: Exactly these purposes, or none and no extension.
        extended_key_usage_critical: Only where RFC 3161 2.3 demands it.
        status: Where its addresses point.
        policy: The last arc of our own policy, under the arc in the settings; None for no policy.
        standard_policies: The policies of the standards that it claims besides.
        qc_type: What it is qualified for (EN 319 412-5 4.2.3); None where it is not qualified.
        dns_name: Whether the name of a server stands in subjectAltName too.
        semantics: What its identifiers mean, or None for no such statement.
        ocsp_no_check: Its own status is not asked (RFC 6960 4.2.2.2.1).
        key_use: How long the private key signs, where that is shorter than the validity.
        authority: Whether it may certify others.
        path_length: How many authorities may stand below one.
        denies_authority: It says in so many words that it is none, by basicConstraints.
        peer_lint: What pkilint calls certificates of this kind; "" is plain RFC 5280.
    """

    name: str
    subject: SubjectKind
    key_kinds: frozenset[algorithms.KeyKind]
    key_usage: frozenset[KeyUsage]
    validity: datetime.timedelta
    rsa_key_usage: frozenset[KeyUsage] = frozenset()
    extended_key_usage: tuple[str, ...] = ()
    extended_key_usage_critical: bool = False
    status: StatusService = StatusService.OCSP_AND_CRL
    policy: int | None = None
    standard_policies: tuple[str, ...] = ()
    qc_type: str | None = None
    dns_name: bool = False
    semantics: str | None = None
    ocsp_no_check: bool = False
    key_use: datetime.timedelta | None = None
    authority: bool = False
    path_length: int | None = None
    denies_authority: bool = False
    peer_lint: str = ""

    @property
    def qualified(self) -> bool:
        """Whether it carries the qualified statements (EN 319 412-5)."""
        return self.qc_type is not None

    @property
    def secure_device(self) -> bool:
        """Whether it says that the key resides in a qualified device (EN 319 411-2 5.3)."""
        return bool({oids.QCP_N_QSCD, oids.QCP_L_QSCD} & set(self.standard_policies))

    def usage_of(self, public_key: object) -> frozenset[KeyUsage]:
        """The key usage bits of a certificate for this key."""
        if isinstance(public_key, rsa.RSAPublicKey):
            return self.key_usage | self.rsa_key_usage
        return self.key_usage


_ANY_KEY = frozenset(algorithms.KeyKind)
_P384 = frozenset({algorithms.KeyKind.P384})
_XROAD_KEY = frozenset({algorithms.KeyKind.P256, algorithms.KeyKind.RSA3072})
"""X-Road's servers make RSA keys and keys on P-256; RSA of 2048 bits is too short for us."""
_AUTHORITY_USAGE = frozenset({KeyUsage.keyCertSign, KeyUsage.cRLSign})

SIGN = CertificateProfile(
    name="sign",
    subject=SubjectKind.PERSON,
    key_kinds=_ANY_KEY,
    # A key that binds its owner does nothing else (EN 319 412-2 4.3.2, type A).
    key_usage=frozenset({KeyUsage.nonRepudiation}),
    validity=SUBSCRIBER_VALIDITY,
    policy=1,
    standard_policies=(oids.QCP_N_QSCD,),
    qc_type=oids.QC_TYPE_ESIGN,
    semantics=oids.SEMANTICS_NATURAL,
    peer_lint="QCP-N-QSCD-NON-EIDAS-FINAL-CERTIFICATE",
)

SIGN_WITHOUT_DEVICE = dataclasses.replace(
    SIGN,
    # The key is not known to reside in a qualified device: neither QcSSCD nor the QSCD policy.
    standard_policies=(oids.QCP_N,),
    peer_lint="NCP-NATURAL-PERSON-CERTIFICATE",
)

AUTHENTICATE = CertificateProfile(
    name="authenticate",
    subject=SubjectKind.PERSON,
    key_kinds=_ANY_KEY,
    key_usage=frozenset({KeyUsage.digitalSignature}),
    validity=SUBSCRIBER_VALIDITY,
    extended_key_usage=(oids.CLIENT_AUTH,),
    policy=2,
    standard_policies=(oids.NCP_PLUS,),
    semantics=oids.SEMANTICS_NATURAL,
    peer_lint="NCP-NATURAL-PERSON-CERTIFICATE",
)

SEAL = CertificateProfile(
    name="seal",
    subject=SubjectKind.ORGANISATION,
    key_kinds=_ANY_KEY,
    # As for people, a key that seals does nothing else (EN 319 412-2 4.3.2, type A).
    key_usage=frozenset({KeyUsage.nonRepudiation}),
    validity=SUBSCRIBER_VALIDITY,
    policy=10,
    standard_policies=(oids.QCP_L_QSCD,),
    qc_type=oids.QC_TYPE_ESEAL,
    semantics=oids.SEMANTICS_LEGAL,
    peer_lint="NCP-LEGAL-PERSON-CERTIFICATE",
)

SEAL_WITHOUT_DEVICE = dataclasses.replace(SEAL, standard_policies=(oids.QCP_L,))

XROAD_AUTHENTICATE = CertificateProfile(
    name="xroad-authenticate",
    subject=SubjectKind.SERVER,
    key_kinds=_XROAD_KEY,
    key_usage=frozenset({KeyUsage.digitalSignature}),
    # A certificate of an EC key must not say keyEncipherment (RFC 8813 3).
    rsa_key_usage=frozenset({KeyUsage.keyEncipherment}),
    validity=SERVER_VALIDITY,
    extended_key_usage=(oids.CLIENT_AUTH,),
    policy=11,
)

XROAD_AUTHENTICATE_ACME = dataclasses.replace(
    XROAD_AUTHENTICATE, name="xroad-authenticate-acme", dns_name=True
)

XROAD_SIGN = CertificateProfile(
    name="xroad-sign",
    subject=SubjectKind.MEMBER,
    key_kinds=_XROAD_KEY,
    # A certificate that could authenticate too is refused by X-Road.
    key_usage=frozenset({KeyUsage.nonRepudiation}),
    validity=SERVER_VALIDITY,
    policy=12,
)

TIME_STAMPING_UNIT = CertificateProfile(
    name="time-stamping-unit",
    subject=SubjectKind.ORGANISATION,
    key_kinds=_ANY_KEY,
    key_usage=frozenset({KeyUsage.digitalSignature}),
    validity=TIME_STAMPING_UNIT_VALIDITY,
    # RFC 3161 2.3: this purpose alone, and critical.
    extended_key_usage=(oids.TIME_STAMPING,),
    extended_key_usage_critical=True,
    status=StatusService.CRL,
    policy=3,
    key_use=TIME_STAMPING_KEY_USE,
)

OCSP_RESPONDER = CertificateProfile(
    name="ocsp-responder",
    subject=SubjectKind.ORGANISATION,
    key_kinds=frozenset({algorithms.KeyKind.P256, algorithms.KeyKind.P384}),
    key_usage=frozenset({KeyUsage.digitalSignature}),
    validity=RESPONDER_VALIDITY,
    extended_key_usage=(oids.OCSP_SIGNING,),
    status=StatusService.NONE,
    ocsp_no_check=True,
)

CMP_SIGNER = CertificateProfile(
    name="cmp-signer",
    subject=SubjectKind.ORGANISATION,
    key_kinds=frozenset({algorithms.KeyKind.P256, algorithms.KeyKind.P384}),
    # Clients refuse a signer without this bit (RFC 9483 3.2).
    key_usage=frozenset({KeyUsage.digitalSignature}),
    validity=CMP_SIGNER_VALIDITY,
    # RFC 9810 4.5: who protects messages on behalf of a CA, with a key that is not the CA's.
    extended_key_usage=(oids.CMC_CA,),
    status=StatusService.CRL,
    policy=6,
)

OPERATOR = CertificateProfile(
    # Who works at the CA: it shows who asks, in requests signed by HTTP message signatures.
    name="operator",
    subject=SubjectKind.ORGANISATION,
    key_kinds=frozenset({algorithms.KeyKind.P256, algorithms.KeyKind.P384}),
    key_usage=frozenset({KeyUsage.digitalSignature}),
    validity=OPERATOR_VALIDITY,
    extended_key_usage=(oids.CLIENT_AUTH,),
    status=StatusService.CRL,
    policy=8,
)

CEREMONY_TRANSCRIPT = CertificateProfile(
    name="ceremony-transcript",
    subject=SubjectKind.ORGANISATION,
    key_kinds=_P384,
    # It signs one document, the record of a key ceremony; the root's own key may not.
    key_usage=frozenset({KeyUsage.digitalSignature}),
    validity=TRANSCRIPT_VALIDITY,
    status=StatusService.CRL,
    policy=20,
)

CROSS_AUTHORITY = CertificateProfile(
    name="cross-authority",
    subject=SubjectKind.FOREIGN_AUTHORITY,
    key_kinds=_ANY_KEY,
    key_usage=_AUTHORITY_USAGE,
    validity=CROSS_AUTHORITY_VALIDITY,
    status=StatusService.CRL,
    # Our own policy alone: anyPolicy would make every promise of theirs one of ours.
    policy=21,
    authority=True,
    path_length=0,
)

TRUSTED_LIST_SIGNER = CertificateProfile(
    # TS 119 612 5.7.1: this purpose, this usage, and basicConstraints with cA false.
    name="trusted-list-signer",
    subject=SubjectKind.ORGANISATION,
    key_kinds=_P384,
    key_usage=frozenset({KeyUsage.digitalSignature}),
    validity=LIST_SIGNER_VALIDITY,
    extended_key_usage=(oids.TRUSTED_LIST_SIGNING,),
    status=StatusService.CRL,
    policy=7,
    denies_authority=True,
)

AUTHORITY = CertificateProfile(
    name="authority",
    subject=SubjectKind.ORGANISATION,
    key_kinds=_P384,
    key_usage=_AUTHORITY_USAGE,
    validity=AUTHORITY_VALIDITY,
    status=StatusService.CRL,
    policy=5,
    standard_policies=(oids.ANY_POLICY,),
    authority=True,
    path_length=0,
)

ROOT = CertificateProfile(
    name="root",
    subject=SubjectKind.ORGANISATION,
    key_kinds=_P384,
    key_usage=_AUTHORITY_USAGE,
    validity=ROOT_VALIDITY,
    status=StatusService.NONE,
    authority=True,
)

ALL = (
    SIGN,
    SIGN_WITHOUT_DEVICE,
    AUTHENTICATE,
    SEAL,
    SEAL_WITHOUT_DEVICE,
    XROAD_AUTHENTICATE,
    XROAD_AUTHENTICATE_ACME,
    XROAD_SIGN,
    TIME_STAMPING_UNIT,
    OCSP_RESPONDER,
    TRUSTED_LIST_SIGNER,
    CMP_SIGNER,
    OPERATOR,
    CEREMONY_TRANSCRIPT,
    CROSS_AUTHORITY,
    AUTHORITY,
    ROOT,
)

PERSON_NAMES = (SIGN.name, AUTHENTICATE.name)
"""What a person may apply for, in any role."""

ORGANISATION_NAMES = (
    SEAL.name,
    XROAD_AUTHENTICATE.name,
    XROAD_AUTHENTICATE_ACME.name,
    XROAD_SIGN.name,
)
"""What an organisation may apply for."""

SUBSCRIBER_NAMES = PERSON_NAMES + ORGANISATION_NAMES
"""The profiles that a registration may ask for."""

_WITH_DEVICE = {
    one.name: one
    for one in (
        SIGN,
        AUTHENTICATE,
        SEAL,
        XROAD_AUTHENTICATE,
        XROAD_AUTHENTICATE_ACME,
        XROAD_SIGN,
    )
}
_WITHOUT_DEVICE = {one.name: one for one in (SIGN_WITHOUT_DEVICE, SEAL_WITHOUT_DEVICE)}


def subscriber_profile(name: str, *, secure_device: bool) -> CertificateProfile:
    """Return the profile that a registration asked for.

    Args:
        name: One of `SUBSCRIBER_NAMES`.
        secure_device: Whether the key is known to reside in a qualified device.

    Raises:
        UnknownProfileError: Any other name.
    """
    if name not in _WITH_DEVICE:
        raise UnknownProfileError(
            f"expected a profile of {', '.join(SUBSCRIBER_NAMES)}, got another"
        )
    if not secure_device and name in _WITHOUT_DEVICE:
        return _WITHOUT_DEVICE[name]
    return _WITH_DEVICE[name]
