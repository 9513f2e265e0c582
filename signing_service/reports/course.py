"""How a verdict came about: the building blocks of EN 319 102-1 and their rules, for people."""

import dataclasses
import enum
from collections.abc import Mapping, Sequence
from typing import Any

from signing_service.reports.wording import Wording


class Tone(enum.Enum):
    """How a verdict is to be taken."""

    GOOD = "good"
    OPEN = "open"
    BAD = "bad"


_TONES = {"PASSED": Tone.GOOD, "INDETERMINATE": Tone.OPEN, "FAILED": Tone.BAD}
_MARKS = {"PASSED": "✓", "INDETERMINATE": "?", "FAILED": "✗", None: "-"}
_STAGES = {
    "basic": ("FC", "ISC", "VCI", "CV", "XCV", "SAV"),
    "time": ("TST", "TIME"),
    "past": ("POE",),
    "quality": ("QUAL",),
}


@dataclasses.dataclass(frozen=True)
class Rule:
    """One rule; the mark says whether it is kept, open, broken or not demanded."""

    mark: str
    text: str


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


def stages(found: Sequence[Mapping[str, Any]], words: Wording) -> tuple[Stage, ...]:
    """Put the `building_blocks` of a report into words."""
    told = []
    for stage, kinds in _STAGES.items():
        blocks = tuple(_block(one, words) for one in found if one["block"] in kinds)
        if blocks:
            told.append(Stage(words.stages[stage], blocks))
    return tuple(told)


def _block(found: Mapping[str, Any], words: Wording) -> Block:
    heading = f"{found['block']}: {words.blocks[found['block']]}"
    if found["about"] is not None:
        kind, _, when = found["about"].partition(" ")
        heading += f", {words.stamp_kinds.get(kind, kind)} {when}".rstrip()
    if found["judged_at"] is not None:
        heading += f" ({words.as_of.format(time=found['judged_at'])})"
    formal = found["indication"]
    if found["sub_indication"] is not None:
        formal += f" / {found['sub_indication']}"
    tone, verdict = _TONES[found["indication"]], words.block_indications[found["indication"]]
    if not found["complete"]:
        tone, formal, verdict = Tone.OPEN, "", words.unfinished
    return Block(
        tone,
        heading,
        f"{formal}: {verdict}" if formal else verdict,
        tuple(_rule(one, words) for one in found["constraints"]),
    )


def _rule(found: Mapping[str, Any], words: Wording) -> Rule:
    text = words.rules.get(found["id"], found["id"])
    if found["indication"] is None:
        return Rule(_MARKS[None], f"{text} ({words.not_demanded})")
    if found["parameter"] is not None:
        text += f": {found['parameter']}"
    if found["message"] is not None:
        text += f" — {found['message']}"
    return Rule(_MARKS[found["indication"]], text)
