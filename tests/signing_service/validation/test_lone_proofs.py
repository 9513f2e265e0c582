"""Time-stamp tokens and evidence records handed in alone; CMS written as text; e-mail."""

import base64

import pytest

from pki import errors
from signing_service import documents, trust
from signing_service.validation import process, report
from tests.support import evidence_records, signed_cms

CONTENT = b"TEST contract over 100 manat"


@pytest.fixture
def judge(tmp_path, hierarchy, at):
    def validate(content: bytes, **beside: bytes) -> report.ValidationReport:
        (tmp_path / "judged").write_bytes(content)
        for name, octets in beside.items():
            (tmp_path / name).write_bytes(octets)
        return process.validate(
            documents.Document("judged", tmp_path / "judged"),
            trust=trust.TrustAnchors((hierarchy.root.certificate,)),
            at=at,
            fetch=lambda missing: process.FetchedEvidence(
                crls=tuple(
                    hierarchy.crl(one, at=at)
                    for one in (hierarchy.issuing, hierarchy.infrastructure, hierarchy.root)
                )
            ),
            detached=[documents.Document(name, tmp_path / name) for name in beside],
        )

    return validate


@pytest.fixture
def token(hierarchy, at) -> bytes:
    return signed_cms.stamp(hierarchy.time_stamping_unit(), CONTENT, at)


def test_token_is_told_as_a_time_stamp_over_what_lies_beside_it(judge, token, at):
    found = judge(token, other=b"TEST other", contract=CONTENT)
    assert found.overall is report.Indication.NO_SIGNATURE
    (stamp,) = found.time_stamps
    assert stamp.intact
    assert stamp.problem is None
    assert stamp.time == at.replace(microsecond=0)
    assert stamp.scope == ("contract",)


def test_token_over_another_document_is_broken(judge, token):
    (stamp,) = judge(token, contract=CONTENT + b"0").time_stamps
    assert stamp.intact is False


def test_token_without_its_document_says_nothing(judge, token):
    (stamp,) = judge(token).time_stamps
    assert stamp.intact is None
    assert stamp.problem.code == "signed-data-missing"


@pytest.mark.parametrize("in_xml", [False, True])
def test_evidence_record_is_checked_over_what_lies_beside_it(judge, hierarchy, at, in_xml):
    maker = evidence_records.RecordMaker(hierarchy.time_stamping_unit(), at)
    hashed = evidence_records.sha(CONTENT)
    record = maker.xml_record((hashed,)) if in_xml else maker.record(hashed)
    for beside, intact in (
        ({"contract": CONTENT}, True),
        ({"contract": CONTENT + b"0"}, False),
        ({}, None),
    ):
        validated = judge(record, **beside)
        assert validated.overall is report.Indication.NO_SIGNATURE
        (found,) = validated.evidence_records
        assert found.intact is intact


def pem(label: str, octets: bytes) -> bytes:
    lines = base64.encodebytes(octets).decode()
    return f"-----BEGIN {label}-----\n{lines}-----END {label}-----\n".encode()


@pytest.mark.clause("RFC 7468", "9")
@pytest.mark.parametrize(
    "write",
    [
        lambda octets: pem("CMS", octets),
        lambda octets: pem("PKCS7", octets).replace(b"\n", b"\r\n"),
        lambda octets: pem("SIGNED MESSAGE", octets),
        base64.b64encode,
        lambda octets: b"\xef\xbb\xbf\n" + base64.encodebytes(octets),
    ],
    ids=["CMS", "PKCS7", "gpgsm", "one line", "lines"],
)
def test_cms_may_be_written_as_text(judge, hierarchy, at, write):
    made = signed_cms.sign(CONTENT, hierarchy.signer(), at).encode()
    (found,) = judge(write(made)).signatures
    assert found.intact
    assert found.scope_kind is report.ScopeKind.FULL
    (changed,) = judge(write(made.replace(b"100", b"900"))).signatures
    assert changed.sub_indication is report.SubIndication.HASH_FAILURE


def test_text_behind_the_block_is_not_signed(judge, hierarchy, at):
    made = pem("CMS", signed_cms.sign(CONTENT, hierarchy.signer(), at).encode())
    (found,) = judge(made + b"TEST price 900").signatures
    assert found.scope_kind is report.ScopeKind.PARTIAL
    assert "bytes-behind-signature" in [one.code for one in found.warnings]


@pytest.mark.parametrize(
    "spoil",
    [
        lambda text: text.replace(b"-----END", b"-----STOP"),
        lambda text: text[:200] + b"?" + text[200:],
        lambda text: text.replace(b"END CMS", b"END PKCS7"),
        lambda text: text.replace(b"CMS", b"CERTIFICATE"),
        lambda text: b"".join(text.splitlines()[1:-1])[:-1] + b"!",
    ],
)
def test_text_that_is_not_wholly_base64_is_refused(judge, hierarchy, at, spoil):
    made = pem("CMS", signed_cms.sign(CONTENT, hierarchy.signer(), at).encode())
    with pytest.raises(errors.InputError):
        judge(spoil(made))


def test_mail_is_refused_and_the_reason_told(judge, hierarchy, at):
    made = base64.encodebytes(signed_cms.sign(CONTENT, hierarchy.signer(), at).encode())
    head = b"MIME-Version: 1.0\nContent-Type: application/pkcs7-mime; smime-type=signed-data\n\n"
    with pytest.raises(process.DocumentUnreadableError, match="e-mail"):
        judge(head + made)
