"""The level of a PAdES signature, by what is really present (EN 319 142-1 6)."""

import dataclasses
from collections.abc import Collection, Sequence

from cryptography import x509

from signing_service.validation import evidence
from signing_service.validation.cms import cms_signature

MAX_PATH = 10
"""Certificates of one path that are looked at."""

CADES_SUBFILTER = "/ETSI.CAdES.detached"


@dataclasses.dataclass(frozen=True)
class Container:
    """What a signature dictionary says that a level depends on.

    Attributes:
        subfilter: The kind of the signature.
        has_time: There is an entry M.
        has_reason: There is an entry Reason.
    """

    subfilter: str
    has_time: bool
    has_reason: bool


@dataclasses.dataclass(frozen=True)
class LaterTimeStamp:
    """A document time stamp that covers the signature; whether it is intact is told elsewhere.

    Attributes:
        certificate: Of its unit.
        after_evidence: It covers a security store.
    """

    certificate: x509.Certificate | None
    after_evidence: bool


def level(
    container: Container,
    message: cms_signature.Message,
    own: Collection[x509.Certificate],
    later: Sequence[LaterTimeStamp],
    known: evidence.Evidence,
    *,
    has_security_store: bool,
) -> str:
    """Name the level of a signature.

    Args:
        container: Its dictionary.
        message: The CMS.
        own: Certificates of the units of its own signature time stamps.
        later: The document time stamps that cover it.
        known: What the document carries.
        has_security_store: There is a DSS dictionary.
    """
    if container.subfilter != CADES_SUBFILTER:
        return "PDF-NOT-ETSI"
    names = message.attribute_names
    bound = {"signing_certificate_v2", "signing_certificate"} & names
    if not bound:
        return "PDF-NOT-ETSI"
    reached = "B"
    if message.time_stamp_tokens() or later:
        reached = "T"
        certificate = message.certificate
        first = [one.certificate for one in later if not one.after_evidence]
        units = [one for one in (*own, *first) if one is not None]
        if (
            has_security_store
            and certificate is not None
            and has_statuses(certificate, units, known)
        ):
            reached = "LT"
            # The time stamp that makes it T and the one over the evidence are two.
            archived = any(one.after_evidence for one in later)
            if archived and len(message.time_stamp_tokens()) + len(later) > 1:
                reached = "LTA"
    if _is_baseline(container, message):
        return f"PAdES-BASELINE-{reached}"
    if reached in ("LT", "LTA"):
        return "PAdES-LTV"
    return "PAdES-EPES" if "signature_policy_identifier" in names else "PAdES-BES"


def _is_baseline(container: Container, message: cms_signature.Message) -> bool:
    """The requirements of EN 319 142-1 6.3 that can be seen in the signature."""
    names = message.attribute_names
    # The time is said by M, never by a signing-time attribute.
    if not container.has_time or "signing_time" in names:
        return False
    # What the signer means by it is said once: by Reason, or by attributes.
    if container.has_reason and {"commitment_type", "signature_policy_identifier"} & names:
        return False
    return {"content_type", "message_digest"} <= names


def has_statuses(
    certificate: x509.Certificate, units: Sequence[x509.Certificate], known: evidence.Evidence
) -> bool:
    """Whether a document carries the statuses that its store is for (EN 319 142-1 6.3, LT).

    The signer's is always needed. Which others are, depends on whom the maker of the store
    trusted, and the store itself shows that: without the status of any authority these were
    trusted themselves, as a trusted list has it, and so were the time-stamping units. With one the
    paths went on, and each unit whose issuer is in the document needs a status too.

    Args:
        certificate: The signer's.
        units: Those of the time stamps that the store came after.
        known: What the document carries.
    """
    if not known.mentions(certificate):
        return False
    if not any(known.mentions(one) for one in _authorities(certificate, known)):
        return True
    return all(known.mentions(unit) for unit in units if known.issuers_of(unit, ()))


def _authorities(certificate: x509.Certificate, known: evidence.Evidence) -> list[x509.Certificate]:
    """The certificates above one that are in the document, without one that certifies itself."""
    found: list[x509.Certificate] = []
    for _ in range(MAX_PATH):
        issuers = known.issuers_of(certificate, ())
        if not issuers or issuers[0].issuer == issuers[0].subject:
            break
        certificate = issuers[0]
        found.append(certificate)
    return found
