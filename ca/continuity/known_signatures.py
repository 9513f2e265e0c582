"""Does the registry know everything that the authorities signed? Asked of the signature log.

Each line of the log that intends a certificate or a CRL must have its row in the database, for the
row was committed before the line was written. A line without one means that the database is older
than the log: it was restored from a backup.
"""

import dataclasses
import datetime
import itertools
import logging
import pathlib
import threading
from collections.abc import Iterable, Iterator, Sequence

import sqlalchemy
from sqlalchemy import orm

from ca.crls import tables as crl_tables
from pki import audit, clock, errors, registry, registry_lock, signature
from pki.keystore import signature_log

log = logging.getLogger(__name__)

CERTIFICATE = "certificate"
CRL = "crl"

BEHIND = "database-behind-signature-log"
LOG_CHANGED = "signature-log-cut-or-replaced"

BATCH = 500
"""Objects in one question to the database."""

_AUTHORITY_PREFIX = "ca-"


class UnknownSignatureError(errors.TamperedError):
    """A key was asked to sign what the registry does not hold."""

    code = "signature-not-recorded"


@dataclasses.dataclass(frozen=True)
class LoggedObject:
    """A certificate or CRL that an authority's key was about to sign.

    Attributes:
        issuer_name: The authority's short name.
        kind: `CERTIFICATE` or `CRL`.
        number: A certificate's serial number in hex as the registry writes it, or a CRL's number.
        to_be_signed_sha256: Of its to-be-signed bytes.
        at: When the log was told.
        position: The line.
    """

    issuer_name: str
    kind: str
    number: str
    to_be_signed_sha256: str
    at: datetime.datetime
    position: signature_log.Position


def authority_of(label: str) -> str:
    """The short name of the authority whose key has a label."""
    return label.removeprefix(_AUTHORITY_PREFIX)


def read(
    path: pathlib.Path, position: signature_log.Position | None
) -> Iterator[tuple[signature_log.Position, LoggedObject | None]]:
    """Read what follows a position in the log; None for lines that intend no object.

    Raises as `signature_log.read_after` does.
    """
    for line, at in signature_log.read_after(path, position):
        if line.event is not signature_log.Event.INTENDED or "kind" not in line.fields:
            yield at, None
            continue
        fields = line.fields
        yield (
            at,
            LoggedObject(
                authority_of(str(fields["key"])),
                str(fields["kind"]),
                str(fields["object"]),
                str(fields["to_be_signed_sha256"]),
                line.at,
                at,
            ),
        )


def end_of(
    path: pathlib.Path, position: signature_log.Position | None
) -> signature_log.Position | None:
    """The last line of the log; `position` where none followed it. Raises as `read`."""
    if position is None and not path.exists():
        return None
    for at, _ in read(path, position):
        position = at
    return position


def unknown(
    sessions: orm.sessionmaker[orm.Session], objects: Iterable[LoggedObject]
) -> Iterator[LoggedObject]:
    """Those among any number of objects that the registry does not know, in their order."""
    coming = iter(objects)
    while batch := list(itertools.islice(coming, BATCH)):
        with sessions() as session:
            found = _unknown_of(session, batch)
        yield from found


def _unknown_of(session: orm.Session, batch: Sequence[LoggedObject]) -> list[LoggedObject]:
    row, crls = registry.CertificateRow, crl_tables.CRLRow
    known: set[tuple[str, str]] = set()
    highest: dict[str, int] = {}
    for name in {one.issuer_name for one in batch}:
        wanted = [
            one.number for one in batch if one.issuer_name == name and one.kind == CERTIFICATE
        ]
        if wanted:
            query = sqlalchemy.select(row.serial_number).where(
                row.issuer_name == name, row.serial_number.in_(wanted)
            )
            known.update((name, one) for one in session.scalars(query))
        newest = sqlalchemy.select(sqlalchemy.func.max(crls.number)).where(crls.issuer_name == name)
        highest[name] = session.scalar(newest) or 0
    return [
        one
        for one in batch
        if (
            (one.issuer_name, one.number) not in known
            if one.kind == CERTIFICATE
            else int(one.number) > highest[one.issuer_name]
        )
    ]


class SigningGuard:
    """Lets an authority's key sign only while the registry knows all that was signed before.

    It is asked by every use of a key, in every process: where the database was put back under a
    process that runs, the next signature finds out. The log is read from where this was found in
    order last.
    """

    def __init__(
        self,
        sessions: orm.sessionmaker[orm.Session],
        path: pathlib.Path,
        present: clock.Clock,
    ) -> None:
        """Take the registry and the log; nothing is read yet."""
        self._sessions = sessions
        self._path = path
        self._present = present
        self._lock = threading.Lock()
        self._position: signature_log.Position | None = None
        self._last: LoggedObject | None = None
        self._begun = False

    def check_recorded(
        self, label: str, representations: Sequence[signature.DataToBeSignedRepresentation]
    ) -> None:
        """Check that the registry holds all that a key is to sign.

        Raises:
            UnknownSignatureError: It does not.
        """
        at, nowhere = self._present.now(), signature_log.Position(0, "", 0)
        asked = [
            LoggedObject(
                authority_of(label), one.kind, one.number, one.to_be_signed_sha256, at, nowhere
            )
            for one in (representation.stands_for for representation in representations)
            if one is not None
        ]
        for one in unknown(self._sessions, asked):
            raise UnknownSignatureError(
                f"expected the {one.kind} in the registry before {label!r} signs it: halt"
            )

    def check_log(self) -> None:
        """Compare the log with the registry, and lock that where it is behind.

        Raises:
            RegistryLockedError: It is locked, or was found behind the log just now.
        """
        with self._lock:
            with self._sessions() as session:
                registry_lock.check_open(session)
                if not self._begun:
                    self._position = registry_lock.state(session).mark
                    self._begun = True
            reason = self._difference()
            if reason is None:
                return
            log.error("registry_differs_from_signature_log reason=%s", reason)
            lock(self._sessions, reason, self._present.now())
            with self._sessions() as session:
                registry_lock.check_open(session)

    def note(self) -> None:
        """Record up to where the log was compared, so that the next start begins there.

        Raises as `check_log` does.
        """
        self.check_log()
        if self._position is None:
            return
        with self._sessions() as session:
            registry_lock.set_mark(session, self._position)
            session.commit()

    def _difference(self) -> str | None:
        """Why registry and log do not belong together; None where they do.

        What is read from the log was committed before it was written there, so it is read first.
        """
        try:
            first = next(unknown(self._sessions, self._fresh()), None)
        except signature_log.SignatureLogTamperedError as error:
            log.error("signature_log_changed code=%s", error.code)
            return LOG_CHANGED
        return None if first is None else BEHIND

    def _fresh(self) -> Iterator[LoggedObject]:
        """The last object that was read before, and those that followed it since."""
        if self._last is not None:
            yield self._last
        if self._position is None and not self._path.exists():
            return
        for position, one in read(self._path, self._position):
            self._position = position
            if one is not None:
                self._last = one
                yield one


def lock(sessions: orm.sessionmaker[orm.Session], reason: str, at: datetime.datetime) -> None:
    """Lock the registry and tell the audit log; one that is locked stays as it is."""
    with sessions() as session:
        if registry_lock.lock(session, reason, at):
            audit.append(
                session,
                audit.AuditEvent.REGISTRY_LOCKED,
                at,
                actor="system",
                details={"reason": reason},
            )
        session.commit()
