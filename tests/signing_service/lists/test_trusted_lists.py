import base64
import contextlib
import datetime

import hypothesis
import pytest
import sqlalchemy
from hypothesis import strategies

from ca.trusted_list import enveloped
from pki import certificates, database, errors, xml_signature, xml_trees
from signing_service.lists import listed_services, trusted_lists
from signing_service.validation import evidence
from tests.support import crls
from tests.support import trusted_lists as support

DAY = datetime.timedelta(days=1)
AT = datetime.datetime(2026, 1, 31, 12, tzinfo=datetime.UTC)


@pytest.fixture(scope="module")
def world(tmp_path_factory) -> support.ListWorld:
    folder = tmp_path_factory.mktemp("ca")
    engine: sqlalchemy.Engine = database.connect(f"sqlite:///{folder}/ca.sqlite")
    return support.make_world_in(engine, AT)


@pytest.fixture
def pinned(world) -> trusted_lists.Authenticator:
    return trusted_lists.Authenticator(signers=(world.signer,))


def rooted(world, *, statuses=True, issuer=True, root=None) -> trusted_lists.Authenticator:
    """Knows the root alone, and can ask the CA for the rest."""

    def fetch_issuer(url):
        assert url == "http://pki.example.com/ca/infrastructure.cer"
        return certificates.to_der(world.infrastructure)

    def fetch_statuses(missing):
        with world.ca.sessions() as session:
            found = [crls.newest_der(session, name) for name in ("root", "infrastructure")]
        return evidence.Evidence(crls=found if statuses else [])

    return trusted_lists.Authenticator(
        roots=(root or world.root,),
        fetch_issuer=fetch_issuer if issuer else None,
        fetch_statuses=fetch_statuses,
    )


def test_a_list_of_a_signer_handed_in_is_believed(world, pinned):
    found = pinned.read(world.publish().list_xml, AT)
    assert (found.territory, found.sequence_number) == ("AZ", 1)
    names = {one.subject.rfc4514_string() for one in found.anchors(AT).certificates}
    authorities = world.ca.hierarchy.authorities
    assert {
        authorities[name].certificate.subject.rfc4514_string()
        for name in ("citizen", "business", "official")
    } < names
    # Three authorities and the time-stamping unit; no responder, no root, no infrastructure.
    assert len(names) == 4
    assert authorities["infrastructure"].certificate not in found.anchors(AT)


@pytest.mark.clause("TS 119 612", "5.5.9.4")
def test_the_authority_that_certifies_seals_is_listed_for_them(world, pinned):
    said = {
        one.certificates[0]: set(one.periods[0].additional)
        for one in pinned.read(world.publish().list_xml, AT).services
        if one.kind == listed_services.CA_QC
    }
    authorities = world.ca.hierarchy.authorities
    assert said == {
        authorities["citizen"].certificate: {"ForeSignatures"},
        authorities["official"].certificate: {"ForeSignatures"},
        authorities["business"].certificate: {"ForeSignatures", "ForeSeals"},
    }


def test_a_list_of_a_signer_that_the_root_certified_is_believed(world):
    listed = world.publish(AT + datetime.timedelta(minutes=1))
    assert rooted(world).read(listed.list_xml, listed.issued_at).services


@pytest.mark.parametrize(
    "change",
    [{"statuses": False}, {"issuer": False}],
    ids=["its status is not known", "its issuer is not known"],
)
def test_a_signer_of_which_not_enough_is_known_is_refused(world, change):
    with pytest.raises(trusted_lists.UntrustedListError):
        rooted(world, **change).read(world.sign(), AT)


def test_nobody_is_believed_where_nothing_was_handed_in(world):
    with pytest.raises(trusted_lists.UntrustedListError, match="hand in"):
        trusted_lists.Authenticator().read(world.sign(), AT)


def test_another_root_does_not_make_a_list_authentic(world, hierarchy):
    with pytest.raises(trusted_lists.UntrustedListError):
        rooted(world, root=hierarchy.root.certificate).read(world.sign(), AT)


def test_a_list_by_another_signer_is_refused(world, pinned, hierarchy):
    forged = world.sign(signer=hierarchy.signer())
    with pytest.raises(trusted_lists.UntrustedListError):
        pinned.read(forged, AT)


def test_a_certificate_of_the_same_root_for_another_purpose_signs_no_list(world):
    """A time-stamping unit of the same installation: its certificate is not for lists."""
    from ca import hierarchy as ca_hierarchy
    from pki import profiles, registry

    with world.ca.sessions() as session:
        record = registry.current_certificate(session, profiles.TIME_STAMPING_UNIT.name, AT)
    certificate = certificates.parse(record.certificate_der)
    key = world.ca.keys.open_key(ca_hierarchy.TIME_STAMPING_UNIT)
    forged = enveloped.sign(world.unsigned(), certificate, key, AT)
    with pytest.raises(trusted_lists.UntrustedListError, match="not for signing lists"):
        rooted(world).read(forged, AT)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b"Svcstatus/granted", b"Svcstatus/awarded"),
        (b"<TSLSequenceNumber>1", b"<TSLSequenceNumber>9"),
        (b"<SchemeTerritory>AZ", b"<SchemeTerritory>AX"),
        (b"SigningTime>2026", b"SigningTime>2027"),
    ],
)
def test_a_changed_list_is_refused(world, pinned, old, new):
    list_xml = world.sign()
    assert old in list_xml
    with pytest.raises(trusted_lists.UntrustedListError, match="does not verify"):
        pinned.read(list_xml.replace(old, new, 1), AT)


def test_a_service_put_beside_the_signed_list_is_refused(world, pinned):
    """The signed list is moved into another element, and a forged one takes its place."""
    root = xml_trees.parse(world.sign()).getroot()
    (signature,) = xml_signature.signatures_in(root)
    forged = world.unsigned(sequence_number=2)
    forged.append(signature)
    with pytest.raises(trusted_lists.UntrustedListError):
        pinned.read(xml_trees.etree.tostring(forged), AT)


def test_a_second_signature_is_refused(world, pinned):
    root = xml_trees.parse(world.sign()).getroot()
    (signature,) = xml_signature.signatures_in(root)
    root.append(xml_trees.copy.deepcopy(signature))
    with pytest.raises(trusted_lists.UntrustedListError, match="one signature"):
        pinned.read(xml_trees.etree.tostring(root), AT)


def test_a_list_without_a_signature_is_refused(world, pinned):
    with pytest.raises(trusted_lists.UntrustedListError, match="one signature"):
        pinned.read(xml_trees.etree.tostring(world.unsigned()), AT)


def test_another_certificate_in_the_place_of_the_signers_is_refused(world, pinned):
    """The renewed certificate of the same key: the signature verifies, but names the old one."""
    list_xml = world.sign()
    root = xml_trees.parse(list_xml).getroot()
    holder = next(
        one
        for one in root.iter(xml_signature.name("X509Certificate"))
        if one.getparent().tag == xml_signature.name("X509Data")
    )
    other = world.ca.hierarchy.authorities["citizen"].certificate
    holder.text = base64.b64encode(certificates.to_der(other)).decode()
    with pytest.raises(trusted_lists.UntrustedListError):
        trusted_lists.Authenticator(signers=(other,)).read(xml_trees.etree.tostring(root), AT)


@pytest.mark.clause("TS 119 612", "5.3.15")
def test_a_list_whose_next_update_has_passed_is_refused(world, pinned):
    list_xml = world.sign(next_update=AT + DAY)
    assert pinned.read(list_xml, AT + DAY - datetime.timedelta(seconds=1))
    with pytest.raises(trusted_lists.ExpiredListError):
        pinned.read(list_xml, AT + DAY)


@pytest.mark.clause("TS 119 612", "5.3.15")
def test_the_last_list_of_an_ended_scheme_is_refused(world, pinned):
    root = world.unsigned()
    next_update = root.find(f".//{{{listed_services.TSL}}}NextUpdate")
    next_update.remove(next_update[0])
    list_xml = enveloped.sign(root, world.signer, world.ca.keys.open_key("tl-signer"), AT)
    with pytest.raises(trusted_lists.ExpiredListError, match="ended"):
        pinned.read(list_xml, AT)


def test_a_list_of_the_future_is_refused(world, pinned):
    with pytest.raises(trusted_lists.UntrustedListError, match="future"):
        pinned.read(world.sign(issued_at=AT + DAY), AT)


def test_a_signer_whose_certificate_has_ended_is_refused(world, pinned):
    late = world.signer.not_valid_after_utc + DAY
    list_xml = world.sign(issued_at=late, next_update=late + DAY)
    with pytest.raises(trusted_lists.UntrustedListError, match="not valid now"):
        pinned.read(list_xml, late)


def test_a_withdrawn_service_is_no_anchor(world, pinned):
    root = world.unsigned()
    status = root.find(f".//{{{listed_services.TSL}}}ServiceStatus")
    status.text = "http://uri.etsi.org/TrstSvc/TrustedList/Svcstatus/withdrawn"
    list_xml = enveloped.sign(root, world.signer, world.ca.keys.open_key("tl-signer"), AT)
    assert len(pinned.read(list_xml, AT).anchors(AT).certificates) == 3


def test_a_service_is_no_anchor_before_it_is_granted(world, pinned):
    found = pinned.read(world.sign(), AT)
    assert found.anchors(AT - DAY).certificates == ()


def test_an_authority_listed_for_time_stamps_is_no_anchor(world, pinned):
    root = world.unsigned()
    for one in root.iter(f"{{{listed_services.TSL}}}ServiceTypeIdentifier"):
        if one.text == listed_services.CA_QC:
            one.text = listed_services.QTST
    list_xml = enveloped.sign(root, world.signer, world.ca.keys.open_key("tl-signer"), AT)
    (unit,) = pinned.read(list_xml, AT).anchors(AT).certificates
    assert not certificates.read(unit).is_authority


@pytest.mark.parametrize(
    "content", [b"", b"<a/>", b"<!DOCTYPE a [<!ENTITY b 'c'>]><a>&b;</a>", b"\xff\xfe", b"{}"]
)
def test_something_else_is_no_list(pinned, content):
    with pytest.raises(listed_services.TrustedListError):
        pinned.read(content, AT)


def test_a_list_that_is_too_large_is_refused(pinned):
    with pytest.raises(errors.LimitError):
        pinned.read(b" " * (trusted_lists.MAX_LIST_BYTES + 1), AT)


@hypothesis.settings(
    max_examples=150, deadline=None, suppress_health_check=list(hypothesis.HealthCheck)
)
@hypothesis.given(data=strategies.data())
def test_mutated_lists_raise_an_error_of_ours_and_are_never_believed(world, data):
    list_xml = bytearray(_one_list(world))
    position = data.draw(strategies.integers(0, len(list_xml) - 1))
    value = data.draw(strategies.integers(0, 255).filter(lambda one: one != list_xml[position]))
    list_xml[position] = value
    mutated = bytes(list_xml)
    reader = trusted_lists.Authenticator(signers=(world.signer,))
    try:
        found = reader.read(mutated, AT)
    except (errors.InputError, errors.PolicyError):
        pass
    else:
        # Whatever is not signed may change: it says nothing.
        assert found == reader.read(_one_list(world), AT)
    with contextlib.suppress(errors.InputError):
        trusted_lists.parse(mutated)


_LISTS: dict[int, bytes] = {}


def _one_list(world) -> bytes:
    return _LISTS.setdefault(id(world), world.sign())
