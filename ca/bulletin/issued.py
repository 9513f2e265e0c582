"""Certificates issued and valid, from the registry."""

import dataclasses
import datetime
import enum
from collections.abc import Sequence

import sqlalchemy
from sqlalchemy import orm

from ca import generations
from ca.bulletin.settings import Category
from pki import certificates, months, profiles, registration, registry


class Purpose(enum.Enum):
    """What a certificate is for."""

    SIGNATURE = "signature"
    AUTHENTICATION = "authentication"
    SEAL = "seal"
    OTHER = "other"


@dataclasses.dataclass(frozen=True)
class IssuedCount:
    """How many certificates of a kind were issued in a month, and were valid at its end.

    Attributes:
        valid: At the end of the month, or at the moment of the question if that is earlier; as
            the registry knows it today (of an ended suspension nothing is known any more).
    """

    month: months.Month
    category: Category
    purpose: Purpose
    issued: int
    valid: int


def category_of_issuer(name: str) -> Category | None:
    """Whom an authority certifies; None for the root, and for what certifies services."""
    role = generations.role_of(name)
    if role in {one.value for one in registration.Category}:
        return Category(role)
    return None


def purpose_of(profile: str) -> Purpose:
    """What certificates of a profile are for."""
    if profile == profiles.SIGN.name:
        return Purpose.SIGNATURE
    if profile == profiles.AUTHENTICATE.name:
        return Purpose.AUTHENTICATION
    return Purpose.SEAL if "seal" in profile.split("-") else Purpose.OTHER


def count(
    session: orm.Session, period: Sequence[months.Month], at: datetime.datetime
) -> tuple[IssuedCount, ...]:
    """Count subscribers' certificates, in one pass over the registry.

    Certificates of our own services are left out: responders', authorities', units'.
    """
    row = registry.CertificateRow
    columns = []
    for month in period:
        end = min(month.end, at)
        issued = sqlalchemy.and_(row.issued_at >= month.start, row.issued_at < month.end)
        valid = sqlalchemy.and_(
            row.issued_at <= end,
            row.not_before <= end,
            row.not_after >= end,
            sqlalchemy.or_(row.revoked_at.is_(None), row.revoked_at > end),
            sqlalchemy.true() if month.start <= at else sqlalchemy.false(),
        )
        for condition in (issued, valid):
            columns.append(sqlalchemy.func.sum(sqlalchemy.case((condition, 1), else_=0)))
    rows = session.execute(
        sqlalchemy.select(row.issuer_name, row.profile, *columns)
        .where(row.state == registry.CertificateState.ISSUED.value, row.key_label.is_(None))
        .group_by(row.issuer_name, row.profile)
    )
    sums: dict[tuple[months.Month, Category, Purpose], list[int]] = {}
    for issuer_name, profile, *counts in rows:
        category = category_of_issuer(issuer_name)
        if category is None:
            continue
        for number, month in enumerate(period):
            kept = sums.setdefault((month, category, purpose_of(profile)), [0, 0])
            kept[0] += int(counts[2 * number])
            kept[1] += int(counts[2 * number + 1])
    return tuple(
        IssuedCount(*key, issued=issued, valid=valid)
        for key, (issued, valid) in sorted(
            sums.items(), key=lambda item: (item[0][0], item[0][1].value, item[0][2].value)
        )
    )


def categories_by_key(session: orm.Session) -> dict[str, Category]:
    """Whom each of our authorities certifies, by its key identifier in hex."""
    found = {}
    for one in registry.issuers(session):
        category = category_of_issuer(one.name)
        key = certificates.read(one.certificate).subject_key_identifier
        if category is not None and key is not None:
            found[key.hex()] = category
    return found
