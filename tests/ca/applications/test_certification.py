"""Roles, seals, X-Road and keys in files: what an approved application gives, and what not."""

import dataclasses
import datetime

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import rsa

from ca import drafts, hierarchy, orders, schemas, subjects
from ca.applications import certification
from pki import algorithms, certificates, errors, oids, profiles, registration, registry
from tests.support import ca_world
from tests.support.hierarchy import make_key

COMPANY = registration.Organisation("AZ", "1400000021", "TEST Gənclik MMC")
OTHER = registration.Organisation("AZ", "1400000022", "TEST Başqa MMC")
MINISTRY = registration.Organisation("AZ", "9900000011", "TEST Nazirlik")
SERVER = registration.Server("GOV", "ss1.example.az")


def _organisation(*names: str, **changes: object) -> subjects.Applicant:
    base = subjects.Applicant(
        registration.Category.ORGANISATION,
        ca_world.CITIZEN,
        COMPANY,
        "Direktor",
        tuple(sorted(names)),
        SERVER if any(one.startswith("xroad") for one in names) else None,
    )
    return dataclasses.replace(base, **changes)  # type: ignore[arg-type]


def _facts(issued: certification.Issued) -> certificates.CertificateFacts:
    return certificates.read(certificates.parse(issued.certificate_der))


def test_one_person_holds_a_certificate_for_each_role(world: ca_world.World) -> None:
    category = registration.Category
    roles = (
        subjects.Applicant(category.CITIZEN, ca_world.CITIZEN),
        subjects.Applicant(category.BUSINESS, ca_world.CITIZEN, COMPANY, "Direktor"),
        subjects.Applicant(category.BUSINESS, ca_world.CITIZEN, OTHER, "Mühasib"),
        subjects.Applicant(category.OFFICIAL, ca_world.CITIZEN, MINISTRY, "Məsləhətçi"),
    )
    issued = [world.certify(world.approved(one)) for one in roles]
    assert len({_facts(one).subject for one in issued}) == len(roles)
    assert len({_facts(one).identifier for one in issued}) == 1
    with world.sessions() as session:
        listed = schemas.page(
            registry.certificates_of(session, person_code=ca_world.CITIZEN.person_code)
        )["certificates"]
    assert isinstance(listed, list)
    assert [(one["role"], one["organisation"]) for one in listed] == [
        ("citizen", None),
        ("business", "NTRAZ-1400000021"),
        ("business", "NTRAZ-1400000022"),
        ("official", "NTRAZ-9900000011"),
    ]


def _limited(world: ca_world.World, at_most: int) -> ca_world.World:
    changed = dataclasses.replace(world.settings, certificates_per_role=at_most)
    return dataclasses.replace(
        world,
        settings=changed,
        hierarchy=hierarchy.Hierarchy(world.hierarchy.authorities, changed),
    )


def test_a_role_has_so_many_certificates_and_no_more(world: ca_world.World) -> None:
    few = _limited(world, 2)
    first = few.application()
    csr_der = ca_world.make_csr()
    issued = few.certify(first, "sign", csr_der)
    few.certify(few.application())
    third = few.application()
    with pytest.raises(certification.RoleCertifiedError):
        few.certify(third)
    # The same again is answered, another profile and another role count for themselves.
    assert few.certify(first, "sign", csr_der).certificate_der == issued.certificate_der
    few.certify(third, "authenticate")
    few.certify(few.application(category=registration.Category.BUSINESS))
    # In their last days both are about to be followed.
    late = world.at + datetime.timedelta(days=3 * 365 - 20)
    few.certify(third, at=late)


def test_a_seal_names_the_organisation_and_nobody_else(world: ca_world.World) -> None:
    issued = world.certify(world.approved(_organisation("seal")), "seal")
    certificate = certificates.parse(issued.certificate_der)
    named = [one.oid.dotted_string for one in certificate.subject]
    assert sorted(named) == sorted(
        [
            oids.COUNTRY_NAME,
            oids.ORGANIZATION_NAME,
            oids.ORGANIZATION_IDENTIFIER,
            oids.COMMON_NAME,
        ]
    )
    facts = _facts(issued)
    assert facts.organisation_identifier == "NTRAZ-1400000021"
    assert facts.qualified.types == (oids.QC_TYPE_ESEAL,)
    assert facts.qualified.semantics == oids.SEMANTICS_LEGAL
    assert facts.qualified.secure_device
    assert facts.key_usage == {certificates.KeyUsage.nonRepudiation}
    assert issued.record.issuer_name == "business"
    assert "5AB12CD" not in facts.subject


@pytest.mark.parametrize("kind", [algorithms.KeyKind.P256, algorithms.KeyKind.RSA3072])
@pytest.mark.clause("RFC 8813", "3")
def test_xroad_certificates_are_those_of_its_basic_profiles(
    world: ca_world.World, kind: algorithms.KeyKind
) -> None:
    usage = certificates.KeyUsage
    names = ("xroad-authenticate", "xroad-authenticate-acme", "xroad-sign")
    application = world.approved(_organisation(*names))
    made = {
        name: certificates.parse(
            world.certify(application, name, ca_world.make_csr(kind)).certificate_der
        )
        for name in names
    }
    for name in names[:2]:
        facts = certificates.read(made[name])
        assert (facts.common_name, facts.identifier) == ("ss1.example.az", COMPANY.code)
        assert (facts.organisation, facts.country) == (COMPANY.name, "AZ")
        encipherment = {usage.keyEncipherment} if kind is algorithms.KeyKind.RSA3072 else set()
        assert facts.key_usage == {usage.digitalSignature} | encipherment
        assert facts.extended_key_usage == (oids.CLIENT_AUTH,)
    facts = certificates.read(made["xroad-sign"])
    assert facts.common_name == facts.organisation == COMPANY.name
    assert facts.identifier == COMPANY.code
    assert facts.key_usage == {usage.nonRepudiation}
    assert facts.extended_key_usage == ()
    category = made["xroad-sign"].subject.get_attributes_for_oid(
        x509.ObjectIdentifier(oids.BUSINESS_CATEGORY)
    )
    assert [one.value for one in category] == ["GOV"]
    alternative = made["xroad-authenticate-acme"].extensions.get_extension_for_class(
        x509.SubjectAlternativeName
    )
    assert alternative.value.get_values_for_type(x509.DNSName) == ["ss1.example.az"]
    with pytest.raises(x509.ExtensionNotFound):
        made["xroad-authenticate"].extensions.get_extension_for_class(x509.SubjectAlternativeName)


def test_one_key_gets_no_second_xroad_certificate(world: ca_world.World) -> None:
    application = world.approved(_organisation("xroad-authenticate", "xroad-sign"))
    csr_der = ca_world.make_csr()
    world.certify(application, "xroad-authenticate", csr_der)
    with pytest.raises(orders.KeyCertifiedError):
        world.certify(application, "xroad-sign", csr_der)


def test_keys_that_xroad_or_we_do_not_take_are_refused(world: ca_world.World) -> None:
    application = world.approved(_organisation("xroad-sign"))
    with pytest.raises(drafts.ProfileRefusedError):
        world.certify(application, "xroad-sign", ca_world.make_csr(algorithms.KeyKind.P384))
    weak = ca_world.make_csr(key=rsa.generate_private_key(65537, 2048))
    with pytest.raises(algorithms.UnsupportedAlgorithmError):
        world.certify(application, "xroad-sign", weak)


@pytest.mark.parametrize(
    "changes",
    [
        {"profile_names": ("sign",)},
        {"profile_names": ()},
        {"profile_names": ("seal", "seal")},
        {"profile_names": ("xroad-sign", "seal")},
        {"profile_names": ("authority",)},
        {"organisation": None},
        {"server": SERVER},
        {"profile_names": ("xroad-sign",), "server": None},
        {"profile_names": ("xroad-authenticate",), "server": registration.Server("GOV")},
        *(
            {"profile_names": ("xroad-sign",), "server": registration.Server(one)}
            for one in ("", "g", "gov", "G" * 30, "GOV/X", "GOV\n")
        ),
        *(
            {
                "profile_names": ("xroad-authenticate",),
                "server": registration.Server("GOV", one),
            }
            for one in (
                "",
                "localhost",
                "SS1.example.az",
                "*.example.az",
                "ss1.example.az.",
                "-a.example.az",
                "a..az",
                "10.0.0.1",
                "ss1.example.az\0.evil.example",
                "ə.example.az",
                f"{'a' * 62}.az",
            )
        ),
    ],
    ids=str,
)
def test_an_organisation_that_no_certificate_could_name_is_refused(
    changes: dict[str, object],
) -> None:
    with pytest.raises(errors.InputError):
        _organisation("seal", **changes)


def test_a_key_in_a_file_gets_no_claim_of_a_device(world: ca_world.World) -> None:
    application = world.application()
    csr_der = ca_world.make_csr()
    issued = certification.certify_application(
        world.sessions,
        world.hierarchy,
        application,
        "sign",
        csr_der,
        world.at,
        actor="test",
        software_key=True,
    )
    facts = _facts(issued)
    assert not facts.qualified.secure_device
    assert oids.QCP_N in facts.policies
    assert oids.QCP_N_QSCD not in facts.policies
    # What renews it claims no more.
    renewed = certification.certify_key(
        world.sessions,
        world.hierarchy,
        application,
        "sign",
        make_key(algorithms.KeyKind.P256).public_key(),
        orders.IssuanceRequest("renewal/test", "test"),
        world.at,
        renews=certificates.parse(issued.certificate_der).subject,
    )
    assert not _facts(renewed).qualified.secure_device


def test_a_key_in_a_file_is_certified_by_a_test_installation_alone(
    world: ca_world.World,
) -> None:
    real = dataclasses.replace(world.settings, test=False, policy_arc="1.3.6.1.4.1.1.1")
    signatures = world.keys.signatures
    with pytest.raises(certification.SoftwareKeyError):
        certification.certify_application(
            world.sessions,
            hierarchy.Hierarchy(world.hierarchy.authorities, real),
            world.application(),
            "sign",
            ca_world.make_csr(),
            world.at,
            actor="test",
            software_key=True,
        )
    assert world.keys.signatures == signatures


def test_every_profile_that_can_be_applied_for_is_known() -> None:
    for name in profiles.SUBSCRIBER_NAMES:
        for secure in (True, False):
            assert profiles.subscriber_profile(name, secure_device=secure).name == name
