"""A subscriber has certificates suspended or revoked with the revocation password."""

import dataclasses
import datetime

import sqlalchemy
from sqlalchemy import orm

from ca import hierarchy, publication, revocation
from ca.subscribers import passwords
from ca.subscribers import settings as subscriber_settings
from pki import errors, person_codes, profiles, registry, status

ACTOR = "subscriber:password"

REASONS = (
    status.RevocationReason.unspecified,
    status.RevocationReason.keyCompromise,
    status.RevocationReason.affiliationChanged,
    status.RevocationReason.superseded,
    status.RevocationReason.cessationOfOperation,
)
"""What a subscriber can know; the others are the CA's own to say."""


class RequestRefusedError(errors.PolicyError):
    """The password is not that of whoever the request names."""

    code = "revocation-request-refused"


@dataclasses.dataclass(frozen=True)
class PersonNumber:
    """A person by their number and the country that gave it."""

    country: str
    person_code: str = dataclasses.field(repr=False)


def act(
    sessions: orm.sessionmaker[orm.Session],
    authorities: hierarchy.Hierarchy,
    settings: subscriber_settings.Settings,
    named: int | PersonNumber,
    password: passwords.RevocationPassword,
    reason: status.RevocationReason,
    at: datetime.datetime,
    *,
    missed_before: bool = False,
) -> tuple[registry.CertificateRecord, ...]:
    """Suspend or revoke, and publish the CRLs.

    Args:
        sessions: The database.
        authorities: Whose CRLs change.
        settings: How often a password may be missed.
        named: The serial number of one certificate; or a person, for all that have not ended.
        password: The person's.
        reason: `certificateHold` suspends, which an officer can take back; any of `REASONS`
            revokes for good.
        at: The present.
        missed_before: Whether wrong passwords came from the same address before.

    Returns:
        The certificates as they are now.

    Raises:
        RequestRefusedError: Nobody, no certificate or no password of that kind: which is not told.
        RevocationStateError: The one that is named is revoked for another reason.
        InputError: No reason that a subscriber can give.
        BusyError: As `passwords.is_right`.
    """
    holding = reason is status.RevocationReason.certificateHold
    if not holding and reason not in REASONS:
        names = ", ".join(one.name for one in (*REASONS, status.RevocationReason.certificateHold))
        raise errors.InputError(f"expected a reason of {names}")
    identifier = identify(sessions, named)
    if not passwords.is_right(
        sessions, identifier, password, settings, at, actor=ACTOR, missed_before=missed_before
    ):
        raise RequestRefusedError(
            "the certificate or person and the password do not belong together, or there were too"
            " many tries: check them, or call the hotline"
        )
    with sessions() as session:
        if isinstance(named, int):
            serials = [named]
        else:
            serials = _open_serials(session, identifier or "", at, holding=holding)
        changed = []
        for serial in serials:
            if holding:
                changed.append(revocation.hold(session, serial, at, actor=ACTOR))
            else:
                changed.append(revocation.revoke(session, serial, reason, at, actor=ACTOR))
        session.commit()
    publication.publish_changed(
        sessions, authorities, {one.issuer_name for one in changed}, at, actor=ACTOR
    )
    return tuple(changed)


def identify(sessions: orm.sessionmaker[orm.Session], named: int | PersonNumber) -> str | None:
    """Return the person's identifier (EN 319 412-1 5.1.3), or None where there is none."""
    if isinstance(named, PersonNumber):
        try:
            person_codes.check_person_code(named.country, named.person_code)
            return person_codes.person_identifier(named.country, named.person_code)
        except errors.InputError:
            return None
    try:
        with sessions() as session:
            record = registry.find(session, named)
    except registry.CertificateNotFoundError:
        return None
    issued = record.state is registry.CertificateState.ISSUED
    return record.person_identifier if issued else None


def _open_serials(
    session: orm.Session, identifier: str, at: datetime.datetime, *, holding: bool
) -> list[int]:
    """The certificates of a person that can still be changed."""
    held = registry.CertificateRow.reason == status.RevocationReason.certificateHold.name
    good = registry.CertificateRow.revoked_at.is_(None)
    rows = session.scalars(
        sqlalchemy.select(registry.CertificateRow.serial_number)
        .where(
            registry.CertificateRow.person_identifier == identifier,
            registry.CertificateRow.profile.in_(profiles.SUBSCRIBER_NAMES),
            registry.CertificateRow.state == registry.CertificateState.ISSUED.value,
            registry.CertificateRow.not_after >= at,
            good if holding else good | held,
        )
        .order_by(registry.CertificateRow.id)
    )
    return [int(one, 16) for one in rows]
