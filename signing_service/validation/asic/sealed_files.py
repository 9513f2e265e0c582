"""Evidence records over files of a container (EN 319 162-1 4.3.3.4, 4.4.4, A.7)."""

import dataclasses
from collections.abc import Mapping

from pki import errors
from signing_service.validation import evidence, findings
from signing_service.validation.asic import container as containers
from signing_service.validation.asic import manifests
from signing_service.validation.evidence_records import reading


def record(
    file: str,
    subject: str | None,
    container: containers.Container,
    known_manifests: Mapping[str, manifests.Manifest | errors.InputError],
    known: evidence.Evidence,
) -> findings.FoundEvidenceRecord:
    """Check an evidence record over the files of its manifest, or over the only data file.

    Args:
        file: The record.
        subject: Its manifest, or the data file that it is over; None where nothing says.
        container: Where all of them are.
        known_manifests: By their names.
        known: Takes the validation data in the record.
    """
    if subject is None:
        return reading.failed(None, (), "evidence-data-missing", "its data is not named")
    manifest = known_manifests.get(subject)
    names: tuple[str, ...] = (subject,)
    covers = {subject}
    if isinstance(manifest, manifests.Manifest):
        names = tuple(one.name for one in manifest.entries)
        covers |= {*names, *manifests.covered(manifest, known_manifests, container.originals)}
    found = _over(file, names, manifest, container, known)
    return dataclasses.replace(found, file=file, covers=frozenset(covers))


def _over(
    file: str,
    names: tuple[str, ...],
    manifest: manifests.Manifest | errors.InputError | None,
    container: containers.Container,
    known: evidence.Evidence,
) -> findings.FoundEvidenceRecord:
    if isinstance(manifest, manifests.Manifest):
        missing = manifest.missing(container.originals)
        if missing:
            return reading.failed(None, names, "evidence-data-missing", missing[0])
        changed = manifest.changed(container.originals)
        if changed:
            return reading.failed(False, names, "evidence-data-changed", changed[0])
    octets = container[file]
    in_xml = reading.is_xml(octets)
    objects = {one: reading.digests_of(container[one], in_xml=in_xml) for one in names}
    return reading.check(octets, names, objects, known)
