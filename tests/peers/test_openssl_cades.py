"""Our CAdES signatures verified by `openssl cms` and, for their time stamps, `openssl ts`."""

import base64
import dataclasses
import datetime
import pathlib
import subprocess
from collections.abc import Iterator

import pytest
import sqlalchemy
from asn1crypto import cms as asn1_cms

from pki import algorithms, database, der
from signing_service import documents, parameters, trust
from signing_service import service as service_module
from signing_service.creation import cms, cms_archive, cms_files
from signing_service.signing import flow, sessions
from signing_service.validation import policy, process
from tests.support import hierarchy as hierarchy_support
from tests.support import signing_world

pytestmark = pytest.mark.peer

B_B, B_T, B_LT, B_LTA = documents.SignatureLevel
DETACHED, ENVELOPING = parameters.Packaging.DETACHED, parameters.Packaging.ENVELOPING
TEXT = "Müqavilə — ხელშეკრულება\r\n\x00 TEST".encode() * 1000


@dataclasses.dataclass
class Desk:
    """A citizen, a service and openssl beside them."""

    world: signing_world.World
    service: service_module.SigningService
    folder: pathlib.Path

    @property
    def root(self) -> pathlib.Path:
        path = self.folder / "root.pem"
        path.write_bytes(self.world.authorities.root.pem)
        return path

    def sign(
        self,
        source: pathlib.Path,
        level: documents.SignatureLevel,
        signer: hierarchy_support.Holder,
        **chosen: object,
    ) -> pathlib.Path:
        wish = parameters.SignatureParameters(
            documents.SignatureFormat.CADES,
            level,
            **chosen,  # type: ignore[arg-type]
        )
        opening = flow.Opening("portal", documents.Document(source.name, source), wish)
        at = self.world.clock.now()
        row = flow.open_session(self.service, opening, signer.certificate, at)
        value = signer.handle.sign(row.representation)
        done = flow.complete_session(self.service, row.id, "portal", value, at)
        assert done.state is sessions.SessionState.COMPLETED, done.error_message
        return flow.signed_document(self.service, row.id, "portal", at).document.path

    def openssl(self, path: pathlib.Path, *more: str) -> subprocess.CompletedProcess[bytes]:
        return subprocess.run(
            ["openssl", "cms", "-verify", "-binary", "-inform", "DER", "-in", str(path),
             "-CAfile", str(self.root), "-purpose", "any", "-cades", *more],
            capture_output=True, timeout=60, check=False,
        )  # fmt: skip


@pytest.fixture
def desk(tmp_path: pathlib.Path, at: datetime.datetime) -> Iterator[Desk]:
    engine: sqlalchemy.Engine = database.connect(f"sqlite:///{tmp_path}/test.sqlite")
    database.Base.metadata.create_all(engine)
    with signing_world.make_world(at) as world:
        yield Desk(world, world.service(engine, tmp_path / "store"), tmp_path)
    engine.dispose()


@pytest.fixture
def text(tmp_path: pathlib.Path) -> pathlib.Path:
    path = tmp_path / "contract.txt"
    path.write_bytes(TEXT)
    return path


@pytest.mark.clause("EN 319 122-1", "6.3")
@pytest.mark.parametrize("level", list(documents.SignatureLevel))
@pytest.mark.parametrize("packaging", [DETACHED, ENVELOPING])
def test_openssl_accepts_every_level_and_refuses_another_document(
    desk: Desk, text: pathlib.Path, level: documents.SignatureLevel,
    packaging: parameters.Packaging,
) -> None:  # fmt: skip
    signed = desk.sign(
        text, level, desk.world.authorities.signer(), packaging=packaging, place="Bakı",
        commitment=parameters.CommitmentType.PROOF_OF_APPROVAL,
    )  # fmt: skip
    if packaging is ENVELOPING:
        answer = desk.openssl(signed)
        assert (answer.returncode, answer.stdout) == (0, TEXT), answer.stderr.decode()
        signed.write_bytes(signed.read_bytes().replace(b"TEST", b"REST", 1))
        assert desk.openssl(signed).returncode != 0
    else:
        answer = desk.openssl(signed, "-content", str(text))
        assert answer.returncode == 0, answer.stderr.decode()
        text.write_bytes(TEXT + b"!")
        assert desk.openssl(signed, "-content", str(text)).returncode != 0


@pytest.mark.parametrize("kind", list(algorithms.KeyKind))
def test_openssl_accepts_every_kind_of_key(
    desk: Desk, text: pathlib.Path, kind: algorithms.KeyKind
) -> None:
    signed = desk.sign(text, B_LTA, desk.world.authorities.signer(kind=kind), packaging=ENVELOPING)
    answer = desk.openssl(signed)
    assert (answer.returncode, answer.stdout) == (0, TEXT), answer.stderr.decode()


def test_further_signer_stands_in_parallel_and_keeps_what_the_first_archive_stamp_covers(
    desk: Desk, text: pathlib.Path
) -> None:
    first = desk.sign(text, B_LTA, desk.world.authorities.signer(), packaging=ENVELOPING)
    kind = algorithms.KeyKind.RSA3072
    both = desk.sign(
        first, B_LTA, desk.world.authorities.signer("5ZZ99ZZ", kind), packaging=ENVELOPING
    )
    answer = desk.openssl(both)
    assert (answer.returncode, answer.stdout) == (0, TEXT), answer.stderr.decode()
    signed = cms_files.read(both)
    assert len(signed.signers) == 2
    assert signed.signers[0] == cms_files.read(first).signers[0]
    for position in range(2):
        _check_archive_time_stamp(signed, signed.signer(position))


def test_further_signer_of_openssls_own_detached_signature(desk: Desk, text: pathlib.Path) -> None:
    other, key, target = desk.world.authorities.signer(), *(
        desk.folder / name for name in ("key.pem", "openssl.p7s")
    )  # fmt: skip
    from cryptography.hazmat.primitives import serialization

    key.write_bytes(
        other.pem
        + other.key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
    subprocess.run(
        ["openssl", "cms", "-sign", "-binary", "-cades", "-md", "sha256", "-outform", "DER",
         "-signer", str(key), "-in", str(text), "-out", str(target),
         "-certfile", str(_pem(desk))],
        check=True, capture_output=True,
    )  # fmt: skip
    both = desk.sign(target, B_LT, desk.world.authorities.signer("5ZZ99ZZ"))
    answer = desk.openssl(both, "-content", str(text))
    assert answer.returncode == 0, answer.stderr.decode()
    assert len(cms_files.read(both).signers) == 2


@pytest.mark.clause("EN 319 122-1", "5.5.3")
def test_archive_time_stamp_covers_what_the_standard_lists(desk: Desk, text: pathlib.Path) -> None:
    path = desk.sign(text, B_LTA, desk.world.authorities.signer())
    signed = cms_files.read(path)
    signer = signed.signer(0)
    _check_archive_time_stamp(signed, signer)
    (token,) = cms_archive.tokens(signer)
    # The token with its new unsigned attribute still verifies for others.
    stamp = desk.folder / "token.der"
    stamp.write_bytes(token)
    authorities = desk.world.authorities
    infrastructure = desk.folder / "infrastructure.pem"
    infrastructure.write_bytes(authorities.infrastructure.pem)
    answer = subprocess.run(
        ["openssl", "ts", "-verify", "-token_in", "-in", str(stamp), "-CAfile", str(desk.root),
         "-untrusted", str(infrastructure), "-digest", _imprint(token).hex()],
        capture_output=True, timeout=60, check=False,
    )  # fmt: skip
    assert answer.returncode == 0, answer.stderr.decode()


@pytest.mark.parametrize("level", list(documents.SignatureLevel))
@pytest.mark.parametrize("packaging", [DETACHED, ENVELOPING])
def test_our_validator_finds_the_level_that_was_made(
    desk: Desk, text: pathlib.Path, level: documents.SignatureLevel,
    packaging: parameters.Packaging,
) -> None:  # fmt: skip
    signed = desk.sign(text, level, desk.world.authorities.signer(), packaging=packaging)
    original = documents.Document(text.name, text)
    report = process.judge(
        documents.Document(signed.name, signed),
        trust=trust.TrustAnchors((desk.world.authorities.root.certificate,)),
        at=desk.world.clock.now() + datetime.timedelta(minutes=1),
        detached=[original] if packaging is DETACHED else [],
        rules=policy.DEFAULT,
        fetched=None,
    ).report.to_json()
    (one,) = report["signatures"]
    assert one["level"] == f"CAdES-BASELINE-{level.label[2:]}", one
    assert one["intact"] is True, one
    if level >= B_LT:
        assert one["indication"] == "TOTAL-PASSED", one


def _pem(desk: Desk) -> pathlib.Path:
    path = desk.folder / "issuing.pem"
    path.write_bytes(desk.world.authorities.issuing.pem)
    return path


def _imprint(token: bytes) -> bytes:
    info = asn1_cms.ContentInfo.load(token)["content"]["encap_content_info"]["content"].parsed
    return bytes(info["message_imprint"]["hashed_message"].native)


def _check_archive_time_stamp(signed: cms_files.SignedDataFile, signer: cms.Signer) -> None:
    """Compute the imprint again with another ASN.1 library, from what stands in the index."""
    info = asn1_cms.SignerInfo.load(signer.encoded())
    (token,) = cms_archive.tokens(signer)
    stamper = asn1_cms.ContentInfo.load(token)["content"]["signer_infos"][0]
    (index,) = [
        one["values"][0].dump()
        for one in stamper["unsigned_attrs"]
        if one["type"].dotted == "0.4.0.19122.1.5"
    ]
    digest = signer.hash_algorithm.digest
    parts = ("version", "sid", "digest_algorithm", "signed_attrs", "signature_algorithm",
             "signature")  # fmt: skip
    covered = bytes.fromhex("06092a864886f70d010701") + signer.message_digest
    covered += b"".join(info[name].dump() for name in parts) + index
    assert _imprint(token) == digest(covered)
    _, *lists = der.read(index).children()
    certificates, crls, attributes = ({one.content for one in each.children()} for each in lists)
    assert certificates <= set(map(digest, signed.certificates))
    assert crls <= set(map(digest, signed.crls))
    assert {base64.b64encode(one) for one in attributes} <= {
        base64.b64encode(digest(one["type"].dump() + value.dump()))
        for one in info["unsigned_attrs"]
        for value in one["values"]
    }
    assert len(certificates) >= 5
    assert len(crls) >= 3
    assert len(attributes) == 1
