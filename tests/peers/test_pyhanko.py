"""pyHanko's AdES validation judges our PDFs offline, with only the root trusted."""

import asyncio
import io
import pathlib
import shutil
from collections.abc import Iterator

import pytest
import sqlalchemy
from pyhanko.pdf_utils import reader
from pyhanko.sign.ades import report
from pyhanko.sign.validation import ades, policy_decl
from pyhanko_certvalidator import context, registry
from pyhanko_certvalidator import policy_decl as certificate_policy

from pki import certificates, clock, database
from signing_service import documents, parameters
from signing_service.signing import flow
from tests.support import signing_world

pytestmark = pytest.mark.peer

B_B, B_T, B_LT, B_LTA = documents.SignatureLevel


@pytest.fixture
def world() -> Iterator[signing_world.World]:
    with signing_world.make_world(clock.whole_seconds(clock.SystemClock().now())) as made:
        yield made


class Desk:
    """Signs one contract again and again."""

    def __init__(self, world: signing_world.World, folder: pathlib.Path) -> None:
        engine: sqlalchemy.Engine = database.connect(f"sqlite:///{folder}/test.sqlite")
        database.Base.metadata.create_all(engine)
        self.service = world.service(engine, folder / "store")
        self.world = world
        self.document = folder / "contract.pdf"
        self.document.write_bytes(signing_world.make_pdf())

    def sign(self, chosen: parameters.SignatureParameters, code: str = "5AB12CD") -> None:
        holder, at = self.world.authorities.signer(code), self.world.clock.now()
        document = documents.Document("contract.pdf", self.document)
        row = flow.open_session(
            self.service, flow.Opening("portal", document, chosen), holder.certificate, at
        )
        value = holder.handle.sign(row.representation)
        flow.complete_session(self.service, row.id, "portal", value, at)
        signed = flow.signed_document(self.service, row.id, "portal", at)
        assert signed.level is chosen.level
        shutil.copyfile(signed.document.path, self.document)

    def judge(self) -> list[report.AdESSubIndic]:
        """The verdict on each person's signature: hard-fail revocation, nothing fetched."""
        root = certificates.to_asn1(self.world.authorities.root.certificate)
        rules = context.CertValidationPolicySpec(
            trust_manager=registry.SimpleTrustManager.build(trust_roots=[root]),
            revinfo_policy=certificate_policy.CertRevTrustPolicy(
                certificate_policy.REQUIRE_REVINFO
            ),
        )
        gathering = policy_decl.RevocationInfoGatheringSpec(
            online_fetching_rule=policy_decl.RevinfoOnlineFetchingRule.LOCAL_ONLY
        )
        spec = policy_decl.PdfSignatureValidationSpec(
            policy_decl.SignatureValidationSpec(
                cert_validation_policy=rules, revinfo_gathering_policy=gathering
            )
        )
        opened = reader.PdfFileReader(io.BytesIO(self.document.read_bytes()))
        return [
            asyncio.run(ades.ades_lta_validation(one, pdf_validation_spec=spec)).ades_subindic
            for one in opened.embedded_regular_signatures
        ]


@pytest.fixture
def desk(world: signing_world.World, tmp_path: pathlib.Path) -> Desk:
    return Desk(world, tmp_path)


@pytest.mark.clause("EN 319 142-1", "6.3")
def test_archived_signature_passes_offline_with_only_the_root_trusted(desk: Desk) -> None:
    desk.sign(signing_world.pades(B_LTA))
    assert desk.judge() == [report.AdESPassed.OK]


def test_lists_of_partitions_are_as_good_as_whole_ones(desk: Desk) -> None:
    desk.world.scope = f"{desk.world.base_url}/crl/"
    desk.sign(signing_world.pades(B_LTA))
    assert desk.judge() == [report.AdESPassed.OK]


def test_second_persons_signature_leaves_the_archived_first_one_valid(desk: Desk) -> None:
    desk.sign(signing_world.pades(B_LTA))
    look = parameters.Appearance(-1, (300, 60, 540, 130))
    desk.sign(signing_world.pades(B_LTA, appearance=look), "5AB12CE")
    assert desk.judge() == [report.AdESPassed.OK, report.AdESPassed.OK]


def test_b_t_holds_no_statuses_and_b_lt_no_proof_that_they_existed(desk: Desk) -> None:
    unsigned = desk.document.read_bytes()
    desk.sign(signing_world.pades(B_T))
    assert desk.judge() == [report.AdESIndeterminate.CERTIFICATE_CHAIN_GENERAL_FAILURE]

    desk.document.write_bytes(unsigned)
    desk.sign(signing_world.pades(B_LT))
    assert desk.judge() == [report.AdESIndeterminate.NO_POE]


def test_changed_byte_is_a_failed_hash(desk: Desk) -> None:
    desk.sign(signing_world.pades(B_LTA))
    content = bytearray(desk.document.read_bytes())
    content[content.index(b"stream") + 20] ^= 1
    desk.document.write_bytes(content)
    assert desk.judge() == [report.AdESFailure.HASH_FAILURE]
