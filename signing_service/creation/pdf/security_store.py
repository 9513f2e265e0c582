"""The document security store: certificates and revocation data in a PDF (EN 319 142-1 5.4.2)."""

import hashlib
from collections.abc import Iterable

from pyhanko.pdf_utils import generic, incremental_writer

from pki import certificates
from signing_service import revocation_data
from signing_service.creation.pdf import pdf_structure


def extend(
    writer: incremental_writer.IncrementalPdfFileWriter,
    data: revocation_data.ValidationData,
    contents: bytes | None,
) -> None:
    """Add data to the store, and name it as what one signature needs. Call in `reading()`.

    What an earlier signature stored stays; equal objects are stored once.

    Args:
        writer: The document.
        data: The objects.
        contents: The signature's entry Contents with its padding, which its VRI dictionary is
            found by; None leaves that dictionary out.
    """
    store = pdf_structure.entry(writer.root, "/DSS")
    if not isinstance(store, generic.DictionaryObject):
        store = generic.DictionaryObject()
        writer.root["/DSS"] = writer.add_object(store)
        writer.update_root()
    kept = {
        "/Cert": _keep(writer, store, "/Certs", map(certificates.to_der, data.certificates)),
        "/OCSP": _keep(writer, store, "/OCSPs", data.ocsp_responses),
        "/CRL": _keep(writer, store, "/CRLs", data.crls),
    }
    if contents is not None:
        _relate(writer, store, contents, kept)
    writer.update_container(store)


def _relate(
    writer: incremental_writer.IncrementalPdfFileWriter,
    store: generic.DictionaryObject,
    contents: bytes,
    kept: dict[str, list[generic.IndirectObject]],
) -> None:
    """Write the VRI dictionary of a signature (EN 319 142-1 5.4.2.3, ISO 32000-2 table 262).

    It refers to the streams of the store and holds none of its own. It has no TU and no TS: a
    time that nobody vouches for proves nothing, and the document time stamp over the store dates
    all of it.
    """
    related = pdf_structure.entry(store, "/VRI")
    if not isinstance(related, generic.DictionaryObject):
        related = generic.DictionaryObject()
        store["/VRI"] = writer.add_object(related)
    key = "/" + hashlib.sha1(contents, usedforsecurity=False).hexdigest().upper()
    mine = pdf_structure.entry(related, key)
    if not isinstance(mine, generic.DictionaryObject):
        mine = generic.DictionaryObject({generic.pdf_name("/Type"): generic.pdf_name("/VRI")})
        related[generic.pdf_name(key)] = writer.add_object(mine)
    for name, references in kept.items():
        array = pdf_structure.entry(mine, name)
        if not isinstance(array, generic.ArrayObject):
            array = generic.ArrayObject()
        named = {one.reference for one in array if isinstance(one, generic.IndirectObject)}
        array.extend(one for one in references if one.reference not in named)
        if array:
            mine[generic.pdf_name(name)] = array
            writer.update_container(array)
    writer.update_container(mine)
    writer.update_container(related)


def _keep(
    writer: incremental_writer.IncrementalPdfFileWriter,
    store: generic.DictionaryObject,
    key: str,
    objects: Iterable[bytes],
) -> list[generic.IndirectObject]:
    """Add streams to one array of the store, each content once, and return where they stand."""
    array = pdf_structure.entry(store, key)
    if not isinstance(array, generic.ArrayObject):
        array = generic.ArrayObject()
    stored: dict[bytes, generic.IndirectObject] = {}
    for one in array:
        stream = one.get_object() if isinstance(one, generic.IndirectObject) else None
        if isinstance(stream, generic.StreamObject):
            stored.setdefault(stream.data, one)
    wanted = []
    for content in objects:
        if content not in stored:
            stored[content] = writer.add_object(generic.StreamObject(stream_data=content))
            array.append(stored[content])
        wanted.append(stored[content])
    if array:
        store[generic.pdf_name(key)] = array
        writer.update_container(array)
    return wanted
