"""XAdES levels and the time stamps that make them, put into signatures octet by octet."""

import base64
import datetime

import pytest
from lxml import etree

from pki import xml_signature, xml_trees
from signing_service import documents, trust
from signing_service.validation import process, report
from tests.support import forged_xml, signed_cms, statuses

DS = xml_signature.name
X132 = "http://uri.etsi.org/01903/v1.3.2#"
X141 = "http://uri.etsi.org/01903/v1.4.1#"
OBJECT = '<ds:Object Id="O"><t>TEST contract</t></ds:Object>'


@pytest.fixture
def judge(tmp_path, hierarchy, at):
    def validate(content: bytes, *, when=at):
        path = tmp_path / "judged.xml"
        path.write_bytes(content)
        (found,) = process.validate(
            documents.Document("contract.xml", path),
            trust=trust.TrustAnchors((hierarchy.root.certificate,)),
            at=when,
            fetch=None,
        ).signatures
        return found

    return validate


class Made:
    """An enveloping signature over an object, raised level by level."""

    def __init__(self, hierarchy, at) -> None:
        self.hierarchy = hierarchy
        self.holder = hierarchy.signer()
        content = forged_xml.sign(
            "", self.holder, forged_xml.Wanted("#O"), objects=OBJECT, alone=True
        )
        self.tree = xml_trees.parse(content)
        self.element = self.tree.getroot()
        qualifying = self.element.find(f".//{{{X132}}}QualifyingProperties")
        unsigned = etree.SubElement(qualifying, f"{{{X132}}}UnsignedProperties")
        self.properties = etree.SubElement(unsigned, f"{{{X132}}}UnsignedSignatureProperties")

    def encode(self) -> bytes:
        return etree.tostring(self.tree)

    def add_time_stamp(self, at) -> None:
        octets = xml_trees.canonicalise(self.element.find(DS("SignatureValue")), xml_trees.C14N_11)
        self._add(f"{{{X132}}}SignatureTimeStamp", octets, at)

    def add_evidence(self, at) -> None:
        good = statuses.ocsp_response(
            self.holder.certificate,
            self.hierarchy.issuing.certificate,
            self.hierarchy.ocsp_responder(),
            at,
        )
        values = etree.SubElement(self.properties, f"{{{X132}}}RevocationValues")
        lists = etree.SubElement(values, f"{{{X132}}}CRLValues")
        for one in (self.hierarchy.root, self.hierarchy.infrastructure):
            crl = etree.SubElement(lists, f"{{{X132}}}EncapsulatedCRLValue")
            crl.text = base64.b64encode(self.hierarchy.crl(one, at=at)).decode()
        responses = etree.SubElement(values, f"{{{X132}}}OCSPValues")
        response = etree.SubElement(responses, f"{{{X132}}}EncapsulatedOCSPValue")
        response.text = base64.b64encode(good).decode()

    def add_archive_time_stamp(self, at) -> None:
        """EN 319 132-1 5.5.2.2."""
        c14n = xml_trees.C14N_11
        parts = [
            xml_trees.canonicalise(self.element.find(f"{DS('Object')}[@Id='O']"), c14n),
            xml_trees.canonicalise(
                self.element.find(f".//{{{X132}}}SignedProperties"), xml_trees.C14N_11
            ),
            *(
                xml_trees.canonicalise(self.element.find(DS(local)), c14n)
                for local in ("SignedInfo", "SignatureValue", "KeyInfo")
            ),
            *(xml_trees.canonicalise(one, c14n) for one in self.properties),
            xml_trees.canonicalise(self.element.find(f"{DS('Object')}[@Id='O']"), c14n),
        ]
        self._add(f"{{{X141}}}ArchiveTimeStamp", b"".join(parts), at)

    def add_references(self) -> None:
        for local in ("CompleteCertificateRefs", "CompleteRevocationRefs"):
            etree.SubElement(self.properties, f"{{{X132}}}{local}")

    def add_references_time_stamp(self, local: str, at) -> None:
        """TS 101 903 7.5.1, 7.5.2."""
        covered = [self.element.find(DS("SignatureValue")), *self.properties]
        if local.startswith("RefsOnly"):
            covered = [one for one in covered if str(one.tag).endswith("Refs")]
        octets = b"".join(xml_trees.canonicalise(one, xml_trees.C14N_11) for one in covered)
        self._add(f"{{{X132}}}{local}", octets, at)

    def _add(self, tag: str, octets: bytes, at) -> None:
        token = signed_cms.stamp(self.hierarchy.time_stamping_unit(), octets, at)
        holder = etree.SubElement(self.properties, tag)
        etree.SubElement(holder, DS("CanonicalizationMethod"), Algorithm=xml_trees.C14N_11)
        inside = etree.SubElement(holder, f"{{{X132}}}EncapsulatedTimeStamp")
        inside.text = base64.b64encode(token).decode()


@pytest.fixture
def made(hierarchy, at) -> Made:
    return Made(hierarchy, at)


@pytest.mark.clause("EN 319 132-1", "6")
def test_levels_rise_with_what_is_really_there(made, judge, at):
    levels = [judge(made.encode()).level]
    for step in (made.add_time_stamp, made.add_evidence, made.add_archive_time_stamp):
        step(at)
        levels.append(judge(made.encode()).level)
    # Without a DataObjectFormat it is no baseline signature.
    assert levels == ["XAdES-BES", "XAdES-T", "XAdES-XL", "XAdES-A"]


@pytest.mark.clause("TS 101 903", "4.4.3")
@pytest.mark.parametrize("local", ["SigAndRefsTimeStamp", "RefsOnlyTimeStamp"])
def test_references_and_time_stamps_over_them_make_the_extended_levels(made, judge, at, local):
    made.add_time_stamp(at)
    made.add_references()
    assert judge(made.encode()).level == "XAdES-C"
    made.add_references_time_stamp(local, at)
    found = judge(made.encode())
    assert found.level == "XAdES-X"
    assert [one.intact for one in found.time_stamps] == [True, True]
    made.add_evidence(at)
    assert judge(made.encode()).level == "XAdES-XL"


@pytest.mark.clause("EN 319 132-1", "5.5.2.2")
def test_archive_time_stamp_keeps_a_signature_after_its_first_unit_has_ended(
    made, judge, hierarchy, at
):
    made.add_time_stamp(at)
    made.add_evidence(at)
    later = at + datetime.timedelta(days=2 * 365)
    hierarchy.at = later
    made.add_evidence(later)
    made.add_archive_time_stamp(later)
    found = judge(made.encode(), when=later + datetime.timedelta(days=2 * 365))
    assert [one.intact for one in found.time_stamps] == [True, True]
    assert found.indication is report.Indication.TOTAL_PASSED, (found.errors, found.warnings)
    assert found.scope_kind is report.ScopeKind.FULL


@pytest.mark.clause("EN 319 102-1", "5.6.2.3")
@pytest.mark.parametrize("kind", ["signature", "archive"])
def test_time_stamp_that_came_after_the_archive_time_stamp_has_no_proof_of_it(
    made, judge, hierarchy, at, kind
):
    """Whoever broke the key of a unit that has ended writes its tokens, with any time in them."""
    made.add_time_stamp(at)
    made.add_evidence(at)
    later = at + datetime.timedelta(days=2 * 365)
    hierarchy.at = later
    made.add_evidence(later)
    made.add_archive_time_stamp(later)
    hierarchy.at = at
    forge = made.add_time_stamp if kind == "signature" else made.add_archive_time_stamp
    forge(at - datetime.timedelta(minutes=1))
    found = judge(made.encode(), when=later + datetime.timedelta(days=2 * 365))
    assert found.best_signature_time == at
    assert found.indication is report.Indication.TOTAL_PASSED, (found.errors, found.warnings)
    assert "time-stamp-expired" in {one.code for one in found.warnings}


@pytest.mark.parametrize("what", ["certificate", "evidence", "object"])
def test_archive_time_stamp_notices_what_was_changed(made, judge, at, what):
    made.add_time_stamp(at)
    made.add_evidence(at)
    made.add_archive_time_stamp(at)
    if what == "certificate":
        made.element.find(DS("KeyInfo")).set("Id", "K2")
    elif what == "evidence":
        values = made.properties.find(f"{{{X132}}}RevocationValues")
        values.remove(values.find(f"{{{X132}}}CRLValues"))
    else:
        made.element.append(
            etree.fromstring(
                OBJECT.replace("<ds:Object", f'<ds:Object xmlns:ds="{xml_signature.DS}"').replace(
                    '"O"', '"O2"'
                )
            )
        )
    found = judge(made.encode())
    assert [one.intact for one in found.time_stamps] == [True, False]


def test_empty_evidence_makes_no_level(made, judge, at):
    made.add_time_stamp(at)
    etree.SubElement(made.properties, f"{{{X132}}}RevocationValues")
    assert judge(made.encode()).level == "XAdES-T"
