"""XML reports signed with the service's own seal, and what others make of them."""

import json
import os
import pathlib
import shutil
import subprocess
from typing import Any

import pytest
from lxml import etree

from pki import audit, settings
from signing_service import documents, report_sealing, trust
from signing_service import settings as signing_settings
from signing_service.creation import xades
from signing_service.reports import etsi
from signing_service.signing import sealing
from signing_service.validation import fetching, process, report
from signing_service.validation.diagnostics import diagnostic_data
from tests.support import hierarchy as hierarchy_support
from tests.support import signed_pdfs, signing_world

SCHEMAS = pathlib.Path(__file__).resolve().parents[3] / "shared" / "schemas"


@pytest.fixture
def world(at):
    with signing_world.make_world(at) as made:
        yield made


@pytest.fixture
def seals(world, tmp_path):
    holder = world.authorities.signer("MINISTRY")
    keys = hierarchy_support.MemoryKeyStore()
    keys.put("ministry", holder.handle)
    (tmp_path / "ministry.pem").write_bytes(holder.pem)
    configured = signing_settings.SealSettings(
        "ministry", tmp_path / "ministry.pem", "ministry", ()
    )
    return sealing.Seals([configured], lambda: keys)


@pytest.fixture
def sealer(world, seals, engine, tmp_path):
    service = world.service(engine, tmp_path / "store")
    return report_sealing.ReportSealer(service, seals, "ministry")


def validate(world, path: pathlib.Path, name: str, at, **others: Any) -> report.ValidationReport:
    return process.validate(
        documents.Document(name, path),
        trust=trust.TrustAnchors((world.authorities.root.certificate,)),
        at=at,
        fetch=fetching.fetcher(world.client, world.clock),
        **others,
    )


@pytest.fixture
def sealed(world, sealer, tmp_path, at) -> pathlib.Path:
    """A signed report on a signed PDF, with every object's value."""
    maker = signed_pdfs.PdfMaker(world.authorities, world.authorities.signer(), at)
    path = tmp_path / "contract.pdf"
    path.write_bytes(maker.add_evidence(maker.sign(signed_pdfs.make_pdf(), stamped=True)))
    shown = validate(world, path, "contract.pdf", at, diagnose=diagnostic_data.Extent.VALUES)
    assert shown.overall is report.Indication.TOTAL_PASSED
    written = tmp_path / "report.xml"
    written.write_bytes(sealer.build(shown, "portal", at))
    return written


@pytest.mark.clause("TS 119 102-2", "4")
def test_signed_report_passes_our_own_validation_and_a_changed_one_fails(
    world, sealed, tmp_path, at
):
    (signature,) = validate(world, sealed, "report.xml", at).signatures
    assert signature.indication is report.Indication.TOTAL_PASSED, signature.errors
    assert signature.level == "XAdES-BASELINE-B"
    assert signature.scope_kind is report.ScopeKind.FULL
    assert signature.signing_certificate is not None
    assert "MINISTRY" in signature.signing_certificate.subject
    changed = tmp_path / "changed.xml"
    changed.write_bytes(sealed.read_bytes().replace(b"total-passed", b"total-failed"))
    (broken,) = validate(world, changed, "report.xml", at).signatures
    assert broken.sub_indication is report.SubIndication.HASH_FAILURE


@pytest.mark.peer
def test_signed_report_is_valid_against_the_schema(sealed):
    if not SCHEMAS.is_dir():
        pytest.skip("ETSI's schemas are not beside the repository (../shared/schemas)")
    answer = subprocess.run(
        ["xmllint", "--nonet", "--noout", "--schema", str(SCHEMAS / "TS119102-2-v141.xsd"),
         str(sealed)],
        env={**os.environ, "XML_CATALOG_FILES": str(SCHEMAS / "catalog.xml")},
        capture_output=True, timeout=60, check=False,
    )  # fmt: skip
    assert answer.returncode == 0, answer.stderr.decode()


@pytest.mark.peer
@pytest.mark.skipif(
    shutil.which("xmlsec1") is None and not os.environ.get("CI"), reason="needs xmlsec1"
)
def test_xmlsec1_accepts_a_signed_report_and_refuses_a_changed_one(world, sealed, tmp_path):
    root = tmp_path / "root.pem"
    root.write_bytes(world.authorities.root.pem)
    changed = tmp_path / "changed.xml"
    changed.write_bytes(sealed.read_bytes().replace(b"total-passed", b"total-failed"))
    codes = [
        subprocess.run(
            ["xmlsec1", "--verify", "--enabled-key-data", "x509", "--trusted-pem", str(root),
             "--id-attr:Id", f"{xades.XADES}:SignedProperties", str(path)],
            capture_output=True, timeout=60, check=False,
        ).returncode
        for path in (sealed, changed)
    ]  # fmt: skip
    assert codes[0] == 0
    assert codes[1] != 0


def test_report_names_its_validator_and_tells_objects_with_their_values(world, sealed):
    root = etree.parse(str(sealed)).getroot()
    names = {"vr": etsi.NAMESPACE, "tsl": "http://uri.etsi.org/02231/v2#"}
    assert len(root.findall("vr:SignatureValidator/vr:DigitalId/tsl:X509Certificate", names)) == 1
    kinds = {
        str(one.findtext("vr:ObjectType", namespaces=names)).rpartition(":")[2]: one
        for one in root.iterfind("vr:SignatureValidationObjects/vr:ValidationObject", names)
    }
    assert {"signedData", "certificate", "OCSPResponse", "CRL", "timestamp"} <= set(kinds)
    for kind in ("certificate", "OCSPResponse", "CRL"):
        assert kinds[kind].find("vr:ValidationObjectRepresentation/vr:base64", names) is not None
    chain = root.find(".//vr:CertificateChain", names)
    assert chain is not None
    assert [etree.QName(one).localname for one in chain] == [
        "SigningCertificate", "IntermediateCertificate", "TrustAnchor",
    ]  # fmt: skip


def test_use_of_the_seal_is_in_the_audit_log(sealer, sealed):
    with sealer.service.database() as session:
        (entry,) = [
            one
            for one in audit.entries(session, after=0, limit=100)
            if one.event == audit.AuditEvent.SEAL_USED.value
        ]
    assert entry.actor == "portal"
    details = json.loads(entry.details)
    assert details["seal"] == "ministry"
    assert details["purpose"] == "validation report"


def test_seal_that_is_not_configured_is_refused_at_the_start(seals):
    with pytest.raises(settings.SettingsError, match="report_seal"):
        seals.check_own("nobody")


def test_seal_that_is_away_gives_no_report_at_all(world, sealer, sealed, tmp_path, at):
    (tmp_path / "ministry.pem").unlink()
    shown = validate(world, sealed, "report.xml", at)
    with pytest.raises(sealing.SealUnavailableError):
        sealer.build(shown, "portal", at)
