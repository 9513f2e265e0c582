"""Evidence records that were found, read and checked over what they are about."""

from collections.abc import Callable, Mapping

from pki import errors, xml_trees
from signing_service.validation import evidence, findings, report
from signing_service.validation.cms import cms_signature
from signing_service.validation.evidence_records import hash_trees, rfc4998, rfc6283

_BROKEN = (
    hash_trees.BrokenRecordError,
    cms_signature.DigestMismatchError,
    cms_signature.ValueMismatchError,
)


def check(
    octets: bytes,
    names: tuple[str, ...],
    objects: Mapping[str, hash_trees.DigestsOf],
    known: evidence.Evidence,
) -> findings.FoundEvidenceRecord:
    """Check a record over data objects; whether its time stamps are to be trusted is asked later.

    Args:
        octets: The record, in ASN.1 or XML.
        names: What it is about, for the report.
        objects: The hashes of what it has to be about.
        known: Takes the validation data that it carries.

    Raises:
        LimitError: It is over a limit; every other fault is told in what is returned.
    """
    try:
        chains = rfc6283.read(octets, known) if is_xml(octets) else rfc4998.read(octets)
        stamps = hash_trees.check(chains, objects)
    except errors.LimitError:
        raise
    except _BROKEN as error:
        return failed(False, names, error.code, error.message)
    except errors.InputError as error:
        return failed(None, names, error.code, error.message)
    return findings.FoundEvidenceRecord(
        report.EvidenceRecordReport(True, stamps[0].time, names),
        tuple(
            findings.FoundTimeStamp(report.TimeStampKind.ARCHIVE, one.token, _constant(one.root))
            for one in stamps
        ),
    )


def failed(
    intact: bool | None, names: tuple[str, ...], code: str, message: str
) -> findings.FoundEvidenceRecord:
    """A record that proves nothing."""
    problem = report.Finding(code, message[:300])
    return findings.FoundEvidenceRecord(report.EvidenceRecordReport(intact, None, names, problem))


def is_xml(octets: bytes) -> bool:
    """Whether a record is in XML (RFC 6283) and not in ASN.1 (RFC 4998)."""
    return octets.lstrip(b"\xef\xbb\xbf \t\r\n").startswith(b"<")


def looks_like_record(octets: bytes) -> bool:
    """Whether bytes are an evidence record that can be read."""
    try:
        if is_xml(octets):
            rfc6283.read(octets)
        else:
            rfc4998.read(octets)
    except errors.InputError:
        return False
    return True


def digests_of(octets: bytes, *, in_xml: bool) -> hash_trees.DigestsOf:
    """The hashes that a data object may have in a record: of its octets, or in a canonical form.

    Args:
        octets: The data object.
        in_xml: The record is in XML, which hashes XML data objects in canonical form (RFC 6283
            3.2.1).
    """
    forms = [octets]
    if in_xml and octets.lstrip()[:1] == b"<":
        try:
            tree = xml_trees.parse(octets)
            forms += [xml_trees.canonicalise(tree, one) for one in rfc6283.METHODS]
        except errors.InputError:
            # Not XML after all: then its octets are what was hashed.
            forms = forms[:1]
    return lambda hash_name: [hash_trees.digest(hash_name, one) for one in forms]


def group_digest(octets: list[bytes]) -> hash_trees.DigestsOf:
    """The hash of a group of data objects: of their hashes in order (RFC 4998 4.2)."""

    def digests(name: str) -> list[bytes]:
        ordered = sorted(hash_trees.digest(name, one) for one in octets)
        return [hash_trees.digest(name, b"".join(ordered))]

    return digests


def _constant(root: bytes) -> Callable[[str], bytes]:
    return lambda _: root
