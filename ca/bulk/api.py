"""`POST /ra/v1/certificates/batch`: many certificates in one call."""

import base64
import binascii
from typing import Annotated, Any

import fastapi
import pydantic
from sqlalchemy import orm

from ca import hierarchy, issuance, schemas
from ca.bulk import certification
from ca.operators import gate as gates
from ca.operators import roles
from pki import clock, errors, failpoints, web


class AskedBody(pydantic.BaseModel):
    """One certificate that is asked for; `csr` is PKCS#10 in DER, in base64."""

    model_config = pydantic.ConfigDict(extra="forbid")

    application: schemas.Text
    profile: schemas.Text
    csr: str

    def to_asked(self) -> certification.Asked:
        """The same, with the request's bytes; what is no base64 is no request either."""
        try:
            csr_der = base64.b64decode(self.csr, validate=True)
        except (binascii.Error, ValueError):
            csr_der = b""
        return certification.Asked(self.application, self.profile, csr_der)


class BatchBody(pydantic.BaseModel):
    """The body of the call."""

    model_config = pydantic.ConfigDict(extra="forbid")

    certificates: Annotated[
        list[AskedBody], pydantic.Field(min_length=1, max_length=issuance.MAX_ORDERS)
    ]


def routes(
    sessions: orm.sessionmaker[orm.Session],
    authorities: hierarchy.Hierarchy,
    gate: gates.Gate,
    present: clock.Clock,
) -> fastapi.APIRouter:
    """Return the route; the gate lets in who may have certificates issued."""
    router = fastapi.APIRouter(prefix="/ra/v1", tags=["registration"], route_class=web.LimitedRoute)

    def asks(permission: roles.Permission) -> Any:
        return fastapi.Depends(gate.requires(permission))

    @router.post("/certificates/batch")
    def certify_applications(
        body: BatchBody, caller: Annotated[roles.Operator, asks(roles.Permission.CERTIFY)]
    ) -> dict[str, object]:
        answers = certification.certify_applications(
            sessions,
            authorities,
            [one.to_asked() for one in body.certificates],
            present.now(),
            actor=caller.actor,
        )
        failpoints.reach("reply")
        return {"results": [_written(one) for one in answers]}

    return router


def _written(answer: certification.Answer) -> dict[str, object]:
    if isinstance(answer, errors.ImzaError):
        return {
            "problem": {
                "code": answer.code,
                "detail": answer.message,
                "retriable": answer.retriable,
            }
        }
    return schemas.issued(answer)
