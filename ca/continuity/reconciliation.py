"""After a restore: make the registry know again what the signature log and published CRLs know.

Three sources are left when a database is gone: the backup, the signature log, and the CRLs that
the world has. A certificate that the log names and the registry does not know exists or may exist,
and nobody here can say whose it is: it is recorded as abandoned and revoked. A CRL number that was
signed is never given again. A revocation that a published CRL tells is told again.

Reconciling changes the registry and leaves it locked; another person releases it. A run that was
killed is continued by the next one, since what is missing is read from the registry each time.
"""

import dataclasses
import datetime
import hashlib
import itertools
import logging
import pathlib
from collections.abc import Iterator, Sequence

import sqlalchemy
from cryptography import x509
from sqlalchemy import orm

from ca import intents
from ca.continuity import closures, known_signatures
from ca.crls import entries
from ca.crls import tables as crl_tables
from pki import audit, certificates, clock, errors, failpoints, registry, registry_lock, status
from pki.keystore import signature_log

log = logging.getLogger(__name__)

BATCH = 200
MAX_CRL_BYTES = 256 * 2**20
UNRECORDED = "unrecorded"
"""The profile of a certificate of which nothing is known but its issuer and its number."""


class NotLockedError(errors.StateError):
    """The registry is not locked: there is nothing to reconcile or to release."""

    code = "registry-not-locked"


class NotReconciledError(errors.StateError):
    """The registry cannot be released yet."""

    code = "registry-not-reconciled"


class SamePersonError(errors.PolicyError):
    """Who reconciled does not release."""

    code = "same-person"


class RevocationsMissingError(errors.StateError):
    """CRLs were signed after the backup, and their revocations were not handed in."""

    code = "revocations-missing"


@dataclasses.dataclass(frozen=True)
class Reconciled:
    """What a reconciliation did.

    Attributes:
        certificates: Certificates that nobody knew, revoked.
        crl_numbers: The highest number that was signed, by authority, where it was unknown.
        revocations: Revocations that were taken from published CRLs.
    """

    certificates: int
    crl_numbers: dict[str, int]
    revocations: int


def reconcile(
    sessions: orm.sessionmaker[orm.Session],
    path: pathlib.Path,
    crl_files: Sequence[bytes],
    present: clock.Clock,
    *,
    actor: str,
    without_crl: Sequence[str] = (),
    new_log: bool = False,
) -> Reconciled:
    """Record what the signature log and the published CRLs know and the registry does not.

    Args:
        sessions: The restored database, which is locked.
        path: The signature log.
        crl_files: The newest CRL of each authority as the world has it, in DER; of one with
            partitions each partition's, and newer deltas beside their full lists.
        present: The clock.
        actor: Who reconciles.
        without_crl: Authorities whose newest CRL is nowhere to be had: their revocations since
            the backup are lost, and somebody answers for that.
        new_log: The log was begun anew: compare all of it, whatever was compared before.

    Raises:
        NotLockedError: The registry is not locked.
        RevocationsMissingError: An authority signed CRLs that are not handed in.
        SignatureLogTamperedError: The log was edited, cut or replaced.
        InputError: A file is no CRL of an authority of ours.
    """
    with sessions() as session:
        found = registry_lock.state(session)
        issuers = {one.name: one for one in registry.issuers(session)}
    if found.locked_at is None:
        raise NotLockedError("the registry is not locked: there is nothing to reconcile")
    published = _read_crls(crl_files, issuers)
    mark = None if new_log else found.mark
    missing = _missing_crl_numbers(sessions, path, mark)
    _check_handed_in(missing, published, without_crl)
    intents.reconcile(sessions, present.now())
    count = 0
    for batch in _unknown_certificates(sessions, path, mark):
        _record_unknown(sessions, batch, issuers, present.now(), actor)
        failpoints.reach("reconciliation-batch")
        count += len(batch)
    _record_crl_numbers(sessions, missing, present.now(), actor)
    revoked = sum(
        _take_revocations(sessions, name, listed, present.now(), actor)
        for name, lists in published.items()
        for listed in lists
    )
    _close_revoked(sessions, issuers, present.now(), actor)
    failpoints.reach("reconciled")
    with sessions() as session:
        registry_lock.set_reconciled(session, actor, present.now())
        numbers = {name: one[0] for name, one in missing.items()}
        audit.append(
            session,
            audit.AuditEvent.REGISTRY_RECONCILED,
            present.now(),
            actor=actor,
            details={
                "certificates": count,
                "revocations": revoked,
                "crl_numbers": ",".join(f"{name}={one}" for name, one in sorted(numbers.items())),
                "without_crl": ",".join(sorted(without_crl)),
            },
        )
        session.commit()
    log.warning("registry_reconciled certificates=%d revocations=%d", count, revoked)
    return Reconciled(count, numbers, revoked)


def release(
    sessions: orm.sessionmaker[orm.Session],
    path: pathlib.Path,
    at: datetime.datetime,
    *,
    actor: str,
    new_log: bool = False,
) -> None:
    """End the lock of a registry that somebody else reconciled.

    Raises:
        NotLockedError: It is not locked.
        NotReconciledError: It was not reconciled since, or the log names something unknown still.
        SamePersonError: The same person reconciled it.
        SignatureLogTamperedError: The log was edited, cut or replaced.
    """
    with sessions() as session:
        found = registry_lock.state(session)
        if found.locked_at is None:
            raise NotLockedError("the registry is not locked: there is nothing to release")
        if found.reconciled_by is None:
            raise NotReconciledError("reconcile first: imza ca restore --reconcile")
        if found.reconciled_by == actor:
            raise SamePersonError("expected another officer than the one who reconciled")
    last = None if new_log else found.mark
    for one in known_signatures.unknown(sessions, _objects(path, last)):
        raise NotReconciledError(
            f"line {one.position.number} of the signature log is not reconciled: reconcile again"
        )
    last = known_signatures.end_of(path, last)
    with sessions() as session:
        registry_lock.set_mark(session, last)
        registry_lock.release(session)
        audit.append(
            session,
            audit.AuditEvent.REGISTRY_RELEASED,
            at,
            actor=actor,
            details={"log_number": 0 if last is None else last.number},
        )
        session.commit()
    log.warning("registry_released")


def _read_crls(
    crl_files: Sequence[bytes], issuers: dict[str, registry.IssuerRecord]
) -> dict[str, list[x509.CertificateRevocationList]]:
    """The lists of each authority, the newest first: what it says of a certificate counts."""
    found: dict[str, list[x509.CertificateRevocationList]] = {}
    for content in crl_files:
        try:
            listed = x509.load_der_x509_crl(content)
            _number(listed)
        except (ValueError, x509.ExtensionNotFound) as error:
            raise errors.InputError("expected a CRL with a number, in DER") from error
        name = next(
            (one.name for one in issuers.values() if one.certificate.subject == listed.issuer), None
        )
        if name is None or not listed.is_signature_valid(
            certificates.public_key(issuers[name].certificate)
        ):
            raise errors.InputError("expected a CRL that an authority of this registry signed")
        found.setdefault(name, []).append(listed)
    return {name: sorted(lists, key=_number, reverse=True) for name, lists in found.items()}


def _number(listed: x509.CertificateRevocationList) -> int:
    return listed.extensions.get_extension_for_class(x509.CRLNumber).value.crl_number


def _missing_crl_numbers(
    sessions: orm.sessionmaker[orm.Session],
    path: pathlib.Path,
    mark: signature_log.Position | None,
) -> dict[str, tuple[int, known_signatures.LoggedObject]]:
    """The highest number that each authority signed, where the registry does not know it."""
    highest: dict[str, tuple[int, known_signatures.LoggedObject]] = {}
    for one in _objects(path, mark):
        if one.kind == known_signatures.CRL:
            number = int(one.number)
            if one.issuer_name not in highest or number > highest[one.issuer_name][0]:
                highest[one.issuer_name] = (number, one)
    return {
        one.issuer_name: (int(one.number), one)
        for one in known_signatures.unknown(sessions, [each for _, each in highest.values()])
    }


def _check_handed_in(
    missing: dict[str, tuple[int, known_signatures.LoggedObject]],
    published: dict[str, list[x509.CertificateRevocationList]],
    without_crl: Sequence[str],
) -> None:
    for name, (number, _) in sorted(missing.items()):
        if name in without_crl:
            continue
        if name not in published or _number(published[name][0]) < number:
            raise RevocationsMissingError(
                f"{name} signed CRL {number} after this backup: hand it in (--crl FILE), or what"
                f" was revoked since is good again; where nobody has it, --without-crl {name}"
            )


def _objects(
    path: pathlib.Path, mark: signature_log.Position | None
) -> Iterator[known_signatures.LoggedObject]:
    if mark is None and not path.exists():
        return
    for _, one in known_signatures.read(path, mark):
        if one is not None:
            yield one


def _unknown_certificates(
    sessions: orm.sessionmaker[orm.Session],
    path: pathlib.Path,
    mark: signature_log.Position | None,
) -> Iterator[list[known_signatures.LoggedObject]]:
    certificates_alone = (
        one for one in _objects(path, mark) if one.kind == known_signatures.CERTIFICATE
    )
    coming = known_signatures.unknown(sessions, certificates_alone)
    # A signature that was tried twice has two lines in the log.
    seen: set[tuple[str, str]] = set()
    while batch := list(itertools.islice(coming, BATCH)):
        fresh = {(one.issuer_name, one.number): one for one in batch}
        yield [one for key, one in fresh.items() if key not in seen]
        seen.update(fresh)


def _record_unknown(
    sessions: orm.sessionmaker[orm.Session],
    batch: Sequence[known_signatures.LoggedObject],
    issuers: dict[str, registry.IssuerRecord],
    at: datetime.datetime,
    actor: str,
) -> None:
    with sessions() as session:
        for one in batch:
            issuer = issuers.get(one.issuer_name)
            ends = at if issuer is None else issuer.certificate.not_valid_after_utc
            row = registry.CertificateRow(
                issuer_name=one.issuer_name,
                serial_number=one.number,
                state=registry.CertificateState.ABANDONED.value,
                profile=UNRECORDED,
                key_sha256="",
                subject="",
                not_before=one.at,
                not_after=ends,
                to_be_signed_der=b"",
                recorded_at=at,
                revoked_at=clock.whole_seconds(at),
                reason=status.RevocationReason.unspecified.name,
            )
            session.add(row)
            head = audit.append(
                session,
                audit.AuditEvent.CERTIFICATE_ABANDONED,
                at,
                actor=actor,
                details={
                    "issuer": one.issuer_name,
                    "serial_number": one.number,
                    "profile": UNRECORDED,
                    "to_be_signed_sha256": one.to_be_signed_sha256,
                },
            )
            entries.record(session, [row], head.number, at)
        session.commit()


def _record_crl_numbers(
    sessions: orm.sessionmaker[orm.Session],
    missing: dict[str, tuple[int, known_signatures.LoggedObject]],
    at: datetime.datetime,
    actor: str,
) -> None:
    """Take the numbers that were signed: the next CRL has a higher one (RFC 5280 5.2.3)."""
    with sessions() as session:
        for name, (number, one) in sorted(missing.items()):
            session.add(
                crl_tables.CRLRow(
                    issuer_name=name,
                    partition=0,
                    number=number,
                    this_update=clock.whole_seconds(one.at),
                    next_update=clock.whole_seconds(one.at),
                    partitioned=False,
                    names_delta=False,
                    entries=0,
                    to_be_signed_size=0,
                    to_be_signed_sha256=one.to_be_signed_sha256,
                    kept=False,
                )
            )
            audit.append(
                session,
                audit.AuditEvent.CRL_INTENDED,
                at,
                actor=actor,
                details={
                    "issuer": name,
                    "number": number,
                    "to_be_signed_sha256": one.to_be_signed_sha256,
                },
            )
        session.commit()


def _take_revocations(
    sessions: orm.sessionmaker[orm.Session],
    name: str,
    listed: x509.CertificateRevocationList,
    at: datetime.datetime,
    actor: str,
) -> int:
    """Revoke what a published CRL says is revoked and the registry says is good."""
    with sessions() as session:
        known = registry.revoked(session, name)
    count = 0
    changed: list[registry.CertificateRow] = []
    session = sessions()
    with session:
        for entry in listed:
            if entry.serial_number in known:
                continue
            row = session.scalars(
                sqlalchemy.select(registry.CertificateRow).where(
                    registry.CertificateRow.issuer_name == name,
                    registry.CertificateRow.serial_number
                    == registry.serial_key(entry.serial_number),
                )
            ).first()
            if row is None:
                # A certificate of our name that neither registry nor log knows.
                log.error("crl_entry_unknown issuer=%s serial=%x", name, entry.serial_number)
                continue
            if _revoke_as(row, entry):
                changed.append(row)
            if len(changed) == BATCH:
                count += _commit(session, name, changed, at, actor)
                changed = []
        count += _commit(session, name, changed, at, actor)
    return count


def _close_revoked(
    sessions: orm.sessionmaker[orm.Session],
    issuers: dict[str, registry.IssuerRecord],
    at: datetime.datetime,
    actor: str,
) -> None:
    """Close the authorities that the root revoked after the backup: they certify nobody again."""
    with sessions() as session:
        for name, issuer in sorted(issuers.items()):
            known = registry.status_of(
                session, issuer.issuer_name, issuer.certificate.serial_number
            )
            if known is None or known.reason is None:
                continue
            closures.close(
                session, name, known.reason, at,
                actor=actor, invalidity_date=known.invalidity_date,
            )  # fmt: skip
        session.commit()


def _revoke_as(row: registry.CertificateRow, entry: x509.RevokedCertificate) -> bool:
    """Take an entry over; False for the end of a hold, which a delta tells."""
    reason = status.RevocationReason.unspecified
    invalid: datetime.datetime | None = None
    for extension in entry.extensions:
        if isinstance(extension.value, x509.CRLReason):
            if extension.value.reason is x509.ReasonFlags.remove_from_crl:
                return False
            reason = status.RevocationReason.from_name(extension.value.reason.value)
        elif isinstance(extension.value, x509.InvalidityDate):
            invalid = extension.value.invalidity_date_utc
    row.revoked_at, row.reason, row.invalidity_date = (
        entry.revocation_date_utc,
        reason.name,
        invalid,
    )
    return True


def _commit(
    session: orm.Session,
    name: str,
    rows: Sequence[registry.CertificateRow],
    at: datetime.datetime,
    actor: str,
) -> int:
    if rows:
        serials = "\n".join(one.serial_number for one in rows)
        head = audit.append(
            session,
            audit.AuditEvent.CERTIFICATES_REVOKED,
            at,
            actor=actor,
            details={
                "issuer": name,
                "reason": "published-crl",
                "count": len(rows),
                "first": rows[0].serial_number,
                "last": rows[-1].serial_number,
                "serials_sha256": hashlib.sha256(serials.encode("ascii")).hexdigest(),
            },
        )
        entries.record(session, rows, head.number, at)
        session.commit()
    return len(rows)
