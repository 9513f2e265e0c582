"""Our CMP office, used by `openssl cmp` over HTTP."""

import pathlib
import subprocess
from collections.abc import Iterator

import pytest
import sqlalchemy
from cryptography import x509

from ca.enrolment import api
from pki import certificates, clock, database, registry, status, web
from tests.support import ca_world, cmp_office, crls, servers

pytestmark = pytest.mark.peer


class Enrolment:
    """An office behind HTTP and a folder for openssl's files."""

    def __init__(self, office: cmp_office.Office, folder: pathlib.Path, url: str) -> None:
        self.office = office
        self.folder = folder
        self.url = url
        reference, secret = office.reference()
        self.shared = ("-ref", reference.decode(), "-secret", f"pass:{secret.decode()}")
        with office.world.sessions() as session:
            issuers = registry.issuers(session)
        for name, kept in (("root.pem", True), ("cas.pem", False)):
            (folder / name).write_text(
                "".join(
                    certificates.to_pem(one.certificate)
                    for one in issuers
                    if (one.name == one.issuer_name) is kept
                )
            )

    def run(self, *options: str, expect: int = 0) -> str:
        done = subprocess.run(
            ("openssl", "cmp", "-server", f"{self.url}/cmp", "-recipient", "/CN=CA", *options),
            cwd=self.folder,
            capture_output=True,
            text=True,
            timeout=60,
        )
        output = done.stdout + done.stderr
        assert (done.returncode == 0) == (expect == 0), output
        return output

    def key(self, name: str) -> str:
        subprocess.run(
            ("openssl", "genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256",
             "-out", name),
            cwd=self.folder, check=True, capture_output=True,
        )  # fmt: skip
        return name

    def csr(self, key: str, name: str) -> str:
        subprocess.run(
            ("openssl", "req", "-new", "-key", key, "-subj", "/CN=anything", "-out", name),
            cwd=self.folder, check=True, capture_output=True,
        )  # fmt: skip
        return name

    def certificate(self, name: str) -> x509.Certificate:
        return x509.load_pem_x509_certificate((self.folder / name).read_bytes())

    def status(self, certificate: x509.Certificate) -> status.CertificateStatus:
        with self.office.world.sessions() as session:
            found = registry.status_of(session, "citizen", certificate.serial_number)
        assert found is not None
        return found

    def enrol(self, name: str, *options: str) -> str:
        """An ir with the shared secret; gives NAME.key and NAME.pem."""
        return self.run(
            "-cmd", "ir", *self.shared, "-newkey", self.key(f"{name}.key"),
            "-subject", "/CN=whoever", "-certout", f"{name}.pem", *options,
        )  # fmt: skip

    def signed(self, name: str) -> tuple[str, ...]:
        return (
            "-cert", f"{name}.pem", "-key", f"{name}.key",
            "-trusted", "root.pem", "-untrusted", "cas.pem",
        )  # fmt: skip


@pytest.fixture
def enrolment(tmp_path: pathlib.Path) -> Iterator[Enrolment]:
    engine: sqlalchemy.Engine = database.connect(f"sqlite:///{tmp_path}/ca.sqlite")
    database.Base.metadata.create_all(engine)
    at = clock.whole_seconds(clock.SystemClock().now())
    office = cmp_office.make_office(ca_world.make_world(database.session_factory(engine), at))
    app = web.application("test", [api.routes(office.office, clock.SystemClock())])
    with servers.serve(app) as url:
        yield Enrolment(office, tmp_path, url)
    engine.dispose()


@pytest.mark.clause("RFC 9483", "4.1.1")
@pytest.mark.parametrize("options", [(), ("-implicit_confirm",)])
def test_ir_with_a_shared_secret_gives_the_vetted_persons_certificate(
    enrolment: Enrolment, options: tuple[str, ...]
) -> None:
    output = enrolment.enrol("new", *options, "-cacertsout", "ca.pem", "-chainout", "chain.pem")
    assert "received IP" in output
    assert ("sending CERTCONF" in output) is not bool(options)
    facts = certificates.read(enrolment.certificate("new.pem"))
    assert facts.person_code == ca_world.CITIZEN.person_code
    assert certificates.KeyUsage.digitalSignature in facts.key_usage
    assert enrolment.status(enrolment.certificate("new.pem")).is_good
    assert "TEST AZ Root CA" in certificates.read(enrolment.certificate("ca.pem")).subject
    verified = subprocess.run(
        ("openssl", "verify", "-x509_strict", "-CAfile", "ca.pem", "-untrusted", "chain.pem",
         "new.pem"),
        cwd=enrolment.folder, capture_output=True, text=True,
    )  # fmt: skip
    assert "new.pem: OK" in verified.stdout, verified.stderr


@pytest.mark.clause("RFC 9483", "4.1.2")
@pytest.mark.parametrize("protection", ["secret", "certificate"])
def test_cr_gives_another_certificate(enrolment: Enrolment, protection: str) -> None:
    enrolment.enrol("old")
    by = enrolment.shared if protection == "secret" else enrolment.signed("old")
    output = enrolment.run(
        "-cmd", "cr", *by, "-newkey", enrolment.key("more.key"), "-subject", "/CN=whoever",
        "-certout", "more.pem",
    )  # fmt: skip
    assert "received CP" in output
    old, more = enrolment.certificate("old.pem"), enrolment.certificate("more.pem")
    assert old.subject == more.subject
    assert old.serial_number != more.serial_number


@pytest.mark.clause("RFC 9483", "4.1.4")
@pytest.mark.parametrize("options", [(), ("-implicit_confirm",)])
@pytest.mark.parametrize("protection", ["secret", "certificate"])
def test_p10cr_takes_a_pkcs10_request(
    enrolment: Enrolment, protection: str, options: tuple[str, ...]
) -> None:
    by = enrolment.shared
    if protection == "certificate":
        enrolment.enrol("old")
        by = enrolment.signed("old")
    csr = enrolment.csr(enrolment.key("p10.key"), "p10.csr")
    output = enrolment.run("-cmd", "p10cr", *by, "-csr", csr, "-certout", "p10.pem", *options)
    assert "received CP" in output
    assert enrolment.status(enrolment.certificate("p10.pem")).is_good


@pytest.mark.clause("RFC 9483", "4.1.3")
def test_kur_updates_the_key_and_the_old_certificate_stays(enrolment: Enrolment) -> None:
    enrolment.enrol("old")
    output = enrolment.run(
        "-cmd", "kur", *enrolment.signed("old"), "-newkey", enrolment.key("new.key"),
        "-certout", "new.pem",
    )  # fmt: skip
    assert "received KUP" in output
    assert "received PKICONF" in output
    old, new = enrolment.certificate("old.pem"), enrolment.certificate("new.pem")
    assert old.subject == new.subject
    assert enrolment.status(old).is_good
    assert enrolment.status(new).is_good
    # The new one updates itself in turn.
    enrolment.run(
        "-cmd", "kur", *enrolment.signed("new"), "-newkey", enrolment.key("newer.key"),
        "-certout", "newer.pem", "-implicit_confirm",
    )  # fmt: skip


@pytest.mark.clause("RFC 9483", "4.2")
def test_rr_revokes_with_its_reason_and_the_crl_says_so(enrolment: Enrolment) -> None:
    enrolment.enrol("old")
    old = enrolment.certificate("old.pem")
    output = enrolment.run(
        "-cmd", "rr", *enrolment.signed("old"), "-oldcert", "old.pem", "-revreason", "1"
    )
    assert "received RP" in output
    assert enrolment.status(old).reason is status.RevocationReason.keyCompromise
    with enrolment.office.world.sessions() as session:
        published = x509.load_der_x509_crl(crls.newest_der(session, "citizen"))
    assert published.get_revoked_certificate_by_serial_number(old.serial_number) is not None
    again = enrolment.run("-cmd", "rr", *enrolment.signed("old"), "-oldcert", "old.pem", expect=1)
    assert "certRevoked" in again


@pytest.mark.parametrize("protection", ["secret", "certificate"])
@pytest.mark.parametrize("kind", ["signKeyPairTypes", "currentCRL", "caCerts", "certReqTemplate"])
@pytest.mark.clause("RFC 9483", "4.3")
def test_genm_is_answered(enrolment: Enrolment, kind: str, protection: str) -> None:
    by = enrolment.shared
    if protection == "certificate":
        enrolment.enrol("old", "-implicit_confirm")
        by = enrolment.signed("old")
    output = enrolment.run("-cmd", "genm", *by, "-infotype", kind)
    assert "received GENP" in output
    assert f"id-it-{kind}" in output


def test_a_wrong_secret_is_refused_with_a_signed_error(enrolment: Enrolment) -> None:
    reference = enrolment.shared[1]
    output = enrolment.run(
        "-cmd", "ir", "-ref", reference, "-secret", "pass:wrong",
        "-newkey", enrolment.key("x.key"), "-subject", "/CN=x", "-certout", "x.pem",
        "-trusted", "root.pem", "-untrusted", "cas.pem", expect=1,
    )  # fmt: skip
    assert "badMessageCheck" in output
    assert not (enrolment.folder / "x.pem").exists()


@pytest.mark.parametrize("popo", ["-1", "0"])
def test_no_certificate_without_proof_of_possession(enrolment: Enrolment, popo: str) -> None:
    output = enrolment.run(
        "-cmd", "ir", *enrolment.shared, "-newkey", enrolment.key("x.key"), "-subject", "/CN=x",
        "-certout", "x.pem", "-popo", popo, expect=1,
    )  # fmt: skip
    assert "badPOP" in output


def test_an_unprotected_request_is_refused(enrolment: Enrolment) -> None:
    output = enrolment.run(
        "-cmd", "ir", "-unprotected_requests", "-newkey", enrolment.key("x.key"),
        "-subject", "/CN=x", "-certout", "x.pem",
        "-trusted", "root.pem", "-untrusted", "cas.pem", expect=1,
    )  # fmt: skip
    assert "badMessageCheck" in output


@pytest.mark.parametrize(
    "options", [("-digest", "sha384", "-mac", "hmacWithSHA384"), ("-digest", "sha512")]
)
def test_other_digests_and_macs_are_answered_alike(
    enrolment: Enrolment, options: tuple[str, ...]
) -> None:
    enrolment.enrol("new", *options)
    assert enrolment.status(enrolment.certificate("new.pem")).is_good
