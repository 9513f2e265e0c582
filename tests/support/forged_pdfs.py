"""Signed PDFs changed by somebody who knows how: the CMS inside, the ranges, later revisions."""

import hashlib
import io
import re
from collections.abc import Callable

from asn1crypto import cms
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from pyhanko.pdf_utils import generic, incremental_writer

_CONTENTS = re.compile(rb"/Contents <([0-9a-fA-F]+)>")

name = generic.pdf_name


def update(pdf: bytes, change: Callable[[incremental_writer.IncrementalPdfFileWriter], None]):
    """Add a revision with what `change` does to the document."""
    writer = incremental_writer.IncrementalPdfFileWriter(io.BytesIO(pdf))
    if writer.prev.encrypted:
        writer.encrypt(b"")
    change(writer)
    out = io.BytesIO()
    writer.write(out)
    return out.getvalue()


def read_cms(pdf: bytes) -> cms.ContentInfo:
    """The CMS of the first signature."""
    return cms.ContentInfo.load(bytes.fromhex(_CONTENTS.search(pdf).group(1).decode()))


def replace_cms(pdf: bytes, changed: bytes) -> bytes:
    """Put other bytes in the place of the first signature, padded with zeros."""
    found = _CONTENTS.search(pdf)
    digits = changed.hex().encode().ljust(len(found.group(1)), b"0")
    assert len(digits) == len(found.group(1)), "it does not fit"
    return pdf[: found.start(1)] + digits + pdf[found.end(1) :]


def covered(pdf: bytes) -> bytes:
    """What the first signature covers."""
    ranges = re.search(rb"/ByteRange \[(\d+) (\d+) (\d+) (\d+)", pdf)
    start, first, second, last = (int(one) for one in ranges.groups())
    return pdf[start : start + first] + pdf[second : second + last]


def resign(
    pdf: bytes,
    key: ec.EllipticCurvePrivateKey,
    change: Callable[[list[cms.CMSAttribute]], list[cms.CMSAttribute] | None],
    *,
    hash_name: str = "sha256",
) -> bytes:
    """Change the signed attributes and sign them anew, as a careless or hostile signer would."""
    message = read_cms(pdf)
    signer = message["content"]["signer_infos"][0]
    attributes = change(list(signer["signed_attrs"]))
    hasher = {"sha256": hashes.SHA256(), "sha1": hashes.SHA1()}[hash_name]  # noqa: S303
    if attributes is None:
        value = key.sign(covered(pdf), ec.ECDSA(hasher))
    else:
        value = key.sign(cms.CMSAttributes(attributes).dump(), ec.ECDSA(hasher))
    rebuilt = {
        "version": signer["version"],
        "sid": signer["sid"],
        "digest_algorithm": {"algorithm": hash_name},
        "signature_algorithm": {"algorithm": f"{hash_name}_ecdsa"},
        "signature": value,
    }
    if attributes is not None:
        rebuilt["signed_attrs"] = attributes
    message["content"]["signer_infos"] = [cms.SignerInfo(rebuilt)]
    return replace_cms(pdf, message.dump())


def digest_attribute(data: bytes, hash_name: str = "sha256") -> cms.CMSAttribute:
    """A message-digest attribute over some data."""
    digest = hashlib.new(hash_name, data, usedforsecurity=False).digest()
    return cms.CMSAttribute({"type": "message_digest", "values": [digest]})
