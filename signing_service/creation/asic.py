"""ASiC containers with signatures (EN 319 162-1): prepare, embed, and raise to B-LTA.

ASiC-E takes any number of documents, ASiC-S one. The signatures are XAdES, or CAdES (over an
ASiCManifest in ASiC-E). A document that is a container already gets one more signature, over the
same documents; a container keeps its kind.
"""

import base64
import contextlib
import dataclasses
import datetime
import hashlib
import json
import pathlib
import re
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence

from cryptography import x509
from lxml import etree

from pki import algorithms, signature, xml_signature, xml_trees
from signing_service import documents, parameters, revocation_data
from signing_service.creation import (
    asic_container,
    cades,
    cms_files,
    xades,
    xades_signature,
    xades_unsigned,
)

ASIC = "http://uri.etsi.org/02918/v1.2.1#"
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
    kind = parameters.container_signature
    hash_algorithm = algorithms.key_kind(certificate.public_key()).hash_algorithm
    digests: dict[str, bytes] = {}
    if len(signed.files) == 1 and asic_container.is_container(signed.files[0].path):
        # In the form of ours, so that the signature can be put behind it.
        asic_container.rewrite(signed.files[0].path, target, {})
        kind = asic_container.read(target).signature_format or kind
    else:
        types = [cades.mime_type_of(one.name) or xades_signature.UNKNOWN_TYPE
                 for one in signed.files]  # fmt: skip
        digests = asic_container.create(
            target, parameters.format, signed.files, types, hash_algorithm
        )
    container = asic_container.read(target)
    _check_container(container, parameters.format)
    made = _Maker(container, digests, hash_algorithm, certificate, chain, parameters, at)
    data_to_be_signed, context = made.cades() if kind is CADES else made.xades()
    return documents.PreparedSignature(
        format=parameters.format,
        data_to_be_signed=data_to_be_signed,
        hash_algorithm=hash_algorithm,
        context=json.dumps(context).encode(),
    )


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
        added[name] = _serialised(tree)
    asic_container.add(source, target, added)


def add_signature_time_stamp(
    source: pathlib.Path,
    target: pathlib.Path,
    request_token: RequestToken,
    *,
    position: int = -1,
) -> None:
    """Put a time stamp on a signature, the newest or the one at a position: B-T."""

    def by_cades(old: pathlib.Path, new: pathlib.Path, number: int) -> None:
        cades.add_signature_time_stamp(old, new, request_token, position=number)

    def by_xades(element: etree._Element) -> None:
        xades_unsigned.add_signature_time_stamp(element, request_token)

    _change(source, target, by_cades, by_xades, position)


def add_validation_data(
    source: pathlib.Path,
    target: pathlib.Path,
    data: revocation_data.ValidationData,
    *,
    position: int = -1,
) -> None:
    """Put certificates and revocation data into a signature, the newest or another: B-LT."""

    def by_cades(old: pathlib.Path, new: pathlib.Path, number: int) -> None:
        cades.add_validation_data(old, new, data, position=number)

    def by_xades(element: etree._Element) -> None:
        xades_unsigned.add_validation_data(element, data)

    _change(source, target, by_cades, by_xades, position)


def add_archive_time_stamp(
    source: pathlib.Path,
    target: pathlib.Path,
    request_token: RequestToken,
    *,
    position: int = -1,
) -> None:
    """Put an archive time stamp on a signature, the newest or another: B-LTA."""
    container = asic_container.read(source)

    def by_cades(old: pathlib.Path, new: pathlib.Path, number: int) -> None:
        cades.add_archive_time_stamp(old, new, request_token, position=number)

    def by_xades(element: etree._Element) -> None:
        xades_unsigned.add_archive_time_stamp(
            element, request_token, xades.octets_of(element, _openers(container))
        )

    _change(source, target, by_cades, by_xades, position)


def time_stamp_tokens(source: pathlib.Path) -> tuple[bytes, ...]:
    """Return the tokens of the newest signature."""
    container = asic_container.read(source)
    name, number = _at(container, -1)
    if name.endswith(".xml"):
        return xades_unsigned.time_stamp_tokens(_elements(_tree(container, name))[number])
    with _extracted(container, name) as path:
        return cades.time_stamp_tokens(path)


def find_signatures(source: pathlib.Path) -> tuple[documents.FoundSignature, ...]:
    """Return the signatures of all files, in the order of their positions.

    Raises:
        InputError: A signature that does not carry its certificate.
    """
    container = asic_container.read(source)
    found: list[documents.FoundSignature] = []
    for name in container.signatures:
        if name.endswith(".xml"):
            found += map(xades_unsigned.describe, _elements(_tree(container, name)))
        else:
            with _extracted(container, name) as path:
                found += cades.find_signatures(path)
    return tuple(found)


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

    def xades(self) -> tuple[bytes, dict[str, object]]:
        name, root = self._signatures_file()
        element = etree.SubElement(root, xml_signature.name("Signature"))
        identifier = xades_signature.new_identifier()
        data_objects = [
            xades_signature.DataObject(
                xades_signature.file_reference(one, self._digest(one), self.hash_algorithm),
                cades.mime_type_of(one),
            )
            for one in self.container.data_files
        ]
        method = xades_signature.build(
            element,
            identifier,
            data_objects,
            certificate=self.certificate,
            chain=self.chain,
            chosen=self.chosen,
            at=self.at,
        )
        content = _serialised(root.getroottree())
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
        chosen = dataclasses.replace(
            self.chosen, format=CADES, packaging=parameters.Packaging.DETACHED, role=None
        )
        with tempfile.TemporaryDirectory() as folder:
            waiting = pathlib.Path(folder) / "waiting"
            held: tuple[documents.Document, ...] = ()
            if name in files:
                existing = pathlib.Path(folder) / "existing"
                existing.write_bytes(files[name])
                held = documents.single(existing).files
            known = documents.DocumentDigest(covered, self.hash_algorithm, digest)
            made = cades.prepare(
                documents.SignersDocuments(held, (known,)),
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
        root = etree.Element(
            f"{{{ASIC}}}ASiCManifest", nsmap={"asic": ASIC, "ds": xml_signature.DS}
        )
        etree.SubElement(
            root,
            f"{{{ASIC}}}SigReference",
            URI=signature_name,
            MimeType="application/pkcs7-signature",
        )
        for one in self.container.data_files:
            reference = xades_signature.file_reference(one, self._digest(one), self.hash_algorithm)
            entry = etree.SubElement(
                root,
                f"{{{ASIC}}}DataObjectReference",
                URI=str(reference.get("URI")),
                MimeType=cades.mime_type_of(one) or xades_signature.UNKNOWN_TYPE,
            )
            entry.extend(list(reference))
        return _serialised(root.getroottree())

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


def _change(
    source: pathlib.Path,
    target: pathlib.Path,
    by_cades: Callable[[pathlib.Path, pathlib.Path, int], None],
    by_xades: Callable[[etree._Element], None],
    position: int,
) -> None:
    container = asic_container.read(source)
    name, number = _at(container, position)
    if name.endswith(".xml"):
        tree = _tree(container, name)
        by_xades(_elements(tree)[number])
        changed = _serialised(tree)
    else:
        with _extracted(container, name) as path:
            result = path.with_name("result")
            by_cades(path, result, number)
            changed = result.read_bytes()
    asic_container.rewrite(source, target, {name: changed})


def _at(container: asic_container.Container, position: int) -> tuple[str, int]:
    """The file of a signature, and the signature's place in it."""
    places = [
        (name, number) for name in container.signatures for number in range(_count(container, name))
    ]
    if not -len(places) <= position < len(places):
        raise asic_container.ContainerError("expected a signed container, found no signature")
    return places[position]


def _count(container: asic_container.Container, name: str) -> int:
    if name.endswith(".xml"):
        return len(_elements(_tree(container, name)))
    with _extracted(container, name) as path:
        return len(cms_files.read(path).signers)


def _tree(container: asic_container.Container, name: str) -> etree._ElementTree:
    return xml_trees.parse(container.read(name))


def _elements(tree: etree._ElementTree) -> list[etree._Element]:
    found = xades_signature.outermost(xml_signature.signatures_in(tree.getroot()))
    if not found:
        raise asic_container.ContainerError("expected a signature in the container's XML")
    return found


def _openers(container: asic_container.Container) -> dict[str, xades.Pieces]:
    def opener(name: str) -> xades.Pieces:
        return lambda: container.pieces(name)

    return {name: opener(name) for name in container.names}


@contextlib.contextmanager
def _extracted(container: asic_container.Container, name: str) -> Iterator[pathlib.Path]:
    """Give a signature file of a container a path of its own for a while."""
    with tempfile.TemporaryDirectory() as folder:
        path = pathlib.Path(folder) / "signature"
        path.write_bytes(container.read(name))
        yield path


def _serialised(tree: etree._ElementTree) -> bytes:
    return etree.tostring(tree, xml_declaration=True, encoding="UTF-8")
