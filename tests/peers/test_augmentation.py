"""Signatures that other programs made are raised to B-LTA here, then renewed."""

import datetime
import pathlib
from collections.abc import Iterator

import pytest
from cryptography.hazmat.primitives import serialization

from signing_service import augmentation, documents, parameters
from tests.support import signing_desk

pytestmark = pytest.mark.peer

PADES, XADES, ASIC_E, ASIC_S, CADES = documents.SignatureFormat
B_B, B_T, B_LT, B_LTA = documents.SignatureLevel


@pytest.fixture
def desk(tmp_path: pathlib.Path, at: datetime.datetime) -> Iterator[signing_desk.Desk]:
    with signing_desk.open_desk(tmp_path, at) as made:
        yield made


@pytest.fixture
def text(tmp_path: pathlib.Path) -> pathlib.Path:
    path = tmp_path / "text.txt"
    path.write_text("TEST ə", "utf-8")
    return path


def _augment(
    desk: signing_desk.Desk, source: pathlib.Path, level: documents.SignatureLevel,
    detached: tuple[pathlib.Path, ...] = (),
) -> pathlib.Path:  # fmt: skip
    target = source.with_name(f"{source.stem}-{level.label}{source.suffix}")
    augmentation.augment_document(
        desk.service,
        documents.Document(source.name, source),
        target,
        level,
        desk.at,
        detached=[documents.Document(one.name, one) for one in detached],
    )
    return target


def _levels(
    desk: signing_desk.Desk, path: pathlib.Path, detached: tuple[pathlib.Path, ...] = ()
) -> list[tuple[str, str, int]]:
    return [
        (one["indication"], one["level"].rpartition("-")[2], len(one["time_stamps"]))
        for one in desk.judge(path, detached)["signatures"]
    ]


@pytest.mark.parametrize("attached", [(), ("-nodetach",), ("-nodetach", "-stream")])
def test_signature_of_openssl_is_raised_and_renewed(
    desk: signing_desk.Desk, text: pathlib.Path, attached: tuple[str, ...]
) -> None:
    """With -stream openssl writes BER: no lengths, and the content in pieces."""
    signer, both, target = desk.world.authorities.signer(), *(
        desk.folder / name for name in ("signer.pem", "openssl.p7s")
    )  # fmt: skip
    key = signer.key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    both.write_bytes(signer.pem + key)
    made = signing_desk.run(
        "openssl", "cms", "-sign", "-binary", "-cades", "-md", "sha256", "-outform", "DER",
        "-signer", str(both), "-in", str(text), "-out", str(target), *attached,
    )  # fmt: skip
    assert made.returncode == 0, made.stderr.decode()
    beside = () if attached else (text,)
    raised = _augment(desk, target, B_LTA)
    assert _levels(desk, raised, beside) == [("TOTAL-PASSED", "LTA", 2)]
    desk.world.clock.move(datetime.timedelta(days=1))
    renewed = _augment(desk, raised, B_LTA)
    assert _levels(desk, renewed, beside) == [("TOTAL-PASSED", "LTA", 3)]
    answer = signing_desk.run(
        "openssl", "cms", "-verify", "-binary", "-inform", "DER", "-in", str(renewed),
        *(("-content", str(text)) if not attached else ()), "-CAfile", str(desk.root),
        "-purpose", "any", "-cades",
        "-certfile", str(_pem(desk)),
    )  # fmt: skip
    assert answer.returncode == 0, answer.stderr.decode()


@pytest.mark.parametrize("format", [XADES, ASIC_E, ASIC_S, CADES])
def test_every_signature_is_raised_level_by_level_and_renewed(
    desk: signing_desk.Desk, text: pathlib.Path, format: documents.SignatureFormat
) -> None:
    source = text
    if format is XADES:
        source = text.with_suffix(".xml")
        source.write_text("<f>TEST</f>", "utf-8")
    once = desk.sign([source], format, B_B)
    current = desk.sign([once], format, B_B, desk.world.authorities.signer("5ZZ99ZZ"))
    detached = (text,) if format is CADES else ()
    for level in (B_T, B_LT, B_LTA):
        current = _augment(desk, current, level)
        found = _levels(desk, current, detached)
        assert [one[1] for one in found] == [level.label[2:]] * 2
        if level >= B_LT:
            assert {one[0] for one in found} == {"TOTAL-PASSED"}
    desk.world.clock.move(datetime.timedelta(days=1))
    renewed = _augment(desk, current, B_LTA)
    assert _levels(desk, renewed, detached) == [("TOTAL-PASSED", "LTA", 3)] * 2
    with pytest.raises(augmentation.NothingToAugmentError):
        _augment(desk, renewed, B_T)


def test_detached_xml_signature_is_raised_with_its_documents_alone(
    desk: signing_desk.Desk, text: pathlib.Path
) -> None:
    signed = desk.sign([text], XADES, B_T, packaging=parameters.Packaging.DETACHED)
    with pytest.raises(documents.DocumentRefusedError) as caught:
        _augment(desk, signed, B_LTA)
    assert caught.value.code == "document-needed"
    raised = _augment(desk, signed, B_LTA, (text,))
    assert _levels(desk, raised, (text,)) == [("TOTAL-PASSED", "LTA", 2)]


def test_pdf_is_raised_and_renewed(desk: signing_desk.Desk, tmp_path: pathlib.Path) -> None:
    from tests.support import signing_world

    contract = tmp_path / "contract.pdf"
    contract.write_bytes(signing_world.make_pdf())
    signed = desk.sign([contract], PADES, B_B)
    raised = _augment(desk, signed, B_LTA)
    assert _levels(desk, raised)[0][:2] == ("TOTAL-PASSED", "LTA")
    renewed = _augment(desk, raised, B_LTA)
    assert _levels(desk, renewed)[0][:2] == ("TOTAL-PASSED", "LTA")
    assert renewed.read_bytes().startswith(raised.read_bytes())


def _pem(desk: signing_desk.Desk) -> pathlib.Path:
    path = desk.folder / "issuing.pem"
    path.write_bytes(desk.world.authorities.issuing.pem)
    return path
