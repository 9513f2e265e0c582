"""The signing and validation API: `/api/v1`.

A route reads a request, calls one function of the main job and shows the result. Long polls wait
without a thread and without a connection to the database.
"""

import dataclasses
import functools
import hashlib
import os
import urllib.parse
from collections.abc import Callable, Iterator, Set
from typing import Annotated, Any, BinaryIO, TypeVar

import anyio
import anyio.to_thread
import fastapi
from fastapi import responses

from pki import access, certificates, clock, errors, web
from signing_service import augmentation, documents, parameters, report_sealing
from signing_service.service import SigningService
from signing_service.signing import (
    batches,
    document_store,
    flow,
    phone_signing,
    sealing,
    sessions,
    signers,
)
from signing_service.validation.diagnostics import diagnostic_data
from signing_service.web import request_bodies, schemas, turns, uploads, validation_api

MAX_WAIT_S = 60.0
FIRST_PAUSE_S, LONGEST_PAUSE_S = 0.05, 0.5
"""A long poll looks often at first, as most answers come soon, and then twice a second."""

MAX_KEY = 200
CHUNK = 2**18

MEDIA_TYPES = {
    documents.SignatureFormat.PADES: "application/pdf",
    documents.SignatureFormat.XADES: "application/xml",
    documents.SignatureFormat.CADES: "application/pkcs7-signature",
    documents.SignatureFormat.ASIC_E: "application/vnd.etsi.asic-e+zip",
    documents.SignatureFormat.ASIC_S: "application/vnd.etsi.asic-s+zip",
}

Result = TypeVar("Result")


class PhonesUnavailableError(errors.PolicyError):
    """This installation has no mobile operator's gateway."""

    code = "phones-unavailable"


def routes(
    service: SigningService,
    phones: phone_signing.PhoneSigning | None,
    judges: validation_api.Judges,
    tokens: access.AccessTokens,
    seals: sealing.Seals,
) -> fastapi.APIRouter:
    """Return the routes of signing and validation.

    Args:
        service: The signing service.
        phones: Signing with phones, where there is a gateway.
        judges: Judge documents and certificates, in a process with limits.
        tokens: Who calls.
        seals: Organisations' keys.
    """
    router = fastapi.APIRouter(prefix="/api/v1")
    desk = Desk(service, phones, seals)
    _add_signing(router, desk, _signs(tokens, service.clock))
    _add_batches(router, desk, _signs(tokens, service.clock))
    validation_api.add_routes(
        router,
        service,
        judges,
        web.require_scope(tokens, service.clock, "validate"),
        report_sealing.configured(service, seals),
    )
    _add_augmentation(router, service, judges, web.require_scope(tokens, service.clock, "sign"))
    return router


Caller = Callable[[fastapi.Request], access.Caller]


@dataclasses.dataclass(frozen=True)
class Desk:
    """The signing service, and whom it signs with besides cards."""

    service: SigningService
    phones: phone_signing.PhoneSigning | None
    seals: sealing.Seals


def _signs(tokens: access.AccessTokens, present: clock.Clock) -> Caller:
    """Let in who may sign with people, or with seals; which of the two is looked at later."""
    people = web.require_scope(tokens, present, "sign")
    seals = web.require_scope(tokens, present, sealing.SCOPE)

    def check(request: fastapi.Request) -> access.Caller:
        try:
            return people(request)
        except access.InsufficientScopeError:
            return seals(request)

    return check


def _add_signing(router: fastapi.APIRouter, desk: Desk, require_sign: Caller) -> None:
    service = desk.service
    caller_type = Annotated[access.Caller, fastapi.Depends(require_sign)]
    now = service.clock.now

    @router.post(
        "/signing-sessions",
        status_code=201,
        openapi_extra=request_bodies.multipart(schemas.SigningShape, several=True, picture=True),
    )
    async def open_session(
        request: fastapi.Request, response: fastapi.Response, caller: caller_type
    ) -> dict[str, object]:
        key = _idempotency_key(request)
        async with uploads.read_upload(
            request,
            max_bytes=service.settings.max_document_bytes,
            takes_detached=False,
            takes_several=True,
            takes_picture=True,
        ) as upload:
            row = await _in_thread(_open, desk, upload, caller, key)
        response.headers["Location"] = f"/api/v1/signing-sessions/{row.id}"
        return schemas.show_opened(row)

    @router.get("/signing-sessions/{session_id}")
    async def read_session(
        session_id: str,
        caller: caller_type,
        wait: Annotated[float, fastapi.Query(ge=0, le=MAX_WAIT_S)] = 0,
    ) -> dict[str, object]:
        read = functools.partial(flow.read_session, service, session_id, caller.client_id)
        return schemas.show_session(
            await _changed(lambda: read(now()), lambda row: {row.state}, wait)
        )

    @router.post(
        "/signing-sessions/{session_id}/signature-value",
        openapi_extra=request_bodies.json(schemas.SignatureValueShape),
    )
    async def complete_session(
        session_id: str, request: fastapi.Request, caller: caller_type
    ) -> dict[str, object]:
        body = await web.read_body(
            request, limit=schemas.MAX_PARAMETERS_BYTES, content_type="application/json"
        )
        value = schemas.read_signature_value(body)
        row = await _in_thread(
            lambda: flow.complete_session(service, session_id, caller.client_id, value, now())
        )
        return schemas.show_session(row)

    @router.get("/signing-sessions/{session_id}/document")
    def signed_document(session_id: str, caller: caller_type) -> fastapi.Response:
        return _document(service, session_id, caller.client_id)

    @router.post("/signing-sessions/{session_id}/cancel")
    def cancel_session(session_id: str, caller: caller_type) -> dict[str, object]:
        return schemas.show_session(
            flow.cancel_session(service, session_id, caller.client_id, now())
        )


def _add_batches(router: fastapi.APIRouter, desk: Desk, require_sign: Caller) -> None:
    caller_type = Annotated[access.Caller, fastapi.Depends(require_sign)]
    service = desk.service
    now = service.clock.now

    @router.post(
        "/signing-batches",
        status_code=201,
        openapi_extra=request_bodies.multipart(schemas.SigningShape, several=True, picture=True),
    )
    async def open_batch(
        request: fastapi.Request, response: fastapi.Response, caller: caller_type
    ) -> dict[str, object]:
        key = _idempotency_key(request)
        async with uploads.read_upload(
            request,
            max_bytes=service.settings.max_document_bytes,
            takes_detached=False,
            takes_several=True,
            takes_picture=True,
        ) as upload:
            batch = await _in_thread(_open_batch, desk, upload, caller, key)
        response.headers["Location"] = f"/api/v1/signing-batches/{batch.id}"
        return schemas.show_batch(batch)

    @router.get("/signing-batches/{batch_id}")
    async def read_batch(
        batch_id: str,
        caller: caller_type,
        wait: Annotated[float, fastapi.Query(ge=0, le=MAX_WAIT_S)] = 0,
    ) -> dict[str, object]:
        read = functools.partial(batches.read_batch, service, batch_id, caller.client_id)
        return schemas.show_batch(
            await _changed(
                lambda: read(now()), lambda batch: {one.state for one in batch.sessions}, wait
            )
        )

    @router.post("/signing-batches/{batch_id}/cancel")
    def cancel_batch(batch_id: str, caller: caller_type) -> dict[str, object]:
        return schemas.show_batch(batches.cancel_batch(service, batch_id, caller.client_id, now()))

    @router.post(
        "/signing-batches/{batch_id}/signature-values",
        openapi_extra=request_bodies.json(schemas.BatchValuesShape),
    )
    async def complete_batch(
        batch_id: str, request: fastapi.Request, caller: caller_type
    ) -> dict[str, object]:
        body = await web.read_body(
            request, limit=schemas.MAX_PARAMETERS_BYTES, content_type="application/json"
        )
        values = schemas.read_batch_values(body)
        batch = await _in_thread(
            lambda: batches.complete_batch(service, batch_id, caller.client_id, values, now())
        )
        return schemas.show_batch(batch)


async def _changed(
    read: Callable[[], Result],
    states: Callable[[Result], Set[sessions.SessionState]],
    wait_s: float,
) -> Result:
    """Read until a state changes, all are final, or the time is over."""
    found = first = await _in_thread(read)
    pause = FIRST_PAUSE_S
    with anyio.move_on_after(wait_s):
        while states(found) == states(first) and not all(one.is_final for one in states(found)):
            await anyio.sleep(pause)
            pause = min(pause * 1.5, LONGEST_PAUSE_S)
            found = await _in_thread(read)
    return found


def _open_batch(
    desk: Desk, upload: uploads.Upload, caller: access.Caller, key: str | None
) -> batches.Batch:
    service, at = desk.service, desk.service.clock.now()
    opening, signer = _read_opening(service, upload, caller, key)
    if isinstance(signer, signers.PhoneSigner):
        if desk.phones is None:
            raise PhonesUnavailableError("this installation cannot sign with phones")
        return phone_signing.open_phone_batch(desk.phones, opening, signer, at)
    if isinstance(signer, signers.SealSigner):
        seal = desk.seals.choose(signer.name, caller)
        opening = dataclasses.replace(opening, seal=seal.name)
        batch = batches.open_batch(service, opening, seal.certificate, at)
        return batches.sign_batch(service, batch, caller.client_id, seal.sign, at)
    certificate = certificates.parse(signer.certificate_der)
    return batches.open_batch(service, opening, certificate, at)


def _add_augmentation(
    router: fastapi.APIRouter,
    service: SigningService,
    judges: validation_api.Judges,
    require_sign: Caller,
) -> None:
    line = turns.Turns()

    @router.post(
        "/augmentations",
        openapi_extra=request_bodies.multipart(schemas.AugmentationShape, detached=True),
        response_class=responses.StreamingResponse,
    )
    async def augment_document(
        request: fastapi.Request,
        caller: Annotated[access.Caller, fastapi.Depends(require_sign)],
    ) -> fastapi.Response:
        async with (
            line.place(caller.client_id) as turn,
            uploads.read_upload(
                request, max_bytes=service.settings.max_document_bytes, takes_detached=True
            ) as upload,
        ):
            level = schemas.read_augmentation(upload.parameters)
            async with turn:
                return await _in_thread(_augment, service, judges, upload, level)


def _augment(
    service: SigningService,
    judges: validation_api.Judges,
    upload: uploads.Upload,
    level: documents.SignatureLevel,
) -> fastapi.Response:
    # In a process with limits, before anything here reads a stranger's document.
    report = judges.document(
        upload.document, upload.detached, None, None, diagnostic_data.Extent.NONE
    )
    if not report.signatures or any(one.intact is False for one in report.signatures):
        raise augmentation.NotIntactError(
            "expected a document with signatures that verify, got one without or with another"
        )
    target = upload.document.path.with_name("augmented")
    done = augmentation.augment_document(
        service, upload.document, target, level, service.clock.now(), detached=upload.detached
    )
    # The open file outlives its folder, which goes with the upload.
    stream = _stream(target.open("rb"), upload.document.name, done.format, level)
    if done.left:
        # Codes alone: the identifiers are a stranger's, and the report has them.
        codes = sorted(one.code for one in done.left.values())
        stream.headers["Imza-Counter-Signatures-Left"] = ", ".join(codes)
    return stream


def _read_opening(
    service: SigningService, upload: uploads.Upload, caller: access.Caller, key: str | None
) -> tuple[flow.Opening, signers.Signer]:
    if not upload.parameters:
        raise parameters.ParametersError(
            "parameters: expected a JSON object, got no such part", field="parameters"
        )
    chosen, signer, digests = schemas.read_signing(upload.parameters)
    chosen = dataclasses.replace(chosen, appearance=_pictured(service, chosen, upload.picture))
    first, further = upload.files[:1], upload.files[1:]
    if not isinstance(signer, signers.SealSigner) and "sign" not in caller.scopes:
        raise access.InsufficientScopeError("expected a token with the scope 'sign'")
    opening = flow.Opening(
        caller.client_id,
        first[0] if first else None,
        chosen,
        key,
        _digest(upload) if key is not None else b"",
        further=further,
        digests=digests,
    )
    return opening, signer


def _pictured(
    service: SigningService,
    chosen: parameters.SignatureParameters,
    picture: documents.Document | None,
) -> parameters.Appearance | None:
    """Put the picture that was sent into the appearance, decoded in a process with limits."""
    shown = chosen.appearance
    if picture is None:
        if shown is not None and not shown.text:
            raise parameters.ParametersError(
                f"expected the part {uploads.PICTURE} for an appearance without text",
                field="appearance.text",
            )
        return shown
    if shown is None:
        raise parameters.ParametersError(
            f"expected an appearance for the part {uploads.PICTURE} to stand in",
            field="appearance",
        )
    return dataclasses.replace(shown, picture=service.read_picture(picture.path))


def _open(
    desk: Desk, upload: uploads.Upload, caller: access.Caller, key: str | None
) -> sessions.SigningSession:
    service, at = desk.service, desk.service.clock.now()
    opening, signer = _read_opening(service, upload, caller, key)
    if isinstance(signer, signers.SealSigner):
        seal = desk.seals.choose(signer.name, caller)
        return sealing.seal_document(service, seal, opening, at)
    if isinstance(signer, signers.PhoneSigner):
        if desk.phones is None:
            raise PhonesUnavailableError("this installation cannot sign with phones")
        return phone_signing.open_phone_session(desk.phones, opening, signer, at)
    certificate = certificates.parse(signer.certificate_der)
    return flow.open_session(service, opening, certificate, at)


def _digest(upload: uploads.Upload) -> bytes:
    """What makes two requests the same one."""
    parts = [hashlib.sha256(upload.parameters).digest()]
    for one in (*upload.files, *((upload.picture,) if upload.picture else ())):
        with one.path.open("rb") as file:
            parts.append(hashlib.file_digest(file, "sha256").digest())
        parts.append(hashlib.sha256(one.name.encode("utf-8", "surrogatepass")).digest())
    return hashlib.sha256(b"".join(parts)).digest()


def _idempotency_key(request: fastapi.Request) -> str | None:
    key = request.headers.get("idempotency-key")
    if key is not None and not (0 < len(key) <= MAX_KEY and key.isascii() and key.isprintable()):
        raise parameters.ParametersError(
            f"Idempotency-Key: expected 1 to {MAX_KEY} printable ASCII characters",
            field="Idempotency-Key",
        )
    return key


def _document(
    service: SigningService, session_id: str, client_id: str
) -> responses.StreamingResponse:
    file, signed = _open_document(service, session_id, client_id)
    return _stream(file, signed.document.name, signed.format, signed.level)


def _stream(
    file: BinaryIO,
    name: str,
    format: documents.SignatureFormat,
    level: documents.SignatureLevel,
) -> responses.StreamingResponse:
    quoted = urllib.parse.quote(name.encode("utf-8", "replace"))
    return responses.StreamingResponse(
        _chunks(file),
        media_type=MEDIA_TYPES[format],
        headers={
            "Content-Length": str(os.fstat(file.fileno()).st_size),
            # RFC 6266 4.3: the name in UTF-8, whatever the letters.
            "Content-Disposition": f"attachment; filename*=UTF-8''{quoted}",
            "Imza-Level": level.label,
            "X-Content-Type-Options": "nosniff",
        },
    )


def _open_document(
    service: SigningService, session_id: str, client_id: str
) -> tuple[BinaryIO, documents.SignedDocument]:
    for _ in documents.SignatureLevel:
        signed = flow.signed_document(service, session_id, client_id, service.clock.now())
        try:
            return signed.document.path.open("rb"), signed
        except FileNotFoundError:
            # Raised to the next level in this moment, whose file is there now.
            continue
    raise document_store.DocumentMissingError(f"the document of session {session_id} is missing")


def _chunks(file: BinaryIO) -> Iterator[bytes]:
    with file:
        while chunk := file.read(CHUNK):
            yield chunk


async def _in_thread(function: Callable[..., Result], *arguments: Any) -> Result:
    return await anyio.to_thread.run_sync(functools.partial(function, *arguments))
