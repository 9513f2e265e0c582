"""What a portal may send by mistake or on purpose: each refused with its reason, nothing a 5xx."""

import base64
import pathlib
import re

import pytest

from tests.support import world as worlds

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("world")]


@pytest.fixture(scope="module")
def signer(world: worlds.World) -> worlds.Signer:
    return worlds.certify(world.office(), "2HS22HS")


def encrypted(content: bytes) -> bytes:
    import io

    from pyhanko.pdf_utils.reader import PdfFileReader
    from pyhanko.pdf_utils.writer import copy_into_new_writer

    writer = copy_into_new_writer(PdfFileReader(io.BytesIO(content)))
    writer.encrypt("owner", "user")
    out = io.BytesIO()
    writer.write(out)
    return out.getvalue()


def with_javascript(content: bytes) -> bytes:
    import io

    from pyhanko.pdf_utils import generic
    from pyhanko.pdf_utils.incremental_writer import IncrementalPdfFileWriter

    writer = IncrementalPdfFileWriter(io.BytesIO(content))
    action = generic.DictionaryObject(
        {
            generic.pdf_name("/S"): generic.pdf_name("/JavaScript"),
            generic.pdf_name("/JS"): generic.pdf_string("app.alert(1)"),
        }
    )
    writer.root["/OpenAction"] = writer.add_object(action)
    writer.update_root()
    out = io.BytesIO()
    writer.write(out)
    return out.getvalue()


HOSTILE = {
    "not a PDF": lambda content: b"GIF89a" + content,
    "empty": lambda content: b"",
    "truncated": lambda content: content[: len(content) // 2],
    "encrypted": encrypted,
    "with JavaScript": with_javascript,
    "xref that points nowhere": lambda content: re.sub(
        rb"startxref\n\d+", b"startxref\n99999999", content
    ),
    "random": lambda content: bytes(range(256)) * 40,
}


@pytest.mark.parametrize("kind", sorted(HOSTILE))
def test_document_that_cannot_be_signed_is_refused_with_the_reason(
    world: worlds.World, signer: worlds.Signer, contract: pathlib.Path, kind: str
) -> None:
    document = HOSTILE[kind](contract.read_bytes())
    problem = world.api().open_session(document, signer.parameters("B-T"), expect=(400, 413, 422))
    assert problem["code"] not in ("", "internal", "error")
    assert len(problem["detail"]) > 20


@pytest.mark.parametrize("kind", sorted(set(HOSTILE) - {"encrypted", "with JavaScript"}))
def test_document_that_cannot_be_read_is_no_verdict(
    world: worlds.World, contract: pathlib.Path, tmp_path: pathlib.Path, kind: str
) -> None:
    path = tmp_path / "hostile.pdf"
    path.write_bytes(HOSTILE[kind](contract.read_bytes()))
    done = world.imza("verify", str(path), "--trust", str(world.root), "--json", expect=None)
    assert "Traceback" not in done.stderr
    assert done.returncode in (1, 4), done.stdout + done.stderr
    assert "TOTAL-PASSED" not in done.stdout


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"level": "B-XL"}, "level"),
        ({"format": "DOCX"}, "format"),
        ({"packaging": "upside-down"}, "packaging"),
        ({"signer": {"certificate": "!!"}}, "signer"),
        ({"signer": {}}, "signer"),
        ({"surprise": 1}, "surprise"),
        ({"appearance": {"page": 0, "box": [0, 0, 300, 100]}}, "page"),
    ],
)
def test_wrong_parameter_is_named(
    world: worlds.World,
    signer: worlds.Signer,
    contract: pathlib.Path,
    change: dict[str, object],
    field: str,
) -> None:
    problem = world.api().open_session(
        contract.read_bytes(), {**signer.parameters("B-T"), **change}, expect=(400, 422)
    )
    assert field in problem["detail"]


def test_value_in_der_or_by_another_key_is_refused_and_the_session_goes_on(
    world: worlds.World, signer: worlds.Signer, contract: pathlib.Path
) -> None:
    from pki import algorithms

    api = world.api()
    opened = api.open_session(contract.read_bytes(), signer.parameters("B-B"))
    path = f"/api/v1/signing-sessions/{opened['id']}/signature-value"
    good = signer.value(opened)
    der = algorithms.ecdsa_raw_to_der(base64.b64decode(good["signature_value"]))
    problem = api.call(
        "POST", path, {**good, "signature_value": base64.b64encode(der).decode()}, expect=(422,)
    )
    assert "got DER" in problem["detail"]
    stranger = worlds.certify(world.office(), "2HS33HS")
    problem = api.call("POST", path, stranger.value(opened), expect=(422,))
    assert problem["code"] == "signature-value-invalid"
    assert api.call("POST", path, good)["state"] in ("augmenting", "completed")


def test_authentication_certificate_does_not_sign(
    world: worlds.World, contract: pathlib.Path
) -> None:
    signer = worlds.certify(world.office(), "2HS44HS", "authenticate")
    problem = world.api().open_session(
        contract.read_bytes(), signer.parameters("B-T"), expect=(403,)
    )
    assert problem["code"] == "certificate-not-for-signing"


def test_nobody_gets_in_without_a_token(world: worlds.World) -> None:
    api = world.api()
    api.headers = {}
    for method, path in (
        ("POST", "/api/v1/signing-sessions"),
        ("POST", "/api/v1/validations"),
        ("GET", "/api/v1/signing-sessions/x"),
        ("POST", "/ra/v1/applications"),
        ("GET", "/ra/v1/certificates"),
    ):
        problem = api.call(method, path, {} if method == "POST" else None, expect=(401,))
        # Portals show a token; operators sign each request.
        wanted = "signature-refused" if path.startswith("/ra/") else "invalid-token"
        assert problem["code"] == wanted
