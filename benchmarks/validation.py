"""Validating documents of each format, beside what others take.

PDFs stand beside pyHanko, XML beside a parse and one canonicalisation, containers beside DigiDoc's
own library. Ours is the whole judgement in one process, from the file to the report. That documents
of strangers cross to a worker process and back is a decision; what it costs its own row says.
"""

import asyncio
import contextlib
import datetime
import logging
import pathlib
import tempfile
from collections.abc import Callable, Iterator

import pydigidoc
from pyhanko.pdf_utils import reader
from pyhanko.sign.validation import ades, policy_decl
from pyhanko_certvalidator import context, registry
from pyhanko_certvalidator import policy_decl as certificate_policy

from benchmarks import detached, pades, row
from pki import certificates, clock
from signing_service import documents, trust
from signing_service.creation import asic, xades
from signing_service.validation import isolation, process
from tests.support import hierarchy

PADES_TARGET, XADES_TARGET, ASIC_TARGET = 0.6, 2.0, 1.0
WORKER_TARGET = 2.0


def rows() -> Iterator[row.Row]:
    """Measure and yield rows for PDF, XML and containers."""
    logging.getLogger("pyhanko").setLevel(logging.ERROR)
    with tempfile.TemporaryDirectory(prefix="imza-bench-") as name:
        folder = pathlib.Path(name)
        yield from _pdf_rows(folder)
        at = clock.whole_seconds(clock.SystemClock().now())
        authorities = hierarchy.make_hierarchy(at)
        holder, anchors = authorities.signer(), trust.TrustAnchors((authorities.root.certificate,))
        form, data = folder / "form.xml", folder / "data.bin"
        form.write_bytes(detached.form_xml())
        data.write_bytes(bytes(range(256)) * (detached.MEGABYTE // 256))
        detached.sign(xades, documents.SignatureFormat.XADES, form, holder, at)
        yield row.compare(
            "validating XAdES B-B, enveloped, 1 MB",
            "a parse and one canonicalisation",
            lambda: judge(folder / "form.signed", anchors, at),
            lambda: detached.parse_and_canonicalise(folder / "form.signed"),
            XADES_TARGET,
        )
        detached.sign(asic, documents.SignatureFormat.ASIC_E, data, holder, at)
        detached.digidoc_signer(folder, holder, data)()
        yield row.compare(
            "validating ASiC-E B-B, 1 MB",
            "libdigidocpp",
            lambda: judge(folder / "data.signed", anchors, at),
            _digidoc_judge(folder / "theirs.asice"),
            ASIC_TARGET,
        )


def _pdf_rows(folder: pathlib.Path) -> Iterator[row.Row]:
    bench = pades.Bench(folder)
    anchors = trust.TrustAnchors((bench.authorities.root.certificate,))
    for level in (documents.SignatureLevel.B_T, documents.SignatureLevel.B_LTA):
        signed = bench.ours(level).rename(folder / f"{level.label}.pdf")
        theirs = _pyhanko_judge(signed, bench.authorities)
        yield row.compare(
            f"validating PAdES {level.label}, 100 KB",
            "pyHanko",
            lambda signed=signed: judge(signed, anchors, bench.at),  # type: ignore[misc]
            theirs,
            PADES_TARGET,
        )
    with contextlib.closing(isolation.ValidationWorkers(1)) as workers:
        signed = folder / "B-LTA.pdf"
        yield row.compare(
            "the same in a worker process",
            "in this process",
            lambda: workers.validate(
                documents.Document(signed.name, signed), trust=anchors, at=bench.at, fetch=None
            ),
            lambda: judge(signed, anchors, bench.at),
            WORKER_TARGET,
        )


def judge(path: pathlib.Path, anchors: trust.TrustAnchors, at: datetime.datetime) -> None:
    """The whole judgement of a document, offline."""
    outcome = process.judge(documents.Document(path.name, path), trust=anchors, at=at)
    if not all(one.intact for one in outcome.report.signatures):
        raise AssertionError("expected signatures that are intact")


def _pyhanko_judge(path: pathlib.Path, authorities: hierarchy.Hierarchy) -> Callable[[], None]:
    """Validate with pyHanko, as AdES, with the same anchor, offline."""
    root = certificates.to_asn1(authorities.root.certificate)
    spec = policy_decl.PdfSignatureValidationSpec(
        policy_decl.SignatureValidationSpec(
            cert_validation_policy=context.CertValidationPolicySpec(
                trust_manager=registry.SimpleTrustManager.build(trust_roots=[root]),
                revinfo_policy=certificate_policy.CertRevTrustPolicy(
                    certificate_policy.REQUIRE_REVINFO
                ),
            ),
            revinfo_gathering_policy=policy_decl.RevocationInfoGatheringSpec(
                online_fetching_rule=policy_decl.RevinfoOnlineFetchingRule.LOCAL_ONLY
            ),
        )
    )

    def run() -> None:
        with path.open("rb") as file:
            for one in reader.PdfFileReader(file).embedded_regular_signatures:
                asyncio.run(ades.ades_lta_validation(one, pdf_validation_spec=spec))

    return run


def _digidoc_judge(path: pathlib.Path) -> Callable[[], None]:
    def run() -> None:
        container = pydigidoc.Container.open(str(path))
        for one in container.signatures():
            # It has no list with our authority and says so, after all of its checks.
            with contextlib.suppress(RuntimeError):
                one.validate()

    return run
