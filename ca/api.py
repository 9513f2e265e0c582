"""The CA zone's routes: registration (`/ra/v1`), and what the world fetches (`/ca`)."""

import datetime
from typing import Annotated, Any

import fastapi
import pydantic
from fastapi import responses
from sqlalchemy import orm

from ca import csr, hierarchy, publication, revocation, schemas
from ca.applications import certification, states
from ca.operators import gate as gates
from ca.operators import roles
from pki import audit, certificates, clock, errors, failpoints, registry, status, web

CSR_TYPE = "application/pkcs10"
MAX_CURSOR = 2**62


def routes(
    sessions: orm.sessionmaker[orm.Session],
    authorities: hierarchy.Hierarchy,
    gate: gates.Gate,
    present: clock.Clock,
) -> fastapi.APIRouter:
    """Return the registration routes; the gate lets in whom each call is for."""
    router = fastapi.APIRouter(prefix="/ra/v1", tags=["registration"], route_class=web.LimitedRoute)

    def asks(permission: roles.Permission) -> Any:
        return fastapi.Depends(gate.requires(permission))

    @router.post("/applications", status_code=201)
    def record_application(
        body: schemas.ApplicationBody,
        caller: Annotated[roles.Operator, asks(roles.Permission.RECORD_APPLICATIONS)],
    ) -> dict[str, object]:
        with sessions() as session:
            application = states.record_application(
                session, body.to_applicant(), body.to_vetting(), present.now(), actor=caller.actor
            )
            session.commit()
        return schemas.application(application)

    @router.post("/applications/{application_id}/approval")
    def approve_application(
        application_id: str,
        body: schemas.ApprovalBody,
        caller: Annotated[roles.Operator, asks(roles.Permission.APPROVE_APPLICATIONS)],
    ) -> dict[str, object]:
        with sessions() as session:
            application = states.approve_application(
                session, application_id, body.officer, present.now(), actor=caller.actor
            )
            session.commit()
        return schemas.application(application)

    @router.post("/applications/{application_id}/certificates", status_code=201)
    def certify_application(
        application_id: str,
        caller: Annotated[roles.Operator, asks(roles.Permission.CERTIFY)],
        asked: Annotated[tuple[str, bytes], fastapi.Depends(_certificate_request)],
    ) -> dict[str, object]:
        profile, csr_der = asked
        issued = certification.certify_application(
            sessions,
            authorities,
            application_id,
            profile,
            csr_der,
            present.now(),
            actor=caller.actor,
        )
        failpoints.reach("reply")
        return schemas.issued(issued)

    @router.post("/certificates/{serial}/revoke")
    def revoke(
        serial: str,
        body: schemas.RevocationBody,
        caller: Annotated[roles.Operator, asks(roles.Permission.REVOKE)],
    ) -> dict[str, object]:
        at = present.now()
        with sessions() as session:
            record = revocation.revoke(
                session,
                certificates.parse_serial(serial),
                status.RevocationReason.from_name(body.reason),
                at,
                actor=caller.actor,
                invalidity_date=body.invalidity_date,
            )
            session.commit()
        return _changed(record, at, caller.actor)

    @router.post("/certificates/{serial}/hold")
    def hold(
        serial: str, caller: Annotated[roles.Operator, asks(roles.Permission.SUSPEND)]
    ) -> dict[str, object]:
        at = present.now()
        with sessions() as session:
            record = revocation.hold(
                session, certificates.parse_serial(serial), at, actor=caller.actor
            )
            session.commit()
        return _changed(record, at, caller.actor)

    @router.post("/certificates/{serial}/release")
    def release(
        serial: str, caller: Annotated[roles.Operator, asks(roles.Permission.SUSPEND)]
    ) -> dict[str, object]:
        at = present.now()
        with sessions() as session:
            record = revocation.release(
                session, certificates.parse_serial(serial), at, actor=caller.actor
            )
            session.commit()
        return _changed(record, at, caller.actor)

    @router.get("/certificates")
    def list_certificates(
        caller: Annotated[roles.Operator, asks(roles.Permission.READ_CERTIFICATES)],
        person_code: Annotated[str | None, fastapi.Query(max_length=64)] = None,
        cursor: Annotated[int, fastapi.Query(ge=0, le=MAX_CURSOR)] = 0,
    ) -> dict[str, object]:
        with sessions() as session:
            return schemas.page(
                registry.certificates_of(session, person_code=person_code, after=cursor)
            )

    @router.get("/certificates/{serial}")
    def show_certificate(
        serial: str,
        caller: Annotated[roles.Operator, asks(roles.Permission.READ_CERTIFICATES)],
    ) -> dict[str, object]:
        with sessions() as session:
            return schemas.certificate_in_full(
                registry.find(session, certificates.parse_serial(serial))
            )

    @router.get("/audit")
    def verify_audit(
        caller: Annotated[roles.Operator, asks(roles.Permission.READ_AUDIT)],
    ) -> dict[str, object]:
        with sessions() as session:
            return schemas.audit_head(audit.verify(session))

    def _changed(
        record: registry.CertificateRecord, at: datetime.datetime, actor: str
    ) -> dict[str, object]:
        publication.publish_changed(sessions, authorities, [record.issuer_name], at, actor=actor)
        return schemas.certificate(record)

    return router


def public_routes(sessions: orm.sessionmaker[orm.Session]) -> fastapi.APIRouter:
    """Return the authorities' certificates, `/ca/NAME.cer` (RFC 5280 4.2.2.1)."""
    router = fastapi.APIRouter(tags=["certificates"])

    @router.get("/ca/{name}.cer")
    def fetch_certificate(name: str) -> fastapi.Response:
        with sessions() as session:
            found = {one.name: one for one in registry.issuers(session)}.get(name)
        if found is None:
            raise registry.CertificateNotFoundError("no authority has this name")
        return responses.Response(
            certificates.to_der(found.certificate),
            media_type="application/pkix-cert",
            headers={"Cache-Control": "public, max-age=3600"},
        )

    return router


async def _certificate_request(
    request: fastapi.Request, profile: str | None = None
) -> tuple[str, bytes]:
    """Take the request as JSON, or as raw PKCS#10 with the profile in the address."""
    sent = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if sent == CSR_TYPE:
        if profile is None:
            raise errors.InputError("profile: expected ?profile=sign or ?profile=authenticate")
        return profile, await web.read_body(request, limit=csr.MAX_CSR_BYTES, content_type=CSR_TYPE)
    content = await web.read_body(
        request, limit=web.MAX_JSON_BYTES, content_type="application/json"
    )
    try:
        body = schemas.CertificateBody.model_validate_json(content)
    except pydantic.ValidationError as error:
        field = ".".join(str(part) for part in error.errors()[0]["loc"]) or "body"
        raise errors.InputError(f"{field}: {error.errors()[0]['msg']}") from error
    return body.profile, body.to_der()
