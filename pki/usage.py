"""How often services were used, month by month: counters that each zone keeps for itself.

A counter grows in the transaction of what it counts, so that a repeated call or a crash neither
counts twice nor forgets. No person is counted by name or number: only which authority certified
them, and whether they signed for themselves.
"""

import dataclasses
import datetime
import enum
from collections.abc import Mapping
from typing import Any

import sqlalchemy
from cryptography import x509
from sqlalchemy import orm
from sqlalchemy.dialects import postgresql, sqlite

from pki import certificates, database, errors, months

MAX_RELYING_PARTY = 200

MAX_COUNT = 2**62


class UsageAnswerError(errors.PeerError):
    """A zone's counters are not what its API says."""

    code = "usage-answer"


class Channel(enum.Enum):
    """What the person signed with."""

    CARD = "card"
    PHONE = "phone"


class Operation(enum.Enum):
    """What was done."""

    SIGNATURE = "signature"
    AUTHENTICATION = "authentication"


class Holder(enum.Enum):
    """Whom a certificate names: a person, one who acts for an organisation, an organisation."""

    PERSON = "person"
    REPRESENTATIVE = "representative"
    ORGANISATION = "organisation"


class UsageRow(database.Base):
    """One counter."""

    __tablename__ = "usage_counters"

    # Zones may share a database; each has counters of its own.
    zone: orm.Mapped[str] = orm.mapped_column(sqlalchemy.String(16), primary_key=True)
    month: orm.Mapped[str] = orm.mapped_column(sqlalchemy.String(7), primary_key=True)
    channel: orm.Mapped[str] = orm.mapped_column(sqlalchemy.String(16), primary_key=True)
    operation: orm.Mapped[str] = orm.mapped_column(sqlalchemy.String(16), primary_key=True)
    issuer_key: orm.Mapped[str] = orm.mapped_column(sqlalchemy.String(64), primary_key=True)
    holder: orm.Mapped[str] = orm.mapped_column(sqlalchemy.String(16), primary_key=True)
    relying_party: orm.Mapped[str] = orm.mapped_column(
        sqlalchemy.String(MAX_RELYING_PARTY), primary_key=True
    )
    count: orm.Mapped[int] = orm.mapped_column(sqlalchemy.BigInteger)


@dataclasses.dataclass(frozen=True)
class Counter:
    """How often something happened in a month.

    Attributes:
        issuer_key: The key identifier of who issued the certificate, in hex; empty where the
            certificate names none (RFC 5280 4.2.1.1).
        relying_party: For whom: an API client, or a relying party of the gateway.
    """

    zone: str
    month: months.Month
    channel: Channel
    operation: Operation
    issuer_key: str
    holder: Holder
    relying_party: str
    count: int


def count(
    session: orm.Session,
    zone: str,
    channel: Channel,
    operation: Operation,
    certificate: x509.Certificate,
    relying_party: str,
    at: datetime.datetime,
) -> None:
    """Count one use, in the transaction of the change that ends it."""
    facts = certificates.read(certificate)
    key = {
        "zone": zone,
        "month": str(months.Month.of(at)),
        "channel": channel.value,
        "operation": operation.value,
        "issuer_key": (facts.authority_key_identifier or b"").hex()[:64],
        "holder": _holder(facts).value,
        "relying_party": relying_party,
    }
    # One statement that inserts or adds, so that two workers never fail over the first of a month.
    insert = (
        postgresql.insert(UsageRow)
        if session.get_bind().dialect.name == "postgresql"
        else sqlite.insert(UsageRow)
    )
    session.execute(
        insert.values(**key, count=1).on_conflict_do_update(
            index_elements=list(key), set_={"count": UsageRow.count + 1}
        )
    )


def read(session: orm.Session, zone: str, period: months.Range) -> tuple[Counter, ...]:
    """Return a zone's counters of some months."""
    rows = session.scalars(
        sqlalchemy.select(UsageRow)
        .where(
            UsageRow.zone == zone,
            UsageRow.month >= str(period.first),
            UsageRow.month <= str(period.last),
        )
        .order_by(*sqlalchemy.inspect(UsageRow).primary_key)
    )
    return tuple(
        Counter(
            row.zone,
            months.Month.parse(row.month),
            Channel(row.channel),
            Operation(row.operation),
            row.issuer_key,
            Holder(row.holder),
            row.relying_party,
            row.count,
        )
        for row in rows
    )


def as_json(counter: Counter) -> dict[str, object]:
    """A counter as the API tells it."""
    return {
        "month": str(counter.month),
        "channel": counter.channel.value,
        "operation": counter.operation.value,
        "issuer_key": counter.issuer_key,
        "holder": counter.holder.value,
        "relying_party": counter.relying_party,
        "count": counter.count,
    }


def from_json(zone: str, value: object) -> Counter:
    """Read a counter that a zone tells.

    Raises:
        UsageAnswerError: It is none.
    """
    if not isinstance(value, Mapping):
        raise UsageAnswerError("expected counters as JSON objects")
    entry: Mapping[str, Any] = value
    try:
        counter = Counter(
            zone,
            months.Month.parse(str(entry["month"])),
            Channel(entry["channel"]),
            Operation(entry["operation"]),
            str(entry["issuer_key"]),
            Holder(entry["holder"]),
            str(entry["relying_party"]),
            entry["count"],
        )
    except (KeyError, ValueError, months.MonthError) as error:
        raise UsageAnswerError("expected month, channel, operation, holder and count") from error
    if type(counter.count) is not int or not 0 <= counter.count <= MAX_COUNT:
        raise UsageAnswerError("expected a count of zero or more")
    return counter


def _holder(facts: certificates.CertificateFacts) -> Holder:
    if facts.organisation_identifier is None:
        return Holder.PERSON
    return Holder.ORGANISATION if facts.identifier is None else Holder.REPRESENTATIVE
