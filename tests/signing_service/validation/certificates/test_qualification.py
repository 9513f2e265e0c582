"""Is it qualified? A certificate of the CA, and what a list says of its authority."""

import dataclasses
import datetime

import pytest
import sqlalchemy
from cryptography import x509
from lxml import etree

from pki import certificates, database, registration
from signing_service.lists import listed_services
from signing_service.validation.certificates import qualification
from tests.support import ca_world

AT = datetime.datetime(2026, 1, 31, 12, tzinfo=datetime.UTC)
LONG_AGO = datetime.datetime(2025, 1, 1, tzinfo=datetime.UTC)
DAY = datetime.timedelta(days=1)
WITHDRAWN = "http://uri.etsi.org/TrstSvc/TrustedList/Svcstatus/withdrawn"

EVERY_CERTIFICATE = listed_services.Criteria("atLeastOne", ((("nonRepudiation", True),),))


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> ca_world.World:
    folder = tmp_path_factory.mktemp("ca")
    engine: sqlalchemy.Engine = database.connect(f"sqlite:///{folder}/ca.sqlite")
    database.Base.metadata.create_all(engine)
    return ca_world.make_world(database.session_factory(engine), AT)


@pytest.fixture(scope="module")
def path(world: ca_world.World) -> tuple[x509.Certificate, ...]:
    """A citizen's signing certificate, which says that it is qualified, and its authority."""
    application = world.application(ca_world.CITIZEN, registration.Category.CITIZEN)
    issued = world.certify(application, "sign")
    leaf = certificates.parse(issued.certificate_der)
    return leaf, world.hierarchy.authorities["citizen"].certificate


def period(
    *qualifiers: str,
    since: datetime.datetime = LONG_AGO,
    status: str = listed_services.GRANTED,
    additional: frozenset[str] = frozenset({"ForeSignatures"}),
    criteria: listed_services.Criteria = EVERY_CERTIFICATE,
) -> listed_services.ServicePeriod:
    said = listed_services.Qualification(frozenset(qualifiers), criteria)
    return listed_services.ServicePeriod(since, status, additional, (said,) if qualifiers else ())


def service(
    path: tuple[x509.Certificate, ...], *periods: listed_services.ServicePeriod
) -> listed_services.ListedService:
    return listed_services.ListedService(
        listed_services.CA_QC, (certificates.to_der(path[-1]),), periods
    )


def judge(path, *periods: listed_services.ServicePeriod, at=AT + DAY) -> str:
    found = qualification.judge(path, (service(path, *periods),), at)
    return found.value if found.note is None else f"{found.value}: {found.note.code}"


@pytest.mark.clause("EN 319 412-5", "4.2.4")
@pytest.mark.parametrize(
    ("law", "territory", "good"),
    [
        (("AZ",), "AZ", True),
        (("AZ", "GE"), "GE", True),
        ((), "EE", True),
        (("GB",), "UK", True),
        (("AZ",), "EE", False),
    ],
)
def test_law_that_a_certificate_names_has_to_be_that_of_the_list(path, law, territory, good):
    """An authority of the Union that certifies for another country's law as well."""
    facts = certificates.read(path[0])
    stated = dataclasses.replace(facts.qualified, legislation=law)
    listed = dataclasses.replace(service(path, period()), territory=territory)
    found = qualification._state(dataclasses.replace(facts, qualified=stated), listed, AT + DAY)
    assert (getattr(found, "code", None) != "other-legislation") is good


def test_without_a_list_nothing_is_qualified(path):
    found = qualification.judge(path, (), AT)
    assert found.value == "AdESig"
    assert found.note is not None
    assert found.note.code == "no-trusted-list"


def test_an_authority_that_no_list_names_vouches_for_nothing(path, world):
    other = (path[0], world.hierarchy.authorities["business"].certificate)
    found = qualification.judge(path, (service(other, period()),), AT)
    assert (found.value, found.note.code if found.note else None) == ("AdESig", "not-listed")


@pytest.mark.clause("TS 119 615", "4.4")
@pytest.mark.parametrize(
    ("periods", "verdict"),
    [
        ((period(),), "QESig"),
        ((period(additional=frozenset()),), "QESig"),
        ((period(status=WITHDRAWN),), "AdESig: service-not-granted"),
        ((period(since=AT + 2 * DAY),), "AdESig: service-not-granted"),
        # Granted when the certificate was issued, withdrawn before it signed.
        ((period(status=WITHDRAWN, since=AT + DAY), period()), "AdESig: service-not-granted"),
        # Withdrawn after it signed: what was qualified then stays so.
        ((period(status=WITHDRAWN, since=AT + 2 * DAY), period()), "QESig"),
        ((period(additional=frozenset({"ForeSeals"})),), "AdESig: purpose-not-listed"),
        ((period("NotQualified"),), "AdESig: not-qualified"),
        ((period("NotQualified", "QCStatement"),), "AdESig: qualifiers-contradict"),
        ((period("QCNoQSCD"),), "AdESig-QC: no-qualified-device"),
        ((period("QCNoQSCD", "QCWithQSCD"),), "AdESig: qualifiers-contradict"),
        ((period("QCForESig"),), "QESig"),
        (
            (period("QCForESeal", additional=frozenset({"ForeSeals"})),),
            "QESeal",
        ),
        ((period("QCForESeal", "QCForESig"),), "AdESig: purpose-unclear"),
        ((period("QCForWSA"),), "AdESig: purpose-unclear"),
    ],
)
def test_list_and_certificate_decide_together(path, periods, verdict):
    assert judge(path, *periods) == verdict


def test_a_certificate_that_says_nothing_is_qualified_only_if_the_list_says_so(world):
    application = world.application(ca_world.CITIZEN, registration.Category.CITIZEN)
    issued = world.certify(application, "authenticate")
    path = (
        certificates.parse(issued.certificate_der),
        world.hierarchy.authorities["citizen"].certificate,
    )
    everything = listed_services.Criteria("none", ((("nonRepudiation", True),),))
    assert judge(path, period()) == "AdESig: not-qualified"
    assert judge(path, period("QCStatement", "QCWithQSCD", criteria=everything)) == "QESig"


@pytest.mark.clause("TS 119 612", "5.5.9.2.2")
@pytest.mark.parametrize(
    ("criteria", "meant"),
    [
        (listed_services.Criteria("all"), True),
        (listed_services.Criteria("atLeastOne"), False),
        (listed_services.Criteria("none"), True),
        (listed_services.Criteria("all", ((("digitalSignature", False),),)), True),
        (listed_services.Criteria("all", ((("digitalSignature", True),),)), False),
        (listed_services.Criteria("all", (), (frozenset({"1.2.3"}),)), False),
        (listed_services.Criteria("none", (), (frozenset({"1.2.3"}),)), True),
        (
            listed_services.Criteria(
                "all", (), (), (listed_services.Criteria("all", understood=False),)
            ),
            None,
        ),
    ],
)
def test_criteria_say_which_certificates_are_meant(path, criteria, meant):
    assert criteria.match(certificates.read(path[0])) is meant


def test_criteria_that_cannot_be_judged_leave_the_certificate_unqualified(path):
    unknown = dataclasses.replace(EVERY_CERTIFICATE, understood=False)
    assert judge(path, period("QCWithQSCD", criteria=unknown)) == "AdESig: criteria-unknown"


LISTED = """
<TSPService xmlns="http://uri.etsi.org/02231/v2#"
    xmlns:e="http://uri.etsi.org/TrstSvc/SvcInfoExt/eSigDir-1999-93-EC-TrustedList/#"
    xmlns:x="http://uri.etsi.org/01903/v1.3.2#">
  <ServiceInformation>
    <ServiceTypeIdentifier>http://uri.etsi.org/TrstSvc/Svctype/CA/QC</ServiceTypeIdentifier>
    <ServiceDigitalIdentity/>
    <ServiceStatus>http://uri.etsi.org/TrstSvc/TrustedList/Svcstatus/withdrawn</ServiceStatus>
    <StatusStartingTime>2026-01-01T00:00:00Z</StatusStartingTime>
  </ServiceInformation>
  <ServiceHistory><ServiceHistoryInstance>
    <ServiceTypeIdentifier>http://uri.etsi.org/TrstSvc/Svctype/CA/QC</ServiceTypeIdentifier>
    <ServiceDigitalIdentity/>
    <ServiceStatus>http://uri.etsi.org/TrstSvc/TrustedList/Svcstatus/granted</ServiceStatus>
    <StatusStartingTime>2020-01-01T00:00:00Z</StatusStartingTime>
    <ServiceInformationExtensions>
      <Extension Critical="true"><AdditionalServiceInformation>
        <URI>http://uri.etsi.org/TrstSvc/TrustedList/SvcInfoExt/ForeSeals</URI>
      </AdditionalServiceInformation></Extension>
      <Extension Critical="true"><e:Qualifications><e:QualificationElement>
        <e:Qualifiers>
          <e:Qualifier uri="http://uri.etsi.org/TrstSvc/TrustedList/SvcInfoExt/QCForESeal"/>
        </e:Qualifiers>
        <e:CriteriaList assert="all">
          <e:KeyUsage><e:KeyUsageBit name="nonRepudiation">true</e:KeyUsageBit></e:KeyUsage>
          <e:PolicySet><e:PolicyIdentifier>
            <x:Identifier Qualifier="OIDAsURN">urn:oid:1.2.3</x:Identifier>
          </e:PolicyIdentifier></e:PolicySet>
          <e:CriteriaList assert="none"><e:Description>no other</e:Description>%s</e:CriteriaList>
        </e:CriteriaList>
      </e:QualificationElement></e:Qualifications></Extension>
    </ServiceInformationExtensions>
  </ServiceHistoryInstance></ServiceHistory>
</TSPService>"""


def test_a_service_is_read_with_its_history():
    found = listed_services.read(etree.fromstring(LISTED % ""))
    assert found.status == WITHDRAWN
    before = found.at(LONG_AGO)
    assert before is not None
    assert before.status == listed_services.GRANTED
    assert before.additional == {"ForeSeals"}
    (said,) = before.qualifications
    assert said.qualifiers == {"QCForESeal"}
    assert said.criteria.key_usages == ((("nonRepudiation", True),),)
    assert said.criteria.policies == (frozenset({"1.2.3"}),)
    assert said.criteria.understood
    assert found.at(datetime.datetime(2019, 1, 1, tzinfo=datetime.UTC)) is None


def test_a_criterion_of_another_kind_is_not_taken_for_understood():
    found = listed_services.read(etree.fromstring(LISTED % "<e:otherCriteriaList/>"))
    (said,) = found.periods[1].qualifications
    assert not said.criteria.nested[0].understood
