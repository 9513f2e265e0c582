"""The revocation lists: their numbers, their bytes, and whether they say what the registry says."""

import dataclasses
import datetime
import hashlib
from collections.abc import Iterator, Mapping

import sqlalchemy
from cryptography import x509
from sqlalchemy import orm

from ca.crls import addresses, entries, partitions, published, tables
from ca.examination.findings import Finding, Report, Severity, Tell
from pki import certificates, registry, status

AGREEMENT = datetime.timedelta(minutes=60)
"""Within this time of a revocation it is on the newest CRL (EN 319 411-1 6.2.4)."""


@dataclasses.dataclass(frozen=True)
class _Said:
    """What a list says of a certificate."""

    revoked_at: datetime.datetime
    reason: str


def examine(
    sessions: orm.sessionmaker[orm.Session], at: datetime.datetime, report: Report, tell: Tell
) -> None:
    """Examine every authority's chain of CRLs, the newest ones in full, and the stored entries."""
    with sessions() as session:
        issuers = registry.issuers(session)
    for issuer in issuers:
        for finding in _chain(sessions, issuer.name, report):
            report.add(finding)
        with sessions() as session:
            scopes = partitions.scopes(session, issuer.name)
        for scope in scopes:
            for finding in _newest(sessions, issuer, scope, at):
                report.add(finding)
        with sessions() as session:
            for serial_number in entries.differences(session, issuer.name):
                about = f"{issuer.name}/{registry.serial_key(serial_number)}"
                report.add(Finding("crl-entry", about, "its stored entry is not what it calls for"))
        tell("CRLs", report.examined["CRLs"])


def _chain(sessions: orm.sessionmaker[orm.Session], name: str, report: Report) -> Iterator[Finding]:
    number = 0
    latest: dict[int, datetime.datetime] = {}
    while True:
        query = (
            sqlalchemy.select(tables.CRLRow)
            .where(tables.CRLRow.issuer_name == name, tables.CRLRow.number > number)
            .order_by(tables.CRLRow.number)
            .limit(1)
        )
        with sessions() as session:
            row = session.scalars(query).first()
        if row is None:
            return
        about = f"{name}/{row.number}"
        report.examined["CRLs"] += 1
        if row.this_update < latest.get(row.partition, row.this_update):
            yield Finding("crl-order", about, "its thisUpdate is before that of an earlier one")
        number, latest[row.partition] = row.number, row.this_update
        if row.tail_der is None or not row.kept:
            continue
        made = published.to_published(row)
        if _digest(published.to_be_signed(sessions, made)) != row.to_be_signed_sha256:
            yield Finding("crl-digest", about, "its recorded bytes do not have their digest")
        if _digest(published.pieces(sessions, made)) != row.sha256:
            yield Finding("crl-digest", about, "the signed list does not have its digest")


def _digest(pieces: Iterator[bytes]) -> str:
    digest = hashlib.sha256()
    for one in pieces:
        digest.update(one)
    return digest.hexdigest()


def _newest(
    sessions: orm.sessionmaker[orm.Session],
    issuer: registry.IssuerRecord,
    scope: addresses.Scope,
    at: datetime.datetime,
) -> Iterator[Finding]:
    with sessions() as session:
        full = published.find_newest(session, scope)
        delta = published.find_newest(session, scope, delta=True)
        lists = [] if full is None else [full]
        if full is not None and delta is not None and delta.number > full.number:
            lists.append(delta)
        found = [(one, published.content(session, one)) for one in lists]
        row = registry.CertificateRow
        query = sqlalchemy.select(row.serial_number, row.revoked_at, row.reason).where(
            row.issuer_name == issuer.name,
            row.crl_partition == scope.partition,
            row.revoked_at.is_not(None),
        )
        revoked = {
            int(serial, 16): _Said(revoked_at, reason or status.RevocationReason.unspecified.name)
            for serial, revoked_at, reason in session.execute(query)
            if revoked_at is not None
        }
    if not found:
        yield Finding("crl-newest", addresses.path(scope), "no CRL is published")
        return
    said: dict[int, _Said] = {}
    for one, crl_der in found:
        about = f"{issuer.name}/{one.number}"
        if one.next_update <= at:
            yield Finding("crl-stale", about, f"it ended at {one.next_update.isoformat()}")
        try:
            listed = x509.load_der_x509_crl(crl_der)
            number = listed.extensions.get_extension_for_class(x509.CRLNumber).value.crl_number
            valid = listed.is_signature_valid(certificates.public_key(issuer.certificate))
        except (ValueError, x509.ExtensionNotFound):
            yield Finding("crl-readable", about, "it is no CRL with a number")
            return
        if not valid:
            yield Finding("crl-signature", about, "its issuer's key did not sign it")
        if number != one.number or listed.next_update_utc != one.next_update:
            yield Finding("crl-facts", about, "number or nextUpdate differ from its row")
        for entry in listed:
            if _reason(entry) == x509.ReasonFlags.remove_from_crl.value:
                said.pop(entry.serial_number, None)
            else:
                said[entry.serial_number] = _Said(entry.revocation_date_utc, _reason(entry))
    yield from _agreement(issuer.name, said, revoked, lists[-1].this_update, at)


def _agreement(
    name: str,
    said: Mapping[int, _Said],
    revoked: Mapping[int, _Said],
    this_update: datetime.datetime,
    at: datetime.datetime,
) -> Iterator[Finding]:
    """Compare the newest list, with its delta, with the registry, entry by entry."""
    for serial_number, one in said.items():
        about = f"{name}/{registry.serial_key(serial_number)}"
        if serial_number not in revoked:
            # A hold that was released since is no contradiction until the next list is due.
            held = one.reason == status.RevocationReason.certificateHold.name
            if not held or at - this_update > AGREEMENT:
                yield Finding("crl-agreement", about, "the CRL revokes it, the registry does not")
            continue
        known = revoked[serial_number]
        if known.revoked_at.replace(microsecond=0) != one.revoked_at:
            yield Finding("crl-agreement", about, "CRL and registry give other times")
        elif known.reason != one.reason:
            # A hold may have become final since.
            severity = Severity.ERROR if at - this_update > AGREEMENT else Severity.WARNING
            yield Finding("crl-agreement", about, "CRL and registry give other reasons", severity)
    for serial_number, known in revoked.items():
        if serial_number in said:
            continue
        if known.revoked_at < this_update or at - known.revoked_at > AGREEMENT:
            about = f"{name}/{registry.serial_key(serial_number)}"
            yield Finding("crl-agreement", about, "the registry revokes it, the CRL does not")


def _reason(entry: x509.RevokedCertificate) -> str:
    for extension in entry.extensions:
        if isinstance(extension.value, x509.CRLReason):
            return str(extension.value.reason.value)
    return status.RevocationReason.unspecified.name
