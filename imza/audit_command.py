"""`imza ca audit export|verify`: the audit log as a file, and its proof from that file alone."""

import contextlib
import json
import pathlib
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import click

from pki import operator_options

if TYPE_CHECKING:
    from ca.audit_log import anchors

EXIT_INDETERMINATE = 3

_FILE = click.Path(path_type=pathlib.Path, exists=True, dir_okay=False)
_CA = operator_options.calls_ca(required=False)
_JSON = click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")


@click.command(epilog="Example: imza ca audit export audit.jsonl --credentials w/sandbox.json")
@click.argument("target", type=click.Path(path_type=pathlib.Path, dir_okay=False))
@_CA
@click.option("--config", type=_FILE, help="Read the database of this settings file instead.")
@_JSON
def export(
    target: pathlib.Path,
    ca: operator_options.CallingOperator | None,
    config: pathlib.Path | None,
    as_json: bool,
) -> int:
    """Write every entry of the audit log, its anchors and its head to a file, as JSON lines.

    The log's head is time-stamped first where that can be done, and the export ends there.
    """
    from ca.audit_log import export as exports
    from pki import clock

    if (ca is None) == (config is None):
        raise click.UsageError("expected either --operator or --config")
    at = clock.SystemClock().now()
    with contextlib.ExitStack() as opened:
        if config is not None:
            entries, known = _read_database(opened, config)
        elif ca is not None:
            entries, known = _ask(opened, ca)
        count = exports.write(target, entries, known, at)
    _print(
        {"file": str(target), "entries": count, "anchors": len(known)},
        f"{target}: {count} entries, {len(known)} anchors",
        as_json,
    )
    return 0


@click.command(
    epilog="Example: imza ca audit verify --export audit.jsonl --anchors /mnt/worm --root root.pem"
)
@click.option(
    "--export", "path", type=_FILE, help="Verify this file, without any database or server."
)
@click.option(
    "--anchors",
    "folder",
    type=click.Path(path_type=pathlib.Path, exists=True, file_okay=False),
    help="Anchors kept elsewhere: they show where an export was cut off.",
)
@click.option("--root", "root_path", type=_FILE, help="The root above the time-stamping units.")
@_CA
@_JSON
def verify(
    path: pathlib.Path | None,
    folder: pathlib.Path | None,
    root_path: pathlib.Path | None,
    ca: operator_options.CallingOperator | None,
    as_json: bool,
) -> int:
    """Recompute the audit log's chain of hashes: of an export, or at the CA (--operator).

    Exit code 3 where an export is unbroken but its last entries have no time stamp: whether more
    followed them cannot be told.
    """
    if path is not None and ca is None:
        return _verify_export(path, folder, root_path, as_json)
    if path is not None or ca is None:
        raise click.UsageError("expected either --export or --operator")
    with ca.open() as client:
        told = dict(client.verify_audit())
    _print(told, f"{told['entries']} entries, unbroken; head {told['head']}", as_json)
    return 0


def _verify_export(
    path: pathlib.Path, folder: pathlib.Path | None, root_path: pathlib.Path | None, as_json: bool
) -> int:
    from ca.audit_log import anchors, proof
    from imza import audit_tokens

    kept = () if folder is None else anchors.load(folder)
    root = None if root_path is None else _read_root(root_path)
    with path.open("rb") as file:
        lines = iter(lambda: file.readline(proof.MAX_LINE_BYTES + 1), b"")
        found = proof.examine(lines, kept, audit_tokens.checker(root))
    warnings = []
    if found.anchored < found.entries:
        after = f"after entry {found.anchored}" if found.anchored else "at all"
        warnings.append(f"no time stamp {after}: later entries could have been cut off")
    if root is None and found.anchored:
        warnings.append("no --root: who made the time stamps was not judged")
    anchored_at = None if found.anchored_at is None else found.anchored_at.isoformat()
    result: dict[str, Any] = {
        "entries": found.entries,
        "head": found.head,
        "first_at": found.first_at.isoformat(),
        "last_at": found.last_at.isoformat(),
        "anchored": found.anchored,
        "anchored_at": anchored_at,
        "warnings": warnings,
    }
    text = [f"{found.entries} entries, unbroken; head {found.head}"]
    if found.anchored:
        text.append(f"time-stamped up to entry {found.anchored} at {anchored_at}")
    _print(result, "\n".join([*text, *(f"warning: {one}" for one in warnings)]), as_json)
    return 0 if found.anchored == found.entries else EXIT_INDETERMINATE


def _read_root(path: pathlib.Path) -> Any:
    from cryptography import x509

    try:
        return x509.load_pem_x509_certificate(path.read_bytes())
    except ValueError as error:
        raise click.UsageError(f"{path}: expected a certificate in PEM") from error


def _read_database(
    opened: contextlib.ExitStack, path: pathlib.Path
) -> "tuple[Iterator[dict[str, object]], tuple[anchors.Anchor, ...]]":
    from ca.audit_log import anchors, api
    from ca.audit_log import export as exports
    from imza import audit_tokens, schema
    from imza import config as configs
    from pki import audit, clock, database, errors, outbound

    config = configs.read(path)
    engine = database.connect(configs.require(config.database, "database").url)
    opened.callback(engine.dispose)
    schema.check(engine)
    sessions = database.session_factory(engine)

    def entries() -> Iterator[dict[str, object]]:
        after = 0
        while True:
            with sessions() as session:
                page = audit.entries(session, after=after, limit=1000)
            if not page:
                return
            yield from (exports.entry_json(one) for one in page)
            after = page[-1].number

    settings = config.audit
    if settings is None:
        return entries(), ()
    client = opened.enter_context(contextlib.closing(outbound.Client(timeout_s=10.0)))
    anchoring = anchors.Anchoring(settings.folder, audit_tokens.stamper(client, settings.tsa_url))
    try:
        anchors.write_next(anchoring, api.head_reader(sessions), clock.SystemClock().now())
    except errors.PeerError as error:
        click.echo(f"not time-stamped anew: {error.message}", err=True)
        return entries(), anchors.load(settings.folder)
    known = anchors.load(settings.folder)
    return _up_to(known, entries()), known


def _ask(
    opened: contextlib.ExitStack, ca: operator_options.CallingOperator
) -> "tuple[Iterator[dict[str, object]], tuple[anchors.Anchor, ...]]":
    from ca.audit_log import anchors
    from pki import errors

    client = opened.enter_context(ca.open())
    entries = (dict(one) for one in client.list_audit("entries"))
    try:
        client.anchor_audit()
    except (errors.PeerError, errors.StateError) as error:
        # The export is of use without a fresh time stamp; `verify` says up to where it has one.
        click.echo(f"not time-stamped anew: {error.message}", err=True)
        return entries, tuple(anchors.from_json(one) for one in client.list_audit("anchors"))
    known = tuple(anchors.from_json(one) for one in client.list_audit("anchors"))
    return _up_to(known, entries), known


def _up_to(
    known: "tuple[anchors.Anchor, ...]", entries: Iterator[dict[str, object]]
) -> Iterator[dict[str, object]]:
    """Stop at the newest anchor: what came since is exported, and stamped, the next time."""
    for one in entries:
        yield one
        if known and one.get("number") == known[-1].number:
            return


def _print(result: dict[str, Any], text: str, as_json: bool) -> None:
    click.echo(json.dumps(result, ensure_ascii=False) if as_json else text)
