"""Strangers' documents in a worker process with limits on time and memory.

A parser can be driven into work without end by a few crafted bytes, and a library written in C can
be killed by them. Here that costs one worker and one error, for that document alone.
"""

import contextlib
import dataclasses
import datetime
import logging
import multiprocessing
import pathlib
import queue
import resource
import threading
import traceback
from collections.abc import Iterator, Sequence
from multiprocessing import connection as mp_connection
from multiprocessing import process as mp_process
from typing import TypeAlias

from pki import certificates, errors
from signing_service import documents, parameters, trust
from signing_service.creation import formats
from signing_service.creation.pdf import pictures
from signing_service.lists import listed_services
from signing_service.reports import sheet
from signing_service.validation import policy, process, report, worker_answers
from signing_service.validation.certificates import (
    certificate_report,
    certificate_validation,
    foreign_certificates,
)
from signing_service.validation.diagnostics import diagnostic_data

log = logging.getLogger(__name__)

TIME_LIMIT_S = 10.0
"""For one judgement of one document; ordinary ones take a fraction of a second."""
MEMORY_LIMIT_BYTES = 512 * 2**20
"""What a judgement may use beyond the loaded program."""
DRAWING_LIMIT_S = 5.0
"""For the pages of one document, before and after; `page_appearance` stops by itself at three."""
TRANSFER_LIMIT_S = 10.0
"""For a question and its answer to cross, beside the time that judging takes."""
QUEUE_LIMIT_S = 30.0
"""For a worker to be free; then the caller is told to come again, and its thread is too."""
START_LIMIT_S = 60.0
"""For a worker to load its libraries on a busy machine."""

JUDGEMENTS_PER_WORKER = 500
"""Then a fresh one takes its place, whatever the documents of strangers left in its memory."""

MAX_ANSWER_BYTES = 20 * 2**20
"""A report of a document with a hundred signatures has some hundred kilobytes."""


class ValidationTimeoutError(errors.LimitError):
    """The document took longer to judge than any honest one does."""

    code = "validation-timeout"


class ReportTooLongError(errors.LimitError):
    """A report is too long for the form that was asked for."""

    code = "report-too-long"


class WorkersBusyError(errors.UnavailableError):
    """All workers judge other documents, and went on doing so."""

    code = "validation-busy"


class ValidationCrashError(errors.InputError):
    """The document made the worker fail, by its memory limit or otherwise."""

    code = "validation-failed"


@dataclasses.dataclass(frozen=True)
class _Job:
    """One judgement, in values that can cross to another process."""

    document: documents.Document
    detached: tuple[documents.Detached, ...]
    anchors_der: tuple[bytes, ...]
    services: tuple[listed_services.ListedService, ...]
    rules: policy.ValidationPolicy
    at: datetime.datetime
    fetched: process.FetchedEvidence | None
    diagnose: diagnostic_data.Extent
    present: datetime.datetime | None


@dataclasses.dataclass(frozen=True)
class _Check:
    """The question whether a document can be signed as somebody wants it."""

    document: documents.Document
    chosen: parameters.SignatureParameters


@dataclasses.dataclass(frozen=True)
class _CertificateJob:
    """One certificate to judge."""

    certificate: bytes
    intermediates: tuple[bytes, ...]
    anchors_der: tuple[bytes, ...]
    services: tuple[listed_services.ListedService, ...]
    rules: policy.ValidationPolicy
    at: datetime.datetime
    fetched: process.FetchedEvidence | None


@dataclasses.dataclass(frozen=True)
class _Drawing:
    """The wish to have a picture decoded."""

    picture: pathlib.Path


@dataclasses.dataclass(frozen=True)
class _Printing:
    """The wish to have a report set as PDF: its length is a stranger's."""

    sheet: sheet.Sheet


@dataclasses.dataclass(frozen=True)
class _Pages:
    """The wish to have the pages of a PDF drawn and compared."""

    path: pathlib.Path
    revisions: tuple[report.SignedRevision, ...]


_Question: TypeAlias = _Job | _Check | _CertificateJob | _Drawing | _Pages | _Printing


class _Worker:
    """A spawned process that judges one document at a time."""

    def __init__(self, memory_limit_bytes: int) -> None:
        # Spawned, not forked: a fork would copy PKCS#11 sessions and locks (STYLE 6.18).
        context = multiprocessing.get_context("spawn")
        self._connection, remote = context.Pipe()
        self._process: mp_process.BaseProcess = context.Process(
            target=_serve, args=(remote, memory_limit_bytes), daemon=True
        )
        self._process.start()
        remote.close()
        self._ready = False
        self.judgements = 0

    def answer(self, job: _Question, time_limit_s: float) -> worker_answers.Answer:
        """Put one question; after an error other than a refusal this worker is dead."""
        self.judgements += 1
        try:
            if not self._ready and not self._connection.poll(START_LIMIT_S):
                raise ValidationCrashError("the validation worker did not start")
            if not self._ready:
                self._connection.recv_bytes(MAX_ANSWER_BYTES)
                self._ready = True
            return worker_answers.decode(self._exchange(job, time_limit_s))
        except (EOFError, OSError, ValueError, worker_answers.AnswerError) as error:
            raise ValidationCrashError(
                "the document made its validation worker fail, as a damaged or hostile one may"
            ) from error

    def _exchange(self, job: _Question, time_limit_s: float) -> bytes:
        # One that was taken over may take no question, or begin an answer and never end it.
        watch = threading.Timer(time_limit_s + TRANSFER_LIMIT_S, self._process.kill)
        watch.daemon = True
        watch.start()
        try:
            self._connection.send(job)
            if not self._connection.poll(time_limit_s):
                raise ValidationTimeoutError(
                    f"the document could not be judged within {time_limit_s:g} seconds"
                )
            return self._connection.recv_bytes(MAX_ANSWER_BYTES)
        finally:
            watch.cancel()

    def stop(self) -> None:
        """End the process, whatever it does."""
        self._process.kill()
        self._process.join()
        self._process.close()
        self._connection.close()


class ValidationWorkers:
    """A few warm workers; safe to use from several threads. Close it at the end."""

    def __init__(
        self,
        count: int = 2,
        *,
        time_limit_s: float = TIME_LIMIT_S,
        memory_limit_bytes: int = MEMORY_LIMIT_BYTES,
        judgements_per_worker: int = JUDGEMENTS_PER_WORKER,
        queue_limit_s: float = QUEUE_LIMIT_S,
    ) -> None:
        """Start no process yet: each place gets its worker when it is first needed."""
        self._judgements_per_worker = judgements_per_worker
        self._queue_limit_s = queue_limit_s
        self._time_limit_s = time_limit_s
        self._memory_limit_bytes = memory_limit_bytes
        self._places: queue.LifoQueue[_Worker | None] = queue.LifoQueue()
        self._closed = threading.Event()
        # What draws is the likeliest to be taken over: it never judges, and answers nobody else.
        self._drawing: queue.LifoQueue[_Worker | None] = queue.LifoQueue()
        self._drawing.put(None)
        self._count = count
        for _ in range(count):
            self._places.put(None)

    def validate(
        self,
        document: documents.Document,
        *,
        trust: trust.TrustAnchors,
        at: datetime.datetime,
        fetch: process.Fetch | None,
        detached: Sequence[documents.Detached] = (),
        rules: policy.ValidationPolicy = policy.DEFAULT,
        diagnose: diagnostic_data.Extent = diagnostic_data.Extent.NONE,
        present: datetime.datetime | None = None,
    ) -> report.ValidationReport:
        """Validate as `process.validate` does, in a worker; the fetching is done in this process.

        The pages of a PDF that was changed are drawn and compared too, which changes no verdict.

        Raises:
            InputError: The document cannot be parsed or is over a limit; its `code` says which.
        """
        job = _Job(
            document,
            tuple(detached),
            tuple(certificates.to_der(one) for one in trust.certificates),
            trust.services,
            rules,
            at,
            None,
            diagnose,
            present,
        )
        outcome = self._judge(job)
        if fetch is not None and outcome.missing:
            outcome = self._judge(dataclasses.replace(job, fetched=fetch(outcome.missing)))
        if not outcome.signed_revisions:
            return outcome.report
        return self._with_pages(document, outcome)

    def validate_certificate(
        self,
        certificate: bytes,
        *,
        trust: trust.TrustAnchors,
        at: datetime.datetime,
        fetch: process.Fetch | None,
        intermediates: Sequence[bytes] = (),
        rules: policy.ValidationPolicy = policy.DEFAULT,
    ) -> certificate_report.CertificateReport:
        """Judge a certificate as `certificate_validation.judge` does; fetches as `validate` does.

        Raises:
            InputError: It cannot be read or is over a limit; its `code` says which.
        """
        job = _CertificateJob(
            certificate,
            tuple(intermediates),
            tuple(certificates.to_der(one) for one in trust.certificates),
            trust.services,
            rules,
            at,
            None,
        )
        outcome = self._judge_certificate(job)
        if fetch is None or not outcome.missing:
            return outcome.report
        fetched = fetch(outcome.missing)
        return self._judge_certificate(dataclasses.replace(job, fetched=fetched)).report

    def check_signable(
        self, document: documents.Document, chosen: parameters.SignatureParameters
    ) -> None:
        """Check that a document can be signed, as `pades` and `xades` check it.

        Raises:
            InputError: It cannot, or is over a limit; its `code` says which.
        """
        self._run(_Check(document, chosen))

    def read_picture(self, path: pathlib.Path) -> parameters.Picture:
        """Decode a picture as `pictures.read` does.

        Raises:
            InputError: It cannot be decoded, or is over a limit; its `code` says which.
        """
        answer = self._run(_Drawing(path))
        if not isinstance(answer, parameters.Picture):
            raise ValidationCrashError("the validation worker answered another question")
        # Made anew, which checks it: unpickling did not.
        return dataclasses.replace(answer)

    def print_sheet(self, one: sheet.Sheet) -> bytes:
        """Set a report as PDF as `printed.set_sheet` does.

        Raises:
            ReportTooLongError: That takes longer than any honest document's report does.
            InputError: It is over another limit; its `code` says which.
        """
        try:
            answer = self._run(_Printing(one))
        except ValidationTimeoutError:
            raise ReportTooLongError(
                f"the report could not be set as PDF within {self._time_limit_s:g} seconds: ask"
                " for it as HTML or JSON"
            ) from None
        if not isinstance(answer, worker_answers.Printed):
            raise ValidationCrashError("the validation worker answered another question")
        return answer.pdf

    def warm_up(self) -> None:
        """Start the first worker now, so that the first document need not wait for it."""
        worker = self._places.get()
        self._places.put(worker or _Worker(self._memory_limit_bytes))

    def close(self) -> None:
        """End all workers; waits for judgements that are under way."""
        self._closed.set()
        for places in (*[self._places] * self._count, self._drawing):
            worker = places.get()
            if worker is not None:
                worker.stop()

    def _judge(self, job: _Job) -> process.Outcome:
        answer = self._run(job)
        if not isinstance(answer, process.Outcome):
            raise ValidationCrashError("the validation worker answered another question")
        return answer

    def _with_pages(
        self, document: documents.Document, outcome: process.Outcome
    ) -> report.ValidationReport:
        """The report with what drawing the pages found, or that they could not be drawn."""
        drawn: dict[str, report.PageAppearance] = {}
        try:
            answer = self._run(_Pages(document.path, outcome.signed_revisions), DRAWING_LIMIT_S)
            if isinstance(answer, report.PageAppearances):
                drawn = dict(answer.found)
        except (errors.InputError, WorkersBusyError) as error:
            log.info("pages_not_drawn code=%s", error.code)
        wanted = {one.identifier for one in outcome.signed_revisions}
        return dataclasses.replace(
            outcome.report,
            signatures=tuple(
                _with_appearance(one, drawn.get(one.identifier))
                if one.identifier in wanted
                else one
                for one in outcome.report.signatures
            ),
        )

    def _judge_certificate(self, job: _CertificateJob) -> certificate_validation.CertificateOutcome:
        answer = self._run(job)
        if not isinstance(answer, certificate_validation.CertificateOutcome):
            raise ValidationCrashError("the validation worker answered another question")
        return answer

    def _run(self, job: _Question, time_limit_s: float | None = None) -> worker_answers.Answer:
        draws = isinstance(job, _Pages | _Drawing)
        with self._worker(self._drawing if draws else self._places) as worker:
            limit = self._time_limit_s if time_limit_s is None else time_limit_s
            answer = worker.answer(job, limit)
        if isinstance(answer, worker_answers.Refusal):
            if answer.where is not None:
                log.warning("document_worker_failed code=%s where=%s", answer.code, answer.where)
            raise _refused(answer)
        return answer

    @contextlib.contextmanager
    def _worker(self, places: "queue.LifoQueue[_Worker | None]") -> Iterator[_Worker]:
        """Lend a worker; one that failed or served long enough is ended."""
        if self._closed.is_set():
            raise errors.StateError("the validation workers were closed")
        try:
            worker = places.get(timeout=self._queue_limit_s)
        except queue.Empty:
            raise WorkersBusyError(
                "all validation workers are busy with other documents: try again later"
            ) from None
        try:
            worker = worker or _Worker(self._memory_limit_bytes)
            yield worker
            if worker.judgements >= self._judgements_per_worker:
                served, worker = worker, None
                served.stop()
                worker = _Worker(self._memory_limit_bytes)
        except BaseException:
            if worker is not None:
                worker.stop()
            worker = None
            raise
        finally:
            places.put(worker)


def _with_appearance(
    one: report.SignatureReport, appearance: report.PageAppearance | None
) -> report.SignatureReport:
    found: tuple[report.Finding, ...] = (
        report.Finding("page-appearance-unknown", "the pages could not be drawn for comparison"),
    )
    if appearance is not None:
        found = appearance.findings()
    return dataclasses.replace(one, info=(*one.info, *found), page_appearance=appearance)


def _refused(refusal: worker_answers.Refusal) -> errors.InputError:
    """An input error with the code that the worker's error had."""
    kind = type("DocumentRefused", (errors.InputError,), {"code": refusal.code})
    return kind(refusal.message)  # type: ignore[no-any-return]


def _serve(connection: mp_connection.Connection, memory_limit_bytes: int) -> None:
    """Judge what comes until the other side goes away; runs in the spawned process."""
    # Loaded before the limit is set, which then leaves the same room for every document.
    from PIL import JpegImagePlugin, PngImagePlugin  # noqa: F401

    from signing_service.validation.asic import document  # noqa: F401

    _limit_memory(memory_limit_bytes)
    connection.send_bytes(b"ready")
    while True:
        try:
            job: _Question = connection.recv()
        except EOFError:
            return
        connection.send_bytes(worker_answers.encode(_answer(job)))


def _answer(job: _Question) -> worker_answers.Answer:
    try:
        if isinstance(job, _Drawing):
            return pictures.read(job.picture)
        if isinstance(job, _Printing):
            # Loaded where it is wanted: most workers print nothing.
            from signing_service.reports import printed

            return worker_answers.Printed(printed.set_sheet(job.sheet))
        if isinstance(job, _Pages):
            # Loaded in workers alone: no other process needs PDFium.
            from signing_service.validation.pdf import page_appearance

            return page_appearance.compare(job.path, job.revisions)
        if isinstance(job, _Check):
            formats.check_document(job.document, job.chosen)
            return worker_answers.Accepted()
        anchors = trust.TrustAnchors(
            tuple(foreign_certificates.read_certificate(der) for der in job.anchors_der),
            job.services,
        )
        if isinstance(job, _CertificateJob):
            return certificate_validation.judge(
                job.certificate,
                intermediates=job.intermediates,
                trust=anchors,
                at=job.at,
                rules=job.rules,
                fetched=job.fetched,
            )
        return process.judge(
            job.document,
            trust=anchors,
            at=job.at,
            detached=job.detached,
            rules=job.rules,
            fetched=job.fetched,
            diagnose=job.diagnose,
            present=job.present,
        )
    except errors.InputError as error:
        return worker_answers.Refusal(error.code, error.message)
    except MemoryError:
        return worker_answers.Refusal(
            ValidationCrashError.code, "the document needs more memory than is allowed"
        )
    except RecursionError:
        return worker_answers.Refusal(
            ValidationCrashError.code, "the document is nested too deeply"
        )
    except Exception as error:  # noqa: BLE001 - this process exists for what nobody foresaw
        # Only its kind is told: its words may quote the document.
        return worker_answers.Refusal(
            ValidationCrashError.code,
            f"the document could not be judged ({type(error).__name__})",
            _place_of(error),
        )


def _place_of(error: Exception) -> str:
    """Name the last places an error came through, without its words."""
    frames = traceback.extract_tb(error.__traceback__)[-3:]
    return " < ".join(f"{one.name}:{one.lineno}" for one in reversed(frames))


def _limit_memory(extra: int) -> None:
    """Limit the address space to what the program takes now and `extra` more."""
    with open("/proc/self/statm", encoding="ascii") as file:
        pages = int(file.read().split()[0])
    limit = pages * resource.getpagesize() + extra
    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
    # A core file would hold a stranger's document.
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
