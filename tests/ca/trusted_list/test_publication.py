import dataclasses
import datetime

import pytest
from lxml import etree
from sqlalchemy import orm

from ca import revocation
from ca.crls import addresses, partitions
from ca.trusted_list import document, enveloped, publication, scheme, tables
from pki import audit, certificates, oids, registry, status, xml_signature, xml_trees
from tests.support import ca_world, trusted_lists

DAY = datetime.timedelta(days=1)
TSL = {"t": document.TSL}


def read(list_xml: bytes) -> etree._Element:
    return xml_trees.parse(list_xml).getroot()


def texts(list_xml: bytes, path: str) -> list[str]:
    return [one.text or "" for one in read(list_xml).iterfind(path, TSL)]


def number(list_xml: bytes) -> int:
    return int(texts(list_xml, ".//t:TSLSequenceNumber")[0])


@pytest.mark.clause("TS 119 612", "5.3.2")
def test_each_list_has_a_higher_number_than_any_before(lists: trusted_lists.ListWorld) -> None:
    numbers = [number(lists.publish(lists.ca.at + day * DAY).list_xml) for day in range(3)]
    assert numbers == [1, 2, 3]


@pytest.mark.clause("TS 119 612", "5.3.2")
def test_a_number_that_was_taken_and_never_signed_is_not_taken_again(
    lists: trusted_lists.ListWorld,
) -> None:
    lists.publish()
    key = lists.ca.keys.open_key("tl-signer")
    key.fails_with = publication.errors.DeviceError("the token is gone")
    with pytest.raises(publication.errors.DeviceError):
        lists.publish(lists.ca.at + DAY)
    with lists.ca.sessions() as session:
        assert publication.newest(session, "az").sequence_number == 1
    key.fails_with = None
    assert number(lists.publish(lists.ca.at + DAY).list_xml) == 3


def test_a_number_that_another_process_took_is_refused(lists: trusted_lists.ListWorld) -> None:
    """The table refuses a second list of the same number, whoever writes it."""
    published = lists.publish()
    row = tables.TrustedListRow(
        name="az",
        sequence_number=published.sequence_number,
        issued_at=published.issued_at,
        next_update=published.next_update,
        content_sha256="0" * 64,
    )
    with lists.ca.sessions() as session:
        session.add(row)
        with pytest.raises(publication.exc.IntegrityError):
            session.flush()


def test_a_clock_that_went_back_publishes_nothing(lists: trusted_lists.ListWorld) -> None:
    lists.publish(lists.ca.at + DAY)
    with pytest.raises(publication.TrustedListRefusedError, match="clock"):
        lists.publish(lists.ca.at)


@pytest.mark.clause("TS 119 612", "5.3.15")
def test_a_list_is_renewed_before_its_next_update_and_not_earlier(
    lists: trusted_lists.ListWorld,
) -> None:
    due = lists.publisher.publish_due
    assert [one.name for one in due(lists.ca.at, actor="test")] == ["az", "az-eugeneric"]
    assert due(lists.ca.at + 10 * DAY, actor="test") == ()
    renewed = due(lists.ca.at + 20 * DAY, actor="test")
    assert [one.sequence_number for one in renewed] == [2, 2]
    assert renewed[0].next_update == lists.ca.at + 50 * DAY


def test_an_installation_without_a_scheme_publishes_nothing(world: ca_world.World) -> None:
    publisher = publication.Publisher(world.sessions, world.keys, world.hierarchy)
    assert publisher.publish_due(world.at, actor="test") == ()
    with pytest.raises(scheme.NoTrustedListError):
        publisher.publish(world.at, actor="test")
    assert "tl-signer" not in world.keys.labels()


def test_the_services_are_the_authorities_the_responders_and_the_time_stamping_unit(
    lists: trusted_lists.ListWorld,
) -> None:
    published = lists.publish().list_xml
    kinds = [
        one.rpartition("/Svctype/")[2] for one in texts(published, ".//t:ServiceTypeIdentifier")
    ]
    assert kinds == ["CA/QC"] * 3 + ["Certstatus/OCSP/QC"] * 3 + ["TSA/QTST"]
    names = texts(published, ".//t:ServiceInformation/t:ServiceName/t:Name")
    assert all("TEST" in one for one in names)
    assert set(texts(published, ".//t:ServiceStatus")) == {
        "http://uri.etsi.org/TrstSvc/TrustedList/Svcstatus/granted"
    }
    assert read(published).find(".//t:ServiceHistory", TSL) is None
    listed = set(texts(published, ".//t:ServiceDigitalIdentity//t:X509Certificate"))
    assert len(listed) == 7


@pytest.mark.clause("TS 119 612", "5.5.5")
def test_a_service_is_granted_since_its_certificate_began(lists: trusted_lists.ListWorld) -> None:
    (since,) = set(texts(lists.publish(lists.ca.at + DAY).list_xml, ".//t:StatusStartingTime"))
    assert since == lists.ca.at.strftime("%Y-%m-%dT%H:%M:%SZ")


@pytest.mark.clause("TS 119 612", "5.5.10")
def test_a_revoked_authority_is_withdrawn_at_once_and_its_history_is_kept(
    lists: trusted_lists.ListWorld,
) -> None:
    lists.publisher.publish_due(lists.ca.at, actor="test")
    later = lists.ca.at + DAY
    certificate = lists.ca.hierarchy.authorities["citizen"].certificate
    with lists.ca.sessions() as session:
        revocation.revoke(
            session,
            certificate.serial_number,
            status.RevocationReason.cACompromise,
            later,
            actor="test",
        )
        session.commit()
    published = lists.publisher.publish_due(later + DAY, actor="test")[0].list_xml
    service = next(
        one
        for one in read(published).iterfind(".//t:TSPService", TSL)
        if one.findtext(".//t:ServiceStatus", namespaces=TSL).endswith("/withdrawn")
    )
    assert service.findtext(".//t:StatusStartingTime", namespaces=TSL) == later.strftime(
        "%Y-%m-%dT%H:%M:%SZ"
    )
    (past,) = service.iterfind(".//t:ServiceHistoryInstance", TSL)
    assert past.findtext("t:ServiceStatus", namespaces=TSL).endswith("/granted")
    # TS 119 612 5.6.3: the key by its identifier, and no certificate.
    assert past.find(".//t:X509SKI", TSL) is not None
    assert past.find(".//t:X509Certificate", TSL) is None
    # Every later list tells the same of the past.
    again = lists.publish(later + 40 * DAY).list_xml
    # The authority and its responder have one each.
    assert len(list(read(again).iterfind(".//t:ServiceHistoryInstance", TSL))) == 2


@pytest.mark.clause("TS 119 612", "5.5.3")
def test_a_responders_next_key_is_another_service(
    lists: trusted_lists.ListWorld,
) -> None:
    from ca import service_keys

    lists.publisher.publish_due(lists.ca.at, actor="test")
    at = lists.ca.at + 21 * DAY
    service_keys.renew_responders(lists.ca.sessions, lists.ca.keys, lists.ca.hierarchy, at)
    published = lists.publisher.publish_due(at, actor="test")[0].list_xml
    services = list(read(published).iterfind(".//t:TSPService", TSL))
    assert len(services) == 10
    responders = [
        one
        for one in services
        if "OCSP" in (one.findtext(".//t:ServiceTypeIdentifier", namespaces=TSL) or "")
    ]
    assert [len(list(one.iterfind(".//t:X509Certificate", TSL))) for one in responders] == [1] * 6


def test_both_forms_say_the_same_of_the_services(lists: trusted_lists.ListWorld) -> None:
    national, generic = lists.publisher.publish(lists.ca.at, actor="test")
    assert texts(national.list_xml, ".//t:TSLType") == [
        "http://uri.etsi.org/TrstSvc/TrustedList/TSLType/AZlist"
    ]
    assert texts(generic.list_xml, ".//t:TSLType") == [scheme.EU_GENERIC]
    parts = [
        xml_trees.canonicalise(read(one.list_xml).find(".//t:TrustServiceProviderList", TSL))
        for one in (national, generic)
    ]
    assert parts[0] == parts[1]


@pytest.mark.clause("TS 119 612", "5.1.4")
def test_the_scheme_speaks_its_languages(lists: trusted_lists.ListWorld) -> None:
    root = read(lists.publish().list_xml)
    names = {
        one.get("{http://www.w3.org/XML/1998/namespace}lang"): one.text
        for one in root.iterfind(".//t:SchemeOperatorName/t:Name", TSL)
    }
    assert names == {
        "en": "TEST Nümunə Sertifikat Mərkəzi",
        "az": "TEST Nümunə Sertifikat Mərkəzi",
        "ka": "TEST სანიმუშო ცენტრი",
    }
    for one in root.iterfind(".//t:SchemeName/t:Name", TSL):
        assert (one.text or "").startswith("AZ:TEST ")
    assert len(list(root.iterfind(".//t:TSLLegalNotice", TSL))) == 3


@pytest.mark.clause("TS 119 612", "5.7.1")
def test_the_signer_is_certified_for_lists_alone(lists: trusted_lists.ListWorld) -> None:
    certificate = lists.signer
    facts = certificates.read(certificate)
    assert facts.extended_key_usage == (oids.TRUSTED_LIST_SIGNING,)
    assert facts.key_usage == {certificates.KeyUsage.digitalSignature}
    assert not facts.is_authority
    assert facts.organisation == "TEST Nümunə Sertifikat Mərkəzi"
    assert facts.subject_key_identifier is not None
    constraints = certificate.extensions.get_extension_for_class(certificates.x509.BasicConstraints)
    assert constraints.value.ca is False
    certificates.check_issued_by(certificate, lists.infrastructure)


@pytest.mark.clause("TS 119 612", "5.7.1")
def test_the_list_is_signed_whole_with_its_own_certificate_and_no_other(
    lists: trusted_lists.ListWorld,
) -> None:
    root = read(lists.publish().list_xml)
    (element,) = xml_signature.signatures_in(root)
    assert element.getparent() is root
    signed = xml_signature.verify(element, lists.signer.public_key())
    assert [one.whole_document for one in signed] == [True, False]
    assert len(list(element.iter(xml_signature.name("X509Certificate")))) == 1
    methods = {one.get("Algorithm") for one in element.iter(xml_signature.name("SignatureMethod"))}
    assert methods == {"http://www.w3.org/2001/04/xmldsig-more#ecdsa-sha384"}


def test_a_key_that_is_not_the_certificates_signs_nothing(lists: trusted_lists.ListWorld) -> None:
    with pytest.raises(publication.errors.InputError, match="does not verify"):
        enveloped.sign(lists.unsigned(), lists.signer, lists.ca.keys.open_key("tsu-1"), lists.ca.at)


def test_a_signer_near_its_end_is_certified_anew_for_the_same_key(
    sessions: orm.sessionmaker[orm.Session], lists: trusted_lists.ListWorld
) -> None:
    old = lists.signer
    at = old.not_valid_after_utc - 89 * DAY
    assert lists.publisher.publish_due(at, actor="test")
    with sessions() as session:
        record = registry.current_certificate(session, "trusted-list-signer", at)
    assert record is not None
    assert record.serial_number != old.serial_number
    assert record.certificate_der is not None
    renewed = certificates.parse(record.certificate_der)
    assert renewed.public_key() == old.public_key()
    with sessions() as session:
        newest = read(publication.newest(session, "az").list_xml)
    xml_signature.verify(xml_signature.signatures_in(newest)[0], renewed.public_key())


def test_publishing_is_in_the_audit_log(lists: trusted_lists.ListWorld) -> None:
    lists.publish()
    with lists.ca.sessions() as session:
        audit.verify(session)
        events = [row.event for row in session.query(audit.EntryRow)]
    assert events.count(audit.AuditEvent.TRUSTED_LIST_PUBLISHED.value) == 2


def test_a_list_of_another_territory_has_its_own_name() -> None:
    settings = dataclasses.replace(
        trusted_lists.SETTINGS, country="GE", organisation_code="123456789"
    )
    one = scheme.of(settings)
    assert [variant.name for variant in one.variants] == ["ge", "ge-eugeneric"]
    assert one.variants[0].list_type.endswith("/TSLType/GElist")


@pytest.mark.clause("TS 119 612", "5.5.7")
def test_every_list_of_an_authority_is_a_supply_point(lists: trusted_lists.ListWorld) -> None:
    base = lists.ca.settings.base_url
    before = lists.publisher.publish_due(lists.ca.at, actor="test")[0]
    with lists.ca.sessions() as session:
        for number in (1, 2):
            scope = addresses.Scope("citizen", number)
            partitions.open_next(session, scope, lists.ca.at, actor="test")
        session.commit()
    # A partition that was opened makes a new list due.
    after = lists.publisher.publish_due(lists.ca.at + DAY, actor="test")[0]
    told = [set(texts(one.list_xml, ".//t:ServiceSupplyPoint")) for one in (before, after)]
    assert f"{base}/crl/citizen.crl" in told[0]
    assert told[1] - told[0] == {f"{base}/crl/citizen/{number}.crl" for number in (1, 2)}
