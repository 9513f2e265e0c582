"""The demo shows what other programs say: it must repeat a refusal as faithfully as an approval."""

import os
import pathlib
import shutil
from collections.abc import Iterator

import pytest

from imza import peers
from pki import clock, database, signature
from signing_service import documents, parameters
from signing_service.creation import xades
from signing_service.signing import flow
from tests.support import hierarchy as hierarchies
from tests.support import signed_pdfs, signing_world

pytestmark = [
    pytest.mark.peer,
    pytest.mark.skipif(
        not os.environ.get("CI")
        and not all(shutil.which(one) for one in ("pdfsig", "certutil", "xmlsec1")),
        reason="needs poppler-utils, libnss3-tools and xmlsec1",
    ),
]


@pytest.fixture
def world() -> Iterator[signing_world.World]:
    """Authorities that answer, as the demo's documents need them for B-LTA."""
    with signing_world.make_world(clock.whole_seconds(clock.SystemClock().now())) as made:
        yield made


@pytest.fixture
def hierarchy(world: signing_world.World) -> hierarchies.Hierarchy:
    return world.authorities


@pytest.fixture
def root(hierarchy: hierarchies.Hierarchy, tmp_path: pathlib.Path) -> pathlib.Path:
    path = tmp_path / "root.pem"
    path.write_bytes(hierarchy.root.pem)
    return path


@pytest.fixture
def archived(world: signing_world.World, tmp_path: pathlib.Path) -> pathlib.Path:
    """A PDF of level B-LTA, with its text uncompressed."""
    path, at = tmp_path / "archived.pdf", world.clock.now()
    path.write_bytes(signed_pdfs.make_pdf())
    engine = database.connect(f"sqlite:///{tmp_path}/signing.sqlite")
    database.Base.metadata.create_all(engine)
    service = world.service(engine, tmp_path / "store")
    opening = flow.Opening(
        "portal",
        documents.Document("archived.pdf", path),
        signing_world.pades(documents.SignatureLevel.B_LTA),
    )
    holder = world.authorities.signer()
    row = flow.open_session(service, opening, holder.certificate, at)
    flow.complete_session(service, row.id, "portal", holder.handle.sign(row.representation), at)
    shutil.copyfile(flow.signed_document(service, row.id, "portal", at).document.path, path)
    engine.dispose()
    return path


@pytest.fixture
def form(hierarchy: hierarchies.Hierarchy, tmp_path: pathlib.Path) -> pathlib.Path:
    """An XML form with the signatures of two people."""
    path = tmp_path / "form.xml"
    path.write_text("<form><name>TEST</name></form>")
    for code in ("5AB12CD", "7XY34ZK"):
        _sign_xml(path, hierarchy.signer(code))
    return path


def _sign_xml(path: pathlib.Path, signer: hierarchies.Holder) -> None:
    prepared, target = path.with_suffix(".prepared"), path.with_suffix(".signed")
    result = xades.prepare(
        documents.single(path),
        prepared,
        certificate=signer.certificate,
        chain=signer.issuers,
        parameters=parameters.SignatureParameters(
            format=documents.SignatureFormat.XADES, level=documents.SignatureLevel.B_B
        ),
        at=clock.whole_seconds(clock.SystemClock().now()),
    )
    value = signer.handle.sign(signature.represent(result.data_to_be_signed, result.hash_algorithm))
    xades.embed(result, prepared, target, value)
    target.replace(path)


def _change(path: pathlib.Path, old: bytes, new: bytes) -> None:
    content = path.read_bytes()
    assert content.count(old) >= 1
    path.write_bytes(content.replace(old, new, 1))


def test_pdfsig_accepts_a_signed_pdf_and_refuses_a_changed_one(
    archived: pathlib.Path, root: pathlib.Path, tmp_path: pathlib.Path
) -> None:
    peers.trust_in_nss(tmp_path / "nss", [root])
    good = peers.pdfsig(archived, tmp_path / "nss")
    assert good.accepted
    assert "Signature Validation: Signature is Valid." in good.lines
    _change(archived, b"TEST contract", b"TEST kontract")
    assert not peers.pdfsig(archived, tmp_path / "nss").accepted


def test_pdfsig_refuses_a_signer_whose_root_is_not_trusted(
    archived: pathlib.Path, tmp_path: pathlib.Path
) -> None:
    peers.trust_in_nss(tmp_path / "nss", [])
    assert not peers.pdfsig(archived, tmp_path / "nss").accepted


def test_pdfsig_does_not_accept_a_document_without_signatures(
    tmp_path: pathlib.Path, root: pathlib.Path
) -> None:
    plain = tmp_path / "plain.pdf"
    plain.write_bytes(signed_pdfs.make_pdf())
    peers.trust_in_nss(tmp_path / "nss", [root])
    assert peers.pdfsig(plain, tmp_path / "nss") == peers.Opinion(False, ())


def test_pyhanko_accepts_an_archived_pdf_and_refuses_a_changed_one(
    archived: pathlib.Path, root: pathlib.Path
) -> None:
    assert peers.pyhanko(archived, root).accepted
    _change(archived, b"TEST contract", b"TEST kontract")
    refused = peers.pyhanko(archived, root)
    assert not refused.accepted
    assert "HASH_FAILURE" in refused.lines[0]


def test_xmlsec1_accepts_both_signatures_and_refuses_a_changed_form(
    form: pathlib.Path, root: pathlib.Path
) -> None:
    assert peers.xmlsec1(form, root).accepted
    _change(form, b">TEST<", b">REST<")
    assert not peers.xmlsec1(form, root).accepted


def test_xmlsec1_looks_at_the_second_signature_too(form: pathlib.Path, root: pathlib.Path) -> None:
    content = form.read_bytes()
    place = content.rindex(b"SigningTime>20") + len(b"SigningTime>20")
    form.write_bytes(content[:place] + b"99" + content[place + 2 :])
    assert not peers.xmlsec1(form, root).accepted


@pytest.mark.parametrize("content", ["<form/>", "no XML"])
def test_xmlsec1_does_not_accept_a_document_without_signatures(
    tmp_path: pathlib.Path, root: pathlib.Path, content: str
) -> None:
    plain = tmp_path / "plain.xml"
    plain.write_text(content)
    assert not peers.xmlsec1(plain, root).accepted


def test_a_program_that_is_missing_is_told(
    form: pathlib.Path, root: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(form.parent))
    with pytest.raises(peers.PeerProgramError, match="make system"):
        peers.xmlsec1(form, root)
