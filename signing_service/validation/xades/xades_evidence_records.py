"""Evidence records that a XAdES signature carries over itself (TS 119 132-3 5, RFC 6283)."""

import dataclasses
from collections.abc import Iterator, Sequence

from lxml import etree

from pki import errors, xml_signature, xml_trees
from signing_service.validation import evidence, findings
from signing_service.validation.evidence_records import reading, rfc6283
from signing_service.validation.xades import xades_properties, xades_time_stamps

MAX_RECORDS = 20
"""Evidence records of one signature."""

_DS = xml_signature.name
_IN_XML = f"{{{rfc6283.NAMESPACE}}}EvidenceRecord"
_IN_ASN1 = f"{{{xades_properties.XADES_EN}}}ASN1EvidenceRecord"


def records(
    context: xades_time_stamps.Context,
    listed: Sequence[xml_signature.SignedReference],
    names: tuple[str, ...],
    known: evidence.Evidence,
) -> tuple[findings.FoundEvidenceRecord, ...]:
    """Check every record in SealingEvidenceRecords.

    Args:
        context: The signature and what was verified of it.
        listed: What its manifests sign.
        names: What the signature and its documents are called in the report.
        known: Takes the validation data in the records.

    Raises:
        LimitError: More records than `MAX_RECORDS`, or one is over a limit.
    """
    found: list[findings.FoundEvidenceRecord] = []
    for holder, octets in _records(context.qualifying):
        if len(found) == MAX_RECORDS:
            raise errors.LimitError(
                f"expected at most {MAX_RECORDS} evidence records of a signature"
            )
        try:
            group = reading.group_digest(list(_group(context, listed, holder)))
        except xml_trees.XMLSignatureError as error:
            found.append(reading.failed(None, names, "evidence-data-missing", error.message))
            continue
        one = reading.check(octets, names, {names[0]: group}, known)
        covered = xades_time_stamps.tokens_before(context, holder)
        found.append(dataclasses.replace(one, covered_tokens=covered))
    return tuple(found)


def _records(qualifying: etree._Element | None) -> Iterator[tuple[etree._Element, bytes]]:
    for holder in xades_properties.unsigned(qualifying, "SealingEvidenceRecords"):
        for one in holder.iterchildren(_IN_XML):
            yield holder, etree.tostring(one, with_tail=False, encoding="UTF-8")
        for one in holder.iterchildren(_IN_ASN1):
            try:
                yield holder, xml_trees.read_base64(one)
            except xml_trees.XMLSignatureError:
                # Kept, so that the report tells of a record that cannot be read.
                yield holder, b""


def _group(
    context: xades_time_stamps.Context,
    listed: Sequence[xml_signature.SignedReference],
    holder: etree._Element,
) -> Iterator[bytes]:
    """The data objects that a record is over, as one group: what is signed, and the signature."""
    if context.references is None:
        raise xml_trees.XMLSignatureError("the references of the signature do not verify")
    method = xml_trees.algorithm_of(
        xml_trees.child(
            xml_trees.child(context.element, _DS("SignedInfo")), _DS("CanonicalizationMethod")
        )
    )
    for signed in context.references:
        yield signed.octets
    for local in ("SignedInfo", "SignatureValue", "KeyInfo"):
        for one in context.element.findall(_DS(local)):
            yield xml_trees.canonicalise(one, method)
    for one in xades_time_stamps.before(context, holder):
        yield xml_trees.canonicalise(one, method)
    for one in context.element.findall(_DS("Object")):
        if context.qualifying is None or context.qualifying.getparent() is not one:
            yield xml_trees.canonicalise(one, method)
    for signed in listed:
        yield signed.octets
