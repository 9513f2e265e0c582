import datetime
import os
import signal
import threading

import pytest

from pki import errors
from signing_service import documents, trust
from signing_service.validation import isolation, report
from tests.support import signed_pdfs


@pytest.fixture
def document(tmp_path, hierarchy, at) -> documents.Document:
    path = tmp_path / "contract.pdf"
    maker = signed_pdfs.PdfMaker(hierarchy, hierarchy.signer(), at)
    path.write_bytes(maker.add_evidence(maker.sign(signed_pdfs.make_pdf(), stamped=True)))
    return documents.Document("contract.pdf", path)


def validate(workers, document, hierarchy, at: datetime.datetime) -> report.ValidationReport:
    anchors = trust.TrustAnchors((hierarchy.root.certificate,))
    return workers.validate(document, trust=anchors, at=at, fetch=None)


def test_worker_gives_the_same_report_and_is_used_again(document, hierarchy, at):
    workers = isolation.ValidationWorkers(1)
    try:
        first = validate(workers, document, hierarchy, at)
        assert first.overall is report.Indication.TOTAL_PASSED
        assert validate(workers, document, hierarchy, at) == first
    finally:
        workers.close()


def test_document_over_its_time_is_refused_and_the_next_one_is_judged(document, hierarchy, at):
    workers = isolation.ValidationWorkers(1, time_limit_s=0.0)
    try:
        with pytest.raises(isolation.ValidationTimeoutError):
            validate(workers, document, hierarchy, at)
        workers._time_limit_s = 10.0
        assert validate(workers, document, hierarchy, at).signatures
    finally:
        workers.close()


def test_document_over_its_memory_is_refused(tmp_path, hierarchy, at):
    path = tmp_path / "large.xml"
    path.write_bytes(b"<a>" + b"<b/>" * 3_000_000 + b"</a>")
    workers = isolation.ValidationWorkers(1, memory_limit_bytes=64 * 2**20)
    try:
        with pytest.raises(errors.InputError):
            validate(workers, documents.Document("large.xml", path), hierarchy, at)
    finally:
        workers.close()


def test_worker_that_is_killed_gives_an_error_and_a_new_one_follows(document, hierarchy, at):
    workers = isolation.ValidationWorkers(1)
    try:
        validate(workers, document, hierarchy, at)
        worker = workers._places.get()
        os.kill(worker._process.pid, signal.SIGKILL)
        workers._places.put(worker)
        with pytest.raises(isolation.ValidationCrashError):
            validate(workers, document, hierarchy, at)
        assert validate(workers, document, hierarchy, at).signatures
    finally:
        workers.close()


def test_answer_that_names_other_classes_is_not_loaded():
    import io
    import pickle

    for hostile in (os.system, threading.Thread, pickle.Unpickler, isolation.ValidationWorkers):
        with pytest.raises(pickle.UnpicklingError):
            isolation._Answers(io.BytesIO(pickle.dumps(hostile))).load()


def test_refusal_of_a_worker_keeps_its_code(tmp_path, hierarchy, at):
    path = tmp_path / "bad.pdf"
    path.write_bytes(b"%PDF-1.7 nothing")
    workers = isolation.ValidationWorkers(1)
    try:
        with pytest.raises(errors.InputError) as caught:
            validate(workers, documents.Document("bad.pdf", path), hierarchy, at)
        assert caught.value.code == "pdf-unreadable"
    finally:
        workers.close()
