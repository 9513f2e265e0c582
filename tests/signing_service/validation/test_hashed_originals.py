"""Originals that stay with their owner: their hashes do where the standards hash them."""

import pathlib
import zipfile

import pytest

from pki import algorithms, clock, errors
from signing_service import documents, parameters, trust
from signing_service.validation import process
from tests.support import signing_desk

B_LT, B_LTA = documents.SignatureLevel.B_LT, documents.SignatureLevel.B_LTA
SHA256, SHA512 = algorithms.HashAlgorithm.SHA256, algorithms.HashAlgorithm.SHA512
CONTENT = b"TEST contract"


@pytest.fixture
def desk(tmp_path: pathlib.Path):
    now = clock.whole_seconds(clock.SystemClock().now())
    with signing_desk.open_desk(tmp_path, now) as opened:
        yield opened


@pytest.fixture
def original(tmp_path: pathlib.Path) -> pathlib.Path:
    path = tmp_path / "contract.txt"
    path.write_bytes(CONTENT)
    return path


def digest(content: bytes, algorithm: algorithms.HashAlgorithm) -> documents.DocumentDigest:
    return documents.DocumentDigest("contract.txt", algorithm, algorithm.digest(content))


def judge(desk: signing_desk.Desk, signed: pathlib.Path, *given: documents.Detached):
    report = process.validate(
        documents.Document(signed.name, signed),
        trust=trust.TrustAnchors((desk.world.authorities.root.certificate,)),
        at=desk.at,
        fetch=None,
        detached=given,
    )
    (one,) = report.to_json()["signatures"]
    return one


@pytest.mark.parametrize(
    ("format", "level"),
    [
        (documents.SignatureFormat.CADES, B_LT),
        (documents.SignatureFormat.CADES, B_LTA),
        (documents.SignatureFormat.XADES, B_LT),
    ],
)
def test_hash_is_as_good_as_the_document(desk, original, format, level):
    signed = desk.sign([original], format, level, packaging=parameters.Packaging.DETACHED)
    used = next(
        one for one in (SHA256, SHA512) if judge(desk, signed, digest(CONTENT, one))["intact"]
    )
    one = judge(desk, signed, digest(CONTENT, used))
    assert one["indication"] == "TOTAL-PASSED"
    assert one["scope"] == {"kind": "full", "names": ["contract.txt"]}
    # A court is told that nobody looked at the contract.
    assert "hash-given" in {told["code"] for told in one["info"]}
    seen = judge(desk, signed, documents.Document("contract.txt", original))
    assert "hash-given" not in {told["code"] for told in seen["info"]}
    assert all(stamp["intact"] for stamp in one["time_stamps"])

    wrong = judge(desk, signed, digest(CONTENT + b"!", used))
    assert (wrong["indication"], wrong["sub_indication"]) == ("TOTAL-FAILED", "HASH_FAILURE")


@pytest.mark.clause("EN 319 102-1", "5.2.7")
@pytest.mark.parametrize(
    "format", [documents.SignatureFormat.CADES, documents.SignatureFormat.XADES]
)
def test_hash_by_another_algorithm_is_no_document(desk, original, format):
    signed = desk.sign([original], format, B_LT, packaging=parameters.Packaging.DETACHED)
    others = [
        one
        for one in algorithms.HashAlgorithm
        if not judge(desk, signed, digest(CONTENT, one))["intact"]
    ]
    assert len(others) == 2
    one = judge(desk, signed, digest(CONTENT, others[0]))
    assert (one["indication"], one["sub_indication"]) == ("INDETERMINATE", "SIGNED_DATA_NOT_FOUND")
    assert one["intact"] is None
    # Of one document, all its hashes may be handed in.
    every = [digest(CONTENT, one) for one in algorithms.HashAlgorithm]
    assert judge(desk, signed, *every)["indication"] == "TOTAL-PASSED"


def test_archive_time_stamp_over_the_document_is_not_judged_by_its_hash(desk, original):
    """EN 319 132-1 5.5.2: it covers the octets of what is referenced, not their digests."""
    signed = desk.sign(
        [original],
        documents.SignatureFormat.ASIC_E,
        B_LTA,
    )
    container = judge(desk, signed)
    assert container["level"] == "XAdES-BASELINE-LTA"
    with zipfile.ZipFile(signed) as archive:
        name = next(one for one in archive.namelist() if "signatures" in one)
        alone = signed.with_suffix(".xml")
        alone.write_bytes(archive.read(name))
    every = [digest(CONTENT, one) for one in algorithms.HashAlgorithm]
    one = judge(desk, alone, *every)
    stamps = {stamp["kind"]: stamp["intact"] for stamp in one["time_stamps"]}
    assert (one["intact"], stamps) == (True, {"signature": True, "archive": None})


def test_one_document_is_handed_in_once(desk, original):
    signed = desk.sign(
        [original],
        documents.SignatureFormat.CADES,
        B_LT,
        packaging=parameters.Packaging.DETACHED,
    )
    with pytest.raises(errors.InputError, match="same name"):
        judge(
            desk,
            signed,
            documents.Document("contract.txt", original),
            digest(CONTENT, SHA256),
        )
