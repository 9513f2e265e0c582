"""Poppler's pdfsig, on Mozilla's NSS, judges the PDFs that we sign."""

import os
import pathlib
import shutil
import subprocess

import pytest
import sqlalchemy

from pki import algorithms, clock, database
from signing_service import documents, parameters
from signing_service.signing import flow
from tests.support import hierarchy, signing_world

pytestmark = [
    pytest.mark.peer,
    pytest.mark.skipif(
        not os.environ.get("CI") and not (shutil.which("pdfsig") and shutil.which("certutil")),
        reason="needs poppler-utils and libnss3-tools",
    ),
]


def sign(
    world: signing_world.World,
    engine: sqlalchemy.Engine,
    folder: pathlib.Path,
    source: pathlib.Path,
    holder: hierarchy.Holder,
    chosen: parameters.SignatureParameters,
) -> pathlib.Path:
    service = world.service(engine, folder / "store")
    at = world.clock.now()
    opening = flow.Opening("portal", documents.Document("contract.pdf", source), chosen)
    row = flow.open_session(service, opening, holder.certificate, at)
    flow.complete_session(service, row.id, "portal", holder.handle.sign(row.representation), at)
    signed = flow.signed_document(service, row.id, "portal", at)
    assert signed.level is chosen.level
    target = folder / f"signed-{row.id}.pdf"
    shutil.copyfile(signed.document.path, target)
    return target


@pytest.fixture
def engine(tmp_path: pathlib.Path) -> sqlalchemy.Engine:
    engine = database.connect(f"sqlite:///{tmp_path}/test.sqlite")
    database.Base.metadata.create_all(engine)
    return engine


def nss_folder(tmp_path: pathlib.Path, root: hierarchy.Holder) -> str:
    (tmp_path / "root.pem").write_bytes(root.pem)
    (tmp_path / "nss").mkdir()
    name = f"sql:{tmp_path / 'nss'}"
    for arguments in (
        ["-N", "--empty-password"],
        ["-A", "-n", "root", "-t", "CT,C,C", "-i", str(tmp_path / "root.pem")],
    ):
        subprocess.run(["certutil", "-d", name, *arguments], check=True, capture_output=True)
    return name


def pdfsig(nss: str, path: pathlib.Path) -> list[str]:
    """What pdfsig says of each person's signature."""
    shown = subprocess.run(
        ["pdfsig", "-nssdir", nss, str(path)],
        capture_output=True,
        check=False,
    ).stdout.decode()
    return [part for part in shown.split("Signature #")[1:] if "ETSI.CAdES.detached" in part]


@pytest.mark.parametrize("level", list(documents.SignatureLevel))
def test_pdfsig_calls_our_signature_valid_and_trusted(
    tmp_path: pathlib.Path, engine: sqlalchemy.Engine, level: documents.SignatureLevel
) -> None:
    at = clock.whole_seconds(clock.SystemClock().now())
    source = tmp_path / "contract.pdf"
    source.write_bytes(signing_world.make_pdf())
    with signing_world.make_world(at) as world:
        signed = sign(
            world, engine, tmp_path, source, world.authorities.signer(), signing_world.pades(level)
        )
        (found,) = pdfsig(nss_folder(tmp_path, world.authorities.root), signed)
    assert "Signature is Valid" in found
    assert "Certificate is Trusted" in found


def test_pdfsig_calls_a_document_that_an_rsa_unit_stamped_valid_and_trusted(
    tmp_path: pathlib.Path, engine: sqlalchemy.Engine
) -> None:
    at = clock.whole_seconds(clock.SystemClock().now())
    source = tmp_path / "contract.pdf"
    source.write_bytes(signing_world.make_pdf())
    level = documents.SignatureLevel.B_LTA
    with signing_world.make_world(at, algorithms.KeyKind.RSA3072) as world:
        signed = sign(
            world, engine, tmp_path, source, world.authorities.signer(), signing_world.pades(level)
        )
        (found,) = pdfsig(nss_folder(tmp_path, world.authorities.root), signed)
    assert "Signature is Valid" in found
    assert "Certificate is Trusted" in found


def test_pdfsig_calls_both_signatures_of_two_people_valid_and_trusted(
    tmp_path: pathlib.Path, engine: sqlalchemy.Engine
) -> None:
    at = clock.whole_seconds(clock.SystemClock().now())
    source = tmp_path / "contract.pdf"
    source.write_bytes(signing_world.make_pdf())
    level = documents.SignatureLevel.B_LTA
    with signing_world.make_world(at) as world:
        first = sign(
            world, engine, tmp_path, source, world.authorities.signer(), signing_world.pades(level)
        )
        look = parameters.Appearance(1, (300, 60, 540, 130))
        second = sign(
            world,
            engine,
            tmp_path,
            first,
            world.authorities.signer("5AB12CE"),
            signing_world.pades(level, appearance=look),
        )
        found = pdfsig(nss_folder(tmp_path, world.authorities.root), second)
    assert len(found) == 2
    for one in found:
        assert "Signature is Valid" in one
        assert "Certificate is Trusted" in one


def test_pdfsig_sees_one_changed_byte(tmp_path: pathlib.Path, engine: sqlalchemy.Engine) -> None:
    at = clock.whole_seconds(clock.SystemClock().now())
    source = tmp_path / "contract.pdf"
    source.write_bytes(signing_world.make_pdf())
    with signing_world.make_world(at) as world:
        holder = world.authorities.signer()
        signed = sign(world, engine, tmp_path, source, holder, signing_world.pades())
        content = bytearray(signed.read_bytes())
        content[content.index(b"stream") + 20] ^= 1
        signed.write_bytes(content)
        (found,) = pdfsig(nss_folder(tmp_path, world.authorities.root), signed)
    assert "Digest Mismatch" in found
