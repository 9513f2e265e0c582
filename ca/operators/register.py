"""The register of operators: add, confirm, renew, disable, and find by certificate.

An operator is added with a request (PKCS#10) for a key that nobody else has. Who approves
applications or adds operators is added by two administrators: until the second one has confirmed,
the certificate opens nothing. The first operators come from a command on the CA's own machine,
where whoever can start it holds the CA's keys anyway.
"""

import dataclasses
import datetime
import enum
import re

import sqlalchemy
from cryptography import x509
from sqlalchemy import exc, orm

from ca import csr, drafts, generations, hierarchy, issuance, orders, revocation, subjects
from ca.operators import roles, tables
from pki import audit, certificates, errors, profiles, registry, status

LOCAL = "local"
"""The actor of commands on the CA's own machine."""

CONFIRMED_ROLES = frozenset({roles.Role.APPROVER, roles.Role.CA_ADMINISTRATOR})
"""Whoever could let others in, or let certificates out, is let in by two."""

RENEWAL = datetime.timedelta(days=30)
"""How long before its end a certificate is renewed."""

_NAME = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9._-]{0,30}[A-Za-z0-9])?", re.ASCII)


class OperatorNotFoundError(errors.NotFoundError):
    """No operator has this name."""

    code = "operator-not-found"


class OperatorExistsError(errors.StateError):
    """An operator has, or had, this name."""

    code = "operator-exists"


class OperatorStateError(errors.StateError):
    """The operator's state does not allow the change."""

    code = "operator-state"


class SecondAdministratorError(errors.PolicyError):
    """Who confirms an operator must be another administrator than the one who added them."""

    code = "second-administrator-needed"


class State(enum.Enum):
    """Whether an operator may do anything."""

    AWAITING_CONFIRMATION = "awaiting_confirmation"
    ACTIVE = "active"
    DISABLED = "disabled"


@dataclasses.dataclass(frozen=True)
class RegisteredOperator:
    """An operator as the register has them.

    Attributes:
        certificates: SHA-256 of each certificate, in hexadecimal, the newest last.
        added_by: The actor who added them; `local` for a command on the CA's machine.
    """

    name: str
    role: roles.Role
    state: State
    certificates: tuple[str, ...]
    added_at: datetime.datetime
    added_by: str
    confirmed_by: str | None
    disabled_at: datetime.datetime | None


@dataclasses.dataclass(frozen=True)
class Certified:
    """An operator and the certificate they were just given."""

    operator: RegisteredOperator
    certificate_der: bytes


def check_name(name: str) -> str:
    """Return the key of a name: the same for names that could be taken for one another.

    Raises:
        InputError: Not 1 to 32 letters, digits, dots, dashes and underscores.
    """
    if not _NAME.fullmatch(name):
        raise errors.InputError(
            "expected an operator's name of 1 to 32 ASCII letters, digits, dots, dashes or"
            " underscores, which begins and ends with a letter or digit"
        )
    return name.lower()


def add(
    sessions: orm.sessionmaker[orm.Session],
    authorities: hierarchy.Hierarchy,
    name: str,
    role: roles.Role,
    csr_der: bytes,
    at: datetime.datetime,
    *,
    actor: str,
) -> Certified:
    """Add an operator and certify their key.

    The same call again, after a crash perhaps, gives the same certificate.

    Args:
        sessions: The database.
        authorities: The infrastructure CA certifies.
        name: Their name in this installation; never used again for anybody else.
        role: The one thing they are there for.
        csr_der: Only its key and its proof of possession count.
        at: The present.
        actor: An administrator, or `LOCAL`, whose operators need no confirmation.

    Raises:
        InputError: The name or the request is wrong.
        OperatorExistsError: The name is taken.
        ImzaError: As `issuance.issue_certificate`.
    """
    key = check_name(name)
    request = csr.parse(csr_der)
    with sessions() as session:
        _check_is_free(session, key, name, role, request.key_sha256)
    record = _certify(
        sessions, authorities, name, request, f"operator/{key}/{request.key_sha256}", at, actor
    )
    sha256 = certificates.sha256(record.certificate)
    with sessions() as session:
        row = session.get(tables.OperatorRow, key)
        if row is None:
            confirmed = actor == LOCAL or role not in CONFIRMED_ROLES
            row = tables.OperatorRow(
                key=key,
                name=name,
                role=role.value,
                state=(State.ACTIVE if confirmed else State.AWAITING_CONFIRMATION).value,
                added_at=at,
                added_by=actor,
            )
            session.add(row)
            try:
                session.flush()
            except exc.IntegrityError as error:
                raise OperatorExistsError("an operator has this name: choose another") from error
            _link(session, key, record)
            _audit(session, audit.AuditEvent.OPERATOR_ADDED, row, at, actor, certificate=sha256)
            session.commit()
        elif session.get(tables.OperatorCertificateRow, sha256) is None:
            raise OperatorExistsError("an operator has, or had, this name: choose another")
        return Certified(_registered(session, row), certificates.to_der(record.certificate))


def confirm(
    session: orm.Session, name: str, at: datetime.datetime, *, actor: str
) -> RegisteredOperator:
    """Confirm an operator whom another administrator added; the caller commits.

    Raises:
        OperatorNotFoundError: No such operator.
        OperatorStateError: Disabled.
        SecondAdministratorError: Whoever added them cannot confirm them.
    """
    row = _row(session, name)
    if row.state == State.DISABLED.value:
        raise OperatorStateError("the operator is disabled: add them anew under another name")
    if row.state == State.AWAITING_CONFIRMATION.value:
        if actor == row.added_by:
            raise SecondAdministratorError(
                "expected another administrator than the one who added the operator"
            )
        row.state = State.ACTIVE.value
        row.confirmed_at, row.confirmed_by = at, actor
        _audit(session, audit.AuditEvent.OPERATOR_CONFIRMED, row, at, actor)
    return _registered(session, row)


def renew(
    sessions: orm.sessionmaker[orm.Session],
    authorities: hierarchy.Hierarchy,
    name: str,
    csr_der: bytes,
    at: datetime.datetime,
    *,
    actor: str,
) -> Certified:
    """Give an active operator another certificate, of the same key or a new one.

    Only the operator may ask for it, by the certificate they have, or a command on the CA's
    machine: an administrator who could would be able to act as anybody. The one before stays
    valid until its end, so that nobody is locked out by a file that was not saved.

    Raises:
        OperatorNotFoundError: No such operator.
        OperatorStateError: Not active.
        ImzaError: As `issuance.issue_certificate`.
    """
    request = csr.parse(csr_der)
    with sessions() as session:
        row = _row(session, name)
        _require_active(row)
        count = len(_certificates(session, row.key))
    # Asked again before it was recorded, the request has the same name and the same answer.
    wanted = f"operator/{row.key}/{request.key_sha256}/{count}"
    record = _certify(sessions, authorities, row.name, request, wanted, at, actor)
    with sessions() as session:
        row = _row(session, name)
        _require_active(row)
        sha256 = certificates.sha256(record.certificate)
        if session.get(tables.OperatorCertificateRow, sha256) is None:
            _link(session, row.key, record)
            _audit(session, audit.AuditEvent.OPERATOR_RENEWED, row, at, actor, certificate=sha256)
            session.commit()
        return Certified(_registered(session, row), certificates.to_der(record.certificate))


def disable(
    session: orm.Session, name: str, at: datetime.datetime, *, actor: str
) -> RegisteredOperator:
    """Disable an operator for good and revoke their certificates; the caller commits.

    Raises:
        OperatorNotFoundError: No such operator.
    """
    row = _row(session, name)
    if row.state != State.DISABLED.value:
        row.state = State.DISABLED.value
        row.disabled_at, row.disabled_by = at, actor
        _audit(session, audit.AuditEvent.OPERATOR_DISABLED, row, at, actor)
        for one in _certificates(session, row.key):
            serial_number = int(one.serial_number, 16)
            found = registry.find(session, serial_number)
            if found.status.reason in (None, status.RevocationReason.certificateHold):
                reason = status.RevocationReason.cessationOfOperation
                revocation.revoke(session, serial_number, reason, at, actor=actor)
    return _registered(session, row)


def find(session: orm.Session, name: str) -> RegisteredOperator:
    """Return an operator, or raise `OperatorNotFoundError`."""
    return _registered(session, _row(session, name, lock=False))


def every(session: orm.Session) -> tuple[RegisteredOperator, ...]:
    """Return all operators there ever were, by name; an installation has dozens."""
    rows = session.scalars(sqlalchemy.select(tables.OperatorRow).order_by(tables.OperatorRow.key))
    return tuple(_registered(session, row) for row in rows.all())


def holder(
    session: orm.Session, certificate_sha256: str
) -> tuple[RegisteredOperator, registry.CertificateRecord, x509.Certificate] | None:
    """Return whose certificate this is, its record and its issuer's; None for a stranger's."""
    link = session.get(tables.OperatorCertificateRow, certificate_sha256)
    if link is None:
        return None
    row = session.get_one(tables.OperatorRow, link.operator_key)
    record = registry.find(session, int(link.serial_number, 16))
    issuer = session.get_one(registry.IssuerRow, record.issuer_name)
    return _registered(session, row), record, certificates.parse(issuer.certificate_der)


def _certify(
    sessions: orm.sessionmaker[orm.Session],
    authorities: hierarchy.Hierarchy,
    name: str,
    request: csr.CertificationRequest,
    wanted: str,
    at: datetime.datetime,
    actor: str,
) -> registry.CertificateRecord:
    draft = drafts.draft_certificate(
        profiles.OPERATOR,
        authorities.current(generations.INFRASTRUCTURE).issuer,
        subjects.service_name(f"Operator {name}", authorities.settings),
        request.public_key,
        authorities.settings,
        at,
    )
    asked = orders.IssuanceRequest(wanted, actor)
    return issuance.issue_certificate(sessions, draft, asked, authorities.settings, at)


def _check_is_free(
    session: orm.Session, key: str, name: str, role: roles.Role, key_sha256: str
) -> None:
    row = session.get(tables.OperatorRow, key)
    if row is None:
        return
    first = session.scalars(
        sqlalchemy.select(registry.CertificateRow.key_sha256).where(
            registry.CertificateRow.request_key == f"operator/{key}/{key_sha256}"
        )
    ).first()
    if row.name != name or row.role != role.value or first is None:
        raise OperatorExistsError("an operator has, or had, this name: choose another")
    _require_not_disabled(row)


def _require_not_disabled(row: tables.OperatorRow) -> None:
    if row.state == State.DISABLED.value:
        raise OperatorStateError("the operator is disabled: choose another name")


def _require_active(row: tables.OperatorRow) -> None:
    if row.state != State.ACTIVE.value:
        raise OperatorStateError(f"expected an active operator, got one that is {row.state}")


def _row(session: orm.Session, name: str, *, lock: bool = True) -> tables.OperatorRow:
    row = session.get(tables.OperatorRow, name.lower(), with_for_update=lock or None)
    if row is None:
        raise OperatorNotFoundError("no operator has this name")
    return row


def _link(session: orm.Session, key: str, record: registry.CertificateRecord) -> None:
    session.add(
        tables.OperatorCertificateRow(
            sha256=certificates.sha256(record.certificate),
            operator_key=key,
            serial_number=registry.serial_key(record.serial_number),
        )
    )
    session.flush()


def _certificates(session: orm.Session, key: str) -> list[tables.OperatorCertificateRow]:
    rows = session.scalars(
        sqlalchemy.select(tables.OperatorCertificateRow)
        .join(
            registry.CertificateRow,
            registry.CertificateRow.serial_number == tables.OperatorCertificateRow.serial_number,
        )
        .where(tables.OperatorCertificateRow.operator_key == key)
        .order_by(registry.CertificateRow.id)
    )
    return list(rows.all())


def _registered(session: orm.Session, row: tables.OperatorRow) -> RegisteredOperator:
    return RegisteredOperator(
        name=row.name,
        role=roles.Role(row.role),
        state=State(row.state),
        certificates=tuple(one.sha256 for one in _certificates(session, row.key)),
        added_at=row.added_at,
        added_by=row.added_by,
        confirmed_by=row.confirmed_by,
        disabled_at=row.disabled_at,
    )


def _audit(
    session: orm.Session,
    event: audit.AuditEvent,
    row: tables.OperatorRow,
    at: datetime.datetime,
    actor: str,
    *,
    certificate: str | None = None,
) -> None:
    details: dict[str, str | int | None] = {"operator": row.name, "role": row.role}
    if certificate is not None:
        details["certificate_sha256"] = certificate
    audit.append(session, event, at, actor=actor, details=details)
