"""Certification paths, and what they are worth at a time (RFC 5280 6.1, EN 319 102-1 5.2.6).

A path is judged at one moment in the shell model: every certificate below the anchor must be
valid then, and its status known.
"""

import dataclasses
import datetime
import enum
from collections.abc import Iterator

from cryptography import exceptions, x509

from pki import certificates
from signing_service import trust
from signing_service.validation import evidence as evidence_module
from signing_service.validation import report

MAX_LENGTH = 8
"""Certificates in a path; national hierarchies have three or four."""
MAX_CANDIDATES = 200
"""Certificates looked at in search of one path, so that a tangle of cross-certificates ends."""

_UNDERSTOOD = frozenset(
    {
        x509.BasicConstraints.oid,
        x509.KeyUsage.oid,
        x509.ExtendedKeyUsage.oid,
        x509.CertificatePolicies.oid,
        x509.SubjectAlternativeName.oid,
    }
)
"""Critical extensions that are obeyed here; a path with any other is refused (RFC 5280 4.2)."""


class Role(enum.Enum):
    """Whose certificate is judged: it decides how fresh its status must be."""

    SIGNER = "signer"
    TIME_STAMPING_UNIT = "time-stamping unit"


@dataclasses.dataclass(frozen=True)
class PathVerdict:
    """What a path is worth.

    Attributes:
        path: The certificate judged first, the anchor last; empty where there is none.
        sub_indication: None for a good path.
        message: Why it is not good.
        missing: Certificates whose status is not known well enough.
        later_revoked_at: A certificate of it was revoked, but after the time it was judged at.
    """

    path: tuple[x509.Certificate, ...]
    sub_indication: report.SubIndication | None = None
    message: str = ""
    missing: tuple[evidence_module.MissingStatus, ...] = ()
    later_revoked_at: datetime.datetime | None = None


def judge(
    certificate: x509.Certificate,
    *,
    evidence: evidence_module.Evidence,
    anchors: trust.TrustAnchors,
    at: datetime.datetime,
    role: Role,
    proven: bool,
) -> PathVerdict:
    """Find a path from a certificate to an anchor and judge it at a time.

    Args:
        certificate: The one to judge.
        evidence: Issuers and statuses; nothing else is consulted.
        anchors: Where a path may end.
        at: The moment judged: the best signature time, or the time of a token.
        role: The signer's status must be stated no earlier than `at` when that is a proven time
            (EN 319 102-1 5.2.5); authorities' statuses are published ahead and must be in force.
        proven: `at` is proved by a time stamp, and is not merely the present.
    """
    best: PathVerdict | None = None
    for path in _paths(certificate, evidence, anchors):
        verdict = _judge_path(path, evidence, at, role, proven)
        if verdict.sub_indication is None:
            return verdict
        best = best or verdict
    return best or PathVerdict(
        (),
        report.SubIndication.NO_CERTIFICATE_CHAIN_FOUND,
        "no path leads from the certificate to a trust anchor",
    )


def _paths(
    certificate: x509.Certificate,
    evidence: evidence_module.Evidence,
    anchors: trust.TrustAnchors,
) -> Iterator[tuple[x509.Certificate, ...]]:
    """All paths to an anchor, shortest decisions first."""
    budget = MAX_CANDIDATES
    open_paths: list[tuple[x509.Certificate, ...]] = [(certificate,)]
    while open_paths and budget > 0:
        path = open_paths.pop()
        if path[-1] in anchors:
            yield path
            continue
        if len(path) >= MAX_LENGTH:
            continue
        for issuer in evidence.issuers_of(path[-1], anchors.certificates):
            budget -= 1
            if issuer not in path:
                open_paths.append((*path, issuer))


def _judge_path(
    path: tuple[x509.Certificate, ...],
    evidence: evidence_module.Evidence,
    at: datetime.datetime,
    role: Role,
    proven: bool,
) -> PathVerdict:
    for depth, certificate in enumerate(path[:-1]):
        problem = _constraint_problem(certificate, depth)
        if problem:
            return PathVerdict(path, report.SubIndication.CHAIN_CONSTRAINTS_FAILURE, problem)
    missing = []
    outside = None
    later: datetime.datetime | None = None
    for depth, certificate in enumerate(path[:-1]):
        issuer = path[depth + 1]
        if not certificate.not_valid_before_utc <= at <= certificate.not_valid_after_utc:
            outside = outside or certificate
        statuses = evidence.statuses(certificate, issuer)
        revoked = [one for one in statuses if one.revoked_at is not None]
        early = [one for one in revoked if one.revoked_at is not None and one.revoked_at <= at]
        if early:
            return PathVerdict(
                path,
                report.SubIndication.REVOKED_CA_NO_POE
                if depth
                else report.SubIndication.REVOKED_NO_POE,
                f"the {'issuer' if depth else role.value}'s certificate was revoked at"
                f" {early[0].revoked_at:%Y-%m-%dT%H:%M:%SZ} and nothing proves that the signature"
                " was there before",
            )
        for one in revoked:
            later = one.revoked_at if later is None else min(later, one.revoked_at or later)
        strict = proven and depth == 0 and role is Role.SIGNER
        if not any(_is_sufficient(one, certificate, at, strict) for one in statuses):
            missing.append(
                evidence_module.MissingStatus(
                    certificates.to_der(certificate), certificates.to_der(issuer)
                )
            )
    if outside is not None:
        known = (
            report.SubIndication.OUT_OF_BOUNDS_NO_POE
            if missing
            else report.SubIndication.OUT_OF_BOUNDS_NOT_REVOKED
        )
        return PathVerdict(
            path,
            known,
            f"a certificate of the path is not valid at {at:%Y-%m-%dT%H:%M:%SZ} and nothing proves"
            " that the signature was there while it was",
            tuple(missing),
        )
    if missing:
        return PathVerdict(
            path,
            report.SubIndication.TRY_LATER,
            f"the status of {len(missing)} certificate(s) of the path is not known for"
            f" {at:%Y-%m-%dT%H:%M:%SZ}",
            tuple(missing),
        )
    return PathVerdict(path, later_revoked_at=later)


def _is_sufficient(
    status: evidence_module.Status,
    certificate: x509.Certificate,
    at: datetime.datetime,
    strict: bool,
) -> bool:
    # A source may forget a certificate once it has expired (RFC 6960 4.4.4).
    if status.this_update > certificate.not_valid_after_utc and not status.covers_expired:
        return False
    return status.this_update >= at if strict else status.is_in_force(at)


def _constraint_problem(certificate: x509.Certificate, depth: int) -> str | None:
    """What forbids a certificate its place in the path; `depth` 0 is the one judged."""
    try:
        extensions = certificate.extensions
        unknown = [one.oid for one in extensions if one.critical and one.oid not in _UNDERSTOOD]
        if unknown:
            return f"a certificate has the critical extension {unknown[0].dotted_string}"
        if depth == 0:
            return None
        constraints = extensions.get_extension_for_class(x509.BasicConstraints).value
        usage = extensions.get_extension_for_class(x509.KeyUsage).value
    except x509.ExtensionNotFound:
        return "an issuer's certificate does not say that it may issue"
    except (ValueError, TypeError, x509.DuplicateExtension, exceptions.UnsupportedAlgorithm):
        return "a certificate of the path has an extension that cannot be read"
    if not constraints.ca or not usage.key_cert_sign:
        return "an issuer's certificate does not allow it to issue"
    # RFC 5280 4.2.1.9: the certificates between this issuer and the last certificate.
    if constraints.path_length is not None and depth - 1 > constraints.path_length:
        return "the path is longer than an issuer's certificate allows"
    return None
