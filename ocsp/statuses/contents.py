"""What a view of the registry holds at one moment."""

import dataclasses
import datetime
import heapq
import operator
from collections.abc import Iterator, Mapping
from typing import Protocol

from pki import registry_reader, status, status_file

MERGE_AT = 50_000
"""So many changes beside a file are put into a new one: a look-up stays one of two searches."""

Overlay = dict[str, dict[bytes, registry_reader.StatusChange]]
"""What changed after the file, by the issuer's name and the serial number in 20 octets."""


@dataclasses.dataclass(frozen=True)
class Contents:
    """The statuses of every certificate, and what is needed to answer for them.

    Attributes:
        base: The statuses as of some change.
        overlay: Those that changed since.
        position: Up to where in the audit log both together are complete.
        as_of: When that was so.
        locked_at: Since when no status may be told.
        issuers: The authorities of the registry.
        responders: The certificates that let our keys answer for them.
    """

    base: status_file.StatusFile
    overlay: Overlay
    position: registry_reader.Position
    as_of: datetime.datetime
    locked_at: datetime.datetime | None
    issuers: tuple[registry_reader.Issuer, ...]
    responders: tuple[registry_reader.ResponderCertificate, ...]

    def find(self, issuer_name: str, serial: bytes) -> status.CertificateStatus | None:
        """Return the status of a certificate; None where it is not known."""
        changed = self.overlay.get(issuer_name)
        if changed is not None and (found := changed.get(serial)) is not None:
            return found.status
        return self.base.find(issuer_name, serial)

    def enumerate(self, issuer_name: str) -> Iterator[tuple[int, status.CertificateStatus]]:
        """Yield every certificate of an issuer with its status, serial numbers ascending."""
        changed = sorted(dict(self.overlay.get(issuer_name, {})).items())
        later = {serial for serial, _ in changed}

        def unchanged(*, good: bool) -> Iterator[tuple[bytes, status.CertificateStatus]]:
            for serial, known in self.base.statuses(issuer_name):
                if known.is_good is good and serial not in later:
                    yield serial, known

        coming = ((serial, one.status) for serial, one in changed)
        # A file has the good ones first and then the revoked ones, both sorted.
        each = unchanged(good=True), unchanged(good=False), coming
        for serial, known in heapq.merge(*each, key=operator.itemgetter(0)):
            yield int.from_bytes(serial, "big"), known

    def merged(self) -> tuple[bytes, ...]:
        """Base and overlay as a status file, in pieces."""
        return status_file.build(
            status_file.Header(
                self.position, self.as_of, self.locked_at, self.issuers, self.responders
            ),
            _statuses(self.overlay),
            before=self.base,
        )


class Source(Protocol):
    """Where the contents of a view come from: the registry's database, or a published file."""

    @property
    def is_asked(self) -> bool:
        """Whether it can be asked at any moment what changed up to that moment."""

    def update(self, known: Contents | None, at: datetime.datetime) -> Contents:
        """Return what is the case now, given what was known.

        Raises:
            PeerError: It cannot be reached.
            TamperedError: It is not what it should be.
        """

    def close(self) -> None:
        """Let go of it."""


def from_file(file: status_file.StatusFile) -> Contents:
    """What a status file says."""
    header = file.header
    return Contents(
        file,
        {},
        header.position,
        header.as_of,
        header.locked_at,
        header.issuers,
        header.responders,
    )


def merge(contents: Contents) -> Contents:
    """The same contents in one file in memory."""
    return from_file(status_file.StatusFile(b"".join(contents.merged())))


def settled(contents: Contents) -> Contents:
    """The same contents, in one file in memory where much has changed."""
    if sum(map(len, contents.overlay.values())) < MERGE_AT:
        return contents
    return merge(contents)


def _statuses(overlay: Overlay) -> Mapping[str, Mapping[bytes, status.CertificateStatus]]:
    # Copied at once: the thread that follows the registry may put more changes in meanwhile.
    return {
        name: {serial: one.status for serial, one in dict(changed).items()}
        for name, changed in dict(overlay).items()
    }
