"""A signature that a container gets: over all its documents, or over another signature's value."""

import base64
import dataclasses
import datetime
import hashlib
import json
import pathlib
import re
import tempfile
from collections.abc import Mapping, Sequence

from cryptography import x509
from lxml import etree

from pki import algorithms, xml_signature, xml_trees
from signing_service import documents, parameters
from signing_service.creation import (
    asic_container,
    asic_manifests,
    asic_signatures,
    cades,
    xades_countersignatures,
    xades_signature,
)

_NSMAP = {"asic": asic_manifests.ASIC, **xades_signature.NSMAP}
_SIMPLE_XADES, _SIMPLE_CADES = "META-INF/signatures.xml", "META-INF/signature.p7s"
_NUMBER = re.compile(r"META-INF/\D*(\d*)\.\w+")

CADES, ASIC_S = documents.SignatureFormat.CADES, documents.SignatureFormat.ASIC_S


@dataclasses.dataclass(frozen=True)
class NewSignature:
    """Makes a signature of a container.

    Attributes:
        container: As it is, without the signature.
        digests: Of its documents, as far as they are known already.
        hash_algorithm: The function of `digests` and of the signature.
        certificate: The signing certificate.
        chain: Its issuers; those but a root are put beside it.
        chosen: What the caller chose.
        at: The claimed signing time.
    """

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
        """Put together what one of the functions below gave."""
        return documents.PreparedSignature(
            format=self.chosen.format,
            data_to_be_signed=data_to_be_signed,
            hash_algorithm=self.hash_algorithm,
            context=json.dumps({**context, "length": self.container.length}).encode(),
        )

    def xades(self) -> tuple[bytes, dict[str, object]]:
        """A XAdES signature over all documents: what is to be signed, and the context."""
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
        root = etree.Element(f"{{{asic_manifests.ASIC}}}XAdESSignatures", nsmap=_NSMAP)
        if self.container.format is ASIC_S:
            return _SIMPLE_XADES, root
        return f"META-INF/signatures{self._next_number(0)}.xml", root

    def cades(self) -> tuple[bytes, dict[str, object]]:
        """A CAdES signature over the document, or over a manifest of all of them."""
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
