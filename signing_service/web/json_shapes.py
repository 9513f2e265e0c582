"""JSON objects from strangers: read strictly, with errors that name the field and no value."""

import base64
import binascii
import datetime
import enum
import json
from collections.abc import Sequence
from typing import Annotated, TypeVar

import pydantic

from pki import algorithms, errors
from signing_service import documents, parameters

MAX_DIGESTS = 20
"""As many as documents come in one upload."""


class Strict(pydantic.BaseModel):
    """An object that has the fields it may have, of just their types."""

    model_config = pydantic.ConfigDict(extra="forbid", strict=True)


Shape = TypeVar("Shape", bound=Strict)
Member = TypeVar("Member", bound=enum.Enum)


class DigestShape(Strict):
    """A document that the caller keeps: its name, and its hash in base64."""

    name: Annotated[str, pydantic.Field(min_length=1, max_length=255)]
    algorithm: str
    value: Annotated[str, pydantic.Field(max_length=200)]


def read_digests(shapes: Sequence[DigestShape]) -> tuple[documents.DocumentDigest, ...]:
    """Return the hashes of documents that stay with the caller.

    Raises:
        ParametersError: An algorithm, or a hash that is no base64 or of another length.
    """
    return tuple(_digest(one, f"digests.{place}") for place, one in enumerate(shapes))


def _digest(shape: DigestShape, field: str) -> documents.DocumentDigest:
    algorithm = member(algorithms.HashAlgorithm, shape.algorithm, f"{field}.algorithm")
    try:
        return documents.DocumentDigest(
            shape.name, algorithm, binary(shape.value, f"{field}.value")
        )
    except errors.InputError as error:
        raise parameters.ParametersError(
            f"{field}: {error.message}", field=f"{field}.value"
        ) from error


def read(kind: type[Shape], text: bytes) -> Shape:
    """Read an object from JSON.

    Raises:
        ParametersError: It is no JSON object, or not of this shape.
    """
    try:
        value = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise parameters.ParametersError(
            "parameters: expected a JSON object", field="parameters"
        ) from error
    return check(kind, value, "")


def check(kind: type[Shape], value: object, prefix: str) -> Shape:
    """Check that a value has a shape; `prefix` goes before the field that an error names.

    Raises:
        ParametersError: A field is missing, unknown or wrong.
    """
    try:
        return kind.model_validate(value)
    except pydantic.ValidationError as error:
        first = error.errors(include_input=False, include_url=False)[0]
        field = prefix + ".".join(str(part) for part in first["loc"])
        # The message names no value: the fields hold people's numbers.
        raise parameters.ParametersError(
            f"{field or 'parameters'}: {first['msg']}", field=field or "parameters"
        ) from None


def member(kind: type[Member], value: str, field: str) -> Member:
    """Return the member of an enum that has a value.

    Raises:
        ParametersError: None has it; those that exist are told.
    """
    for one in kind:
        if one.value == value:
            return one
    expected = ", ".join(str(one.value) for one in kind)
    raise parameters.ParametersError(f"{field}: expected one of {expected}", field=field)


def binary(text: str, field: str) -> bytes:
    """Decode standard base64 with padding.

    Raises:
        ParametersError: It is something else.
    """
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError) as error:
        raise parameters.ParametersError(
            f"{field}: expected standard base64 with padding", field=field
        ) from error


def time(text: str, field: str) -> datetime.datetime:
    """Read a time with a zone, as RFC 3339 writes it; the result is in UTC.

    Raises:
        ParametersError: It is something else.
    """
    try:
        at = datetime.datetime.fromisoformat(text)
        if at.tzinfo is None:
            raise ValueError("no zone")
        return at.astimezone(datetime.UTC)
    except (ValueError, OverflowError) as error:
        raise parameters.ParametersError(
            f"{field}: expected a time as RFC 3339 writes it, such as 2026-01-31T12:00:00Z",
            field=field,
        ) from error
