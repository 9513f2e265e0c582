import datetime

import pytest

from signing_service import documents, trust
from signing_service.validation import fetching, process, report
from tests.support import signed_pdfs, signing_world

MINUTE = datetime.timedelta(minutes=1)


@pytest.fixture
def world(at):
    with signing_world.make_world(at) as made:
        yield made


@pytest.fixture
def stamped(world, at, tmp_path) -> documents.Document:
    maker = signed_pdfs.PdfMaker(world.authorities, world.authorities.signer(), at)
    path = tmp_path / "contract.pdf"
    path.write_bytes(maker.sign(signed_pdfs.make_pdf(), stamped=True))
    return documents.Document("contract.pdf", path)


def validate(world, document, *, roots=True) -> report.SignatureReport:
    anchors = trust.TrustAnchors((world.authorities.root.certificate,) if roots else ())
    (found,) = process.validate(
        document,
        trust=anchors,
        at=world.clock.now(),
        fetch=fetching.fetcher(world.client, world.clock),
    ).signatures
    return found


def test_status_is_fetched_from_the_responder_and_the_lists(world, stamped):
    found = validate(world, stamped)
    assert found.indication is report.Indication.TOTAL_PASSED, found.errors
    assert world.asked["ocsp"] == 1
    assert world.asked["crl"] == 2


def test_revocation_after_the_time_stamp_is_told_and_the_signature_passes(world, stamped, at):
    world.clock.move(5 * MINUTE)
    (serial,) = [int(validate(world, stamped).signing_certificate.serial_number, 16)]
    world.revoked[serial] = at + MINUTE
    found = validate(world, stamped)
    assert found.indication is report.Indication.TOTAL_PASSED, found.errors
    assert "revoked-later" in {one.code for one in found.info}


@pytest.mark.parametrize("down", [{"crl"}, {"ocsp", "crl"}])
def test_authority_that_is_down_leaves_the_verdict_open(world, stamped, down):
    world.down |= down
    found = validate(world, stamped)
    assert found.indication is report.Indication.INDETERMINATE
    assert found.sub_indication is report.SubIndication.TRY_LATER


def test_list_stands_in_for_a_responder_that_is_down(world, stamped):
    world.down.add("ocsp")
    found = validate(world, stamped)
    assert found.indication is report.Indication.TOTAL_PASSED, found.errors
    assert world.asked["crl"] == 3


def test_addresses_in_certificates_that_nobody_trusts_are_not_asked(world, stamped):
    found = validate(world, stamped, roots=False)
    assert found.sub_indication is report.SubIndication.NO_CERTIFICATE_CHAIN_FOUND
    assert not world.asked
