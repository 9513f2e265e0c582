"""CMP over HTTP (RFC 9811), and the route that gives references to applicants."""

import datetime
from typing import Annotated, Any

import fastapi
import pydantic
from sqlalchemy import orm

from ca.applications import states
from ca.enrolment import conversation, messages, references
from ca.enrolment import settings as enrolment_settings
from ca.operators import gate as gates
from ca.operators import roles
from pki import clock, errors, profiles, web

CMP_TYPE = "application/pkixcmp"


class ReferenceBody(pydantic.BaseModel):
    """What is asked of a new reference."""

    model_config = pydantic.ConfigDict(extra="forbid", strict=True)

    profile: str = pydantic.Field(profiles.AUTHENTICATE.name, max_length=32)
    reusable: bool = False


def routes(office: conversation.Office, present: clock.Clock) -> fastapi.APIRouter:
    """Return the route `/cmp`.

    A refusal is HTTP 200 with an error message, as an answer is (RFC 9811 3.3); only another
    content type is 415.
    """
    router = fastapi.APIRouter(tags=["cmp"])

    @router.post("/cmp", response_class=fastapi.Response)
    def answer(body: Annotated[bytes | None, fastapi.Depends(_read_body)]) -> fastapi.Response:
        at = present.now()
        if body is None:
            content = conversation.refuse_size(office, at)
        else:
            content = conversation.answer(body, office, at)
        return fastapi.Response(content, media_type=CMP_TYPE, headers={"Cache-Control": "no-store"})

    return router


def registration_routes(
    office: conversation.Office,
    settings: enrolment_settings.Settings,
    gate: gates.Gate,
    present: clock.Clock,
) -> fastapi.APIRouter:
    """Return the route that gives an approved application a reference and its secret."""
    router = fastapi.APIRouter(prefix="/ra/v1", tags=["registration"])

    def asks(permission: roles.Permission) -> Any:
        return fastapi.Depends(gate.requires(permission))

    @router.post("/applications/{application_id}/enrolment-references", status_code=201)
    def record_reference(
        application_id: str,
        caller: Annotated[roles.Operator, asks(roles.Permission.CERTIFY)],
        asked: Annotated[ReferenceBody, fastapi.Depends(_read_reference)],
        response: fastapi.Response,
    ) -> dict[str, Any]:
        with office.sessions() as session:
            reference = _record(session, application_id, asked, caller, present.now())
            session.commit()
        # The secret is told this once; it is not stored, here or on the way.
        response.headers["Cache-Control"] = "no-store"
        return {
            "reference": reference.reference,
            "secret": office.secrets.of(reference.reference).decode("ascii"),
            "profile": reference.profile,
            "reusable": reference.reusable,
            "expires_at": clock.time_text(reference.expires_at),
        }

    def _record(
        session: orm.Session,
        application_id: str,
        asked: ReferenceBody,
        caller: roles.Operator,
        at: datetime.datetime,
    ) -> references.Reference:
        if not states.is_approved(states.find(session, application_id)):
            raise states.NotApprovedError("the application awaits an officer's approval")
        return references.record_reference(
            session,
            application_id,
            asked.profile,
            settings.reference_validity,
            at,
            actor=caller.actor,
            reusable=asked.reusable,
            test=office.authorities.settings.test,
        )

    return router


async def _read_body(request: fastapi.Request) -> bytes | None:
    try:
        return await web.read_body(request, limit=messages.MAX_MESSAGE_BYTES, content_type=CMP_TYPE)
    except errors.LimitError:
        return None


async def _read_reference(request: fastapi.Request) -> ReferenceBody:
    content = await web.read_body(request, limit=4096, content_type="application/json")
    try:
        return ReferenceBody.model_validate_json(content)
    except pydantic.ValidationError as error:
        field = ".".join(str(part) for part in error.errors()[0]["loc"]) or "body"
        raise errors.InputError(f"{field}: {error.errors()[0]['msg']}") from error
