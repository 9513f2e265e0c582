"""The signatures of an ASiC container: which file each is in, and changing one of them."""

import contextlib
import pathlib
import tempfile
from collections.abc import Callable, Iterator

from lxml import etree

from pki import xml_signature, xml_trees
from signing_service import documents
from signing_service.creation import (
    asic_container,
    cms,
    cms_countersignatures,
    cms_files,
    xades_countersignatures,
    xades_signature,
)


def change(
    source: pathlib.Path,
    target: pathlib.Path,
    by_cades: Callable[[pathlib.Path, pathlib.Path, documents.Position], None],
    by_xades: Callable[[etree._Element], None],
    position: documents.Position,
) -> None:
    """Write a container with one of its signatures changed.

    Args:
        source: The container.
        target: Becomes the changed one.
        by_cades: Changes a CAdES signature of a file, at a position there.
        by_xades: Changes a XAdES signature.
        position: Which signature of the container.

    Raises:
        ContainerError: There is none.
    """
    container = asic_container.read(source)
    name, inside = at(container, position)
    if name.endswith(".xml"):
        parsed = tree(container, name)
        by_xades(xades_countersignatures.at(parsed.getroot(), inside))
        changed = serialised(parsed)
    else:
        with extracted(container, name) as path:
            result = path.with_name("result")
            by_cades(path, result, inside)
            changed = result.read_bytes()
    asic_container.rewrite(source, target, {name: changed})


def at(
    container: asic_container.Container, position: documents.Position
) -> tuple[str, documents.Position]:
    """Return the file of a signature, and the signature's position in it.

    Raises:
        ContainerError: There is none.
    """
    if isinstance(position, documents.ValuePosition):
        for name in container.signatures:
            if _has(container, name, position):
                return name, position
        raise asic_container.ContainerError("expected a signature with a certain value, found none")
    places = [
        (name, number) for name in container.signatures for number in range(_count(container, name))
    ]
    if not -len(places) <= position < len(places):
        raise asic_container.ContainerError("expected a signed container, found no signature")
    return places[position]


def named(container: asic_container.Container, identifier: str) -> str:
    """Return the file of the signature that a validation report calls by a name.

    Raises:
        UnknownSignatureError: There is none, or several have the name.
    """
    present: list[str] = []
    files: list[str] = []
    for file in container.signatures:
        if file.endswith(".xml"):
            found = xades_countersignatures.identifiers(tree(container, file).getroot())
            names = [name for name, elements in found.items() for _ in elements]
        else:
            with extracted(container, file) as path:
                signed = cms_files.read(path)
            names = [name for name, _ in cms_countersignatures.identifiers(signed, prefix(file))]
        present += names
        files += [file] * names.count(identifier)
    if len(files) != 1:
        raise documents.UnknownSignatureError(identifier, present)
    return files[0]


def prefix(file: str) -> str:
    """Return what stands before the names of the signatures in a CMS file."""
    return f"{file.rpartition('/')[2]}-"


def tree(container: asic_container.Container, name: str) -> etree._ElementTree:
    """Parse a file with XAdES signatures."""
    return xml_trees.parse(container.read(name))


def elements(container: asic_container.Container, name: str) -> list[etree._Element]:
    """Return the signatures of a file with XAdES that lie in no other one.

    Raises:
        ContainerError: It has none.
    """
    root = tree(container, name).getroot()
    found = xades_signature.outermost(xml_signature.signatures_in(root))
    if not found:
        raise asic_container.ContainerError("expected a signature in the container's XML")
    return found


@contextlib.contextmanager
def extracted(container: asic_container.Container, name: str) -> Iterator[pathlib.Path]:
    """Give a signature file of a container a path of its own for a while."""
    with tempfile.TemporaryDirectory() as folder:
        path = pathlib.Path(folder) / "signature"
        path.write_bytes(container.read(name))
        yield path


def serialised(tree: etree._ElementTree) -> bytes:
    """Write XML as it lies in a container."""
    return etree.tostring(tree, xml_declaration=True, encoding="UTF-8")


def _count(container: asic_container.Container, name: str) -> int:
    if name.endswith(".xml"):
        return len(elements(container, name))
    with extracted(container, name) as path:
        return len(cms_files.read(path).signers)


def _has(container: asic_container.Container, name: str, position: documents.ValuePosition) -> bool:
    try:
        if name.endswith(".xml"):
            xades_countersignatures.at(tree(container, name).getroot(), position)
        else:
            with extracted(container, name) as path:
                cms_countersignatures.outermost_with(cms_files.read(path), position.in_cms)
    except (documents.DocumentRefusedError, cms.CmsError):
        return False
    return True
