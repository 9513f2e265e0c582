"""`imza ca rollover|compromise`: done at the CA's own machine, with its key stores open."""

import contextlib
import datetime
import json
import pathlib
import re
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from ca.continuity import checklist

_FILE = click.Path(path_type=pathlib.Path, exists=True, dir_okay=False)
CONFIG = click.option(
    "--config", "path", required=True, type=_FILE, help="The CA zone's settings file."
)
JSON = click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
OFFICER = click.option(
    "--officer", required=True, help="Who does this, as the audit log shall name them."
)
_OFFICER_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._@-]{0,63}")


def actor_of(officer: str) -> str:
    """How the audit log names who sits at the CA's own machine."""
    if not _OFFICER_ID.fullmatch(officer):
        raise click.UsageError("--officer: expected an identifier of letters, digits and . _ @ -")
    return f"local:{officer}"


@click.command(
    "rollover",
    epilog="Example: imza ca rollover citizen --config ca.toml --officer admin-1 --out pki",
)
@click.argument(
    "role", type=click.Choice(["citizen", "business", "official", "infrastructure", "tsu"])
)
@CONFIG
@OFFICER
@click.option(
    "--out",
    type=click.Path(path_type=pathlib.Path, file_okay=False),
    default=pathlib.Path(),
    help="Where NAME.cer goes, and NAME.pem with the chain of a time-stamping unit.",
)
@click.option(
    "--kind",
    type=click.Choice(["P-256", "P-384", "RSA-3072"]),
    default="P-384",
    show_default=True,
    help="Of the key of a time-stamping unit.",
)
@JSON
def rollover(
    role: str, path: pathlib.Path, officer: str, out: pathlib.Path, kind: str, as_json: bool
) -> int:
    """Make the next generation of an authority, or the next time-stamping unit.

    The CA zone certifies with a new authority within a minute, and the old one goes on answering.
    Where the root's key is offline this is refused: play a key ceremony with the same steps.
    """
    from imza import config as configs
    from imza.wiring import continuity, resources
    from pki import algorithms, certificates, clock, durable_files

    actor = actor_of(officer)
    with contextlib.closing(resources.Resources(clock.SystemClock())) as opened:
        made = continuity.roll_over(
            opened, configs.read(path), role, actor=actor, kind=algorithms.KeyKind(kind)
        )
    out.mkdir(parents=True, exist_ok=True)
    durable_files.replace(out / f"{made.name}.cer", certificates.to_der(made.chain[0]))
    files = [str(out / f"{made.name}.cer")]
    if role == "tsu":
        pem = "".join(certificates.to_pem(one) for one in made.chain)
        durable_files.replace(out / f"{made.name}.pem", pem.encode("ascii"))
        files.append(str(out / f"{made.name}.pem"))
    result = {
        "name": made.name,
        "sha256": certificates.sha256(made.chain[0]),
        "not_after": clock.time_text(made.chain[0].not_valid_after_utc),
        "files": files,
    }
    if as_json:
        click.echo(json.dumps(result, ensure_ascii=False))
    else:
        click.echo(f"{made.name}: SHA-256 {result['sha256']}, until {result['not_after']}")
        for one in files:
            click.echo(f"  {one}")
    return 0


@click.command(
    "compromise",
    epilog="Example: imza ca compromise citizen --config ca.toml --officer admin-1"
    " --since 2027-03-01T08:00:00Z",
)
@click.argument("name")
@CONFIG
@OFFICER
@click.option(
    "--since",
    type=click.DateTime(["%Y-%m-%dT%H:%M:%SZ"]),
    help="Since when the key may be in wrong hands (UTC).",
)
@click.option("--confirm", help="The authority's name once more, instead of typing it.")
@click.option("--show", is_flag=True, help="Only show how far an earlier run has come.")
@JSON
def compromise(
    name: str,
    path: pathlib.Path,
    officer: str,
    since: datetime.datetime | None,
    confirm: str | None,
    show: bool,
    as_json: bool,
) -> int:
    """Declare an issuing CA's key compromised: revoke all that it issued, and it itself.

    This cannot be taken back. Killed in the middle, it is continued by the same command. Exit code
    4 while a step is left that needs the root's key store.
    """
    from ca.continuity import checklist
    from ca.continuity import compromise as compromises
    from imza import config as configs
    from imza.wiring import continuity, resources
    from pki import clock

    actor = actor_of(officer)
    if not show:
        asked = f"Everything that {name} ever issued will be revoked for good. Type its name"
        if (confirm or click.prompt(asked, err=True)).strip() != name:
            raise click.UsageError("the name was not confirmed: nothing was done")
    began = None if since is None else since.replace(tzinfo=datetime.UTC)
    with contextlib.closing(resources.Resources(clock.SystemClock())) as opened:
        desk = continuity.Desk(opened, configs.read(path))
        if not show:
            desk.handle_compromise(name, actor, began, _progress_line)
        found = compromises.progress(desk.sessions, name)
        items = checklist.of_compromise(name, found, listed=desk.is_withdrawn(name))
    result = {
        "authority": name,
        "closed_at": clock.time_text(found.closure.closed_at),
        "revoked": found.closure.revoked,
        "left": found.left,
        "root_crl_number": found.root_crl_number,
        "last_crl_number": found.last_crl_number,
        "complete": found.is_complete,
        "checklist": [{"text": one.text, "done": one.done} for one in items],
    }
    _print_checklist(result, items, as_json)
    return 0 if found.is_complete else 4


def _progress_line(done: int) -> None:
    click.echo(f"  {done} certificates revoked", err=True)


def _print_checklist(result: dict[str, Any], items: "list[checklist.Item]", as_json: bool) -> None:
    if as_json:
        click.echo(json.dumps(result, ensure_ascii=False))
        return
    marks = {True: "[x]", False: "[ ]", None: "[ ] by people:"}
    for one in items:
        click.echo(f"{marks[one.done]} {one.text}")
    click.echo("docs/bad-days.md has the whole checklist.")


@click.command(
    "status",
    epilog="Example: imza ca trusted-list status ca-citizen withdrawn --from 2027-03-01T12:00:00Z"
    " --config ca.toml --officer admin-1",
)
@click.argument("service")
@click.argument("decided", type=click.Choice(["withdrawn", "granted"]))
@click.option(
    "--from",
    "since",
    required=True,
    type=click.DateTime(["%Y-%m-%dT%H:%M:%SZ"]),
    help="Since when (UTC), as the supervisory body decided.",
)
@CONFIG
@OFFICER
@JSON
def service_status(
    service: str,
    decided: str,
    since: datetime.datetime,
    path: pathlib.Path,
    officer: str,
    as_json: bool,
) -> int:
    """Record a supervisory body's decision about a service; the list tells it and its history.

    SERVICE is the label of its key, such as ca-citizen, ocsp-citizen or tsu-1.
    """
    from ca.trusted_list import services
    from imza import config as configs
    from imza.wiring import resources
    from pki import clock

    actor = actor_of(officer)
    with contextlib.ExitStack() as held:
        opened = held.enter_context(contextlib.closing(resources.Resources(clock.SystemClock())))
        session = held.enter_context(opened.sessions(configs.read(path))())
        periods = services.decide_status(
            session,
            service,
            services.ServiceStatus(decided),
            since.replace(tzinfo=datetime.UTC),
            opened.present.now(),
            actor=actor,
        )
        session.commit()
    history = [{"status": one.status.value, "since": clock.time_text(one.since)} for one in periods]
    if as_json:
        click.echo(json.dumps({"service": service, "history": history}))
    else:
        for one in history:
            click.echo(f"{service:<20}{one['status']:<12}since {one['since']}")
    return 0
