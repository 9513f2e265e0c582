"""The mutation suite: every listed defect of a good certificate is refused before signing."""

import dataclasses
import datetime
import pathlib
from collections.abc import Callable

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from ca import authority, drafts, issuance, lint, peer_lint, subjects, throwaway
from ca import settings as ca_settings
from pki import algorithms, database, der, oids, profiles, qc_statements, registration
from tests.support import ca_world
from tests.support.hierarchy import MemoryKey, make_key

SETTINGS = ca_world.SETTINGS
ORGANISATION = subjects.Applicant(
    registration.Category.ORGANISATION,
    ca_world.CITIZEN,
    ca_world.ORGANISATION,
    "Direktor",
    tuple(sorted(profiles.ORGANISATION_NAMES)),
    registration.Server("GOV", "ss1.example.az"),
)
ORGANISATION_PROFILES = (
    profiles.TIME_STAMPING_UNIT,
    profiles.OCSP_RESPONDER,
    profiles.AUTHORITY,
    profiles.ROOT,
)


@pytest.fixture(scope="module")
def issuer_key() -> ca_world.CountingKey:
    return ca_world.CountingKey(MemoryKey("ca-citizen", make_key(algorithms.KeyKind.P384)))


@pytest.fixture
def issuer(issuer_key: ca_world.CountingKey, at: datetime.datetime) -> authority.Issuer:
    return authority.Issuer(
        "citizen",
        subjects.service_name("Citizen CA", SETTINGS),
        issuer_key,
        at + datetime.timedelta(days=9 * 365),
    )


@pytest.fixture
def draft(issuer: authority.Issuer, at: datetime.datetime) -> drafts.CertificateDraft:
    return _draft(profiles.SIGN, issuer, at)


def _draft(
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


@pytest.mark.parametrize("profile", profiles.ALL, ids=lambda one: f"{one.name}-{one.peer_lint}")
def test_a_good_certificate_of_every_profile_has_no_finding(
    profile: profiles.CertificateProfile, issuer: authority.Issuer, at: datetime.datetime
) -> None:
    settings = SETTINGS
    if profile is profiles.ROOT:
        issuer = dataclasses.replace(
            issuer, not_after=at + profile.validity, subject=subjects.service_name("x", settings)
        )
    twin_der = drafts.build_twin(_draft(profile, issuer, at, settings))
    lint.check_twin(twin_der, profile, issuer, settings, at)
    assert peer_lint.certificate_findings(twin_der, profile.peer_lint) == ()


def test_an_authority_of_our_own_country_is_not_cross_certified(
    issuer: authority.Issuer, at: datetime.datetime
) -> None:
    profile = profiles.CROSS_AUTHORITY
    ours = dataclasses.replace(SETTINGS, country="GE", organisation_code="404404404")
    twin_der = drafts.build_twin(_draft(profile, issuer, at, SETTINGS))
    with pytest.raises(lint.LintError, match="another country"):
        lint.check_twin(twin_der, profile, issuer, ours, at)


def test_the_eidas_type_finds_the_legislation_and_nothing_else(
    draft: drafts.CertificateDraft,
) -> None:
    found = peer_lint.certificate_findings(drafts.build_twin(draft), peer_lint.EIDAS_TYPE)
    assert found == (peer_lint.EIDAS_FINDING,)


def test_a_sandbox_on_loopback_is_judged_without_its_addresses(
    issuer: authority.Issuer, at: datetime.datetime
) -> None:
    settings = dataclasses.replace(SETTINGS, base_url="http://127.0.0.1:8080")
    twin_der = drafts.build_twin(_draft(profiles.SIGN, issuer, at, settings))
    lint.check_twin(twin_der, profiles.SIGN, issuer, settings, at)

    production = dataclasses.replace(
        settings, test=False, policy_arc="1.3.6.1.4.1.1.1", keys_in_secure_devices=True
    )
    twin_der = drafts.build_twin(_draft(profiles.SIGN, issuer, at, production))
    with pytest.raises(lint.LintError, match="internal_domain_name"):
        lint.check_twin(twin_der, profiles.SIGN, issuer, production, at)


def _statements(**changes: object) -> Callable[[drafts.CertificateDraft], bytes]:
    def mutate(draft: drafts.CertificateDraft) -> bytes:
        assert draft.qualified is not None
        changed = dataclasses.replace(draft.qualified, **changes)  # type: ignore[arg-type]
        return drafts.build_twin(dataclasses.replace(draft, qualified=changed))

    return mutate


def _changed(**changes: object) -> Callable[[drafts.CertificateDraft], bytes]:
    def mutate(draft: drafts.CertificateDraft) -> bytes:
        return drafts.build_twin(dataclasses.replace(draft, **changes))  # type: ignore[arg-type]

    return mutate


def _like(profile: profiles.CertificateProfile, **changes: object) -> Callable[..., bytes]:
    return _changed(profile=dataclasses.replace(profile, **changes))  # type: ignore[arg-type]


def _weak_rsa(draft: drafts.CertificateDraft) -> bytes:
    key = rsa.generate_private_key(65537, 2048)
    return drafts.build_twin(dataclasses.replace(draft, public_key=key.public_key()))


def _for_years(years: int) -> Callable[[drafts.CertificateDraft], bytes]:
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


def _extension(
    change: Callable[
        [list[tuple[x509.ExtensionType, bool]]], list[tuple[x509.ExtensionType, bool]]
    ],
) -> Callable[[drafts.CertificateDraft], bytes]:
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


def _criticality(kind: type[x509.ExtensionType]) -> Callable[..., bytes]:
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

DEFECTS: dict[str, tuple[str, Callable[[drafts.CertificateDraft], bytes]]] = {
    # What pkilint alone lets pass.
    "no statements at all": ("extensions", _changed(qualified=None)),
    "no compliance": ("qualified-compliance", _statements(compliance=False)),
    "no type": ("qualified-type", _statements(types=())),
    "no legislation": ("qualified-legislation", _statements(legislation=())),
    "no device": ("qualified-device", _statements(secure_device=False)),
    "no disclosure": ("qualified-disclosure", _statements(pds=())),
    "no English disclosure": ("qualified-disclosure", _statements(pds=(AZ,))),
    "RSA of 2048 bits": ("key", _weak_rsa),
    "thirty years": ("validity", _for_years(30)),
    "serial number 1": ("serial-number", _changed(serial_number=1)),
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
    "no own policy": ("policies", _changed(policies=(oids.QCP_N_QSCD,))),
    "another policy": ("policies", _changed(policies=(oids.TEST_POLICY_SIGN, oids.QCP_L_QSCD))),
    "any policy": ("policies", _changed(policies=(oids.ANY_POLICY,))),
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
    "key usage not critical": ("extensions", _criticality(x509.KeyUsage)),
    "policies critical": ("extensions", _criticality(x509.CertificatePolicies)),
    "no authority key": ("key-identifiers", _without(x509.AuthorityKeyIdentifier)),
    "no own key identifier": ("key-identifiers", _without(x509.SubjectKeyIdentifier)),
    "no CRL address": ("status-addresses", _changed(crl_url=None)),
    "another CRL address": ("status-addresses", _changed(crl_url="http://example.org/x.crl")),
    "no responder": ("status-addresses", _changed(ocsp_url=None)),
    "no address of the issuer": ("status-addresses", _changed(ca_issuers_url=None)),
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
    "another country's number": (
        "subject-identifier",
        _subject(NameOID.SERIAL_NUMBER, "PNOGE-01234567890"),
    ),
    "another person's common name": (
        "subject-identifier",
        _subject(NameOID.COMMON_NAME, "TEST Əliyeva,Günay,7XY99ZZ"),
    ),
    "no TEST mark": ("test-mark", _subject(NameOID.SURNAME, "Əliyeva")),
}


@pytest.mark.parametrize("name", DEFECTS)
def test_a_defect_is_refused_and_nothing_is_signed(
    name: str,
    draft: drafts.CertificateDraft,
    issuer_key: ca_world.CountingKey,
    tmp_path: pathlib.Path,
) -> None:
    rule, mutate = DEFECTS[name]
    if name == "no TEST mark":
        # The common name is a copy of the surname's mark.
        draft = dataclasses.replace(
            draft,
            subject=x509.Name(
                [
                    x509.NameAttribute(one.oid, str(one.value).replace("TEST ", ""))
                    for one in draft.subject
                ]
            ),
        )
    # It has no tables: recording anything there would fail.
    engine = database.connect(f"sqlite:///{tmp_path}/empty.sqlite")
    signatures = issuer_key.signatures

    with pytest.raises(lint.LintError) as refused:
        issuance.issue_twin(
            database.session_factory(engine),
            mutate(draft),
            draft,
            issuance.IssuanceRequest("x", "test"),
            SETTINGS,
            draft.not_before,
        )

    assert rule in {one.rule for one in refused.value.findings}
    assert issuer_key.signatures == signatures
    assert "5AB12CD" not in refused.value.message


@pytest.mark.parametrize("name", DEFECTS)
def test_a_defect_is_refused_where_the_form_of_a_good_certificate_is_known(
    name: str, draft: drafts.CertificateDraft
) -> None:
    settings = dataclasses.replace(SETTINGS, lint_by_form=True)
    at, issuer = draft.not_before, draft.issuer
    lint.check_twin(drafts.build_twin(draft), profiles.SIGN, issuer, settings, at)
    if name == "no TEST mark":
        bare = [
            x509.NameAttribute(one.oid, str(one.value).replace("TEST ", ""))
            for one in draft.subject
        ]
        draft = dataclasses.replace(draft, subject=x509.Name(bare))
    rule, mutate = DEFECTS[name]
    with pytest.raises(lint.LintError) as refused:
        lint.check_twin(mutate(draft), profiles.SIGN, issuer, settings, at)
    assert rule in {one.rule for one in refused.value.findings}


@pytest.mark.parametrize(
    "mutate",
    [
        _changed(profile=dataclasses.replace(profiles.TIME_STAMPING_UNIT, key_use=None)),
        _criticality(x509.ExtendedKeyUsage),
        _changed(ocsp_url="http://pki.example.com/ocsp"),
    ],
    ids=["no key use", "purpose not critical", "a responder that is not there"],
)
@pytest.mark.clause("RFC 3161", "2.3")
def test_a_defective_time_stamping_unit_is_refused(
    mutate: Callable[[drafts.CertificateDraft], bytes],
    issuer: authority.Issuer,
    at: datetime.datetime,
) -> None:
    twin_der = mutate(_draft(profiles.TIME_STAMPING_UNIT, issuer, at))
    with pytest.raises(lint.LintError):
        lint.check_twin(twin_der, profiles.TIME_STAMPING_UNIT, issuer, SETTINGS, at)


@pytest.mark.parametrize("settings_change", [{"test": False}, {"country": "GE"}])
def test_a_certificate_for_other_settings_is_refused(
    settings_change: dict[str, object], draft: drafts.CertificateDraft
) -> None:
    changes: dict[str, object] = {"policy_arc": "1.3.6.1.4.1.1.1"} | settings_change
    if changes.get("country") == "GE":
        changes = {"country": "GE", "organisation_code": "123456789"}
    other = dataclasses.replace(SETTINGS, **changes)  # type: ignore[arg-type]
    with pytest.raises(lint.LintError):
        lint.check_twin(
            drafts.build_twin(draft), profiles.SIGN, draft.issuer, other, draft.not_before
        )


def test_bytes_that_are_no_certificate_are_refused(
    draft: drafts.CertificateDraft,
) -> None:
    with pytest.raises(lint.LintError):
        lint.check_twin(b"\x30\x00", profiles.SIGN, draft.issuer, SETTINGS, draft.not_before)
