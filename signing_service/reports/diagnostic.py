"""Diagnostic data as JSON, and the JSON Schema of it.

The shape is that of the classes in `validation.diagnostic_data`, whose comments it carries.
"""

import json
from typing import Any

import pydantic

from pki import terminal_text
from signing_service.validation.diagnostics import diagnostic_data

_SHAPE = pydantic.TypeAdapter(diagnostic_data.DiagnosticData)
SCHEMA_NAME = "diagnostic-data.schema.json"


def render(data: diagnostic_data.DiagnosticData) -> bytes:
    """Return the data as JSON in UTF-8; the same data gives the same bytes."""
    return terminal_text.printable_json(_SHAPE.dump_json(data).decode()).encode()


def schema() -> dict[str, Any]:
    """The JSON Schema (draft 2020-12) of what `render` writes."""
    described = _SHAPE.json_schema(mode="serialization")
    return {"$schema": "https://json-schema.org/draft/2020-12/schema"} | described


def schema_text() -> str:
    """The schema as it stands in `docs/`."""
    return json.dumps(schema(), indent=2, ensure_ascii=False, sort_keys=True) + "\n"
