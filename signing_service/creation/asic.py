"""ASiC containers with signatures (EN 319 162-1): prepare, embed, and raise to B-LTA.

ASiC-E takes any number of documents, ASiC-S one. The signatures are XAdES, or CAdES (over an
ASiCManifest in ASiC-E). A document that is a container already gets one more signature, over the
same documents; a container keeps its kind.
"""

import base64
import dataclasses
import datetime
import json
import pathlib
import tempfile
from collections.abc import Callable, Sequence

from cryptography import x509
from lxml import etree

from pki import algorithms, signature, xml_trees
from signing_service import documents, parameters, revocation_data
from signing_service.creation import (
    asic_archive,
    asic_container,
    asic_new_signature,
    asic_signatures,
    cades,
    xades,
    xades_countersignatures,
    xades_data_objects,
    xades_signature,
    xades_unsigned,
)

RequestToken = Callable[[signature.DataToBeSignedRepresentation], bytes]

CADES = documents.SignatureFormat.CADES
ASIC_E, ASIC_S = documents.SignatureFormat.ASIC_E, documents.SignatureFormat.ASIC_S


def check_document(source: pathlib.Path, chosen: parameters.SignatureParameters) -> None:
    """Check that a document can be signed: any can, but a container must be readable.

    Raises:
        ContainerError: A container that is not safe to read, or of another kind than is wanted.
    """
    if asic_container.is_container(source):
        _check_container(asic_container.read(source), chosen.format)


def prepare(
    signed: documents.SignersDocuments,
    target: pathlib.Path,
    *,
    certificate: x509.Certificate,
    chain: Sequence[x509.Certificate],
    parameters: parameters.SignatureParameters,
    at: datetime.datetime,
) -> documents.PreparedSignature:
    """Write the container without the new signature, and say what is to be signed.

    Args:
        signed: The documents; or one container, which gets a further signature.
        target: Receives the container.
        certificate: The signing certificate, whose key decides the algorithms.
        chain: Its issuers; those but a root are put beside it.
        parameters: What the caller chose.
        at: The claimed signing time.

    Raises:
        DocumentRefusedError: For the reason that its code names.
    """
    hash_algorithm = algorithms.key_kind(certificate.public_key()).hash_algorithm
    digests: dict[str, bytes] = {}
    if parameters.counter_signature_of is not None:
        asic_container.rewrite(signed.only_file.path, target, {})
        container = asic_container.read(target)
        made = asic_new_signature.NewSignature(
            container, digests, hash_algorithm, certificate, chain, parameters, at
        )
        data_to_be_signed, context = made.counter_signature(parameters.counter_signature_of)
        return made.prepared(data_to_be_signed, context)
    kind = parameters.container_signature
    if len(signed.files) == 1 and asic_container.is_container(signed.files[0].path):
        # In the form of ours, so that the signature can be put behind it.
        asic_container.rewrite(signed.files[0].path, target, {})
        container = asic_container.read(target)
        kind = container.signature_format or kind
    else:
        types = [cades.mime_type_of(one.name) or xades_signature.UNKNOWN_TYPE
                 for one in signed.files]  # fmt: skip
        container, digests = asic_container.create(
            target, parameters.format, signed.files, types, hash_algorithm
        )
    _check_container(container, parameters.format)
    made = asic_new_signature.NewSignature(
        container, digests, hash_algorithm, certificate, chain, parameters, at
    )
    data_to_be_signed, context = made.cades() if kind is CADES else made.xades()
    return made.prepared(data_to_be_signed, context)


def embed(
    prepared: documents.PreparedSignature,
    source: pathlib.Path,
    target: pathlib.Path,
    value: signature.SignatureValue,
) -> None:
    """Put the signature into the container: level B-B.

    Raises:
        TamperedError: The prepared signature is not the one that was prepared.
        SignatureValueError: The value was not made by the key of the certificate inside.
    """
    context = json.loads(prepared.context)
    added = {name: base64.b64decode(content) for name, content in context["files"].items()}
    name = context["signature"]
    if context["cades"] is not None:
        inner = dataclasses.replace(
            prepared, format=CADES, context=json.dumps(context["cades"]).encode()
        )
        with tempfile.TemporaryDirectory(dir=target.parent) as folder:
            waiting, made = pathlib.Path(folder) / "waiting", pathlib.Path(folder) / "made"
            waiting.write_bytes(added[name])
            cades.embed(inner, waiting, made, value)
            added[name] = made.read_bytes()
    else:
        tree = xml_trees.parse(added[name])
        element = xml_trees.find_by_id(tree.getroot(), context["signature_id"])
        xades_signature.embed(
            element, prepared.data_to_be_signed, context["signature_method"], value
        )
        added[name] = asic_signatures.serialised(tree)
    length = context.get("length")
    if length is None:
        asic_container.add(source, target, added)
    else:
        asic_container.complete(source, target, length, added)


def add_signature_time_stamp(
    source: pathlib.Path,
    target: pathlib.Path,
    request_token: RequestToken,
    *,
    position: documents.Position = -1,
) -> None:
    """Put a time stamp on a signature, the newest or the one at a position: B-T."""

    def by_cades(old: pathlib.Path, new: pathlib.Path, inside: documents.Position) -> None:
        cades.add_signature_time_stamp(old, new, request_token, position=inside)

    def by_xades(element: etree._Element) -> None:
        xades_unsigned.add_signature_time_stamp(element, request_token)

    asic_signatures.change(source, target, by_cades, by_xades, position)


def add_validation_data(
    source: pathlib.Path,
    target: pathlib.Path,
    data: revocation_data.ValidationData,
    *,
    position: documents.Position = -1,
) -> None:
    """Put certificates and revocation data into a signature, the newest or another: B-LT."""

    def by_cades(old: pathlib.Path, new: pathlib.Path, inside: documents.Position) -> None:
        cades.add_validation_data(old, new, data, position=inside)

    def by_xades(element: etree._Element) -> None:
        xades_unsigned.add_validation_data(element, data)

    asic_signatures.change(source, target, by_cades, by_xades, position)


def add_archive_time_stamp(
    source: pathlib.Path,
    target: pathlib.Path,
    request_token: RequestToken,
    *,
    position: documents.Position = -1,
) -> None:
    """Put an archive time stamp on a signature, the newest or another: B-LTA."""
    container = asic_container.read(source)

    def by_cades(old: pathlib.Path, new: pathlib.Path, inside: documents.Position) -> None:
        cades.add_archive_time_stamp(old, new, request_token, position=inside)

    def by_xades(element: etree._Element) -> None:
        xades_unsigned.add_archive_time_stamp(
            element, request_token, xades_data_objects.octets_of(element, _openers(container))
        )

    asic_signatures.change(source, target, by_cades, by_xades, position)


def time_stamp_tokens(
    source: pathlib.Path, *, position: documents.Position = -1
) -> tuple[bytes, ...]:
    """Return the tokens of a signature, the newest or the one at a position."""
    container = asic_container.read(source)
    name, inside = asic_signatures.at(container, position)
    if name.endswith(".xml"):
        tree = asic_signatures.tree(container, name)
        return xades_unsigned.time_stamp_tokens(xades_countersignatures.at(tree.getroot(), inside))
    with asic_signatures.extracted(container, name) as path:
        return cades.time_stamp_tokens(path, position=inside)


def add_counter_signature_place(
    source: pathlib.Path, target: pathlib.Path, countersigned: str
) -> None:
    """Put an empty counter-signature where one would be, to see what that would break.

    Raises:
        UnknownSignatureError: No signature has the identifier.
        DocumentRefusedError: It cannot get one, for the reason that its code names.
    """
    container = asic_container.read(source)
    name = asic_signatures.named(container, countersigned)
    with asic_signatures.extracted(container, name) as path:
        result = path.with_name("result")
        if name.endswith(".xml"):
            xades.add_counter_signature_place(path, result, countersigned)
        else:
            inside = countersigned.removeprefix(asic_signatures.prefix(name))
            cades.add_counter_signature_place(path, result, inside)
        asic_container.rewrite(source, target, {name: result.read_bytes()})


def find_signatures(source: pathlib.Path) -> tuple[documents.FoundSignature, ...]:
    """Return the signatures of all files, in the order of their positions.

    Raises:
        InputError: A signature that does not carry its certificate.
    """
    container = asic_container.read(source)
    found: list[documents.FoundSignature] = []
    for name in container.signatures:
        if name.endswith(".xml"):
            found += map(xades_unsigned.describe, asic_signatures.elements(container, name))
        else:
            with asic_signatures.extracted(container, name) as path:
                found += cades.find_signatures(path)
    return tuple(found)


def find_position(source: pathlib.Path, identifier: str) -> documents.ValuePosition:
    """Return where the signature is that a validation report calls by a name.

    Raises:
        UnknownSignatureError: There is none, or several have the name.
    """
    container = asic_container.read(source)
    name = asic_signatures.named(container, identifier)
    if name.endswith(".xml"):
        root = asic_signatures.tree(container, name).getroot()
        return xades_countersignatures.position_of(root, identifier)
    with asic_signatures.extracted(container, name) as path:
        return cades.find_position(path, identifier.removeprefix(asic_signatures.prefix(name)))


def _check_container(
    container: asic_container.Container, format: documents.SignatureFormat
) -> None:
    if container.format is not format:
        raise asic_container.ContainerError(
            f"expected {format.value}, got a container that is {container.format.value}"
        )
    if not container.data_files or (format is ASIC_S and len(container.data_files) != 1):
        raise asic_container.ContainerError(
            f"expected documents in the container, got {len(container.data_files)}"
        )
    archive = asic_archive.find(container) if format is ASIC_S else None
    if archive is not None and not archive.covered.isdisjoint(container.signatures):
        raise asic_container.ContainerError(
            "expected a container whose only signature file may still change, got one under an"
            " archive time stamp, which a further signature would break"
        )


def _openers(container: asic_container.Container) -> dict[str, xades_data_objects.Pieces]:
    def opener(name: str) -> xades_data_objects.Pieces:
        return lambda: container.pieces(name)

    return {name: opener(name) for name in container.names}
