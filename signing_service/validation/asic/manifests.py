"""ASiC manifests: which files a signature or time stamp in META-INF is about (EN 319 162-1 A.4)."""

import dataclasses
import hashlib
import urllib.parse
from collections.abc import Mapping

from lxml import etree

from pki import errors, originals, xml_algorithms, xml_signature, xml_trees

MAX_MANIFESTS = 100
MAX_ENTRIES = 2000
MAX_BYTES = 5 * 2**20

_ASIC = "http://uri.etsi.org/02918/v1.2.1#"
_DS = xml_signature.name
_META = "META-INF/"


class ManifestError(errors.InputError):
    """The file is no ASiC manifest."""

    code = "asic-manifest"


@dataclasses.dataclass(frozen=True)
class Entry:
    """One file with the digest that it has to have.

    Attributes:
        name: The file's name in the container.
        hash_name: As hashlib knows it; empty for a function that is not known.
        digest: Its digest.
        is_root: It is the manifest that came before this one.
    """

    name: str
    hash_name: str
    digest: bytes
    is_root: bool


@dataclasses.dataclass(frozen=True)
class Manifest:
    """A manifest as it was read.

    Attributes:
        name: Its own name in the container.
        octets: What a signature or time stamp over it is over.
        subject: The file in META-INF that is over it.
    """

    name: str
    octets: bytes
    subject: str
    entries: tuple[Entry, ...]

    def missing(self, files: Mapping[str, originals.Original]) -> list[str]:
        """The files that are named and not there."""
        return [one.name for one in self.entries if one.name not in files]

    def changed(self, files: Mapping[str, originals.Original]) -> list[str]:
        """The files that are there with another digest than the one named."""
        return [one.name for one in self.entries if one.name in files and not fits(one, files)]


def fits(entry: Entry, files: Mapping[str, originals.Original]) -> bool:
    """Whether a file has the digest that an entry names."""
    if entry.hash_name not in hashlib.algorithms_available:
        return False
    return originals.digest(files[entry.name], entry.hash_name) == entry.digest


def covered(
    manifest: Manifest,
    others: Mapping[str, Manifest | errors.InputError],
    files: Mapping[str, originals.Original],
) -> set[str]:
    """The files that a manifest lists, unchanged, and those that manifests among them list."""
    found: set[str] = set()
    waiting = [manifest]
    while waiting:
        for entry in waiting.pop().entries:
            if entry.name in found or entry.name not in files or not fits(entry, files):
                continue
            found.add(entry.name)
            inner = others.get(entry.name)
            if isinstance(inner, Manifest):
                waiting.append(inner)
    return found


def read(name: str, octets: bytes) -> Manifest:
    """Read a manifest.

    Raises:
        ManifestError: It has another form than annex A.4's.
        XMLUnreadableError: No XML, or with a document type.
    """
    if len(octets) > MAX_BYTES:
        raise errors.LimitError(f"expected manifests of at most {MAX_BYTES} bytes")
    root = xml_trees.parse(octets).getroot()
    if etree.QName(root).localname != "ASiCManifest" or etree.QName(root).namespace != _ASIC:
        raise ManifestError(f"expected an ASiCManifest in {name[:200]!r}")
    references = root.findall(f"{{{_ASIC}}}SigReference")
    if len(references) != 1 or not references[0].get("URI"):
        raise ManifestError(f"expected one SigReference in {name[:200]!r}")
    listed = root.findall(f"{{{_ASIC}}}DataObjectReference")
    if not 1 <= len(listed) <= MAX_ENTRIES:
        raise ManifestError(f"expected 1 to {MAX_ENTRIES} references in {name[:200]!r}")
    entries = tuple(map(_entry, listed))
    if len({one.name for one in entries}) != len(entries):
        raise ManifestError(f"a file is named twice in {name[:200]!r}")
    return Manifest(name, octets, file_name(references[0].get("URI") or ""), entries)


def read_all(container: Mapping[str, bytes]) -> dict[str, Manifest | errors.InputError]:
    """Read every manifest of a container, or say what is wrong with it.

    Raises:
        LimitError: More manifests than `MAX_MANIFESTS`, or one is over a limit.
    """
    found: dict[str, Manifest | errors.InputError] = {}
    for name in container:
        base = name.rpartition("/")[2]
        if not name.startswith(_META) or not base.endswith(".xml") or "ASiC" not in base:
            continue
        if len(found) >= MAX_MANIFESTS:
            raise errors.LimitError(f"expected at most {MAX_MANIFESTS} manifests")
        try:
            found[name] = read(name, container[name])
        except errors.LimitError:
            raise
        except errors.InputError as error:
            found[name] = error
    return found


def file_name(uri: str) -> str:
    """The name in a container that a relative URI leads to (EN 319 162-1 4.4.1)."""
    return urllib.parse.unquote(uri.removeprefix("./"))


def _entry(reference: etree._Element) -> Entry:
    try:
        method = xml_trees.child(reference, _DS("DigestMethod"))
        digest = xml_trees.read_base64(xml_trees.child(reference, _DS("DigestValue")))
    except xml_trees.XMLSignatureError as error:
        raise ManifestError(f"expected a digest for each file: {error.message}") from error
    try:
        hash_name = xml_algorithms.read_digest_method(method)
    except errors.InputError:
        hash_name = ""
    return Entry(
        file_name(reference.get("URI") or ""),
        hash_name,
        digest,
        reference.get("Rootfile") == "true",
    )
