"""Archive manifests of containers with CAdES: found, and renewed (EN 319 162-1 annex A).

An archive manifest lists files of the container with their digests, and a time-stamp token is over
it. What it lists must not change any more: validation data that comes later goes into the token,
whose lists of certificates and statuses nobody signs. Renewing puts a further manifest over all
that is there, the former one and its token included.

Containers that are made here have archive time stamps in their signatures; these manifests come
with containers of others.
"""

import dataclasses
import hashlib
import pathlib
import re
import tempfile
from collections.abc import Callable

from pki import algorithms, certificates, der, errors, signature
from signing_service import revocation_data
from signing_service.creation import (
    asic_container,
    asic_manifests,
    asic_signatures,
    cms_files,
    xades_unsigned,
)
from signing_service.validation.asic import manifests

RequestToken = Callable[[signature.DataToBeSignedRepresentation], bytes]

NEWEST = "META-INF/ASiCArchiveManifest.xml"
"""The name of the archive manifest that no other one covers yet."""

_ARCHIVE = re.compile(r"META-INF/[^/]*ASiCArchiveManifest[^/]*\.xml")
_HASH = algorithms.HashAlgorithm.SHA256
_ID_OCSP_RESPONSE = der.encode_oid("1.3.6.1.5.5.7.16.2")


@dataclasses.dataclass(frozen=True)
class Archive:
    """The archive manifests of a container.

    Attributes:
        newest: The one that no other one covers.
        covered: The files that must not change.
    """

    newest: manifests.Manifest
    covered: frozenset[str]


def find(container: asic_container.Container) -> Archive | None:
    """Return the archive manifests of a container, or None where it has none.

    Raises:
        ContainerError: Several stand beside each other, or none is the newest.
        ManifestError: One cannot be read.
    """
    found = [
        manifests.read(one, container.read(one))
        for one in container.names
        if _ARCHIVE.fullmatch(one)
    ]
    if not found:
        return None
    listed = {entry.name for one in found for entry in one.entries}
    newest = [one for one in found if one.name not in listed]
    if len(newest) != 1 or newest[0].subject not in container.names:
        raise asic_container.ContainerError(
            f"expected one archive manifest, with its time stamp, that no other one covers, got"
            f" {len(newest)}"
        )
    return Archive(newest[0], frozenset({*listed, *(one.name for one in found)}))


def newest_token(container: asic_container.Container, archive: Archive) -> bytes:
    """Return the time-stamp token over the newest archive manifest."""
    return container.read(archive.newest.subject)


def renew(
    source: pathlib.Path,
    target: pathlib.Path,
    data: revocation_data.ValidationData,
    request_token: RequestToken,
) -> None:
    """Put a further archive manifest and its time stamp over all that a container has.

    Args:
        source: A container with archive manifests.
        target: Becomes the renewed one.
        data: What is needed to judge the unit that made the last time stamp.
        request_token: Gives a time-stamp token, in DER, over the hash it gets.

    Raises:
        ContainerError: Without an archive manifest.
        TokenMismatchError: The token is over another hash.
    """
    container = asic_container.read(source)
    archive = find(container)
    if archive is None:
        raise asic_container.ContainerError("expected a container with an archive manifest")
    stamp, former = archive.newest.subject, archive.newest.name
    renamed = {}
    if former == NEWEST:
        former = _free(container, "META-INF/ASiCArchiveManifest{:03}.xml")
        renamed[NEWEST] = former
    with tempfile.TemporaryDirectory(dir=target.parent) as folder:
        middle = pathlib.Path(folder) / "middle"
        asic_container.rewrite(source, middle, {stamp: _with_data(container, stamp, data)}, renamed)
        changed = asic_container.read(middle)
        token_name = _free(changed, "META-INF/timestamp{:03}.tst")
        entries = [
            asic_manifests.Entry(name, _digest(changed, name), is_root=name == former)
            for name in changed.names
            if name not in (asic_container.MIMETYPE, asic_container.MANIFEST)
        ]
        manifest = asic_manifests.build(
            token_name, "application/vnd.etsi.timestamp-token", entries, _HASH
        )
        representation = signature.represent(manifest, _HASH)
        token = request_token(representation)
        xades_unsigned.check_imprint(token, representation)
        asic_container.add(middle, target, {NEWEST: manifest, token_name: token})


def _with_data(
    container: asic_container.Container, name: str, data: revocation_data.ValidationData
) -> bytes:
    """A token with more certificates and statuses in its SignedData (RFC 5652 5.1)."""
    with asic_signatures.extracted(container, name) as path:
        result = path.with_name("result")
        responses = [der.encode(0xA1, _ID_OCSP_RESPONSE, one) for one in data.ocsp_responses]
        cms_files.read(path).with_validation_data(
            [certificates.to_der(one) for one in data.certificates], [*data.crls, *responses]
        ).write(result)
        return result.read_bytes()


def _digest(container: asic_container.Container, name: str) -> bytes:
    hasher = hashlib.new(_HASH.short_name)
    for chunk in container.pieces(name):
        hasher.update(chunk)
    return hasher.digest()


def _free(container: asic_container.Container, pattern: str) -> str:
    for number in range(1, asic_container.MAX_ENTRIES + 2):
        if pattern.format(number) not in container.names:
            return pattern.format(number)
    raise errors.LimitError("expected fewer files in a container")
