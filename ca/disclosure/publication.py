"""Publishing statements: each version once, and then the same bytes for ever."""

import dataclasses
import datetime
import hashlib
import logging
import urllib.parse

import sqlalchemy
from sqlalchemy import exc, orm

from ca import settings as ca_settings
from ca.disclosure import page, printed, settings, tables
from ca.disclosure import statement as statements
from pki import audit, errors

log = logging.getLogger(__name__)

ACTOR = "system"

PATH = "/pds/"


class StatementNotFoundError(errors.NotFoundError):
    """No statement of this version or in this language is published."""

    code = "disclosure-not-found"


@dataclasses.dataclass(frozen=True)
class Published:
    """A published statement without its bytes."""

    version: str
    language: str
    effective: str
    published_at: datetime.datetime
    pdf_sha256: str


def publish(
    sessions: orm.sessionmaker[orm.Session],
    own: settings.Settings,
    installation: ca_settings.Settings,
    at: datetime.datetime,
) -> tuple[str, ...]:
    """Publish the statements of the settings' version that are not published yet.

    A version that is published keeps its bytes, whatever the settings or the software say now:
    people rely on what they read. Settings that changed without a new version are told in the
    log, and the old statement stays.

    Returns:
        The languages that were published now.

    Raises:
        DisclosureSettingsError: The statement would be incomplete, or certificates would point
            to one that is not published.
        FontMissingError: It cannot be set as PDF.
    """
    check_addresses(own, installation)
    facts = statements.facts_sha256(own, installation)
    with sessions() as session:
        known = {
            row.language: row.facts_sha256
            for row in session.execute(
                sqlalchemy.select(
                    tables.StatementRow.language, tables.StatementRow.facts_sha256
                ).where(tables.StatementRow.version == own.version)
            )
        }
    if any(one != facts for one in known.values()):
        log.warning(
            "disclosure_changed version=%s: set a new [disclosure] version to publish what changed",
            own.version,
        )
    made = []
    for language in own.languages:
        if language not in known and _publish_one(sessions, own, installation, language, facts, at):
            made.append(language)
    return tuple(made)


def check_addresses(own: settings.Settings, installation: ca_settings.Settings) -> None:
    """Check that the statements which certificates point to below `/pds/` are published.

    Raises:
        DisclosureSettingsError: One is not.
    """
    served = {f"{PATH}{one}{ending}" for one in own.languages for ending in ("", ".pdf")}
    for one in installation.disclosures:
        path = urllib.parse.urlsplit(one.url).path
        if path.startswith(PATH) and path not in served:
            raise settings.DisclosureSettingsError(
                f"certificates point to {path}, which is not published: expected one of"
                f" {', '.join(sorted(served))} in [[ca.disclosures]]"
            )


def find(session: orm.Session, version: str, language: str) -> tables.StatementRow:
    """Return a published statement.

    Raises:
        StatementNotFoundError: There is none.
    """
    # Anything can stand in a path; not every database takes every text.
    known = settings.VERSION.fullmatch(version) and language in settings.LANGUAGES
    row = session.get(tables.StatementRow, (version, language)) if known else None
    if row is None:
        raise StatementNotFoundError("no disclosure statement of this version and language")
    return row


def published(session: orm.Session, current: str) -> tuple[Published, ...]:
    """Return what is published: the current version first, then the newest."""
    rows = session.execute(
        sqlalchemy.select(
            tables.StatementRow.version,
            tables.StatementRow.language,
            tables.StatementRow.effective,
            tables.StatementRow.published_at,
            tables.StatementRow.pdf_sha256,
        ).order_by(
            tables.StatementRow.published_at.desc(),
            tables.StatementRow.version,
            tables.StatementRow.language,
        )
    )
    found = [Published(*row) for row in rows]
    return tuple(sorted(found, key=lambda one: one.version != current))


def _publish_one(
    sessions: orm.sessionmaker[orm.Session],
    own: settings.Settings,
    installation: ca_settings.Settings,
    language: str,
    facts: str,
    at: datetime.datetime,
) -> bool:
    composed = statements.compose(own, installation, language)
    pdf = printed.set_statement(composed, own.font, own.bold_font)
    digest = hashlib.sha256(pdf).hexdigest()
    row = tables.StatementRow(
        version=own.version,
        language=language,
        effective=own.effective.isoformat(),
        published_at=at,
        facts_sha256=facts,
        page_html=page.set_statement(composed, own.languages, digest),
        page_policy=page.CONTENT_SECURITY_POLICY,
        statement_pdf=pdf,
        pdf_sha256=digest,
    )
    with sessions() as session:
        session.add(row)
        try:
            session.flush()
        except exc.IntegrityError:
            # Another process of the same installation was faster; its bytes are the statement.
            return False
        audit.append(
            session,
            audit.AuditEvent.DISCLOSURE_PUBLISHED,
            at,
            actor=ACTOR,
            details={"version": own.version, "language": language, "pdf_sha256": digest},
        )
        session.commit()
    log.info("disclosure_published version=%s language=%s", own.version, language)
    return True
