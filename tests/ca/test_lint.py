"""The mutation suite: every listed defect of a good certificate is refused before signing."""

import dataclasses
import datetime
import pathlib
from collections.abc import Callable

import pytest
from cryptography import x509

from ca import authority, drafts, issuance, lint, orders, peer_lint, subjects
from ca import settings as ca_settings
from pki import algorithms, database, profiles
from tests.support import ca_world, defects
from tests.support.hierarchy import MemoryKey, make_key

SETTINGS = ca_world.SETTINGS
DELTAS = dataclasses.replace(SETTINGS, certificates_name_deltas=True, crl_delta_from=0)
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
    return defects.make_draft(profiles.SIGN, issuer, at)


@pytest.mark.parametrize("profile", profiles.ALL, ids=lambda one: f"{one.name}-{one.peer_lint}")
def test_a_good_certificate_of_every_profile_has_no_finding(
    profile: profiles.CertificateProfile, issuer: authority.Issuer, at: datetime.datetime
) -> None:
    settings = SETTINGS
    if profile is profiles.ROOT:
        issuer = dataclasses.replace(
            issuer, not_after=at + profile.validity, subject=subjects.service_name("x", settings)
        )
    twin_der = drafts.build_twin(defects.make_draft(profile, issuer, at, settings))
    lint.check_twin(twin_der, profile, issuer, settings, at)
    assert peer_lint.certificate_findings(twin_der, profile.peer_lint) == ()


@pytest.mark.parametrize("profile", profiles.ALL, ids=lambda one: f"{one.name}-{one.peer_lint}")
@pytest.mark.clause("RFC 5280", "4.2.1.15")
def test_only_what_an_issuing_authority_certifies_names_deltas(
    profile: profiles.CertificateProfile, issuer: authority.Issuer, at: datetime.datetime
) -> None:
    if profile is profiles.ROOT:
        issuer = dataclasses.replace(issuer, not_after=at + profile.validity)
    made = defects.make_draft(profile, issuer, at, DELTAS)
    twin_der = drafts.build_twin(made)
    lint.check_twin(twin_der, profile, issuer, DELTAS, at)
    assert peer_lint.certificate_findings(twin_der, profile.peer_lint) == ()
    named = profile.status is profiles.StatusService.OCSP_AND_CRL
    assert (made.delta_crl_url is not None) is named
    assert (b"/crl/citizen/delta.crl" in twin_der) is named


@pytest.mark.parametrize(
    ("settings", "rule", "changes"),
    [
        ("with", "extensions", {"delta_crl_url": None}),
        ("with", "delta-address", {"delta_crl_url": "http://example.org/delta.crl"}),
        (
            "with",
            "delta-address",
            {"delta_crl_url": f"{SETTINGS.base_url}/crl/citizen/1-delta.crl"},
        ),
        ("with", "delta-address", {"delta_crl_url": f"{SETTINGS.base_url}/crl/business/delta.crl"}),
        ("with", "delta-address", {"crl_url": f"{SETTINGS.base_url}/crl/citizen/2.crl"}),
        ("without", "extensions", {"delta_crl_url": f"{SETTINGS.base_url}/crl/citizen/delta.crl"}),
    ],
)
def test_a_certificate_that_names_other_deltas_is_refused(
    issuer: authority.Issuer,
    at: datetime.datetime,
    settings: str,
    rule: str,
    changes: dict[str, str | None],
) -> None:
    wanted = DELTAS if settings == "with" else SETTINGS
    draft = defects.make_draft(profiles.SIGN, issuer, at, wanted)
    twin_der = drafts.build_twin(dataclasses.replace(draft, **changes))
    with pytest.raises(lint.LintError) as refused:
        lint.check_twin(twin_der, profiles.SIGN, issuer, wanted, at)
    assert rule in {one.rule for one in refused.value.findings}


def test_a_critical_pointer_to_deltas_is_refused(
    issuer: authority.Issuer, at: datetime.datetime
) -> None:
    draft = defects.make_draft(profiles.SIGN, issuer, at, DELTAS)
    twin_der = defects.criticality(x509.FreshestCRL)(draft)
    with pytest.raises(lint.LintError, match="critical"):
        lint.check_twin(twin_der, profiles.SIGN, issuer, DELTAS, at)


def test_an_address_of_deltas_that_is_not_always_answered_is_refused() -> None:
    with pytest.raises(ca_settings.SettingsRefusedError, match="crl_delta_from = 0"):
        dataclasses.replace(SETTINGS, certificates_name_deltas=True)


def test_an_authority_of_our_own_country_is_not_cross_certified(
    issuer: authority.Issuer, at: datetime.datetime
) -> None:
    profile = profiles.CROSS_AUTHORITY
    ours = dataclasses.replace(SETTINGS, country="GE", organisation_code="404404404")
    twin_der = drafts.build_twin(defects.make_draft(profile, issuer, at, SETTINGS))
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
    twin_der = drafts.build_twin(defects.make_draft(profiles.SIGN, issuer, at, settings))
    lint.check_twin(twin_der, profiles.SIGN, issuer, settings, at)

    production = dataclasses.replace(
        settings, test=False, policy_arc="1.3.6.1.4.1.1.1", keys_in_secure_devices=True
    )
    twin_der = drafts.build_twin(defects.make_draft(profiles.SIGN, issuer, at, production))
    with pytest.raises(lint.LintError, match="internal_domain_name"):
        lint.check_twin(twin_der, profiles.SIGN, issuer, production, at)


@pytest.mark.parametrize("name", defects.DEFECTS)
def test_a_defect_is_refused_and_nothing_is_signed(
    name: str,
    draft: drafts.CertificateDraft,
    issuer_key: ca_world.CountingKey,
    tmp_path: pathlib.Path,
) -> None:
    rule, mutate = defects.DEFECTS[name]
    # It has no tables: recording anything there would fail.
    engine = database.connect(f"sqlite:///{tmp_path}/empty.sqlite")
    signatures = issuer_key.signatures

    with pytest.raises(lint.LintError) as refused:
        issuance.issue_twin(
            database.session_factory(engine),
            mutate(draft),
            draft,
            orders.IssuanceRequest("x", "test"),
            SETTINGS,
            draft.not_before,
        )

    assert rule in {one.rule for one in refused.value.findings}
    assert issuer_key.signatures == signatures
    assert "5AB12CD" not in refused.value.message


@pytest.mark.parametrize("name", defects.DEFECTS)
def test_a_defect_is_refused_where_the_form_of_a_good_certificate_is_known(
    name: str, draft: drafts.CertificateDraft
) -> None:
    settings = dataclasses.replace(SETTINGS, lint_by_form=True)
    at, issuer = draft.not_before, draft.issuer
    lint.check_twin(drafts.build_twin(draft), profiles.SIGN, issuer, settings, at)
    rule, mutate = defects.DEFECTS[name]
    with pytest.raises(lint.LintError) as refused:
        lint.check_twin(mutate(draft), profiles.SIGN, issuer, settings, at)
    assert rule in {one.rule for one in refused.value.findings}


@pytest.mark.parametrize("name", defects.XROAD_DEFECTS)
def test_a_defective_xroad_certificate_is_refused(
    name: str, issuer: authority.Issuer, at: datetime.datetime
) -> None:
    profile, rule, mutate = defects.XROAD_DEFECTS[name]
    draft = defects.make_draft(profile, issuer, at)
    with pytest.raises(lint.LintError) as refused:
        lint.check_twin(mutate(draft), profile, issuer, SETTINGS, at)
    assert rule in {one.rule for one in refused.value.findings}


@pytest.mark.parametrize(
    "mutate",
    [
        defects.changed(profile=dataclasses.replace(profiles.TIME_STAMPING_UNIT, key_use=None)),
        defects.criticality(x509.ExtendedKeyUsage),
        defects.changed(ocsp_url="http://pki.example.com/ocsp"),
    ],
    ids=["no key use", "purpose not critical", "a responder that is not there"],
)
@pytest.mark.clause("RFC 3161", "2.3")
def test_a_defective_time_stamping_unit_is_refused(
    mutate: Callable[[drafts.CertificateDraft], bytes],
    issuer: authority.Issuer,
    at: datetime.datetime,
) -> None:
    twin_der = mutate(defects.make_draft(profiles.TIME_STAMPING_UNIT, issuer, at))
    with pytest.raises(lint.LintError):
        lint.check_twin(twin_der, profiles.TIME_STAMPING_UNIT, issuer, SETTINGS, at)


@pytest.mark.parametrize("name", defects.SEAL_DEFECTS)
@pytest.mark.clause("EN 319 412-3", "4.2.1")
def test_a_defective_seal_is_refused(
    name: str, issuer: authority.Issuer, at: datetime.datetime
) -> None:
    rule, mutate = defects.SEAL_DEFECTS[name]
    draft = defects.make_draft(profiles.SEAL, issuer, at)
    with pytest.raises(lint.LintError) as refused:
        lint.check_twin(mutate(draft), profiles.SEAL, issuer, SETTINGS, at)
    assert rule in {one.rule for one in refused.value.findings}


def test_the_mutation_table_tells_who_refused_each_defect() -> None:
    printed = defects.table()
    for name in (*defects.DEFECTS, *defects.SEAL_DEFECTS):
        (line,) = [one for one in printed.splitlines() if one.startswith(f"{name}  ")]
        assert "NOT REFUSED" not in line


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
