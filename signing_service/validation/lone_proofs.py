"""Time-stamp tokens and evidence records handed in by themselves, over originals beside them.

Nobody signed anything in them: what is found are proofs of existence, and no signature
(RFC 3161 2.4.2, RFC 4998 3, RFC 6283 3).
"""

import contextlib
from collections.abc import Callable, Mapping

from pki import errors, originals
from signing_service.validation import evidence, findings, report
from signing_service.validation.cms import time_stamp_tokens
from signing_service.validation.evidence_records import reading


def time_stamp(
    token: bytes, detached: Mapping[str, originals.Original]
) -> findings.FoundDocument | None:
    """Read a token; None where the bytes are something else.

    Args:
        token: CMS, in BER or DER.
        detached: Originals by their names; the token is over one of them.
    """
    try:
        read = time_stamp_tokens.read_token(token)
    except errors.LimitError:
        raise
    except errors.InputError:
        return None
    name, original = _original(read, detached)
    known = evidence.Evidence(certificates_der=read.message.certificates_der)
    stamp = findings.FoundTimeStamp(
        report.TimeStampKind.DOCUMENT,
        token,
        _digests(original),
        covers=frozenset() if name is None else frozenset({name}),
    )
    return findings.FoundDocument("CAdES", (), (stamp,), known)


def evidence_record(
    octets: bytes, name: str, detached: Mapping[str, originals.Original]
) -> findings.FoundDocument | None:
    """Check an evidence record over all originals beside it; None for bytes of another kind.

    Args:
        octets: The record, in ASN.1 or XML.
        name: What it is called.
        detached: The originals by their names.
    """
    if not reading.looks_like_record(octets):
        return None
    in_xml = reading.is_xml(octets)
    known = evidence.Evidence()
    names = tuple(detached) or (name,)
    if not detached or any(isinstance(one, originals.HashedOriginal) for one in detached.values()):
        found = reading.failed(
            None, names, "evidence-data-missing", "the documents that the record is over"
        )
    else:
        objects = {
            key: reading.digests_of(originals.octets(one), in_xml=in_xml)
            for key, one in detached.items()
        }
        found = reading.check(octets, names, objects, known)
    return findings.FoundDocument("XAdES" if in_xml else "CAdES", (), (), known, (found,))


def _original(
    token: time_stamp_tokens.Token, detached: Mapping[str, originals.Original]
) -> tuple[str | None, originals.Original | None]:
    """The original that a token is over, or the only one that it can be over."""
    for name, original in detached.items():
        # What cannot be hashed so is not the one.
        with contextlib.suppress(originals.OriginalMissingError, ValueError):
            if originals.digest(original, token.hash_name) == token.imprint:
                return name, original
    return next(iter(detached.items()), (None, None))


def _digests(original: originals.Original | None) -> Callable[[str], bytes]:
    def digest_of(name: str) -> bytes:
        if original is None:
            raise originals.OriginalMissingError("the document of the time stamp is not here")
        return originals.digest(original, name)

    return digest_of
