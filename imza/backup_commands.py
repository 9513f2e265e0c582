"""`imza ca backup` and `imza ca restore`: save the CA zone, put it back, reconcile, release."""

import contextlib
import json
import pathlib
from typing import TYPE_CHECKING, Any

import click

from imza.continuity_commands import CONFIG, JSON, OFFICER, actor_of

if TYPE_CHECKING:
    from imza import backup as backups
    from imza import config as configs

_FILE = click.Path(path_type=pathlib.Path, exists=True, dir_okay=False)


@click.command(
    "backup",
    epilog="Example: imza ca backup --config ca.toml --officer admin-1 --out ca-2027-03-01.backup",
)
@CONFIG
@OFFICER
@click.option(
    "--out",
    required=True,
    type=click.Path(path_type=pathlib.Path, dir_okay=False),
    help="The file to write.",
)
@click.option(
    "--with-keys", is_flag=True, help="The key store's encrypted files too; not for a module."
)
@JSON
def backup(
    path: pathlib.Path, officer: str, out: pathlib.Path, with_keys: bool, as_json: bool
) -> int:
    """Save the CA zone's database and settings to one file, while the zone runs.

    Keys in a module are never in it. Nor is the signature log: keep that apart, and newer.
    """
    from imza import backup as backups
    from imza import config as configs
    from imza.wiring import resources
    from pki import audit, clock, errors
    from pki.keystore import signature_log

    actor = actor_of(officer)
    config = configs.read(path)
    folder = None
    if with_keys:
        folder = configs.require(config.keystore, "keystore").folder
        if folder is None:
            raise errors.InputError("--with-keys: expected a key store of files, got a module")
    with contextlib.closing(resources.Resources(clock.SystemClock())) as opened:
        sessions = opened.sessions(config)
        at = opened.present.now()
        log_path = resources.signature_log_path(config)
        number = 0
        if log_path.exists():
            for line in signature_log.read_lines(log_path):
                number = line.number
        with sessions() as session:
            head = audit.append(
                session,
                audit.AuditEvent.DATABASE_SAVED,
                at,
                actor=actor,
                details={"log_number": number},
            )
            session.commit()
        made = backups.write(
            out,
            configs.require(config.database, "database").url,
            path,
            backups.Manifest(clock.time_text(at), "", number, head.number, {}),
            folder,
        )
    _print(out, made, as_json)
    return 0


@click.command(
    "restore",
    epilog="Example: imza ca restore --config ca.toml --officer admin-1 --from ca.backup",
)
@CONFIG
@OFFICER
@click.option("--from", "source", type=_FILE, help="Put this backup's database back.")
@click.option("--reconcile", is_flag=True, help="Learn from the signature log and the CRLs.")
@click.option("--release", is_flag=True, help="End the lock; another officer than reconciled.")
@click.option(
    "--crl", "crls", multiple=True, type=_FILE, help="An authority's newest CRL, as published."
)
@click.option(
    "--without-crl",
    multiple=True,
    help="An authority whose newest CRL nobody has: its last revocations are lost.",
)
@click.option(
    "--new-log", is_flag=True, help="The signature log was begun anew: compare all of it."
)
@JSON
def restore(
    path: pathlib.Path,
    officer: str,
    source: pathlib.Path | None,
    reconcile: bool,
    release: bool,
    crls: tuple[pathlib.Path, ...],
    without_crl: tuple[str, ...],
    new_log: bool,
    as_json: bool,
) -> int:
    """Put a backup back; reconcile it with what was signed since; release it.

    Three steps, in this order, while the CA zone and the OCSP zone are stopped. Until the third
    nothing is signed, whoever put the database back and however.
    """
    from imza import config as configs

    if [source is not None, reconcile, release].count(True) != 1:
        raise click.UsageError("expected one of --from, --reconcile and --release")
    actor = actor_of(officer)
    config = configs.read(path)
    if source is not None:
        result = _put_back(config, source, actor)
    elif reconcile:
        result = _reconcile(config, actor, crls, without_crl, new_log)
    else:
        result = _release(config, actor, new_log)
    if as_json:
        click.echo(json.dumps(result, ensure_ascii=False))
    else:
        for name, value in result.items():
            click.echo(f"{name:<16}{value}")
    return 0


def _put_back(config: "configs.Config", source: pathlib.Path, actor: str) -> dict[str, Any]:
    from ca.continuity import known_signatures
    from imza import backup as backups
    from imza import config as configs
    from imza.wiring import resources
    from pki import audit, clock

    url = configs.require(config.database, "database").url
    with backups.opened(source) as (manifest, folder):
        backups.put_back(manifest, folder, url)
    with contextlib.closing(resources.Resources(clock.SystemClock())) as opened:
        sessions = opened.upgraded_sessions(config)
        at = opened.present.now()
        known_signatures.lock(sessions, "restored", at)
        with sessions() as session:
            audit.append(
                session,
                audit.AuditEvent.DATABASE_RESTORED,
                at,
                actor=actor,
                details={
                    "created_at": manifest.created_at,
                    "log_number": manifest.log_number,
                    "sha256": manifest.sha256[manifest.database],
                },
            )
            session.commit()
    return {
        "restored": str(source),
        "created_at": manifest.created_at,
        "locked": True,
        "next": "imza ca restore --reconcile, then --release by another officer",
    }


def _reconcile(
    config: "configs.Config",
    actor: str,
    crls: tuple[pathlib.Path, ...],
    without_crl: tuple[str, ...],
    new_log: bool,
) -> dict[str, Any]:
    from ca.continuity import reconciliation
    from imza.wiring import resources
    from pki import clock, errors, registry_lock

    with contextlib.closing(resources.Resources(clock.SystemClock())) as opened:
        sessions = opened.sessions(config)
        # Where somebody restored the database by other means, this finds out and locks it.
        with contextlib.suppress(registry_lock.RegistryLockedError):
            opened.signing_guard(config, sessions).check_log()
        files = []
        for one in crls:
            if one.stat().st_size > reconciliation.MAX_CRL_BYTES:
                raise errors.LimitError(f"{one}: expected a CRL of 256 MiB at most")
            files.append(one.read_bytes())
        done = reconciliation.reconcile(
            sessions, resources.signature_log_path(config), files, opened.present,
            actor=actor, without_crl=without_crl, new_log=new_log,
        )  # fmt: skip
    return {
        "reconciled": True,
        "certificates": done.certificates,
        "revocations": done.revocations,
        "crl_numbers": done.crl_numbers,
        "locked": True,
        "next": "imza ca restore --release by another officer",
    }


def _release(config: "configs.Config", actor: str, new_log: bool) -> dict[str, Any]:
    from ca.continuity import reconciliation
    from imza.wiring import resources
    from pki import clock

    with contextlib.closing(resources.Resources(clock.SystemClock())) as opened:
        reconciliation.release(
            opened.sessions(config), resources.signature_log_path(config), opened.present.now(),
            actor=actor, new_log=new_log,
        )  # fmt: skip
    return {"released": True, "locked": False}


def _print(out: pathlib.Path, made: "backups.Manifest", as_json: bool) -> None:
    result = {
        "file": str(out),
        "bytes": out.stat().st_size,
        "database": made.database,
        "log_number": made.log_number,
        "audit_number": made.audit_number,
        "sha256": made.sha256[made.database],
    }
    if as_json:
        click.echo(json.dumps(result, ensure_ascii=False))
    else:
        click.echo(
            f"{out}: {result['bytes']} bytes, {made.database}, signature log up to line"
            f" {made.log_number}, audit log up to entry {made.audit_number}"
        )
