"""Certificates with one thing wrong, by the names of what is wrong, and who refuses them.

    python -m tests.support.defects

prints each defect with the rules of ours that refuse it and what pkilint alone says of it.
"""

import dataclasses
import datetime
import sys
from collections.abc import Callable, Mapping

from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from ca import authority, drafts, lint, peer_lint, subjects, throwaway
from ca import settings as ca_settings
from pki import algorithms, clock, der, oids, profiles, qc_statements, registration
from tests.support import ca_world
from tests.support.hierarchy import MemoryKey, make_key

SETTINGS = ca_world.SETTINGS
Mutate = Callable[[drafts.CertificateDraft], bytes]
"""Makes of a good draft a twin with something wrong."""

ORGANISATION = subjects.Applicant(
    registration.Category.ORGANISATION,
    ca_world.CITIZEN,
    ca_world.ORGANISATION,
    "Direktor",
    tuple(sorted(profiles.ORGANISATION_NAMES)),
    registration.Server("GOV", "ss1.example.az"),
)


def make_draft(
    profile: profiles.CertificateProfile,
    issuer: authority.Issuer,
    at: datetime.datetime,
    settings: ca_settings.Settings = SETTINGS,
) -> drafts.CertificateDraft:
    applicant = subjects.Applicant(registration.Category.CITIZEN, ca_world.CITIZEN)
    kind = (
        algorithms.KeyKind.P384
        if algorithms.KeyKind.P256 not in profile.key_kinds
        else algorithms.KeyKind.P256
    )
    subject = (
        subjects.subject_name(applicant, settings)
        if profile.subject is profiles.SubjectKind.PERSON
        else subjects.service_name(profile.name, settings)
    )
    if profile.subject is profiles.SubjectKind.FOREIGN_AUTHORITY:
        subject = ca_world.FOREIGN_AUTHORITY
    elif profile.name in profiles.ORGANISATION_NAMES:
        subject = subjects.subject_of(ORGANISATION, profile.subject, settings)
    return drafts.draft_certificate(
        profile, issuer, subject, make_key(kind).public_key(), settings, at
    )


def _statements(**changes: object) -> Mutate:
    def mutate(draft: drafts.CertificateDraft) -> bytes:
        assert draft.qualified is not None
        changed = dataclasses.replace(draft.qualified, **changes)  # type: ignore[arg-type]
        return drafts.build_twin(dataclasses.replace(draft, qualified=changed))

    return mutate


def changed(**changes: object) -> Mutate:
    def mutate(draft: drafts.CertificateDraft) -> bytes:
        return drafts.build_twin(dataclasses.replace(draft, **changes))  # type: ignore[arg-type]

    return mutate


def _like(profile: profiles.CertificateProfile, **changes: object) -> Callable[..., bytes]:
    return changed(profile=dataclasses.replace(profile, **changes))  # type: ignore[arg-type]


def _weak_rsa(draft: drafts.CertificateDraft) -> bytes:
    key = rsa.generate_private_key(65537, 2048)
    return drafts.build_twin(dataclasses.replace(draft, public_key=key.public_key()))


def _for_years(years: int) -> Mutate:
    def mutate(draft: drafts.CertificateDraft) -> bytes:
        end = draft.not_before + datetime.timedelta(days=365 * years)
        return drafts.build_twin(dataclasses.replace(draft, not_after=end))

    return mutate


def _subject(oid: x509.ObjectIdentifier, value: str | None) -> Callable[..., bytes]:
    def mutate(draft: drafts.CertificateDraft) -> bytes:
        kept = [one for one in draft.subject if one.oid != oid]
        if value is not None:
            kept.append(x509.NameAttribute(oid, value, _validate=False))
        return drafts.build_twin(dataclasses.replace(draft, subject=x509.Name(kept)))

    return mutate


def _unmarked(draft: drafts.CertificateDraft) -> bytes:
    kept = [
        x509.NameAttribute(one.oid, str(one.value).replace("TEST ", "")) for one in draft.subject
    ]
    return drafts.build_twin(dataclasses.replace(draft, subject=x509.Name(kept)))


def _extension(
    change: Callable[
        [list[tuple[x509.ExtensionType, bool]]], list[tuple[x509.ExtensionType, bool]]
    ],
) -> Mutate:
    def mutate(draft: drafts.CertificateDraft) -> bytes:
        builder = (
            x509.CertificateBuilder()
            .subject_name(draft.subject)
            .issuer_name(draft.issuer.subject)
            .public_key(draft.public_key)
            .serial_number(draft.serial_number)
            .not_valid_before(draft.not_before)
            .not_valid_after(draft.not_after)
        )
        for extension, critical in change(drafts.extensions_of(draft)):
            builder = builder.add_extension(extension, critical)
        kind = draft.issuer.key_kind
        twin = builder.sign(throwaway.key_like(kind), kind.hash_algorithm.hasher)
        return twin.public_bytes(serialization.Encoding.DER)

    return mutate


def _without(kind: type[x509.ExtensionType]) -> Callable[..., bytes]:
    return _extension(lambda all_: [one for one in all_ if not isinstance(one[0], kind)])


def criticality(kind: type[x509.ExtensionType]) -> Callable[..., bytes]:
    return _extension(
        lambda all_: [(one, critical != isinstance(one, kind)) for one, critical in all_]
    )


def _with(extension: x509.ExtensionType) -> Callable[..., bytes]:
    return _extension(lambda all_: [*all_, (extension, False)])


def _long_serial(draft: drafts.CertificateDraft) -> bytes:
    # The library refuses to build it, so the number is put in afterwards.
    to_be_signed, *rest = der.read(drafts.build_twin(draft)).children()
    version, _, *others = to_be_signed.children()
    serial = der.Element(der.INTEGER, b"\x01" + bytes(20))
    parts = [der.encode(one.tag, one.content) for one in (version, serial, *others)]
    return der.encode(
        der.SEQUENCE,
        der.encode(der.SEQUENCE, *parts),
        *(der.encode(one.tag, one.content) for one in rest),
    )


def _garbled_statements(draft: drafts.CertificateDraft) -> bytes:
    def change(
        all_: list[tuple[x509.ExtensionType, bool]],
    ) -> list[tuple[x509.ExtensionType, bool]]:
        oid = x509.ObjectIdentifier(oids.QC_STATEMENTS)
        return [*all_[:-1], (x509.UnrecognizedExtension(oid, b"\x30\x03\x02\x01"), False)]

    return _extension(change)(draft)


EN = qc_statements.PdsLocation("https://pki.example.com/pds/en.pdf", "en")
AZ = qc_statements.PdsLocation("https://pki.example.com/pds/az.pdf", "az")
PLAIN = qc_statements.PdsLocation("http://pki.example.com/pds/en.pdf", "en")

DEFECTS: Mapping[str, tuple[str, Mutate]] = {
    # What pkilint alone lets pass.
    "no statements at all": ("extensions", changed(qualified=None)),
    "no compliance": ("qualified-compliance", _statements(compliance=False)),
    "no type": ("qualified-type", _statements(types=())),
    "no legislation": ("qualified-legislation", _statements(legislation=())),
    "no device": ("qualified-device", _statements(secure_device=False)),
    "no disclosure": ("qualified-disclosure", _statements(pds=())),
    "no English disclosure": ("qualified-disclosure", _statements(pds=(AZ,))),
    "RSA of 2048 bits": ("key", _weak_rsa),
    "thirty years": ("validity", _for_years(30)),
    "serial number 1": ("serial-number", changed(serial_number=1)),
    "country in lower case": ("subject-country", _subject(NameOID.COUNTRY_NAME, "az")),
    "server authentication": (
        "extended-key-usage",
        _with(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH])),
    ),
    "a seal": ("qualified-type", _statements(types=(oids.QC_TYPE_ESEAL,))),
    # And others.
    "garbled statements": ("qualified-compliance", _garbled_statements),
    "both types": (
        "qualified-type",
        _statements(types=(oids.QC_TYPE_ESIGN, oids.QC_TYPE_ESEAL)),
    ),
    "another country's law": ("qualified-legislation", _statements(legislation=("GE",))),
    "disclosure over http": ("qualified-disclosure", _statements(pds=(PLAIN,))),
    "an unknown disclosure": ("qualified-disclosure", _statements(pds=(EN,))),
    "no semantics": ("qualified-others", _statements(semantics=None)),
    "legal semantics": ("qualified-others", _statements(semantics=oids.SEMANTICS_LEGAL)),
    "serial of 21 octets": ("serial-number", _long_serial),
    "four years": ("validity", _for_years(4)),
    "longer than the issuer": ("validity", _for_years(10)),
    "no own policy": ("policies", changed(policies=(oids.QCP_N_QSCD,))),
    "another policy": ("policies", changed(policies=(oids.TEST_POLICY_SIGN, oids.QCP_L_QSCD))),
    "any policy": ("policies", changed(policies=(oids.ANY_POLICY,))),
    "also digital signatures": (
        "key-usage",
        _like(
            profiles.SIGN,
            key_usage=profiles.SIGN.key_usage | profiles.AUTHENTICATE.key_usage,
        ),
    ),
    "an authority": ("basic-constraints", _like(profiles.SIGN, authority=True)),
    "not an authority": ("extensions", _with(x509.BasicConstraints(False, None))),
    "no status check": ("extensions", _with(x509.OCSPNoCheck())),
    "no key usage": ("extensions", _without(x509.KeyUsage)),
    "key usage not critical": ("extensions", criticality(x509.KeyUsage)),
    "policies critical": ("extensions", criticality(x509.CertificatePolicies)),
    "no authority key": ("key-identifiers", _without(x509.AuthorityKeyIdentifier)),
    "no own key identifier": ("key-identifiers", _without(x509.SubjectKeyIdentifier)),
    "no CRL address": ("status-addresses", changed(crl_url=None)),
    "another CRL address": ("status-addresses", changed(crl_url="http://example.org/x.crl")),
    "no responder": ("status-addresses", changed(ocsp_url=None)),
    "no address of the issuer": ("status-addresses", changed(ca_issuers_url=None)),
    "no surname": ("subject-attributes", _subject(NameOID.SURNAME, None)),
    "an e-mail address": (
        "subject-attributes",
        _subject(NameOID.EMAIL_ADDRESS, "test@example.org"),
    ),
    "an organisation without number": (
        "subject-attributes",
        _subject(NameOID.ORGANIZATION_NAME, "TEST MMC"),
    ),
    "a FIN with O": ("subject-identifier", _subject(NameOID.SERIAL_NUMBER, "PNOAZ-5AB12CO")),
    "a passport number": ("subject-identifier", _subject(NameOID.SERIAL_NUMBER, "PASAZ-5AB12CD")),
    "a passport number as a national one": (
        "subject-identifier",
        _subject(NameOID.SERIAL_NUMBER, "PNOTR-PAS-U12345678"),
    ),
    "a passport number with a space": (
        "subject-identifier",
        _subject(NameOID.SERIAL_NUMBER, "PASTR-U1234 5678"),
    ),
    "another country's number": (
        "subject-identifier",
        _subject(NameOID.SERIAL_NUMBER, "PNOGE-01234567890"),
    ),
    "another person's common name": (
        "subject-identifier",
        _subject(NameOID.COMMON_NAME, "TEST Əliyeva,Günay,7XY99ZZ"),
    ),
    "no TEST mark": ("test-mark", _unmarked),
}

SEAL_DEFECTS: Mapping[str, tuple[str, Mutate]] = {
    "a seal: for signatures": ("qualified-type", _statements(types=(oids.QC_TYPE_ESIGN,))),
    "a seal: both types": (
        "qualified-type",
        _statements(types=(oids.QC_TYPE_ESIGN, oids.QC_TYPE_ESEAL)),
    ),
    "a seal: no type": ("qualified-type", _statements(types=())),
    "a seal: no compliance": ("qualified-compliance", _statements(compliance=False)),
    "a seal: no device": ("qualified-device", _statements(secure_device=False)),
    "a seal: no legislation": ("qualified-legislation", _statements(legislation=())),
    "a seal: no disclosure": ("qualified-disclosure", _statements(pds=())),
    "a seal: natural semantics": (
        "qualified-others",
        _statements(semantics=oids.SEMANTICS_NATURAL),
    ),
    "a seal: a person's policy": (
        "policies",
        changed(policies=(oids.TEST_POLICY_SEAL, oids.QCP_N_QSCD)),
    ),
    "a seal: no statements at all": ("extensions", changed(qualified=None)),
    "a seal: RSA of 2048 bits": ("key", _weak_rsa),
    "a seal: also digital signatures": (
        "key-usage",
        _like(profiles.SEAL, key_usage=profiles.SEAL.key_usage | profiles.AUTHENTICATE.key_usage),
    ),
    "a seal: a person's name": ("subject-attributes", _subject(NameOID.SURNAME, "TEST Əliyeva")),
    "a seal: no number": ("subject-attributes", _subject(NameOID.ORGANIZATION_IDENTIFIER, None)),
    "a seal: no common name": ("subject-attributes", _subject(NameOID.COMMON_NAME, None)),
    "a seal: no country": ("subject-attributes", _subject(NameOID.COUNTRY_NAME, None)),
    "a seal: a number of the kind VAT": (
        "subject-identifier",
        _subject(NameOID.ORGANIZATION_IDENTIFIER, "VATAZ-9876543210"),
    ),
    "a seal: a number too short": (
        "subject-identifier",
        _subject(NameOID.ORGANIZATION_IDENTIFIER, "NTRAZ-98765"),
    ),
    "a seal: a server's name": (
        "extensions",
        _with(x509.SubjectAlternativeName([x509.DNSName("ss1.example.az")])),
    ),
}

XROAD_DEFECTS: Mapping[str, tuple[profiles.CertificateProfile, str, Mutate]] = {
    "a signer that authenticates": (
        profiles.XROAD_SIGN,
        "key-usage",
        _like(
            profiles.XROAD_SIGN,
            key_usage=profiles.XROAD_SIGN.key_usage | profiles.XROAD_AUTHENTICATE.key_usage,
        ),
    ),
    "a signer for client authentication": (
        profiles.XROAD_SIGN,
        "extended-key-usage",
        _with(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.CLIENT_AUTH])),
    ),
    "a signer without a class": (
        profiles.XROAD_SIGN,
        "subject-attributes",
        _subject(NameOID.BUSINESS_CATEGORY, None),
    ),
    "a class in lower case": (
        profiles.XROAD_SIGN,
        "subject-identifier",
        _subject(NameOID.BUSINESS_CATEGORY, "gov"),
    ),
    "a signer of another name": (
        profiles.XROAD_SIGN,
        "subject-identifier",
        _subject(NameOID.COMMON_NAME, "TEST Başqa"),
    ),
    "a code that no member has": (
        profiles.XROAD_SIGN,
        "subject-identifier",
        _subject(NameOID.SERIAL_NUMBER, "98765"),
    ),
    "a qualified signer": (
        profiles.XROAD_SIGN,
        "extensions",
        changed(qualified=qc_statements.QcStatements(compliance=True)),
    ),
    "a server that signs": (
        profiles.XROAD_AUTHENTICATE,
        "key-usage",
        _like(
            profiles.XROAD_AUTHENTICATE,
            key_usage=profiles.XROAD_SIGN.key_usage | profiles.XROAD_AUTHENTICATE.key_usage,
        ),
    ),
    "an EC key that enciphers": (
        profiles.XROAD_AUTHENTICATE,
        "key-usage",
        _like(
            profiles.XROAD_AUTHENTICATE,
            key_usage=profiles.XROAD_AUTHENTICATE.key_usage
            | profiles.XROAD_AUTHENTICATE.rsa_key_usage,
        ),
    ),
    "a server for servers": (
        profiles.XROAD_AUTHENTICATE,
        "extended-key-usage",
        _like(profiles.XROAD_AUTHENTICATE, extended_key_usage=(oids.OCSP_SIGNING,)),
    ),
    "a wildcard": (
        profiles.XROAD_AUTHENTICATE,
        "subject-identifier",
        _subject(NameOID.COMMON_NAME, "*.example.az"),
    ),
    "a server without its alternative name": (
        profiles.XROAD_AUTHENTICATE_ACME,
        "extensions",
        _without(x509.SubjectAlternativeName),
    ),
    "another alternative name": (
        profiles.XROAD_AUTHENTICATE_ACME,
        "alternative-names",
        changed(dns_name="evil.example.az"),
    ),
    "an alternative name too many": (
        profiles.XROAD_AUTHENTICATE,
        "extensions",
        _with(x509.SubjectAlternativeName([x509.DNSName("ss1.example.az")])),
    ),
    "three years": (profiles.XROAD_AUTHENTICATE, "validity", _for_years(3)),
    "RSA of 2048 bits": (profiles.XROAD_SIGN, "key", _weak_rsa),
}


def table() -> str:
    """Each defect, our rules that refuse it, and pkilint's findings by the profile's own type."""
    at = clock.whole_seconds(clock.SystemClock().now())
    issuer = authority.Issuer(
        "citizen",
        subjects.service_name("Citizen CA", SETTINGS),
        MemoryKey("ca-citizen", make_key(algorithms.KeyKind.P384)),
        at + datetime.timedelta(days=9 * 365),
    )
    rows = [("defect", "refused by", "pkilint alone")]
    for profile, defects in ((profiles.SIGN, DEFECTS), (profiles.SEAL, SEAL_DEFECTS)):
        draft = make_draft(profile, issuer, at)
        for name, (_, mutate) in defects.items():
            twin_der = mutate(draft)
            try:
                lint.check_twin(twin_der, profile, issuer, SETTINGS, at)
                rules = ["NOT REFUSED"]
            except lint.LintError as error:
                rules = sorted({one.rule for one in error.findings})
            ours = [one for one in rules if not one.startswith("pkilint")] or rules
            peers = peer_lint.certificate_findings(twin_der, profile.peer_lint)
            rows.append((name, ", ".join(ours), f"{len(peers)} findings" if peers else "passes"))
    widths = [max(len(row[column]) for row in rows) for column in range(2)]
    return "\n".join(
        f"{name.ljust(widths[0])}  {rules.ljust(widths[1])}  {peers}" for name, rules, peers in rows
    )


if __name__ == "__main__":
    sys.stdout.write(f"{table()}\n")
