"""The rules that a signature has to keep, one after the other (EN 319 102-1 5.2, 5.5.4, 5.6.2.4).

The first rule that is broken decides. Each is noted as it is gone through, so that a report can
tell what was asked, and not only what was answered.
"""

import dataclasses
import datetime
from collections.abc import Sequence

from cryptography import x509

from pki import clock
from signing_service.validation import (
    building_blocks,
    evidence,
    findings,
    policy,
    processes,
    report,
    time_stamps,
)
from signing_service.validation.building_blocks import Rule
from signing_service.validation.certificates import judged_certificate, paths, qualification
from signing_service.validation.cms import foreign_keys

_OTHER_PURPOSES = frozenset(
    one.dotted_string
    for one in (
        x509.oid.ExtendedKeyUsageOID.SERVER_AUTH,
        x509.oid.ExtendedKeyUsageOID.CODE_SIGNING,
        x509.oid.ExtendedKeyUsageOID.TIME_STAMPING,
        x509.oid.ExtendedKeyUsageOID.OCSP_SIGNING,
    )
)
"""Purposes of machines; a certificate with no other one is no person's or organisation's."""


_BY_FAILURE = {
    report.SubIndication.FORMAT_FAILURE: Rule.FORMAT,
    report.SubIndication.SIGNED_DATA_NOT_FOUND: Rule.DATA_PRESENT,
    report.SubIndication.HASH_FAILURE: Rule.DIGESTS,
    report.SubIndication.SIG_CRYPTO_FAILURE: Rule.VALUE,
    report.SubIndication.CRYPTO_CONSTRAINTS_FAILURE_NO_POE: Rule.ALGORITHMS_KNOWN,
    report.SubIndication.SIG_CONSTRAINTS_FAILURE: Rule.TRANSFORMS,
}
"""Which rule a reader found broken."""

_VERIFICATION = (Rule.DATA_PRESENT, Rule.ALGORITHMS_KNOWN, Rule.DIGESTS, Rule.VALUE)
_PATH = (
    Rule.PATH_FOUND,
    Rule.PATH_CONSTRAINTS,
    Rule.PATH_ALGORITHMS,
    Rule.NOT_REVOKED,
    Rule.VALIDITY_PERIOD,
    Rule.STATUS_KNOWN,
)
"""In the order in which `paths` goes through them."""
_BY_PATH_FAILURE = {
    report.SubIndication.NO_CERTIFICATE_CHAIN_FOUND: Rule.PATH_FOUND,
    report.SubIndication.CHAIN_CONSTRAINTS_FAILURE: Rule.PATH_CONSTRAINTS,
    report.SubIndication.CRYPTO_CONSTRAINTS_FAILURE_NO_POE: Rule.PATH_ALGORITHMS,
    report.SubIndication.REVOKED_NO_POE: Rule.NOT_REVOKED,
    report.SubIndication.REVOKED_CA_NO_POE: Rule.NOT_REVOKED,
    report.SubIndication.NOT_YET_VALID: Rule.VALIDITY_PERIOD,
    report.SubIndication.OUT_OF_BOUNDS_NO_POE: Rule.VALIDITY_PERIOD,
    report.SubIndication.OUT_OF_BOUNDS_NOT_REVOKED: Rule.VALIDITY_PERIOD,
}


@dataclasses.dataclass(frozen=True)
class Outcome:
    """The first rule that is broken, or what a signature that breaks none is.

    Attributes:
        course: The rules that were gone through.
        missing: Statuses that would be needed to say more.
        path: Of the signing certificate; empty where none was found, or was looked for.
        qualified: None of a signature that did not pass: of it nothing is said.
    """

    course: building_blocks.Course
    sub_indication: report.SubIndication | None = None
    problem: report.Finding | None = None
    missing: Sequence[evidence.MissingStatus] = ()
    notes: tuple[report.Finding, ...] = ()
    path: tuple[x509.Certificate, ...] = ()
    qualified: str | None = None

    @property
    def conclusion(self) -> processes.Conclusion:
        """What a process that goes through the rules ends with."""
        return processes.Conclusion(self.sub_indication, self.problem)


@dataclasses.dataclass(frozen=True)
class _Case:
    """One signature, what is known of its time, and what it is judged with.

    Attributes:
        best: The earliest time at which it is proven to have existed, or None.
        own: Verdicts on its own time stamps.
        at: The present of this judgement.
    """

    found: findings.FoundSignature
    best: datetime.datetime | None
    own: Sequence[time_stamps.TimeStampVerdict]
    circumstances: policy.Circumstances
    at: datetime.datetime
    course: building_blocks.Course

    @property
    def judged_at(self) -> datetime.datetime:
        return self.at if self.best is None else self.best

    @property
    def made_after(self) -> datetime.datetime | None:
        """What a signature covers existed before it: the latest proven time of that."""
        return max(
            (
                one.proven_time
                for one in self.own
                if one.report.kind is report.TimeStampKind.CONTENT and one.proven_time is not None
            ),
            default=None,
        )

    def stop(
        self,
        rule: Rule,
        sub_indication: report.SubIndication,
        code: str,
        message: str,
        parameter: str | None = None,
    ) -> Outcome:
        problem = report.Finding(code, message)
        self.course.stop(rule, sub_indication, problem, parameter)
        return Outcome(self.course, sub_indication, problem)


def judge(
    found: findings.FoundSignature,
    best: datetime.datetime | None,
    own: Sequence[time_stamps.TimeStampVerdict],
    circumstances: policy.Circumstances,
    at: datetime.datetime,
) -> Outcome:
    """Go through the rules; the first that is broken decides.

    Args:
        found: The signature.
        best: The earliest time at which it is proven to have existed, or None.
        own: Verdicts on its own time stamps.
        circumstances: Evidence, trust and policy.
        at: The present of this judgement.
    """
    case = _Case(found, best, own, circumstances, at, building_blocks.Course())
    return _form(case) or _certificate(case) or _path(case)


def _form(case: _Case) -> Outcome | None:
    """What the reader of the format found: form, digests and value (5.2.2, 5.2.7)."""
    course, failure = case.course, case.found.failure
    if failure is None:
        course.keep(Rule.FORMAT)
        return None
    sub_indication, problem = failure
    rule = _BY_FAILURE.get(sub_indication, Rule.FORMAT)
    if rule is not Rule.FORMAT:
        course.keep(Rule.FORMAT)
    if rule in _VERIFICATION:
        course.keep(*_VERIFICATION[: _VERIFICATION.index(rule)])
    course.stop(rule, sub_indication, problem)
    return Outcome(course, sub_indication, problem)


def _certificate(case: _Case) -> Outcome | None:
    """Whose signature it is, and whether it was made with that key (5.2.3, 5.2.7)."""
    found, course = case.found, case.course
    if found.certificate is None:
        return case.stop(
            Rule.CERTIFICATE_PRESENT,
            report.SubIndication.NO_SIGNING_CERTIFICATE_FOUND,
            "signing-certificate-missing",
            "the signing certificate is not in the document",
        )
    course.keep(Rule.CERTIFICATE_PRESENT)
    if found.is_bound is False:
        # EN 319 102-1 5.2.3.4: a reference that names another certificate.
        return case.stop(
            Rule.CERTIFICATE_NAMED,
            report.SubIndication.NO_SIGNING_CERTIFICATE_FOUND,
            "signing-certificate-mismatch",
            "the signed attributes name another certificate than the one in the signature",
        )
    course.keep(Rule.CERTIFICATE_NAMED)
    course.keep(Rule.POLICY, parameter=case.circumstances.policy.name)
    if not found.intact:
        return case.stop(
            Rule.VALUE,
            report.SubIndication.SIG_CRYPTO_FAILURE,
            "signature-value",
            "the signature is broken",
        )
    course.keep(*_VERIFICATION)
    if case.best is not None:
        course.keep(Rule.PAST_PROOF, parameter=clock.time_text(case.best))
    used = ", ".join(sorted(found.digest_algorithms))
    weakness = case.circumstances.policy.weakness(
        foreign_keys.of_certificate(found.certificate), found.digest_algorithms, case.judged_at
    )
    if weakness:
        # EN 319 102-1 5.2.8: an earlier proof of existence could help only where there is none.
        return case.stop(
            Rule.ALGORITHMS,
            report.SubIndication.CRYPTO_CONSTRAINTS_FAILURE_NO_POE
            if case.best is None
            else report.SubIndication.CRYPTO_CONSTRAINTS_FAILURE,
            "weak-algorithm",
            weakness,
            used,
        )
    course.keep(Rule.ALGORITHMS, parameter=used)
    return None


def _path(case: _Case) -> Outcome:
    """What the signing certificate is worth at the time (5.2.6)."""
    certificate = case.found.certificate
    assert certificate is not None  # noqa: S101 - `_certificate` stops without one
    path = paths.judge(
        certificate,
        evidence=case.circumstances.evidence,
        anchors=case.circumstances.anchors,
        at=case.judged_at,
        role=paths.Role.SIGNER,
        proven=case.best is not None,
        rules=case.circumstances.policy,
    )
    if path.sub_indication is None:
        case.course.keep(*_PATH)
        accepted = _acceptance(case, certificate, path)
        return dataclasses.replace(accepted, missing=path.missing, path=path.path)
    rule = _BY_PATH_FAILURE.get(path.sub_indication, Rule.STATUS_KNOWN)
    if rule is Rule.STATUS_KNOWN and not path.missing:
        # A status that is known, and may yet change: a hold.
        rule = Rule.NOT_REVOKED
    case.course.keep(*_PATH[: _PATH.index(rule)])
    sub_indication = _sharpen(path, certificate, case.made_after)
    code = sub_indication.value.lower().replace("_", "-")
    stopped = case.stop(rule, sub_indication, code, path.message)
    return dataclasses.replace(stopped, missing=path.missing, path=path.path)


def _acceptance(case: _Case, certificate: x509.Certificate, path: paths.PathVerdict) -> Outcome:
    """What is asked of a signature whose certificate is good (5.2.8, 5.5.4)."""
    misuse = _misuse(certificate)
    if misuse is not None:
        return case.stop(
            Rule.KEY_USAGE, report.SubIndication.CHAIN_CONSTRAINTS_FAILURE, "key-usage", misuse
        )
    case.course.keep(Rule.KEY_USAGE)
    return _attributes(case) or _times(case) or _quality(case, path)


def _attributes(case: _Case) -> Outcome | None:
    """What the signature says of itself, and what it covers."""
    found, course = case.found, case.course
    if found.is_bound is None:
        return case.stop(
            Rule.CERTIFICATE_SIGNED,
            report.SubIndication.SIG_CONSTRAINTS_FAILURE,
            "signing-certificate-attribute",
            "the signature does not say by which certificate it was made",
        )
    course.keep(Rule.CERTIFICATE_SIGNED)
    if found.changes is report.Changes.UNDEFINED:
        return case.stop(
            Rule.CHANGES,
            report.SubIndication.SIG_CONSTRAINTS_FAILURE,
            "changed-after-signing",
            "the document was changed after this signature in a way a signer would not expect",
        )
    course.keep(Rule.CHANGES, parameter=found.changes.value)
    if found.scope_kind is report.ScopeKind.NONE:
        return case.stop(
            Rule.SCOPE,
            report.SubIndication.SIG_CONSTRAINTS_FAILURE,
            "nothing-covered",
            "the signature covers nothing that the document shows",
        )
    course.keep(Rule.SCOPE, parameter=found.scope_kind.value)
    return None


def _times(case: _Case) -> Outcome | None:
    """Whether the times that are said and proven go together (5.5.4)."""
    if case.best is not None and case.made_after is not None and case.made_after > case.best:
        return case.stop(
            Rule.STAMP_ORDER,
            report.SubIndication.TIMESTAMP_ORDER_FAILURE,
            "time-stamp-order",
            "a time stamp over the content is later than one over the signature",
        )
    if case.made_after is not None:
        case.course.keep(Rule.STAMP_ORDER)
    claimed = case.found.claimed_signing_time
    limit = case.judged_at + case.circumstances.policy.claimed_time_skew
    if claimed is not None and claimed > limit:
        return case.stop(
            Rule.CLAIMED_TIME,
            report.SubIndication.SIG_CONSTRAINTS_FAILURE,
            "claimed-signing-time",
            "the claimed signing time is later than the signature is proven to be",
            clock.time_text(claimed),
        )
    if claimed is not None:
        case.course.keep(Rule.CLAIMED_TIME, parameter=clock.time_text(claimed))
    return None


def _quality(case: _Case, path: paths.PathVerdict) -> Outcome:
    """What the signature is by the trusted lists, and what the policy demands of it."""
    notes = _notes(case, path)
    verdict = qualification.judge(path.path, case.circumstances.anchors.services, case.judged_at)
    if verdict.note is not None:
        notes.append(verdict.note)
    case.course.keep(Rule.QUALIFICATION, parameter=verdict.value)
    demanded = case.circumstances.policy.require_qualified
    wanted = " or ".join(demanded)
    if demanded and verdict.value not in demanded:
        return case.stop(
            Rule.QUALIFIED_DEMANDED,
            report.SubIndication.SIG_CONSTRAINTS_FAILURE,
            "not-qualified-enough",
            f"the policy demands {wanted}, and this is {verdict.value}"
            + (f": {verdict.note.message}" if verdict.note else ""),
            wanted,
        )
    if demanded:
        case.course.keep(Rule.QUALIFIED_DEMANDED, parameter=wanted)
    else:
        case.course.leave_out(Rule.QUALIFIED_DEMANDED)
    if not case.circumstances.policy.require_time_stamp:
        case.course.leave_out(Rule.STAMP_DEMANDED)
    elif case.best is None:
        return case.stop(
            Rule.STAMP_DEMANDED,
            report.SubIndication.SIG_CONSTRAINTS_FAILURE,
            "time-stamp-demanded",
            "the policy demands a time stamp that proves when the signature was there",
        )
    else:
        case.course.keep(Rule.STAMP_DEMANDED)
    return Outcome(case.course, notes=tuple(notes), qualified=verdict.value)


def _notes(case: _Case, path: paths.PathVerdict) -> list[report.Finding]:
    notes = []
    if path.later_revoked_at is not None:
        came_before = (
            "a time stamp proves that the signature came before"
            if case.best is not None
            else "nothing proves that the signature came before"
        )
        notes.append(
            report.Finding(
                "revoked-later",
                f"a certificate of the path was revoked at"
                f" {path.later_revoked_at:%Y-%m-%dT%H:%M:%SZ}; {came_before}",
            )
        )
    if path.missing and case.circumstances.asked_at is None:
        notes.append(
            report.Finding(
                "status-not-asked",
                "whether a certificate was revoked lately was not asked: what is at hand is older"
                " than the time judged",
            )
        )
    if path.invalid_since is not None:
        # Told and not judged: a revocation has no effect back in time (910/2014 28(4)).
        notes.append(
            report.Finding(
                "invalidity-date",
                "the issuer says that the key of a certificate of the path may have been in other"
                f" hands since {path.invalid_since:%Y-%m-%dT%H:%M:%SZ}, before the signature",
            )
        )
    return notes


def _sharpen(
    path: paths.PathVerdict,
    certificate: x509.Certificate,
    made_after: datetime.datetime | None,
) -> report.SubIndication:
    """Say for certain what the path leaves open, where a content time stamp shows when.

    The earliest time at which the signature can have been made is that of what it covers
    (EN 319 102-1 5.5.4).
    """
    found = path.sub_indication or report.SubIndication.TRY_LATER
    if made_after is None:
        return found
    if path.revoked_at is not None and path.revoked_at <= made_after:
        return report.SubIndication.REVOKED
    out_of_bounds = (
        report.SubIndication.OUT_OF_BOUNDS_NO_POE,
        report.SubIndication.OUT_OF_BOUNDS_NOT_REVOKED,
    )
    if found in out_of_bounds and certificate.not_valid_after_utc < made_after:
        return report.SubIndication.EXPIRED
    return found


def _misuse(certificate: x509.Certificate) -> str | None:
    """Say why a certificate is not for signing documents, or None (EN 319 412-2 4.3.2).

    A key that logs its owner in signs whatever a server sends: such a signature shows no will.
    """
    facts = judged_certificate.facts(certificate)
    if facts is None:
        return "what the certificate is for cannot be read"
    if not facts.is_for_signing:
        return "the certificate does not allow its key to sign documents (nonRepudiation)"
    purposes = set(facts.extended_key_usage)
    if purposes and purposes <= _OTHER_PURPOSES:
        return "the certificate is for another purpose than signing documents"
    return None
