"""The routes of applications: hand in, vet, approve, reject, look at, certify."""

from typing import Annotated, Any

import fastapi
import pydantic

from ca import csr
from ca import schemas as ca_schemas
from ca.applications import certification, identity_check, schemas, states
from ca.operators import gate as gates
from ca.operators import roles
from pki import clock, errors, failpoints, registration, web
from pki import vetting as vettings

CSR_TYPE = "application/pkcs10"


def routes(desk: identity_check.Desk, gate: gates.Gate, present: clock.Clock) -> fastapi.APIRouter:
    """Return the routes; the gate lets in whom each call is for.

    Args:
        desk: The database, the authorities and the register.
        gate: Knows the callers: whoever vets or approves is the operator who calls.
        present: The clock.
    """
    sessions, authorities = desk.sessions, desk.authorities
    router = fastapi.APIRouter(
        prefix="/ra/v1/applications",
        tags=["registration"],
        route_class=web.LimitedRoute,
    )

    def asks(permission: roles.Permission) -> Any:
        return fastapi.Depends(gate.requires(permission))

    @router.post("", status_code=201)
    def record_application(
        body: schemas.ApplicationBody,
        caller: Annotated[roles.Operator, asks(roles.Permission.RECORD_APPLICATIONS)],
    ) -> dict[str, object]:
        at, applicant = present.now(), body.to_applicant()
        if body.vetting is None:
            with sessions() as session:
                made = states.record_application(session, applicant, at, operator=caller)
                session.commit()
            return schemas.application(made)
        # Whoever may record may vet (a test holds the roles to it): one call does both.
        record = identity_check.examine(
            desk, applicant, body.vetting.to_vetting(), at, officer=caller.name
        )
        with sessions() as session:
            made = states.record_application(session, applicant, at, operator=caller)
            made = states.vet_application(
                session, made.id, record, at, operator=caller, expected_hash=made.request_hash
            )
            session.commit()
        return schemas.application(made)

    @router.post("/{application_id}/vetting")
    def vet_application(
        application_id: str,
        body: schemas.VettingBody,
        caller: Annotated[roles.Operator, asks(roles.Permission.VET_APPLICATIONS)],
    ) -> dict[str, object]:
        return schemas.application(_vet(application_id, body.to_vetting(), caller))

    def _vet(
        application_id: str, handed_in: vettings.Vetting, caller: roles.Operator
    ) -> registration.Application:
        at = present.now()
        with sessions() as session:
            case = states.find(session, application_id)
            states.check_recorded(session, application_id)
        record = identity_check.examine(
            desk, case.applicant, handed_in, at, officer=caller.name, case=case
        )
        with sessions() as session:
            made = states.vet_application(
                session,
                application_id,
                record,
                at,
                operator=caller,
                expected_hash=case.request_hash,
                signature=handed_in.signature,
            )
            session.commit()
        return made

    @router.post("/{application_id}/approval")
    def approve_application(
        application_id: str,
        body: schemas.ApprovalBody,
        caller: Annotated[roles.Operator, asks(roles.Permission.APPROVE_APPLICATIONS)],
    ) -> dict[str, object]:
        with sessions() as session:
            made = states.approve_application(
                session, application_id, present.now(), operator=caller
            )
            session.commit()
        return schemas.application(made)

    @router.post("/{application_id}/rejection")
    def reject_application(
        application_id: str,
        body: schemas.RejectionBody,
        caller: Annotated[roles.Operator, asks(roles.Permission.REJECT_APPLICATIONS)],
    ) -> dict[str, object]:
        with sessions() as session:
            made = states.reject_application(
                session, application_id, body.reason, present.now(), operator=caller
            )
            session.commit()
        return schemas.application(made)

    @router.get("")
    def list_applications(
        caller: Annotated[roles.Operator, asks(roles.Permission.READ_APPLICATIONS)],
        state: registration.ApplicationState | None = None,
        person_code: Annotated[str | None, fastapi.Query(max_length=64)] = None,
        cursor: Annotated[str | None, fastapi.Query(max_length=32)] = None,
    ) -> dict[str, object]:
        with sessions() as session:
            return schemas.page(
                states.list_applications(
                    session, state=state, person_code=person_code, after=cursor
                )
            )

    @router.get("/{application_id}")
    def show_application(
        application_id: str,
        caller: Annotated[roles.Operator, asks(roles.Permission.READ_APPLICATIONS)],
    ) -> dict[str, object]:
        with sessions() as session:
            return schemas.application_in_full(states.find(session, application_id))

    @router.post("/{application_id}/certificates", status_code=201)
    def certify_application(
        application_id: str,
        caller: Annotated[roles.Operator, asks(roles.Permission.CERTIFY)],
        asked: Annotated[tuple[str, bytes, bool], fastapi.Depends(_certificate_request)],
    ) -> dict[str, object]:
        profile, csr_der, software_key = asked
        issued = certification.certify_application(
            sessions,
            authorities,
            application_id,
            profile,
            csr_der,
            present.now(),
            actor=caller.actor,
            software_key=software_key,
        )
        failpoints.reach("reply")
        return ca_schemas.issued(issued)

    return router


async def _certificate_request(
    request: fastapi.Request, profile: str | None = None
) -> tuple[str, bytes, bool]:
    """Take the request as JSON, or as raw PKCS#10 with the profile in the address."""
    sent = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if sent == CSR_TYPE:
        if profile is None:
            raise errors.InputError("profile: expected ?profile=sign or another profile")
        content = await web.read_body(request, limit=csr.MAX_CSR_BYTES, content_type=CSR_TYPE)
        return profile, content, False
    content = await web.read_body(
        request, limit=web.MAX_JSON_BYTES, content_type="application/json"
    )
    try:
        body = schemas.CertificateBody.model_validate_json(content)
    except pydantic.ValidationError as error:
        field = ".".join(str(part) for part in error.errors()[0]["loc"]) or "body"
        raise errors.InputError(f"{field}: {error.errors()[0]['msg']}") from error
    return body.profile, body.to_der(), body.software_key
