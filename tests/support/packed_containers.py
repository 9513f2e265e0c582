"""ASiC containers packed file by file, the honest way or not."""

import base64
import datetime
import hashlib
import io
import warnings
import zipfile
from collections.abc import Iterable, Mapping

from tests.support import forged_xml, hierarchy, signed_cms

ASIC_E = b"application/vnd.etsi.asic-e+zip"
ASIC_S = b"application/vnd.etsi.asic-s+zip"
FILES = {"contract.txt": b"TEST contract", "Əlavə 1.txt": b"TEST annex"}
_ASIC = "http://uri.etsi.org/02918/v1.2.1#"


def pack(
    entries: Mapping[str, bytes] | Iterable[tuple[str, bytes]], *, mimetype: bytes | None = ASIC_E
) -> bytes:
    written = io.BytesIO()
    with warnings.catch_warnings(), zipfile.ZipFile(written, "w", zipfile.ZIP_DEFLATED) as archive:
        warnings.simplefilter("ignore")
        if mimetype is not None:
            archive.writestr("mimetype", mimetype, zipfile.ZIP_STORED)
        for name, octets in entries.items() if isinstance(entries, Mapping) else entries:
            archive.writestr(name, octets)
    return written.getvalue()


def xades(holder: hierarchy.Holder, files: Mapping[str, bytes]) -> bytes:
    """A signature file over files of the container."""
    wanted = (forged_xml.Wanted(name, octets=octets) for name, octets in files.items())
    return forged_xml.sign_files(holder, *wanted)


def manifest(subject: str, files: Mapping[str, bytes], *, extra: str = "") -> bytes:
    """An ASiCManifest over files."""
    listed = "".join(
        f'<a:DataObjectReference URI="{name}"><ds:DigestMethod'
        ' Algorithm="http://www.w3.org/2001/04/xmlenc#sha256"/><ds:DigestValue>'
        f"{base64.b64encode(hashlib.sha256(octets).digest()).decode()}</ds:DigestValue>"
        "</a:DataObjectReference>"
        for name, octets in files.items()
    )
    return (
        f'<a:ASiCManifest xmlns:a="{_ASIC}" xmlns:ds="http://www.w3.org/2000/09/xmldsig#">'
        f'<a:SigReference URI="{subject}"/>{listed}{extra}</a:ASiCManifest>'
    ).encode()


def cades(octets: bytes, holder: hierarchy.Holder, at: datetime.datetime) -> bytes:
    """A detached CAdES signature."""
    made = signed_cms.sign(octets, holder, at)
    made.attached = False
    return made.encode()


def with_cades(
    holder: hierarchy.Holder, at: datetime.datetime, files: Mapping[str, bytes] = FILES
) -> dict[str, bytes]:
    """Files, a manifest over them and a signature over it."""
    listed = manifest("META-INF/signature001.p7s", files)
    return {
        **files,
        "META-INF/ASiCManifest001.xml": listed,
        "META-INF/signature001.p7s": cades(listed, holder, at),
    }
