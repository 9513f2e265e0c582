"""The command lines of pkilint on what the CA really issued: no finding at WARNING."""

import datetime
import itertools
import pathlib
import subprocess
import sys

import pytest
import sqlalchemy

from ca import peer_lint, subjects
from ca.operators import roles
from pki import algorithms, certificates, database, profiles, registration, registry
from tests.support import ca_world, crls, operators

pytestmark = pytest.mark.peer

FOLDER = pathlib.Path(sys.executable).parent


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> ca_world.World:
    folder = tmp_path_factory.mktemp("ca")
    engine: sqlalchemy.Engine = database.connect(f"sqlite:///{folder}/ca.sqlite")
    database.Base.metadata.create_all(engine)
    at = datetime.datetime(2026, 1, 31, 12, tzinfo=datetime.UTC)
    return ca_world.make_world(database.session_factory(engine), at)


def _lint(command: str, *arguments: str, data: bytes, folder: pathlib.Path) -> tuple[int, str]:
    file = folder / "document"
    file.write_bytes(data)
    done = subprocess.run(
        [str(FOLDER / command), "lint", *arguments, "-s", "WARNING", str(file)],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    return done.returncode, done.stdout + done.stderr


@pytest.mark.parametrize(
    ("person", "category"),
    [
        (ca_world.CITIZEN, registration.Category.CITIZEN),
        (ca_world.GEORGIAN, registration.Category.BUSINESS),
        (ca_world.ESTONIAN, registration.Category.OFFICIAL),
        (ca_world.TURK, registration.Category.CITIZEN),
        (ca_world.UKRAINIAN, registration.Category.BUSINESS),
    ],
)
@pytest.mark.parametrize("profile", ["sign", "authenticate"])
def test_subscribers_certificates_have_no_finding(
    world: ca_world.World,
    tmp_path: pathlib.Path,
    person: registration.Person,
    category: registration.Category,
    profile: str,
) -> None:
    issued = world.certify(world.application(person, category), profile)
    kind = profiles.subscriber_profile(profile, secure_device=True).peer_lint
    findings, text = _lint(
        "lint_etsi_cert", "-t", kind, data=issued.certificate_der, folder=tmp_path
    )
    assert findings == 0, text


@pytest.mark.clause("EN 319 412-1", "5.1.3")
def test_openssl_reads_whose_passport_names_a_non_resident(
    world: ca_world.World, tmp_path: pathlib.Path
) -> None:
    issued = world.certify(world.application(ca_world.TURK), "authenticate")
    (tmp_path / "c.der").write_bytes(issued.certificate_der)
    told = subprocess.run(
        ["openssl", "x509", "-inform", "DER", "-in", str(tmp_path / "c.der"), "-noout",
         "-subject", "-nameopt", "multiline"],
        capture_output=True, text=True, check=True,
    ).stdout  # fmt: skip
    assert "serialNumber              = PASTR-U12345678\n" in told
    assert "countryName               = TR\n" in told
    facts = certificates.read(certificates.parse(issued.certificate_der))
    assert (facts.person_country, facts.person_code) == ("TR", "PAS-U12345678")


@pytest.mark.parametrize("key", [algorithms.KeyKind.P256, algorithms.KeyKind.RSA3072])
@pytest.mark.parametrize("profile", profiles.ORGANISATION_NAMES)
def test_organisations_certificates_have_no_finding(
    world: ca_world.World, tmp_path: pathlib.Path, profile: str, key: algorithms.KeyKind
) -> None:
    server = registration.Server("GOV", "ss1.example.az") if profile != "seal" else None
    applicant = subjects.Applicant(
        registration.Category.ORGANISATION,
        ca_world.CITIZEN,
        ca_world.ORGANISATION,
        "Direktor",
        (profile,),
        server,
    )
    issued = world.certify(world.approved(applicant), profile, ca_world.make_csr(key))
    kind = profiles.subscriber_profile(profile, secure_device=True).peer_lint
    command = ("lint_etsi_cert", "-t", kind) if kind else ("lint_pkix_cert",)
    findings, text = _lint(*command, data=issued.certificate_der, folder=tmp_path)
    assert findings == 0, text


def test_the_eidas_type_has_exactly_one_finding(
    world: ca_world.World, tmp_path: pathlib.Path
) -> None:
    issued = world.certify(world.application())
    findings, text = _lint(
        "lint_etsi_cert",
        "-t",
        peer_lint.EIDAS_TYPE,
        data=issued.certificate_der,
        folder=tmp_path,
    )
    assert findings == 1
    assert peer_lint.EIDAS_FINDING in text


def test_services_and_authorities_have_no_finding(
    world: ca_world.World, tmp_path: pathlib.Path
) -> None:
    operators.enrol(world, roles.Role.RA_OFFICER)
    with world.sessions() as session:
        records = registry.certificates_of(session).certificates
    own = [one for one in records if one.profile not in profiles.SUBSCRIBER_NAMES]
    assert {one.profile for one in own} == {
        "root",
        "authority",
        "ocsp-responder",
        "operator",
        "time-stamping-unit",
    }
    for one in own:
        assert one.certificate_der is not None
        findings, text = _lint("lint_pkix_cert", data=one.certificate_der, folder=tmp_path)
        assert findings == 0, f"{one.profile}: {text}"


def test_crls_have_no_finding(world: ca_world.World, tmp_path: pathlib.Path) -> None:
    for name in world.hierarchy.authorities:
        with world.sessions() as session:
            crl_der = crls.newest_der(session, name)
        findings, text = _lint("lint_crl", "-t", "CRL", "-p", "PKIX", data=crl_der, folder=tmp_path)
        assert findings == 0, text


def test_certificates_and_their_issuers_fit_together(
    world: ca_world.World, tmp_path: pathlib.Path
) -> None:
    issued = world.certify(world.application())
    chain = [issued.certificate_der, *issued.chain_der]
    issuer_file, subject_file = tmp_path / "issuer.pem", tmp_path / "subject.pem"
    for subject, issuer in itertools.pairwise(chain):
        issuer_file.write_text(certificates.to_pem(certificates.parse(issuer)))
        subject_file.write_text(certificates.to_pem(certificates.parse(subject)))
        done = subprocess.run(
            [
                str(FOLDER / "lint_pkix_signer_signee_cert_chain"),
                "lint",
                "-s",
                "WARNING",
                str(issuer_file),
                str(subject_file),
            ],
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr
