"""The skeletons of policy and practice statement have every heading, and name what exists."""

import dataclasses
import pathlib
import re
import types
import typing

import pytest

from imza import config
from tests.support import rfc3647

ROOT = pathlib.Path(__file__).parents[2]
NAMES = ("certificate-policy", "certification-practice-statement")
OUTLINE = [tuple(line.split(" ", 1)) for line in rfc3647.OUTLINE.strip().splitlines()]


def _text(name: str) -> str:
    return (ROOT / "docs" / f"{name}.md").read_text(encoding="utf-8")


@pytest.mark.clause("RFC 3647", "6")
@pytest.mark.parametrize("name", NAMES)
def test_a_document_has_every_heading_of_the_outline_in_its_order(name: str) -> None:
    found = re.findall(r"(?m)^#+ ([0-9](?:\.[0-9]+)*)\.? (.*)$", _text(name))
    assert found == OUTLINE


@pytest.mark.parametrize("name", NAMES)
def test_every_section_says_who_does_what(name: str) -> None:
    sections = re.split(r"(?m)^#+ (?=[0-9])", _text(name))[1:]
    numbers = [number for number, _ in OUTLINE]
    for section in sections:
        title, _, body = section.partition("\n")
        number = title.split(" ", 1)[0].rstrip(".")
        if not any(one.startswith(f"{number}.") for one in numbers):
            marks = re.findall(r"(?m)^\*\*(\w+):\*\*", body)
            assert marks, title
            assert set(marks) <= {"Required", "Software", "Operator"}, title


@pytest.mark.parametrize("name", NAMES)
def test_every_module_and_test_that_a_document_names_exists(name: str) -> None:
    named = re.findall(r"`((?:tests/)?(?:\w+/)+\w+(?:\.py)?)`", _text(name))
    assert len(named) > 40 or name == "certificate-policy"
    for one in named:
        assert (ROOT / one).exists(), one


@pytest.mark.parametrize("name", NAMES)
def test_every_setting_that_a_document_names_exists(name: str) -> None:
    named = re.findall(r"`\[(\w+)\]\s(\w+)`", _text(name))
    assert named
    for section, entry in named:
        assert entry in _entries(section), f"[{section}] {entry}"


def _entries(section: str) -> set[str]:
    hint = typing.get_type_hints(config.Config)[section]
    if isinstance(hint, types.UnionType):
        hint = next(one for one in typing.get_args(hint) if one is not type(None))
    return {field.name for field in dataclasses.fields(hint)}


def test_an_anchor_that_a_document_links_to_is_a_heading() -> None:
    for name in NAMES:
        for target, anchor in re.findall(r"\]\(([\w./-]+\.md)#([\w-]+)\)", _text(name)):
            headings = re.findall(r"(?m)^#+ (.*)$", (ROOT / "docs" / target).read_text("utf-8"))
            slugs = {re.sub(r"[^\w\- ]", "", one.lower()).replace(" ", "-") for one in headings}
            assert anchor in slugs, f"{target}#{anchor}"
