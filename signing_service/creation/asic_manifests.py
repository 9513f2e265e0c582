"""ASiC manifests as they are written: which files a signature or time stamp is over."""

import dataclasses
import mimetypes
from collections.abc import Sequence

from lxml import etree

from pki import algorithms, xml_signature
from signing_service.creation import xades_signature

ASIC = "http://uri.etsi.org/02918/v1.2.1#"


@dataclasses.dataclass(frozen=True)
class Entry:
    """One file of a manifest; `is_root` is the archive manifest that came before this one."""

    name: str
    digest: bytes
    is_root: bool = False


def build(
    subject: str,
    subject_type: str,
    entries: Sequence[Entry],
    hash_algorithm: algorithms.HashAlgorithm,
) -> bytes:
    """Build an ASiCManifest, which an archive manifest is too (EN 319 162-1 A.4).

    Args:
        subject: The file that will be over the manifest.
        subject_type: Its media type.
        entries: The files covered.
        hash_algorithm: Of their digests.
    """
    root = etree.Element(f"{{{ASIC}}}ASiCManifest", nsmap={"asic": ASIC, "ds": xml_signature.DS})
    etree.SubElement(root, f"{{{ASIC}}}SigReference", URI=subject, MimeType=subject_type)
    for one in entries:
        reference = xades_signature.file_reference(one.name, one.digest, hash_algorithm)
        listed = etree.SubElement(
            root,
            f"{{{ASIC}}}DataObjectReference",
            URI=str(reference.get("URI")),
            MimeType=mimetypes.guess_type(one.name)[0] or xades_signature.UNKNOWN_TYPE,
        )
        if one.is_root:
            listed.set("Rootfile", "true")
        listed.extend(list(reference))
    return etree.tostring(root, xml_declaration=True, encoding="UTF-8")
