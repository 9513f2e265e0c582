"""Validation over HTTP: documents and certificates, judged in processes with limits."""

import dataclasses
import datetime
from collections.abc import Callable, Sequence
from typing import Annotated

import anyio.to_thread
import fastapi

from pki import access, errors, web
from signing_service import documents, report_sealing
from signing_service.reports import etsi, forms, languages, page, sheet
from signing_service.service import SigningService
from signing_service.validation import report as validation_report
from signing_service.validation.certificates import certificate_report
from signing_service.validation.diagnostics import diagnostic_data
from signing_service.web import request_bodies, turns, uploads, validation_schemas

MAX_CERTIFICATES_BYTES = 512 * 2**10
"""A certificate and its issuers; each has one to three kilobytes."""

_FORMS = ", ".join(one.value for one in forms.Form)


class NotAcceptableError(errors.InputError):
    """The answer was asked for in a form that does not exist."""

    code = "report-form-unknown"


@dataclasses.dataclass(frozen=True)
class Judges:
    """Who judges what strangers send.

    Attributes:
        document: Judges a document, beside its detached originals, for a time or, with None, for
            the moment at which it is judged, by the policy of a name, with as much diagnostic data
            as is asked for.
        certificate: Judges a certificate in DER or PEM, beside others, for a time, by the policy
            of a name.
        print_sheet: Sets a report as PDF.
    """

    document: Callable[
        [
            documents.Document,
            Sequence[documents.Detached],
            datetime.datetime | None,
            str | None,
            diagnostic_data.Extent,
        ],
        validation_report.ValidationReport,
    ]
    certificate: Callable[
        [bytes, Sequence[bytes], datetime.datetime, str | None],
        certificate_report.CertificateReport,
    ]
    print_sheet: Callable[[sheet.Sheet], bytes]


def add_routes(
    router: fastapi.APIRouter,
    service: SigningService,
    judges: Judges,
    require_validate: Callable[[fastapi.Request], access.Caller],
    sealer: report_sealing.ReportSealer | None = None,
) -> None:
    """Add the routes that validate.

    Args:
        router: Of `/api/v1`.
        service: Its clock and limits.
        judges: Who judges.
        require_validate: Lets in who may validate.
        sealer: Signs XML reports, where the operator wants it.
    """
    caller_type = Annotated[access.Caller, fastapi.Depends(require_validate)]
    line = turns.Turns()

    @router.post(
        "/validations",
        openapi_extra=request_bodies.multipart(validation_schemas.ValidationShape, detached=True),
    )
    async def validate_document(request: fastapi.Request, caller: caller_type) -> fastapi.Response:
        wanted = forms.choose(request.headers.get("accept", ""))
        async with (
            line.place(caller.client_id) as turn,
            uploads.read_upload(
                request, max_bytes=service.settings.max_validation_bytes, takes_detached=True
            ) as upload,
        ):
            chosen = validation_schemas.read_validation(upload.parameters)
            form = chosen.kind.form(wanted)
            if form is None:
                raise NotAcceptableError(f"expected Accept: one of {_FORMS}")
            words = languages.preferred(request.headers.get("accept-language", ""))
            beside: list[documents.Detached] = [*upload.detached, *chosen.digests]
            async with turn:
                report = await anyio.to_thread.run_sync(
                    judges.document,
                    upload.document,
                    beside,
                    chosen.at,
                    chosen.policy,
                    chosen.kind.extent(form, values=chosen.values),
                )
                build_xml = etsi.build if sealer is None else _sealed(sealer, caller, service)
                content = await anyio.to_thread.run_sync(
                    forms.render,
                    report,
                    form,
                    words,
                    chosen.kind,
                    build_xml,
                    judges.print_sheet,
                )
        return fastapi.Response(content, headers=_report_headers(report, form, words.language))

    @router.post(
        "/certificates/validations",
        openapi_extra=request_bodies.certificate(
            validation_schemas.CertificateValidationShape, validation_schemas.CertificateBodyShape
        ),
    )
    async def validate_certificate(
        request: fastapi.Request, caller: caller_type
    ) -> dict[str, object]:
        chosen = await _read_certificate(request, service.clock.now())
        async with line.place(caller.client_id) as turn, turn:
            report = await anyio.to_thread.run_sync(
                judges.certificate,
                chosen.certificate,
                chosen.intermediates,
                chosen.at,
                chosen.policy,
            )
        return report.to_json()


def _sealed(
    sealer: report_sealing.ReportSealer, caller: access.Caller, service: SigningService
) -> Callable[[validation_report.ValidationReport], bytes]:
    return lambda shown: sealer.build(shown, caller.client_id, service.clock.now())


async def _read_certificate(
    request: fastapi.Request, now: datetime.datetime
) -> validation_schemas.CertificateChoice:
    sent = uploads.content_type(request)
    if sent == "multipart/form-data":
        upload = await uploads.read_certificates(request, max_bytes=MAX_CERTIFICATES_BYTES)
        return validation_schemas.read_certificate_upload(
            upload.certificate, upload.intermediates, upload.parameters, now
        )
    if sent == "application/json":
        body = await web.read_body(request, limit=2 * MAX_CERTIFICATES_BYTES, content_type=None)
        return validation_schemas.read_certificate_body(body, now)
    raise web.UnsupportedMediaTypeError(
        f"expected multipart/form-data or application/json, got {sent[:100] or 'none'}"
    )


def _report_headers(
    report: validation_report.ValidationReport, form: forms.Form, language: str
) -> dict[str, str]:
    headers = {
        "Content-Type": form.value,
        # What a program wants to know of a report that it only passes on.
        "Imza-Overall": report.overall.value,
        "Vary": "Accept, Accept-Language",
        "X-Content-Type-Options": "nosniff",
    }
    if form in {forms.Form.HTML, forms.Form.PDF}:
        headers["Content-Language"] = language
    if form is forms.Form.HTML:
        headers["Content-Security-Policy"] = page.CONTENT_SECURITY_POLICY
    return headers
