"""A small certificate hierarchy made with `cryptography` alone, so that no test of one package
needs the certification authority of another.

The shape is the product's: a root, an issuing CA with a delegated OCSP responder, and an
infrastructure CA with a time-stamping unit.
"""

import dataclasses
import datetime

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa, utils
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from pki import algorithms, signature
from pki.keystore import store

YEAR = datetime.timedelta(days=365)
POLICY = x509.ObjectIdentifier("1.3.6.1.4.1.99999.1")


class MemoryKey:
    """A key handle around a key in memory."""

    def __init__(self, label: str, key: algorithms.PrivateKey) -> None:
        self.label = label
        self._key = key

    @property
    def public_key(self) -> algorithms.PublicKey:
        return self._key.public_key()

    def sign(
        self, representation: signature.DataToBeSignedRepresentation
    ) -> signature.SignatureValue:
        prehashed = utils.Prehashed(representation.hash_algorithm.hasher)
        if isinstance(self._key, rsa.RSAPrivateKey):
            return signature.SignatureValue(
                algorithms.SignatureAlgorithm.RSA_PKCS1,
                representation.hash_algorithm,
                self._key.sign(representation.hash, padding.PKCS1v15(), prehashed),
            )
        der = self._key.sign(representation.hash, ec.ECDSA(prehashed))
        return signature.SignatureValue(
            algorithms.SignatureAlgorithm.ECDSA,
            representation.hash_algorithm,
            algorithms.ecdsa_der_to_raw(der, algorithms.ecdsa_size(self._key.public_key())),
        )


class MemoryKeyStore:
    """A key store that forgets everything when it goes."""

    def __init__(self) -> None:
        self._keys: dict[str, MemoryKey] = {}

    def generate(self, label: str, kind: algorithms.KeyKind) -> MemoryKey:
        from pki.keystore import store

        if label in self._keys:
            raise store.KeyExistsError(f"expected a new label, {label!r} is taken")
        self._keys[label] = MemoryKey(label, make_key(kind))
        return self._keys[label]

    def put(self, label: str, key: MemoryKey) -> None:
        self._keys[label] = key

    def open_key(self, label: str) -> MemoryKey:
        from pki.keystore import store

        if label not in self._keys:
            raise store.KeyNotFoundError(f"no key has the label {label!r}")
        return self._keys[label]

    def describe_key(self, label: str) -> store.KeyAttributes:
        self.open_key(label)
        return store.KeyAttributes("memory", True, False, False, False, True)

    def labels(self) -> tuple[str, ...]:
        return tuple(sorted(self._keys))

    def close(self) -> None:
        self._keys.clear()


def make_key(kind: algorithms.KeyKind) -> algorithms.PrivateKey:
    if kind is algorithms.KeyKind.RSA3072:
        return rsa.generate_private_key(65537, 3072)
    return ec.generate_private_key(
        ec.SECP256R1() if kind is algorithms.KeyKind.P256 else ec.SECP384R1()
    )


@dataclasses.dataclass(frozen=True)
class Holder:
    """A certificate, its key, and the issuers above it (nearest first, root last)."""

    certificate: x509.Certificate
    key: algorithms.PrivateKey
    issuers: tuple[x509.Certificate, ...] = ()

    @property
    def der(self) -> bytes:
        return self.certificate.public_bytes(serialization.Encoding.DER)

    @property
    def pem(self) -> bytes:
        return self.certificate.public_bytes(serialization.Encoding.PEM)

    @property
    def chain(self) -> tuple[x509.Certificate, ...]:
        """This certificate first, the root last."""
        return (self.certificate, *self.issuers)

    @property
    def handle(self) -> MemoryKey:
        return MemoryKey("test", self.key)


@dataclasses.dataclass
class Hierarchy:
    """The CAs, and factories for what they certify."""

    at: datetime.datetime
    root: Holder
    issuing: Holder
    infrastructure: Holder
    ocsp_url: str | None = None
    crl_url: str | None = None

    def signer(
        self,
        person_code: str = "5AB12CD",
        kind: algorithms.KeyKind = algorithms.KeyKind.P256,
        *,
        surname: str = "Əliyeva TEST",
        given_name: str = "Günay TEST",
        not_before: datetime.datetime | None = None,
        not_after: datetime.datetime | None = None,
        authentication: bool = False,
    ) -> Holder:
        """A signing (or authentication) certificate of a TEST person."""
        usage = {"digital_signature": True} if authentication else {"content_commitment": True}
        extra: list[tuple[x509.ExtensionType, bool]] = [(_usage(**usage), True)]
        if authentication:
            extra.append((x509.ExtendedKeyUsage([ExtendedKeyUsageOID.CLIENT_AUTH]), False))
        return self._leaf(
            self.issuing,
            [
                (NameOID.COUNTRY_NAME, "AZ"),
                (NameOID.SURNAME, surname),
                (NameOID.GIVEN_NAME, given_name),
                (NameOID.SERIAL_NUMBER, f"PNOAZ-{person_code}"),
                (NameOID.COMMON_NAME, f"{surname},{given_name},{person_code}"),
            ],
            kind,
            extra,
            not_before=not_before,
            not_after=not_after,
        )

    def ocsp_responder(self, issuer: Holder | None = None) -> Holder:
        """A delegated responder of the issuing CA (RFC 6960 4.2.2.2)."""
        return self._leaf(
            issuer or self.issuing,
            [(NameOID.COUNTRY_NAME, "AZ"), (NameOID.COMMON_NAME, "TEST OCSP responder")],
            algorithms.KeyKind.P256,
            [
                (_usage(digital_signature=True), True),
                (x509.ExtendedKeyUsage([ExtendedKeyUsageOID.OCSP_SIGNING]), False),
                (x509.OCSPNoCheck(), False),
            ],
            not_after=self.at + datetime.timedelta(days=30),
            addresses=False,
        )

    def time_stamping_unit(
        self,
        kind: algorithms.KeyKind = algorithms.KeyKind.P384,
        *,
        not_after: datetime.datetime | None = None,
    ) -> Holder:
        """A unit of the time-stamping authority (EN 319 421)."""
        return self._leaf(
            self.infrastructure,
            [(NameOID.COUNTRY_NAME, "AZ"), (NameOID.COMMON_NAME, "TEST time-stamping unit 1")],
            kind,
            [
                (_usage(digital_signature=True), True),
                (x509.ExtendedKeyUsage([ExtendedKeyUsageOID.TIME_STAMPING]), True),
            ],
            not_after=not_after,
            ocsp=False,
        )

    def crl(
        self,
        issuer: Holder,
        revoked: dict[int, datetime.datetime] | None = None,
        *,
        at: datetime.datetime | None = None,
        number: int = 1,
        distribution_point: str | None = None,
    ) -> bytes:
        """A CRL of `issuer` in DER, valid for a week from `at`; of one partition where named."""
        at = at or self.at
        builder = (
            x509.CertificateRevocationListBuilder()
            .issuer_name(issuer.certificate.subject)
            .last_update(at)
            .next_update(at + datetime.timedelta(days=7))
            .add_extension(
                x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer.key.public_key()), False
            )
            .add_extension(x509.CRLNumber(number), False)
        )
        if distribution_point is not None:
            point = x509.IssuingDistributionPoint(
                [x509.UniformResourceIdentifier(distribution_point)],
                None, False, False, None, False, False,
            )  # fmt: skip
            builder = builder.add_extension(point, True)
        for serial, when in (revoked or {}).items():
            builder = builder.add_revoked_certificate(
                x509.RevokedCertificateBuilder().serial_number(serial).revocation_date(when).build()
            )
        return builder.sign(issuer.key, hashes.SHA384()).public_bytes(serialization.Encoding.DER)

    def _leaf(
        self,
        issuer: Holder,
        subject: list[tuple[x509.ObjectIdentifier, str]],
        kind: algorithms.KeyKind,
        extra: list[tuple[x509.ExtensionType, bool]],
        *,
        not_before: datetime.datetime | None = None,
        not_after: datetime.datetime | None = None,
        ocsp: bool = True,
        addresses: bool = True,
    ) -> Holder:
        key = make_key(kind)
        extensions = [*extra, (_policies(), False)]
        if addresses and ocsp and self.ocsp_url:
            extensions.append(
                (
                    x509.AuthorityInformationAccess(
                        [
                            x509.AccessDescription(
                                x509.AuthorityInformationAccessOID.OCSP,
                                x509.UniformResourceIdentifier(self.ocsp_url),
                            )
                        ]
                    ),
                    False,
                )
            )
        if addresses and self.crl_url:
            extensions.append((_distribution(self.crl_url, issuer), False))
        certificate = _certify(
            subject,
            key,
            issuer,
            extensions,
            not_before or self.at - datetime.timedelta(days=1),
            not_after or self.at + 3 * YEAR,
            ca=False,
        )
        return Holder(certificate, key, issuer.chain)


def make_hierarchy(
    at: datetime.datetime, *, ocsp_url: str | None = None, crl_url: str | None = None
) -> Hierarchy:
    """Make a root and two CAs that are valid at `at`.

    Args:
        at: The present of the test.
        ocsp_url: Stands in the leaves of the issuing CA.
        crl_url: A prefix; `root.crl`, `issuing.crl` and `infrastructure.crl` are appended.
    """
    root_key = make_key(algorithms.KeyKind.P384)
    root = Holder(
        _certify(
            [(NameOID.COUNTRY_NAME, "AZ"), (NameOID.COMMON_NAME, "TEST root")],
            root_key,
            None,
            [],
            at - YEAR,
            at + 20 * YEAR,
            ca=True,
        ),
        root_key,
    )

    def issuing(name: str) -> Holder:
        key = make_key(algorithms.KeyKind.P384)
        extensions = [(_policies(any_policy=True), False)]
        if crl_url:
            extensions.append((_distribution(crl_url, root), False))
        certificate = _certify(
            [(NameOID.COUNTRY_NAME, "AZ"), (NameOID.COMMON_NAME, name)],
            key,
            root,
            extensions,
            at - YEAR,
            at + 10 * YEAR,
            ca=True,
            path_length=0,
        )
        return Holder(certificate, key, root.chain)

    return Hierarchy(
        at,
        root,
        issuing("TEST issuing"),
        issuing("TEST infrastructure"),
        ocsp_url=ocsp_url,
        crl_url=crl_url,
    )


def _certify(
    subject: list[tuple[x509.ObjectIdentifier, str]],
    key: algorithms.PrivateKey,
    issuer: Holder | None,
    extensions: list[tuple[x509.ExtensionType, bool]],
    not_before: datetime.datetime,
    not_after: datetime.datetime,
    *,
    ca: bool,
    path_length: int | None = None,
) -> x509.Certificate:
    name = x509.Name([x509.NameAttribute(oid, value) for oid, value in subject])
    issuer_key = issuer.key if issuer else key
    builder = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(issuer.certificate.subject if issuer else name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(not_before)
        .not_valid_after(not_after)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), False)
        .add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer_key.public_key()), False
        )
    )
    if ca:
        builder = builder.add_extension(x509.BasicConstraints(True, path_length), True)
        builder = builder.add_extension(_usage(key_cert_sign=True, crl_sign=True), True)
    for extension, critical in extensions:
        builder = builder.add_extension(extension, critical)
    digest = hashes.SHA384() if isinstance(issuer_key, ec.EllipticCurvePrivateKey) else None
    return builder.sign(issuer_key, digest or hashes.SHA256())


def _usage(**given: bool) -> x509.KeyUsage:
    names = (
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
    return x509.KeyUsage(**{name: given.get(name, False) for name in names})


def _policies(*, any_policy: bool = False) -> x509.CertificatePolicies:
    oid = x509.ObjectIdentifier("2.5.29.32.0") if any_policy else POLICY
    return x509.CertificatePolicies([x509.PolicyInformation(oid, None)])


def _distribution(crl_url: str, issuer: Holder) -> x509.CRLDistributionPoints:
    name = issuer.certificate.subject.get_attributes_for_oid(NameOID.COMMON_NAME)[0].value
    return x509.CRLDistributionPoints(
        [
            x509.DistributionPoint(
                [x509.UniformResourceIdentifier(f"{crl_url}{str(name).split()[1]}.crl")],
                None,
                None,
                None,
            )
        ]
    )
