"""The services of a trusted list, their history, and what it says of certificates (TS 119 612).

Read here, believed nowhere: `signing_service.lists.trusted_lists` says which list is authentic.
"""

import dataclasses
import datetime
from collections.abc import Iterator

from cryptography import x509
from lxml import etree

from pki import certificates, errors, xml_trees

TSL = "http://uri.etsi.org/02231/v2#"
SIE = "http://uri.etsi.org/TrstSvc/SvcInfoExt/eSigDir-1999-93-EC-TrustedList/#"
_XADES = "http://uri.etsi.org/01903/v1.3.2#"

CA_QC = "http://uri.etsi.org/TrstSvc/Svctype/CA/QC"
QTST = "http://uri.etsi.org/TrstSvc/Svctype/TSA/QTST"
GRANTED = "http://uri.etsi.org/TrstSvc/TrustedList/Svcstatus/granted"
EXTENSIONS = "http://uri.etsi.org/TrstSvc/TrustedList/SvcInfoExt/"
"""What the addresses of qualifiers (5.5.9.2.3) and of additional information begin with."""

MAX_PERIODS = 200
"""Changes of one service's status; the longest history in Europe has some twenty."""
MAX_CRITERIA_DEPTH = 8
"""Lists of criteria within lists of criteria; real ones have two."""


class TrustedListError(errors.InputError):
    """Not a trusted list, or one that breaks TS 119 612 where it matters."""

    code = "trusted-list-unreadable"


@dataclasses.dataclass(frozen=True)
class Criteria:
    """Which certificates a qualifier is about (5.5.9.2.2).

    Attributes:
        asserted: `all`, `atLeastOne` or `none` of what follows holds.
        key_usages: In each, the bits by name and whether they are set.
        policies: In each, object identifiers that are all there.
        nested: More of the same.
        understood: False where something else is asked for, which cannot be judged here.
    """

    asserted: str
    key_usages: tuple[tuple[tuple[str, bool], ...], ...] = ()
    policies: tuple[frozenset[str], ...] = ()
    nested: tuple["Criteria", ...] = ()
    understood: bool = True

    def match(self, facts: certificates.CertificateFacts) -> bool | None:
        """Whether a certificate is meant; None where that cannot be said."""
        if not self.understood:
            return None
        usages = {one.name for one in facts.key_usage}
        found = [
            *(all((name in usages) is wanted for name, wanted in one)
              for one in self.key_usages),
            *(one <= set(facts.policies) for one in self.policies),
            *(one.match(facts) for one in self.nested),
        ]  # fmt: skip
        if None in found:
            return None
        if self.asserted == "all":
            return all(found)
        return any(found) is (self.asserted == "atLeastOne")


@dataclasses.dataclass(frozen=True)
class Qualification:
    """What is said of the certificates that meet the criteria.

    Attributes:
        qualifiers: Such as `QCForESeal`, `QCWithQSCD`, `NotQualified`.
    """

    qualifiers: frozenset[str]
    criteria: Criteria


@dataclasses.dataclass(frozen=True)
class ServicePeriod:
    """A status, since when, and what was said of the service then.

    Attributes:
        additional: Such as `ForeSignatures`; empty where nothing is said.
    """

    since: datetime.datetime
    status: str
    additional: frozenset[str] = frozenset()
    qualifications: tuple[Qualification, ...] = ()


@dataclasses.dataclass(frozen=True)
class ListedService:
    """One service of a list.

    Attributes:
        kind: Its type's address.
        certificates_der: Of its key; empty for services that vouch for no signature.
        periods: The present one first.
        territory: Of the scheme whose list it is in, or empty.
    """

    kind: str
    certificates_der: tuple[bytes, ...]
    periods: tuple[ServicePeriod, ...]
    territory: str = ""

    @property
    def status(self) -> str:
        """The present one."""
        return self.periods[0].status

    @property
    def since(self) -> datetime.datetime:
        """Since when it has the present one."""
        return self.periods[0].since

    @property
    def certificates(self) -> tuple[x509.Certificate, ...]:
        """Those of its key."""
        return tuple(certificates.parse(one) for one in self.certificates_der)

    def at(self, moment: datetime.datetime) -> ServicePeriod | None:
        """Return what was true at a time; None before the service began."""
        return next((one for one in self.periods if one.since <= moment), None)


def read(service: etree._Element) -> ListedService:
    """Read a TSPService with its history.

    Raises:
        TrustedListError: It breaks TS 119 612.
        XMLSignatureError: A part is missing, or there twice.
    """
    information = xml_trees.child(service, _name("ServiceInformation"))
    kind = text(information, "ServiceTypeIdentifier")
    identity = xml_trees.child(information, _name("ServiceDigitalIdentity"))
    # Certificates of services that can become no anchor are left alone: some cannot be read.
    holders = identity.iter(_name("X509Certificate")) if kind in (CA_QC, QTST) else ()
    periods = [_period(information)]
    history = service.find(_name("ServiceHistory"))
    if history is not None:
        # A service may have been of another kind before: what was said then is about that one.
        periods += [
            _period(one)
            for one in history.iterfind(_name("ServiceHistoryInstance"))
            if text(one, "ServiceTypeIdentifier") == kind
        ]
    if len(periods) > MAX_PERIODS:
        raise TrustedListError(f"expected at most {MAX_PERIODS} statuses of one service")
    return ListedService(
        kind,
        tuple(found for one in holders if (found := certificate_der(one)) is not None),
        tuple(sorted(periods, key=lambda one: one.since, reverse=True)),
    )


def text(parent: etree._Element, local: str) -> str:
    """Return the text of the one child of that name."""
    found = xml_trees.read_text(xml_trees.child(parent, _name(local)))
    if not found:
        raise TrustedListError(f"expected a {local} in the trusted list, got none")
    return found


def moment(found: str) -> datetime.datetime:
    """Read a time, which must name its zone."""
    try:
        at = datetime.datetime.fromisoformat(found)
    except ValueError as error:
        raise TrustedListError(
            f"expected a date and time in the trusted list, got {found[:40]!r}"
        ) from error
    if at.tzinfo is None:
        raise TrustedListError("expected times in UTC in the trusted list, got one without a zone")
    try:
        return at.astimezone(datetime.UTC)
    except OverflowError as error:
        raise TrustedListError("expected a time that exists in UTC in the trusted list") from error


def certificate_der(holder: etree._Element) -> bytes | None:
    """Return an X509Certificate's content; None where it cannot be read: it becomes no anchor."""
    try:
        return certificates.to_der(certificates.parse(xml_trees.read_base64(holder)))
    except certificates.CertificateError:
        return None


def _period(information: etree._Element) -> ServicePeriod:
    additional: set[str] = set()
    qualifications: list[Qualification] = []
    for extension in _extensions(information):
        for one in extension.iterfind(_name("AdditionalServiceInformation")):
            additional.add(text(one, "URI").removeprefix(EXTENSIONS))
        for one in extension.iterfind(f"{{{SIE}}}Qualifications"):
            qualifications += map(_qualification, one.iterfind(f"{{{SIE}}}QualificationElement"))
    return ServicePeriod(
        moment(text(information, "StatusStartingTime")),
        text(information, "ServiceStatus"),
        frozenset(additional),
        tuple(qualifications),
    )


def _extensions(information: etree._Element) -> Iterator[etree._Element]:
    holder = information.find(_name("ServiceInformationExtensions"))
    if holder is not None:
        yield from holder.iterfind(_name("Extension"))


def _qualification(element: etree._Element) -> Qualification:
    holder = xml_trees.child(element, f"{{{SIE}}}Qualifiers")
    named = (one.get("uri", "") for one in holder.iterfind(f"{{{SIE}}}Qualifier"))
    criteria = xml_trees.child(element, f"{{{SIE}}}CriteriaList")
    return Qualification(
        frozenset(one.removeprefix(EXTENSIONS) for one in named), _criteria(criteria, 1)
    )


def _criteria(element: etree._Element, depth: int) -> Criteria:
    if depth > MAX_CRITERIA_DEPTH:
        raise TrustedListError("expected lists of criteria that are nested less deeply")
    known = {f"{{{SIE}}}{one}" for one in ("KeyUsage", "PolicySet", "CriteriaList", "Description")}
    asserted = element.get("assert", "all")
    policies, policies_understood = _policies(element)
    return Criteria(
        asserted,
        tuple(_key_usage(one) for one in element.iterfind(f"{{{SIE}}}KeyUsage")),
        policies,
        tuple(_criteria(one, depth + 1) for one in element.iterfind(f"{{{SIE}}}CriteriaList")),
        understood=policies_understood
        and asserted in {"all", "atLeastOne", "none"}
        and all(one.tag in known for one in element.iterchildren("*")),
    )


def _key_usage(element: etree._Element) -> tuple[tuple[str, bool], ...]:
    return tuple(
        # The schema's name of the bit that certificates' readers call cRLSign.
        ({"crlSign": "cRLSign"}.get(name := one.get("name", ""), name),
         xml_trees.read_text(one) in {"true", "1"})
        for one in element.iterfind(f"{{{SIE}}}KeyUsageBit")
    )  # fmt: skip


def _policies(element: etree._Element) -> tuple[tuple[frozenset[str], ...], bool]:
    """The sets of policies, and whether all of them are named by object identifiers."""
    sets = []
    understood = True
    for one in element.iterfind(f"{{{SIE}}}PolicySet"):
        found = set()
        for identifier in one.iter(f"{{{_XADES}}}Identifier"):
            value = xml_trees.read_text(identifier).lower().removeprefix("urn:oid:")
            understood = understood and value.replace(".", "").isdigit()
            found.add(value)
        sets.append(frozenset(found))
    return tuple(sets), understood


def _name(local: str) -> str:
    return f"{{{TSL}}}{local}"
