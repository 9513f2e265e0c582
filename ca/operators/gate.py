"""The gate of the registration API: who calls, and whether they may."""

from collections.abc import Callable
from typing import Protocol

import fastapi

from ca.operators import roles
from pki import access, clock, web

SCOPE = "register"


class Gate(Protocol):
    """Lets requests in by what their operator may do."""

    def requires(self, permission: roles.Permission) -> Callable[[fastapi.Request], roles.Operator]:
        """Return a dependency that yields the operator of a request, or raises."""


class TokenGate:
    """Lets in whoever holds a bearer token with the scope `register`, to everything."""

    def __init__(self, tokens: access.AccessTokens, present: clock.Clock) -> None:
        """Take what knows the tokens."""
        self._check = web.require_scope(tokens, present, SCOPE)

    def requires(self, permission: roles.Permission) -> Callable[[fastapi.Request], roles.Operator]:
        """Return a dependency that yields the client of a request as an operator."""

        def check(request: fastapi.Request) -> roles.Operator:
            caller = self._check(request)
            return roles.Operator(caller.client_id, roles.Role.RA_OFFICER)

        return check
