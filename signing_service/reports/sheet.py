"""What a report tells a person, in one language and in no layout yet.

It is made from the contract's JSON, so that a report which came from a service elsewhere reads like
one that was made here.
"""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias

from signing_service.reports import course, finding_words
from signing_service.reports.course import Tone
from signing_service.reports.wording import Wording
from signing_service.validation import report

Json: TypeAlias = Mapping[str, Any]

MAX_TEXT = 1000
"""Letters of one line: a stranger's name has no limit, and the JSON tells all of it."""


ADVICE = {
    "FORMAT_FAILURE": "format",
    "HASH_FAILURE": "original",
    "SIG_CRYPTO_FAILURE": "original",
    "REVOKED": "again",
    "EXPIRED": "again",
    "NOT_YET_VALID": "again",
    "SIG_CONSTRAINTS_FAILURE": "rule",
    "CHAIN_CONSTRAINTS_FAILURE": "rule",
    "CERTIFICATE_CHAIN_GENERAL_FAILURE": "trust",
    "CRYPTO_CONSTRAINTS_FAILURE": "strong",
    "POLICY_PROCESSING_ERROR": "rule",
    "SIGNATURE_POLICY_NOT_AVAILABLE": "rule",
    "TIMESTAMP_ORDER_FAILURE": "again",
    "NO_SIGNING_CERTIFICATE_FOUND": "format",
    "NO_CERTIFICATE_CHAIN_FOUND": "trust",
    "REVOKED_NO_POE": "proof",
    "REVOKED_CA_NO_POE": "proof",
    "OUT_OF_BOUNDS_NOT_REVOKED": "proof",
    "OUT_OF_BOUNDS_NO_POE": "proof",
    "REVOCATION_OUT_OF_BOUNDS_NO_POE": "proof",
    "CRYPTO_CONSTRAINTS_FAILURE_NO_POE": "strong",
    "NO_POE": "proof",
    "TRY_LATER": "later",
    "SIGNED_DATA_NOT_FOUND": "supply",
}
"""What a reader can do about each sub-indication."""

TONES = {
    "TOTAL-PASSED": Tone.GOOD,
    "INDETERMINATE": Tone.OPEN,
    "TOTAL-FAILED": Tone.BAD,
    "NO-SIGNATURE": Tone.BAD,
}


@dataclasses.dataclass(frozen=True)
class Line:
    """A label and what belongs to it.

    Attributes:
        english: What else is said of it, which is in English whatever the report's language.
    """

    label: str
    text: str
    english: str | None = None

    @property
    def whole(self) -> str:
        """All of it in one line."""
        return self.text if self.english is None else f"{self.text} — {self.english}"


@dataclasses.dataclass(frozen=True)
class Section:
    """One signature; or a time stamp or an evidence record that belongs to none.

    Attributes:
        verdict: The standard's words, and what they mean.
        stages: How it came about; of a detailed report.
    """

    heading: str
    tone: Tone
    verdict: str
    lines: tuple[Line, ...]
    stages: tuple[course.Stage, ...] = ()


@dataclasses.dataclass(frozen=True)
class Sheet:
    """A whole report."""

    wording: Wording
    tone: Tone
    verdict: str
    document: tuple[Line, ...]
    sections: tuple[Section, ...]
    notes: tuple[str, ...]


def make(shown: Json, words: Wording, *, detailed: bool) -> Sheet:
    """Put a report into words.

    Args:
        shown: The report as the contract's section 4 has it.
        words: The language.
        detailed: With digests, notes, time stamps, certificates, and how the verdict came about.
    """
    document = shown["document"]
    about = [
        Line(words.document, f"{document['name']} ({document['format']})"),
        Line(words.validated_at, shown["validated_at"]),
    ]
    if detailed:
        about += [Line(words.digest, document["sha256"]), Line(words.policy, shown["policy"])]
    passed = [one["indication"] for one in shown["signatures"]].count("TOTAL-PASSED")
    if len(shown["signatures"]) > 1:
        counted = words.signatures_counted.format(passed=passed, count=len(shown["signatures"]))
        about.append(Line(words.signatures, counted))
    notes = [] if shown["signatures"] else [f"{words.no_signature} {words.advice['unsigned']}"]
    return Sheet(
        words,
        TONES[shown["overall"]],
        _verdict(shown["overall"], None, words),
        _all_cut(*about),
        (
            *(
                _section(number, one, words, detailed=detailed)
                for number, one in enumerate(shown["signatures"], start=1)
            ),
            *(_lone_stamp(one, words) for one in shown.get("time_stamps", ())),
            *(_record(one, words) for one in shown.get("evidence_records", ())),
        ),
        tuple(map(_cut_text, notes)),
    )


def _section(number: int, one: Json, words: Wording, *, detailed: bool) -> Section:
    lines = [
        Line(words.signed_by, one.get("signed_by") or words.unknown_signer),
        *_known(words.person_code, one.get("person_code")),
        *_known(words.organisation, one.get("organisation")),
        Line(words.when, _when(one, words)),
        Line(words.level, one["level"]),
    ]
    if (kind := one.get("qualified")) is not None:
        lines.append(Line(words.qualification, words.qualifications.get(kind, kind)))
    lines.append(Line(words.covers, _scope(one, words)))
    lines += _pages(one.get("page_appearance"), words)
    reason = one.get("sub_indication")
    errors = _findings(words.why, one["errors"], words)
    if reason is not None and words.reasons.get(reason) not in [error.text for error in errors]:
        lines.append(Line(words.why, words.reasons.get(reason, reason)))
    lines += errors
    if reason in ADVICE:
        lines.append(Line(words.what_to_do, words.advice[ADVICE[reason]]))
    lines += _findings(words.warning, one["warnings"], words)
    if detailed:
        lines += _findings(words.note, one["info"], words)
        lines += [Line(words.time_stamp, _stamp(stamp, words)) for stamp in one["time_stamps"]]
        lines += _certificate(one.get("signing_certificate"), words)
    return Section(
        words.signature.format(number=number),
        TONES[one["indication"]],
        _verdict(one["indication"], reason, words),
        _all_cut(*lines),
        course.stages(one, words) if detailed else (),
    )


def _all_cut(*lines: Line) -> tuple[Line, ...]:
    return tuple(map(_cut, lines))


def _cut(line: Line) -> Line:
    english = None if line.english is None else _cut_text(line.english)
    return dataclasses.replace(line, text=_cut_text(line.text), english=english)


def _cut_text(text: str) -> str:
    return text if len(text) <= MAX_TEXT else f"{text[:MAX_TEXT]} …"


def _verdict(indication: str, reason: str | None, words: Wording) -> str:
    """The standard's words stay as they are: they are what a dispute is about."""
    formal = indication if reason is None else f"{indication} / {reason}"
    return f"{formal}: {words.indications[indication]}"


def _when(one: Json, words: Wording) -> str:
    if one.get("best_signature_time") is not None:
        return words.when_proven.format(time=one["best_signature_time"])
    if one.get("claimed_signing_time") is not None:
        return words.when_claimed.format(time=one["claimed_signing_time"])
    return words.when_unknown


def _scope(one: Json, words: Wording) -> str:
    kind, countersigned = one["scope"]["kind"], one.get("counter_signature_of")
    if kind == "partial" and countersigned is not None:
        return words.covers_signature.format(signature=countersigned[:100])
    covered = words.scopes[kind]
    later = words.changes.get(one["changes_after_signing"])
    return covered if later is None else f"{covered}; {later}"


def _pages(found: Json | None, words: Wording) -> list[Line]:
    """How the pages look now, beside what was signed."""
    if found is None:
        return []
    told = []
    before, after, different = found["pages_before"], found["pages_after"], found["different"]
    if before != after:
        told.append(words.pages_counted.format(before=before, after=after))
    if different:
        numbers = [str(one) for one in different[: report.MAX_PAGES_TOLD]]
        numbers += ["..."] if len(different) > report.MAX_PAGES_TOLD else []
        told.append(words.pages_different.format(pages=", ".join(numbers)))
    elif found["compared"]:
        told.append(words.pages_same)
    if found["compared"] < min(before, after):
        told.append(words.pages_compared.format(compared=found["compared"]))
    return [Line(words.pages, "; ".join(told))] if told else []


def _stamp(stamp: Json, words: Wording) -> str:
    told = [
        words.stamp_kinds.get(stamp["kind"], stamp["kind"]),
        stamp["time"] or words.no_time,
        words.stamp_states[_state(stamp)],
    ]
    if stamp.get("issuer"):
        told.append(f"{words.by} {stamp['issuer']}")
    return ", ".join(told)


def _lone_stamp(stamp: Json, words: Wording) -> Section:
    """A time stamp that belongs to no signature."""
    past = course.past(stamp.get("past_validation"), None, words)
    return Section(
        f"{words.time_stamp} {words.stamp_kinds.get(stamp['kind'], stamp['kind'])}",
        _tone(stamp),
        words.stamp_states[_state(stamp)],
        _all_cut(
            Line(words.when, stamp["time"] or words.no_time),
            *_known(words.issuer, stamp.get("issuer")),
            *_covered(stamp, words),
            *_findings(words.why, stamp.get("errors", ()), words),
        ),
        (course.Stage(words.stages["past"], past),) if past else (),
    )


def _record(record: Json, words: Wording) -> Section:
    """An evidence record, with its time stamps where the report is detailed."""
    stamps = record.get("time_stamps", ())
    past = tuple(
        block
        for stamp in stamps
        for block in course.past(stamp["past_validation"], course.stamp_name(stamp, words), words)
    )
    return Section(
        words.evidence_record,
        _tone(record),
        words.stamp_states[_state(record)],
        _all_cut(
            Line(words.when, record["time"] or words.no_time),
            *_covered(record, words),
            *(Line(words.time_stamp, _stamp(one, words)) for one in stamps),
            *_findings(words.why, record["errors"], words),
        ),
        (course.Stage(words.stages["past"], past),) if past else (),
    )


def _state(found: Json) -> str:
    return {True: "true", False: "false", None: "null"}[found["intact"]]


def _tone(found: Json) -> Tone:
    if found["intact"] and not found.get("errors"):
        return Tone.GOOD
    return Tone.BAD if found["intact"] is False else Tone.OPEN


def _covered(found: Json, words: Wording) -> list[Line]:
    names = ", ".join(found.get("scope", ()))
    return [Line(words.covers, names)] if names else []


def _certificate(found: Json | None, words: Wording) -> list[Line]:
    if found is None:
        return []
    return [
        Line(words.certificate, found["subject"]),
        Line(words.issuer, found["issuer"]),
        Line(words.serial_number, found["serial_number"]),
    ]


def _findings(label: str, found: Sequence[Json], words: Wording) -> list[Line]:
    return [_finding(label, one, words) for one in found]


def _finding(label: str, found: Json, words: Wording) -> Line:
    """What a code says in the reader's language, and then the message, which is in English."""
    code, message = found["code"], found["message"]
    told = words.reasons.get(code.upper().replace("-", "_"))
    if told is None and words.language != "en":
        told = finding_words.told(code, words.language)
    return Line(label, message) if told is None else Line(label, told, message)


def _known(label: str, value: str | None) -> list[Line]:
    return [] if value is None else [Line(label, value)]
