"""The log of an authority's signatures, in a file outside the database.

Before a key signs, a line that says what it will sign is on the disk; afterwards comes one with
the outcome. A file that cannot be written means that the key does not sign. So after a database
was restored from an older backup, the log still names every certificate and CRL that may exist
(`read_signatures`), and a log that was edited, cut or reordered is found out: each line carries
the hash of the one before.

The format, one JSON object a line in ASCII, keys sorted, no spaces:

    number        of the line, from 1, without a gap
    at            RFC 3339, UTC
    event         intended, signed, failed, unknown, torn
    key           intended: the key's label
    hash_algorithm, representation
                  intended: what the key is given, in hex
    kind, issuer, object, to_be_signed_sha256
                  intended, where the signer says so: see `signature.SignedObject`
    of            signed, failed, unknown: the number of the line that intended it
    signature_sha256
                  signed: of the value as the key gave it (ECDSA: raw r||s), in hex
    code          failed, unknown: the error's
    torn_bytes, torn_sha256
                  torn: of the bytes between the good line before and this one, which a crash
                  or a full disk left half written; nothing was signed for them
    previous      the hash of the good line before, 64 zeros for the first
    hash          SHA-256 of this line without `hash`

`intended` without an outcome means that the process died: the key may have signed.
"""

import dataclasses
import datetime
import enum
import fcntl
import hashlib
import json
import logging
import os
import pathlib
import threading
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from pki import clock, durable_files, errors, signature
from pki.keystore import under_way

log = logging.getLogger(__name__)

GENESIS = "0" * 64
"""The hash before the first line."""

MAX_LINE_BYTES = 16 * 1024
"""A line with the longest names takes 2 KiB."""

_FILE_MODE = 0o600

_JSON = json.JSONEncoder(sort_keys=True, separators=(",", ":"), ensure_ascii=True)


class SignatureLogError(errors.StorageError):
    """The log cannot be written, so nothing is signed."""

    code = "signature-log-unavailable"


class SignatureLogTamperedError(errors.TamperedError):
    """The log is not what was written."""

    code = "signature-log-tampered"


class Event(enum.Enum):
    """What a line tells."""

    INTENDED = "intended"
    SIGNED = "signed"
    FAILED = "failed"
    UNKNOWN = "unknown"
    TORN = "torn"


OUTCOMES = frozenset({Event.SIGNED, Event.FAILED, Event.UNKNOWN})


@dataclasses.dataclass(frozen=True)
class Settings:
    """The `signature_log` table of the settings file.

    Attributes:
        file: Where the log is; on another disk than the database, if it is to outlive it.
    """

    file: pathlib.Path


@dataclasses.dataclass(frozen=True)
class Line:
    """One line; `fields` holds what its event has besides."""

    number: int
    at: datetime.datetime
    event: Event
    fields: Mapping[str, Any]
    previous: str
    hash: str


@dataclasses.dataclass(frozen=True)
class Outcome:
    """What became of a signature, as it is written.

    Attributes:
        number: Of the line that intended it.
        event: One of `OUTCOMES`.
        code: `failed`, `unknown`: the error's.
        signature_sha256: `signed`: of the value, in hex.
    """

    number: int
    event: Event
    code: str | None = None
    signature_sha256: str | None = None

    @property
    def fields(self) -> dict[str, object]:
        """What its line has besides."""
        told = {"of": self.number, "code": self.code, "signature_sha256": self.signature_sha256}
        return {name: value for name, value in told.items() if value is not None}


@dataclasses.dataclass(frozen=True)
class LoggedSignature:
    """One use of a key.

    Attributes:
        number: Of the line that told of it beforehand.
        at: When that was.
        key_label: Whose key.
        signed_object: What it signed; None for what is neither certificate nor CRL.
        outcome: `UNKNOWN` too where no outcome was written: the key may have signed.
        signature_sha256: Of the signature value, where it signed.
    """

    number: int
    at: datetime.datetime
    key_label: str
    signed_object: signature.SignedObject | None
    outcome: Event
    signature_sha256: str | None


class SignatureLog:
    """Writes the log; several threads and processes may write one file."""

    def __init__(self, path: pathlib.Path, present: clock.Clock) -> None:
        """Open the log, and make it where there is none.

        Raises:
            SignatureLogError: It cannot be opened.
            SignatureLogTamperedError: Its end is no line of a log.
        """
        self.path = path
        self.processes = under_way.UnderWay(path)
        self._present = present
        self._lock = threading.Lock()
        self._sync_lock = threading.Lock()
        self._number = 0
        self._hash = GENESIS
        self._end = 0  # of the last good line, in bytes
        self._written = 0  # how far this process has written
        self._synced = 0  # how far the disk has it
        self._lost = False  # the place of the last good line, after a write that failed
        self._broken: str | None = None
        try:
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._file = os.open(
                path, os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, _FILE_MODE
            )
            folder = os.open(path.parent, os.O_RDONLY | os.O_CLOEXEC)
            try:
                os.fsync(folder)
            finally:
                os.close(folder)
        except OSError as error:
            raise SignatureLogError(
                f"the signature log {path} cannot be opened ({error.strerror}): nothing is signed"
            ) from error
        try:
            with self._alone():
                self._find_end()
        except OSError as error:
            os.close(self._file)
            raise self._failed(error) from error
        except BaseException:
            os.close(self._file)
            raise

    def close(self) -> None:
        """Close the file; nothing can be signed afterwards."""
        with self._lock:
            if self._broken != "closed":
                self._broken = "closed"
                os.close(self._file)

    def check_writable(self) -> None:
        """Raise `StorageError` where the next signature would be refused, or soon."""
        with self._lock:
            self._require_usable()
        durable_files.check_room(self.path.parent)

    def intend(self, key_label: str, representation: signature.DataToBeSignedRepresentation) -> int:
        """Have on the disk what a key is about to sign; return the line's number.

        Raises:
            SignatureLogError: It is not on the disk: the key must not sign.
        """
        return self.intend_all(key_label, (representation,))[0]

    def intend_all(
        self, key_label: str, representations: Sequence[signature.DataToBeSignedRepresentation]
    ) -> list[int]:
        """Have on the disk, with one wait for it, all that a key is about to sign.

        Raises:
            SignatureLogError: Not all is on the disk: the key must sign none of it.
        """
        numbers, end = self._append(
            [(Event.INTENDED, _fields(key_label, one)) for one in representations]
        )
        self._sync(end)
        return numbers

    def conclude(self, number: int, outcome: Event, **fields: str) -> None:
        """Write what became of a signature; see `conclude_all`."""
        self.conclude_all((Outcome(number, outcome, **fields),))

    def conclude_all(self, outcomes: Sequence["Outcome"]) -> None:
        """Write what became of signatures; the next `intend` forces it to the disk.

        Lines that cannot be written are no error: the signatures count as some that may have been
        made, as they do where the process dies here.
        """
        try:
            self._append([(one.event, one.fields) for one in outcomes])
        except SignatureLogError as error:
            for one in outcomes:
                log.warning("signature_outcome_not_logged of=%d code=%s", one.number, error.code)

    def _append(self, added: Sequence[tuple[Event, Mapping[str, object]]]) -> tuple[list[int], int]:
        """Write lines; return their numbers, and where the last one ends."""
        with self._lock:
            self._require_usable()
            try:
                with self._alone():
                    self._find_end() if self._lost else self._read_others()
                    self._lost = True
                    text = self._torn_line()
                    first = self._number + 1
                    text += b"".join([self._line(event, fields) for event, fields in added])
                    _write(self._file, text)
                    self._end += len(text)
                    self._written, self._lost = self._end, False
            except OSError as error:
                # What came to the file of it is found and marked by the next one who writes.
                raise self._failed(error) from error
            return list(range(first, self._number + 1)), self._end

    def _line(self, event: Event, fields: Mapping[str, object]) -> bytes:
        content = {
            "number": self._number + 1,
            "at": clock.require_utc(self._present.now()).isoformat(),
            "event": event.value,
            **fields,
            "previous": self._hash,
        }
        self._hash = _hash(content)
        self._number += 1
        return _encode({**content, "hash": self._hash}) + b"\n"

    def _torn_line(self) -> bytes:
        """What to write first where bytes follow the last good line: a line that tells of them."""
        rest = os.pread(self._file, self._size() - self._end, self._end)
        if not rest:
            return b""
        whole = _parse(rest + b"\n")
        if whole is not None and (whole.number, whole.previous) == (self._number + 1, self._hash):
            # Nothing but its end was missing.
            self._number, self._hash = whole.number, whole.hash
            self._end += len(rest)
            return b"\n"
        fields = {"torn_bytes": len(rest), "torn_sha256": hashlib.sha256(rest).hexdigest()}
        line = b"\n" + self._line(Event.TORN, fields)
        log.warning("signature_log_torn path=%s bytes=%d", self.path, len(rest))
        self._end += len(rest)
        return line

    def _sync(self, end: int) -> None:
        """Return when the disk has the file up to `end`; one call serves all who wait."""
        with self._sync_lock:
            if self._synced >= end:
                return
            written = self._written
            try:
                os.fdatasync(self._file)
            except OSError as error:
                # The kernel may have dropped what it could not write, and says so once.
                self._broken = "a write to its disk failed: examine the disk, then restart"
                raise self._failed(error) from error
            self._synced = written

    def _require_usable(self) -> None:
        if self._broken is not None:
            raise SignatureLogError(f"the signature log {self.path}: {self._broken}")
        try:
            named, opened = os.stat(self.path), os.fstat(self._file)
        except OSError as error:
            raise self._failed(error) from error
        if (named.st_dev, named.st_ino) != (opened.st_dev, opened.st_ino):
            raise SignatureLogError(
                f"the signature log {self.path} was replaced while in use: restart the service"
            )

    def _failed(self, error: OSError) -> SignatureLogError:
        return SignatureLogError(
            f"the signature log {self.path} cannot be written ({error.strerror}):"
            " nothing was signed, make room and try again"
        )

    def _alone(self) -> "_FileLock":
        return _FileLock(self._file)

    def _size(self) -> int:
        return os.fstat(self._file).st_size

    def _read_others(self) -> None:
        """Take in what other processes wrote since."""
        size = self._size()
        if size < self._end:
            raise SignatureLogTamperedError(f"the signature log {self.path} was cut: halt")
        if size > self._end:
            start = self._end
            for line, end in _good_lines(os.pread(self._file, size - start, start)):
                self._number, self._hash, self._end = line.number, line.hash, start + end

    def _find_end(self) -> None:
        """Find the last good line, from the end."""
        size = self._size()
        reach = 4 * MAX_LINE_BYTES
        while True:
            start = max(0, size - reach)
            found = list(_good_lines(os.pread(self._file, size - start, start)))
            if found:
                line, end = found[-1]
                self._number, self._hash, self._end = line.number, line.hash, start + end
                return
            if start == 0:
                break
            reach *= 4
            if reach > 1024 * MAX_LINE_BYTES:
                raise SignatureLogTamperedError(f"{self.path} ends in no line of a signature log")
        self._number, self._hash, self._end = 0, GENESIS, 0


class _FileLock:
    """The lock among processes; threads of one process have their own besides."""

    def __init__(self, file: int) -> None:
        self._file = file

    def __enter__(self) -> None:
        fcntl.flock(self._file, fcntl.LOCK_EX)

    def __exit__(self, *_: object) -> None:
        fcntl.flock(self._file, fcntl.LOCK_UN)


@dataclasses.dataclass(frozen=True)
class Position:
    """A line of a log: its number and hash, and the byte at which it starts."""

    number: int
    hash: str
    start: int


def _fields(
    key_label: str, representation: signature.DataToBeSignedRepresentation
) -> dict[str, object]:
    fields: dict[str, object] = {
        "key": key_label,
        "hash_algorithm": representation.hash_algorithm.value,
        "representation": representation.hash.hex(),
    }
    if (one := representation.stands_for) is not None:
        fields |= {
            "kind": one.kind,
            "issuer": one.issuer,
            "object": one.number,
            "to_be_signed_sha256": one.to_be_signed_sha256,
        }
    return fields


def read_lines(path: pathlib.Path) -> Iterator[Line]:
    """Read a log from its beginning and check it line by line.

    A last line that is half written is left out: nothing was signed for it.

    Raises:
        SignatureLogTamperedError: A line was edited, removed, added or reordered.
        SignatureLogError: The file cannot be read.
    """
    for line, _ in read_after(path, None):
        yield line


def read_after(path: pathlib.Path, position: Position | None) -> Iterator[tuple[Line, Position]]:
    """Read the lines that follow a position which was noted before, each with its own.

    Raises:
        SignatureLogTamperedError: As `read_lines`; or the line at the position is another one, or
            is not there: the log was cut or replaced.
        SignatureLogError: The file cannot be read.
    """
    number, previous = 0, GENESIS
    torn = b""
    try:
        with path.open("rb") as file:
            if position is not None:
                file.seek(position.start)
                noted = _parse(file.readline(MAX_LINE_BYTES))
                if noted is None or (noted.number, noted.hash) != (position.number, position.hash):
                    raise SignatureLogTamperedError(
                        f"expected line {position.number} of the signature log {path} where it was"
                        " noted: the log was cut or replaced"
                    )
                number, previous = noted.number, noted.hash
            start = file.tell()
            while text := file.readline(MAX_LINE_BYTES):
                begun, start = start, start + len(text)
                line = _parse(text)
                if line is None:
                    torn += text
                    if len(torn) > 64 * MAX_LINE_BYTES:
                        raise SignatureLogTamperedError(f"line {number + 1} of {path} is none")
                    continue
                if line.number != number + 1 or line.previous != previous:
                    raise SignatureLogTamperedError(
                        f"expected line {number + 1} of the signature log {path} to follow the"
                        " one before, but it was edited, removed or reordered"
                    )
                _check_torn(line, torn, path)
                torn = b""
                number, previous = line.number, line.hash
                yield line, Position(line.number, line.hash, begun)
            if torn.endswith(b"}\n"):
                # Half a line has no such end.
                raise SignatureLogTamperedError(f"the last line of {path} was edited")
    except OSError as error:
        raise SignatureLogError(
            f"the signature log {path} cannot be read ({error.strerror})"
        ) from error


def read_signatures(path: pathlib.Path) -> Iterator[LoggedSignature]:
    """Read every use of a key from a log; those whose outcome nobody wrote come last.

    Raises:
        SignatureLogTamperedError: As `read_lines`, or an outcome of nothing.
        SignatureLogError: The file cannot be read.
    """
    intended: dict[int, Line] = {}
    for line in read_lines(path):
        if line.event is Event.INTENDED:
            intended[line.number] = line
        elif line.event in OUTCOMES:
            begun = intended.pop(line.fields["of"], None)
            if begun is None:
                raise SignatureLogTamperedError(f"line {line.number} of {path} ends nothing")
            yield _signature(begun, line.event, line.fields.get("signature_sha256"))
    for begun in intended.values():
        yield _signature(begun, Event.UNKNOWN, None)


def _signature(begun: Line, outcome: Event, signature_sha256: str | None) -> LoggedSignature:
    fields = begun.fields
    signed = None
    if "kind" in fields:
        signed = signature.SignedObject(
            fields["kind"], fields["issuer"], fields["object"], fields["to_be_signed_sha256"]
        )
    return LoggedSignature(begun.number, begun.at, fields["key"], signed, outcome, signature_sha256)


def _check_torn(line: Line, torn: bytes, path: pathlib.Path) -> None:
    """Check that bytes which are no line are those that the next line tells of."""
    if line.event is not Event.TORN and not torn:
        return
    # A line end was put after them, so that this line could begin.
    found = torn[:-1]
    told = line.fields.get("torn_bytes"), line.fields.get("torn_sha256")
    if line.event is not Event.TORN or told != (len(found), hashlib.sha256(found).hexdigest()):
        raise SignatureLogTamperedError(f"bytes before line {line.number} of {path} are no line")


def _good_lines(data: bytes) -> Iterator[tuple[Line, int]]:
    """The lines in a part of a log, each with its end; what is none is passed over."""
    offset = 0
    while (end := data.find(b"\n", offset)) >= 0:
        line = _parse(data[offset : end + 1])
        offset = end + 1
        if line is not None:
            yield line, offset


def _parse(text: bytes) -> Line | None:
    """Read a line that holds its own hash; None for anything else."""
    if not text.endswith(b"\n"):
        return None
    try:
        content = json.loads(text)
        if not isinstance(content, dict) or _encode(content) + b"\n" != text:
            return None
        value = content.pop("hash")
        if _hash(content) != value:
            return None
        return Line(
            int(content.pop("number")),
            datetime.datetime.fromisoformat(content.pop("at")),
            Event(content.pop("event")),
            content,
            str(content.pop("previous")),
            value,
        )
    except (ValueError, KeyError, TypeError, RecursionError):
        return None


def _hash(content: Mapping[str, object]) -> str:
    return hashlib.sha256(_encode(content)).hexdigest()


def _encode(content: Mapping[str, object]) -> bytes:
    return _JSON.encode(content).encode()


def _write(file: int, text: bytes) -> None:
    while text:
        text = text[os.write(file, text) :]
