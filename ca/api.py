"""The CA zone's routes: registration (`/ra/v1`), and what the world fetches (`/ca`)."""

import datetime
from typing import Annotated, Any

import fastapi
from fastapi import responses
from sqlalchemy import orm

from ca import hierarchy, publication, revocation, schemas
from ca.operators import gate as gates
from ca.operators import reach, roles
from pki import audit, certificates, clock, registry, status, web

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

    @router.post("/certificates/{serial}/revoke")
    def revoke(
        serial: str,
        body: schemas.RevocationBody,
        caller: Annotated[roles.Operator, asks(roles.Permission.REVOKE)],
    ) -> dict[str, object]:
        at = present.now()
        number = certificates.parse_serial(serial)
        with sessions() as session:
            reach.check_reach(session, caller, number)
            record = revocation.revoke(
                session,
                number,
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
        number = certificates.parse_serial(serial)
        with sessions() as session:
            reach.check_reach(session, caller, number)
            record = revocation.hold(session, number, at, actor=caller.actor)
            session.commit()
        return _changed(record, at, caller.actor)

    @router.post("/certificates/{serial}/release")
    def release(
        serial: str, caller: Annotated[roles.Operator, asks(roles.Permission.SUSPEND)]
    ) -> dict[str, object]:
        at = present.now()
        number = certificates.parse_serial(serial)
        with sessions() as session:
            reach.check_reach(session, caller, number)
            record = revocation.release(session, number, at, actor=caller.actor)
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
