"""What a XAdES signature refers to: the document around it, documents in it, files beside it.

The references are built here when a signature is made. What they name is read again here when an
archive time stamp is to cover it.
"""

import base64
import hashlib
import pathlib
import urllib.parse
from collections.abc import Callable, Iterable, Mapping

from lxml import etree

from pki import algorithms, errors, originals, xml_algorithms, xml_signature, xml_trees
from signing_service import documents
from signing_service.creation import cades, cms_files, xades_signature, xades_unsigned, xml_room

Pieces = Callable[[], Iterable[bytes]]
"""Gives the content of a file in pieces, each time from its beginning."""

MAX_ENVELOPED_BYTES = 7 * 2**20
"""Largest document inside an enveloping signature: libxml2 reads no text over 10 million bytes."""

_TRANSFORMS = (xml_signature.XPATH, xml_trees.C14N_11)


class DetachedArchiveError(documents.DocumentRefusedError):
    """An archive time stamp covers the documents, which are not there."""

    code = "document-needed"


def enveloped(
    room: xml_room.Room, hash_algorithm: algorithms.HashAlgorithm
) -> xades_signature.DataObject:
    """Refer to the document around the signature, without any signature that lies in it."""
    content: originals.Original | None = room.content
    if content is None:
        existing = xml_signature.signatures_in(room.tree.getroot())
        content = xml_trees.canonicalise(
            room.tree, xml_trees.C14N_11, left_out=xades_signature.outermost(existing)
        )
    reference = xml_signature.build_reference(
        content, uri="", hash_algorithm=hash_algorithm, transforms=_TRANSFORMS
    )
    return xades_signature.DataObject(reference, "text/xml")


def enveloping(
    document: documents.Document, identifier: str, hash_algorithm: algorithms.HashAlgorithm
) -> tuple[etree._Element, xades_signature.DataObject]:
    """Put a document into a ds:Object, in base64, and refer to it.

    Raises:
        LimitError: It is too large.
    """
    check_size(document.path)
    content = document.path.read_bytes()
    holder = etree.Element(xml_signature.name("Object"), nsmap=xml_signature.NAMESPACES)
    holder.set("Id", identifier)
    mime_type = cades.mime_type_of(document.name)
    if mime_type is not None:
        holder.set("MimeType", mime_type)
    holder.set("Encoding", xml_signature.BASE64)
    holder.text = base64.b64encode(content).decode()
    reference = xml_signature.build_reference(
        content,
        uri=f"#{identifier}",
        hash_algorithm=hash_algorithm,
        transforms=(xml_signature.BASE64,),
        type_uri=f"{xml_signature.DS}Object",
    )
    return holder, xades_signature.DataObject(reference, mime_type)


def check_size(source: pathlib.Path) -> None:
    """Refuse a document that is too large to lie in a signature; raises `LimitError`."""
    size = source.stat().st_size
    if size > MAX_ENVELOPED_BYTES:
        raise errors.LimitError(
            f"expected a document of at most {MAX_ENVELOPED_BYTES} bytes to lie in its signature,"
            f" got {size}: sign it detached, or in ASiC-E"
        )


def detached(
    signed: documents.SignersDocuments, hash_algorithm: algorithms.HashAlgorithm
) -> list[xades_signature.DataObject]:
    """Return references to files by their names; files are hashed in pieces."""
    found = [
        xades_signature.DataObject(
            xades_signature.file_reference(
                one.name,
                cms_files.Content(one.path, 0, one.path.stat().st_size).digest(hash_algorithm),
                hash_algorithm,
            ),
            cades.mime_type_of(one.name),
        )
        for one in signed.files
    ]
    return found + [
        xades_signature.DataObject(
            xades_signature.file_reference(one.name, one.value, one.hash_algorithm),
            cades.mime_type_of(one.name),
        )
        for one in signed.digests
    ]


def octets_of(
    element: etree._Element, detached: Mapping[str, Pieces]
) -> xades_unsigned.ReferencedOctets:
    """Return what gives the octets of each reference of a signature.

    Args:
        element: The signature.
        detached: The files beside it, by the names that references have, decoded.
    """

    def octets(reference: etree._Element) -> Iterable[bytes]:
        uri = reference.get("URI")
        if uri is not None and (uri == "" or uri.startswith("#")):
            (checked,) = xml_signature.check_reference_list(element, [reference])
            return (checked.octets,)
        pieces = detached.get(urllib.parse.unquote(uri or ""))
        if pieces is None:
            raise DetachedArchiveError(
                "expected the documents that the signature covers, since an archive time stamp"
                " covers them too: sign with ASiC-E, or hand them in to augment"
            )
        # Checked before it is read again in pieces: transforms and hash are as the signature says.
        return _checked_pieces(element, reference, pieces)

    return octets


def _checked_pieces(
    element: etree._Element, reference: etree._Element, pieces: Pieces
) -> Iterable[bytes]:
    if reference.find(xml_signature.name("Transforms")) is not None:
        uri = str(reference.get("URI"))
        (checked,) = xml_signature.check_reference_list(
            element, [reference], detached={uri: b"".join(pieces())}
        )
        return (checked.octets,)
    method = xml_trees.child(reference, xml_signature.name("DigestMethod"))
    hasher = hashlib.new(xml_algorithms.read_digest_method(method), usedforsecurity=False)
    for chunk in pieces():
        hasher.update(chunk)
    expected = xml_trees.read_base64(xml_trees.child(reference, xml_signature.name("DigestValue")))
    if hasher.digest() != expected:
        raise xml_signature.ReferenceDigestError(
            f"the content of {str(reference.get('URI'))[:200]!r} is not what was signed"
        )
    return pieces()
