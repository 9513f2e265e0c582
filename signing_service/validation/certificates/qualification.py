"""Whether what passed is a qualified signature, by trusted list and certificate (TS 119 615).

A certificate is qualified because the law says so, and a trusted list tells which authority it says
so of, and since when. What the certificate says of itself counts only where the list lets it.
"""

import dataclasses
import datetime
from collections.abc import Sequence

from cryptography import x509

from pki import certificates, oids
from signing_service.lists import listed_services
from signing_service.validation import report
from signing_service.validation.certificates import judged_certificate

EIDAS = datetime.datetime(2016, 7, 1, tzinfo=datetime.UTC)
"""Since when Regulation (EU) No 910/2014 applies; lists had other good statuses before."""

NO_LIST = "no-trusted-list"
"""The note of a certificate that was not judged, for want of a list."""

_GOOD = frozenset({listed_services.GRANTED})
_GOOD_BEFORE_EIDAS = frozenset(
    f"http://uri.etsi.org/TrstSvc/TrustedList/Svcstatus/{one}"
    for one in ("undersupervision", "supervisionincessation", "accredited")
)

_TYPES = {
    oids.QC_TYPE_ESIGN: "ForeSignatures",
    oids.QC_TYPE_ESEAL: "ForeSeals",
}
_IN_LISTS = {"GB": "UK", "GR": "EL"}
"""Countries that lists call otherwise than ISO 3166 (TS 119 612 5.3.10)."""
_BY_QUALIFIER = {"QCForESig": "ForeSignatures", "QCForESeal": "ForeSeals"}
_WITH_DEVICE = frozenset({"QCWithQSCD", "QCWithSSCD", "QCQSCDManagedOnBehalf"})
_WITHOUT_DEVICE = frozenset({"QCNoQSCD", "QCNoSSCD"})


@dataclasses.dataclass(frozen=True)
class Verdict:
    """What a passed signature is.

    Attributes:
        value: As the contract has it: `QESig`, `QESeal`, `AdESig-QC`, `AdESeal-QC`, `AdESig`.
        note: Why it is not more; None where it is all that it can be.
    """

    value: str
    note: report.Finding | None = None


@dataclasses.dataclass(frozen=True)
class CertificateVerdict:
    """What a certificate is by the trusted lists.

    Attributes:
        purpose: `ForeSignatures` or `ForeSeals`; None: it is not qualified, or that is not known.
        secure_device: Its key is in a qualified device.
        note: Why it is not qualified; None where it is.
    """

    purpose: str | None
    secure_device: bool = False
    note: report.Finding | None = None


@dataclasses.dataclass(frozen=True)
class _State:
    """What is true of a certificate at a time: for what it is qualified, and its key's device."""

    purpose: str
    secure_device: bool


def judge(
    path: Sequence[x509.Certificate],
    services: Sequence[listed_services.ListedService],
    at: datetime.datetime,
) -> Verdict:
    """Say what a signature is that passed; arguments as of `judge_certificate`."""
    certificate = judge_certificate(path, services, at)
    if certificate.purpose is None:
        return Verdict("AdESig", certificate.note)
    seal = certificate.purpose == "ForeSeals"
    if certificate.secure_device:
        return Verdict("QESeal" if seal else "QESig")
    return Verdict(
        "AdESeal-QC" if seal else "AdESig-QC",
        _note("no-qualified-device", "the key is not said to be in a qualified device"),
    )


def judge_certificate(
    path: Sequence[x509.Certificate],
    services: Sequence[listed_services.ListedService],
    at: datetime.datetime,
) -> CertificateVerdict:
    """Say whether a certificate is qualified, and for what.

    It must have been qualified when it was issued and at the time that is asked about
    (TS 119 615 4.4), and its key in a qualified device at that time (4.5).

    Args:
        path: Of the certificate, which comes first.
        services: Those of the trusted lists in use.
        at: The best signature time, or the present.
    """
    facts = judged_certificate.facts(path[0])
    if facts is None:
        return _none("certificate-unreadable", "the certificate cannot be read")
    if not services:
        return _none(
            NO_LIST, "whether the certificate is qualified was not judged: no trusted list"
        )
    known = {certificates.to_der(one) for one in path[1:]}
    vouching = [
        one
        for one in services
        if one.kind == listed_services.CA_QC and known.intersection(one.certificates_der)
    ]
    if not vouching:
        return _none("not-listed", "no trusted list names an authority of the certificate's path")
    problems = []
    for service in vouching:
        issued = _state(facts, service, facts.not_before)
        signed = _state(facts, service, at)
        if isinstance(issued, report.Finding):
            problems.append(issued)
        elif isinstance(signed, report.Finding):
            problems.append(signed)
        elif issued.purpose != signed.purpose:
            problems.append(
                _note("purpose-changed", "the list's word on what the certificate is for changed")
            )
        else:
            return CertificateVerdict(signed.purpose, signed.secure_device)
    return CertificateVerdict(None, note=problems[0])


def _state(
    facts: certificates.CertificateFacts,
    service: listed_services.ListedService,
    at: datetime.datetime,
) -> _State | report.Finding:
    """What the list and the certificate together say for a time, or why they say nothing."""
    period = service.at(at)
    good = _GOOD if at >= EIDAS else _GOOD | _GOOD_BEFORE_EIDAS
    if period is None or period.status not in good:
        status = "was not listed" if period is None else f"was {period.status.rpartition('/')[2]}"
        return _note("service-not-granted", f"the authority {status} at {at:%Y-%m-%dT%H:%M:%SZ}")
    qualifiers: set[str] = set()
    for one in period.qualifications:
        meant = one.criteria.match(facts)
        if meant is None:
            return _note(
                "criteria-unknown", "the trusted list has criteria that cannot be judged here"
            )
        if meant:
            qualifiers |= one.qualifiers
    if _contradict(qualifiers):
        return _note("qualifiers-contradict", "the trusted list contradicts itself")
    if "NotQualified" in qualifiers or not (
        facts.qualified.compliance or "QCStatement" in qualifiers
    ):
        return _note("not-qualified", "the certificate is not a qualified one")
    if not _is_under_its_law(facts, service):
        return _note("other-legislation", "the certificate is qualified by another country's law")
    purposes = _purposes(facts, qualifiers)
    if len(purposes) != 1:
        return _note(
            "purpose-unclear", "the certificate is not clearly for signatures, or clearly for seals"
        )
    (purpose,) = purposes
    named = period.additional & frozenset(_TYPES.values())
    if named and purpose not in named:
        return _note("purpose-not-listed", "the authority is not listed for such certificates")
    return _State(purpose, _in_device(facts, qualifiers))


def _is_under_its_law(
    facts: certificates.CertificateFacts, service: listed_services.ListedService
) -> bool:
    """Whether the law that a certificate names, if it does, is that of the list's country.

    QcCClegislation names countries outside the Union (EN 319 412-5 4.2.4); one list says nothing
    of what is qualified elsewhere.
    """
    named = {_IN_LISTS.get(one.upper(), one.upper()) for one in facts.qualified.legislation}
    return not named or not service.territory or service.territory.upper() in named


def _purposes(facts: certificates.CertificateFacts, qualifiers: set[str]) -> set[str]:
    """What it is for: the list's word, else the certificate's; one that is silent is for signing.

    QcType is optional for certificates for electronic signatures (EN 319 412-5 4.2.3).
    """
    by_list = {_BY_QUALIFIER[one] for one in qualifiers if one in _BY_QUALIFIER}
    if by_list:
        return by_list
    if "QCForWSA" in qualifiers:
        return set()
    said = facts.qualified.types
    return {_TYPES.get(one, "other") for one in said} if said else {"ForeSignatures"}


def _in_device(facts: certificates.CertificateFacts, qualifiers: set[str]) -> bool:
    if qualifiers & _WITH_DEVICE:
        return True
    if qualifiers & _WITHOUT_DEVICE:
        return False
    return facts.qualified.secure_device


def _contradict(qualifiers: set[str]) -> bool:
    return bool(
        (qualifiers & _WITH_DEVICE and qualifiers & _WITHOUT_DEVICE)
        or {"NotQualified", "QCStatement"} <= qualifiers
    )


def _none(code: str, message: str) -> CertificateVerdict:
    return CertificateVerdict(None, note=_note(code, message))


def _note(code: str, message: str) -> report.Finding:
    return report.Finding(code, message)
