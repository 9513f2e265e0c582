"""`imza ca check`: examine everything that the CA's zone has stored."""

import contextlib
import json
import pathlib
from typing import Any

import click

from imza.continuity_commands import CONFIG, JSON, OFFICER, actor_of

EXIT_ERRORS = 1
EXIT_WARNINGS = 3


@click.command(
    "check", epilog="Example: imza ca check --config ca.toml --officer auditor-1 --full --json"
)
@CONFIG
@OFFICER
@click.option("--full", is_flag=True, help="Have pkilint judge every certificate, not a sample.")
@click.option(
    "--every",
    type=click.IntRange(1, 1_000_000),
    default=100,
    help="Have pkilint judge one in so many certificates; 100.",
)
@JSON
def command(path: pathlib.Path, officer: str, full: bool, every: int, as_json: bool) -> int:
    """Examine certificates, CRLs, audit log, signature log and services; change nothing.

    The CA zone does the same every night. Exit code 0 where nothing was found, 3 where somebody
    should look at warnings, 1 where something stored is not what it must be.
    """
    from ca.examination import certificates, run
    from ca.examination.findings import Severity
    from imza import config as configs
    from imza.wiring import resources
    from pki import clock

    actor = actor_of(officer)
    config = configs.read(path)
    shown = [0]

    def tell(what: str, count: int) -> None:
        if count - shown[0] >= 10_000 or count < shown[0]:
            shown[0] = count
            click.echo(f"  {count} {what}", err=True)

    with contextlib.closing(resources.Resources(clock.SystemClock())) as opened:
        examiner = run.Examiner(
            opened.sessions(config),
            configs.require(config.ca, "ca"),
            resources.signature_log_path(config),
            certificates.Depth(1 if full else every),
        )
        report = examiner.examine_and_record(opened.present.now(), actor=actor, tell=tell)
    errors, warnings = report.total(Severity.ERROR), report.total(Severity.WARNING)
    if as_json:
        result: dict[str, Any] = {
            "begun_at": clock.time_text(report.begun_at),
            "examined": dict(report.examined),
            "errors": errors,
            "warnings": warnings,
            "findings": [
                {
                    "check": one.check,
                    "about": one.about,
                    "message": one.message,
                    "severity": one.severity.value,
                }
                for one in report.findings
            ],
        }
        click.echo(json.dumps(result, ensure_ascii=False))
    else:
        for one in report.findings:
            click.echo(f"{one.severity.value:<8}{one.check:<24}{one.about}: {one.message}")
        counted = ", ".join(f"{count} {what}" for what, count in report.examined.items())
        click.echo(f"{errors} errors, {warnings} warnings; examined {counted}")
    if errors:
        return EXIT_ERRORS
    return EXIT_WARNINGS if warnings else 0
