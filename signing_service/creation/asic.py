"""ASiC containers with signatures (EN 319 162-1): prepare, embed, and raise to B-LTA.

ASiC-E takes any number of documents, ASiC-S one. The signatures are XAdES, or CAdES (over an
ASiCManifest in ASiC-E). A document that is a container already gets one more signature, over the
same documents; a container keeps its kind.
"""

import base64
import dataclasses
import datetime
import hashlib
import json
import pathlib
import re
import tempfile
from collections.abc import Callable, Mapping, Sequence

from cryptography import x509
from lxml import etree

from pki import algorithms, signature, xml_signature, xml_trees
from signing_service import documents, parameters, revocation_data
from signing_service.creation import (
    asic_archive,
    asic_container,
    asic_manifests,
    asic_signatures,
    cades,
    xades,
    xades_countersignatures,
    xades_data_objects,
    xades_signature,
    xades_unsigned,
)

ASIC = asic_manifests.ASIC
_NSMAP = {"asic": ASIC, **xades_signature.NSMAP}

RequestToken = Callable[[signature.DataToBeSignedRepresentation], bytes]

CADES = documents.SignatureFormat.CADES
ASIC_E, ASIC_S = documents.SignatureFormat.ASIC_E, documents.SignatureFormat.ASIC_S

_SIMPLE_XADES, _SIMPLE_CADES = "META-INF/signatures.xml", "META-INF/signature.p7s"
_NUMBER = re.compile(r"META-INF/\D*(\d*)\.\w+")


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
        made = _Maker(container, digests, hash_algorithm, certificate, chain, parameters, at)
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
    made = _Maker(container, digests, hash_algorithm, certificate, chain, parameters, at)
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


@dataclasses.dataclass(frozen=True)
class _Maker:
    """Makes a signature over all documents of a container; `digests` are those already known."""

    container: asic_container.Container
    digests: Mapping[str, bytes]
    hash_algorithm: algorithms.HashAlgorithm
    certificate: x509.Certificate
    chain: Sequence[x509.Certificate]
    chosen: parameters.SignatureParameters
    at: datetime.datetime

    def prepared(
        self, data_to_be_signed: bytes, context: dict[str, object]
    ) -> documents.PreparedSignature:
        return documents.PreparedSignature(
            format=self.chosen.format,
            data_to_be_signed=data_to_be_signed,
            hash_algorithm=self.hash_algorithm,
            context=json.dumps({**context, "length": self.container.length}).encode(),
        )

    def xades(self) -> tuple[bytes, dict[str, object]]:
        name, root = self._signatures_file()
        element = etree.SubElement(root, xml_signature.name("Signature"))
        data_objects = [
            xades_signature.DataObject(
                xades_signature.file_reference(one, self._digest(one), self.hash_algorithm),
                cades.mime_type_of(one),
            )
            for one in self.container.data_files
        ]
        return self._xades_in(name, element, data_objects)

    def counter_signature(self, countersigned: str) -> tuple[bytes, dict[str, object]]:
        """A signature over the value of one that the container has, in the file of that one."""
        name = asic_signatures.named(self.container, countersigned)
        if name.endswith(".xml"):
            root = asic_signatures.tree(self.container, name).getroot()
            parent = xades_countersignatures.find(root, countersigned)
            data_object = xades_countersignatures.data_object(parent, self.hash_algorithm)
            element = xades_countersignatures.add_place(parent)
            return self._xades_in(name, element, [data_object])
        inside = countersigned.removeprefix(asic_signatures.prefix(name))
        with asic_signatures.extracted(self.container, name) as path:
            return self._cades_in(name, {}, documents.single(path), inside)

    def _xades_in(
        self,
        name: str,
        element: etree._Element,
        data_objects: Sequence[xades_signature.DataObject],
    ) -> tuple[bytes, dict[str, object]]:
        identifier = xades_signature.new_identifier()
        method = xades_signature.build(
            element,
            identifier,
            data_objects,
            certificate=self.certificate,
            chain=self.chain,
            chosen=self.chosen,
            at=self.at,
        )
        content = asic_signatures.serialised(element.getroottree())
        context: dict[str, object] = {
            "files": {name: base64.b64encode(content).decode()},
            "signature": name,
            "signature_id": identifier,
            "signature_method": method,
            "cades": None,
        }
        return xml_signature.signed_info_octets(element), context

    def _signatures_file(self) -> tuple[str, etree._Element]:
        """The file that gets the signature: a new one in ASiC-E, the only one in ASiC-S."""
        if self.container.format is ASIC_S and _SIMPLE_XADES in self.container.names:
            return _SIMPLE_XADES, xml_trees.parse(self.container.read(_SIMPLE_XADES)).getroot()
        root = etree.Element(f"{{{ASIC}}}XAdESSignatures", nsmap=_NSMAP)
        if self.container.format is ASIC_S:
            return _SIMPLE_XADES, root
        return f"META-INF/signatures{self._next_number(0)}.xml", root

    def cades(self) -> tuple[bytes, dict[str, object]]:
        files: dict[str, bytes] = {}
        if self.container.format is ASIC_S:
            (covered,) = self.container.data_files
            name, digest = _SIMPLE_CADES, self._digest(covered)
            if name in self.container.names:
                files[name] = self.container.read(name)
        else:
            number = self._next_number(1)
            name = f"META-INF/signature{number:03}.p7s"
            covered = f"META-INF/ASiCManifest{number:03}.xml"
            files[covered] = self._manifest(name)
            digest = self.hash_algorithm.digest(files[covered])
        known = documents.DocumentDigest(covered, self.hash_algorithm, digest)
        with tempfile.TemporaryDirectory() as folder:
            held: tuple[documents.Document, ...] = ()
            if name in files:
                existing = pathlib.Path(folder) / "existing"
                existing.write_bytes(files[name])
                held = documents.single(existing).files
            return self._cades_in(name, files, documents.SignersDocuments(held, (known,)))

    def _cades_in(
        self,
        name: str,
        files: dict[str, bytes],
        signed: documents.SignersDocuments,
        countersigned: str | None = None,
    ) -> tuple[bytes, dict[str, object]]:
        chosen = dataclasses.replace(
            self.chosen,
            format=CADES,
            packaging=parameters.Packaging.DETACHED,
            counter_signature_of=countersigned,
        )
        with tempfile.TemporaryDirectory() as folder:
            waiting = pathlib.Path(folder) / "waiting"
            made = cades.prepare(
                signed,
                waiting,
                certificate=self.certificate,
                chain=self.chain,
                parameters=chosen,
                at=self.at,
            )
            files[name] = waiting.read_bytes()
        context: dict[str, object] = {
            "files": {one: base64.b64encode(data).decode() for one, data in files.items()},
            "signature": name,
            "cades": json.loads(made.context),
        }
        return made.data_to_be_signed, context

    def _manifest(self, signature_name: str) -> bytes:
        """The ASiCManifest that a CAdES signature covers (EN 319 162-1 A.4)."""
        entries = [
            asic_manifests.Entry(one, self._digest(one)) for one in self.container.data_files
        ]
        return asic_manifests.build(
            signature_name, "application/pkcs7-signature", entries, self.hash_algorithm
        )

    def _digest(self, name: str) -> bytes:
        known = self.digests.get(name)
        if known is not None:
            return known
        hasher = hashlib.new(self.hash_algorithm.short_name)
        for chunk in self.container.pieces(name):
            hasher.update(chunk)
        return hasher.digest()

    def _next_number(self, first: int) -> int:
        """One more than the highest number of a file in META-INF."""
        numbers = [
            int(found[1] or 0)
            for found in map(_NUMBER.fullmatch, self.container.names)
            if found and len(found[1]) < 6 and found[0] != asic_container.MANIFEST
        ]
        return max(numbers, default=first - 1) + 1


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
