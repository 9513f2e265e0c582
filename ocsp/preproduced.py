"""Responses signed ahead of need, for every certificate of an issuer, as a file to be mapped.

All of a file have one thisUpdate, so that a record needs no more than whom it is about, what it
says, and the signature: whoever sends it puts the rest together from the responder's template. The
certificate is named by SHA-1, as nearly every client names it (RFC 5019 2.1.1).

    "IMZAPRE1"  number of records (8)  size of a signature (2)  thisUpdate, nextUpdate (8 each)
    SHA-256 of the responder's certificate
    records, sorted: serial number (20), revocation time, invalidity date (8 each), reason (1),
        length of the signature (2), the signature, zeros
    SHA-256 of everything before

Numbers are big-endian. Times are seconds since 1970 in UTC; the lowest number is no time.
"""

import datetime
import hashlib
import mmap
import os
import pathlib
import struct
from collections.abc import Callable, Iterator
from typing import TypeAlias

from cryptography.hazmat.primitives.asymmetric import ec

from ocsp import cert_id, responder_key, response_template
from pki import algorithms, certificates, durable_files, errors, signature, status

Statuses: TypeAlias = Callable[[str], Iterator[tuple[int, status.CertificateStatus]]]
"""From an issuer's name to its certificates and their statuses, serial numbers ascending."""

MAGIC = b"IMZAPRE1"

MAX_FILE_BYTES = 16 * 2**30
"""A hundred million records of a P-256 key."""

_HEADER = struct.Struct(">8sQHqq32s")
_RECORD = struct.Struct(">20sqqBH")
_SERIAL_BYTES = 20
_DIGEST_BYTES = 32
_NO_TIME = -(2**63)
_AT_ONCE = 512
_GUESSES = 8
_SAMPLES = 8
"""So many signatures of a file are verified before it is used."""

SIGNATURE_BYTES = {
    algorithms.KeyKind.P256: 72,
    algorithms.KeyKind.P384: 104,
    algorithms.KeyKind.RSA3072: 512,
}
"""The longest value of each kind: ECDSA's vary by their leading zeros, RSA keys may have 4096."""


class PreproducedFileError(errors.TamperedError):
    """The file is not a whole file of responses, or not of this responder."""

    code = "ocsp-preproduced-refused"


def path_of(folder: pathlib.Path, issuer_name: str) -> pathlib.Path:
    """Where the responses about an issuer's certificates are."""
    return folder / f"{issuer_name}.responses"


def produce(
    path: pathlib.Path,
    issuer: responder_key.StatusIssuer,
    key: responder_key.ResponderKey,
    statuses: Iterator[tuple[int, status.CertificateStatus]],
    this_update: datetime.datetime,
    validity: datetime.timedelta,
) -> int:
    """Sign a response about every certificate and write the file; return how many there are.

    Args:
        path: Is replaced as a whole.
        issuer: Whose certificates they are.
        key: One of its responders', valid at `this_update`.
        statuses: Serial numbers ascending, read after `this_update`.
        this_update: Becomes producedAt too; in whole seconds.
        validity: From thisUpdate to nextUpdate; no response outlives its signer's certificate.

    Raises:
        DeviceError: The key did not sign.
        StorageError: The disk is full or gone.
    """
    next_update = min(this_update + validity, key.period[1])
    making = _Making(issuer, key, this_update, next_update)
    size = SIGNATURE_BYTES[key.kind]
    digest = hashlib.sha256()
    count = 0
    padding = bytes(size)
    try:
        with durable_files.replacing(path) as partial, partial.open("w+b") as writing:
            writing.write(bytes(_HEADER.size))
            batch: list[bytes] = []
            for serial_number, known in statuses:
                if known.revoked_at is not None and known.revoked_at > this_update:
                    continue  # Revoked since: what is signed ahead must not foretell it.
                value = making.sign(serial_number, known)
                said = _said(known)
                serial = serial_number.to_bytes(_SERIAL_BYTES, "big")
                batch.append(_RECORD.pack(serial, *said, len(value)))
                batch.append(value)
                batch.append(padding[len(value) :])
                count += 1
                if len(batch) >= _AT_ONCE:
                    writing.writelines(batch)
                    batch.clear()
            writing.writelines(batch)
            writing.seek(0)
            writing.write(
                _HEADER.pack(
                    MAGIC,
                    count,
                    size,
                    _to_number(this_update),
                    _to_number(next_update),
                    hashlib.sha256(certificates.to_der(key.certificate)).digest(),
                )
            )
            writing.seek(0)
            while part := writing.read(2**20):
                digest.update(part)
            writing.write(digest.digest())
    except OSError as error:
        raise errors.StorageError(
            f"the responses of {issuer.name!r} cannot be written ({error.strerror})"
        ) from error
    return count


class PreproducedFile:
    """A file of responses, mapped; it is only ever replaced as a whole.

    Attributes:
        count: How many responses there are.
        key: Signed them.
        this_update: Of all; producedAt too.
        next_update: Of all.
        fresh_until: When they are to be replaced: half-way.
    """

    def __init__(self, path: pathlib.Path, issuer: responder_key.StatusIssuer) -> None:
        """Map a file and check it, some of its signatures too.

        Raises:
            FileNotFoundError: There is none.
            PreproducedFileError: Damaged, or made by another responder.
        """
        self._content = _map(path)
        if len(self._content) < _HEADER.size + _DIGEST_BYTES:
            raise PreproducedFileError("expected a file of responses, got a shorter one")
        header = _HEADER.unpack_from(self._content)
        magic, count, size, this_update, next_update, signer = header
        self.count: int = count
        self._step: int = _RECORD.size + size
        end = _HEADER.size + self.count * self._step
        if magic != MAGIC or len(self._content) != end + _DIGEST_BYTES:
            raise PreproducedFileError("expected a whole file of responses, got another")
        with memoryview(self._content) as whole:
            if hashlib.sha256(whole[:end]).digest() != bytes(whole[end:]):
                raise PreproducedFileError("the file of responses was damaged")
        found = [
            key
            for key in issuer.keys
            if hashlib.sha256(certificates.to_der(key.certificate)).digest() == signer
        ]
        if not found:
            raise PreproducedFileError("the responses were made by a responder that is not used")
        self.key = found[0]
        self.this_update = _to_time(this_update)
        self.next_update = _to_time(next_update)
        self.fresh_until = self.this_update + (self.next_update - self.this_update) / 2
        self._making = _Making(issuer, self.key, self.this_update, self.next_update)
        self._bounds = (0, -1)
        if self.count:
            self._bounds = self._serial(0), self._serial(self.count - 1)
        for number in range(min(_SAMPLES, self.count)):
            self._check(number * (self.count - 1) // max(_SAMPLES - 1, 1))

    def find(self, asked: cert_id.CertID, known: status.CertificateStatus) -> bytes | None:
        """Return the response about a certificate if it says what is known now.

        Args:
            asked: By SHA-1 with NULL parameters, as it was signed.
            known: The status that is known now.
        """
        place = self._search(asked.serial_number)
        if place is None:
            return None
        *said, length = _RECORD.unpack_from(self._content, place)[1:]
        if tuple(said) != _said(known):
            return None
        start = place + _RECORD.size
        return self._making.response(asked, known, self._content[start : start + length])

    def _search(self, wanted: int) -> int | None:
        """Where the record of a serial number is; they are random, so the place can be guessed."""
        low, high = 0, self.count
        floor, ceiling = self._bounds
        guesses = 0
        while low < high and floor <= wanted <= ceiling:
            if guesses < _GUESSES:
                middle = low + (high - 1 - low) * (wanted - floor) // max(ceiling - floor, 1)
                guesses += 1
            else:
                # Whoever chose the numbers, it takes no longer than this.
                middle = (low + high) // 2
            found = self._serial(middle)
            if found == wanted:
                return _HEADER.size + middle * self._step
            if found < wanted:
                low, floor = middle + 1, found
            else:
                high, ceiling = middle, found
        return None

    def _serial(self, number: int) -> int:
        place = _HEADER.size + number * self._step
        return int.from_bytes(self._content[place : place + _SERIAL_BYTES], "big")

    def _check(self, number: int) -> None:
        place = _HEADER.size + number * self._step
        serial, revoked_at, invalid_since, reason, length = _RECORD.unpack_from(
            self._content, place
        )
        known = status.CertificateStatus()
        if revoked_at != _NO_TIME:
            known = status.CertificateStatus(
                _to_time(revoked_at),
                status.RevocationReason(reason),
                None if invalid_since == _NO_TIME else _to_time(invalid_since),
            )
        start = place + _RECORD.size
        value = self._content[start : start + length]
        signed = self._making.response_data(self._making.name(int.from_bytes(serial, "big")), known)
        kind = self.key.kind
        public_key = self.key.handle.public_key
        try:
            raw = value
            if isinstance(public_key, ec.EllipticCurvePublicKey):
                raw = algorithms.ecdsa_der_to_raw(value, algorithms.ecdsa_size(public_key))
            signature.check_value(
                public_key,
                signature.represent(signed, kind.hash_algorithm),
                signature.SignatureValue(kind.signature_algorithm, kind.hash_algorithm, raw),
            )
        except errors.ImzaError as error:
            raise PreproducedFileError("a response of the file does not verify") from error


class _Making:
    """What the responses of one file have in common."""

    def __init__(
        self,
        issuer: responder_key.StatusIssuer,
        key: responder_key.ResponderKey,
        this_update: datetime.datetime,
        next_update: datetime.datetime,
    ) -> None:
        self._issuer = cert_id.issuer_id(issuer.certificate, cert_id.CertIDHash.SHA1)
        self._template = issuer.templates[key]
        self._times = response_template.encode_times(this_update, this_update, next_update)
        self._sign = key.sign
        # The beginning of a CertID depends on the length of the serial number alone.
        self._beginnings = {
            octets: cert_id.encode(self._issuer, bytes(octets))[:-octets]
            for octets in range(1, _SERIAL_BYTES + 2)
        }

    def name(self, serial_number: int) -> cert_id.CertID:
        octets = serial_number.bit_length() // 8 + 1
        number = serial_number.to_bytes(octets, "big")
        return cert_id.CertID(self._issuer, serial_number, self._beginnings[octets] + number)

    def response_data(self, asked: cert_id.CertID, known: status.CertificateStatus) -> bytes:
        return self._template.response_data(((asked, known),), self._times, None)

    def sign(self, serial_number: int, known: status.CertificateStatus) -> bytes:
        return self._sign(self.response_data(self.name(serial_number), known))

    def response(
        self, asked: cert_id.CertID, known: status.CertificateStatus, value: bytes
    ) -> bytes:
        return self._template.response(self.response_data(asked, known), value)


_GOOD = (_NO_TIME, _NO_TIME, 0)


def _said(known: status.CertificateStatus) -> tuple[int, int, int]:
    """What a response says, as its record has it."""
    if known.revoked_at is None:
        return _GOOD
    invalid_since = _NO_TIME
    if known.invalidity_date is not None:
        invalid_since = _to_number(known.invalidity_date)
    reason = known.reason or status.RevocationReason.unspecified
    return _to_number(known.revoked_at), invalid_since, reason.value


def _to_number(at: datetime.datetime) -> int:
    return int(at.timestamp() // 1)


def _to_time(number: int) -> datetime.datetime:
    try:
        return datetime.datetime.fromtimestamp(number, datetime.UTC)
    except (ValueError, OverflowError, OSError) as error:
        raise PreproducedFileError("expected a time in the file of responses") from error


def _map(path: pathlib.Path) -> mmap.mmap:
    handle = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        if not 0 < os.fstat(handle).st_size <= MAX_FILE_BYTES:
            raise PreproducedFileError("expected a file of responses, got another size")
        return mmap.mmap(handle, 0, access=mmap.ACCESS_READ)
    except (OSError, ValueError) as error:
        raise PreproducedFileError("the file of responses cannot be mapped") from error
    finally:
        os.close(handle)
