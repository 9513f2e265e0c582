"""The gate of the registration API: who calls, and whether they may.

A request is signed with the key of an operator's certificate (`pki.message_signatures`). The
gate finds the certificate by its hash, judges it, verifies the request, sees to it that the same
request is not taken twice, and compares the operator's role with what the call is for.
"""

import datetime
import logging
from collections.abc import Callable
from typing import Annotated, Any, Protocol

import fastapi
import sqlalchemy
from cryptography import x509
from fastapi import security
from sqlalchemy import exc, orm

from ca.operators import register, roles, tables
from pki import (
    audit,
    certificates,
    clock,
    errors,
    message_signatures,
    profiles,
    registry,
    signed_requests,
    web,
)

log = logging.getLogger(__name__)

MAX_BODY_BYTES = 2**20
"""Largest body that is read before its signature is verified; most calls have less of their own."""

SCHEME = security.APIKeyHeader(
    name="Signature",
    scheme_name="operator",
    auto_error=False,
    description=(
        "HTTP Message Signatures (RFC 9421) with the key of an operator's certificate. Covers"
        ' `("@method" "@path" "@query" "content-digest")`, then `"content-type"` where the request'
        " has one; parameters `created`, `expires`, `nonce`, `keyid` (SHA-256 of the certificate"
        " in hex), `alg` (`ecdsa-p256-sha256`, `ecdsa-p384-sha384`) and"
        f' `tag="{signed_requests.TAG}"`, in this order, under the label `imza`. Content-Digest'
        " (RFC 9530) is of sha-256."
    ),
)


class UnknownOperatorError(message_signatures.MessageSignatureError):
    """The certificate is no active operator's, or not valid now."""

    code = "operator-unknown"


class ReplayedRequestError(message_signatures.MessageSignatureError):
    """The same signed request came before."""

    code = "request-replayed"


class PermissionMissingError(errors.AccessError):
    """The operator's role does not allow this call."""

    code = "permission-missing"


class Gate(Protocol):
    """Lets requests in by what their operator may do."""

    def requires(self, permission: roles.Permission) -> Callable[..., roles.Operator]:
        """Return a dependency that yields the operator of a request, or raises."""


class SignedRequestGate:
    """Lets in requests that an active operator signed, to what their role allows."""

    def __init__(self, sessions: orm.sessionmaker[orm.Session], present: clock.Clock) -> None:
        """Take where operators and nonces are kept, and the clock."""
        self._sessions = sessions
        self._present = present

    def requires(self, permission: roles.Permission) -> Callable[..., roles.Operator]:
        """Return a dependency that yields the operator of a request, or raises."""
        return RequirePermission(self, permission)

    def admit(
        self, request: message_signatures.Request, permission: roles.Permission
    ) -> roles.Operator:
        """Return who signed a request, which they may make.

        Raises:
            MessageSignatureError: Not signed as it must be.
            UnknownOperatorError: Signed by nobody who may do anything.
            ReplayedRequestError: It came before.
            PermissionMissingError: The role does not allow it; the audit log has it.
        """
        at = self._present.now()
        claim = message_signatures.read(request, tag=signed_requests.TAG, at=at)
        with self._sessions() as session:
            found = register.holder(session, claim.key_id)
        if found is None:
            raise UnknownOperatorError("expected a request signed by an operator of this CA")
        operator, record, issuer = found
        certificate = record.certificate
        _check_certificate(claim.key_id, certificate, record, issuer, at)
        message_signatures.check_value(
            certificate.public_key(), claim.algorithm, claim.base, claim.value
        )
        # Only whoever has the key learns about the operator's state.
        if operator.state is not register.State.ACTIVE:
            raise UnknownOperatorError(f"the operator is {operator.state.value.replace('_', ' ')}")
        caller = roles.Operator(operator.name, operator.role)
        allowed = permission in roles.PERMISSIONS[operator.role]
        with self._sessions() as session:
            _remember(session, claim, at)
            if not allowed:
                audit.append(
                    session,
                    audit.AuditEvent.OPERATOR_REFUSED,
                    at,
                    actor=caller.actor,
                    details={"role": operator.role.value, "permission": permission.value},
                )
            session.commit()
        if not allowed:
            log.warning("operator_refused permission=%s", permission.value)
            raise PermissionMissingError(
                f"the role {operator.role.value} does not allow this call, which needs the"
                f" permission {permission.value}"
            )
        return caller


async def _read_body(request: fastapi.Request) -> bytes:
    return await web.read_body(request, limit=MAX_BODY_BYTES, content_type=None)


class RequirePermission:
    """A dependency of a route: the permission stays readable for whoever lists the routes."""

    def __init__(self, gate: SignedRequestGate, permission: roles.Permission) -> None:
        """Name the permission."""
        self.permission = permission
        self._gate = gate

    def __call__(
        self,
        request: fastapi.Request,
        body: Annotated[bytes, fastapi.Depends(_read_body)],
        _scheme: Annotated[Any, fastapi.Security(SCHEME)] = None,
    ) -> roles.Operator:
        """Return the operator of a request."""
        return self._gate.admit(_as_sent(request, body), self.permission)


def _as_sent(request: fastapi.Request, body: bytes) -> message_signatures.Request:
    """What was signed: the path and the query byte for byte, before anything decodes them."""
    path = request.scope.get("raw_path") or request.scope["path"].encode()
    return message_signatures.Request(
        request.method,
        path.decode("latin-1"),
        request.scope["query_string"].decode("latin-1"),
        [(name.decode("latin-1"), value.decode("latin-1")) for name, value in request.headers.raw],
        body,
    )


def _check_certificate(
    key_id: str,
    certificate: x509.Certificate,
    record: registry.CertificateRecord,
    issuer: x509.Certificate,
    at: datetime.datetime,
) -> None:
    """Judge an operator's certificate: our own, for operators, valid now, not revoked or held."""
    try:
        certificates.check_issued_by(certificate, issuer)
    except certificates.CertificateSignatureError as error:
        raise UnknownOperatorError("expected a certificate that our own CA has signed") from error
    if record.profile != profiles.OPERATOR.name or certificates.sha256(certificate) != key_id:
        raise UnknownOperatorError("expected an operator's certificate, got another one")
    if not record.not_before <= at <= record.not_after:
        raise UnknownOperatorError(
            "the operator's certificate is not valid now: it is renewed before it ends"
        )
    if not issuer.not_valid_before_utc <= at <= issuer.not_valid_after_utc:
        raise UnknownOperatorError("the authority above the operator's certificate is not valid")
    if record.state is not registry.CertificateState.ISSUED or not record.status.is_good:
        raise UnknownOperatorError("the operator's certificate is revoked or on hold")


def _remember(session: orm.Session, claim: message_signatures.Claim, at: datetime.datetime) -> None:
    """Record a nonce in the open transaction; forget those too old to be accepted again."""
    session.execute(sqlalchemy.delete(tables.NonceRow).where(tables.NonceRow.expires_at < at))
    session.add(
        tables.NonceRow(
            certificate_sha256=claim.key_id,
            nonce=claim.nonce,
            expires_at=claim.created + message_signatures.REMEMBER,
        )
    )
    try:
        session.flush()
    except exc.IntegrityError as error:
        raise ReplayedRequestError(
            "the same signed request came before: sign each request anew"
        ) from error
