"""Certification paths, and what they are worth at a time (RFC 5280 6.1, EN 319 102-1 5.2.6).

A path is judged at one moment in the shell model: every certificate below the anchor must be
valid then, and its status known.
"""

import dataclasses
import datetime
import enum
from collections.abc import Iterator, Sequence

from cryptography import x509

from pki import certificates
from signing_service import trust
from signing_service.validation import evidence as evidence_module
from signing_service.validation import policy, report
from signing_service.validation.certificates import certificate_status, path_constraints

MAX_LENGTH = 8
"""Certificates in a path; national hierarchies have three or four."""
MAX_CANDIDATES = 200
"""Certificates looked at in search of one path, so that a tangle of cross-certificates ends."""


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
        missing: Certificates whose status is not known well enough, or should be asked for again.
        later_revoked_at: A certificate of it was revoked, but after the time it was judged at.
        revoked_at: The certificate judged was revoked for good, whenever that was.
        invalid_since: Its issuer says that it was doubtful from then on, which is before the time
            it was judged at.
    """

    path: tuple[x509.Certificate, ...]
    sub_indication: report.SubIndication | None = None
    message: str = ""
    missing: tuple[evidence_module.MissingStatus, ...] = ()
    later_revoked_at: datetime.datetime | None = None
    revoked_at: datetime.datetime | None = None
    invalid_since: datetime.datetime | None = None


def judge(
    certificate: x509.Certificate,
    *,
    evidence: evidence_module.Evidence,
    anchors: trust.TrustAnchors,
    at: datetime.datetime,
    role: Role,
    proven: bool,
    until: datetime.datetime | None = None,
    asked_at: datetime.datetime | None = None,
    rules: policy.ValidationPolicy = policy.DEFAULT,
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
        until: By when what was signed is known to exist, where that is later than `at`: the
            path must be known to have held until then. A token's own time is its authority's
            word, which counts only as long as nobody else could have written it.
        asked_at: When authorities were asked, which must then have answered for `until`, or for
            this time if it is earlier: nobody knows the future. None: nobody was asked, and what
            the document carries has to do for `at`; `missing` names what is older than `until`.
        rules: Which algorithms may be relied on.
    """
    end = at if until is None else max(at, until)
    known = at if asked_at is None else max(at, min(end, asked_at))
    moment = _Moment(at, end, known, role, proven, asked_at is not None)
    best: PathVerdict | None = None
    for path in _paths(certificate, evidence, anchors):
        verdict = _judge_path(path, evidence, moment, rules)
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


@dataclasses.dataclass(frozen=True)
class _Moment:
    """When a path must have held: valid and not revoked from `at` until `until`.

    Attributes:
        known: Until when statuses have to be known.
        asked: Authorities were asked.
    """

    at: datetime.datetime
    until: datetime.datetime
    known: datetime.datetime
    role: Role
    proven: bool
    asked: bool

    def leaves_a_question(self, statuses: Sequence[certificate_status.Status]) -> bool:
        """Whether authorities may know better than what travels with an unproven signature.

        Whoever made it chose what travels with it: the last good word before a revocation holds
        on for days (EN 319 102-1 5.2.5).
        """
        if self.proven or self.asked or self.role is not Role.SIGNER:
            return False
        return all(one.this_update < self.until for one in statuses)

    def is_sufficient(
        self,
        status: certificate_status.Status,
        certificate: x509.Certificate,
        depth: int,
        until: datetime.datetime,
    ) -> bool:
        """Whether a statement says enough about a certificate of the path until a time."""
        # A source may forget a certificate once it has expired (RFC 6960 4.4.4).
        if status.this_update > certificate.not_valid_after_utc and not status.covers_expired:
            return False
        if self.proven and depth == 0 and self.role is Role.SIGNER:
            return status.this_update >= self.at
        return status.is_in_force(until)


def _judge_path(
    path: tuple[x509.Certificate, ...],
    evidence: evidence_module.Evidence,
    moment: _Moment,
    rules: policy.ValidationPolicy,
) -> PathVerdict:
    problem = path_constraints.find_problem(path)
    if problem:
        return PathVerdict(path, report.SubIndication.CHAIN_CONSTRAINTS_FAILURE, problem)
    # What a token says of its own time is no proof that its unit's certificates are as old as that
    # (EN 319 102-1 5.6.2.2): who forges one of them today writes the token's time as well.
    weakness = path_constraints.find_weakness(path, rules, moment.until)
    if weakness:
        return PathVerdict(path, report.SubIndication.CRYPTO_CONSTRAINTS_FAILURE_NO_POE, weakness)
    missing = []
    asked_again = []
    unknown = 0
    outside = None
    revocations: list[certificate_status.Status] = []
    for depth, certificate in enumerate(path[:-1]):
        if not (
            certificate.not_valid_before_utc <= moment.at
            and moment.until <= certificate.not_valid_after_utc
        ):
            outside = outside or certificate
        issuer = path[depth + 1]
        statuses = evidence.statuses(certificate, issuer)
        revoked = revocation(statuses)
        if revoked is not None:
            early = _early(path, depth, revoked, moment)
            if early is not None:
                return early
            revocations.append(revoked)
        if not any(moment.is_sufficient(one, certificate, depth, moment.known) for one in statuses):
            unknown += 1
        need = evidence_module.MissingStatus(
            certificates.to_der(certificate), certificates.to_der(issuer)
        )
        if not any(moment.is_sufficient(one, certificate, depth, moment.until) for one in statuses):
            missing.append(need)
        elif moment.leaves_a_question(statuses):
            asked_again.append(dataclasses.replace(need, is_doubted=True))
    if outside is not None:
        return _outside(path, outside, moment, tuple(missing))
    if unknown:
        return PathVerdict(
            path,
            report.SubIndication.TRY_LATER,
            f"the status of {unknown} certificate(s) of the path is not known for"
            f" {moment.known:%Y-%m-%dT%H:%M:%SZ}",
            (*missing, *asked_again),
        )
    return PathVerdict(
        path,
        missing=(*missing, *asked_again),
        later_revoked_at=min(
            (one.revoked_at for one in revocations if one.revoked_at is not None), default=None
        ),
        invalid_since=min(
            (
                one.invalid_since
                for one in revocations
                if one.invalid_since is not None and one.invalid_since <= moment.at
            ),
            default=None,
        ),
    )


def revocation(statuses: Sequence[certificate_status.Status]) -> certificate_status.Status | None:
    """The revocation that counts: a final one, or else a hold that no later statement lifted."""
    revoked = [one for one in statuses if one.revoked_at is not None]
    final = [one for one in revoked if one.reason != certificate_status.HOLD]
    if final:
        # RFC 5280 5.3.1: only a hold can be taken back. The earliest date is the careful one.
        return min(final, key=lambda one: one.revoked_at or one.this_update)
    newest = max((one.this_update for one in statuses), default=None)
    held = [one for one in revoked if one.this_update == newest]
    return min(held, key=lambda one: one.revoked_at or one.this_update, default=None)


def _early(
    path: tuple[x509.Certificate, ...],
    depth: int,
    revoked: certificate_status.Status,
    moment: _Moment,
) -> PathVerdict | None:
    """The verdict where a revocation came first, or None where it came too late to matter."""
    revoked_at = revoked.revoked_at
    if revoked_at is None or revoked_at > moment.until:
        return None
    if (
        moment.role is Role.TIME_STAMPING_UNIT
        and depth == 0
        and revoked.is_planned
        and revoked_at > moment.at
    ):
        # RFC 3161 4: with these reasons the key is not compromised, and tokens from before stay
        # valid; without a reason, or with another one, all tokens are invalid.
        return None
    whose = "issuer" if depth else moment.role.value
    when = f"{revoked_at:%Y-%m-%dT%H:%M:%SZ}"
    if revoked.reason == certificate_status.HOLD:
        # EN 319 102-1 5.2.6.4: a hold may yet be lifted.
        return PathVerdict(
            path,
            report.SubIndication.TRY_LATER,
            f"the {whose}'s certificate is on hold since {when}",
        )
    return PathVerdict(
        path,
        report.SubIndication.REVOKED_CA_NO_POE if depth else report.SubIndication.REVOKED_NO_POE,
        f"the {whose}'s certificate was revoked at {when} and nothing proves that the signature"
        " was there before",
        revoked_at=None if depth else revoked_at,
    )


def _outside(
    path: tuple[x509.Certificate, ...],
    outside: x509.Certificate,
    moment: _Moment,
    missing: tuple[evidence_module.MissingStatus, ...],
) -> PathVerdict:
    """The verdict where a certificate was not valid at the time."""
    if moment.proven and outside is path[0] and outside.not_valid_before_utc > moment.at:
        # EN 319 102-1 5.5.4: no certificate signs before it is issued.
        return PathVerdict(
            path,
            report.SubIndication.NOT_YET_VALID,
            f"the signature existed at {moment.at:%Y-%m-%dT%H:%M:%SZ}, before its certificate",
        )
    return PathVerdict(
        path,
        report.SubIndication.OUT_OF_BOUNDS_NO_POE
        if missing
        else report.SubIndication.OUT_OF_BOUNDS_NOT_REVOKED,
        f"a certificate of the path is not valid at {moment.until:%Y-%m-%dT%H:%M:%SZ} and nothing"
        " proves that the signature was there while it was",
        missing,
    )
