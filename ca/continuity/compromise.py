"""An issuing CA's key is in wrong hands: close it, revoke what it issued, and it itself.

Each step may be killed and is continued by doing it again: what is left to do is always read from
the registry. The first step is the closure, in one transaction; a certificate that is being issued
at that moment either has its intent recorded before, and is abandoned here, or is refused.
"""

import dataclasses
import datetime
import hashlib
import logging
from collections.abc import Callable

import sqlalchemy
from sqlalchemy import orm

from ca import generations, hierarchy, revocation
from ca.continuity import closures, tables
from ca.crls import addresses, entries, publication, published, schedule
from pki import audit, clock, errors, failpoints, profiles, registry, status

log = logging.getLogger(__name__)

BATCH = 500
"""Certificates in one transaction: other writers wait for it no longer than a second."""

REASON = status.RevocationReason.cACompromise

Tell = Callable[[int], None]
"""Hears how many certificates were revoked so far."""


class NotAnAuthorityError(errors.NotFoundError):
    """The installation has no authority of this name below the root."""

    code = "authority-not-found"


@dataclasses.dataclass(frozen=True)
class Progress:
    """How far dealing with a compromise has come.

    Attributes:
        closure: When the authority was closed, and how many certificates were revoked.
        left: Certificates that are still to be revoked.
        authority_revoked: The authority's certificate is revoked in the registry.
        root_crl_number: Of the root's CRL that says so; None until one is published.
        last_crl_number: Of the authority's own last CRL; None until it is published.
    """

    closure: closures.Closure
    left: int
    authority_revoked: bool
    root_crl_number: int | None
    last_crl_number: int | None

    @property
    def is_complete(self) -> bool:
        """Whether nothing is left that a program can do."""
        done = self.left == 0 and self.authority_revoked
        return done and None not in (self.root_crl_number, self.last_crl_number)


def handle(
    sessions: orm.sessionmaker[orm.Session],
    authorities: hierarchy.Hierarchy,
    name: str,
    present: clock.Clock,
    *,
    actor: str,
    since: datetime.datetime | None = None,
    tell: Tell = lambda _: None,
) -> Progress:
    """Do everything about a compromise that the keys at hand allow; again, to continue.

    Where the root's key is elsewhere the root's CRL is left for a key ceremony
    (`revoke-authority`).

    Args:
        sessions: The CA's database.
        authorities: Those whose keys are here.
        name: Of the authority whose key is compromised.
        present: The clock.
        actor: Who declares it.
        since: Since when the key may be in wrong hands; the certificates get it as their
            invalidity date.
        tell: Hears how many certificates were revoked so far.

    Raises:
        NotAnAuthorityError: No such authority.
    """
    serial_number = _serial_number(sessions, name)
    with sessions() as session:
        closures.close(session, name, REASON, present.now(), actor=actor, invalidity_date=since)
        session.commit()
    log.warning("authority_closed issuer=%s reason=%s", name, REASON.name)
    revoke_issued(sessions, name, present, actor=actor, tell=tell)
    with sessions() as session:
        revocation.revoke(session, serial_number, REASON, present.now(), actor=actor)
        session.commit()
    if hierarchy.ROOT in authorities.authorities and _root_crl(sessions, serial_number) is None:
        _publish_root_crl(sessions, authorities, present.now(), actor)
    if name in authorities.authorities:
        schedule.publish_last(
            sessions, authorities.named(name), authorities.settings, present.now(), actor=actor
        )
    return progress(sessions, name)


def revoke_issued(
    sessions: orm.sessionmaker[orm.Session],
    name: str,
    present: clock.Clock,
    *,
    actor: str,
    tell: Tell = lambda _: None,
) -> int:
    """Revoke what a closed authority issued, in batches; return how many this call revoked.

    Certificates on hold become revoked; what was revoked before keeps its reason. The responders'
    certificates stay: their status is never asked (RFC 6960 4.2.2.2.1), and they tell of others.

    Raises:
        NotAnAuthorityError: The authority is not closed.
    """
    done = 0
    while True:
        count = _revoke_batch(sessions, name, present.now(), actor)
        if count == 0:
            return done
        failpoints.reach("revocation-batch")
        done += count
        tell(done)


def revoke_authority(
    sessions: orm.sessionmaker[orm.Session],
    authorities: hierarchy.Hierarchy,
    name: str,
    reason: status.RevocationReason,
    at: datetime.datetime,
    *,
    actor: str,
) -> published.PublishedCRL:
    """Close an authority, revoke its certificate and publish the root's CRL.

    Raises:
        NotAnAuthorityError: No such authority.
        RevocationStateError: It is revoked for another reason.
        RootOfflineError: The root's key is not here; nothing was changed.
    """
    authorities.named(hierarchy.ROOT)
    serial_number = _serial_number(sessions, name)
    with sessions() as session:
        closures.close(session, name, reason, at, actor=actor)
        revocation.revoke(session, serial_number, reason, at, actor=actor)
        session.commit()
    return _publish_root_crl(sessions, authorities, at, actor)


def progress(sessions: orm.sessionmaker[orm.Session], name: str) -> Progress:
    """Say how far dealing with a compromise has come.

    Raises:
        NotAnAuthorityError: No such authority, or its compromise was not declared.
    """
    serial_number = _serial_number(sessions, name)
    with sessions() as session:
        closure = closures.find(session, name)
        if closure is None:
            raise NotAnAuthorityError(f"no compromise of {name!r} was declared")
        left = session.scalar(
            sqlalchemy.select(sqlalchemy.func.count()).select_from(
                _to_revoke(name).with_only_columns(registry.CertificateRow.id).subquery()
            )
        )
        newest = published.find_newest(session, addresses.Scope(name))
        ended = schedule.has_ended(session, name)
        own = registry.find(session, serial_number).status
    return Progress(
        closure,
        left or 0,
        own.revoked_at is not None,
        _root_crl(sessions, serial_number),
        newest.number if newest is not None and ended else None,
    )


def _serial_number(sessions: orm.sessionmaker[orm.Session], name: str) -> int:
    if generations.is_authority(name):
        with sessions() as session:
            for one in registry.issuers(session):
                if one.name == name:
                    return one.certificate.serial_number
    raise NotAnAuthorityError("expected the name of an authority below the root, such as citizen")


def _publish_root_crl(
    sessions: orm.sessionmaker[orm.Session],
    authorities: hierarchy.Hierarchy,
    at: datetime.datetime,
    actor: str,
) -> published.PublishedCRL:
    root = authorities.named(hierarchy.ROOT)
    return publication.publish(sessions, root, authorities.settings, at, actor=actor)


def _root_crl(sessions: orm.sessionmaker[orm.Session], serial_number: int) -> int | None:
    """The number of the root's newest CRL where that one names the authority."""
    from cryptography import x509

    with sessions() as session:
        newest = published.find_newest(session, addresses.Scope(hierarchy.ROOT))
        if newest is None:
            return None
        listed = x509.load_der_x509_crl(published.content(session, newest))
    named = listed.get_revoked_certificate_by_serial_number(serial_number)
    return None if named is None else newest.number


def _to_revoke(name: str) -> sqlalchemy.Select[registry.CertificateRow]:
    row = registry.CertificateRow
    return sqlalchemy.select(row).where(
        row.issuer_name == name,
        row.profile != profiles.OCSP_RESPONDER.name,
        sqlalchemy.or_(
            row.revoked_at.is_(None),
            row.reason == status.RevocationReason.certificateHold.name,
        ),
    )


def _revoke_batch(
    sessions: orm.sessionmaker[orm.Session], name: str, at: datetime.datetime, actor: str
) -> int:
    with sessions() as session:
        closure = session.get(tables.ClosureRow, name, with_for_update=True)
        if closure is None:
            raise NotAnAuthorityError(f"expected the authority {name!r} to be closed first")
        row = registry.CertificateRow
        rows = session.scalars(
            _to_revoke(name)
            .order_by(row.id)
            .limit(BATCH)
            .with_for_update()
            # Without the certificates themselves: a batch stays small whatever they hold.
            .options(
                orm.load_only(
                    row.issuer_name,
                    row.serial_number,
                    row.state,
                    row.revoked_at,
                    row.reason,
                    row.invalidity_date,
                    row.crl_partition,
                )
            )
        ).all()
        if not rows:
            if closure.completed_at is None:
                closure.completed_at = clock.whole_seconds(at)
                session.commit()
            return 0
        for one in rows:
            _mark(one, closure, clock.whole_seconds(at))
        serials = "\n".join(one.serial_number for one in rows)
        closure.revoked += len(rows)
        head = audit.append(
            session,
            audit.AuditEvent.CERTIFICATES_REVOKED,
            at,
            actor=actor,
            details={
                "issuer": name,
                "reason": closure.reason,
                "count": len(rows),
                "first": rows[0].serial_number,
                "last": rows[-1].serial_number,
                # Of the serial numbers in the registry's order, a line each.
                "serials_sha256": hashlib.sha256(serials.encode("ascii")).hexdigest(),
            },
        )
        entries.record(session, rows, head.number, at)
        session.commit()
        return len(rows)


def _mark(row: registry.CertificateRow, closure: tables.ClosureRow, at: datetime.datetime) -> None:
    if row.state == registry.CertificateState.INTENDED.value:
        # Whoever is issuing it finds its intent gone and hands nothing out.
        row.state = registry.CertificateState.ABANDONED.value
        row.request_key = None
    # A hold counts from its beginning, since nobody could rely on the certificate in between.
    row.revoked_at = row.revoked_at or at
    row.reason = closure.reason
    row.invalidity_date = closure.invalidity_date
