"""Every command has help with an example, and every command that is written down exists."""

import importlib
import pathlib
import re
import shlex
from collections.abc import Iterator

import click
import pytest

from imza import cli

ROOT = pathlib.Path(__file__).parents[2]
DOCUMENTS = ("README.md", "CONTRIBUTING.md", "SECURITY.md", *sorted(
    str(one.relative_to(ROOT)) for one in (ROOT / "docs").rglob("*.md")
))  # fmt: skip


def _commands() -> dict[str, click.Command]:
    found: dict[str, click.Command] = {}

    def walk(name: str, command: click.Command) -> None:
        found[name] = command
        if isinstance(command, click.Group):
            for part, below in command.commands.items():
                walk(f"{name} {part}", below)

    for name, (module, attribute, _) in cli.COMMANDS.items():
        walk(name, getattr(importlib.import_module(module), attribute))
    return found


COMMANDS = _commands()


def _help(name: str) -> str:
    return " ".join(COMMANDS[name].get_help(click.Context(COMMANDS[name])).split())


def _check_line(words: list[str]) -> None:
    """Check that a command line names a command and options that exist."""
    assert words[0].endswith("imza")
    if words[1:] in (["--version"], ["--help"]):
        return
    name, rest = words[1], words[2:]
    assert name in COMMANDS, words
    while rest and f"{name} {rest[0]}" in COMMANDS:
        name, rest = f"{name} {rest[0]}", rest[1:]
    command = COMMANDS[name]
    known = {text for one in command.params for text in (*one.opts, *one.secondary_opts)}
    known |= {"--help"}
    for word in rest:
        if word in ("|", ">", "2>", "&&", "<", "3<<<"):
            break
        if word.startswith("-"):
            assert word.partition("=")[0] in known, f"imza {name} has no {word}"
    if isinstance(command, click.Group) and rest:
        assert rest[0].startswith("-"), f"imza {name} has no {rest[0]}"


@pytest.mark.parametrize("name", list(COMMANDS))
def test_a_command_has_help_and_an_example_that_is_true(name: str) -> None:
    shown = _help(name)
    assert COMMANDS[name].help
    found = re.search(r"Examples?: (imza .*)", shown)
    assert found is not None, shown
    example = re.split(r"(?<=[a-z])\. |Options:", found[1])[0]
    for line in re.split(r"(?= imza )", example):
        _check_line(shlex.split(line.replace("\\", "")))


@pytest.mark.parametrize("name", list(COMMANDS))
def test_help_shows_no_markup(name: str) -> None:
    assert "\\b" not in _help(name)
    assert "\b" not in _help(name)


def _written_lines(text: str) -> Iterator[str]:
    """The lines of code blocks, continued lines joined."""
    fenced, joined = False, ""
    for line in text.splitlines():
        if line.startswith("```"):
            fenced = not fenced
        elif (fenced or line.startswith("    ")) and not re.search(r"\S {2,}\S", line):
            # Two spaces inside a line are a drawing, or a comment that follows.
            joined += line.strip().removesuffix("\\")
            if not line.endswith("\\"):
                yield joined
                joined = ""


@pytest.mark.parametrize("document", DOCUMENTS)
def test_a_command_that_a_document_shows_exists(document: str) -> None:
    for line in _written_lines((ROOT / document).read_text(encoding="utf-8")):
        words = line.removeprefix("ExecStart=").removeprefix("sudo -u imza ").split()
        if len(words) > 1 and re.fullmatch(r"(\S*/bin/)?imza", words[0]):
            _check_line(words)


@pytest.mark.parametrize("document", DOCUMENTS)
def test_a_make_target_that_a_document_shows_exists(document: str) -> None:
    targets = set(re.findall(r"(?m)^([a-z-]+):", (ROOT / "Makefile").read_text()))
    text = (ROOT / document).read_text(encoding="utf-8")
    shown = set(re.findall(r"(?m)(?:^ {4}|`)make ([a-z-]+)", text))
    assert shown <= targets


@pytest.mark.parametrize("document", DOCUMENTS)
def test_a_file_that_a_document_links_to_exists(document: str) -> None:
    path = ROOT / document
    for target in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", path.read_text(encoding="utf-8")):
        assert (path.parent / target).exists(), target
