"""ASiC containers: what they cover is told; what two readers would read differently is refused."""

import datetime
import struct

import pytest

from pki import errors, xml_signature
from signing_service import documents, trust
from signing_service.creation import cms_files
from signing_service.validation import process, report
from signing_service.validation.asic import container
from tests.support import forged_xml, signed_cms
from tests.support.packed_containers import ASIC_E as E
from tests.support.packed_containers import ASIC_S as S
from tests.support.packed_containers import FILES, cades, manifest, pack, with_cades, xades

SUB = report.SubIndication


@pytest.fixture
def signer(hierarchy):
    return hierarchy.signer()


@pytest.fixture
def judge(tmp_path, hierarchy, at):
    def validate(content: bytes) -> report.ValidationReport:
        path = tmp_path / "judged.asice"
        path.write_bytes(content)
        return process.validate(
            documents.Document("contract.asice", path),
            trust=trust.TrustAnchors((hierarchy.root.certificate,)),
            at=at,
            fetch=None,
        )

    return validate


def only(validated: report.ValidationReport) -> report.SignatureReport:
    (found,) = validated.signatures
    return found


def codes(found: report.SignatureReport) -> list[str]:
    return [one.code for one in (*found.errors, *found.warnings)]


@pytest.mark.clause("EN 319 162-1", "4.4.3")
def test_xades_over_all_files_covers_the_container(judge, signer):
    judged = judge(pack({**FILES, "META-INF/signatures0.xml": xades(signer, FILES)}))
    found = only(judged)
    assert judged.document_format == "ASiC-E"
    assert found.intact
    assert found.scope_kind is report.ScopeKind.FULL
    assert set(found.scope_names) == set(FILES)
    assert found.sub_indication is SUB.TRY_LATER


@pytest.mark.clause("EN 319 162-1", "4.4.4")
def test_cades_over_a_manifest_covers_the_files_it_lists(judge, signer, at):
    found = only(judge(pack(with_cades(signer, at))))
    assert found.intact
    assert found.level == "CAdES-BASELINE-B"
    assert found.scope_kind is report.ScopeKind.FULL
    assert set(found.scope_names) == set(FILES)


@pytest.mark.clause("EN 319 162-1", "4.3.3")
@pytest.mark.parametrize("kind", ["xades", "cades"])
def test_simple_container_covers_its_one_file(judge, signer, at, kind):
    one = {"contract.txt": FILES["contract.txt"]}
    inside = (
        {"META-INF/signatures.xml": xades(signer, one)}
        if kind == "xades"
        else {"META-INF/signature.p7s": cades(one["contract.txt"], signer, at)}
    )
    judged = judge(pack({**one, **inside}, mimetype=S))
    assert judged.document_format == "ASiC-S"
    assert only(judged).intact
    assert only(judged).scope_names == ("contract.txt",)


def test_container_with_a_time_stamp_alone_has_no_signature_and_says_what_is_stamped(
    judge, hierarchy, at
):
    octets = FILES["contract.txt"]
    token = signed_cms.stamp(hierarchy.time_stamping_unit(), octets, at)
    judged = judge(pack({"contract.txt": octets, "META-INF/timestamp.tst": token}, mimetype=S))
    assert judged.overall is report.Indication.NO_SIGNATURE
    (stamp,) = judged.time_stamps
    assert (stamp.kind.value, stamp.intact, stamp.scope) == ("container", True, ("contract.txt",))
    changed = judge(
        pack({"contract.txt": b"TEST other", "META-INF/timestamp.tst": token}, mimetype=S)
    )
    assert [one.intact for one in changed.time_stamps] == [False]


def test_time_stamp_that_no_manifest_names_says_nothing(judge, hierarchy, at):
    octets = FILES["contract.txt"]
    token = signed_cms.stamp(hierarchy.time_stamping_unit(), octets, at)
    judged = judge(pack({"contract.txt": octets, "META-INF/timestamp001.tst": token}))
    (stamp,) = judged.time_stamps
    assert stamp.intact is None
    assert "nothing says what" in stamp.problem.message


def test_archive_manifest_over_a_signature_proves_when_it_was_there(judge, hierarchy, signer, at):
    entries = with_cades(signer, at)
    archive = manifest("META-INF/timestamp001.tst", entries)
    token = signed_cms.stamp(hierarchy.time_stamping_unit(), archive, at)
    entries |= {"META-INF/ASiCArchiveManifest.xml": archive, "META-INF/timestamp001.tst": token}
    judged = judge(pack(entries))
    (stamp,) = only(judged).time_stamps
    assert (stamp.kind.value, stamp.intact) == ("container", True)
    assert judged.time_stamps == ()
    entries["Əlavə 1.txt"] = b"TEST another annex"
    changed = only(judge(pack(entries)))
    assert [one.intact for one in changed.time_stamps] == [False]


@pytest.mark.clause("EN 319 162-1", "A.4")
@pytest.mark.parametrize("second", ["over all", "over the documents alone", "missing"])
def test_archive_manifest_over_the_former_one_proves_it_after_its_unit_has_ended(
    tmp_path, hierarchy, signer, at, second
):
    """Each manifest's time stamp proves when what it lists existed, so a chain of them lasts."""
    listed = manifest("META-INF/signature001.p7s", FILES)
    made = signed_cms.long_term(listed, hierarchy, signer, at)
    made.attached = False
    entries = {
        **FILES,
        "META-INF/ASiCManifest001.xml": listed,
        "META-INF/signature001.p7s": made.encode(),
    }
    former = manifest("META-INF/timestamp001.tst", entries)
    token = signed_cms.stamp(hierarchy.time_stamping_unit(), former, at)
    later = at + datetime.timedelta(days=2 * 365)
    hierarchy.at = later
    # What is needed to judge the first unit lies in its token, which nobody's signature covers.
    path = tmp_path / "token"
    path.write_bytes(token)
    cms_files.read(path).with_validation_data(
        [], [hierarchy.crl(one, at=later) for one in (hierarchy.infrastructure, hierarchy.root)]
    ).write(tmp_path / "with-data")
    entries |= {
        "META-INF/ASiCArchiveManifest001.xml": former,
        "META-INF/timestamp001.tst": (tmp_path / "with-data").read_bytes(),
    }
    if second != "missing":
        covered = entries if second == "over all" else FILES
        newest = manifest("META-INF/timestamp002.tst", covered)
        entries |= {
            "META-INF/ASiCArchiveManifest.xml": newest,
            "META-INF/timestamp002.tst": signed_cms.stamp(
                hierarchy.time_stamping_unit(), newest, later
            ),
        }
    path.write_bytes(pack(entries))
    judged = process.validate(
        documents.Document("contract.asice", path),
        trust=trust.TrustAnchors((hierarchy.root.certificate,)),
        at=later + datetime.timedelta(days=2 * 365),
        fetch=None,
    )
    found = only(judged)
    assert found.level == "CAdES-BASELINE-LTA"
    assert all(one.intact for one in found.time_stamps)
    passed = found.indication is report.Indication.TOTAL_PASSED
    assert passed is (second == "over all"), (found.errors, found.warnings)


def test_time_stamp_over_another_manifest_makes_no_level(judge, hierarchy, signer, at):
    listed = manifest("META-INF/signature001.p7s", FILES)
    made = signed_cms.long_term(listed, hierarchy, signer, at)
    made.attached = False
    entries = {
        **FILES,
        "META-INF/ASiCManifest001.xml": listed,
        "META-INF/signature001.p7s": made.encode(),
    }
    archive = manifest("META-INF/timestamp001.tst", FILES)
    token = signed_cms.stamp(hierarchy.time_stamping_unit(), archive, at)
    entries |= {"META-INF/ASiCArchiveManifest.xml": archive, "META-INF/timestamp001.tst": token}
    judged = judge(pack(entries))
    assert only(judged).level == "CAdES-BASELINE-LT"
    assert [one.intact for one in judged.time_stamps] == [True]


# What somebody might try, and what is said of it.


def test_file_added_after_signing_is_not_covered(judge, signer, at):
    for signed in (
        {**FILES, "META-INF/signatures0.xml": xades(signer, FILES)},
        with_cades(signer, at),
    ):
        found = only(judge(pack({**signed, "price.txt": b"TEST 1000000"})))
        assert found.scope_kind is report.ScopeKind.PARTIAL
        assert "file-not-covered" in codes(found)
        assert "price.txt" not in found.scope_names


def test_file_changed_after_signing_fails(judge, signer, at):
    for signed in (
        {**FILES, "META-INF/signatures0.xml": xades(signer, FILES)},
        with_cades(signer, at),
    ):
        found = only(judge(pack({**signed, "contract.txt": b"TEST other"})))
        assert (found.intact, found.sub_indication) == (False, SUB.HASH_FAILURE)


def test_file_taken_out_after_signing_is_missed(judge, signer, at):
    for signed in (
        {**FILES, "META-INF/signatures0.xml": xades(signer, FILES)},
        with_cades(signer, at),
    ):
        del signed["contract.txt"]
        assert only(judge(pack(signed))).sub_indication is SUB.SIGNED_DATA_NOT_FOUND


def test_manifest_put_in_place_of_the_signed_one_fails(judge, signer, at):
    signed = with_cades(signer, at)
    other = {"contract.txt": b"TEST other"}
    signed |= {
        **other,
        "META-INF/ASiCManifest001.xml": manifest("META-INF/signature001.p7s", other),
    }
    assert only(judge(pack(signed))).sub_indication is SUB.HASH_FAILURE


def test_second_manifest_for_one_signature_is_refused(judge, signer, at):
    signed = with_cades(signer, at)
    signed["META-INF/ASiCManifest002.xml"] = signed["META-INF/ASiCManifest001.xml"]
    assert only(judge(pack(signed))).sub_indication is SUB.FORMAT_FAILURE


def test_signature_that_no_manifest_names_covers_nothing(judge, signer, at):
    signed = with_cades(signer, at)
    signed["META-INF/ASiCManifest001.xml"] = manifest("META-INF/other.p7s", FILES)
    found = only(judge(pack(signed)))
    assert found.intact is None
    assert found.scope_kind is report.ScopeKind.NONE


def test_simple_container_with_two_files_fails(judge, signer):
    files = {**FILES, "META-INF/signatures.xml": xades(signer, FILES)}
    found = only(judge(pack(files, mimetype=S)))
    assert found.sub_indication is SUB.FORMAT_FAILURE


@pytest.mark.clause("EN 319 162-1", "4.4")
def test_container_without_a_file_holds_no_signature_of_anything(judge, signer):
    found = only(judge(pack({"META-INF/signatures0.xml": xades(signer, {})})))
    assert found.sub_indication is SUB.FORMAT_FAILURE
    assert "asic-no-files" in codes(found)


def test_signature_file_that_is_no_xml_is_told(judge):
    found = only(judge(pack({**FILES, "META-INF/signatures0.xml": b"<broken"})))
    assert (found.intact, found.sub_indication) == (None, SUB.FORMAT_FAILURE)


@pytest.mark.parametrize("mimetype", [None, b"text/plain"])
def test_container_of_another_type_is_judged_and_told(judge, signer, mimetype):
    made = pack({**FILES, "META-INF/signatures0.xml": xades(signer, FILES)}, mimetype=mimetype)
    assert "asic-mimetype" in codes(only(judge(made)))


def test_mimetype_that_does_not_stand_first_is_told(judge, signer):
    entries = {**FILES, "META-INF/signatures0.xml": xades(signer, FILES), "mimetype": E}
    assert "asic-mimetype-place" in codes(only(judge(pack(entries, mimetype=None))))


@pytest.mark.parametrize(
    "name",
    ["../out.txt", "folder/../../out.txt", "/etc/out.txt", ".", "a\\b.txt", "c:/out.txt",
     "a//b.txt", "txt.\u202efdp"],
)  # fmt: skip
def test_name_that_leaves_the_container_or_lies_is_refused(judge, name):
    with pytest.raises(container.ContainerError):
        judge(pack({name: b"TEST"}))


@pytest.mark.parametrize("second", ["contract.txt", "CONTRACT.txt"])
def test_two_entries_with_one_name_are_refused(judge, second):
    with pytest.raises(container.ContainerError):
        judge(pack([("contract.txt", b"TEST one"), (second, b"TEST two")]))


def test_bomb_is_refused_before_it_is_unpacked(judge):
    with pytest.raises(errors.LimitError):
        judge(pack({"zeros.txt": bytes(50 * 2**20)}))


def test_too_many_entries_are_refused(judge):
    with pytest.raises(errors.LimitError):
        judge(pack([(f"{number}.txt", b"") for number in range(container.MAX_ENTRIES + 1)]))


@pytest.mark.parametrize("place", ["before", "behind"])
def test_bytes_outside_the_archive_are_refused(judge, place):
    made = pack(FILES)
    with pytest.raises(container.ContainerError):
        judge(b"PK more" + made if place == "before" else made + b"more")


def test_entry_that_the_directory_does_not_name_is_refused(judge):
    """A reader that walks the entries shows a file that others do not see."""
    made = pack({"contract.txt": b"TEST one", "hidden.txt": b"TEST two"})
    end = made.rfind(b"PK\x05\x06")
    count, size, at = struct.unpack("<HLL", made[end + 10 : end + 20])
    hidden = made.rfind(b"PK\x01\x02", 0, end)
    shorter = made[:hidden] + made[end : end + 8]
    shorter += struct.pack("<HHLLH", count - 1, count - 1, size - (end - hidden), at, 0)
    with pytest.raises(container.ContainerError):
        judge(shorter)


def test_entry_that_says_another_name_than_the_directory_is_refused(judge):
    made = bytearray(pack({"contract.txt": b"TEST one"}))
    place = made.find(b"contract.txt")
    made[place : place + 8] = b"xontract"
    with pytest.raises(container.ContainerError):
        judge(bytes(made))


def test_nothing_but_a_zip_file_is_refused(judge):
    with pytest.raises(errors.InputError):
        judge(pack({"word/document.xml": b"<a/>"}, mimetype=None))


def test_container_without_signatures_has_none(judge):
    assert judge(pack(FILES)).overall is report.Indication.NO_SIGNATURE


def test_file_that_is_signed_in_part_is_not_covered(signer, judge):
    """Nobody judges what a false signature in a file hides from the true one."""
    shown = f'<f><s:Signature xmlns:s="{forged_xml.DS}">TEST 900</s:Signature></f>'.encode()
    wanted = forged_xml.Wanted("a.xml", transforms=(xml_signature.XPATH,), octets=b"<f></f>")
    made = forged_xml.sign_files(signer, wanted)
    (one,) = judge(pack({"a.xml": shown, "META-INF/signatures.xml": made})).signatures
    assert one.intact
    assert one.scope_kind is report.ScopeKind.NONE
    assert "file-not-covered" in {warning.code for warning in one.warnings}
