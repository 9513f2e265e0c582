"""CMS signatures made by openssl, judged by our validation."""

import subprocess
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization

from signing_service import documents, trust
from signing_service.validation import process, report
from tests.support import hierarchy as hierarchy_support

pytestmark = pytest.mark.peer

CONTENT = b"TEST contract\r\nover 100 manat\r\n"


@pytest.fixture
def signed(tmp_path: Path, hierarchy: hierarchy_support.Hierarchy):
    def sign(*options: str, people: int = 1) -> bytes:
        (tmp_path / "contract.txt").write_bytes(CONTENT)
        (tmp_path / "chain.pem").write_bytes(hierarchy.issuing.pem)
        signers: list[str] = []
        for number in range(people):
            holder = hierarchy.signer(f"5AB12C{number}")
            (tmp_path / f"{number}.pem").write_bytes(holder.pem)
            (tmp_path / f"{number}.key").write_bytes(
                holder.key.private_bytes(
                    serialization.Encoding.PEM,
                    serialization.PrivateFormat.PKCS8,
                    serialization.NoEncryption(),
                )
            )
            signers += ["-signer", f"{number}.pem", "-inkey", f"{number}.key"]
        subprocess.run(
            ["openssl", "cms", "-sign", "-in", "contract.txt", "-binary", "-outform", "DER",
             "-md", "sha256", "-certfile", "chain.pem", "-out", "made.p7m", *signers, *options],
            cwd=tmp_path, check=True, capture_output=True, timeout=30,
        )  # fmt: skip
        return (tmp_path / "made.p7m").read_bytes()

    return sign


@pytest.fixture
def judge(tmp_path: Path, hierarchy: hierarchy_support.Hierarchy, at):
    def validate(content: bytes, *detached: str) -> report.ValidationReport:
        (tmp_path / "judged").write_bytes(content)
        return process.validate(
            documents.Document("contract.p7m", tmp_path / "judged"),
            trust=trust.TrustAnchors((hierarchy.root.certificate,)),
            at=at,
            fetch=None,
            detached=[documents.Document(one, tmp_path / one) for one in detached],
        )

    return validate


@pytest.mark.parametrize("options", [(), ("-stream",), ("-keyid",)])
def test_attached_cades_of_openssl_is_read(signed, judge, options):
    (found,) = judge(signed("-nodetach", "-cades", *options)).signatures
    assert found.intact
    assert found.level == "CAdES-BASELINE-B"
    assert found.scope_names == ("contract.p7m",)


def test_detached_cades_of_openssl_is_read_with_its_document(signed, judge):
    made = signed("-cades")
    (missing,) = judge(made).signatures
    assert missing.sub_indication is report.SubIndication.SIGNED_DATA_NOT_FOUND
    (found,) = judge(made, "contract.txt").signatures
    assert found.intact
    assert found.level == "CAdES-BASELINE-B"


def test_several_signers_of_openssl_are_judged_each(signed, judge):
    found = judge(signed("-nodetach", "-cades", people=3)).signatures
    assert [one.intact for one in found] == [True] * 3
    assert len({one.person_code for one in found}) == 3


@pytest.mark.parametrize("options", [(), ("-noattr",)])
def test_plain_cms_is_named_as_what_it_is(signed, judge, options):
    (found,) = judge(signed("-nodetach", *options)).signatures
    assert found.intact
    assert found.level == "CMS-NOT-ETSI"


def test_cms_of_openssl_without_certificates_is_not_called_intact(signed, judge):
    (found,) = judge(signed("-nodetach", "-cades", "-nocerts")).signatures
    assert found.intact is None
    assert found.sub_indication is report.SubIndication.NO_SIGNING_CERTIFICATE_FOUND
