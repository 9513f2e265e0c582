"""Scripts are read strictly: plain text, every field known, two witnesses for every step."""

import contextlib
import datetime
import pathlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ca.ceremony import script
from pki.algorithms import KeyKind
from tests.support import ceremonies

EXAMPLE = pathlib.Path("docs/examples/ceremony.yaml").read_bytes()


def test_the_example_is_read() -> None:
    found = script.read(EXAMPLE)
    assert found.date is None
    assert [one.id for one in found.witnesses] == ["administrator", "security-officer", "auditor"]
    assert found.steps[0].kind is KeyKind.P384
    assert found.steps[10].confirmed_by == ("administrator", "auditor")
    assert found.text.encode() == EXAMPLE


def test_a_date_is_a_day() -> None:
    found = script.read(ceremonies.script_of("do: certify-root", date="2027-03-01"))
    assert found.date == datetime.date(2027, 3, 1)


WRONG_STEPS = {
    "an unknown action": "do: burn-key",
    "no action": "label: root",
    "a field that is missing": "do: generate-key, label: root",
    "a field of another action": "do: certify-root, name: citizen",
    "an unknown field": "do: certify-root, colour: red",
    "an unknown kind": "do: generate-key, label: root, kind: P-521",
    "a label that leaves the folder": "do: generate-key, label: ../root, kind: P-384",
    "an unknown authority": "do: certify-authority, name: nobody",
    "the root as an authority below": "do: certify-authority, name: root",
    "a responder of the root": "do: certify-responder, name: root",
    "a stranger who confirms": "do: certify-root, confirmed_by: [first, stranger]",
    "one who confirms alone": "do: certify-root, confirmed_by: [first]",
    "one who confirms twice": "do: certify-root, confirmed_by: [first, first]",
    "a file elsewhere": f"do: cross-certify, name: x, file: ../x, sha256: {'0' * 64}, days: 1",
    "a hash that is none": "do: cross-certify, name: x, file: x, sha256: abc, days: 1",
    "no days": f"do: cross-certify, name: x, file: x, sha256: {'0' * 64}, days: 0",
    "a note of two lines": 'do: certify-root, note: "a\\nb"',
    "a list for a text": "do: certify-root, note: [a]",
    "a field twice": "do: certify-root, do: certify-root",
}


@pytest.mark.parametrize("name", WRONG_STEPS)
def test_a_wrong_step_is_refused(name: str) -> None:
    with pytest.raises(script.ScriptError):
        script.read(ceremonies.script_of(WRONG_STEPS[name]))


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b"date: today", b"date: tomorrow"),
        (b"date: today", b"date: 2027-02-30"),
        (b"title: TEST", b"title: ''"),
        (b"title: TEST", b"title: [x]"),
        (b"title: TEST", b"title: TEST\ntitle: TEST"),
        (b"title: TEST", b"title: &x TEST"),
        (b"title: TEST", b"title: !!python/name:os.system x"),
        (b"title: TEST\n", b""),
        (b"title: TEST", b"title: TEST\ncolour: red"),
        (b"second, name: TEST Second", b"first, name: TEST Second"),
        (b"name: TEST Second", b"name: TEST FIRST"),
        (b"steps:\n", b"steps: []\nx:\n"),
        (b"title: TEST", b"title: \xff"),
        (b"title: TEST", b"title: " + b"x" * 300),
        (b"title: TEST", b"---\ntitle: TEST\n---"),
    ],
)
def test_a_wrong_script_is_refused(old: bytes, new: bytes) -> None:
    content = ceremonies.script_of("do: certify-root")
    assert script.read(content)
    assert old in content
    with pytest.raises(script.ScriptError):
        script.read(content.replace(old, new, 1))


def test_two_roots_are_refused() -> None:
    with pytest.raises(script.ScriptError, match="at most one"):
        script.read(ceremonies.script_of("do: certify-root", "do: certify-root"))


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\x00",
        b"[" * 60_000,
        b"- " * 30_000,
        b"a: &a [x]\nb: *a",
        b"? [a]\n: b",
        b"x" * (script.MAX_SCRIPT_BYTES + 1),
        b"%YAML 9.9\n---\n",
    ],
)
def test_hostile_yaml_is_refused(content: bytes) -> None:
    with pytest.raises(script.ScriptError):
        script.read(content)


@given(st.binary(max_size=200))
def test_arbitrary_bytes_raise_a_script_error_and_nothing_else(content: bytes) -> None:
    with pytest.raises(script.ScriptError):
        script.read(content)


@given(at=st.integers(0, len(EXAMPLE) - 1), flipped=st.integers(1, 255))
def test_a_mutated_script_is_read_or_raises_a_script_error(at: int, flipped: int) -> None:
    content = bytearray(EXAMPLE)
    content[at] ^= flipped
    with contextlib.suppress(script.ScriptError):
        assert script.read(bytes(content)).text.encode() == bytes(content)
