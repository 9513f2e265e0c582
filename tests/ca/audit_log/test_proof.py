"""An exported log is proven from the file alone, and every kind of tampering is found."""

import datetime
import hashlib
import json
import pathlib
from collections.abc import Callable

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import orm

from ca.audit_log import anchors, export, proof
from pki import audit, errors

Lines = list[bytes]


class StampedAt:
    """An authority whose token is a time and a hash that binds it; real tokens are a peer's."""

    def __init__(self, at: datetime.datetime) -> None:
        self.at = at

    def stamp(self, digest: bytes, at: datetime.datetime) -> bytes:
        time = self.at.isoformat().encode()
        return hashlib.sha256(digest + time).digest() + time

    @staticmethod
    def check(token_der: bytes, statement: bytes) -> datetime.datetime:
        digest, time = hashlib.sha256(statement).digest(), token_der[32:]
        if token_der[:32] != hashlib.sha256(digest + time).digest():
            raise errors.InputError("the token covers something else")
        return datetime.datetime.fromisoformat(time.decode())


@pytest.fixture
def folder(tmp_path: pathlib.Path) -> pathlib.Path:
    return tmp_path / "anchors"


@pytest.fixture
def lines(
    sessions: orm.sessionmaker[orm.Session],
    at: datetime.datetime,
    folder: pathlib.Path,
    tmp_path: pathlib.Path,
) -> Lines:
    """An export of eight entries, anchored at the fourth and the sixth."""
    with sessions() as session:
        for number in range(1, 9):
            moment = at + datetime.timedelta(seconds=number)
            head = audit.append(
                session,
                audit.AuditEvent.CERTIFICATE_ISSUED,
                moment,
                actor="test",
                details={"serial_number": f"{number:040x}"},
            )
            if number in {4, 6}:
                anchoring = anchors.Anchoring(folder, StampedAt(moment).stamp)
                assert _anchor(anchoring, head.number, head.hash, moment)
        session.commit()
        found = audit.entries(session, after=0, limit=100)
    target = tmp_path / "audit.jsonl"
    entries = [export.entry_json(one) for one in found]
    assert export.write(target, entries, anchors.load(folder), at) == 8
    return target.read_bytes().splitlines(keepends=True)


def _anchor(
    anchoring: anchors.Anchoring, number: int, head: str, at: datetime.datetime
) -> anchors.Anchor | None:
    return anchors.write_next(anchoring, lambda: (number, head), at)


def _edit(line: bytes, **changes: object) -> bytes:
    return json.dumps({**json.loads(line), **changes}).encode() + b"\n"


def _rechain(lines: Lines, count: int) -> Lines:
    """Cut to `count` entries and write a head that fits, as somebody would who knows the form."""
    kept = lines[: count + 1]
    last = json.loads(kept[-1])
    head = {"kind": "head", "number": last["number"], "hash": last["hash"]}
    return [*kept, json.dumps(head).encode() + b"\n"]


def test_an_export_is_proven_from_the_file_alone(lines: Lines, at: datetime.datetime) -> None:
    found = proof.examine(lines, (), StampedAt.check)
    assert (found.entries, found.anchored) == (8, 6)
    assert found.first_at == at + datetime.timedelta(seconds=1)
    assert found.anchored_at == at + datetime.timedelta(seconds=6)


TAMPERING: dict[str, Callable[[Lines], Lines]] = {
    "edited": lambda ls: [*ls[:3], _edit(ls[3], details="{}"), *ls[4:]],
    "time edited": lambda ls: [*ls[:3], _edit(ls[3], at="2020-01-01T00:00:00+00:00"), *ls[4:]],
    "actor edited": lambda ls: [*ls[:3], _edit(ls[3], actor="other"), *ls[4:]],
    "a field added": lambda ls: [*ls[:3], _edit(ls[3], extra=1), *ls[4:]],
    "number as a truth value": lambda ls: [ls[0], _edit(ls[1], number=True), *ls[2:]],
    "removed": lambda ls: [*ls[:3], *ls[4:]],
    "first removed": lambda ls: [ls[0], *ls[2:]],
    "last removed": lambda ls: [*ls[:8], *ls[9:]],
    "swapped": lambda ls: [*ls[:3], ls[4], ls[3], *ls[5:]],
    "repeated": lambda ls: [*ls[:4], ls[3], *ls[4:]],
    "cut": lambda ls: ls[:7],
    "cut before its head": lambda ls: ls[:-1],
    "cut within a line": lambda ls: [*ls[:-1], ls[-1][:-1]],
    "header removed": lambda ls: ls[1:],
    "something after the head": lambda ls: [*ls, ls[-1]],
    "anchor of another hash": lambda ls: [*ls[:-2], _edit(ls[-2], hash="0" * 64), ls[-1]],
    "anchor of a later entry": lambda ls: [*ls[:-2], _edit(ls[-2], number=7), ls[-1]],
    "emptied": lambda ls: [],
}


@pytest.mark.parametrize("name", TAMPERING)
def test_tampering_is_detected_from_the_export_alone(lines: Lines, name: str) -> None:
    with pytest.raises(proof.ProofError):
        proof.examine(TAMPERING[name](list(lines)), (), StampedAt.check)


def test_a_log_cut_with_a_new_head_is_detected_by_the_anchors_in_it(lines: Lines) -> None:
    cut = _rechain(lines, 5)
    with pytest.raises(proof.ProofError, match="cut off"):
        proof.examine([*cut[:-1], *lines[-3:-1], cut[-1]], (), StampedAt.check)


def test_a_cut_that_takes_the_anchors_along_is_detected_by_those_kept_elsewhere(
    lines: Lines, folder: pathlib.Path
) -> None:
    cut = _rechain(lines, 5)
    assert proof.examine(cut, (), StampedAt.check).anchored == 0
    with pytest.raises(proof.ProofError, match="cut off"):
        proof.examine(cut, anchors.load(folder), StampedAt.check)


def test_a_log_rewritten_as_a_whole_is_detected_by_the_anchors_kept_elsewhere(
    lines: Lines, folder: pathlib.Path
) -> None:
    rewritten, previous = [lines[0]], proof.GENESIS
    for line in lines[1:9]:
        entry = json.loads(line)
        fields = [entry["number"], entry["at"], entry["event"], "other", entry["details"]]
        text = json.dumps([*fields, previous])
        digest = hashlib.sha256(text.encode()).hexdigest()
        changed = {"actor": "other", "previous_hash": previous, "hash": digest}
        rewritten.append(_edit(line, **changed))
        previous = digest
    rewritten = _rechain(rewritten, 8)
    assert proof.examine(rewritten, (), StampedAt.check).entries == 8
    with pytest.raises(proof.ProofError, match="anchored"):
        proof.examine(rewritten, anchors.load(folder), StampedAt.check)


def test_an_anchor_that_is_older_than_its_entry_is_refused(
    lines: Lines, at: datetime.datetime
) -> None:
    last = json.loads(lines[8])
    early = StampedAt(at - datetime.timedelta(hours=1))
    token = early.stamp(anchors.imprint(8, last["hash"]), at)
    with pytest.raises(proof.ProofError, match="younger"):
        proof.examine(lines, (anchors.Anchor(8, last["hash"], token),), StampedAt.check)


@settings(max_examples=200, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_a_mutated_export_raises_an_input_error_and_nothing_else(
    lines: Lines, data: st.DataObject
) -> None:
    content = bytearray(b"".join(lines))
    header = len(lines[0])
    at = data.draw(st.integers(header, len(content) - 1))
    flipped = data.draw(st.integers(1, 255))
    content[at] ^= flipped
    with pytest.raises(errors.InputError):
        proof.examine(bytes(content).splitlines(keepends=True), (), StampedAt.check)


@given(st.binary(max_size=300))
def test_arbitrary_bytes_are_an_input_error(content: bytes) -> None:
    with pytest.raises(errors.InputError):
        proof.examine(content.splitlines(keepends=True), (), StampedAt.check)


def test_the_verifier_needs_no_database() -> None:
    import subprocess
    import sys

    program = "import ca.audit_log.proof, sys; sys.exit('sqlalchemy' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0


def test_the_head_is_anchored_once_and_a_shorter_log_is_noticed(
    folder: pathlib.Path, at: datetime.datetime
) -> None:
    anchoring = anchors.Anchoring(folder, StampedAt(at).stamp)
    made = _anchor(anchoring, 5, "a" * 64, at)
    assert made is not None
    assert _anchor(anchoring, 5, "a" * 64, at) is None
    for number, head in ((4, "a" * 64), (5, "b" * 64)):
        with pytest.raises(anchors.AnchorConflictError):
            _anchor(anchoring, number, head, at)
    assert anchors.load(folder) == (made,)
    assert anchors.load(folder, after=5) == ()


def test_an_empty_log_gets_no_anchor(folder: pathlib.Path, at: datetime.datetime) -> None:
    anchoring = anchors.Anchoring(folder, StampedAt(at).stamp)
    assert _anchor(anchoring, 0, audit.GENESIS, at) is None


@pytest.mark.parametrize(
    "content",
    [b"", b"[]", b"[" * 9999, b'{"number":1}', b'{"number":1,"hash":"x","token":""}', b"\xff"],
)
def test_a_file_that_is_no_anchor_is_an_input_error(folder: pathlib.Path, content: bytes) -> None:
    folder.mkdir()
    (folder / "000000000001.json").write_bytes(content)
    with pytest.raises(anchors.AnchorError):
        anchors.load(folder)


def test_an_anchor_under_another_number_is_refused(
    folder: pathlib.Path, at: datetime.datetime
) -> None:
    _anchor(anchors.Anchoring(folder, StampedAt(at).stamp), 5, "a" * 64, at)
    (folder / "000000000005.json").rename(folder / "000000000006.json")
    with pytest.raises(anchors.AnchorError):
        anchors.load(folder)


def test_an_empty_log_is_not_exported(tmp_path: pathlib.Path, at: datetime.datetime) -> None:
    with pytest.raises(export.EmptyLogError):
        export.write(tmp_path / "x", [], (), at)
    assert not (tmp_path / "x").exists()
