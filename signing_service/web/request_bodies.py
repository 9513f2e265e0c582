"""Request bodies described for OpenAPI: the framework does not see what is read in pieces."""

from typing import Any

import pydantic

from signing_service import parameters
from signing_service.creation.pdf import pictures
from signing_service.web import uploads

_FILE = {"type": "string", "format": "binary"}


def multipart(
    shape: type[pydantic.BaseModel],
    *,
    detached: bool = False,
    several: bool = False,
    picture: bool = False,
) -> dict[str, Any]:
    """Describe an upload of documents and a part `parameters`."""
    properties: dict[str, Any] = {
        "document": {"type": "array", "items": _FILE} if several else _FILE,
        "parameters": _parameters(shape),
    }
    if detached:
        properties["detached"] = {"type": "array", "items": _FILE}
    if picture:
        properties[uploads.PICTURE] = _FILE | {
            "contentMediaType": "image/png, image/jpeg",
            "description": "A picture for the appearance: PNG or JPEG, at most"
            f" {pictures.MAX_BYTES} bytes and {pictures.MAX_PIXELS} pixels; one over"
            f" {parameters.MAX_PICTURE_SIDE} pixels a side is scaled down.",
        }
    return _body(
        {"multipart/form-data": _object(properties, "parameters" if several else "document")}
    )


def json(shape: type[pydantic.BaseModel]) -> dict[str, Any]:
    """Describe a JSON body."""
    return _body({"application/json": shape.model_json_schema()})


def certificate(shape: type[pydantic.BaseModel], body: type[pydantic.BaseModel]) -> dict[str, Any]:
    """Describe a certificate as a file with parameters, or all of it as JSON."""
    properties = {
        "certificate": _FILE,
        "intermediate": {"type": "array", "items": _FILE},
        "parameters": _parameters(shape),
    }
    return _body(
        {
            "multipart/form-data": _object(properties, "certificate"),
            "application/json": body.model_json_schema(),
        }
    )


def _parameters(shape: type[pydantic.BaseModel]) -> dict[str, Any]:
    return {
        "type": "string",
        "contentMediaType": "application/json",
        "contentSchema": shape.model_json_schema(),
    }


def _object(properties: dict[str, Any], required: str) -> dict[str, Any]:
    return {"type": "object", "properties": properties, "required": [required]}


def _body(content: dict[str, Any]) -> dict[str, Any]:
    described = {media_type: {"schema": schema} for media_type, schema in content.items()}
    return {"requestBody": {"required": True, "content": described}}
