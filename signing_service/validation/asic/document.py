"""Signatures and time stamps of an ASiC container, and which of its files they cover.

A container shows a person its data files. What a signature does not name is not covered, however
well the signature verifies: each file that is left out is told.
"""

import base64
import dataclasses
import functools
import io
import pathlib
from collections.abc import Callable, Iterable, Sequence

from cryptography import x509

from pki import errors, originals
from signing_service.validation import evidence, findings, report
from signing_service.validation.asic import container as containers
from signing_service.validation.asic import coverage, manifests, nested, sealed_files
from signing_service.validation.cades import document as cades_document
from signing_service.validation.cades import signed_data
from signing_service.validation.cms import time_stamp_tokens
from signing_service.validation.diagnostics import diagnostic_data
from signing_service.validation.evidence_records import reading
from signing_service.validation.xades import xml_document

OPEN_DOCUMENT = "application/vnd.oasis.opendocument."
OFFICE_OPEN_XML = "[Content_Types].xml"
"""In every package of ISO/IEC 29500-2, whose signatures are of another kind."""

MAX_SIGNATURE_FILES = 100
"""Files with signatures or time stamps in META-INF."""

_META = containers.META


class NotASicError(errors.InputError):
    """A ZIP file of another kind."""

    code = "document-unreadable"


def read(
    path: pathlib.Path,
    name: str,
    supplied: Iterable[x509.Certificate] = (),
    *,
    expressions: bool = False,
) -> findings.FoundDocument:
    """Find every signature and time stamp of a container and check their cryptography.

    Args:
        path: The container.
        name: What it is called.
        supplied: Certificates of trusted people, for a signature that leaves its own out.
        expressions: Evaluate the XPath of XML signatures; for processes with limits alone.

    Raises:
        NotASicError: Another kind of ZIP file.
        ContainerError: It is damaged or hostile.
        LimitError: It is over a limit.
    """
    container = containers.Container.at(path)
    return _Reader(container, name, tuple(supplied), expressions=expressions).read()


@dataclasses.dataclass
class _Found:
    signatures: list[findings.FoundSignature] = dataclasses.field(default_factory=list)
    time_stamps: list[findings.FoundTimeStamp] = dataclasses.field(default_factory=list)


class _Reader:
    """Reads one container."""

    def __init__(
        self,
        container: containers.Container,
        name: str,
        supplied: Sequence[x509.Certificate],
        *,
        is_inner: bool = False,
        expressions: bool = False,
    ) -> None:
        self._container = container
        self._is_inner = is_inner
        self._expressions = expressions
        self._name = name
        self._supplied = supplied
        self._known = evidence.Evidence()
        self._mimetype = container.mimetype()
        self._manifests = manifests.read_all(container)
        self._is_simple = self._tell_kind()

    def read(self) -> findings.FoundDocument:
        files = [one for one in self._container if one.startswith(_META)]
        xml = [one for one in files if _is_xades_file(one)]
        cms = [one for one in files if one.endswith(".p7s") and "signature" in _base(one)]
        tokens = [one for one in files if one.endswith(".tst") and "timestamp" in _base(one)]
        records = [one for one in files if "evidencerecord" in _base(one)]
        if len(xml) + len(cms) + len(tokens) + len(records) > MAX_SIGNATURE_FILES:
            raise errors.LimitError(
                f"expected at most {MAX_SIGNATURE_FILES} signature files in a container"
            )
        if self._mimetype is not None and self._mimetype.startswith(OPEN_DOCUMENT):
            raise NotASicError("expected an ASiC container, got an OpenDocument file")
        if OFFICE_OPEN_XML in self._container and self._mimetype is None:
            raise NotASicError("expected an ASiC container, got an Office Open XML document")
        if not (xml or cms or tokens or records) and self._mimetype not in containers.TYPES:
            raise NotASicError("expected an ASiC container, got another ZIP file")
        found = _Found()
        for one in xml:
            found.signatures += self._xades(one)
        for one in cms:
            found.signatures += self._cades(one)
        found.time_stamps = [self._time_stamp(one) for one in tokens]
        signatures = tuple(
            coverage.completed(
                one,
                self._container,
                found.time_stamps,
                is_simple=self._is_simple,
                nested_containers=self._nested_containers,
            )
            for one in found.signatures
        )
        document = findings.FoundDocument(
            "ASiC-S" if self._is_simple else "ASiC-E",
            signatures,
            tuple(found.time_stamps),
            self._known,
            tuple(self._evidence_record(one) for one in records),
            self._container.sizes,
        )
        return document if signatures or self._is_inner else self._with_nested(document)

    def _with_nested(self, outer: findings.FoundDocument) -> findings.FoundDocument:
        """Add the signatures of the container that this one is there to prove the time of."""
        files = self._container.data_files
        if not self._is_simple or len(files) != 1 or not self._nested_containers:
            return outer
        (file,) = files
        holding = [one for one in outer.document_time_stamps if file in one.covers and _holds(one)]
        sealing = [one for one in outer.evidence_records if file in one.covers and one.stamps]
        if not holding and not sealing:
            return outer
        try:
            packed = io.BytesIO(self._container[file])
            container = containers.Container(packed, left=self._container.left)
            inner = _Reader(
                container, file, self._supplied, is_inner=True, expressions=self._expressions
            ).read()
        except errors.LimitError:
            raise
        except errors.InputError:
            # A file like any other then: what is over it is judged as before.
            return outer
        self._known.add_all(inner.evidence)
        return nested.merged(outer, inner, file, container)

    @functools.cached_property
    def _nested_containers(self) -> tuple[str, ...]:
        return tuple(
            one
            for one in self._container.data_files
            if nested.is_container(self._container.head(one, nested.HEAD_BYTES))
        )

    def _evidence_record(self, file: str) -> findings.FoundEvidenceRecord:
        try:
            subject = self._subject(file)
        except errors.InputError as error:
            return reading.failed(None, (), error.code, error.message)
        return sealed_files.record(file, subject, self._container, self._manifests, self._known)

    def _tell_kind(self) -> bool:
        """Whether it is ASiC-S; what has no type is told by its form (EN 319 162-1 4.3, 4.4)."""
        if self._mimetype in containers.TYPES:
            return self._mimetype == containers.ASIC_S
        names = {one.removeprefix(_META) for one in self._container if one.startswith(_META)}
        return (
            len(self._container.data_files) == 1
            and bool(
                names
                & {
                    "signatures.xml",
                    "signature.p7s",
                    "timestamp.tst",
                    "evidencerecord.ers",
                    "evidencerecord.xml",
                }
            )
            and not any("ASiCManifest" in one for one in names)
        )

    def _xades(self, file: str) -> list[findings.FoundSignature]:
        """XAdES signatures of one file; they name data files by URI (EN 319 162-1 4.4.3)."""
        try:
            read = xml_document.read_octets(
                self._container[file],
                file,
                self._container.originals,
                self._supplied,
                expressions=self._expressions,
            )
        except errors.LimitError:
            raise
        except errors.InputError as error:
            return [_unreadable(file, "XAdES", error)]
        self._known.add_all(read.evidence)
        return [dataclasses.replace(one, file=file) for one in read.signatures]

    def _cades(self, file: str) -> list[findings.FoundSignature]:
        """CAdES signatures of one file, over the data file or over a manifest."""
        try:
            signed = signed_data.parse(self._container[file])
            subject = self._subject(file)
        except errors.LimitError:
            raise
        except errors.InputError as error:
            return [_unreadable(file, "CAdES", error)]
        detached = {} if subject is None else {subject: self._container.originals[subject]}
        found = cades_document.signatures(
            signed,
            file,
            detached,
            self._known,
            self._supplied,
            prefix=f"{_base(file)}-",
        )
        if signed.content is not None and not _is_same(signed.content, detached.get(subject or "")):
            # EN 319 162-1 4.3.3.2, 4.4.4: detached; a content of its own is not what is shown.
            problem = report.Finding(
                "encapsulated-content", "the signature holds a content of its own"
            )
            return [
                dataclasses.replace(
                    one,
                    failure=(report.SubIndication.FORMAT_FAILURE, problem),
                    intact=False,
                    scope_kind=report.ScopeKind.NONE,
                    file=file,
                )
                for one in found
            ]
        manifest = self._manifests.get(subject or "")
        if signed.has_bytes_behind(self._container[file]):
            found = tuple(
                dataclasses.replace(one, warnings=(*one.warnings, cades_document.BYTES_BEHIND))
                for one in found
            )
        covered = list(found)
        if isinstance(manifest, manifests.Manifest):
            covered = [self._through(manifest, one) for one in found]
        elif subject is not None:
            covered = [
                dataclasses.replace(
                    one, signed_files=(subject,) if one.intact and not one.is_counter else ()
                )
                for one in found
            ]
        return [dataclasses.replace(one, file=file) for one in covered]

    def _subject(self, file: str) -> str | None:
        """What a signature or token in META-INF is over: a manifest, or the only data file."""
        named = [
            one
            for one in self._manifests.values()
            if isinstance(one, manifests.Manifest) and one.subject == file
        ]
        if len(named) > 1:
            raise manifests.ManifestError(f"{len(named)} manifests say that {file!r} is over them")
        if named:
            return named[0].name
        broken = next(
            (one for one in self._manifests.values() if isinstance(one, errors.InputError)), None
        )
        if not self._is_simple and broken is not None:
            raise broken
        files = self._container.data_files
        # EN 319 162-1 4.3.3.2: in ASiC-S it is over the one data file itself.
        return files[0] if self._is_simple and len(files) == 1 else None

    def _through(
        self, manifest: manifests.Manifest, found: findings.FoundSignature
    ) -> findings.FoundSignature:
        """A signature over a manifest: what it says of the files it lists."""
        if found.is_counter or found.failure is not None:
            return found
        changed = manifest.changed(self._container.originals)
        found = dataclasses.replace(
            found,
            details=functools.partial(
                _with_manifest, found.details, manifest, changed, manifest.missing(self._container)
            ),
        )
        if changed:
            problem = report.Finding(
                "manifest-digest", f"the file {changed[0][:200]!r} is not what was signed"
            )
            return dataclasses.replace(
                found, intact=False, failure=(report.SubIndication.HASH_FAILURE, problem)
            )
        signed = tuple(one.name for one in manifest.entries if one.name in self._container)
        found = dataclasses.replace(found, signed_files=signed)
        missing = manifest.missing(self._container.originals)
        if missing:
            problem = report.Finding(
                "signed-data-missing",
                f"the file {missing[0][:200]!r} was signed and is not in the container",
            )
            return dataclasses.replace(
                found, failure=(report.SubIndication.SIGNED_DATA_NOT_FOUND, problem)
            )
        return found

    def _time_stamp(self, file: str) -> findings.FoundTimeStamp:
        """A time-stamp token over a manifest, or over the only data file (4.3.3.3, 4.4.4)."""
        token = self._container[file]
        kind = report.TimeStampKind.CONTAINER
        try:
            subject = self._subject(file)
            if subject is None:
                raise manifests.ManifestError("nothing says what this time stamp is over")
        except errors.InputError as error:
            return findings.FoundTimeStamp(kind, token, _missing(error.message), file=file)
        original = self._container.originals[subject]
        manifest = self._manifests.get(subject)
        covers = {subject}
        damage: report.Finding | None = None
        if isinstance(manifest, manifests.Manifest):
            changed, missing = (
                manifest.changed(self._container.originals),
                manifest.missing(self._container.originals),
            )
            if changed or missing:
                damage = report.Finding(
                    "manifest-digest",
                    f"the file {(changed or missing)[0][:200]!r}, which it covers, was changed or"
                    " taken out",
                )
            covers |= manifests.covered(manifest, self._manifests, self._container.originals)
        return findings.FoundTimeStamp(
            kind,
            token,
            functools.partial(originals.digest, original),
            problem=damage,
            file=file,
            covers=frozenset(covers),
            is_broken=damage is not None,
        )


def _with_manifest(
    details: Callable[[], diagnostic_data.SignatureDetails],
    manifest: manifests.Manifest,
    changed: Sequence[str],
    missing: Sequence[str],
) -> diagnostic_data.SignatureDetails:
    """What a signature says of itself, and the files that it signs through a manifest."""
    said = details()
    listed = tuple(
        diagnostic_data.SignatureReference(
            source=manifest.name,
            uri=one.name,
            type=None,
            transforms=(),
            digest_algorithm=one.hash_name or None,
            digest=base64.b64encode(one.digest).decode("ascii"),
            matches=None if one.name in missing else one.name not in changed,
        )
        for one in manifest.entries
    )
    return dataclasses.replace(said, references=(*said.references, *listed))


def _is_xades_file(name: str) -> bool:
    base = _base(name)
    return base.endswith(".xml") and "signatures" in base and not base.startswith("ASiC")


def _holds(stamp: findings.FoundTimeStamp) -> bool:
    """Whether a time stamp is over what it has to be over, whoever made it."""
    try:
        time_stamp_tokens.read_token(stamp.token).check(stamp.digest_of)
    except errors.InputError:
        return False
    return not stamp.is_broken


def _base(name: str) -> str:
    return name.rpartition("/")[2]


def _missing(reason: str) -> Callable[[str], bytes]:
    """What a time stamp is over whose data nobody names."""

    def digest_of(name: str) -> bytes:
        raise originals.OriginalMissingError(reason)

    return digest_of


def _is_same(content: originals.Original, other: originals.Original | None) -> bool:
    return other is not None and originals.digest(content, "sha512") == originals.digest(
        other, "sha512"
    )


def _unreadable(
    file: str, signature_format: str, error: errors.InputError
) -> findings.FoundSignature:
    """A signature file of which nothing can be read: it is told, not passed over."""
    return findings.FoundSignature(
        identifier=_base(file),
        format=signature_format,
        level="UNKNOWN",
        intact=None,
        failure=(report.SubIndication.FORMAT_FAILURE, report.Finding(error.code, error.message)),
        certificate=None,
        is_bound=None,
        digest_algorithms=frozenset(),
        claimed_signing_time=None,
        time_stamps=(),
        scope_kind=report.ScopeKind.NONE,
        scope_names=(),
        file=file,
    )
