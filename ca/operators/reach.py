"""Whose certificates an operator may hold, release and revoke."""

from sqlalchemy import orm

from ca.operators import roles
from pki import errors, profiles, registry


class OutOfReachError(errors.AccessError):
    """The certificate is not one that this role decides about."""

    code = "certificate-out-of-reach"


def check_reach(session: orm.Session, operator: roles.Operator, serial_number: int) -> None:
    """Let offices decide about subscribers' certificates, administrators about all others.

    Otherwise an officer could put the time-stamping unit, a responder or every other operator
    out of work, and an administrator a citizen.

    Raises:
        CertificateNotFoundError: No such certificate.
        OutOfReachError: It is the other's to decide.
    """
    profile = registry.find(session, serial_number).profile
    administers = roles.Permission.ADMINISTER_AUTHORITIES in roles.PERMISSIONS[operator.role]
    if profile in (profiles.AUTHORITY.name, profiles.ROOT.name, profiles.CROSS_AUTHORITY.name):
        raise OutOfReachError("the certificate of an authority is revoked in a key ceremony")
    if (profile in profiles.SUBSCRIBER_NAMES) == administers:
        whose = "an officer's or approver's" if administers else "a CA administrator's"
        raise OutOfReachError(f"a certificate of the profile {profile} is {whose} to decide about")
