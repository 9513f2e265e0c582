"""The routes about subscribers: contacts and passwords for officers, revocation for everybody."""

from collections.abc import Awaitable, Callable
from typing import Annotated, Any, Literal, TypeVar

import fastapi
import pydantic
from sqlalchemy import orm

from ca import hierarchy, schemas
from ca.operators import gate as gates
from ca.operators import reach, roles
from ca.subscribers import contacts, passwords, self_revocation, sources
from ca.subscribers import settings as subscriber_settings
from pki import audit, certificates, clock, errors, status, web

MAX_BODY_BYTES = 4096

ShapeT = TypeVar("ShapeT", bound=pydantic.BaseModel)

Password = Annotated[str, pydantic.StringConstraints(min_length=1, max_length=passwords.MAX_SENT)]


class _Shape(pydantic.BaseModel):
    model_config = pydantic.ConfigDict(extra="forbid", strict=True)


class ContactShape(_Shape):
    """`PUT /ra/v1/applications/{id}/contact`."""

    email: str | None = pydantic.Field(None, max_length=contacts.MAX_EMAIL)
    phone_number: str | None = pydantic.Field(None, max_length=16)
    language: Literal["az", "ka", "en"]


class PersonShape(_Shape):
    """A person by number."""

    country: Annotated[str, pydantic.StringConstraints(pattern=r"^[A-Z]{2}$")]
    person_code: Annotated[str, pydantic.StringConstraints(min_length=1, max_length=64)]


class RevocationShape(_Shape):
    """`POST /revocation/v1/requests`."""

    serial_number: str | None = pydantic.Field(None, min_length=1, max_length=40)
    person: PersonShape | None = None
    password: Password = pydantic.Field(repr=False)
    reason: str = pydantic.Field(max_length=32)

    def named(self) -> int | self_revocation.PersonNumber:
        """What the request is about."""
        if (self.serial_number is None) == (self.person is None):
            raise errors.InputError("expected either serial_number or person")
        if self.person is not None:
            return self_revocation.PersonNumber(self.person.country, self.person.person_code)
        return certificates.parse_serial(self.serial_number or "")


class CheckShape(_Shape):
    """`POST /ra/v1/certificates/{serial}/subscriber-checks`."""

    password: Password = pydantic.Field(repr=False)


def public_routes(
    sessions: orm.sessionmaker[orm.Session],
    authorities: hierarchy.Hierarchy,
    settings: subscriber_settings.Settings,
    present: clock.Clock,
) -> fastapi.APIRouter:
    """Return the route with which a subscriber suspends or revokes by password."""
    router = fastapi.APIRouter(prefix="/revocation/v1", tags=["subscribers"])
    known = sources.Sources(settings)

    @router.post("/requests")
    def revoke(
        body: Annotated[RevocationShape, fastapi.Depends(_read(RevocationShape))],
        request: fastapi.Request,
        response: fastapi.Response,
    ) -> dict[str, object]:
        response.headers["Cache-Control"] = "no-store"
        named, reason = body.named(), status.RevocationReason.from_name(body.reason)
        at = present.now()
        source = sources.name_of(request.client.host if request.client else None)
        missed_before = known.begin(source, at)
        try:
            changed = self_revocation.act(
                sessions,
                authorities,
                settings,
                named,
                passwords.RevocationPassword(body.password),
                reason,
                at,
                missed_before=missed_before,
            )
        except self_revocation.RequestRefusedError:
            raise
        except errors.ImzaError:
            # Whatever else is wrong, it is not the password.
            known.forgive(source)
            raise
        known.forgive(source)
        # A person's name is not told to who knows a number and a password.
        return {
            "certificates": [
                {
                    key: value
                    for key, value in schemas.certificate(one).items()
                    if key not in ("subject", "issuer")
                }
                for one in changed
            ]
        }

    return router


def routes(
    sessions: orm.sessionmaker[orm.Session],
    settings: subscriber_settings.Settings,
    gate: gates.Gate,
    present: clock.Clock,
) -> fastapi.APIRouter:
    """Return the officers' routes."""
    router = fastapi.APIRouter(prefix="/ra/v1", tags=["registration"])

    def asks(permission: roles.Permission) -> Any:
        return fastapi.Depends(gate.requires(permission))

    @router.put("/applications/{application_id}/contact")
    def record_contact(
        application_id: str,
        caller: Annotated[roles.Operator, asks(roles.Permission.RECORD_APPLICATIONS)],
        body: Annotated[ContactShape, fastapi.Depends(_read(ContactShape))],
    ) -> dict[str, object]:
        contact = contacts.Contact(body.email, body.phone_number, contacts.Language(body.language))
        with sessions() as session:
            contacts.record(session, application_id, contact, present.now(), actor=caller.actor)
            session.commit()
        return body.model_dump()

    @router.post("/applications/{application_id}/revocation-password", status_code=201)
    def renew_password(
        application_id: str,
        caller: Annotated[roles.Operator, asks(roles.Permission.VET_APPLICATIONS)],
        response: fastapi.Response,
    ) -> dict[str, object]:
        with sessions() as session:
            made = passwords.renew(session, application_id, present.now(), actor=caller.actor)
            session.commit()
        # Told this once; nobody can read it out again.
        response.headers["Cache-Control"] = "no-store"
        return {"password": made.text}

    @router.post("/certificates/{serial}/subscriber-checks")
    def check_subscriber(
        serial: str,
        caller: Annotated[roles.Operator, asks(roles.Permission.SUSPEND)],
        body: Annotated[CheckShape, fastapi.Depends(_read(CheckShape))],
    ) -> dict[str, object]:
        number, at = certificates.parse_serial(serial), present.now()
        with sessions() as session:
            reach.check_reach(session, caller, number)
        right = passwords.is_right(
            sessions,
            self_revocation.identify(sessions, number),
            passwords.RevocationPassword(body.password),
            settings,
            at,
            actor=caller.actor,
            counts=False,
        )
        with sessions() as session:
            audit.append(
                session,
                audit.AuditEvent.SUBSCRIBER_CHECKED,
                at,
                actor=caller.actor,
                details={
                    "serial_number": certificates.serial_text(number),
                    "confirmed": "yes" if right else "no",
                },
            )
            session.commit()
        return {"confirmed": right}

    return router


def _read(shape: type[ShapeT]) -> Callable[[fastapi.Request], Awaitable[ShapeT]]:
    """A dependency that reads a small JSON body; what is wrong is told without repeating it."""

    async def read(request: fastapi.Request) -> ShapeT:
        content = await web.read_body(
            request, limit=MAX_BODY_BYTES, content_type="application/json"
        )
        try:
            return shape.model_validate_json(content)
        except pydantic.ValidationError as error:
            field = ".".join(str(part) for part in error.errors()[0]["loc"]) or "body"
            raise errors.InputError(f"{field}: {error.errors()[0]['msg']}") from None

    return read
