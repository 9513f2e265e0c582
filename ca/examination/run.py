"""One examination of everything: run by the worker each night, and by `imza ca check`."""

import dataclasses
import datetime
import logging
import pathlib
from collections.abc import Iterator, Mapping

import sqlalchemy
from sqlalchemy import orm

from ca import settings as ca_settings
from ca.examination import certificates, lists, services
from ca.examination.findings import Report, Severity, Tell
from pki import audit, clock

log = logging.getLogger(__name__)

MAX_LOGGED = 50

SAMPLED = certificates.Depth()


@dataclasses.dataclass(frozen=True)
class Examiner:
    """What an examination needs.

    Attributes:
        sessions: The CA's database.
        settings: What certificates are linted by.
        signature_log: Where it is.
        depth: How thorough.
    """

    sessions: orm.sessionmaker[orm.Session]
    settings: ca_settings.Settings
    signature_log: pathlib.Path
    depth: certificates.Depth = SAMPLED

    def examine(self, at: datetime.datetime, tell: Tell = lambda *_: None) -> Report:
        """Examine everything that is stored; nothing is changed."""
        report = Report(at)
        services.examine_settings(self.settings, report)
        services.examine_services(self.sessions, self.settings, at, report)
        certificates.examine(self.sessions, self.settings, at, report, self.depth, tell)
        lists.examine(self.sessions, at, report, tell)
        services.examine_audit(self.sessions, report, tell)
        services.examine_signature_log(self.sessions, self.signature_log, report, tell)
        return report

    def examine_and_record(
        self, at: datetime.datetime, *, actor: str, tell: Tell = lambda *_: None
    ) -> Report:
        """Examine, log the findings, and tell the audit log what came of it."""
        report = self.examine(at, tell)
        for one in report.findings[:MAX_LOGGED]:
            log.warning(
                "examination_finding check=%s about=%s severity=%s",
                one.check, one.about, one.severity.value,
            )  # fmt: skip
        errors = report.total(Severity.ERROR)
        warnings = report.total(Severity.WARNING)
        checks = ",".join(sorted({check for check, _ in report.counts}))
        with self.sessions() as session:
            audit.append(
                session,
                audit.AuditEvent.REGISTRY_EXAMINED,
                at,
                actor=actor,
                details={
                    "certificates": report.examined["certificates"],
                    "crls": report.examined["CRLs"],
                    "errors": errors,
                    "warnings": warnings,
                    "checks": checks[:1000],
                },
            )
            session.commit()
        log.info("registry_examined errors=%d warnings=%d", errors, warnings)
        return report


class LastExamination(Mapping[str, str]):
    """What the newest examination found, as a note of `/readyz`; read when it is asked for."""

    NAME = "examination"

    def __init__(self, sessions: orm.sessionmaker[orm.Session]) -> None:
        """Take the database."""
        self._sessions = sessions

    def __getitem__(self, name: str) -> str:
        """The sentence."""
        if name != self.NAME:
            raise KeyError(name)
        row = audit.EntryRow
        with self._sessions() as session:
            found = session.execute(
                sqlalchemy.select(row.at, row.details)
                .where(row.event == audit.AuditEvent.REGISTRY_EXAMINED.value)
                .order_by(row.number.desc())
                .limit(1)
            ).first()
        if found is None:
            return "none yet: imza ca check"
        return f"{clock.time_text(found.at)} {found.details}"

    def __iter__(self) -> Iterator[str]:
        """Its one name."""
        return iter((self.NAME,))

    def __len__(self) -> int:
        """One."""
        return 1
