import dataclasses
import datetime
import multiprocessing
import os
import pathlib
import pickle
import signal
import struct
import threading
import time
import zlib

import pytest
from PIL import Image
from pyhanko.pdf_utils import generic

from pki import errors
from signing_service import documents, parameters, trust
from signing_service.reports import languages, sheet
from signing_service.validation import isolation, process, report, worker_answers
from signing_service.validation.diagnostics import diagnostic_data
from tests.support import forged_pdfs, signed_pdfs


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


def test_worker_that_served_long_enough_is_replaced(document, hierarchy, at):
    workers = isolation.ValidationWorkers(1, judgements_per_worker=2)
    served = []
    try:
        for _ in range(5):
            assert validate(workers, document, hierarchy, at).signatures
            worker = workers._places.get()
            served.append(worker._process.pid)
            workers._places.put(worker)
    finally:
        workers.close()
    # The one after the second and the fourth judgement is the next one, already started.
    first, second, third, fourth, fifth = served
    assert first != second == third != fourth == fifth


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


@pytest.mark.parametrize(
    "answer",
    [
        b"",
        b"[]",
        b'{"Popen":["id"]}',
        b'{"ValidationWorkers":[]}',
        b'{"Accepted":[],"Refusal":["a","b",null]}',
        b'{"Indication":"TOTAL_PASSED"}',
        b'{"Indication":"__class__"}',
        b'{"Refusal":["a"]}',
        b'{"Refusal":["a\\nINFO signing_service session.confirmed","b",null]}',
        b'{"Refusal":["a","b","isolation.py:1\\nINFO signing_service session.confirmed"]}',
        b'{"Refusal":[5,"b",null]}',
        b'{"Picture":[1000000000,1,{"bytes":"AAAA"},null]}',
        b"[" * 10**6,
        pickle.dumps(worker_answers.Accepted()),
    ],
)
def test_answer_that_is_none_of_ours_is_not_read(answer):
    with pytest.raises(worker_answers.AnswerError):
        worker_answers.decode(answer)


def test_answer_says_what_was_answered_and_touches_nothing_else(document, hierarchy, at):
    outcome = process.judge(
        document,
        trust=trust.TrustAnchors((hierarchy.root.certificate,)),
        at=at,
        diagnose=diagnostic_data.Extent.VALUES,
    )
    assert worker_answers.decode(worker_answers.encode(outcome)) == outcome
    # What pickle would do for a worker that was taken over: a verdict that says something else.
    hostile = b'{"Indication":{"TOTAL_FAILED":{"_value_":"TOTAL-PASSED"}}}'
    with pytest.raises(worker_answers.AnswerError):
        worker_answers.decode(hostile)
    assert report.Indication.TOTAL_FAILED.value == "TOTAL-FAILED"


@pytest.mark.slow
def test_worker_that_never_ends_its_answer_is_ended(document, hierarchy, at):
    """It was taken over: it says how long the answer is, and sends less."""
    workers = isolation.ValidationWorkers(1)
    try:
        validate(workers, document, hierarchy, at)
        worker = workers._places.get()
        theirs, ours = multiprocessing.Pipe()
        worker._connection, honest = theirs, worker._connection
        os.write(ours.fileno(), struct.pack("!i", 1000) + b"{")
        workers._places.put(worker)
        threading.Thread(
            target=lambda: (worker._process.join(20), ours.close()), daemon=True
        ).start()
        workers._time_limit_s = 0.2
        with pytest.raises(isolation.ValidationCrashError):
            validate(workers, document, hierarchy, at)
        honest.close()
    finally:
        workers.close()


def test_who_finds_all_workers_busy_is_told_to_come_again(document, hierarchy, at):
    workers = isolation.ValidationWorkers(1, queue_limit_s=0.05)
    busy = workers._places.get()
    try:
        with pytest.raises(isolation.WorkersBusyError) as caught:
            validate(workers, document, hierarchy, at)
        assert caught.value.retriable
    finally:
        workers._places.put(busy)
        workers.close()


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


def judged_within(document_bytes, tmp_path, hierarchy, at, *, name="hostile.pdf", **limits):
    """What a worker with the usual limits says of a hostile document, and of the next one."""
    path = tmp_path / name
    path.write_bytes(document_bytes)
    workers = isolation.ValidationWorkers(1, **limits)
    try:
        return validate(workers, documents.Document(name, path), hierarchy, at)
    finally:
        workers.close()


def test_stream_that_grows_without_measure_costs_its_worker_alone(tmp_path, hierarchy, at):
    """A DSS whose certificate is half a gigabyte of zeros, compressed twice to some kilobytes."""
    squeeze = zlib.compressobj(9)
    once = b"".join(squeeze.compress(bytes(2**20)) for _ in range(512)) + squeeze.flush()
    twice = zlib.compress(once, 9)

    def add(writer) -> None:
        stream = generic.StreamObject(
            {
                generic.pdf_name("/Filter"): generic.ArrayObject(
                    [generic.pdf_name("/FlateDecode")] * 2
                )
            },
            encoded_data=twice,
        )
        writer.root["/DSS"] = generic.DictionaryObject(
            {generic.pdf_name("/Certs"): generic.ArrayObject([writer.add_object(stream)])}
        )
        writer.update_root()

    maker = signed_pdfs.PdfMaker(hierarchy, hierarchy.signer(), at)
    bomb = forged_pdfs.update(maker.sign(signed_pdfs.make_pdf()), add)
    assert len(bomb) < 10**6
    with pytest.raises(errors.InputError):
        judged_within(bomb, tmp_path, hierarchy, at, memory_limit_bytes=128 * 2**20)


@pytest.mark.parametrize(
    "hostile",
    [
        b"%PDF-1.7\n" + b"[" * 200_000 + b"\nstartxref\n9\n%%EOF",
        b"%PDF-1.7\nxref\n0 1\n0000000000 65535 f \ntrailer\n<</Root 1 0 R/Prev 9>>\n"
        b"startxref\n9\n%%EOF",
        b"<a>" * 100_000,
        b"<a " + b"x" * 10**6 + b"='1'/>",
    ],
    ids=["nested arrays", "revision before itself", "nested elements", "endless name"],
)
def test_document_without_an_end_is_an_input_error_in_time(tmp_path, hierarchy, at, hostile):
    began = time.monotonic()
    with pytest.raises(errors.InputError):
        judged_within(hostile, tmp_path, hierarchy, at)
    assert time.monotonic() - began < isolation.TIME_LIMIT_S + isolation.START_LIMIT_S


def test_document_to_be_signed_is_checked_in_a_worker_too(tmp_path) -> None:
    good, bad = tmp_path / "good.pdf", tmp_path / "bad.pdf"
    good.write_bytes(signed_pdfs.make_pdf())
    bad.write_bytes(b"no PDF at all")
    chosen = parameters.SignatureParameters(
        documents.SignatureFormat.PADES, documents.SignatureLevel.B_B
    )
    workers = isolation.ValidationWorkers(1)
    workers.warm_up()
    try:
        workers.check_signable(documents.Document("good.pdf", good), chosen)
        with pytest.raises(errors.InputError) as caught:
            workers.check_signable(documents.Document("bad.pdf", bad), chosen)
    finally:
        workers.close()
    assert caught.value.code == "document-not-pdf"


def test_picture_is_decoded_in_a_worker_too(tmp_path) -> None:
    path = tmp_path / "logo.png"
    Image.new("RGB", (3, 2), (1, 2, 3)).save(path)
    workers = isolation.ValidationWorkers(1)
    try:
        assert workers.read_picture(path) == parameters.Picture(3, 2, bytes([1, 2, 3]) * 6)
        # Whoever takes over what decodes pictures judges no document of others.
        assert workers._places.queue == [None]
        path.write_bytes(path.read_bytes()[:40])
        with pytest.raises(errors.InputError) as caught:
            workers.read_picture(path)
        assert caught.value.code == "appearance-image"
    finally:
        workers.close()


def test_picture_of_a_worker_that_was_taken_over_is_checked_again():
    class Lying(isolation.ValidationWorkers):
        def _run(self, job):
            forged = parameters.Picture(1, 1, bytes(3))
            object.__setattr__(forged, "width", 10**9)
            return pickle.loads(pickle.dumps(forged))  # noqa: S301 - as its pipe carries it

    with pytest.raises(errors.InputError):
        Lying(1).read_picture(pathlib.Path("logo.png"))


def long_report(document, hierarchy, at, *, name: str, signatures: int) -> sheet.Sheet:
    """A report of many signatures by somebody whose name has no end."""
    anchors = trust.TrustAnchors((hierarchy.root.certificate,))
    shown = process.judge(document, trust=anchors, at=at).report
    named = dataclasses.replace(shown.signatures[0], signed_by=name)
    long = dataclasses.replace(shown, signatures=(named,) * signatures)
    return sheet.make(long.to_json(), languages.DEFAULT, detailed=False)


def test_report_is_set_as_pdf_in_a_worker_too(document, hierarchy, at):
    """Whoever names himself in a million letters would otherwise keep the service at it."""
    made = long_report(document, hierarchy, at, name="Ə" * 10**6, signatures=1)
    assert max(len(line.text) for line in made.sections[0].lines) < 1100
    workers = isolation.ValidationWorkers(1)
    try:
        assert workers.print_sheet(made).startswith(b"%PDF-")
        workers._time_limit_s = 0.0
        with pytest.raises(isolation.ReportTooLongError):
            workers.print_sheet(made)
    finally:
        workers.close()
