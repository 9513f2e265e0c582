"""Augmenting a signed document, ours or not: every signature in it is raised to a level.

What is there stays as it is. A signature that has an archive time stamp already is renewed: it gets
the data of the unit that made the last one, and a further archive time stamp over all.

Counter-signatures are raised too, at each level before the signatures that they lie in, since an
archive time stamp of those covers them as they are then. One that is under such a time stamp
already, or whose own signer or form does not let it be raised, stays as it is, which is told.
"""

import contextlib
import dataclasses
import datetime
import functools
import pathlib
import shutil
import tempfile
from collections.abc import Callable, Mapping, Sequence

from pki import errors
from signing_service import augment, documents, revocation_data
from signing_service.creation import (
    asic_archive,
    asic_container,
    asic_signatures,
    cms_files,
    counter_signatures,
    formats,
    pades,
    soundness,
)
from signing_service.service import SigningService
from signing_service.validation import findings
from tsa import signed_token

PADES, XADES = documents.SignatureFormat.PADES, documents.SignatureFormat.XADES

_Change = Callable[..., None]
"""Writes a changed copy of one file into another."""

_Counter = counter_signatures.CounterSignature


MAX_COUNTER_SIGNATURES = 50
"""Most that are raised in one document: each takes a time stamp, and a reading of its file."""


class NothingToAugmentError(errors.StateError):
    """The document's signatures have the level already, or there is none."""

    code = "nothing-to-augment"


class NotIntactError(errors.PolicyError):
    """A signature does not verify, and a time stamp would not make it better."""

    code = "signature-not-intact"


class AugmentationBreaksError(documents.DocumentRefusedError):
    """Something in the document covers what would be added, and would be broken."""

    code = "augmentation-would-break"


@dataclasses.dataclass(frozen=True)
class Augmented:
    """What was done to a document.

    Attributes:
        format: Of the document.
        left: The counter-signatures that were not raised, or not to the whole level, by their
            identifiers, and why.
    """

    format: documents.SignatureFormat
    left: Mapping[str, errors.ImzaError]


def augment_document(
    service: SigningService,
    document: documents.Document,
    target: pathlib.Path,
    level: documents.SignatureLevel,
    at: datetime.datetime,
    *,
    detached: Sequence[documents.Document] = (),
) -> Augmented:
    """Raise every signature of a document to a level.

    Args:
        service: With whom.
        document: Its signatures verify, which the caller has seen to.
        target: Becomes the augmented document.
        level: B-T, B-LT or B-LTA.
        at: The present.
        detached: The documents that detached XAdES covers, for B-LTA.

    Raises:
        NothingToAugmentError: The signatures have time stamps and only those are asked for.
        AugmentationBreaksError: Another signature or a time stamp covers what would be added.
        LimitError: The document has more than `MAX_COUNTER_SIGNATURES`.
        UntrustedCertificateError: A signer's certificate leads to no root that is trusted here.
        DocumentRefusedError: It cannot be augmented, for the reason that its code names.
        PeerError: The time-stamping authority or a source of revocation data failed.
    """
    format = format_of(document.path)
    with tempfile.TemporaryDirectory(dir=target.parent) as folder:
        work = _Work(service, format, pathlib.Path(folder), document, detached, at)
        if level is documents.SignatureLevel.B_B:
            raise NothingToAugmentError("expected a level from B-T to B-LTA, got B-B")
        changed = work.add_time_stamps()
        if level >= documents.SignatureLevel.B_LT:
            changed = work.add_validation_data() or changed
        if level is documents.SignatureLevel.B_LTA:
            work.add_archive_time_stamps()
            changed = True
        if not changed:
            raise NothingToAugmentError(
                "every signature of the document has the level already, or is under an archive"
                " time stamp of its container, or of the signature that it countersigns"
            )
        work.check_sound()
        shutil.copyfile(work.current, target)
    return Augmented(format, work.left)


def format_of(path: pathlib.Path) -> documents.SignatureFormat:
    """Tell the format of a signed document by how it begins."""
    if asic_container.is_container(path):
        return asic_container.read(path).format
    if cms_files.is_signed_data(path):
        return documents.SignatureFormat.CADES
    with path.open("rb") as file:
        start = file.read(1024)
    return PADES if b"%PDF-" in start else XADES


class _Work:
    """A document on its way up: each step writes a file beside the one before."""

    def __init__(
        self,
        service: SigningService,
        format: documents.SignatureFormat,
        folder: pathlib.Path,
        document: documents.Document,
        detached: Sequence[documents.Document],
        at: datetime.datetime,
    ) -> None:
        self._service = service
        self._format = format
        self._folder = folder
        self._name = document.name
        self.current = document.path
        self._detached = detached
        self._at = at
        self._steps = 0
        # A PDF is only appended to, and has no counter-signatures.
        self._before = None if format is PADES else self._read()
        found = () if self._before is None else self._before.signatures
        count = sum(one.is_counter for one in found)
        if count > MAX_COUNTER_SIGNATURES:
            raise errors.LimitError(
                f"expected at most {MAX_COUNTER_SIGNATURES} counter-signatures, got {count}"
            )
        self._countersigned = count > 0
        self.left: dict[str, errors.ImzaError] = {}
        self._kept: dict[documents.ValuePosition | str, errors.ImzaError] = {}

    def check_sound(self) -> None:
        """Check that all that verified before does so still.

        Raises:
            AugmentationBreaksError: It does not.
        """
        if self._before is None:
            return
        after = self._read()
        lost = soundness.loses_signature(self._before, after)
        if lost or soundness.loses_time_stamp(self._before, after):
            raise AugmentationBreaksError(
                f"{'a signature' if lost else 'a time stamp or evidence record'} of the document"
                " covers what would be added to another signature, which would break it"
            )

    def add_time_stamps(self) -> bool:
        """Put a time stamp on every signature that has none; tell whether there was one."""
        request = self._service.request_token
        self._raise_counter_signatures(self._stamping)
        missing = [
            place
            for place, one in enumerate(self._find())
            if not one.tokens and not self._is_frozen(place)
        ]
        if self._format is not PADES:
            module = formats.module(self._format)
            for position in missing:
                self._step(
                    functools.partial(
                        module.add_signature_time_stamp, request_token=request, position=position
                    )
                )
        elif missing:
            # Others leave no room for a token, or something follows the signature.
            with contextlib.suppress(pades.SignatureRoomError, pades.SignatureNotNewestError):
                self._step(functools.partial(pades.add_signature_time_stamp, request_token=request))
                missing.pop()
            if missing:
                # EN 319 142-1 6.3: a document time stamp serves as well.
                self._step(functools.partial(pades.add_document_time_stamp, request_token=request))
        return bool(missing) or self._steps > 0

    def add_validation_data(self) -> bool:
        """Fetch and put in what is needed to judge signers and units later; tell whether it was."""
        before = self._steps
        self._raise_counter_signatures(
            lambda place, one: (
                None
                if one.signature is None
                else functools.partial(self._add_data_to, place, one.signature)
            )
        )
        changed = self._steps > before
        for position, found in enumerate(self._find()):
            if self._is_frozen(position):
                continue
            changed = True
            data = self._fetch(found)
            add = (
                pades.add_validation_data
                if self._format is PADES
                else formats.module(self._format).add_validation_data
            )
            self._step(functools.partial(add, data=data, position=position))
        return changed

    def add_archive_time_stamps(self) -> None:
        """Put a (further) archive time stamp on every signature, or one on a PDF."""
        request = self._service.request_token
        if self._format is PADES:
            self._step(functools.partial(pades.add_document_time_stamp, request_token=request))
            return
        self._raise_counter_signatures(
            lambda place, one: self._archiving(place) if one.archives_itself else None
        )
        archive = self._archive()
        if archive is not None:
            container = asic_container.read(self.current)
            token = signed_token.parse_token(asic_archive.newest_token(container, archive))
            unit = augment.unit_path(token, self._service.authorities, self._at)
            data = revocation_data.fetch([unit], client=self._service.client, at=self._at)
            self._step(functools.partial(asic_archive.renew, data=data, request_token=request))
            return
        for position in range(len(self._find())):
            self._step(self._archiving(position))

    def _stamping(self, position: documents.Position, one: _Counter) -> _Change | None:
        if one.signature is None or one.signature.tokens:
            return None
        return functools.partial(
            formats.add_signature_time_stamp,
            self._format,
            request_token=self._service.request_token,
            position=position,
        )

    def _archiving(self, position: documents.Position) -> _Change:
        return functools.partial(
            formats.add_archive_time_stamp,
            self._format,
            request_token=self._service.request_token,
            position=position,
            detached=self._detached,
        )

    def _add_data_to(
        self,
        position: documents.Position,
        found: documents.FoundSignature,
        source: pathlib.Path,
        target: pathlib.Path,
    ) -> None:
        data = self._fetch(found)
        formats.add_validation_data(self._format, source, target, data, position=position)

    def _read(self) -> findings.FoundDocument:
        document = documents.Document(self._name, self.current)
        return soundness.read(document, self._format, self._detached)

    def _raise_counter_signatures(
        self, change_of: Callable[[documents.Position, _Counter], _Change | None]
    ) -> None:
        """Change each counter-signature; one that does not let itself be stays as it is.

        Args:
            change_of: Gives what is to be done to the one at a position, or None.
        """
        if not self._countersigned:
            return
        for one in self._find_counter_signatures():
            if one.problem is not None:
                self._kept.setdefault(one.position or one.identifier, one.problem)
            if one.position is None or one.position in self._kept:
                continue
            change = change_of(one.position, one)
            if change is not None:
                self._try(one.position, change)
        # By the names that they have now: attributes of CMS stand in the order of their octets.
        self.left = {
            one.identifier: self._kept[key]
            for one in self._find_counter_signatures()
            if (key := one.position or one.identifier) in self._kept
        }

    def _try(self, position: documents.ValuePosition, change: _Change) -> None:
        try:
            if self._is_frozen(position):
                raise counter_signatures.CoveredError(
                    "an archive time stamp of the container covers the counter-signature"
                )
            self._step(change)
        except errors.LimitError:
            raise
        except (errors.InputError, errors.PolicyError, errors.StateError) as error:
            self._kept[position] = error

    def _find_counter_signatures(self) -> list[_Counter]:
        find_position = functools.partial(formats.module(self._format).find_position, self.current)
        return counter_signatures.find(self._read(), find_position)

    def _archive(self) -> asic_archive.Archive | None:
        """The archive manifests of a container; what they cover stays as it is."""
        if self._format not in (documents.SignatureFormat.ASIC_E, documents.SignatureFormat.ASIC_S):
            return None
        return asic_archive.find(asic_container.read(self.current))

    def _is_frozen(self, position: documents.Position) -> bool:
        archive = self._archive()
        if archive is None:
            return False
        file, _ = asic_signatures.at(asic_container.read(self.current), position)
        return file in archive.covered

    def _find(self) -> tuple[documents.FoundSignature, ...]:
        found = (
            pades.find_signatures(self.current)
            if self._format is PADES
            else formats.module(self._format).find_signatures(self.current)
        )
        if not found:
            raise NothingToAugmentError("expected a signed document, found no signature")
        return found

    def _fetch(self, found: documents.FoundSignature) -> revocation_data.ValidationData:
        """Data for the signer and all units; for those of archive time stamps where renewed."""
        authorities, at = self._service.authorities, self._at
        tokens = sorted(
            map(signed_token.parse_token, found.tokens), key=lambda token: token.info.gen_time
        )
        # The signer's certificate may have expired since the first archive time stamp, which
        # covers all that is needed to judge it.
        renewed = found.is_archived
        units = [
            augment.unit_path(token, authorities, at)
            for token in (tokens[-1:] if renewed else tokens)
        ]
        if renewed:
            return revocation_data.fetch(units, client=self._service.client, at=at)
        path = authorities.path(found.certificate, at, besides=found.besides)
        return revocation_data.fetch(
            [path, *units],
            client=self._service.client,
            at=at,
            not_before=min((token.info.gen_time for token in tokens), default=None),
        )

    def _step(self, change: _Change) -> None:
        target = self._folder / f"step-{self._steps + 1}"
        change(self.current, target)
        self._steps += 1
        self.current = target
