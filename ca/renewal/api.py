"""The routes of renewals: the owner's own, and the one of registration offices.

Both take the same body: PKCS#10 for the new key inside CMS signed by the old one
(`application/pkcs7-mime`, RFC 8551 3.2). The owner's route is under nobody's gate, as the old
certificate's signature is the authority.
"""

from typing import Annotated, Any

import fastapi
from sqlalchemy import orm

from ca import hierarchy, publication, schemas
from ca.operators import gate as gates
from ca.operators import roles
from ca.renewal import renewals, signed_request
from ca.renewal import settings as renewal_settings
from pki import certificates, clock, web

CMS_TYPE = "application/pkcs7-mime"


async def _read_request(request: fastapi.Request) -> bytes:
    return await web.read_body(
        request, limit=signed_request.MAX_REQUEST_BYTES, content_type=CMS_TYPE
    )


Body = Annotated[bytes, fastapi.Depends(_read_request)]


def public_routes(
    sessions: orm.sessionmaker[orm.Session],
    authorities: hierarchy.Hierarchy,
    settings: renewal_settings.Settings,
    present: clock.Clock,
) -> fastapi.APIRouter:
    """Return the route with which owners renew by themselves."""
    router = fastapi.APIRouter(prefix="/renewal/v1", tags=["subscribers"])

    @router.post("/requests", status_code=201)
    def renew(body: Body) -> dict[str, object]:
        return _written(renewals.renew(sessions, authorities, settings, body, present.now()))

    return router


def routes(
    sessions: orm.sessionmaker[orm.Session],
    authorities: hierarchy.Hierarchy,
    settings: renewal_settings.Settings,
    gate: gates.Gate,
    present: clock.Clock,
) -> fastapi.APIRouter:
    """Return the route of offices and personalisation stations."""
    router = fastapi.APIRouter(prefix="/ra/v1", tags=["registration"])

    def asks(permission: roles.Permission) -> Any:
        return fastapi.Depends(gate.requires(permission))

    @router.post("/certificates/{serial}/renewal", status_code=201)
    def renew(
        serial: str,
        caller: Annotated[roles.Operator, asks(roles.Permission.CERTIFY)],
        body: Body,
        early: bool = False,
        supersede: bool = False,
    ) -> dict[str, object]:
        at = present.now()
        made = renewals.renew(
            sessions,
            authorities,
            settings,
            body,
            at,
            operator=caller.actor,
            serial_number=certificates.parse_serial(serial),
            early=early,
            supersede=supersede,
        )
        if supersede:
            publication.publish_changed(
                sessions, authorities, [made.old.issuer_name], at, actor=caller.actor
            )
        return _written(made)

    return router


def _written(made: renewals.Renewal) -> dict[str, object]:
    old = certificates.serial_text(made.old.serial_number)
    return {**schemas.issued(made.issued), "renewed_serial_number": old}
