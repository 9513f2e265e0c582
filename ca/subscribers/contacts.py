"""How to reach a subscriber: an e-mail address, a phone number, and the language they read."""

import dataclasses
import datetime
import enum
import re

from sqlalchemy import orm

from ca.applications import states
from ca.subscribers import tables
from pki import audit, errors

_EMAIL = re.compile(
    r"[A-Za-z0-9.!#$%&'*+/=?^_`{|}~-]{1,64}@[A-Za-z0-9-]{1,63}(\.[A-Za-z0-9-]{1,63})+"
)
"""What mail servers everywhere take: a local part of RFC 5322 atoms and a host name. Quoted local
parts and anything that could end a header line are refused."""

_PHONE = re.compile(r"\+[1-9][0-9]{6,14}")
"""E.164: up to fifteen digits after the plus."""

MAX_EMAIL = 254
"""RFC 5321 4.5.3.1.3, less the brackets around a path."""


class Language(enum.Enum):
    """What notices are written in (ISO 639-1)."""

    AZERBAIJANI = "az"
    GEORGIAN = "ka"
    ENGLISH = "en"


class ContactError(errors.InputError):
    """An address or a number that nothing can be sent to."""

    code = "contact-refused"


@dataclasses.dataclass(frozen=True)
class Contact:
    """How to reach somebody; what is None is not used."""

    email: str | None = dataclasses.field(repr=False)
    phone_number: str | None = dataclasses.field(repr=False)
    language: Language

    def __post_init__(self) -> None:
        """Refuse what nothing can be sent to."""
        if self.email is not None and (
            len(self.email) > MAX_EMAIL or not _EMAIL.fullmatch(self.email)
        ):
            raise ContactError("email: expected an address such as name@example.az")
        if self.phone_number is not None and not _PHONE.fullmatch(self.phone_number):
            raise ContactError("phone_number: expected a number such as +994501234567")


def record(
    session: orm.Session,
    application_id: str,
    contact: Contact,
    at: datetime.datetime,
    *,
    actor: str,
) -> None:
    """Record how to reach the subscriber of an application; the caller commits.

    A contact with neither an address nor a number removes what was there: who wants no notices
    gets none.

    Raises:
        ApplicationNotFoundError: No such application.
    """
    states.find(session, application_id)
    row = session.get(tables.ContactRow, application_id, with_for_update=True)
    if contact.email is None and contact.phone_number is None:
        if row is not None:
            session.delete(row)
    else:
        if row is None:
            row = tables.ContactRow(application_id=application_id)
            session.add(row)
        row.email = contact.email
        row.phone_number = contact.phone_number
        row.language = contact.language.value
        row.recorded_at = at
    audit.append(
        session,
        audit.AuditEvent.CONTACT_RECORDED,
        at,
        actor=actor,
        details={"application": application_id},
    )


def find(session: orm.Session, application_id: str) -> Contact | None:
    """Return how to reach the subscriber of an application, or None."""
    row = session.get(tables.ContactRow, application_id)
    if row is None:
        return None
    return Contact(row.email, row.phone_number, Language(row.language))
