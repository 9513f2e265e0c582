"""XML signatures of a document, XAdES among them: found, resolved and checked (EN 319 132-1).

Properties are read only from the very SignedProperties element whose digest was verified, inside
the signature's own object. Every ds:Signature of the document is judged, wherever it hides: so what
one signature leaves out because it is a signature is itself looked at.
"""

import dataclasses
import pathlib
from collections.abc import Iterable, Mapping, Sequence

from cryptography import x509
from lxml import etree

from pki import errors, originals, xml_algorithms, xml_signature, xml_trees
from signing_service.validation import evidence, findings, report
from signing_service.validation.cms import foreign_keys
from signing_service.validation.xades import (
    key_values,
    xades_certificates,
    xades_details,
    xades_evidence_records,
    xades_properties,
    xades_scope,
    xades_time_stamps,
)

MAX_SIGNATURES = 100
"""Signatures in one document; each is resolved and hashed."""


_DS = xml_signature.name


@dataclasses.dataclass(frozen=True)
class _Signed:
    """What was verified of one signature; `listed` is what its manifests sign."""

    references: tuple[xml_signature.SignedReference, ...]
    properties: etree._Element | None
    method: xml_algorithms.SignatureMethod
    listed: tuple[xml_signature.SignedReference, ...]


@dataclasses.dataclass(frozen=True)
class _Surroundings:
    """A document's name and files, who may have signed it, and whether its own XPath may run."""

    name: str
    beside: Mapping[str, originals.Original]
    supplied: Sequence[x509.Certificate]
    expressions: bool


def read(
    path: pathlib.Path,
    name: str,
    detached: Mapping[str, originals.Original],
    supplied: Iterable[x509.Certificate] = (),
    *,
    expressions: bool = False,
) -> findings.FoundDocument:
    """Find every signature and check its cryptography.

    Args:
        path: The document.
        name: What it is called.
        detached: The files beside it that its references may name.
        supplied: Certificates of trusted people, for a signature that leaves its own out.
        expressions: Evaluate the document's own XPath; for processes with limits alone.

    Raises:
        XMLUnreadableError: Not well-formed, or with a document type declaration.
        LimitError: Too large, or more signatures than `MAX_SIGNATURES`.
    """
    if path.stat().st_size > xml_trees.MAX_BYTES:
        raise errors.LimitError(f"expected XML of at most {xml_trees.MAX_BYTES} bytes")
    return read_octets(path.read_bytes(), name, detached, supplied, expressions=expressions)


def read_octets(
    data: bytes,
    name: str,
    detached: Mapping[str, originals.Original],
    supplied: Iterable[x509.Certificate] = (),
    *,
    expressions: bool = False,
) -> findings.FoundDocument:
    """Find every signature of an XML document in memory, such as one in a container; as `read`."""
    tree = xml_trees.parse(data)
    elements = xml_signature.signatures_in(tree.getroot())
    if len(elements) > MAX_SIGNATURES:
        raise errors.LimitError(f"expected at most {MAX_SIGNATURES} signatures in a document")
    known = evidence.Evidence()
    for element in elements:
        xades_properties.take_evidence(element, known)
    names = {
        element: element.get("Id") or f"signature-{number}"
        for number, element in enumerate(elements, start=1)
    }
    surroundings = _Surroundings(name, detached, tuple(supplied), expressions)
    signatures = tuple(_signature(element, names, surroundings, known) for element in elements)
    found = dict(zip(elements, signatures, strict=True))
    signatures = tuple(
        dataclasses.replace(one, enclosing_stamps=_enclosing(element, found))
        for element, one in found.items()
    )
    return findings.FoundDocument("XAdES", signatures, (), known)


def _signature(
    element: etree._Element,
    names: Mapping[etree._Element, str],
    surroundings: _Surroundings,
    known: evidence.Evidence,
) -> findings.FoundSignature:
    countersigned = xades_properties.countersigned(element)
    base = findings.FoundSignature(
        identifier=names[element],
        format="XAdES",
        level="UNKNOWN",
        intact=None,
        failure=None,
        certificate=None,
        is_bound=None,
        digest_algorithms=frozenset(),
        claimed_signing_time=None,
        time_stamps=(),
        scope_kind=report.ScopeKind.NONE,
        scope_names=(),
        counter_signature_of=None if countersigned is None else names[countersigned],
    )
    qualifying = xades_properties.qualifying_properties(element)
    certificate, is_bound = xades_certificates.signing_certificate(
        element, qualifying, surroundings.supplied
    )
    context = xades_time_stamps.Context(element, qualifying, None, None)
    base = dataclasses.replace(
        base,
        level=xades_properties.level(element, qualifying, certificate),
        certificate=certificate,
        is_bound=is_bound,
        time_stamps=xades_time_stamps.unsigned(context),
        evidence_records=xades_evidence_records.records(context, (), (base.identifier,), known),
        claimed_signing_time=xades_properties.signing_time(qualifying),
        details=lambda: xades_details.read(
            element, qualifying, None, surroundings.beside, surroundings.expressions
        ),
    )
    key = (
        key_values.read(element)
        if certificate is None
        else foreign_keys.of_certificate(certificate)
    )
    intact: bool | None = None
    try:
        signed = _check(element, key, surroundings)
        intact = True
    except xml_signature.ReferenceDigestError as error:
        return _failed(base, False, report.SubIndication.HASH_FAILURE, error)
    except xml_signature.XMLSignatureValueError as error:
        return _failed(base, False, report.SubIndication.SIG_CRYPTO_FAILURE, error)
    except (xml_trees.ReferenceNotFoundError, originals.OriginalMissingError) as error:
        return _failed(base, None, report.SubIndication.SIGNED_DATA_NOT_FOUND, error)
    except xml_trees.UnsupportedXMLSignatureError as error:
        return _failed(base, None, report.SubIndication.SIG_CONSTRAINTS_FAILURE, error)
    except xml_trees.AmbiguousIdError as error:
        # Which of the elements was signed cannot be said: that is how content is smuggled in.
        return _failed(base, None, report.SubIndication.FORMAT_FAILURE, error)
    except errors.LimitError:
        raise
    except errors.InputError as error:
        return _failed(base, None, report.SubIndication.FORMAT_FAILURE, error)
    if signed is None:
        return base
    all_signed = (*signed.references, *signed.listed)
    scope = xades_scope.read(
        element, all_signed, signed.properties, surroundings.name, surroundings.beside
    )
    # A file of which transforms left something out is not a file that is signed.
    files = {one.file for one in all_signed if one.file is not None and not one.is_partial}
    context = xades_time_stamps.Context(element, qualifying, signed.references, signed.properties)
    stamps = (*xades_time_stamps.content(context), *xades_time_stamps.unsigned(context))
    found = dataclasses.replace(
        base,
        intact=intact,
        digest_algorithms=frozenset(
            {
                signed.method.digest_algorithm,
                *(one.digest_algorithm for one in all_signed),
            }
        ),
        scope_kind=scope.kind,
        scope_names=scope.names,
        signed_files=tuple(sorted(files)),
        is_counter=countersigned is not None,
        counter_signature_of=base.counter_signature_of or _elsewhere(signed, names),
        details=lambda: xades_details.read(
            element, qualifying, signed.references, surroundings.beside
        ),
        time_stamps=stamps,
        evidence_records=xades_evidence_records.records(
            context, signed.listed, (base.identifier, *scope.names), known
        ),
        warnings=scope.warnings,
    )
    if qualifying is not None and signed.properties is None:
        problem = report.Finding(
            "signed-properties", "the XAdES properties are not covered by the signature"
        )
        return dataclasses.replace(
            found,
            failure=(report.SubIndication.FORMAT_FAILURE, problem),
            is_bound=None,
            claimed_signing_time=None,
        )
    return found


def _check(element: etree._Element, key: object, surroundings: _Surroundings) -> _Signed | None:
    """Verify value and references; None where there is no key to verify with."""
    _check_form(element)
    references = xml_signature.check_references(
        element, detached=surroundings.beside, expressions=surroundings.expressions
    )
    listed: list[xml_signature.SignedReference] = []
    for one in references:
        is_manifest = one.element is not None and one.element.tag == _DS("Manifest")
        if one.element is not None and is_manifest and one.has_all:
            # XMLDSig 5.1: what a manifest lists is signed through it.
            entries = one.element.findall(_DS("Reference"))
            if not 1 <= len(entries) <= xml_signature.MAX_REFERENCES:
                raise xml_trees.XMLSignatureError("expected references in a Manifest")
            listed += xml_signature.check_reference_list(
                element,
                entries,
                detached=surroundings.beside,
                expressions=surroundings.expressions,
            )
    if key is None:
        return None
    method = xml_signature.check_value(element, key)
    _check_counter_signature(element, references)
    properties = _signed_properties(element, references)
    return _Signed(references, properties, method, tuple(listed))


def _check_form(element: etree._Element) -> None:
    """Check that a signature has the parts that XMLDSig 4.1 gives it, and no others.

    What stands in it beside them is signed by nobody, and of two of a kind each reader takes its
    own.
    """
    names = [one.tag for one in element.iterchildren(etree.Element)]
    once = [_DS(one) for one in ("SignedInfo", "SignatureValue", "KeyInfo")]
    known = {*once, _DS("Object")}
    if not known.issuperset(names) or any(names.count(one) > 1 for one in once):
        raise xml_trees.XMLSignatureError("expected the parts of a signature, each once")
    if xades_scope.has_text(element):
        raise xml_trees.XMLSignatureError("expected the parts of a signature, got text")
    holders = [
        one
        for holder in element.findall(_DS("Object"))
        for space in xades_properties.XADES_NAMESPACES
        for one in holder.iter(f"{{{space}}}QualifyingProperties")
        if next(one.iterancestors(_DS("Signature"))) is element
    ]
    if len(holders) > 1:
        # EN 319 132-1 4.4.1: all properties of a signature are in one.
        raise xml_trees.XMLSignatureError("expected one QualifyingProperties in a signature")
    for one in holders:
        space = etree.QName(one).namespace
        if len(one.findall(f"{{{space}}}SignedProperties")) > 1:
            raise xml_trees.XMLSignatureError("expected one SignedProperties in a signature")


def _check_counter_signature(
    element: etree._Element, references: Sequence[xml_signature.SignedReference]
) -> None:
    """A counter-signature signs the value of the signature it lies in (EN 319 132-1 5.2.7.2)."""
    parent = element.getparent()
    if parent is None or etree.QName(parent).localname != "CounterSignature":
        return
    countersigned = xades_properties.countersigned(element)
    if countersigned is None:
        raise xml_trees.XMLSignatureError(
            "the counter-signature lies elsewhere than among the properties of a signature"
        )
    value = countersigned.find(_DS("SignatureValue"))
    if not any(one.element is value and value is not None and one.has_all for one in references):
        raise xml_trees.XMLSignatureError(
            "the counter-signature does not sign the value of the signature it lies in"
        )


def _elsewhere(signed: _Signed, names: Mapping[etree._Element, str]) -> str | None:
    """The signature that one which lies in none says to countersign (EN 319 132-1 5.2.7.1)."""
    for one in signed.references:
        is_typed = one.type_uri == xml_signature.COUNTERSIGNED_TYPE
        if is_typed and one.element is not None and one.has_all:
            return names.get(one.element.getparent())  # type: ignore[arg-type]
    return None


def _enclosing(
    element: etree._Element, found: Mapping[etree._Element, findings.FoundSignature]
) -> tuple[findings.FoundTimeStamp, ...]:
    """The archive time stamps behind a counter-signature, in the signatures it lies in (5.5.2)."""
    stamps: tuple[findings.FoundTimeStamp, ...] = ()
    within, outside = element, xades_properties.countersigned(element)
    while outside is not None:
        behind = xades_time_stamps.archives_behind(outside, within)
        stamps += tuple(
            stamp
            for stamp in found[outside].time_stamps
            if any(stamp.holder is one for one in behind)
        )
        within, outside = outside, xades_properties.countersigned(outside)
    return stamps


def _signed_properties(
    element: etree._Element, references: Sequence[xml_signature.SignedReference]
) -> etree._Element | None:
    """The SignedProperties of this very signature, if its digest was verified."""
    qualifying = xades_properties.qualifying_properties(element)
    if qualifying is None:
        return None
    space = etree.QName(qualifying).namespace
    own = qualifying.find(f"{{{space}}}SignedProperties")
    for one in references:
        # EN 319 132-1 4.4.2: by this type a reader knows that they are signed.
        named = (one.type_uri or "").endswith(f"#{xades_properties.SIGNED_PROPERTIES_SUFFIX}")
        # A transform can leave out just what a reader would believe.
        if own is not None and one.element is own and named and one.has_all:
            return own
    return None


def _failed(
    found: findings.FoundSignature,
    intact: bool | None,
    sub_indication: report.SubIndication,
    error: errors.ImzaError,
) -> findings.FoundSignature:
    # Signed properties of a signature that does not verify are nobody's claims.
    return dataclasses.replace(
        found, intact=intact, failure=(sub_indication, report.Finding(error.code, error.message))
    )
