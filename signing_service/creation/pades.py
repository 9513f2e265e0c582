"""PDF signatures: prepare, embed, and raise from B-B to B-LTA (EN 319 142-1).

The file is only ever appended to, so earlier signatures keep what they cover. The one exception
is a time stamp on the newest signature: it goes into room that its own placeholder kept free.
Documents are copied from file to file and hashed in pieces: memory does not grow with them.
"""

import base64
import dataclasses
import datetime
import json
import pathlib
import re
import shutil
from collections.abc import Callable, Sequence
from typing import BinaryIO

from cryptography import x509
from pyhanko.pdf_utils import incremental_writer, reader
from pyhanko.sign import fields
from pyhanko.sign.signers import cms_embedder, constants, pdf_byterange

from pki import algorithms, certificates, errors, signature
from signing_service import documents, parameters, revocation_data
from signing_service.creation import cms, cms_signed_attributes
from signing_service.creation.pdf import (
    appearance,
    fonts,
    pdf_structure,
    security_store,
    seed_values,
    signature_fields,
)

TIME_STAMP_BYTES = 12 * 2**10
"""Room for a time-stamp token with the certificates of its authority."""

SIGNATURE_BYTES = 4 * 2**10
"""Room for a signature's attributes, names and value, besides its certificates."""

CHUNK = 2**20
"""Bytes hashed at a time."""

TIME_STAMP_FILTER = fields.SigSeedSubFilter.ETSI_RFC3161.value
"""What a document time stamp's dictionary is known by (EN 319 142-1 5.4.3)."""

RequestToken = Callable[[signature.DataToBeSignedRepresentation], bytes]


class SignatureRoomError(documents.DocumentRefusedError):
    """What should go into the signature does not fit into the room kept for it."""

    code = "signature-room"


class SignatureNotNewestError(errors.StateError):
    """A later signature covers the one that should change."""

    code = "signature-not-newest"


def check_document(source: pathlib.Path, chosen: parameters.SignatureParameters) -> None:
    """Refuse a document that cannot be signed, before a person is asked.

    Raises:
        PdfRefusedError: Not a PDF, empty, truncated, unreadable, encrypted, with a form or a
            script that changes what is shown, closed by an earlier signature, or without the
            page or the field of the appearance; each its own code.
    """
    pdf_structure.check_envelope(source)
    page = chosen.appearance.page if chosen.appearance is not None else None
    with source.open("rb") as file, pdf_structure.reading():
        opened = pdf_structure.open_reader(file)
        pdf_structure.check_content(opened, page=page)
        signature_fields.check(opened, chosen)


def prepare(
    source: pathlib.Path,
    target: pathlib.Path,
    *,
    certificate: x509.Certificate,
    chain: Sequence[x509.Certificate],
    parameters: parameters.SignatureParameters,
    at: datetime.datetime,
    font: pathlib.Path = fonts.DEFAULT_FONT,
) -> documents.PreparedSignature:
    """Append an empty signature to a copy of the document and say what is to be signed.

    Args:
        source: The document.
        target: Becomes the document with a placeholder.
        certificate: The signing certificate.
        chain: Its issuers, nearest first; a root among them is left out of the signature.
        parameters: What the caller chose.
        at: The claimed signing time: the M entry (EN 319 142-1 6.3).
        font: For a visible signature.

    Raises:
        PdfRefusedError: The file's structure cannot be extended, or the field that the signature
            goes into demands another signer.
        MissingGlyphError: The font lacks a letter of the signer's name.
    """
    hash_algorithm = algorithms.key_kind(certificate.public_key()).hash_algorithm
    inside = [certificate, *(one for one in chain if one.issuer != one.subject)]
    reserved = SIGNATURE_BYTES + TIME_STAMP_BYTES
    reserved += sum(len(certificates.to_der(one)) for one in inside)
    shutil.copyfile(source, target)
    with target.open("r+b") as file, pdf_structure.reading():
        writer = pdf_structure.open_writer(file)
        # Named in the catalog as EN 319 142-1 5.5 wants it for signatures of this kind.
        writer.register_extension(constants.ESIC_EXTENSION_1)
        placeholder = pdf_byterange.SignatureObject(
            timestamp=at,
            subfilter=fields.SigSeedSubFilter.PADES,
            location=parameters.place,
            reason=parameters.reason,
            bytes_reserved=2 * reserved,
        )
        signer = seed_values.Signer((certificate, *chain), hash_algorithm)
        field = signature_fields.choose(writer, parameters, signer)
        shown = parameters.appearance
        look = None
        if shown is not None:
            look = appearance.draw(shown, certificate, parameters, font, at, field.rotation)
        setup = cms_embedder.SigObjSetup(
            placeholder,
            field.transforms(hash_algorithm.short_name),
            look,  # type: ignore[arg-type]  # it has the one method that is called
        )
        prepared = _append(writer, field.name, field.new, setup, hash_algorithm)
    context = {
        "region": [prepared.reserved_region_start, prepared.reserved_region_end],
        "chain": [base64.b64encode(certificates.to_der(one)).decode() for one in inside],
    }
    return documents.PreparedSignature(
        format=documents.SignatureFormat.PADES,
        data_to_be_signed=cms_signed_attributes.build(
            content_digest=prepared.document_digest,
            hash_algorithm=hash_algorithm,
            certificate=certificate,
            chosen=parameters,
        ),
        hash_algorithm=hash_algorithm,
        context=json.dumps(context).encode(),
    )


def embed(
    prepared: documents.PreparedSignature,
    source: pathlib.Path,
    target: pathlib.Path,
    value: signature.SignatureValue,
) -> None:
    """Put a checked signature value into a copy of the prepared document: level B-B.

    Args:
        prepared: What `prepare` gave.
        source: The prepared document.
        target: Becomes the signed document.
        value: Already checked against the certificate.
    """
    context = json.loads(prepared.context)
    start, end = context["region"]
    chain = [certificates.parse(base64.b64decode(one)) for one in context["chain"]]
    content = cms.signed_data(attributes=prepared.data_to_be_signed, value=value, chain=chain)
    shutil.copyfile(source, target)
    with target.open("r+b") as file:
        _fill(file, start, end, content)


def add_signature_time_stamp(
    source: pathlib.Path, target: pathlib.Path, request_token: RequestToken
) -> None:
    """Put a time stamp on the newest signature: level B-T (EN 319 142-1 5.3).

    Raises:
        SignatureNotNewestError: A later signature or time stamp covers it.
        PdfUnsignedError: There is no signature.
        SignatureRoomError: The placeholder is too small for the token.
    """
    with source.open("rb") as file:
        newest = _signatures(file)[-1]
        if newest.is_time_stamp or newest.covered_to != file.seek(0, 2):
            raise SignatureNotNewestError(
                "expected a document that ends with a person's signature, got one to which"
                " something was added later"
            )
        signed = cms.parse(newest.contents)
    token = request_token(signature.represent(signed.signature_value, signed.hash_algorithm))
    content = signed.with_time_stamp(token)
    shutil.copyfile(source, target)
    with target.open("r+b") as file:
        _fill(file, newest.start, newest.end, content)


def add_validation_data(
    source: pathlib.Path,
    target: pathlib.Path,
    data: revocation_data.ValidationData,
    *,
    position: int | None = None,
) -> None:
    """Append certificates and revocation data in the document security store: level B-LT.

    Args:
        source: The document.
        target: Becomes the document with the data.
        data: What is needed to judge a signature.
        position: Which person's signature needs it, the oldest is 0; None is the newest signature
            or document time stamp of all.
    """
    shutil.copyfile(source, target)
    with target.open("r+b") as file, pdf_structure.reading():
        writer = pdf_structure.open_writer(file)
        located = _located(file, writer.prev)
        if position is not None:
            located = [one for one in located if not one.is_time_stamp][position:][:1]
        writer.register_extension(constants.ESIC_EXTENSION_1)
        security_store.extend(writer, data, located[-1].contents if located else None)
        writer.write_in_place()


def add_document_time_stamp(
    source: pathlib.Path, target: pathlib.Path, request_token: RequestToken
) -> None:
    """Append a time stamp over the whole document: level B-LTA (EN 319 142-1 5.4.3)."""
    shutil.copyfile(source, target)
    with target.open("r+b") as file:
        with pdf_structure.reading():
            writer = pdf_structure.open_writer(file)
            name = pdf_structure.free_field_name(writer, "Timestamp")
            placeholder = pdf_byterange.DocumentTimestamp(bytes_reserved=2 * TIME_STAMP_BYTES)
            hash_algorithm = algorithms.HashAlgorithm.SHA256
            setup = cms_embedder.SigObjSetup(placeholder)
            prepared = _append(writer, name, fields.SigFieldSpec(name), setup, hash_algorithm)
        representation = signature.DataToBeSignedRepresentation(
            hash_algorithm, prepared.document_digest
        )
        token = request_token(representation)
        _fill(file, prepared.reserved_region_start, prepared.reserved_region_end, token)


def time_stamp_tokens(source: pathlib.Path) -> tuple[bytes, ...]:
    """Return the tokens on the newest person's signature and all document time stamps after it.

    Raises:
        PdfUnsignedError: There is no signature.
    """
    with source.open("rb") as file:
        found = _signatures(file)
    tokens: list[bytes] = []
    for one in reversed(found):
        if not one.is_time_stamp:
            return (*cms.parse(one.contents).time_stamp_tokens(), *reversed(tokens))
        tokens.append(cms.without_padding(one.contents))
    raise pdf_structure.PdfUnsignedError("expected a signed PDF, got one with time stamps only")


def find_signatures(source: pathlib.Path) -> tuple[documents.FoundSignature, ...]:
    """Return the persons' signatures, oldest first, each with all later document time stamps.

    Raises:
        PdfUnsignedError: There is no signature.
        CmsError: One of a form that is not read here.
    """
    with source.open("rb") as file:
        located = _signatures(file)
    later: list[bytes] = []
    found = []
    for one in reversed(located):
        if one.is_time_stamp:
            later.insert(0, cms.without_padding(one.contents))
            continue
        signed = cms.parse(one.contents)
        inside = tuple(map(certificates.parse, signed.certificates))
        mine = [held for held in inside if cms.names(signed.signer, held)]
        if not mine:
            raise cms.CmsError("expected the signing certificate in the signature, found it not")
        tokens = (*signed.time_stamp_tokens(), *later)
        found.append(documents.FoundSignature(mine[0], inside, tokens, bool(later)))
    return tuple(reversed(found))


@dataclasses.dataclass(frozen=True)
class _Signature:
    """A signature in the file: the placeholder's ends, and the bytes in it with padding."""

    start: int
    end: int
    covered_to: int
    is_time_stamp: bool
    contents: bytes


def _append(
    writer: incremental_writer.IncrementalPdfFileWriter,
    name: str,
    new: fields.SigFieldSpec | None,
    setup: cms_embedder.SigObjSetup,
    hash_algorithm: algorithms.HashAlgorithm,
) -> pdf_byterange.PreparedByteRangeDigest:
    """Write an empty signature at the end of the writer's own file and hash the rest."""
    steps = cms_embedder.PdfCMSEmbedder(new_field_spec=new).write_cms(
        name, writer, existing_fields_only=new is None
    )
    next(steps)
    steps.send(setup)
    prepared, _ = steps.send(
        cms_embedder.SigIOSetup(hash_algorithm.short_name, in_place=True, chunk_size=CHUNK)
    )
    if not isinstance(prepared, pdf_byterange.PreparedByteRangeDigest):
        raise TypeError("pyHanko gave no digest")
    return prepared


def _fill(file: BinaryIO, start: int, end: int, content: bytes) -> None:
    """Write into a placeholder that stands from its `<` to after its `>`."""
    room = end - start - 2
    digits = content.hex().encode("ascii")
    if len(digits) > room:
        raise SignatureRoomError(
            f"expected at most {room // 2} bytes for the signature's place, got {len(content)}"
        )
    file.seek(start + 1)
    file.write(digits.ljust(room, b"0"))


def _signatures(file: BinaryIO) -> list[_Signature]:
    """Return all signatures, in the order of what they cover."""
    with pdf_structure.reading():
        found = _located(file, pdf_structure.open_reader(file))
    if not found:
        raise pdf_structure.PdfUnsignedError("expected a signed PDF, got one without a signature")
    return found


def _located(file: BinaryIO, opened: reader.PdfFileReader) -> list[_Signature]:
    """Return the signatures that stand where they say, in order. Call in `reading()`."""
    size = file.seek(0, 2)
    located = [_locate(file, size, one) for one in pdf_structure.signature_fields(opened)]
    return sorted((one for one in located if one is not None), key=lambda one: one.covered_to)


_BYTE_RANGE = re.compile(rb"/ByteRange\s*\[\s*(\d+)\s+(\d+)\s+(\d+)\s+(\d+)\s*\]")
_PLACEHOLDER = re.compile(rb"<(?:[0-9A-Fa-f]{2})*>")
_SUB_FILTER = re.compile(rb"/SubFilter\s*(/[A-Za-z0-9.]+)")


def _locate(file: BinaryIO, size: int, signed: pdf_structure.SignatureField) -> _Signature | None:
    """Find a signature's placeholder; None for one of others that is not where it says."""
    ranges = signed.only(_BYTE_RANGE, b"/ByteRange")
    kind = signed.only(_SUB_FILTER, b"/SubFilter")
    if ranges is not None and kind is not None:
        first, start, end, rest = (int(number) for number in ranges.groups())
        sub_filter: object = kind[1].decode("ascii")
    else:
        value = signed.load()
        first, start, end, rest = (int(number) for number in value["/ByteRange"])
        sub_filter = pdf_structure.entry(value, "/SubFilter")
    if not 0 == first < start < end < end + rest <= size or end - start > 4 * cms.MAX_CMS_BYTES:
        return None
    file.seek(start)
    placeholder = file.read(end - start)
    if not _PLACEHOLDER.fullmatch(placeholder):
        return None
    return _Signature(
        start=start,
        end=end,
        covered_to=end + rest,
        is_time_stamp=sub_filter == fields.SigSeedSubFilter.ETSI_RFC3161.value,
        contents=bytes.fromhex(placeholder[1:-1].decode("ascii")),
    )
