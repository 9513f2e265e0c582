"""How a verdict came about: the building blocks of EN 319 102-1 and their rules, for people."""

import dataclasses
import enum
from collections.abc import Mapping
from typing import Any, TypeAlias

from signing_service.reports.wording import Wording


class Tone(enum.Enum):
    """How a verdict is to be taken."""

    GOOD = "good"
    OPEN = "open"
    BAD = "bad"


_TONES = {"PASSED": Tone.GOOD, "INDETERMINATE": Tone.OPEN, "FAILED": Tone.BAD}
_MARKS = {"PASSED": "✓", "INDETERMINATE": "?", "FAILED": "✗", None: "-"}
SHORT_DIGEST = 16
"""Digits of a digest that tell time stamps of one report apart."""
_STAGES = {
    "basic": ("FC", "ISC", "VCI", "CV", "XCV", "SAV"),
    "time": ("TST", "TIME"),
    "past": ("POE",),
    "quality": ("QUAL",),
}


@dataclasses.dataclass(frozen=True)
class Rule:
    """One rule; the mark says whether it is kept, open, broken or not demanded.

    Attributes:
        english: What the judges say of it, which is in English whatever the report's language.
    """

    mark: str
    text: str
    english: str | None = None

    @property
    def whole(self) -> str:
        """All of it in one line."""
        return " — ".join(one for one in (self.text, self.english) if one)


@dataclasses.dataclass(frozen=True)
class Block:
    """A building block with its conclusion."""

    tone: Tone
    heading: str
    verdict: str
    rules: tuple[Rule, ...]


@dataclasses.dataclass(frozen=True)
class Stage:
    """Blocks that belong together: basic validation (5.3), with time (5.5), in the past (5.6)."""

    heading: str
    blocks: tuple[Block, ...]


Json: TypeAlias = Mapping[str, Any]


def stages(signature: Json, words: Wording) -> tuple[Stage, ...]:
    """Put the processes, the building blocks and the past validations of a signature into words."""
    told = []
    processes = tuple(_process(one, words) for one in signature.get("processes", ()))
    if processes:
        told.append(Stage(words.processes, processes))
    more = {
        "time": [
            block
            for stamp in signature["time_stamps"]
            for block in past(stamp.get("past_validation"), stamp_name(stamp, words), words)
        ],
        "past": past(signature.get("past_validation"), None, words),
    }
    for stage, kinds in _STAGES.items():
        blocks = (
            *(
                _block(one, words)
                for one in signature.get("building_blocks", ())
                if one["block"] in kinds
            ),
            *more.get(stage, ()),
        )
        if blocks:
            told.append(Stage(words.stages[stage], blocks))
    return tuple(told)


def stamp_name(stamp: Json, words: Wording) -> str:
    """A time stamp, by what it is over and when."""
    kind = words.stamp_kinds.get(stamp["kind"], stamp["kind"])
    return f"{words.time_stamp} {kind} {stamp['time'] or ''}".rstrip()


def past(found: Json | None, about: str | None, words: Wording) -> tuple[Block, ...]:
    """Past certificate validation and past signature validation; none where there was no need."""
    if found is None:
        return ()
    as_of = words.as_of.format(time=found["control_time"])
    proofs = tuple(
        Rule(_MARKS["PASSED"], f"{words.proof.format(time=one['time'])}: {_source(one, words)}")
        for one in found["proofs_of_existence"]
    )
    before = Rule(
        _MARKS[None], words.without_proof.format(verdict=_verdict(found["before"], words))
    )
    told = []
    for kind, key, rules in (
        ("PCV", "past_certificate_validation", (before, *proofs)),
        ("PSV", "past_signature_validation", ()),
    ):
        if (concluded := found[key]) is not None:
            heading = ", ".join(
                one for one in (f"{kind}: {words.past_blocks[kind]}", about, f"({as_of})") if one
            )
            told.append(
                Block(
                    _TONES[concluded["indication"]],
                    heading.replace(", (", " ("),
                    _verdict(concluded, words),
                    (*rules, *_message(concluded)),
                )
            )
    return tuple(told)


def _source(proof: Json, words: Wording) -> str:
    """What proves: a time stamp by what it is over, or an evidence record."""
    if proof["kind"] is None:
        name = words.evidence_record
    else:
        name = f"{words.time_stamp} {words.stamp_kinds.get(proof['kind'], proof['kind'])}"
    return f"{name} (SHA-256 {proof['sha256'][:SHORT_DIGEST]}…)"


def _process(found: Json, words: Wording) -> Block:
    heading = words.process_names[found["process"]]
    as_of = words.as_of.format(time=found["judged_at"])
    return Block(
        _TONES[found["indication"]], f"{heading} ({as_of})", _verdict(found, words), _message(found)
    )


def _message(concluded: Json) -> tuple[Rule, ...]:
    if concluded["message"] is None:
        return ()
    return (Rule(_MARKS[concluded["indication"]], "", concluded["message"]),)


def _verdict(concluded: Json, words: Wording) -> str:
    """The standard's words, then what they mean."""
    formal = concluded["indication"]
    if concluded["sub_indication"] is not None:
        formal += f" / {concluded['sub_indication']}"
    return f"{formal}: {words.block_indications[concluded['indication']]}"


def _block(found: Mapping[str, Any], words: Wording) -> Block:
    heading = f"{found['block']}: {words.blocks[found['block']]}"
    if found["about"] is not None:
        kind, _, when = found["about"].partition(" ")
        heading += f", {words.stamp_kinds.get(kind, kind)} {when}".rstrip()
    if found["judged_at"] is not None:
        heading += f" ({words.as_of.format(time=found['judged_at'])})"
    tone, verdict = _TONES[found["indication"]], _verdict(found, words)
    if not found["complete"]:
        tone, verdict = Tone.OPEN, words.unfinished
    return Block(
        tone,
        heading,
        verdict,
        tuple(_rule(one, words) for one in found["constraints"]),
    )


def _rule(found: Mapping[str, Any], words: Wording) -> Rule:
    text = words.rules.get(found["id"], found["id"])
    if found["indication"] is None:
        return Rule(_MARKS[None], f"{text} ({words.not_demanded})")
    if found["parameter"] is not None:
        text += f": {found['parameter']}"
    return Rule(_MARKS[found["indication"]], text, found["message"])
