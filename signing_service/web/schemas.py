"""The JSON of the calls that sign and augment, and how it becomes domain values."""

import base64
from typing import Annotated, Any, Literal

import pydantic

from pki import algorithms, certificates, clock, signature
from signing_service import documents, parameters
from signing_service.signing import batches, sessions, signers
from signing_service.web import json_shapes

MAX_PARAMETERS_BYTES = 64 * 2**10
"""The largest part `parameters`: a certificate in base64 takes two to four kilobytes."""


MAX_VALUE = 2048
"""The longest signature value in base64; RSA of 8192 bits takes 1368."""


class CardShape(json_shapes.Strict):
    """A person with a card: the signing certificate."""

    certificate: Annotated[str, pydantic.Field(max_length=16_384)]


class PhoneShape(json_shapes.Strict):
    """A person with a phone."""

    phone_number: Annotated[str, pydantic.Field(min_length=3, max_length=40)]
    person_code: Annotated[str, pydantic.Field(min_length=3, max_length=40)]


class SealShape(json_shapes.Strict):
    """An organisation, by the name of its seal."""

    seal: Annotated[str, pydantic.Field(min_length=1, max_length=100)]


class AppearanceShape(json_shapes.Strict):
    """How a visible signature of a PDF looks, and where it stands."""

    page: Annotated[
        int, pydantic.Field(description="Counted from 1; -1 is the last. Not with a field.")
    ] = -1
    box: Annotated[
        Annotated[list[int], pydantic.Field(min_length=4, max_length=4)] | None,
        pydantic.Field(
            description="Left, bottom, right, top in points from the lower left corner of the page"
            " as it is shown. Without it: the first free place at the foot of the page."
        ),
    ] = None
    field: Annotated[
        str | None,
        pydantic.Field(
            description="The full name of an empty signature field of the document, which is"
            " signed where it stands; its lock and its demands (seed values) count."
        ),
    ] = None
    text: Annotated[
        bool,
        pydantic.Field(
            description="Whether it tells who signed, when and why; false only with the part"
            " appearance_image."
        ),
    ] = True


Changes = Literal["no-changes", "form-filling", "annotations"]


class LockShape(json_shapes.Strict):
    """Form fields of a PDF that the signature locks."""

    action: Annotated[
        Literal["all", "include", "exclude"],
        pydantic.Field(description="All fields, those named, or all but those named."),
    ]
    fields: Annotated[
        list[str],
        pydantic.Field(
            default_factory=list,
            max_length=parameters.MAX_LOCKED,
            description="Full names of form fields of the document.",
        ),
    ]
    changes: Annotated[
        Changes | None,
        pydantic.Field(
            description="What else may be changed after the signature (PDF 2.0); a certification"
            " says it itself."
        ),
    ] = None


class SigningShape(json_shapes.Strict):
    """The part `parameters` of POST /api/v1/signing-sessions."""

    format: str
    level: str
    packaging: str | None = None
    signer: dict[str, Any]
    commitment: str | None = None
    place: str | None = None
    reason: str | None = None
    role: str | None = None
    container_signature: Literal["XAdES", "CAdES"] = "XAdES"
    appearance: AppearanceShape | None = None
    certification: Annotated[
        Changes | None,
        pydantic.Field(
            description="Makes the first signature of a PDF a certification, after which this may"
            " be changed; without it the signature is an approval."
        ),
    ] = None
    lock: LockShape | None = None
    display_text: str | None = None
    counter_signature_of: str | None = None
    digests: Annotated[
        list[json_shapes.DigestShape],
        pydantic.Field(default_factory=list, max_length=json_shapes.MAX_DIGESTS),
    ]


class AugmentationShape(json_shapes.Strict):
    """The part `parameters` of POST /api/v1/augmentations."""

    level: str


class SignatureValueShape(json_shapes.Strict):
    """The body of POST /api/v1/signing-sessions/{id}/signature-value."""

    signature_value: Annotated[str, pydantic.Field(max_length=MAX_VALUE)]
    signature_algorithm: str
    hash_algorithm: str


class BatchValueShape(SignatureValueShape):
    """One value of POST /api/v1/signing-batches/{id}/signature-values."""

    session: Annotated[str, pydantic.Field(max_length=40)]


class BatchValuesShape(json_shapes.Strict):
    """The body of POST /api/v1/signing-batches/{id}/signature-values."""

    values: Annotated[list[BatchValueShape], pydantic.Field(max_length=json_shapes.MAX_DIGESTS)]


def read_signing(
    text: bytes,
) -> tuple[parameters.SignatureParameters, signers.Signer, tuple[documents.DocumentDigest, ...]]:
    """Read what to sign how, with whom, and the hashes of documents that stay with the caller.

    Raises:
        ParametersError: A field is missing, unknown or wrong; its name is in the error.
    """
    shape = json_shapes.read(SigningShape, text)
    format_ = json_shapes.member(documents.SignatureFormat, shape.format, "format")
    level = _level(shape.level)
    chosen = parameters.SignatureParameters(
        format=format_,
        level=level,
        **(
            {}
            if shape.packaging is None
            else {
                "packaging": json_shapes.member(parameters.Packaging, shape.packaging, "packaging")
            }
        ),
        commitment=None
        if shape.commitment is None
        else json_shapes.member(parameters.CommitmentType, shape.commitment, "commitment"),
        place=shape.place,
        reason=shape.reason,
        role=shape.role,
        container_signature=documents.SignatureFormat(shape.container_signature),
        appearance=_appearance(shape.appearance),
        certification=_changes(shape.certification),
        lock=_lock(shape.lock),
        display_text=shape.display_text,
        counter_signature_of=shape.counter_signature_of,
    )
    digests = json_shapes.read_digests(shape.digests)
    return chosen, _signer(shape.signer), digests


def _appearance(shape: AppearanceShape | None) -> parameters.Appearance | None:
    if shape is None:
        return None
    box = shape.box
    return parameters.Appearance(
        shape.page,
        None if box is None else (box[0], box[1], box[2], box[3]),
        shape.field,
        shape.text,
    )


def _changes(value: str | None) -> parameters.PermittedChanges | None:
    return None if value is None else parameters.PermittedChanges(value)


def _lock(shape: LockShape | None) -> parameters.FieldLock | None:
    if shape is None:
        return None
    return parameters.FieldLock(
        parameters.LockAction(shape.action), tuple(shape.fields), _changes(shape.changes)
    )


def read_augmentation(text: bytes) -> documents.SignatureLevel:
    """Read to which level signatures are raised.

    Raises:
        ParametersError: No level, or none that can be raised to.
    """
    return _level(json_shapes.read(AugmentationShape, text or b"{}").level)


def _level(label: str) -> documents.SignatureLevel:
    for one in documents.SignatureLevel:
        if one.label == label:
            return one
    raise parameters.ParametersError("level: expected B-B, B-T, B-LT or B-LTA", field="level")


def read_signature_value(text: bytes) -> signature.SignatureValue:
    """Read a signature value.

    Raises:
        ParametersError: A field is missing, unknown or wrong.
    """
    return _value(json_shapes.read(SignatureValueShape, text), "")


def read_batch_values(text: bytes) -> dict[str, signature.SignatureValue]:
    """Read the signature values of a batch, by the ids of their sessions.

    Raises:
        ParametersError: A field is missing, unknown or wrong, or a session comes twice.
    """
    shape = json_shapes.read(BatchValuesShape, text)
    found = {one.session: _value(one, f"values.{at}.") for at, one in enumerate(shape.values)}
    if len(found) != len(shape.values):
        raise parameters.ParametersError(
            "values: expected one value for each session", field="values"
        )
    return found


def _value(shape: SignatureValueShape, prefix: str) -> signature.SignatureValue:
    return signature.SignatureValue(
        algorithm=json_shapes.member(
            algorithms.SignatureAlgorithm,
            shape.signature_algorithm,
            f"{prefix}signature_algorithm",
        ),
        hash_algorithm=json_shapes.member(
            algorithms.HashAlgorithm, shape.hash_algorithm, f"{prefix}hash_algorithm"
        ),
        value=json_shapes.binary(shape.signature_value, f"{prefix}signature_value"),
    )


def show_session(row: sessions.SigningSession) -> dict[str, object]:
    """Return a session as every call shows it."""
    shown: dict[str, object] = {
        "id": row.id,
        "state": row.state.value,
        "level": documents.SignatureLevel(row.level).label,
        "level_reached": row.reached.label if row.reached is not None else None,
        "expires_at": clock.time_text(row.expires_at),
    }
    countersigned = row.prepared.counter_signature_of
    if countersigned is not None:
        shown["counter_signature_of"] = countersigned
    if row.control_code is not None:
        shown["control_code"] = row.control_code
    if row.error_code is not None:
        shown["error"] = {"code": row.error_code, "message": row.error_message}
    if row.state is sessions.SessionState.AWAITING_VALUE:
        # Whoever opened it may have been interrupted: all that is needed to go on.
        shown |= _to_be_signed(row)
    return shown


def show_batch(batch: batches.Batch) -> dict[str, object]:
    """Return a batch with every session and what is to be signed in it."""
    states = {one.state for one in batch.sessions}
    code = batch.sessions[0].control_code
    return {
        "id": batch.id,
        # One word where all agree; otherwise the sessions tell.
        "state": states.pop().value if len(states) == 1 else "mixed",
        "confirmation": base64.b64encode(batch.confirmation).decode(),
        **({} if code is None else {"control_code": code}),
        "sessions": [{"document": one.document_name, **show_opened(one)} for one in batch.sessions],
    }


def show_opened(row: sessions.SigningSession) -> dict[str, object]:
    """Return a session as the call that opens it shows it: with what is to be signed."""
    return show_session(row) | _to_be_signed(row)


def _to_be_signed(row: sessions.SigningSession) -> dict[str, object]:
    representation = row.representation
    signing_certificate = row.path[0]
    return {
        "data_to_be_signed": base64.b64encode(row.data_to_be_signed).decode(),
        "representation": {
            "hash_algorithm": representation.hash_algorithm.value,
            "hash": base64.b64encode(representation.hash).decode(),
        },
        "signing_certificate": base64.b64encode(certificates.to_der(signing_certificate)).decode(),
    }


def _signer(value: dict[str, Any]) -> signers.Signer:
    if "certificate" in value:
        card = json_shapes.check(CardShape, value, "signer.")
        return signers.CardSigner(json_shapes.binary(card.certificate, "signer.certificate"))
    if "phone_number" in value or "person_code" in value:
        phone = json_shapes.check(PhoneShape, value, "signer.")
        return signers.PhoneSigner(phone.phone_number, phone.person_code)
    if "seal" in value:
        return signers.SealSigner(json_shapes.check(SealShape, value, "signer.").seal)
    raise parameters.ParametersError(
        "signer: expected a certificate, a phone_number and a person_code, or a seal",
        field="signer",
    )
