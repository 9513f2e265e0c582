"""XAdES baseline signatures in XML files (EN 319 132-1): prepare, embed, and raise to B-LTA.

Enveloped: every signature leaves all signatures of the document out of what it covers, by the
XPath text `not(ancestor-or-self::ds:Signature)`. So signatures stand in parallel: a second one
neither covers nor breaks the first, and each may later get time stamps of its own. A document whose
existing signatures leave only themselves out is refused, since a second signature would break them.

Enveloping: the documents lie in the signature, in base64. Detached: it names them, and its file
stands beside them.
"""

import base64
import datetime
import hashlib
import json
import pathlib
import re
from collections.abc import Callable, Iterable, Sequence

from cryptography import x509
from lxml import etree

from pki import (
    algorithms,
    certificates,
    errors,
    originals,
    signature,
    xml_signature,
    xml_trees,
)
from signing_service import documents, parameters, revocation_data
from signing_service.creation import (
    xades_countersignatures,
    xades_data_objects,
    xades_signature,
    xades_unsigned,
    xml_room,
)

XADES = xades_signature.XADES
SIGNED_PROPERTIES_TYPE = xades_signature.SIGNED_PROPERTIES_TYPE
name = xades_signature.name
TokenMismatchError = xades_unsigned.TokenMismatchError
NotXMLError = xml_room.NotXMLError

Packaging = parameters.Packaging
RequestToken = Callable[[signature.DataToBeSignedRepresentation], bytes]

_EMPTY = b"/>"
_TAG_BYTES = 20
"""More than a start tag has in front of its local name."""


class OtherSignatureError(documents.DocumentRefusedError):
    """The document has a signature that a second one would break."""

    code = "document-signature-would-break"


class AmbiguousDocumentError(documents.DocumentRefusedError):
    """Two elements of the document have the same identifier."""

    code = "document-ambiguous-id"


def check_document(source: pathlib.Path, chosen: parameters.SignatureParameters) -> None:
    """Check that a document can be signed.

    Raises:
        NotXMLError: To be enveloped, and cannot be read as XML, or declares a document type.
        OtherSignatureError: It is signed already in a way that a further signature would break.
        LimitError: It is too large.
    """
    if chosen.packaging is Packaging.ENVELOPED:
        if not xml_room.is_unsigned(source, _Identifiers().check):
            _check_tree(_read(source))
    elif chosen.packaging is Packaging.ENVELOPING:
        xades_data_objects.check_size(source)


def prepare(
    signed: documents.SignersDocuments,
    target: pathlib.Path,
    *,
    certificate: x509.Certificate,
    chain: Sequence[x509.Certificate],
    parameters: parameters.SignatureParameters,
    at: datetime.datetime,
) -> documents.PreparedSignature:
    """Write the signature, or the document with it, that lacks only the value.

    Args:
        signed: One document to be enveloped, or with the signature to be countersigned, and
            otherwise any number; detached also hashes.
        target: Receives the prepared file. What is enveloped keeps its bytes if it is in UTF-8,
            and is written in UTF-8 otherwise.
        certificate: The signing certificate, whose key decides the algorithms.
        chain: Its issuers; those but a root are put beside it for whoever verifies.
        parameters: Commitment, place and role are signed.
        at: The claimed signing time.

    Raises:
        DocumentRefusedError: For the reason that its code names.
    """
    hash_algorithm = algorithms.key_kind(certificate.public_key()).hash_algorithm
    identifier = xades_signature.new_identifier()
    inside: list[etree._Element] = []
    tag = xml_signature.name("Signature")
    room: xml_room.Room | None = None
    if parameters.counter_signature_of is not None:
        tree = _read(signed.only_file.path)
        parent = xades_countersignatures.find(tree.getroot(), parameters.counter_signature_of)
        data_objects = [xades_countersignatures.data_object(parent, hash_algorithm)]
        element = xades_countersignatures.add_place(parent)
    elif parameters.packaging is Packaging.ENVELOPED:
        room = xml_room.find(signed.only_file.path, hash_algorithm, lambda: _Identifiers().check)
        _check_root(room.tree.getroot())
        data_objects = [xades_data_objects.enveloped(room, hash_algorithm)]
        element = etree.SubElement(room.tree.getroot(), tag, nsmap=xades_signature.NSMAP)
    else:
        element = etree.Element(tag, nsmap=xades_signature.NSMAP)
        if parameters.packaging is Packaging.ENVELOPING:
            data_objects = []
            for position, one in enumerate(signed.files):
                content = f"{identifier}-object-{position}"
                holder, data_object = xades_data_objects.enveloping(one, content, hash_algorithm)
                inside.append(holder)
                data_objects.append(data_object)
        else:
            data_objects = xades_data_objects.detached(signed, hash_algorithm)
    method = xades_signature.build(
        element,
        identifier,
        data_objects,
        certificate=certificate,
        chain=chain,
        chosen=parameters,
        at=at,
        enveloped=inside,
    )
    data_to_be_signed = xml_signature.signed_info_octets(element)
    if room is not None:
        # With the new signature in the tree, which would break what covers it.
        _check_existing(room.tree.getroot(), element)
        pieces: Iterable[bytes] = room.filled(element, data_to_be_signed)
    else:
        prepared = etree.tostring(element.getroottree(), xml_declaration=True, encoding="UTF-8")
        inside_itself = (
            parameters.counter_signature_of is not None
            or parameters.packaging is Packaging.ENVELOPING
        )
        _check_written(prepared, identifier, data_to_be_signed, with_references=inside_itself)
        pieces = (prepared,)
    digest = _write_pieces(target, pieces)
    return documents.PreparedSignature(
        format=documents.SignatureFormat.XADES,
        data_to_be_signed=data_to_be_signed,
        hash_algorithm=hash_algorithm,
        context=json.dumps(
            {
                "signature_id": identifier,
                "signature_method": method,
                "certificate": base64.b64encode(certificates.to_der(certificate)).decode(),
                "prepared_sha256": digest,
            },
            sort_keys=True,
        ).encode(),
    )


def embed(
    prepared: documents.PreparedSignature,
    source: pathlib.Path,
    target: pathlib.Path,
    value: signature.SignatureValue,
) -> None:
    """Put the signature value into a prepared document: B-B.

    Args:
        prepared: What `prepare` returned.
        source: The prepared document.
        target: Receives the signed document.
        value: For ECDSA r||s, as XML carries it.

    Raises:
        TamperedError: The prepared document is not the one that was prepared.
        SignatureValueError: The value was not made by the key of the certificate inside.
    """
    context = json.loads(prepared.context)
    # The file is the very one that was checked when it was prepared, so the value is put in at its
    # place, which the random identifier shows, and nothing is parsed and written again.
    end = f'SignatureValue Id="{context["signature_id"]}-value"'.encode()
    place = _place_of_value(source, end, context["prepared_sha256"])
    xades_signature.check_value(
        certificates.parse(base64.b64decode(context["certificate"])),
        prepared.data_to_be_signed,
        context["signature_method"],
        value,
    )
    with source.open("rb") as file:
        file.seek(place - _TAG_BYTES)
        tag = file.read(_TAG_BYTES).rpartition(b"<")[2] + b"SignatureValue"
    filled = b">" + base64.b64encode(value.value) + b"</" + tag + b">"
    behind = place + len(end)
    rest = (behind + len(_EMPTY), source.stat().st_size - behind - len(_EMPTY))
    _write_pieces(target, originals.of_parts(source, [(0, behind), filled, rest]).pieces())


def add_signature_time_stamp(
    source: pathlib.Path,
    target: pathlib.Path,
    request_token: RequestToken,
    *,
    position: documents.Position = -1,
) -> None:
    """Add a time stamp to a signature, the newest or the one at a position: B-T.

    Raises:
        TokenMismatchError: The token is over another hash.
    """
    tree = _read(source)
    xades_unsigned.add_signature_time_stamp(_at(tree, position), request_token)
    _write(tree, target)


def add_validation_data(
    source: pathlib.Path,
    target: pathlib.Path,
    data: revocation_data.ValidationData,
    *,
    position: documents.Position = -1,
) -> None:
    """Add certificates and revocation data to a signature, the newest or another: B-LT."""
    tree = _read(source)
    xades_unsigned.add_validation_data(_at(tree, position), data)
    _write(tree, target)


def add_archive_time_stamp(
    source: pathlib.Path,
    target: pathlib.Path,
    request_token: RequestToken,
    *,
    position: documents.Position = -1,
    detached: Sequence[documents.Document] = (),
) -> None:
    """Add an archive time stamp to a signature, the newest or another: B-LTA.

    Raises:
        DetachedArchiveError: The signature covers files that are not handed in.
        XMLSignatureError: What it covers is not what was signed.
    """
    tree = _read(source)
    element = _at(tree, position)
    beside = {one.name: originals.of_file(one.path).pieces for one in detached}
    octets_of = xades_data_objects.octets_of(element, beside)
    xades_unsigned.add_archive_time_stamp(element, request_token, octets_of)
    _write(tree, target)


def time_stamp_tokens(
    source: pathlib.Path, *, position: documents.Position = -1
) -> tuple[bytes, ...]:
    """Return the tokens of a signature, the newest or the one at a position."""
    return xades_unsigned.time_stamp_tokens(_at(_read(source), position))


def add_counter_signature_place(
    source: pathlib.Path, target: pathlib.Path, countersigned: str
) -> None:
    """Put an empty counter-signature where one would be, to see what that would break.

    Raises:
        UnknownSignatureError: No signature has the identifier.
        DocumentRefusedError: It cannot get one, for the reason that its code names.
    """
    tree = _read(source)
    parent = xades_countersignatures.find(tree.getroot(), countersigned)
    xades_countersignatures.data_object(parent, algorithms.HashAlgorithm.SHA256)
    xades_countersignatures.add_place(parent)
    _write(tree, target)


def find_signatures(source: pathlib.Path) -> tuple[documents.FoundSignature, ...]:
    """Return all signatures but counter-signatures, in the order of their positions.

    Raises:
        XMLSignatureError: A signature without the certificate that it verifies with.
    """
    found = xades_signature.outermost(xml_signature.signatures_in(_read(source).getroot()))
    return tuple(map(xades_unsigned.describe, found))


def find_position(source: pathlib.Path, identifier: str) -> documents.ValuePosition:
    """Return where the signature is that a validation report calls by a name.

    Raises:
        UnknownSignatureError: There is none, or several have the name.
    """
    return xades_countersignatures.position_of(_read(source).getroot(), identifier)


def _at(tree: etree._ElementTree, position: documents.Position) -> etree._Element:
    return xades_countersignatures.at(tree.getroot(), position)


def _read(source: pathlib.Path) -> etree._ElementTree:
    try:
        return xml_trees.parse(_content(source))
    except xml_trees.XMLUnreadableError as error:
        raise NotXMLError(error.message) from error


def _content(source: pathlib.Path) -> bytes:
    xml_room.check_size(source.stat().st_size)
    return source.read_bytes()


def _place_of_value(source: pathlib.Path, end: bytes, expected_sha256: str) -> int:
    """Find where the end of the empty element for the value stands in a prepared document."""
    hasher = hashlib.sha256()
    places = []
    kept = b""
    read = 0
    for piece in originals.of_file(source).pieces():
        hasher.update(piece)
        window = kept + piece
        found = re.finditer(re.escape(end + _EMPTY), window)
        places += [read - len(kept) + one.start() for one in found]
        read += len(piece)
        kept = window[1 - len(end + _EMPTY) :]
    if hasher.hexdigest() != expected_sha256:
        raise errors.TamperedError("the prepared document is not the one that was prepared")
    if len(places) != 1:
        raise errors.TamperedError("the prepared document has no place for the signature value")
    return places[0]


def _write_pieces(target: pathlib.Path, pieces: Iterable[bytes]) -> str:
    """Write a file and return its SHA-256 in hexadecimal."""
    hasher = hashlib.sha256()
    with target.open("wb") as file:
        for piece in pieces:
            hasher.update(piece)
            file.write(piece)
    return hasher.hexdigest()


def _write(tree: etree._ElementTree, target: pathlib.Path) -> None:
    with target.open("wb") as file:
        tree.write(file, xml_declaration=True, encoding="UTF-8")


def _check_tree(tree: etree._ElementTree) -> None:
    _check_root(tree.getroot())
    _Identifiers().check(xml_trees.identified(tree.getroot()))
    _check_existing(tree.getroot(), None)


def _check_root(root: etree._Element) -> None:
    if root.tag == xml_signature.name("Signature"):
        raise OtherSignatureError("expected a document, got a signature without one around it")


class _Identifiers:
    """The identifiers of a document, none of which may be there twice."""

    def __init__(self) -> None:
        self._seen: set[str] = set()

    def check(self, elements: Sequence[etree._Element]) -> None:
        for element in elements:
            identifier = element.get("Id")
            if identifier is not None and identifier in self._seen:
                raise AmbiguousDocumentError(
                    f"two elements have the identifier {identifier[:200]!r}; a signature over such"
                    " a document could be turned against its reader"
                )
            if identifier is not None:
                self._seen.add(identifier)


def _check_existing(root: etree._Element, new: etree._Element | None) -> None:
    for existing in xades_signature.outermost(xml_signature.signatures_in(root)):
        if existing is not new and not _survives_another(existing):
            raise OtherSignatureError(
                "the document is signed in a way that covers further signatures too, so a second"
                " one would break it: sign the original, or keep the signatures apart"
            )


def _check_written(
    prepared: bytes, identifier: str, data_to_be_signed: bytes, *, with_references: bool
) -> None:
    """Refuse to sign what reads differently once it is written."""
    again = xml_trees.find_by_id(xml_trees.parse(prepared).getroot(), identifier)
    if with_references:
        xml_signature.check_references(again)
    if xml_signature.signed_info_octets(again) != data_to_be_signed:
        raise NotXMLError("the document changes when it is written, so it cannot be signed")


def _survives_another(existing: etree._Element) -> bool:
    """Whether a signature stays valid when another one is put beside it."""
    try:
        references = xml_signature.check_references(existing)
    except errors.InputError:
        return False
    root = existing.getroottree().getroot()
    return all(
        one.without_all_signatures or (one.element is not None and one.element is not root)
        for one in references
    )
