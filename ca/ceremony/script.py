"""The script of a key ceremony: who is present, and what is made in which order.

A script is YAML, read as text alone: no tags, no anchors, no guessing of types. Every field is
checked before anything is done.
"""

import dataclasses
import datetime
import enum
import hashlib
import re
from collections.abc import Callable

import yaml

from ca import generations
from pki import algorithms, errors, settings, status

MAX_SCRIPT_BYTES = 64 * 2**10
"""A script that founds a whole hierarchy has three kilobytes."""

MAX_DEPTH = 6
MAX_STEPS = 200
MAX_TEXT = 200
MIN_WITNESSES = 2
"""Keys are made under dual control at least (EN 319 411-1 6.5.1)."""

TODAY = "today"

_NAME = re.compile(r"[a-z0-9][a-z0-9-]{0,39}")
_LABEL = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_FILE = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}")
_SHA256 = re.compile(r"[0-9a-f]{64}")


class ScriptError(errors.InputError):
    """The script is not one that can be played."""

    code = "ceremony-script"


class Action(enum.Enum):
    """What one step does."""

    GENERATE_KEY = "generate-key"
    CERTIFY_ROOT = "certify-root"
    CERTIFY_AUTHORITY = "certify-authority"
    CERTIFY_RESPONDER = "certify-responder"
    CERTIFY_TIME_STAMPING_UNIT = "certify-time-stamping-unit"
    CERTIFY_LIST_SIGNER = "certify-trusted-list-signer"
    CERTIFY_CMP_SIGNER = "certify-cmp-signer"
    CROSS_CERTIFY = "cross-certify"
    PUBLISH_CRL = "publish-crl"
    REVOKE_AUTHORITY = "revoke-authority"


_FIELDS: dict[Action, frozenset[str]] = {
    Action.GENERATE_KEY: frozenset({"label", "kind"}),
    Action.CERTIFY_ROOT: frozenset(),
    Action.CERTIFY_AUTHORITY: frozenset({"name"}),
    Action.CERTIFY_RESPONDER: frozenset({"name"}),
    Action.CERTIFY_TIME_STAMPING_UNIT: frozenset(),
    Action.CERTIFY_LIST_SIGNER: frozenset(),
    Action.CERTIFY_CMP_SIGNER: frozenset(),
    Action.CROSS_CERTIFY: frozenset({"name", "file", "sha256", "days"}),
    Action.PUBLISH_CRL: frozenset({"name"}),
    Action.REVOKE_AUTHORITY: frozenset({"name", "reason"}),
}
"""The fields of each action: these and no others, besides `do`, `note` and `confirmed_by`."""

_OPTIONAL: dict[Action, frozenset[str]] = {
    Action.CERTIFY_TIME_STAMPING_UNIT: frozenset({"name"}),
}
"""Fields that an action may do without."""

_ISSUING = ", ".join(generations.ISSUING)
_BELOW_ROOT = f"{_ISSUING}, {generations.INFRASTRUCTURE}"


def _is_unit(name: str) -> bool:
    try:
        return generations.unit_number(name) > 0
    except generations.GenerationNameError:
        return False


_NAMES: dict[Action, tuple[Callable[[str], bool], str]] = {
    Action.CERTIFY_AUTHORITY: (generations.is_authority, _BELOW_ROOT),
    Action.CERTIFY_RESPONDER: (
        lambda name: generations.is_authority(name) and generations.is_issuing(name),
        _ISSUING,
    ),
    Action.CERTIFY_TIME_STAMPING_UNIT: (_is_unit, "time-stamping units (tsu-1, tsu-2 and so on)"),
    Action.PUBLISH_CRL: (
        lambda name: name == generations.ROOT or generations.is_authority(name),
        f"{generations.ROOT}, {_BELOW_ROOT}",
    ),
    Action.REVOKE_AUTHORITY: (generations.is_authority, _BELOW_ROOT),
}
"""Whom an action may name: of these, or a later generation of one, such as `citizen-2`."""

REVOCATION_REASONS = (
    status.RevocationReason.cACompromise,
    status.RevocationReason.superseded,
    status.RevocationReason.cessationOfOperation,
)
"""Why an authority's certificate may be revoked."""


@dataclasses.dataclass(frozen=True)
class Witness:
    """A person who is present and confirms steps."""

    id: str
    name: str
    role: str


@dataclasses.dataclass(frozen=True)
class Step:
    """One step.

    Attributes:
        action: What is done.
        confirmed_by: The witnesses who must confirm it, by id; two at least.
        label: Of the key to be made.
        kind: Of the key to be made.
        name: Of the authority or the time-stamping unit, or a short name for a foreign authority.
        file: The foreign authority's request or certificate, beside the script.
        sha256: Of that file, as its owner told it by another way.
        days: How long the cross-certificate is valid.
        reason: Why an authority's certificate is revoked.
        note: Read aloud and recorded.
    """

    action: Action
    confirmed_by: tuple[str, ...]
    label: str = ""
    kind: algorithms.KeyKind | None = None
    name: str = ""
    file: str = ""
    sha256: str = ""
    days: int = 0
    reason: status.RevocationReason | None = None
    note: str = ""

    @property
    def sentence(self) -> str:
        """What is done, for the witnesses."""
        kind = "" if self.kind is None else self.kind.value
        reason = "" if self.reason is None else self.reason.name
        return {
            Action.GENERATE_KEY: f"make the {kind} key {self.label!r}",
            Action.CERTIFY_ROOT: "certify the root by its own key",
            Action.CERTIFY_AUTHORITY: f"certify the authority {self.name!r} by the root",
            Action.CERTIFY_RESPONDER: f"certify the OCSP responder of {self.name!r}",
            Action.CERTIFY_TIME_STAMPING_UNIT: f"certify the time-stamping unit {self.name!r}",
            Action.CERTIFY_LIST_SIGNER: "certify the signer of the trusted list",
            Action.CERTIFY_CMP_SIGNER: "certify the signer of CMP messages",
            Action.CROSS_CERTIFY: f"certify the foreign authority {self.name!r} by the root"
            f" for {self.days} days (SHA-256 of its file {self.sha256})",
            Action.PUBLISH_CRL: f"sign and publish the CRL of {self.name!r}",
            Action.REVOKE_AUTHORITY: f"revoke the certificate of {self.name!r} for {reason}"
            " and sign the root's CRL",
        }[self.action]


@dataclasses.dataclass(frozen=True)
class Script:
    """A whole script.

    Attributes:
        title: What the ceremony is for.
        place: Where it is held.
        date: When; None where it says `today`, which only a test installation plays.
        witnesses: Who is present.
        steps: In their order.
        text: The script itself.
    """

    title: str
    place: str
    date: datetime.date | None
    witnesses: tuple[Witness, ...]
    steps: tuple[Step, ...]
    text: str = dataclasses.field(repr=False)

    @property
    def sha256(self) -> str:
        """The hash of the script's bytes."""
        return hashlib.sha256(self.text.encode()).hexdigest()

    def witness(self, witness_id: str) -> Witness:
        """The witness of that id."""
        return next(one for one in self.witnesses if one.id == witness_id)


@dataclasses.dataclass(frozen=True)
class _WrittenWitness:
    id: str
    name: str
    role: str


@dataclasses.dataclass(frozen=True)
class _WrittenStep:
    do: str
    confirmed_by: tuple[str, ...] = ()
    label: str = ""
    kind: str = ""
    name: str = ""
    file: str = ""
    sha256: str = ""
    days: str = ""
    reason: str = ""
    note: str = ""


@dataclasses.dataclass(frozen=True)
class _WrittenScript:
    title: str
    place: str
    date: str
    witnesses: tuple[_WrittenWitness, ...]
    steps: tuple[_WrittenStep, ...]


def read(content: bytes) -> Script:
    """Read and check a script.

    Raises:
        ScriptError: Too large, not plain YAML, or a field is unknown, missing or wrong.
    """
    if len(content) > MAX_SCRIPT_BYTES:
        raise ScriptError(f"expected a script of at most {MAX_SCRIPT_BYTES} bytes")
    try:
        text = content.decode("utf-8")
        value = _Loader(text).get_single_data()
        written = settings.read_section(_WrittenScript, value, name="script")
    except UnicodeDecodeError as error:
        raise ScriptError("expected a script in UTF-8") from error
    except yaml.YAMLError as error:
        raise ScriptError(
            f"the script is not plain YAML: {' '.join(str(error).split())}"
        ) from error
    except (TypeError, ValueError) as error:
        raise ScriptError("the script is not plain YAML") from error
    except settings.SettingsError as error:
        raise ScriptError(error.message) from error
    witnesses = tuple(
        Witness(
            _match(_NAME, "witnesses.id", one.id),
            _text("witnesses.name", one.name),
            _text("witnesses.role", one.role),
        )
        for one in written.witnesses
    )
    ids = tuple(one.id for one in witnesses)
    people = {one.name.casefold() for one in witnesses}
    if len(ids) < MIN_WITNESSES or len(set(ids)) != len(ids) or len(people) != len(ids):
        raise ScriptError(f"expected at least {MIN_WITNESSES} witnesses, each named once")
    if not 1 <= len(written.steps) <= MAX_STEPS:
        raise ScriptError(f"expected 1 to {MAX_STEPS} steps, got {len(written.steps)}")
    steps = tuple(_step(number, one, ids) for number, one in enumerate(written.steps, 1))
    if [one.action for one in steps].count(Action.CERTIFY_ROOT) > 1:
        raise ScriptError("expected at most one step that certifies the root")
    return Script(
        title=_text("title", written.title),
        place=_text("place", written.place),
        date=_date(written.date),
        witnesses=witnesses,
        steps=steps,
        text=text,
    )


def _step(number: int, written: _WrittenStep, ids: tuple[str, ...]) -> Step:
    where = f"step {number}"
    try:
        action = Action(written.do)
    except ValueError as error:
        known = ", ".join(one.value for one in Action)
        raise ScriptError(f"{where}: expected one of {known}, got {written.do!r}") from error
    given = {name for name in _ALL_FIELDS if getattr(written, name)}
    if given - _OPTIONAL.get(action, frozenset()) != _FIELDS[action]:
        wanted = ", ".join(sorted(_FIELDS[action])) or "none"
        got = ", ".join(sorted(given)) or "none"
        raise ScriptError(f"{where}: {action.value} takes the fields {wanted}; got {got}")
    confirmed_by = written.confirmed_by or ids
    if not set(confirmed_by) <= set(ids) or len(set(confirmed_by)) != len(confirmed_by):
        raise ScriptError(f"{where}: confirmed_by names somebody who is no witness, or twice")
    if len(confirmed_by) < MIN_WITNESSES:
        raise ScriptError(f"{where}: expected at least {MIN_WITNESSES} witnesses to confirm it")
    name = written.name
    if action is Action.CERTIFY_TIME_STAMPING_UNIT and not name:
        name = generations.unit_label(1)
    if action in _NAMES and not _NAMES[action][0](name):
        raise ScriptError(f"{where}: expected a name of {_NAMES[action][1]}")
    step = Step(
        action,
        confirmed_by,
        name=name,
        note=_text(f"{where}: note", written.note) if written.note else "",
    )
    if action is Action.GENERATE_KEY:
        label = _match(_LABEL, f"{where}: label", written.label)
        return dataclasses.replace(step, label=label, kind=_kind(where, written.kind))
    if action is Action.REVOKE_AUTHORITY:
        return dataclasses.replace(step, reason=_reason(where, written.reason))
    if action is Action.CROSS_CERTIFY:
        return dataclasses.replace(
            step,
            name=_match(_NAME, f"{where}: name", written.name),
            file=_match(_FILE, f"{where}: file", written.file),
            sha256=_match(_SHA256, f"{where}: sha256", written.sha256),
            days=_days(where, written.days),
        )
    return step


_ALL_FIELDS = frozenset().union(*_FIELDS.values(), *_OPTIONAL.values())


def _reason(where: str, text: str) -> status.RevocationReason:
    for one in REVOCATION_REASONS:
        if one.name == text:
            return one
    known = ", ".join(one.name for one in REVOCATION_REASONS)
    raise ScriptError(f"{where}: expected a reason of {known}")


def _kind(where: str, text: str) -> algorithms.KeyKind:
    try:
        return algorithms.KeyKind(text)
    except ValueError as error:
        known = ", ".join(one.value for one in algorithms.KeyKind)
        raise ScriptError(f"{where}: expected a kind of {known}, got {text!r}") from error


def _days(where: str, text: str) -> int:
    if not re.fullmatch(r"[1-9][0-9]{0,3}", text):
        raise ScriptError(f"{where}: expected days as a number from 1 to 9999")
    return int(text)


def _date(text: str) -> datetime.date | None:
    if text == TODAY:
        return None
    if not re.fullmatch(r"[0-9]{4}-[0-9]{2}-[0-9]{2}", text):
        raise ScriptError("date: expected a date such as 2026-01-31, or today")
    try:
        return datetime.date.fromisoformat(text)
    except ValueError as error:
        raise ScriptError("date: expected a date that exists") from error


def _match(pattern: re.Pattern[str], field: str, text: str) -> str:
    if not pattern.fullmatch(text):
        raise ScriptError(f"{field}: expected text of the form {pattern.pattern}")
    return text


def _text(field: str, text: str) -> str:
    if not 1 <= len(text) <= MAX_TEXT or text != text.strip() or not text.isprintable():
        raise ScriptError(f"{field}: expected one line of 1 to {MAX_TEXT} characters")
    return text


class _Loader(yaml.BaseLoader):  # type: ignore[misc]  # the library publishes no types
    """YAML with text, lists and tables alone: nothing twice, nothing by reference, not deep."""

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self._depth = 0

    def compose_node(self, parent: object, index: object) -> object:
        if self.check_event(yaml.AliasEvent):
            raise ScriptError("the script refers to another part of itself: write it out")
        if self._depth == MAX_DEPTH:
            raise ScriptError("the script is nested too deeply")
        event = self.peek_event()
        if getattr(event, "anchor", None) or getattr(event, "tag", None):
            raise ScriptError("the script has an anchor or a tag: write plain text")
        self._depth += 1
        try:
            return super().compose_node(parent, index)
        finally:
            self._depth -= 1

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[str, object]:
        keys = [key.value for key, _ in node.value if isinstance(key, yaml.ScalarNode)]
        if len(keys) != len(node.value) or len(set(keys)) != len(keys):
            raise ScriptError("the script has a field twice, or one whose name is no text")
        made: dict[str, object] = super().construct_mapping(node, deep=True)
        return made
