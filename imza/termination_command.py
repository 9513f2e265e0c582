"""`imza ca termination`: everything that must outlive the CA, in one folder."""

import contextlib
import json
import pathlib

import click

from imza.continuity_commands import CONFIG, JSON, OFFICER, actor_of

EXIT_REFUSED = 4


@click.command(
    "termination",
    epilog="Example: imza ca termination --config ca.toml --officer admin-1 --out termination",
)
@CONFIG
@OFFICER
@click.option(
    "--out",
    required=True,
    type=click.Path(path_type=pathlib.Path, file_okay=False),
    help="An empty folder, or one to be made.",
)
@click.option(
    "--final",
    is_flag=True,
    help="Close every authority for good and publish its last CRL; otherwise it is a rehearsal.",
)
@click.option("--without-time-stamp", is_flag=True, help="Leave the manifest without a token.")
@JSON
def command(
    path: pathlib.Path,
    officer: str,
    out: pathlib.Path,
    final: bool,
    without_time_stamp: bool,
    as_json: bool,
) -> int:
    """Write certificates, statuses, CRLs, audit log and trusted list, and a manifest of them.

    The manifest is time-stamped by the authority that [audit] names. Exit code 4 where an
    authority's last CRL is missing, such as the root's while its key is offline.
    """
    from ca.continuity import closures, termination
    from ca.crls import partitions, schedule
    from ca.crls import published as crls
    from ca.trusted_list import publication
    from ca.trusted_list import scheme as schemes
    from imza import audit_tokens
    from imza import config as configs
    from imza.wiring import continuity, resources
    from pki import clock, errors, registry, status

    actor = actor_of(officer)
    config = configs.read(path)
    if config.audit is None and not without_time_stamp:
        raise errors.InputError(
            "expected [audit] with the address of a time-stamping authority, or"
            " --without-time-stamp"
        )
    with contextlib.closing(resources.Resources(clock.SystemClock())) as opened:
        desk = continuity.Desk(opened, config)
        at = opened.present.now()
        authorities = desk.authorities
        with desk.sessions() as session:
            names = [one.name for one in registry.issuers(session)]
        if final:
            with desk.sessions() as session:
                for name in names:
                    closures.close(
                        session, name, status.RevocationReason.cessationOfOperation, at,
                        actor=actor,
                    )  # fmt: skip
                session.commit()
            for one in authorities.authorities.values():
                schedule.publish_last(desk.sessions, one, desk.settings, at, actor=actor)
            publisher = publication.Publisher(desk.sessions, desk.keys, authorities)
            publisher.publish_due(at, actor=actor)
        termination.write_records(
            desk.sessions, out, at, lambda what, n: click.echo(f"  {n} {what}", err=True)
        )
        lists = {}
        with desk.sessions() as session:
            for name in names:
                for scope in partitions.scopes(session, name):
                    newest = crls.find_newest(session, scope)
                    if newest is None:
                        continue
                    file = f"{name}.{scope.partition}.crl" if scope.partition else f"{name}.crl"
                    termination.add(out, file, crls.content(session, newest))
                    lists[file.removesuffix(".crl")] = {
                        "number": newest.number,
                        "last": newest.is_last,
                    }
            if desk.settings.trusted_list is not None:
                for variant in schemes.of(desk.settings).variants:
                    published = publication.find_newest(session, variant.name)
                    if published is not None:
                        termination.add(out, f"{variant.name}.xml", published.list_xml)
        facts = {"final": final, "organisation": desk.settings.organisation_name, "crls": lists}
        content = termination.write_manifest(out, facts, at)
        if config.audit is not None and not without_time_stamp:
            import hashlib

            stamp = audit_tokens.stamper(opened.client(), config.audit.tsa_url)
            termination.add(
                out,
                f"{termination.MANIFEST}.tst",
                stamp(hashlib.sha256(content).digest(), opened.present.now()),
            )
    missing = [name for name in names if final and name not in lists]
    missing += [name for name, told in lists.items() if final and not told["last"]]
    result = {"folder": str(out), **facts, "without_last_crl": missing}
    if as_json:
        click.echo(json.dumps(result, ensure_ascii=False))
    else:
        kind = "final" if final else "a rehearsal: the authorities go on"
        click.echo(f"{out}: {len(list(out.iterdir()))} files, {kind}")
        for name in missing:
            click.echo(f"{name}: its last CRL is missing; its key is not here")
    return EXIT_REFUSED if missing else 0
