"""Partitions: lists that stay small because each speaks of a part of the certificates alone.

The first certificates of an authority are told of by its one list. When there are enough of them
the next partition is opened, and certificates that are issued from then on point to its list
(RFC 5280 5.2.5). A certificate stays in its partition for ever.
"""

import dataclasses
import datetime
from collections.abc import Sequence
from typing import cast

import sqlalchemy
from sqlalchemy import exc, orm

from ca import drafts
from ca import settings as ca_settings
from ca.crls import addresses, tables
from pki import audit, registry

_PARTITIONS = cast(sqlalchemy.Table, tables.CRLPartitionRow.__table__)
_NEWEST = sqlalchemy.select(sqlalchemy.func.max(_PARTITIONS.c.number)).where(
    _PARTITIONS.c.issuer_name == sqlalchemy.bindparam("issuer")
)


def newest(session: orm.Session | sqlalchemy.Connection, issuer_name: str) -> int:
    """The partition into which an authority's certificates are issued now; 0 where it is whole."""
    return session.execute(_NEWEST, {"issuer": issuer_name}).scalar_one() or 0


def scopes(session: orm.Session, issuer_name: str) -> tuple[addresses.Scope, ...]:
    """Every partition of an authority: each has its lists for as long as the authority has."""
    count = newest(session, issuer_name) + 1
    return tuple(addresses.Scope(issuer_name, number) for number in range(count))


def is_partitioned(session: orm.Session, scope: addresses.Scope) -> bool:
    """Whether a list of this scope must say that there are others (RFC 5280 5.2.5)."""
    return scope.partition > 0 or newest(session, scope.issuer_name) > 0


def place(
    session: orm.Session | sqlalchemy.Connection,
    made: Sequence[drafts.CertificateDraft],
    settings: ca_settings.Settings,
) -> tuple[drafts.CertificateDraft, ...]:
    """Return drafts that point to the list of the partition that each belongs to."""
    newest_of = {name: newest(session, name) for name in {one.issuer.name for one in made}}
    return tuple(_placed(one, newest_of[one.issuer.name], settings) for one in made)


def _placed(
    draft: drafts.CertificateDraft, partition: int, settings: ca_settings.Settings
) -> drafts.CertificateDraft:
    if partition == 0 or draft.crl_url is None:
        return draft
    url = settings.crl_url(draft.issuer.name, partition)
    delta_url = draft.delta_crl_url
    if delta_url is not None:
        delta_url = settings.crl_url(draft.issuer.name, partition, delta=True)
    return dataclasses.replace(draft, crl_partition=partition, crl_url=url, delta_crl_url=delta_url)


def is_full(session: orm.Session, scope: addresses.Scope, size: int) -> bool:
    """Whether a partition has as many certificates as the settings want in one."""
    query = (
        sqlalchemy.select(sqlalchemy.literal(1))
        .select_from(registry.CertificateRow)
        .where(
            registry.CertificateRow.issuer_name == scope.issuer_name,
            registry.CertificateRow.crl_partition == scope.partition,
        )
        .limit(size)
        .subquery()
    )
    return session.scalars(sqlalchemy.select(sqlalchemy.func.count()).select_from(query)).one() >= (
        size
    )


def open_next(
    session: orm.Session, scope: addresses.Scope, at: datetime.datetime, *, actor: str
) -> None:
    """Have certificates issued into a partition from now on; its list is published already.

    Another process that opens the same one does no harm.
    """
    session.add(
        tables.CRLPartitionRow(issuer_name=scope.issuer_name, number=scope.partition, opened_at=at)
    )
    try:
        session.flush()
    except exc.IntegrityError:
        session.rollback()
        return
    audit.append(
        session,
        audit.AuditEvent.CRL_PARTITION_OPENED,
        at,
        actor=actor,
        details={"issuer": scope.issuer_name, "partition": scope.partition},
    )
    session.commit()
