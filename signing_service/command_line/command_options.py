"""What the command lines of validation have in common."""

import datetime
import pathlib
from collections.abc import Callable
from typing import Any, TypeAlias

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


_Command: TypeAlias = Callable[..., int]

_OPTIONS = (
    click.option(
        "--trust",
        "trusted",
        multiple=True,
        type=TrustSource(),
        help="A PEM file with trust anchors, or a trusted list (TS 119 612) as a file or an http(s)"
        " address.",
    ),
    click.option(
        "--list-signer",
        "list_signers",
        multiple=True,
        type=FILE,
        help="PEM with the certificate that signs the trusted list.",
    ),
    click.option("--at", "at_text", metavar="TIME", help="Judge as of this time (RFC 3339)."),
    click.option(
        "--policy",
        metavar="FILE-OR-NAME",
        help="Judge by this policy: a TOML file, or at a --server one of its names.",
    ),
    click.option("--offline", is_flag=True, help="Fetch nothing; judge by what is at hand."),
    click.option("--server", metavar="URL", help="Let a signing service validate."),
    click.option("--credentials", type=FILE, help="An api_client object or a sandbox.json."),
)


def judging(command: _Command) -> _Command:
    """Add the options that say by what, as of when and where something is judged."""
    for option in reversed(_OPTIONS):
        command = option(command)
    return command


def check_place(server: str | None, credentials: pathlib.Path | None, *, is_for_here: bool) -> None:
    """Refuse options that do not go together.

    Args:
        server: Where to judge; None is here.
        credentials: For a server.
        is_for_here: An option is given that only says how to judge here.

    Raises:
        UsageError: They do not go together.
    """
    if (server is None) != (credentials is None):
        raise click.UsageError("--server and --credentials go together")
    if server is not None and is_for_here:
        raise click.UsageError("--trust and --offline are for validating here, not at a --server")


def warn_of_no_trust(server: str | None, trusted: tuple[str, ...], what: str) -> None:
    """Say so where nothing is trusted, so that no `what` can pass."""
    if server is None and not trusted:
        click.echo(
            f"Nothing is trusted, so no {what} can pass: name roots with --trust FILE.", err=True
        )


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
