"""`imza ca stats`: statistics as a table or JSON, and usage statements as CSV."""

import json
import pathlib
from collections.abc import Mapping
from typing import Any

import click

from pki import operator_options

_JSON = click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")


@click.group(
    "stats",
    invoke_without_command=True,
    epilog="Example: imza ca stats --from 2026-01 --to 2026-10 --credentials w/sandbox.json",
)
@click.option("--from", "first", help="The first month, such as 2026-01; a year before the last.")
@click.option("--to", "last", help="The last month; the present one.")
@operator_options.calls_ca(required=False)
@_JSON
@click.pass_context
def group(
    context: click.Context,
    first: str | None,
    last: str | None,
    ca: operator_options.CallingOperator | None,
    as_json: bool,
) -> None:
    """Certificates issued and valid, signatures and authentications, month by month."""
    if context.invoked_subcommand is not None:
        return
    from ca.bulletin import client as bulletin

    if ca is None:
        raise click.UsageError("Missing option '--credentials'.")
    with ca.open() as client:
        found = bulletin.statistics(client, first, last)
    if as_json:
        click.echo(json.dumps(found, ensure_ascii=False))
        return
    for line in _table(found):
        click.echo(line)


@group.command(
    "usage",
    epilog="Example: imza ca stats usage --month 2026-10 --relying-party portal --csv usage.csv"
    " --credentials w/sandbox.json",
)
@click.option("--month", required=True, help="Such as 2026-10.")
@click.option("--relying-party", required=True, help="An API client's id, or a gateway's party.")
@click.option(
    "--csv",
    "path",
    type=click.Path(path_type=pathlib.Path, dir_okay=False),
    help="Write the statement here.",
)
@operator_options.calls_ca()
@_JSON
def usage(
    month: str,
    relying_party: str,
    path: pathlib.Path | None,
    ca: operator_options.CallingOperator,
    as_json: bool,
) -> None:
    """What a relying party used in a month, and what it owes."""
    from ca.bulletin import client as bulletin
    from ca.bulletin import statement
    from pki import durable_files

    with ca.open() as client:
        told = bulletin.usage_statement(client, month, relying_party)
    content = statement.write_csv(told)
    if path is not None:
        durable_files.replace(path, content)
    if as_json:
        click.echo(json.dumps(told, ensure_ascii=False))
    elif path is None:
        click.echo(content.decode(), nl=False)
    else:
        total: Any = told["total"]
        click.echo(f"{path}: {total['count']} uses, {total['gross']} {told['currency']} with VAT")


CATEGORIES = (("citizen", "citizens"), ("official", "state bodies"), ("business", "legal ent."))

USES = (
    ("signatures_by_card", "sign. card"),
    ("signatures_by_phone", "sign. phone"),
    ("authentications_by_phone", "auth. phone"),
)


def _table(found: Mapping[str, Any]) -> list[str]:
    lines = ["Certificates issued / valid at the month's end", _head("month", CATEGORIES, 17)]
    for total in found["totals"]:
        month = total["month"]
        cells = []
        for category, _ in CATEGORIES:
            of_kind = [
                one
                for one in found["certificates"]
                if one["month"] == month and one["category"] == category
            ]
            issued = sum(one["issued"] for one in of_kind)
            cells.append(f"{issued} / {sum(one['valid'] for one in of_kind)}")
        all_of_them = f"{total['issued']['count']} / {total['valid']['count']}"
        cells.append(all_of_them)
        grown = [_percent(total["valid"][name]) for name in ("on_month", "on_year")]
        lines.append(
            f"{month:<9}"
            + "".join(f"{one:>17}" for one in cells)
            + "".join(f"{one:>9}" for one in grown)
        )
    lines += ["", "Signatures and authentications", _head("month", USES, 13, growth=False)]
    for total in found["totals"]:
        cells = []
        for name, _ in USES:
            figure = total[name]
            count = "not known" if figure["count"] is None else str(figure["count"])
            cells.append(f"{count:>13}{_percent(figure['on_month']):>9}"
                         f"{_percent(figure['on_year']):>9}")  # fmt: skip
        lines.append(f"{total['month']:<9}" + "".join(cells))
    owed = [one for one in found["fees"] if one["count"]]
    if owed:
        lines += ["", "Fees for certificates, with VAT"]
        lines += [
            f"{one['month']:<9}{one['category']:<14}{one['count']:>9}"
            f"{one['gross']:>14} {one['currency']}"
            for one in owed
        ]
    lines += [
        f"The zone {one['zone']} did not answer ({one['code']}): its figures are not known."
        for one in found["sources"]
        if not one["answered"]
    ]
    return lines


def _head(
    first: str, columns: tuple[tuple[str, str], ...], width: int, *, growth: bool = True
) -> str:
    shown = [title for _, title in columns]
    if growth:
        return (
            f"{first:<9}"
            + "".join(f"{one:>{width}}" for one in (*shown, "all"))
            + f"{'month':>9}{'year':>9}"
        )
    return f"{first:<9}" + "".join(f"{one:>{width}}{'month':>9}{'year':>9}" for one in shown)


def _percent(value: str | None) -> str:
    if value is None:
        return "-"
    return f"{value}%" if value.startswith("-") else f"+{value}%"
