"""Evidence records over signatures: what time they prove, and what a broken one does not."""

import datetime
import re

import pytest

from pki import der
from signing_service import documents, trust
from signing_service.validation import process, report
from tests.support import (
    evidence_records,
    forged_xml,
    packed_containers,
    signed_cms,
    signed_pdfs,
)
from tests.support import (
    hierarchy as hierarchies,
)
from tests.support.evidence_records import sha
from tests.support.forged_xml import Wanted

MINUTE = datetime.timedelta(minutes=1)
CONTENT = b"TEST contract over 100 manat"


class Desk:
    """A signer who is revoked a while after the record, and who judges even later."""

    def __init__(self, tmp_path, hierarchy, at) -> None:
        self.hierarchy, self.at, self.path = hierarchy, at, tmp_path
        self.signer = hierarchy.signer()
        self.unit = hierarchy.time_stamping_unit()
        self.maker = evidence_records.RecordMaker(self.unit, at + MINUTE)

    def fetch(self, missing):
        """Lists from the time of judging: the signer's key was stolen meanwhile."""
        del missing
        revoked = {self.signer.certificate.serial_number: self.at + 5 * MINUTE}
        now = self.at + 10 * MINUTE
        world = self.hierarchy
        return process.FetchedEvidence(
            crls=(
                world.crl(world.issuing, revoked, at=now),
                world.crl(world.infrastructure, at=now),
                # From while a unit that ended since was still good.
                world.crl(world.infrastructure, at=self.at + 2 * MINUTE),
                world.crl(world.root, at=now),
            )
        )

    def judge(self, content: bytes, *, beside=()) -> report.ValidationReport:
        path = self.path / "judged"
        path.write_bytes(content)
        originals = []
        for number, (name, octets) in enumerate(beside):
            (self.path / str(number)).write_bytes(octets)
            originals.append(documents.Document(name, self.path / str(number)))
        return process.validate(
            documents.Document("judged", path),
            trust=trust.TrustAnchors((self.hierarchy.root.certificate,)),
            at=self.at + 10 * MINUTE,
            fetch=self.fetch,
            detached=originals,
        )


@pytest.fixture
def desk(tmp_path, hierarchy, at) -> Desk:
    return Desk(tmp_path, hierarchy, at)


def cades_internal(desk: Desk, make) -> report.ValidationReport:
    made = signed_cms.sign(CONTENT, desk.signer, desk.at)
    value = make(sha(made.encode()))
    made.signers[0].unsigned.append(evidence_records.attribute(value))
    return desk.judge(made.encode())


def cades_external(desk: Desk, make) -> report.ValidationReport:
    made = signed_cms.sign(CONTENT, desk.signer, desk.at)
    made.attached = False
    value = make(sha(made.encode()), sha(CONTENT))
    made.signers[0].unsigned.append(evidence_records.attribute(value, external=True))
    return desk.judge(made.encode(), beside=[("contract.txt", CONTENT)])


def xades_in_asn1(desk: Desk, make) -> report.ValidationReport:
    made = forged_xml.sign("<f><sum>100</sum></f>", desk.signer, Wanted(""))
    value = make(evidence_records.xades_group(made))
    return desk.judge(evidence_records.seal_xades(made, value))


def beside_a_cms(desk: Desk, make) -> report.ValidationReport:
    made = signed_cms.sign(CONTENT, desk.signer, desk.at).encode()
    return desk.judge(made, beside=[("record.ers", make(sha(made)))])


def beside_a_pdf(desk: Desk, make) -> report.ValidationReport:
    maker = signed_pdfs.PdfMaker(desk.hierarchy, desk.signer, desk.at)
    made = maker.sign(signed_pdfs.make_pdf())
    return desk.judge(made, beside=[("record.ers", make(sha(made)))])


def in_a_container(desk: Desk, make) -> report.ValidationReport:
    entries = packed_containers.with_cades(desk.signer, desk.at)
    return desk.judge(packed_containers.pack(_sealed(entries, make)))


def in_a_container_of_xades(desk: Desk, make) -> report.ValidationReport:
    files = packed_containers.FILES
    made = packed_containers.xades(desk.signer, files)
    return desk.judge(
        packed_containers.pack(_sealed({**files, "META-INF/signatures.xml": made}, make))
    )


def _sealed(entries: dict[str, bytes], make) -> dict[str, bytes]:
    """The entries, with a record over every one of them."""
    listed = packed_containers.manifest("META-INF/evidencerecord001.ers", entries)
    return {
        **entries,
        "META-INF/ASiCEvidenceRecordManifest001.xml": listed,
        "META-INF/evidencerecord001.ers": make(*map(sha, entries.values())),
    }


PLACES = (
    cades_internal,
    cades_external,
    xades_in_asn1,
    beside_a_cms,
    beside_a_pdf,
    in_a_container,
    in_a_container_of_xades,
)
places = pytest.mark.parametrize("place", PLACES)


def only(validated: report.ValidationReport) -> report.SignatureReport:
    (signature,) = validated.signatures
    return signature


def codes(found: report.SignatureReport) -> set[str]:
    return {one.code for one in found.warnings}


@places
@pytest.mark.clause("EN 319 102-1", "5.6.3.4")
def test_good_record_proves_that_the_signature_is_older_than_the_revocation(desk, place):
    validated = place(desk, desk.maker.record)
    found = only(validated)
    assert found.indication is report.Indication.TOTAL_PASSED, (found.errors, found.warnings)
    assert found.best_signature_time == desk.at + MINUTE
    (record,) = validated.evidence_records
    assert (record.intact, record.time, record.problem) == (True, desk.at + MINUTE, None)
    assert record.scope


def streamed(message: bytes) -> bytes:
    """A message as a stream may write it: its outer elements without lengths."""
    identifier, wrapped = der.read(message).children()
    named = der.encode(identifier.tag, identifier.content)
    return b"\x30\x80" + named + b"\xa0\x80" + wrapped.content + bytes(4)


@pytest.mark.parametrize("hashed", [bytes, streamed], ids=["in DER", "as encoded"])
def test_record_over_a_signature_in_ber_is_over_its_der_or_over_what_was_sent(desk, hashed):
    """TS 119 122-3 5.2 hashes the one, RFC 4998 annex A the other."""
    made = signed_cms.sign(CONTENT, desk.signer, desk.at)
    value = desk.maker.record(sha(hashed(made.encode())))
    made.signers[0].unsigned.append(evidence_records.attribute(value))
    assert only(desk.judge(streamed(made.encode()))).best_signature_time == desk.at + MINUTE


@places
def test_record_over_something_else_proves_nothing_and_is_told(desk, place):
    def make(*leaves):
        return desk.maker.record(*leaves[:-1], sha(b"TEST something else"))

    validated = place(desk, make)
    found = only(validated)
    assert found.sub_indication is report.SubIndication.REVOKED_NO_POE
    assert found.best_signature_time is None
    assert "evidence-record-broken" in codes(found)
    (record,) = validated.evidence_records
    assert record.intact is False
    assert record.problem.code == "evidence-record-broken"


@places
def test_record_of_an_unknown_unit_proves_nothing(desk, place):
    desk.maker.unit = hierarchies.make_hierarchy(desk.at).time_stamping_unit()
    validated = place(desk, desk.maker.record)
    found = only(validated)
    assert found.sub_indication is report.SubIndication.REVOKED_NO_POE
    assert found.best_signature_time is None
    assert "evidence-record-time-stamp" in codes(found)
    (record,) = validated.evidence_records
    assert record.intact is True
    assert record.problem.code == "evidence-record-time-stamp"


@pytest.mark.parametrize("renew", [evidence_records.renewed, evidence_records.renewed_tree])
@pytest.mark.clause("RFC 4998", "5.3")
def test_renewed_record_outlives_the_unit_of_its_first_time_stamp(desk, renew):
    desk.maker.unit = _short_lived_unit(desk)
    alone = only(cades_internal(desk, desk.maker.record))
    assert alone.sub_indication is report.SubIndication.REVOKED_NO_POE
    renewal = evidence_records.RecordMaker(desk.unit, desk.at + 2 * MINUTE)
    validated = cades_internal(desk, lambda *leaves: renew(desk.maker, renewal, *leaves))
    found = only(validated)
    assert found.indication is report.Indication.TOTAL_PASSED, (found.errors, found.warnings)
    assert found.best_signature_time == desk.at + MINUTE


@pytest.mark.parametrize("renew", [evidence_records.renewed, evidence_records.renewed_tree])
def test_renewal_after_the_unit_had_ended_comes_too_late(desk, renew):
    desk.maker.unit = _short_lived_unit(desk)
    renewal = evidence_records.RecordMaker(desk.unit, desk.at + 4 * MINUTE)
    found = only(cades_internal(desk, lambda *leaves: renew(desk.maker, renewal, *leaves)))
    assert found.sub_indication is report.SubIndication.REVOKED_NO_POE
    assert "evidence-record-time-stamp" in codes(found)


def _short_lived_unit(desk: Desk) -> hierarchies.Holder:
    return desk.hierarchy.time_stamping_unit(not_after=desk.at + 3 * MINUTE)


def test_record_in_xml_seals_a_xades_signature(desk):
    made = forged_xml.sign("<f><sum>100</sum></f>", desk.signer, Wanted(""))
    leaf = evidence_records.xades_group(made)
    sealed = evidence_records.seal_xades(made, desk.maker.xml_record((leaf, sha(b"TEST"))))
    validated = desk.judge(sealed)
    assert only(validated).best_signature_time == desk.at + MINUTE
    (record,) = validated.evidence_records
    assert record.scope == ("S", "judged")


def test_what_is_added_to_a_sealed_signature_breaks_the_seal(desk):
    made = signed_cms.sign(CONTENT, desk.signer, desk.at)
    value = desk.maker.record(sha(made.encode()))
    token = signed_cms.stamp(desk.unit, made.signers[0].value, desk.at)
    made.signers[0].unsigned += [
        signed_cms.attribute(signed_cms.SIGNATURE_TIME_STAMP, token),
        evidence_records.attribute(value),
    ]
    validated = desk.judge(made.encode())
    assert validated.evidence_records[0].intact is False
    assert only(validated).level == "CAdES-ERS"


def test_record_of_one_signature_proves_nothing_for_another(desk):
    """Two signature files of a container name themselves alike; a record seals one of them."""
    files = packed_containers.FILES
    first = packed_containers.xades(desk.signer, files)
    second = packed_containers.xades(desk.signer, files)
    group = evidence_records.xades_group
    made = re.sub(rb"\s+$", b"", first)
    sealed = evidence_records.seal_xades(made, desk.maker.record(group(made, files)))
    validated = desk.judge(
        packed_containers.pack(
            {**files, "META-INF/signatures1.xml": sealed, "META-INF/signatures2.xml": second}
        )
    )
    times = [one.best_signature_time for one in validated.signatures]
    assert times == [desk.at + MINUTE, None]


def test_record_that_is_itself_signed_is_an_original(desk):
    record = desk.maker.record(sha(b"TEST"))
    made = signed_cms.sign(record, desk.signer, desk.at)
    made.attached = False
    validated = desk.judge(made.encode(), beside=[("record.ers", record)])
    found = only(validated)
    assert found.intact
    assert found.scope_names == ("record.ers",)
    assert validated.evidence_records == ()


def test_external_record_without_the_document_is_not_judged(desk):
    made = signed_cms.sign(CONTENT, desk.signer, desk.at)
    made.attached = False
    value = desk.maker.record(sha(made.encode()), sha(CONTENT))
    made.signers[0].unsigned.append(evidence_records.attribute(value, external=True))
    (record,) = desk.judge(made.encode()).evidence_records
    assert record.intact is None
    assert record.problem.code == "evidence-data-missing"


@pytest.mark.parametrize("value", [b"", b"\x30\x00", b"\x04\x03abc"])
def test_what_is_no_record_is_told_and_harms_nothing(desk, value):
    made = signed_cms.sign(CONTENT, desk.signer, desk.at)
    octets = value or b"\x05\x00"
    made.signers[0].unsigned.append(evidence_records.attribute(octets))
    validated = desk.judge(made.encode())
    assert only(validated).intact
    assert validated.evidence_records[0].intact is None
