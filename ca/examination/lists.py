"""The revocation lists: their numbers, their bytes, and whether they say what the registry says."""

import datetime
import hashlib
from collections.abc import Iterator, Mapping

import sqlalchemy
from cryptography import x509
from sqlalchemy import orm

from ca import authority, crl, tables
from ca.examination.findings import Finding, Report, Severity, Tell
from pki import certificates, registry, status

AGREEMENT = datetime.timedelta(minutes=60)
"""Within this time of a revocation it is on the newest CRL (EN 319 411-1 6.2.4)."""


def examine(
    sessions: orm.sessionmaker[orm.Session], at: datetime.datetime, report: Report, tell: Tell
) -> None:
    """Examine every authority's chain of CRLs, and the newest one in full."""
    with sessions() as session:
        issuers = registry.issuers(session)
    for issuer in issuers:
        for finding in (*_chain(sessions, issuer.name, report), *_newest(sessions, issuer, at)):
            report.add(finding)
        tell("CRLs", report.examined["CRLs"])


def _chain(sessions: orm.sessionmaker[orm.Session], name: str, report: Report) -> Iterator[Finding]:
    table = tables.CRLRow.__table__
    number, this_update = 0, datetime.datetime.min.replace(tzinfo=datetime.UTC)
    while True:
        query = (
            sqlalchemy.select(table)
            .where(table.c.issuer_name == name, table.c.number > number)
            .order_by(table.c.number)
            .limit(1)
        )
        with sessions() as session:
            row = session.execute(query).mappings().first()
        if row is None:
            return
        about = f"{name}/{row['number']}"
        report.examined["CRLs"] += 1
        if row["this_update"] < this_update:
            yield Finding("crl-order", about, "its thisUpdate is before that of an earlier one")
        number, this_update = row["number"], row["this_update"]
        if row["crl_der"] is None:
            continue
        digest = hashlib.sha256(row["to_be_signed_der"]).hexdigest()
        if digest != row["to_be_signed_sha256"]:
            yield Finding("crl-digest", about, "its recorded bytes do not have their digest")
        if authority.to_be_signed(row["crl_der"]) != row["to_be_signed_der"]:
            yield Finding("crl-digest", about, "the signed bytes are not the recorded ones")


def _newest(
    sessions: orm.sessionmaker[orm.Session], issuer: registry.IssuerRecord, at: datetime.datetime
) -> Iterator[Finding]:
    with sessions() as session:
        newest = crl.find_newest(session, issuer.name)
        row = registry.CertificateRow
        query = sqlalchemy.select(row.serial_number, row.revoked_at, row.reason).where(
            row.issuer_name == issuer.name, row.revoked_at.is_not(None)
        )
        revoked = {
            int(serial, 16): (revoked_at, reason)
            for serial, revoked_at, reason in session.execute(query)
            if revoked_at is not None
        }
    if newest is None:
        yield Finding("crl-newest", issuer.name, "no CRL is published")
        return
    about = f"{issuer.name}/{newest.number}"
    if newest.next_update <= at:
        yield Finding("crl-stale", about, f"it ended at {newest.next_update.isoformat()}")
    try:
        listed = x509.load_der_x509_crl(newest.crl_der)
        number = listed.extensions.get_extension_for_class(x509.CRLNumber).value.crl_number
        valid = listed.is_signature_valid(certificates.public_key(issuer.certificate))
    except (ValueError, x509.ExtensionNotFound):
        yield Finding("crl-readable", about, "it is no CRL with a number")
        return
    if not valid:
        yield Finding("crl-signature", about, "its issuer's key did not sign it")
    if number != newest.number or listed.next_update_utc != newest.next_update:
        yield Finding("crl-facts", about, "number or nextUpdate differ from its row")
    yield from _agreement(issuer.name, listed, revoked, newest.this_update, at)


def _agreement(
    name: str,
    listed: x509.CertificateRevocationList,
    revoked: Mapping[int, tuple[datetime.datetime, str | None]],
    this_update: datetime.datetime,
    at: datetime.datetime,
) -> Iterator[Finding]:
    """Compare the newest list with the registry, entry by entry."""
    seen: set[int] = set()
    for entry in listed:
        seen.add(entry.serial_number)
        about = f"{name}/{registry.serial_key(entry.serial_number)}"
        if entry.serial_number not in revoked:
            # A hold that was released since is no contradiction until the next list is due.
            held = _reason(entry) == status.RevocationReason.certificateHold.name
            if not held or at - this_update > AGREEMENT:
                yield Finding("crl-agreement", about, "the CRL revokes it, the registry does not")
            continue
        revoked_at, reason = revoked[entry.serial_number]
        if revoked_at.replace(microsecond=0) != entry.revocation_date_utc:
            yield Finding("crl-agreement", about, "CRL and registry give other times")
        elif reason != _reason(entry):
            # A hold may have become final since.
            severity = Severity.ERROR if at - this_update > AGREEMENT else Severity.WARNING
            yield Finding("crl-agreement", about, "CRL and registry give other reasons", severity)
    for serial_number, (revoked_at, _) in revoked.items():
        if serial_number in seen:
            continue
        if revoked_at < this_update or at - revoked_at > AGREEMENT:
            about = f"{name}/{registry.serial_key(serial_number)}"
            yield Finding("crl-agreement", about, "the registry revokes it, the CRL does not")


def _reason(entry: x509.RevokedCertificate) -> str:
    for extension in entry.extensions:
        if isinstance(extension.value, x509.CRLReason):
            return str(extension.value.reason.value)
    return status.RevocationReason.unspecified.name
