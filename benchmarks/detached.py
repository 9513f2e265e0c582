"""Signing XML and containers of 1 MB.

XAdES stands beside a parse and one canonicalisation, ASiC-E beside DigiDoc's own library.
"""

import datetime
import pathlib
import tempfile
from collections.abc import Callable, Iterator

import pydigidoc
from cryptography.hazmat.primitives.serialization import BestAvailableEncryption, pkcs12
from lxml import etree

from benchmarks import row
from pki import clock, signature, xml_trees
from signing_service import documents, parameters
from signing_service.creation import asic, xades
from signing_service.creation.formats import FormatModule
from tests.support import hierarchy

XADES_TARGET, ASIC_TARGET = 2.0, 0.5
MEGABYTE = 10**6


def rows() -> Iterator[row.Row]:
    """Measure and yield one row for XAdES and one for ASiC-E."""
    with tempfile.TemporaryDirectory(prefix="imza-bench-") as name:
        folder = pathlib.Path(name)
        at = clock.whole_seconds(clock.SystemClock().now())
        holder = hierarchy.make_hierarchy(at).signer()
        form, data = folder / "form.xml", folder / "data.bin"
        form.write_bytes(form_xml())
        data.write_bytes(bytes(range(256)) * (MEGABYTE // 256))
        yield row.compare(
            "XAdES B-B, enveloped, 1 MB",
            "a parse and one canonicalisation",
            lambda: sign(xades, documents.SignatureFormat.XADES, form, holder, at),
            lambda: parse_and_canonicalise(form),
            XADES_TARGET,
        )
        theirs = digidoc_signer(folder, holder, data)
        yield row.compare(
            "ASiC-E B-B, 1 MB",
            "libdigidocpp",
            lambda: sign(asic, documents.SignatureFormat.ASIC_E, data, holder, at),
            theirs,
            ASIC_TARGET,
        )


def form_xml(size: int = MEGABYTE) -> bytes:
    """Make an XML form of about a size."""
    line = "<person><name>Günay TEST</name><amount>100.00</amount></person>\n"
    body = line * (size // len(line.encode()))
    return f'<form xmlns="urn:test:form">{body}</form>'.encode()


def sign(
    module: FormatModule,
    format: documents.SignatureFormat,
    source: pathlib.Path,
    holder: hierarchy.Holder,
    at: datetime.datetime,
) -> None:
    """All of a B-B signature in two phases, from file to file."""
    chosen = parameters.SignatureParameters(format, documents.SignatureLevel.B_B)
    waiting, signed = source.with_suffix(".prepared"), source.with_suffix(".signed")
    for one in (waiting, signed):
        one.unlink(missing_ok=True)  # The service has new files, and so has the peer.
    prepared = module.prepare(
        documents.single(source),
        waiting,
        certificate=holder.certificate,
        chain=holder.issuers,
        parameters=chosen,
        at=at,
    )
    value = holder.handle.sign(
        signature.represent(prepared.data_to_be_signed, prepared.hash_algorithm)
    )
    module.embed(prepared, waiting, signed, value)


def parse_and_canonicalise(source: pathlib.Path) -> None:
    """What nobody who signs or verifies XML can do without."""
    etree.tostring(xml_trees.parse(source.read_bytes()), method="c14n")


def digidoc_signer(
    folder: pathlib.Path, holder: hierarchy.Holder, data: pathlib.Path
) -> Callable[[], None]:
    """Create and sign a container with DigiDoc's library, at the level without time stamps."""
    store = folder / "signer.p12"
    store.write_bytes(
        pkcs12.serialize_key_and_certificates(
            b"signer", holder.key, holder.certificate, None, BestAvailableEncryption(b"TEST")
        )
    )
    pydigidoc.initialize()
    signer = pydigidoc.PKCS12Signer(str(store), "TEST")
    signer.set_profile("BES")

    def make() -> None:
        target = folder / "theirs.asice"
        target.unlink(missing_ok=True)
        container = pydigidoc.Container.create(str(target))
        container.add_data_file(str(data), "application/octet-stream")
        container.sign(signer)
        container.save()

    return make
