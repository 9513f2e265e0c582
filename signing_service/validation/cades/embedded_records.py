"""Evidence records that a CMS signature carries over itself (TS 119 122-3 5.2, 5.3; RFC 4998 A)."""

from collections.abc import Iterator, Mapping, Sequence

from pki import der, errors, originals
from signing_service.validation import evidence, findings
from signing_service.validation.cades import attributes, signed_data
from signing_service.validation.cms import ber
from signing_service.validation.evidence_records import hash_trees, reading

MAX_RECORDS = 20
"""Evidence records in one CMS; a new one comes where the old one is not renewed."""


def records(
    signed: signed_data.SignedData,
    name: str,
    detached: Mapping[str, originals.Original],
    known: evidence.Evidence,
) -> tuple[findings.FoundEvidenceRecord, ...]:
    """Check every record among the unsigned attributes; each is over the whole SignedData.

    Args:
        signed: The CMS.
        name: What it is called in the report.
        detached: Originals by their names; an external record is over one of them too.
        known: Takes the validation data in the records.

    Raises:
        LimitError: More records than `MAX_RECORDS`, or one is over a limit.
    """
    found: list[findings.FoundEvidenceRecord] = []
    for signer, attribute, value in _values(signed):
        if len(found) == MAX_RECORDS:
            raise errors.LimitError(f"expected at most {MAX_RECORDS} evidence records in a CMS")
        objects: dict[str, hash_trees.DigestsOf] = {name: _forms(signed, signer, attribute)}
        if attribute.oid == attributes.EXTERNAL_EVIDENCE_RECORD:
            beside = {
                key: one
                for key, one in detached.items()
                if not isinstance(one, originals.HashedOriginal)
            }
            if not beside or len(beside) != len(detached):
                found.append(
                    reading.failed(
                        None,
                        (name,),
                        "evidence-data-missing",
                        "the detached document that the record is over too is not here",
                    )
                )
                continue
            objects |= {
                key: reading.digests_of(originals.octets(one), in_xml=False)
                for key, one in beside.items()
            }
        one = reading.check(value, tuple(objects), objects, known)
        if one.report.intact is False and originals.octets(signed.sent) != signed.octets:
            # TS 119 122-3 hashes the CMS in DER: of BER in another order, that form is not known.
            one = reading.failed(
                None, one.report.scope, "evidence-encoding", "the CMS is not in DER"
            )
        found.append(one)
    return tuple(found)


def _values(
    signed: signed_data.SignedData,
) -> Iterator[tuple[signed_data.Signer, signed_data.Attribute, bytes]]:
    for signer in signed.signers:
        for attribute in signer.unsigned:
            if attribute.oid in attributes.EVIDENCE_RECORDS:
                for value in attribute.values:
                    yield signer, attribute, value


def _forms(
    signed: signed_data.SignedData, signer: signed_data.Signer, attribute: signed_data.Attribute
) -> hash_trees.DigestsOf:
    """The CMS without the record: without every such attribute, or with those before it."""
    place = next(n for n, one in enumerate(signer.unsigned) if one is attribute)
    held = [
        [
            one
            for n, one in enumerate(signer.unsigned)
            if one.oid not in attributes.EVIDENCE_RECORDS or (with_earlier and n < place)
        ]
        for with_earlier in (False, True)
    ]
    # RFC 4998 A hashes the CMS as it was encoded, TS 119 122-3 5.2 in DER.
    forms = dict.fromkeys(
        _with_unsigned(octets, signed, signer, kept)
        for kept in held
        for octets in (signed.octets, originals.octets(signed.sent))
    )
    return lambda name: [hash_trees.digest(name, one) for one in forms]


def _with_unsigned(
    octets: bytes,
    signed: signed_data.SignedData,
    signer: signed_data.Signer,
    kept: Sequence[signed_data.Attribute],
) -> bytes:
    """The CMS with other unsigned attributes of one signer, in the order in which they stand."""
    tail = [der.encode(0xA1, *(one.raw for one in kept))] if kept else []
    changed = der.encode(der.SEQUENCE, *signer.members, *tail)
    place = next(n for n, one in enumerate(signed.signers) if one is signer)
    # ContentInfo, its content, SignedData, the set of signers (the last field), the signer.
    return _replaced(octets, (1, 0, -1, place), changed)


def _replaced(element: bytes, path: Sequence[int], new: bytes) -> bytes:
    """An element with another one at a place inside; what had no length gets none."""
    if not path:
        return new
    body, size = ber.header(element, 0, len(element))
    end = len(element) - (2 if size is None else 0)
    parts = []
    while body < end:
        _, length = ber.to_definite(element[body:end])
        parts.append(element[body : body + length])
        body += length
    parts[path[0]] = _replaced(parts[path[0]], path[1:], new)
    if size is None:
        return element[:1] + b"\x80" + b"".join(parts) + b"\x00\x00"
    return der.encode(element[0], *parts)
