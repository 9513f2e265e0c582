"""What the command lines of validation have in common."""

import datetime
import pathlib
from typing import Any

import click

FILE = click.Path(exists=True, dir_okay=False, path_type=pathlib.Path)


class TrustSource(click.ParamType[str]):
    """A file that is there, or an address."""

    name = "pem-or-list"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """Refuse a file that is missing, as every other option does."""
        if not str(value).startswith(("http://", "https://")):
            FILE.convert(value, param, ctx)
        return str(value)


def read_time(text: str) -> datetime.datetime:
    """Read the value of `--at`."""
    try:
        at = datetime.datetime.fromisoformat(text)
        if at.tzinfo is not None:
            return at.astimezone(datetime.UTC)
    except (ValueError, OverflowError) as error:
        raise click.UsageError(
            f"--at: expected a time such as 2026-01-31T12:00:00Z: {text!r}"
        ) from error
    raise click.UsageError("--at: expected a time with a zone, such as 2026-01-31T12:00:00Z")
