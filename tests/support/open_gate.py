"""The registration API without its gate, for tests of what is behind it."""

from collections.abc import Callable, Iterable, Iterator

import fastapi
from fastapi import routing
from fastapi.dependencies import models

from ca.operators import gate, roles

OPERATOR = roles.Operator("test", roles.Role.RA_OFFICER)


class OpenGate:
    """Lets in everybody: who may do what is tried elsewhere."""

    def requires(self, permission: roles.Permission) -> Callable[..., roles.Operator]:
        def check(request: fastapi.Request) -> roles.Operator:
            return OPERATOR

        return check


def open_all(app: fastapi.FastAPI, routers: Iterable[fastapi.APIRouter]) -> None:
    """Let everybody in to every call of an application whose routers have the real gate."""
    for router in routers:
        for route in router.routes:
            if isinstance(route, routing.APIRoute):
                for one in _dependencies(route.dependant):
                    if isinstance(one.call, gate.RequirePermission):
                        app.dependency_overrides[one.call] = lambda: OPERATOR
    assert app.dependency_overrides, "no call has a gate"


def _dependencies(dependant: models.Dependant) -> Iterator[models.Dependant]:
    for one in dependant.dependencies:
        yield one
        yield from _dependencies(one)
