"""Every kind of list before software that we did not write: OpenSSL, GnuTLS, pkilint."""

import dataclasses
import datetime
import os
import pathlib
import shutil
import subprocess
import sys

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import serialization

from ca import hierarchy, revocation
from ca.applications import certification
from ca.crls import addresses, published, schedule
from ca.examination import certificates as certificates_examined
from ca.examination import findings
from pki import certificates, database, status
from tests.support import ca_world

pytestmark = pytest.mark.peer

FOLDER = pathlib.Path(sys.executable).parent


@dataclasses.dataclass(frozen=True)
class Lists:
    """Files of an authority with two partitions, whose lists name deltas."""

    folder: pathlib.Path
    der: dict[str, pathlib.Path]
    leaves: dict[str, pathlib.Path]
    numbers: dict[str, int]


def _run(*command: str) -> tuple[int, str]:
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    return done.returncode, done.stdout + done.stderr


def _certtool() -> str:
    found = shutil.which("certtool")
    if found is None:
        if os.environ.get("CI"):
            raise RuntimeError("certtool is not installed (apt install gnutls-bin)")
        pytest.skip("certtool is not installed (apt install gnutls-bin)")
    return found


@pytest.fixture(scope="module")
def lists(tmp_path_factory: pytest.TempPathFactory) -> Lists:
    """One good certificate, one on the full list, one on the delta, one that a delta releases."""
    folder = tmp_path_factory.mktemp("lists")
    engine = database.connect(f"sqlite:///{folder}/ca.sqlite")
    database.Base.metadata.create_all(engine)
    at = datetime.datetime.now(datetime.UTC).replace(microsecond=0)  # noqa: TID251 - peers look at the clock
    settings = dataclasses.replace(ca_world.SETTINGS, crl_partition_size=30, crl_delta_from=0)
    world = ca_world.make_world(database.session_factory(engine), at, settings)

    def certify() -> certification.Issued:
        return world.certify(world.application())

    def change(made: certification.Issued, what: str) -> None:
        serial = made.record.serial_number
        with world.sessions() as session:
            if what == "revoke":
                reason = status.RevocationReason.keyCompromise
                revocation.revoke(session, serial, reason, at, actor="test")
            else:
                getattr(revocation, what)(session, serial, at, actor="test")
            session.commit()

    issued = {name: certify() for name in ("good", "listed", "added", "released")}
    for _ in range(26):
        change(certify(), "revoke")
    change(issued["listed"], "revoke")
    change(issued["released"], "hold")
    issuing = world.hierarchy.named("citizen")
    hierarchy.publish_due_crls(world.sessions, world.hierarchy, at)
    schedule.publish_all(world.sessions, issuing, settings, at, actor="test")
    issued["partitioned"] = certify()
    assert issued["partitioned"].record.crl_partition == 1
    change(issued["released"], "release")
    change(issued["added"], "revoke")
    change(issued["partitioned"], "revoke")
    schedule.publish_changes(world.sessions, issuing, settings, at, actor="test")
    der, numbers = {}, {}
    with world.sessions() as session:
        for partition in (0, 1):
            for delta in (False, True):
                scope = addresses.Scope("citizen", partition)
                newest = published.newest(session, scope, delta=delta)
                name = f"{partition}{'-delta' if delta else ''}"
                path = folder / f"{name}.crl"
                content = published.content(session, newest)
                path.write_bytes(content)
                pem = x509.load_der_x509_crl(content).public_bytes(serialization.Encoding.PEM)
                (folder / f"{name}.pem").write_bytes(pem)
                der[name], numbers[name] = path, newest.number
    leaves = {}
    for name, made in issued.items():
        leaves[name] = folder / f"{name}.cert.pem"
        leaves[name].write_text(certificates.to_pem(certificates.parse(made.certificate_der)))
    (folder / "ca.pem").write_text(certificates.to_pem(issuing.certificate))
    (folder / "root.pem").write_text(certificates.to_pem(issuing.above[0]))
    return Lists(folder, der, leaves, numbers)


NAMES = ["0", "0-delta", "1", "1-delta"]


@pytest.mark.parametrize("name", NAMES)
def test_pkilint_has_no_finding(lists: Lists, name: str) -> None:
    code, text = _run(
        str(FOLDER / "lint_crl"), "lint", "-t", "CRL", "-p", "PKIX", "-s", "WARNING",
        str(lists.der[name]),
    )  # fmt: skip
    assert code == 0, text


@pytest.mark.parametrize("name", NAMES)
def test_openssl_verifies_the_signature_and_reads_what_we_wrote(lists: Lists, name: str) -> None:
    code, text = _run(
        "openssl", "crl", "-inform", "DER", "-in", str(lists.der[name]), "-verify",
        "-CAfile", str(lists.folder / "ca.pem"), "-noout", "-text",
    )  # fmt: skip
    assert code == 0, text
    assert "verify OK" in text
    assert "X509v3 Issuing Distribution Point: critical" in text
    path = addresses.path(addresses.Scope("citizen", int(name[0])))
    assert f"URI:http://pki.example.com{path}" in text
    assert ("X509v3 Delta CRL Indicator: critical" in text) == ("delta" in name)
    assert ("X509v3 Freshest CRL" in text) == ("delta" not in name)


@pytest.mark.parametrize("name", NAMES)
def test_gnutls_verifies_and_reads_the_list(lists: Lists, name: str) -> None:
    certtool = _certtool()
    pem = str(lists.folder / f"{name}.pem")
    code, text = _run(
        certtool, "--verify-crl", "--load-ca-certificate", str(lists.folder / "ca.pem"),
        "--infile", pem,
    )  # fmt: skip
    assert code == 0, text
    assert "Verified" in text
    code, text = _run(certtool, "--crl-info", "--infile", pem)
    assert code == 0, text
    assert f"{lists.numbers[name]:02x}" in text


@pytest.mark.clause("RFC 5280", "6.3.3")
@pytest.mark.parametrize(
    ("leaf", "with_delta", "refused"),
    [
        ("good", False, False),
        ("good", True, False),
        ("listed", False, True),
        ("listed", True, True),
        ("added", False, False),
        ("added", True, True),
        ("released", False, True),
        ("released", True, False),
        ("partitioned", True, True),
    ],
)
def test_openssl_applies_deltas_and_takes_the_list_that_a_certificate_names(
    lists: Lists, leaf: str, with_delta: bool, refused: bool
) -> None:
    # Of every partition: the one that the certificate names has to be taken.
    names = [one for one in NAMES if with_delta or "delta" not in one]
    files = [part for one in names for part in ("-CRLfile", str(lists.folder / f"{one}.pem"))]
    code, text = _run(
        "openssl", "verify", "-crl_check", "-extended_crl",
        *(["-use_deltas"] if with_delta else []), *files,
        "-CAfile", str(lists.folder / "root.pem"), "-untrusted", str(lists.folder / "ca.pem"),
        str(lists.leaves[leaf]),
    )  # fmt: skip
    assert (code != 0) is refused, text
    if refused:
        assert "certificate revoked" in text


def test_openssl_takes_no_list_of_another_partition_for_a_certificates_own(lists: Lists) -> None:
    code, text = _run(
        "openssl", "verify", "-crl_check", "-extended_crl", "-CRLfile", str(lists.folder / "0.pem"),
        "-CAfile", str(lists.folder / "root.pem"), "-untrusted", str(lists.folder / "ca.pem"),
        str(lists.leaves["partitioned"]),
    )  # fmt: skip
    assert code != 0
    assert "different CRL scope" in text or "unable to get certificate CRL" in text


@pytest.mark.clause("RFC 5280", "4.2.1.15")
def test_openssl_reads_where_the_deltas_are_and_they_are_there(tmp_path: pathlib.Path) -> None:
    engine = database.connect(f"sqlite:///{tmp_path}/ca.sqlite")
    database.Base.metadata.create_all(engine)
    at = datetime.datetime(2026, 1, 31, 12, tzinfo=datetime.UTC)
    settings = dataclasses.replace(
        ca_world.SETTINGS, certificates_name_deltas=True, crl_delta_from=0, crl_partition_size=1
    )
    world = ca_world.make_world(database.session_factory(engine), at, settings)
    first = world.certify(world.application())
    hierarchy.publish_due_crls(world.sessions, world.hierarchy, at)
    second = world.certify(world.application(ca_world.GEORGIAN))
    for issued, partition in ((first, 0), (second, 1)):
        (tmp_path / "leaf.der").write_bytes(issued.certificate_der)
        code, text = _run(
            "openssl", "x509", "-inform", "DER", "-in", str(tmp_path / "leaf.der"), "-noout",
            "-ext", "freshestCRL",
        )  # fmt: skip
        assert code == 0, text
        assert "critical" not in text
        url = settings.crl_url("citizen", partition, delta=True)
        assert f"URI:{url}\n" in text
        with world.sessions() as session:
            delta = published.newest(session, addresses.Scope("citizen", partition), delta=True)
        assert delta.is_delta
    # What names no deltas when they are named, and the other way about, is no finding at night.
    for one in (settings, ca_world.SETTINGS):
        report = findings.Report(at)
        certificates_examined.examine(
            world.sessions, one, at, report, certificates_examined.Depth(), lambda *_: None
        )
        assert report.examined["certificates"] > 2
        assert [one.message for one in report.findings] == []
    engine.dispose()
