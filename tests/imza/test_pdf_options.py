import pathlib
from typing import Any

import click
import pytest
from click import testing

from imza import pdf_options


@click.command()
@pdf_options.add
def show(**pdf: Any) -> None:
    click.echo(repr(pdf_options.parameters(is_pdf=True, **pdf)))


def asked(*arguments: str) -> Any:
    done = testing.CliRunner().invoke(show, arguments)
    return done.output if done.exit_code else eval(done.output)  # noqa: S307 - printed above


def test_signature_is_drawn_on_the_last_page_unless_it_is_said() -> None:
    assert asked() == {"appearance": {"page": -1}}
    assert asked("--invisible") == {}


@pytest.mark.parametrize(
    ("arguments", "wanted"),
    [
        (
            ("--page", "2", "--box", "60,60,300,130", "--no-text"),
            {"appearance": {"text": False, "box": [60, 60, 300, 130], "page": 2}},
        ),
        (("--field", "Buyer"), {"appearance": {"field": "Buyer"}}),
        (
            ("--invisible", "--certify", "form-filling"),
            {"certification": "form-filling"},
        ),
        (
            ("--invisible", "--lock", "include", "--lock-field", "a", "--lock-field", "b"),
            {"lock": {"action": "include", "fields": ["a", "b"]}},
        ),
        (
            ("--invisible", "--lock", "all", "--lock-changes", "no-changes"),
            {"lock": {"action": "all", "fields": [], "changes": "no-changes"}},
        ),
    ],
)
def test_options_become_the_parameters_of_the_api(
    arguments: tuple[str, ...], wanted: dict[str, Any]
) -> None:
    assert asked(*arguments) == wanted


@pytest.mark.parametrize(
    "arguments",
    [
        ("--field", "Buyer", "--page", "1"),
        ("--field", "Buyer", "--box", "1,2,3,4"),
        ("--box", "here"),
        ("--lock-field", "a"),
        ("--invisible", "--no-text"),
        ("--invisible", "--field", "Buyer"),
    ],
)
def test_options_that_do_not_fit_together_are_refused(arguments: tuple[str, ...]) -> None:
    assert "Error:" in asked(*arguments)


def test_other_formats_take_no_options_of_appearance(tmp_path: pathlib.Path) -> None:
    chosen = dict.fromkeys(
        ("page", "box", "field", "image", "certify", "lock", "lock_changes"), None
    )
    plain: dict[str, Any] = {"visible": True, "text": True, "locked": (), **chosen}
    assert pdf_options.parameters(is_pdf=False, **plain) == {}
    with pytest.raises(click.UsageError):
        pdf_options.parameters(is_pdf=False, **(plain | {"image": tmp_path}))
