"""The list as XML, unsigned: scheme, provider, services with their history (TS 119 612 5)."""

import base64
import dataclasses
import datetime
from collections.abc import Iterable, Mapping, Sequence

from cryptography import x509
from lxml import etree

from ca.trusted_list import scheme as schemes
from ca.trusted_list import services
from pki import certificates, clock, errors, person_codes, xml_signature

TSL = "http://uri.etsi.org/02231/v2#"

HISTORY_FOR_EVER = "65535"
"""TS 119 612 5.3.12: what was listed once is never removed."""

FOR_SIGNATURES = "http://uri.etsi.org/TrstSvc/TrustedList/SvcInfoExt/ForeSignatures"
FOR_SEALS = "http://uri.etsi.org/TrstSvc/TrustedList/SvcInfoExt/ForeSeals"
"""TS 119 612 5.5.9.4: the certificates are for electronic signatures."""

_LANGUAGE = "{http://www.w3.org/XML/1998/namespace}lang"
_NSMAP = {None: TSL, "ds": xml_signature.DS}


@dataclasses.dataclass(frozen=True)
class Issue:
    """What one publication has of its own."""

    sequence_number: int
    issued_at: datetime.datetime
    next_update: datetime.datetime


def name(local: str) -> str:
    """Return the qualified name of an element of the list."""
    return f"{{{TSL}}}{local}"


def build(
    scheme: schemes.Scheme,
    variant: schemes.Variant,
    listed: Sequence[services.Service],
    issue: Issue,
) -> etree._Element:
    """Build the whole list, which lacks only its signature."""
    root = etree.Element(name("TrustServiceStatusList"), nsmap=_NSMAP)  # type: ignore[arg-type]
    root.set("TSLTag", schemes.TAG)
    root.set("Id", f"{variant.name}-{issue.sequence_number}")
    root.append(_scheme_information(scheme, variant, issue))
    # TS 119 612 5.3.18: no empty list of providers.
    if listed:
        providers = etree.SubElement(root, name("TrustServiceProviderList"))
        provider = etree.SubElement(providers, name("TrustServiceProvider"))
        provider.append(_provider_information(scheme))
        holder = etree.SubElement(provider, name("TSPServices"))
        for one in listed:
            holder.append(_service(one))
    return root


def _scheme_information(
    scheme: schemes.Scheme, variant: schemes.Variant, issue: Issue
) -> etree._Element:
    """SchemeInformation in the order of the schema (TS 119 612 5.3)."""
    information = etree.Element(name("SchemeInformation"), nsmap=_NSMAP)  # type: ignore[arg-type]
    _text(information, "TSLVersionIdentifier", str(schemes.VERSION))
    _text(information, "TSLSequenceNumber", str(issue.sequence_number))
    _text(information, "TSLType", variant.list_type)
    _names(information, "SchemeOperatorName", scheme.operator_names)
    _address(information, "SchemeOperatorAddress", scheme)
    _names(information, "SchemeName", scheme.names)
    website = dict.fromkeys(scheme.operator.languages, scheme.operator.website)
    _addresses(information, "SchemeInformationURI", website.items())
    _text(information, "StatusDeterminationApproach", scheme.status_determination)
    _addresses(information, "SchemeTypeCommunityRules", [("en", scheme.rules)])
    _text(information, "SchemeTerritory", scheme.territory)
    policy = etree.SubElement(information, name("PolicyOrLegalNotice"))
    for language, text in scheme.notices.items():
        _text(policy, "TSLLegalNotice", text, language)
    _text(information, "HistoricalInformationPeriod", HISTORY_FOR_EVER)
    _text(information, "ListIssueDateTime", _moment(issue.issued_at))
    next_update = etree.SubElement(information, name("NextUpdate"))
    _text(next_update, "dateTime", _moment(issue.next_update))
    points = etree.SubElement(information, name("DistributionPoints"))
    _text(points, "URI", scheme.url(variant))
    return information


def _provider_information(scheme: schemes.Scheme) -> etree._Element:
    """The one provider: the organisation that runs this installation (TS 119 612 5.4)."""
    installation = scheme.installation
    information = etree.Element(name("TSPInformation"), nsmap=_NSMAP)  # type: ignore[arg-type]
    _names(information, "TSPName", scheme.operator_names)
    # 5.4.2: its official registration number stands among the trade names.
    number = person_codes.organisation_identifier(
        installation.country, installation.organisation_code
    )
    _names(information, "TSPTradeName", {"en": number})
    _address(information, "TSPAddress", scheme)
    _addresses(
        information,
        "TSPInformationURI",
        ((one.language, one.url) for one in installation.disclosures),
    )
    return information


def _service(one: services.Service) -> etree._Element:
    service = etree.Element(name("TSPService"), nsmap=_NSMAP)  # type: ignore[arg-type]
    information = etree.SubElement(service, name("ServiceInformation"))
    _text(information, "ServiceTypeIdentifier", one.kind.value)
    _names(information, "ServiceName", {"en": one.name})
    identity = etree.SubElement(information, name("ServiceDigitalIdentity"))
    for certificate in one.certificates:
        _identity(identity, "X509Certificate", _base64(certificates.to_der(certificate)))
    _name_and_key(identity, one.certificates[0])
    _status(information, one.periods[0])
    if one.supply_points:
        points = etree.SubElement(information, name("ServiceSupplyPoints"))
        for point in one.supply_points:
            element = _text(points, "ServiceSupplyPoint", point.url)
            if point.kind is not None:
                element.set("type", point.kind.value)
    _extensions(information, one)
    if len(one.periods) > 1:
        history = etree.SubElement(service, name("ServiceHistory"))
        for period in one.periods[1:]:
            instance = etree.SubElement(history, name("ServiceHistoryInstance"))
            _text(instance, "ServiceTypeIdentifier", one.kind.value)
            _names(instance, "ServiceName", {"en": one.name})
            # 5.6.3: history names the key, without any certificate.
            past = etree.SubElement(instance, name("ServiceDigitalIdentity"))
            _name_and_key(past, one.certificates[0])
            _status(instance, period)
            _extensions(instance, one)
    return service


def _status(parent: etree._Element, period: services.StatusPeriod) -> None:
    _text(parent, "ServiceStatus", period.status.uri)
    _text(parent, "StatusStartingTime", _moment(period.since))


def _extensions(parent: etree._Element, one: services.Service) -> None:
    """What the certificates of an issuing authority are for (TS 119 612 5.5.9)."""
    if one.kind is not services.ServiceType.CA_QC:
        return
    extensions = etree.SubElement(parent, name("ServiceInformationExtensions"))
    if one.expired_since is not None:
        extension = etree.SubElement(extensions, name("Extension"), Critical="false")
        _text(extension, "ExpiredCertsRevocationInfo", _moment(one.expired_since))
    for purpose in (FOR_SIGNATURES, FOR_SEALS) if one.for_seals else (FOR_SIGNATURES,):
        extension = etree.SubElement(extensions, name("Extension"), Critical="true")
        additional = etree.SubElement(extension, name("AdditionalServiceInformation"))
        _text(additional, "URI", purpose, "en")


def _name_and_key(identity: etree._Element, certificate: x509.Certificate) -> None:
    identifier = certificates.read(certificate).subject_key_identifier
    if identifier is None:
        raise errors.TamperedError("a certificate of ours has no subject key identifier")
    _identity(identity, "X509SubjectName", certificate.subject.rfc4514_string())
    _identity(identity, "X509SKI", _base64(identifier))


def _identity(parent: etree._Element, local: str, text: str) -> None:
    _text(etree.SubElement(parent, name("DigitalId")), local, text)


def _address(parent: etree._Element, local: str, scheme: schemes.Scheme) -> None:
    address = etree.SubElement(parent, name(local))
    postal = etree.SubElement(address, name("PostalAddresses"))
    where = etree.SubElement(postal, name("PostalAddress"))
    where.set(_LANGUAGE, "en")
    _text(where, "StreetAddress", scheme.operator.street_address)
    _text(where, "Locality", scheme.operator.locality)
    _text(where, "PostalCode", scheme.operator.postal_code)
    _text(where, "CountryName", scheme.installation.country)
    # 5.3.5.2: an e-mail address and a website.
    _addresses(
        address,
        "ElectronicAddress",
        [("en", f"mailto:{scheme.operator.email}"), ("en", scheme.operator.website)],
    )


def _names(parent: etree._Element, local: str, by_language: Mapping[str, str]) -> None:
    names = etree.SubElement(parent, name(local))
    for language, text in by_language.items():
        _text(names, "Name", text, language)


def _addresses(parent: etree._Element, local: str, found: Iterable[tuple[str, str]]) -> None:
    addresses = etree.SubElement(parent, name(local))
    for language, address in found:
        _text(addresses, "URI", address, language)


def _text(
    parent: etree._Element, local: str, text: str, language: str | None = None
) -> etree._Element:
    element = etree.SubElement(parent, name(local))
    if language is not None:
        element.set(_LANGUAGE, language)
    element.text = text
    return element


def _moment(at: datetime.datetime) -> str:
    return clock.whole_seconds(at).strftime("%Y-%m-%dT%H:%M:%SZ")


def _base64(data: bytes) -> str:
    return base64.b64encode(data).decode("ascii")
