"""Mutated signed documents of every format: each is judged or refused, and none passes."""

import pathlib

import pytest

from pki import errors
from signing_service import documents, trust
from signing_service.validation import process, report
from tests.support import (
    document_fuzzing,
    forged_xml,
    fuzzing,
    packed_containers,
    signed_cms,
    signed_pdfs,
)
from tests.support.forged_xml import Wanted

pytestmark = pytest.mark.slow

CONTENT = b"TEST contract"
CORPUS = pathlib.Path(__file__).resolve().parents[3] / "shared" / "corpus" / "files"


@pytest.fixture
def samples(hierarchy, at) -> dict[str, list[bytes]]:
    signer, unit = hierarchy.signer(), hierarchy.time_stamping_unit()
    made = signed_cms.sign(CONTENT, signer, at)
    token = signed_cms.stamp(unit, made.signers[0].value, at)
    made.signers[0].unsigned.append(signed_cms.attribute(signed_cms.SIGNATURE_TIME_STAMP, token))
    made.crls = [hierarchy.crl(hierarchy.root)]
    made.add_archive_time_stamp(unit, at)
    container = packed_containers.with_cades(signer, at)
    archive = packed_containers.manifest("META-INF/timestamp001.tst", container)
    container |= {
        "META-INF/ASiCArchiveManifest.xml": archive,
        "META-INF/timestamp001.tst": signed_cms.stamp(unit, archive, at),
    }
    files = packed_containers.FILES
    maker = signed_pdfs.PdfMaker(hierarchy, signer, at)
    return {
        "cms": [
            made.encode(),
            signed_cms.indefinite(signed_cms.sign(CONTENT, signer, at).encode()),
        ],
        "asic": [
            packed_containers.pack(container),
            packed_containers.pack(
                {**files, "META-INF/signatures0.xml": packed_containers.xades(signer, files)}
            ),
        ],
        "xml": [forged_xml.sign("<f>TEST</f>", signer, Wanted(""))],
        "pdf": [maker.add_evidence(maker.sign(signed_pdfs.make_pdf(), stamped=True))],
    }


def in_container(data: bytes) -> bytes:
    """A mutated signature file in a container that is whole."""
    name = "META-INF/signature.p7s" if data[:1] == b"0" else "META-INF/signatures.xml"
    files = {"contract.txt": CONTENT, name: data}
    return packed_containers.pack(files, mimetype=packed_containers.ASIC_S)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(
    ("kind", "count", "wrapped"),
    [("cms", 1500, True), ("asic", 1500, False), ("xml", 1500, True), ("pdf", 150, False)],
)
def test_mutated_document_is_judged_or_refused_in_bounded_time_and_memory(
    samples, tmp_path: pathlib.Path, hierarchy, at, kind, count, wrapped
):
    path = tmp_path / "judged"

    def target(data: bytes) -> str:
        path.write_bytes(data)
        try:
            judged = process.validate(
                documents.Document("judged", path),
                # Nothing is trusted, so that whatever passes is a fault.
                trust=trust.TrustAnchors(),
                at=at,
                fetch=None,
            )
        except errors.InputError as error:
            return error.code
        assert judged.overall is not report.Indication.TOTAL_PASSED
        return judged.overall.value

    found = fuzzing.run(target, samples[kind], count, wrap=in_container if wrapped else None)
    assert found.inputs == count
    assert len(found.outcomes) > 2, str(found)
    assert found.slowest_s < 5 * fuzzing.SLOWEST_S, str(found)
    assert found.growth_kib < fuzzing.MAX_GROWTH_KIB, str(found)


def test_mutated_strangers_documents_stay_within_the_workers_limits(
    tmp_path: pathlib.Path, at
) -> None:
    """A short run of `python -m tests.support.document_fuzzing`."""
    if not CORPUS.is_dir():
        pytest.skip("the corpus of signed documents is not at ../shared/corpus")
    found = document_fuzzing.run(
        document_fuzzing.read_samples(CORPUS),
        minutes=0.4,
        seed=fuzzing.SEED,
        threads=2,
        keep=tmp_path / "faults",
        progress=lambda line: None,
        at=at,
    )
    assert found.faults == []
    assert found.documents > 100, str(found)
    assert len(found.outcomes) > 4, str(found)
