"""The operators' routes: administrators add and disable them, each renews their own certificate."""

import base64
import binascii
from collections.abc import Mapping
from typing import Annotated, Any

import fastapi
import pydantic
from sqlalchemy import orm

from ca import hierarchy
from ca.operators import gate as gates
from ca.operators import register, roles
from pki import clock, errors, web


class _Body(pydantic.BaseModel):
    model_config = pydantic.ConfigDict(extra="forbid", str_strip_whitespace=False)


class CertificateBody(_Body):
    """`POST /ra/v1/operator/certificates`."""

    csr: Annotated[str, pydantic.StringConstraints(max_length=32 * 2**10)]

    def to_der(self) -> bytes:
        """The request's bytes."""
        try:
            return base64.b64decode(self.csr, validate=True)
        except (binascii.Error, ValueError) as error:
            raise errors.InputError("csr: expected standard base64 with padding") from error


class OperatorBody(CertificateBody):
    """`POST /ra/v1/operators`."""

    name: Annotated[str, pydantic.StringConstraints(min_length=1, max_length=32)]
    role: roles.Role


def routes(
    sessions: orm.sessionmaker[orm.Session],
    authorities: hierarchy.Hierarchy,
    gate: gates.Gate,
    present: clock.Clock,
) -> fastapi.APIRouter:
    """Return the routes; the gate lets in whom each call is for."""
    router = fastapi.APIRouter(prefix="/ra/v1", tags=["operators"], route_class=web.LimitedRoute)

    def asks(permission: roles.Permission) -> Any:
        return fastapi.Depends(gate.requires(permission))

    @router.get("/operator")
    def show_caller(
        caller: Annotated[roles.Operator, asks(roles.Permission.RENEW_OWN_CERTIFICATE)],
    ) -> Mapping[str, object]:
        with sessions() as session:
            return described(register.find(session, caller.name))

    @router.post("/operator/certificates", status_code=201)
    def renew_own(
        body: CertificateBody,
        caller: Annotated[roles.Operator, asks(roles.Permission.RENEW_OWN_CERTIFICATE)],
    ) -> Mapping[str, object]:
        return certified(
            register.renew(
                sessions,
                authorities,
                caller.name,
                body.to_der(),
                present.now(),
                actor=caller.actor,
            )
        )

    @router.get("/operators")
    def list_operators(
        caller: Annotated[roles.Operator, asks(roles.Permission.READ_OPERATORS)],
    ) -> Mapping[str, object]:
        with sessions() as session:
            return {"operators": [described(one) for one in register.every(session)]}

    @router.post("/operators", status_code=201)
    def add(
        body: OperatorBody,
        caller: Annotated[roles.Operator, asks(roles.Permission.ADMINISTER_OPERATORS)],
    ) -> Mapping[str, object]:
        return certified(
            register.add(
                sessions,
                authorities,
                body.name,
                body.role,
                body.to_der(),
                present.now(),
                actor=caller.actor,
            )
        )

    @router.post("/operators/{name}/confirmation")
    def confirm(
        name: str,
        caller: Annotated[roles.Operator, asks(roles.Permission.ADMINISTER_OPERATORS)],
    ) -> Mapping[str, object]:
        with sessions() as session:
            operator = register.confirm(session, name, present.now(), actor=caller.actor)
            session.commit()
        return described(operator)

    @router.post("/operators/{name}/disable")
    def disable(
        name: str,
        caller: Annotated[roles.Operator, asks(roles.Permission.ADMINISTER_OPERATORS)],
    ) -> Mapping[str, object]:
        with sessions() as session:
            operator = register.disable(session, name, present.now(), actor=caller.actor)
            session.commit()
        return described(operator)

    return router


def described(value: register.RegisteredOperator) -> Mapping[str, object]:
    """An operator as the API writes it."""
    return {
        "name": value.name,
        "role": value.role.value,
        "state": value.state.value,
        "certificates": list(value.certificates),
        "added_at": clock.time_text(value.added_at),
        "added_by": value.added_by,
        "confirmed_by": value.confirmed_by,
        "disabled_at": None if value.disabled_at is None else clock.time_text(value.disabled_at),
    }


def certified(value: register.Certified) -> Mapping[str, object]:
    """An operator with the certificate they were just given."""
    return {
        **described(value.operator),
        "certificate": base64.b64encode(value.certificate_der).decode("ascii"),
    }
