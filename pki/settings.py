"""One TOML file, read into frozen sections that are checked in full at the start.

Each package declares its section as a frozen dataclass beside what it configures.
"""

import dataclasses
import datetime
import decimal
import pathlib
import re
import tomllib
import types
import typing
from collections.abc import Mapping
from typing import TypeVar

from pki import errors

Section = TypeVar("Section")

_AMOUNT = re.compile(r"[0-9]{1,15}(\.[0-9]{1,6})?")


class SettingsError(errors.InputError):
    """The settings file is missing, is not TOML, or holds a wrong or unknown entry."""

    code = "wrong-settings"


def read_file(path: pathlib.Path) -> Mapping[str, object]:
    """Return the tables of a settings file.

    Raises:
        SettingsError: Missing, unreadable, or not TOML.
    """
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise SettingsError(f"{path}: cannot be read ({error.strerror})") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise SettingsError(f"{path}: is not TOML: {error}") from error


def read_section(section: type[Section], table: object, *, name: str = "") -> Section:
    """Turn one TOML table into a frozen dataclass.

    Fields may be `str`, `int`, `float`, `bool`, `pathlib.Path`, `datetime.timedelta` (in seconds),
    `datetime.date` (a TOML date), `decimal.Decimal` (written as text, such as "12.50"), tuples of
    these, other frozen dataclasses, mappings of text to these, and any of them or None.

    Raises:
        SettingsError: An entry is unknown, missing, or of another type.
    """
    where = name or section.__name__
    if not isinstance(table, Mapping):
        raise SettingsError(f"[{where}]: expected a table, got {type(table).__name__}")
    hints = typing.get_type_hints(section)
    fields = {field.name: field for field in dataclasses.fields(section)}  # type: ignore[arg-type]
    if unknown := sorted(set(table) - set(fields)):
        raise SettingsError(
            f"[{where}]: unknown entry {unknown[0]!r}; expected one of {sorted(fields)}"
        )
    values: dict[str, object] = {}
    for key, field in fields.items():
        if key in table:
            values[key] = _convert(table[key], hints[key], f"{where}.{key}")
        elif field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING:
            raise SettingsError(f"[{where}]: the entry {key!r} is missing")
    return section(**values)


def _convert(value: object, hint: object, where: str) -> object:
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if origin in (typing.Union, types.UnionType):
        inner = [one for one in arguments if one is not type(None)]
        return _convert(value, inner[0], where)
    if origin is tuple:
        if not isinstance(value, list):
            raise _wrong(where, "a list", value)
        return tuple(_convert(one, arguments[0], f"{where}[]") for one in value)
    if origin is not None and issubclass(origin, Mapping):
        if not isinstance(value, Mapping):
            raise _wrong(where, "a table", value)
        return {key: _convert(one, arguments[1], f"{where}.{key}") for key, one in value.items()}
    if isinstance(hint, type) and dataclasses.is_dataclass(hint):
        return read_section(hint, value, name=where)
    if hint is pathlib.Path and isinstance(value, str):
        return pathlib.Path(value)
    if hint is datetime.timedelta and _is_number(value):
        return datetime.timedelta(seconds=float(value))  # type: ignore[arg-type]
    if hint is float and _is_number(value):
        return float(value)  # type: ignore[arg-type]
    if hint is datetime.date and type(value) is datetime.date:
        return value
    if hint is decimal.Decimal and isinstance(value, str) and _AMOUNT.fullmatch(value):
        # Text, because a TOML number with a point would have been a binary fraction on its way.
        return decimal.Decimal(value)
    if hint in (str, int, bool) and type(value) is hint:
        return value
    raise _wrong(where, getattr(hint, "__name__", str(hint)), value)


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _wrong(where: str, expected: str, value: object) -> SettingsError:
    # The value itself may be a secret, so only its type is told.
    return SettingsError(f"{where}: expected {expected}, got {type(value).__name__}")
