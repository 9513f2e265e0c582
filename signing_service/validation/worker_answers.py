"""What a worker answers, written so that reading it runs nothing and changes nothing.

A worker may have been taken over by the document it was judging. Pickle would let it reach into the
process that asks: its BUILD sets attributes of whatever it names, of a class or of a verdict that
all later reports share. So an answer is JSON, in which a few classes of ours are named.
"""

import base64
import dataclasses
import datetime
import enum
import json
import re
from types import ModuleType
from typing import Any, TypeAlias

from pki import errors, qc_statements
from signing_service import parameters
from signing_service.validation import building_blocks, evidence, process, processes, report
from signing_service.validation.certificates import (
    certificate_report,
    certificate_status,
    certificate_uses,
    certificate_validation,
    qualification,
)
from signing_service.validation.diagnostics import diagnostic_data

_TIME, _BYTES, _SET = "time", "bytes", "set"
_CODE = re.compile("[a-z0-9-]{1,60}")

_MODULES: tuple[ModuleType, ...] = (
    building_blocks,
    certificate_report,
    certificate_status,
    certificate_uses,
    certificate_validation,
    diagnostic_data,
    evidence,
    process,
    processes,
    qc_statements,
    qualification,
    report,
)


class AnswerError(errors.InputError):
    """A worker sent something else than an answer."""

    code = "worker-answer"


@dataclasses.dataclass(frozen=True)
class Accepted:
    """The document can be signed."""


@dataclasses.dataclass(frozen=True)
class Printed:
    """A report as PDF."""

    pdf: bytes


@dataclasses.dataclass(frozen=True)
class Refusal:
    """An input error that crossed back; its class stayed behind, its words did not.

    Attributes:
        code: The error's.
        message: The error's.
        where: For the log: where an error was raised that nobody foresaw.
    """

    code: str
    message: str
    where: str | None = None

    def __post_init__(self) -> None:
        """Refuse what would be more than a word in an answer, or in a line of the log."""
        given: tuple[object, ...] = (self.code, self.message, self.where or "")
        if not (
            all(isinstance(one, str) for one in given)
            and _CODE.fullmatch(self.code)
            and (self.where is None or self.where.isprintable())
        ):
            raise AnswerError("expected a refusal with a code and words")


Answer: TypeAlias = (
    process.Outcome
    | certificate_validation.CertificateOutcome
    | parameters.Picture
    | report.PageAppearances
    | Accepted
    | Printed
    | Refusal
)

_KINDS: dict[str, Any] = {
    one.__name__: one
    for one in (
        Accepted,
        Printed,
        Refusal,
        parameters.Picture,
        *(
            one
            for module in _MODULES
            for one in vars(module).values()
            if isinstance(one, type)
            and one.__module__ == module.__name__
            and (dataclasses.is_dataclass(one) or issubclass(one, enum.Enum))
        ),
    )
}


def encode(answer: Answer) -> bytes:
    """Write an answer."""
    return json.dumps(answer, default=_written, separators=(",", ":")).encode("ascii")


def decode(octets: bytes) -> Answer:
    """Read an answer; every value in it is made anew, of the classes named here alone.

    What the fields of a report hold is not checked: a worker that was taken over can make a request
    fail, or lie about its document, and reach no further.

    Raises:
        AnswerError: It is no answer of ours.
    """
    try:
        answer = json.loads(octets, object_hook=_read)
    except (ValueError, TypeError, KeyError, RecursionError, errors.InputError) as error:
        raise AnswerError("the validation worker's answer cannot be read") from error
    if not isinstance(answer, Answer):
        raise AnswerError("the validation worker answered something else")
    return answer


def _written(value: object) -> dict[str, object]:
    if isinstance(value, enum.Enum):
        return {type(value).__name__: value.name}
    if isinstance(value, datetime.datetime):
        return {_TIME: value.isoformat()}
    if isinstance(value, bytes):
        return {_BYTES: base64.b64encode(value).decode("ascii")}
    if isinstance(value, frozenset):
        return {_SET: list(value)}
    fields = dataclasses.fields(value)  # type: ignore[arg-type]  # raises for anything else
    return {type(value).__name__: [getattr(value, one.name) for one in fields]}


def _read(written: dict[str, Any]) -> object:
    ((name, value),) = written.items()
    if name == _TIME:
        return datetime.datetime.fromisoformat(value)
    if name == _BYTES:
        return base64.b64decode(value, validate=True)
    if name == _SET:
        return frozenset(_tuple(value))
    kind = _KINDS[name]
    return kind[value] if issubclass(kind, enum.Enum) else kind(*_tuple(value))


def _tuple(values: list[Any]) -> tuple[Any, ...]:
    """JSON's arrays are our tuples, those within them too."""
    return tuple(_tuple(one) if isinstance(one, list) else one for one in values)
