"""The JSON of the calls that validate, and how it becomes domain values."""

import dataclasses
import datetime
from typing import Annotated, Literal

import pydantic

from signing_service import documents
from signing_service.reports import forms
from signing_service.web import json_shapes

MAX_CERTIFICATE = 90_000
"""The longest certificate in base64: 64 KiB of DER."""


class ValidationShape(json_shapes.Strict):
    """The part `parameters` of POST /api/v1/validations."""

    policy: str | None = None
    at: str | None = None
    report: Literal["simple", "detailed", "etsi", "diagnostic"] = "simple"
    values: bool = False
    digests: Annotated[
        list[json_shapes.DigestShape],
        pydantic.Field(default_factory=list, max_length=json_shapes.MAX_DIGESTS),
    ]


class CertificateValidationShape(json_shapes.Strict):
    """The part `parameters` of POST /api/v1/certificates/validations."""

    policy: str | None = None
    at: str | None = None


class CertificateBodyShape(CertificateValidationShape):
    """The JSON body of POST /api/v1/certificates/validations: certificates in base64 of DER."""

    certificate: Annotated[str, pydantic.Field(max_length=MAX_CERTIFICATE)]
    intermediates: Annotated[
        list[Annotated[str, pydantic.Field(max_length=MAX_CERTIFICATE)]],
        pydantic.Field(default_factory=list, max_length=20),
    ]


@dataclasses.dataclass(frozen=True)
class ValidationChoice:
    """How to validate.

    Attributes:
        at: The time judged; None is the moment at which the document's turn has come.
        kind: What the report tells.
        values: Certificates and revocation data are told with their DER, where they are told.
        policy: Its name; None is the built-in one.
        digests: Hashes of originals that stay with the caller.
    """

    at: datetime.datetime | None
    kind: forms.Kind
    values: bool
    policy: str | None
    digests: tuple[documents.DocumentDigest, ...] = ()


def read_validation(text: bytes) -> ValidationChoice:
    """Read how to validate; an empty part means: now, and a simple report.

    Raises:
        ParametersError: A field is unknown or wrong.
    """
    shape = json_shapes.read(ValidationShape, text or b"{}")
    at = None if shape.at is None else json_shapes.time(shape.at, "at")
    return ValidationChoice(
        at,
        forms.Kind(shape.report),
        shape.values,
        shape.policy,
        json_shapes.read_digests(shape.digests),
    )


@dataclasses.dataclass(frozen=True)
class CertificateChoice:
    """A certificate and how to validate it.

    Attributes:
        certificate: DER, or PEM where it came as a file; as the stranger sent it.
        intermediates: The same of those that a path may lead over.
        at: The time judged.
        policy: Its name; None is the built-in one.
    """

    certificate: bytes
    intermediates: tuple[bytes, ...]
    at: datetime.datetime
    policy: str | None


def read_certificate_body(text: bytes, now: datetime.datetime) -> CertificateChoice:
    """Read a JSON body with a certificate.

    Raises:
        ParametersError: A field is missing, unknown or wrong.
    """
    shape = json_shapes.read(CertificateBodyShape, text)
    return CertificateChoice(
        json_shapes.binary(shape.certificate, "certificate"),
        tuple(
            json_shapes.binary(one, f"intermediates.{place}")
            for place, one in enumerate(shape.intermediates)
        ),
        now if shape.at is None else json_shapes.time(shape.at, "at"),
        shape.policy,
    )


def read_certificate_upload(
    certificate: bytes, intermediates: tuple[bytes, ...], text: bytes, now: datetime.datetime
) -> CertificateChoice:
    """Read the parameters beside a certificate that came as a file.

    Raises:
        ParametersError: A field is unknown or wrong.
    """
    shape = json_shapes.read(CertificateValidationShape, text or b"{}")
    at = now if shape.at is None else json_shapes.time(shape.at, "at")
    return CertificateChoice(certificate, intermediates, at, shape.policy)
