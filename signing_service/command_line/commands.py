"""`imza verify`: validate documents here, or at a service."""

import dataclasses
import datetime
import json
import pathlib
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, TypeAlias

import click

from pki import durable_files, errors
from pki.terminal_text import printable, printable_json
from signing_service.command_line.command_options import (
    FILE,
    check_place,
    judging,
    read_time,
    warn_of_no_trust,
)

if TYPE_CHECKING:
    from signing_service import documents
    from signing_service.reports import forms, wording

EXIT_PASSED, EXIT_FAILED, EXIT_INDETERMINATE, EXIT_REFUSED = 0, 1, 3, 4
_EXIT_CODES = {
    "TOTAL-PASSED": EXIT_PASSED,
    "INDETERMINATE": EXIT_INDETERMINATE,
    "TOTAL-FAILED": EXIT_FAILED,
    "NO-SIGNATURE": EXIT_FAILED,
}
_WORST_FIRST = (EXIT_FAILED, EXIT_REFUSED, EXIT_INDETERMINATE, EXIT_PASSED)

MAX_ANSWER_BYTES = 20 * 2**20
"""A validation report of a document with a hundred signatures has some hundred kilobytes."""


class ServerRefusedError(errors.InputError):
    """The service refused to validate the document."""

    code = "validation-refused"


@click.command(
    epilog="Example: imza verify signed.pdf --trust world/trust-anchors.pem",
)
@click.argument("files", nargs=-1, required=True, type=FILE)
@click.option("--detached", multiple=True, type=FILE, help="An original that a signature covers.")
@click.option(
    "--digest",
    "digest_texts",
    multiple=True,
    metavar="NAME=ALGORITHM:HEX",
    help="The hash of an original that stays where it is, such as contract.txt=SHA-256:9f86….",
)
@click.option(
    "--list-memory",
    type=click.Path(dir_okay=False, path_type=pathlib.Path),
    help="A file that remembers the newest list of each scheme, so that no older one is believed.",
)
@click.option(
    "--report",
    "kind",
    type=click.Choice(["simple", "detailed", "etsi", "diagnostic"]),
    default="simple",
    help="How much to tell a person; or etsi: the XML of TS 119 102-2; or diagnostic: as JSON, what"
    " was found before it was judged.",
)
@click.option(
    "--values", is_flag=True, help="Etsi and diagnostic: certificates and statuses in full."
)
@click.option(
    "--language", type=click.Choice(["az", "ka", "en"]), default="en", help="Of the report."
)
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=pathlib.Path),
    help="Write the report to this file: a page if it ends in .html, a PDF if in .pdf. Of several"
    " documents: into this folder.",
)
@judging
@click.option("--json", "as_json", is_flag=True, help="One JSON report a line, and nothing else.")
def verify(
    files: tuple[pathlib.Path, ...],
    detached: tuple[pathlib.Path, ...],
    digest_texts: tuple[str, ...],
    trusted: tuple[str, ...],
    list_signers: tuple[pathlib.Path, ...],
    list_memory: pathlib.Path | None,
    at_text: str | None,
    policy: str | None,
    kind: str,
    values: bool,
    language: str,
    output: pathlib.Path | None,
    offline: bool,
    server: str | None,
    credentials: pathlib.Path | None,
    as_json: bool,
) -> int:
    """Validate signed documents: who signed, when, and what it is worth.

    Leaves with 0 when everything passed, 1 when a document failed or has no signature, 3 when a
    verdict is not possible with what is at hand, 4 when a document cannot be read.

    A trusted list is believed only if it is authentic and its next update has not passed. It is
    authentic when it is signed with a certificate given by --list-signer; or with one for signing
    lists whose path ends at a certificate among the --trust PEM files and whose status, asked
    over the network, is good. Otherwise nothing is trusted, and the command leaves with 4. Of a
    list of lists the countries' lists are fetched, and one that is not authentic is left out.
    """
    check_place(
        server, credentials, is_for_here=bool(trusted or list_signers or list_memory or offline)
    )
    at = None if at_text is None else read_time(at_text)
    wish = _wish(kind, language, output, values=values, as_json=as_json)
    shelf = _Shelf(output, files, wish)
    warn_of_no_trust(server, trusted, "signature")
    codes = []
    sources = _Trusted(trusted, list_signers, list_memory)
    beside = _beside(detached, digest_texts)
    with _Judge(server, credentials, sources, beside, at, policy, offline, wish) as judge:
        for number, path in enumerate(files, start=1):
            if not as_json and len(files) > 1:
                click.echo(f"[{number}/{len(files)}] {printable(path.name)}", err=True)
            try:
                overall, content = judge(path)
            except errors.InputError as error:
                if len(files) == 1:
                    raise
                _show_refusal(path, error, as_json or kind == "diagnostic")
                codes.append(EXIT_REFUSED)
                continue
            written = shelf.put(number, path, content)
            if written is None:
                click.echo(content)
            else:
                told = f"{path.name}: {overall}; the report is in {written}"
                click.echo(printable(told), err=True)
            codes.append(_EXIT_CODES[overall])
    return next(code for code in _WORST_FIRST if code in codes)


@dataclasses.dataclass(frozen=True)
class _Wish:
    """The report that the caller wants.

    Attributes:
        form: None is text for the terminal.
    """

    form: "forms.Form | None"
    words: "wording.Wording"
    kind: "forms.Kind"
    values: bool

    @property
    def detailed(self) -> bool:
        return self.kind.value == "detailed"


class _Shelf:
    """Where reports are written: nowhere, to one file, or into a folder, each by its document."""

    def __init__(
        self, output: pathlib.Path | None, files: Sequence[pathlib.Path], wish: _Wish
    ) -> None:
        several = len(files) > 1
        if several and output is None and wish.kind.value == "etsi":
            raise click.UsageError("--report etsi of several documents: expected --output FOLDER")
        if several and output is not None and (output.suffix or output.is_file()):
            raise click.UsageError(
                "--output: expected a folder for the reports of several documents"
            )
        if output is not None and output.is_dir() and not several:
            raise click.UsageError("--output: expected a file for the report of one document")
        self._output, self._several = output, several
        media_type = "text/plain" if wish.form is None else wish.form.value
        self._suffix = {"application/xml": ".xml", "application/json": ".json"}.get(
            media_type, ".txt"
        )
        self._taken: set[str] = set()

    def put(self, number: int, path: pathlib.Path, content: bytes) -> pathlib.Path | None:
        """Write a report and return its file; None where it is to be printed."""
        if self._output is None:
            return None
        target = self._output
        if self._several:
            target.mkdir(parents=True, exist_ok=True)
            name = path.name + self._suffix
            if name in self._taken:
                name = f"{number}-{name}"
            self._taken.add(name)
            target = target / name
        durable_files.replace(target, content)
        return target


def _wish(
    kind: str, language: str, output: pathlib.Path | None, *, values: bool, as_json: bool
) -> _Wish:
    from signing_service.reports import forms, languages

    suffix = "" if output is None else output.suffix.lower()
    form = {".html": forms.Form.HTML, ".pdf": forms.Form.PDF}.get(suffix)
    if kind == "etsi":
        if form is not None or as_json:
            raise click.UsageError("--report etsi is XML: expected no other form besides")
        form = forms.Form.XML
    elif kind == "diagnostic":
        if form is not None:
            raise click.UsageError("--report diagnostic is JSON: expected no other form besides")
        form = forms.Form.JSON
    elif as_json:
        if form is not None:
            raise click.UsageError("--json is for programs: expected another ending of --output")
        form = forms.Form.JSON
    if values and kind not in ("etsi", "diagnostic"):
        raise click.UsageError("--values goes with --report etsi or diagnostic")
    return _Wish(form, languages.WORDINGS[language], forms.Kind(kind), values)


@dataclasses.dataclass(frozen=True)
class _Trusted:
    """What the caller trusts, as it was written."""

    sources: tuple[str, ...]
    list_signers: tuple[pathlib.Path, ...]
    list_memory: pathlib.Path | None


_Judging: TypeAlias = Callable[[pathlib.Path], tuple[str, bytes]]
"""Gives the verdict on a file, and the report as it was wished for."""


class _Judge:
    """Validates one file after the other, here or at a service."""

    def __init__(
        self,
        server: str | None,
        credentials: pathlib.Path | None,
        trusted: _Trusted,
        detached: "Sequence[documents.Detached]",
        at: datetime.datetime | None,
        policy: str | None,
        offline: bool,
        wish: _Wish,
    ) -> None:
        self._server = server
        self._credentials = credentials
        self._trusted = trusted
        self._detached = detached
        self._at = at
        self._policy = policy
        self._offline = offline
        self._wish = wish
        self._close: list[Callable[[], None]] = []

    def __enter__(self) -> _Judging:
        """Open connections or workers; gives the function that validates a file."""
        if self._server is None or self._credentials is None:
            return self._local()
        return self._remote(self._server, self._credentials)

    def __exit__(self, *_: object) -> None:
        """Close them."""
        for close in reversed(self._close):
            close()

    def _local(self) -> _Judging:
        from pki import clock, outbound
        from signing_service.lists import trust_sources
        from signing_service.reports import forms
        from signing_service.validation import evidence, fetching, isolation, policy, process

        rules = policy.DEFAULT
        if self._policy is not None:
            rules = policy.load(pathlib.Path(self._policy))
        client = outbound.Client(max_bytes=64 * 2**20)
        self._close.append(client.close)
        present = clock.SystemClock()
        anchors = trust_sources.TrustSources(
            present,
            None if self._offline else client,
            self._trusted.list_signers,
            self._trusted.list_memory,
        ).load(self._trusted.sources)
        workers = isolation.ValidationWorkers(1)
        self._close.append(workers.close)
        over_network = fetching.fetcher(client, present)

        def fetch(missing: Sequence[evidence.MissingStatus]) -> process.FetchedEvidence:
            click.echo(
                f"Asking the authorities for the status of {len(missing)} certificate(s) …",
                err=True,
            )
            return over_network(missing)

        wish = self._wish

        def judge(path: pathlib.Path) -> tuple[str, bytes]:
            now = present.now()
            report = workers.validate(
                _document(path),
                trust=anchors,
                at=self._at or now,
                present=now,
                fetch=None if self._offline else fetch,
                detached=self._detached,
                rules=rules,
                diagnose=wish.kind.extent(wish.form, values=wish.values),
            )
            if wish.form is None:
                content = _text(report.to_json(detailed=wish.detailed), wish)
            else:
                content = forms.render(
                    report, wish.form, wish.words, wish.kind, print_sheet=workers.print_sheet
                )
            return report.overall.value, content

        return judge

    def _remote(self, server: str, client_file: pathlib.Path) -> _Judging:
        from pki import credentials, multipart, outbound
        from signing_service.web import detached_documents

        known = credentials.read_credentials(client_file, "api_client", server=server)
        client = outbound.Client(
            timeout_s=120.0, max_bytes=MAX_ANSWER_BYTES, trust_pem=known.tls_ca_pem
        )
        self._close.append(client.close)
        tokens = credentials.TokenSource(client, known, scope="validate")
        wish = self._wish
        chosen: dict[str, object] = {"report": wish.kind.value}
        if wish.values:
            chosen["values"] = True
        if self._policy is not None:
            chosen["policy"] = self._policy
        if self._at is not None:
            chosen["at"] = self._at.isoformat().replace("+00:00", "Z")
        files, digests = detached_documents.parts(self._detached)
        if digests:
            chosen["digests"] = digests
        media_type = "application/json" if wish.form is None else wish.form.value

        def judge(path: pathlib.Path) -> tuple[str, bytes]:
            form = multipart.build(
                [
                    multipart.file_part("document", path),
                    *(multipart.file_part("detached", one) for one in files),
                    multipart.Part("parameters", json.dumps(chosen).encode(), "application/json"),
                ]
            )
            try:
                reply = tokens.send(
                    "POST",
                    f"{known.base_url}/api/v1/validations",
                    body=form.body,
                    content_type=form.content_type,
                    accept=media_type,
                    headers={"Accept-Language": wish.words.language},
                )
            except outbound.PeerAnswerError as error:
                if (problem := error.problem()) is not None:
                    raise ServerRefusedError(
                        f"the service refused: {problem.detail} ({problem.code})"
                    ) from error
                raise
            overall = reply.headers.get("imza-overall", "")
            if overall not in _EXIT_CODES or reply.content_type != media_type:
                raise errors.PeerError("expected a validation report, got something else")
            return overall, reply.body if wish.form else _text(_report(reply.json()), wish)

        return judge


def _document(path: pathlib.Path) -> "documents.Document":
    from signing_service import documents

    return documents.Document(path.name, path)


def _beside(
    files: Sequence[pathlib.Path], digests: Sequence[str]
) -> "Sequence[documents.Detached]":
    from signing_service.web import detached_documents

    return (
        *(_document(one) for one in files),
        *(detached_documents.read_digest(one) for one in digests),
    )


def _show_refusal(path: pathlib.Path, error: errors.InputError, as_json: bool) -> None:
    """One line for a document of several that cannot be read."""
    if not as_json:
        click.echo(printable(f"{path.name}: {error.message} [{error.code}]"))
        return
    problem = {
        "document": {"name": path.name},
        "type": "about:blank",
        "title": error.code.replace("-", " "),
        "code": error.code,
        "detail": error.message,
        "exit_code": EXIT_REFUSED,
    }
    click.echo(printable_json(json.dumps(problem, ensure_ascii=False)))


def _report(answer: object) -> dict[str, Any]:
    if not isinstance(answer, dict) or "signatures" not in answer:
        raise errors.PeerError("expected a validation report, got something else")
    return answer


def _text(answer: dict[str, Any], wish: _Wish) -> bytes:
    """A report for a person at a terminal."""
    from signing_service.reports import sheet, text

    return text.set_sheet(sheet.make(answer, wish.words, detailed=wish.detailed)).encode()
