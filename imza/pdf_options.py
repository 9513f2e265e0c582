"""The options of `imza sign` that are about PDFs: how a signature looks, and what it permits."""

import pathlib
from collections.abc import Callable
from typing import Any, TypeVar

import click

Command = TypeVar("Command", bound=Callable[..., Any])

CHANGES = ("no-changes", "form-filling", "annotations")

_OPTIONS = (
    click.option(
        "--visible/--invisible", default=True, help="Draw the signature on a page; for pades."
    ),
    click.option(
        "--page", type=int, metavar="N", help="The page to draw on, from 1; without it the last."
    ),
    click.option(
        "--box",
        metavar="L,B,R,T",
        help="Where: left, bottom, right and top in points from the lower left corner of the page"
        " as it is shown. Without it the first free place at the foot of the page.",
    ),
    click.option("--field", metavar="NAME", help="Sign this empty signature field."),
    click.option(
        "--image",
        type=click.Path(path_type=pathlib.Path, exists=True, dir_okay=False),
        help="A PNG or JPEG to draw beside the text.",
    ),
    click.option("--text/--no-text", default=True, help="Draw the name, the time and the reason."),
    click.option(
        "--certify",
        type=click.Choice(CHANGES),
        help="Make the first signature of a PDF a certification that permits this after it.",
    ),
    click.option(
        "--lock",
        type=click.Choice(["all", "include", "exclude"]),
        help="Lock all form fields, those of --lock-field, or all but those.",
    ),
    click.option(
        "--lock-field",
        "locked",
        multiple=True,
        metavar="NAME",
        help="The full name of a form field; may be repeated.",
    ),
    click.option(
        "--lock-changes",
        type=click.Choice(CHANGES),
        help="What else a lock permits after the signature.",
    ),
)


def add(command: Command) -> Command:
    """Give a command the options."""
    for option in reversed(_OPTIONS):
        command = option(command)
    return command


def parameters(
    *,
    is_pdf: bool,
    visible: bool,
    page: int | None,
    box: str | None,
    field: str | None,
    image: pathlib.Path | None,
    text: bool,
    certify: str | None,
    lock: str | None,
    locked: tuple[str, ...],
    lock_changes: str | None,
) -> dict[str, Any]:
    """Return what the options say as the API's parameters; the picture goes beside them.

    Raises:
        UsageError: Options that do not fit together.
    """
    shown = is_pdf and visible
    drawn = not text or any(one is not None for one in (page, box, field, image))
    if drawn and not shown:
        raise click.UsageError(
            "--page, --box, --field, --image and --no-text are about a visible signature of a PDF"
        )
    wanted: dict[str, Any] = {}
    if shown:
        wanted["appearance"] = _appearance(page, box, field, text)
    if certify is not None:
        wanted["certification"] = certify
    if lock is not None:
        wanted["lock"] = {"action": lock, "fields": list(locked)}
        if lock_changes is not None:
            wanted["lock"]["changes"] = lock_changes
    elif locked or lock_changes is not None:
        raise click.UsageError("--lock-field and --lock-changes belong to --lock")
    return wanted


def _appearance(page: int | None, box: str | None, field: str | None, text: bool) -> dict[str, Any]:
    wanted: dict[str, Any] = {} if text else {"text": False}
    if field is not None:
        if page is not None or box is not None:
            raise click.UsageError("--field has a place of its own: leave out --page and --box")
        return {**wanted, "field": field}
    if box is not None:
        try:
            wanted["box"] = [int(one) for one in box.split(",")]
        except ValueError as error:
            raise click.UsageError(
                "--box takes four whole numbers, such as 300,60,540,130"
            ) from error
    return {**wanted, "page": -1 if page is None else page}
