"""Which services there are and which status each has had: read from the registry, and kept.

A service is a key (TS 119 612 5.5.3): certificates that renew each other for the same key are one
service. A service is granted while the newest certificate of its key is good, and withdrawn once
that was revoked. Every change is recorded, so that the list can tell its history for ever.
"""

import dataclasses
import datetime
import enum
from collections.abc import Iterable, Sequence

import sqlalchemy
from cryptography import x509
from sqlalchemy import orm

from ca import generations
from ca import settings as ca_settings
from ca.crls import partitions
from ca.trusted_list import tables
from pki import audit, certificates, clock, errors, profiles, registration, registry

_SECOND = datetime.timedelta(seconds=1)


class ServiceType(enum.Enum):
    """The kinds of services that are listed (TS 119 612 5.5.1.1)."""

    CA_QC = "http://uri.etsi.org/TrstSvc/Svctype/CA/QC"
    OCSP_QC = "http://uri.etsi.org/TrstSvc/Svctype/Certstatus/OCSP/QC"
    CRL_QC = "http://uri.etsi.org/TrstSvc/Svctype/Certstatus/CRL/QC"
    QTST = "http://uri.etsi.org/TrstSvc/Svctype/TSA/QTST"


class ServiceStatus(enum.Enum):
    """The statuses of services (TS 119 612 5.5.4)."""

    GRANTED = "granted"
    WITHDRAWN = "withdrawn"

    @property
    def uri(self) -> str:
        """As the list writes it."""
        return f"http://uri.etsi.org/TrstSvc/TrustedList/Svcstatus/{self.value}"


class ServiceNotFoundError(errors.NotFoundError):
    """No service has a key of this label."""

    code = "service-not-found"


class StatusRefusedError(errors.StateError):
    """A decision that contradicts what is known of the service."""

    code = "service-status-refused"


@dataclasses.dataclass(frozen=True)
class StatusPeriod:
    """A status and when it began."""

    status: ServiceStatus
    since: datetime.datetime


@dataclasses.dataclass(frozen=True)
class SupplyPoint:
    """Where a service is reached, and what is found there (TS 119 612 5.5.7)."""

    url: str
    kind: ServiceType | None = None


@dataclasses.dataclass(frozen=True)
class Service:
    """One service of the list.

    Attributes:
        kind: What it does.
        certificates: All of one key and one name, the newest first.
        periods: Its statuses, the present one first.
        supply_points: Where it is reached.
        expired_since: Its status answers keep certificates that expired after this.
        for_seals: It certifies organisations' seals besides people's signatures.
    """

    kind: ServiceType
    certificates: tuple[x509.Certificate, ...]
    periods: tuple[StatusPeriod, ...]
    supply_points: tuple[SupplyPoint, ...] = ()
    expired_since: datetime.datetime | None = None
    for_seals: bool = False

    @property
    def name(self) -> str:
        """The name that it has in its certificate."""
        facts = certificates.read(self.certificates[0])
        return facts.common_name or facts.subject


@dataclasses.dataclass(frozen=True)
class _Found:
    """The certificates of one key, newest first, with what the registry says of the newest."""

    kind: ServiceType
    key_sha256: str
    newest: registry.CertificateRecord
    certificates: tuple[x509.Certificate, ...]
    first_not_before: datetime.datetime
    issuing_name: str | None = None
    # Of a service that lives by another one: a responder by its authority.
    issuer_revoked_at: datetime.datetime | None = None


def record_services(
    session: orm.Session, settings: ca_settings.Settings, at: datetime.datetime
) -> tuple[Service, ...]:
    """Return the services, and record each status that changed since the last time.

    Args:
        session: Not committed here.
        settings: Say where the services are reached.
        at: Whole seconds; certificates that ended before are left out where a newer one is there.
    """
    at = clock.whole_seconds(at)
    made = []
    for one in _find(session, at):
        periods = _record_status(session, one, at)
        supply_points: tuple[SupplyPoint, ...] = ()
        expired_since = None
        for_seals = False
        if one.issuing_name is not None:
            # 5.5.7 asks for no list of revoked certificates. Those that are told are told in full:
            # the list of one partition says nothing of certificates in another.
            supply_points = (
                SupplyPoint(settings.status_url, ServiceType.OCSP_QC),
                *(
                    SupplyPoint(
                        settings.crl_url(scope.issuer_name, scope.partition), ServiceType.CRL_QC
                    )
                    for scope in partitions.scopes(session, one.issuing_name)
                ),
            )
            # Our CRLs and responders keep every certificate since the authority's beginning.
            expired_since = one.first_not_before
            # Organisations' seals are certified by the authority of business.
            for_seals = (
                generations.role_of(one.issuing_name) == registration.Category.BUSINESS.value
            )
        elif one.kind is ServiceType.OCSP_QC:
            supply_points = (SupplyPoint(settings.status_url),)
        made.append(
            Service(one.kind, one.certificates, periods, supply_points, expired_since, for_seals)
        )
    return tuple(made)


def decide_status(
    session: orm.Session,
    label: str,
    decided: ServiceStatus,
    since: datetime.datetime,
    at: datetime.datetime,
    *,
    actor: str,
) -> tuple[StatusPeriod, ...]:
    """Record a status that the supervisory body decided on; the caller commits.

    It stands until the next decision, or until the service's certificate is revoked.

    Args:
        session: The transaction.
        label: Of the service's key, such as `ca-citizen`, `ocsp-citizen` or `tsu-1`.
        decided: The status.
        since: When it begins: after the last one, and not in the future.
        at: The present time.
        actor: Who records it.

    Raises:
        ServiceNotFoundError: No service has a key of that label.
        StatusRefusedError: It has this status, the time does not fit, or its certificate is
            revoked.
    """
    since = clock.whole_seconds(since)
    found = next((one for one in _find(session, at) if one.newest.key_label == label), None)
    if found is None:
        raise ServiceNotFoundError("expected the key label of a service, such as ca-citizen")
    periods = _record_status(session, found, clock.whole_seconds(at))
    last = periods[0]
    if last.status is decided:
        raise StatusRefusedError(f"the service is {decided.value} already")
    if decided is ServiceStatus.GRANTED and not found.newest.status.is_good:
        raise StatusRefusedError("the service's certificate is revoked: it stays withdrawn")
    if not last.since < since <= at:
        raise StatusRefusedError(
            f"expected a time after {clock.time_text(last.since)} and not in the future"
        )
    session.add(
        tables.ServiceStatusRow(
            service_type=found.kind.value,
            key_sha256=found.key_sha256,
            status=decided.value,
            since=since,
            recorded_at=at,
            decided_by=actor,
        )
    )
    audit.append(
        session,
        audit.AuditEvent.SERVICE_STATUS_DECIDED,
        at,
        actor=actor,
        details={"service": label, "status": decided.value, "since": clock.time_text(since)},
    )
    return (StatusPeriod(decided, since), *periods)


def _find(session: orm.Session, at: datetime.datetime) -> Sequence[_Found]:
    found: list[_Found] = []
    revoked_at: dict[str, datetime.datetime | None] = {}
    for issuer in registry.issuers(session):
        if generations.is_issuing(issuer.name):
            row = registry.find_row(session, issuer.certificate.serial_number)
            revoked_at[issuer.name] = row.revoked_at
            found.append(
                dataclasses.replace(_group(ServiceType.CA_QC, [row], at), issuing_name=issuer.name)
            )
    for kind, profile in (
        (ServiceType.OCSP_QC, profiles.OCSP_RESPONDER),
        (ServiceType.QTST, profiles.TIME_STAMPING_UNIT),
    ):
        by_key: dict[str, list[registry.CertificateRow]] = {}
        for row in _rows(session, profile.name):
            by_key.setdefault(row.key_sha256, []).append(row)
        found += [
            dataclasses.replace(
                _group(kind, rows, at), issuer_revoked_at=revoked_at.get(rows[0].issuer_name)
            )
            for rows in by_key.values()
        ]
    return found


def _rows(session: orm.Session, profile: str) -> Iterable[registry.CertificateRow]:
    return session.scalars(
        sqlalchemy.select(registry.CertificateRow)
        .where(
            registry.CertificateRow.profile == profile,
            registry.CertificateRow.state == registry.CertificateState.ISSUED.value,
        )
        .order_by(registry.CertificateRow.id.desc())
    )


def _group(
    kind: ServiceType, rows: Sequence[registry.CertificateRow], at: datetime.datetime
) -> _Found:
    current = [row for row in rows if row.not_after >= at] or [rows[0]]
    listed = tuple(
        certificates.parse(row.certificate_der)
        for row in current
        if row.certificate_der is not None
    )
    return _Found(
        kind,
        rows[0].key_sha256,
        registry.to_record(rows[0]),
        listed,
        min(row.not_before for row in rows),
    )


def _record_status(
    session: orm.Session, found: _Found, at: datetime.datetime
) -> tuple[StatusPeriod, ...]:
    rows = session.scalars(
        sqlalchemy.select(tables.ServiceStatusRow)
        .where(
            tables.ServiceStatusRow.service_type == found.kind.value,
            tables.ServiceStatusRow.key_sha256 == found.key_sha256,
        )
        .order_by(tables.ServiceStatusRow.since.desc())
    ).all()
    periods = [StatusPeriod(ServiceStatus(row.status), row.since) for row in rows]
    revoked_at = found.newest.status.revoked_at or found.issuer_revoked_at
    additions = []
    if not periods:
        # Granted since its certificate began: signatures of the days before the first list count.
        additions.append(StatusPeriod(ServiceStatus.GRANTED, found.first_not_before))
    last = (periods or additions)[0]
    if revoked_at is not None and last.status is ServiceStatus.GRANTED:
        since = max(clock.whole_seconds(revoked_at), last.since + _SECOND)
        additions.append(StatusPeriod(ServiceStatus.WITHDRAWN, since))
    elif revoked_at is None and last.status is ServiceStatus.WITHDRAWN and not rows[0].decided_by:
        # A hold that was released; nobody vouches for the time between.
        additions.append(StatusPeriod(ServiceStatus.GRANTED, max(at, last.since + _SECOND)))
    for one in additions:
        session.add(
            tables.ServiceStatusRow(
                service_type=found.kind.value,
                key_sha256=found.key_sha256,
                status=one.status.value,
                since=one.since,
                recorded_at=at,
            )
        )
        periods.insert(0, one)
    return tuple(periods)
