"""Audit log, signature log, certificates of our own services, settings."""

import datetime
import pathlib
from collections.abc import Iterator

from sqlalchemy import orm

from ca import generations, hierarchy
from ca import settings as ca_settings
from ca.audit_log import export, proof
from ca.continuity import known_signatures
from ca.examination.findings import Finding, Report, Severity, Tell
from pki import audit, errors, profiles, registry, registry_lock

PAGE = 1000

_SOON = datetime.timedelta(days=30)


def examine_audit(sessions: orm.sessionmaker[orm.Session], report: Report, tell: Tell) -> None:
    """Recompute the audit log's chain of hashes, by the code that auditors use."""
    with sessions() as session:
        head = audit.head(session)
    number, previous = 0, proof.GENESIS
    while number < head.number:
        with sessions() as session:
            page = audit.entries(session, after=number, limit=PAGE)
        if not page:
            break
        for entry in page:
            value = export.entry_json(entry)
            if (
                entry.number != number + 1
                or entry.previous_hash != previous
                or proof.entry_hash(value) != entry.hash
            ):
                report.add(
                    Finding("audit-chain", str(number + 1), "an entry is not what was written")
                )
                return
            number, previous = entry.number, entry.hash
            if number == head.number and previous != head.hash:
                report.add(Finding("audit-chain", str(number), "the log does not end in its head"))
                return
        report.examined["audit entries"] = number
        tell("audit entries", number)
    if number < head.number:
        report.add(Finding("audit-chain", str(number), f"expected {head.number} entries"))


def examine_signature_log(
    sessions: orm.sessionmaker[orm.Session], path: pathlib.Path, report: Report, tell: Tell
) -> None:
    """Verify the whole signature log, and compare it with the registry."""

    def objects() -> Iterator[known_signatures.LoggedObject]:
        for position, one in known_signatures.read(path, None):
            report.examined["signature log lines"] = position.number
            if position.number % 10_000 == 0:
                tell("signature log lines", position.number)
            if one is not None:
                yield one

    with sessions() as session:
        state = registry_lock.state(session)
    if state.locked_at is not None:
        report.add(Finding("registry-lock", "registry", f"it is locked: {state.reason}"))
    if not path.exists():
        if state.mark is not None:
            report.add(Finding("signature-log", str(path.name), "the signature log is gone"))
        return
    try:
        for one in known_signatures.unknown(sessions, objects()):
            report.add(
                Finding(
                    "signature-log",
                    f"{one.issuer_name}/{one.number}",
                    f"the log names a {one.kind} that the registry does not know",
                )
            )
    except errors.ImzaError as error:
        report.add(Finding("signature-log", str(path.name), error.message))


def examine_services(
    sessions: orm.sessionmaker[orm.Session],
    settings: ca_settings.Settings,
    at: datetime.datetime,
    report: Report,
) -> None:
    """Look for services whose certificates end soon, and authorities that do."""
    with sessions() as session:
        issuers = registry.issuers(session)
        for one in issuers:
            ends = one.certificate.not_valid_after_utc
            if ends <= at:
                report.add(Finding("authority-validity", one.name, "its certificate has ended"))
                continue
            if one.name == hierarchy.ROOT:
                continue
            _examine_end(report, issuers, one, at)
            if not generations.is_issuing(one.name):
                continue
            responder = registry.current_certificate(
                session, profiles.OCSP_RESPONDER.name, at, issuer_name=one.name
            )
            if responder is None:
                report.add(Finding("responder", one.name, "its responder has no valid certificate"))
            elif responder.not_after - at < settings.responder_renewal / 2:
                report.add(
                    Finding(
                        "responder", one.name, "its responder's certificate was not renewed",
                        Severity.WARNING,
                    )
                )  # fmt: skip
        unit = registry.current_certificate(session, profiles.TIME_STAMPING_UNIT.name, at)
    if unit is None:
        report.add(Finding("time-stamping-unit", "tsu", "no unit has a valid certificate"))
    elif unit.not_before + profiles.TIME_STAMPING_KEY_USE - at < _SOON:
        report.add(
            Finding(
                "time-stamping-unit", unit.key_label or "", "its key's period ends: roll over",
                Severity.WARNING,
            )
        )  # fmt: skip


def _examine_end(
    report: Report,
    issuers: tuple[registry.IssuerRecord, ...],
    one: registry.IssuerRecord,
    at: datetime.datetime,
) -> None:
    """Tell of a newest generation with less time left than its certificates would have."""
    newest = max(
        generations.number_of(each.name)
        for each in issuers
        if generations.role_of(each.name) == generations.role_of(one.name)
    )
    left = one.certificate.not_valid_after_utc - at
    if generations.number_of(one.name) == newest and left < profiles.SUBSCRIBER_VALIDITY:
        report.add(
            Finding("authority-validity", one.name, "it ends soon: roll over", Severity.WARNING)
        )


def examine_settings(settings: ca_settings.Settings, report: Report) -> None:
    """Look for settings that are allowed and wrong."""
    if settings.crl_validity < 2 * settings.crl_refresh:
        report.add(
            Finding(
                "settings", "ca.crl_validity", "a CRL that fails once would leave a gap",
                Severity.WARNING,
            )
        )  # fmt: skip
    if settings.responder_renewal >= profiles.RESPONDER_VALIDITY:
        report.add(Finding("settings", "ca.responder_renewal", "responders never rest"))
