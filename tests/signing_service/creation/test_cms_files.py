import pathlib
import random
import tracemalloc

import pytest

from pki import algorithms, der, errors, signature
from signing_service import documents, parameters
from signing_service.creation import cades, cms, cms_files


def _sign(
    source: pathlib.Path, target: pathlib.Path, hierarchy, at, packaging: parameters.Packaging
) -> None:
    signer = hierarchy.signer()
    prepared = target.with_suffix(".prepared")
    result = cades.prepare(
        documents.SignersDocuments((documents.Document(source.name, source),)),
        prepared,
        certificate=signer.certificate,
        chain=signer.issuers,
        parameters=parameters.SignatureParameters(
            documents.SignatureFormat.CADES, documents.SignatureLevel.B_B, packaging
        ),
        at=at,
    )
    representation = signature.represent(result.data_to_be_signed, result.hash_algorithm)
    cades.embed(result, prepared, target, signer.handle.sign(representation))


@pytest.fixture
def signed(tmp_path, hierarchy, at) -> pathlib.Path:
    source, target = tmp_path / "text.txt", tmp_path / "signed.p7m"
    source.write_bytes(b"TEST " * 100)
    _sign(source, target, hierarchy, at, parameters.Packaging.ENVELOPING)
    return target


def test_what_was_written_is_read_back(signed, tmp_path):
    found = cms_files.read(signed)
    assert found.content.digest(algorithms.HashAlgorithm.SHA256) == found.signer(0).message_digest
    again = tmp_path / "again.p7m"
    found.write(again)
    assert again.read_bytes() == signed.read_bytes()


def test_mutated_signature_raises_input_errors_and_nothing_else(signed, tmp_path):
    random_ = random.Random(1)  # noqa: S311 - the same mutations every time
    original = signed.read_bytes()
    path = tmp_path / "mutated"
    for _ in range(500):
        content = bytearray(original)
        for _ in range(random_.randint(1, 4)):
            content[random_.randrange(len(content))] = random_.randrange(256)
        path.write_bytes(content[: random_.randint(1, len(content))])
        try:
            found = cms_files.read(path)
            for position in range(len(found.signers)):
                _ = found.signer(position).message_digest
            found.write(tmp_path / "written")
        except errors.InputError:
            continue


def test_ber_without_an_end_is_refused(tmp_path):
    path = tmp_path / "ber.p7m"
    path.write_bytes(b"\x30\x80" + cms.ID_SIGNED_DATA + b"\xa0\x80\x30\x80\x02\x01\x01" + bytes(20))
    assert cms_files.is_signed_data(path)
    with pytest.raises(errors.InputError):
        cms_files.read(path)


@pytest.mark.clause("RFC 5652", "5.1")
def test_version_tells_what_kinds_are_inside():
    made = cms_files.SignedDataFile(cms.ID_DATA, None)
    assert made.version == 1
    assert made.with_validation_data([], [der.encode(0xA1, b"")]).version == 5
    assert cms_files.SignedDataFile(der.encode_oid("1.2.3"), None).version == 3


def test_a_large_document_is_not_held_in_memory(tmp_path, hierarchy, at):
    source, target = tmp_path / "large.bin", tmp_path / "large.p7m"
    with source.open("wb") as file:
        file.truncate(40 * 2**20)
    tracemalloc.start()
    try:
        _sign(source, target, hierarchy, at, parameters.Packaging.ENVELOPING)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert target.stat().st_size > 40 * 2**20
    assert peak < 6 * 2**20


def test_hash_alone_is_signed_when_it_is_the_one_that_the_key_uses(tmp_path, hierarchy, at):
    signer = hierarchy.signer()
    wish = parameters.SignatureParameters(
        documents.SignatureFormat.CADES, documents.SignatureLevel.B_B
    )

    def prepare(known: documents.DocumentDigest) -> documents.PreparedSignature:
        return cades.prepare(
            documents.SignersDocuments(digests=(known,)),
            tmp_path / "prepared",
            certificate=signer.certificate,
            chain=signer.issuers,
            parameters=wish,
            at=at,
        )

    sha256, sha512 = algorithms.HashAlgorithm.SHA256, algorithms.HashAlgorithm.SHA512
    made = prepare(documents.DocumentDigest("a.txt", sha256, sha256.digest(b"TEST")))
    assert cms.message_digest(made.data_to_be_signed) == sha256.digest(b"TEST")
    with pytest.raises(cades.OtherHashError):
        prepare(documents.DocumentDigest("a.txt", sha512, sha512.digest(b"TEST")))
