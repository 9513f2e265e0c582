"""A large CMS in a file is read as a small one in memory is."""

import dataclasses
import pathlib
import random
import subprocess

import pytest
from cryptography.hazmat.primitives import serialization

from pki import der, errors, originals
from signing_service import documents, trust
from signing_service.validation import process
from signing_service.validation.cades import signed_data, signed_data_file
from tests.support import signed_cms

CONTENT = random.Random(1).randbytes(signed_data_file.HELD_BYTES + 5)  # noqa: S311 - not a secret


def whole(signed: signed_data.SignedData) -> signed_data.SignedData:
    """The same with everything in memory, so that two can be compared."""
    content = None if signed.content is None else originals.octets(signed.content)
    return dataclasses.replace(
        signed,
        message=signed.octets,
        sent=originals.octets(signed.sent),
        encapsulated=originals.octets(signed.encapsulated),
        content=content,
    )


def in_pieces(content: bytes, size: int, *, is_open: bool) -> bytes:
    """A content as a constructed string, with a length or without."""
    pieces = b"".join(
        der.encode(der.OCTET_STRING, content[place : place + size])
        for place in range(0, len(content), size)
    )
    return b"\x24\x80" + pieces + b"\0\0" if is_open else der.encode(0x24, pieces)


@pytest.fixture
def encoded(hierarchy, at) -> bytes:
    return signed_cms.sign(CONTENT, hierarchy.signer(), at).encode()


@pytest.fixture
def path(tmp_path: pathlib.Path) -> pathlib.Path:
    return tmp_path / "signed.p7m"


@pytest.mark.parametrize("behind", [b"", b"\0\0", b"more"])
def test_file_in_der_is_read_as_the_same_bytes_in_memory(encoded, path, behind):
    path.write_bytes(encoded + behind)
    found = signed_data_file.read(path)
    assert isinstance(found.content, originals.StoredOriginal)
    assert found.octets == originals.octets(found.sent) == encoded
    assert whole(found) == signed_data.parse(encoded + behind)
    other = signed_data_file.has_other_bytes_behind(path, found.ends_at)
    assert other is (behind == b"more")


@pytest.mark.clause("RFC 5652", "5.2.1")
@pytest.mark.parametrize(("size", "is_open"), [(1000, True), (70_000, False), (2**22, True)])
def test_content_in_pieces_is_read_as_the_same_bytes_in_memory(encoded, path, size, is_open):
    parsed = signed_data.parse(encoded)
    streamed = _streamed(encoded, parsed, in_pieces(CONTENT, size, is_open=is_open))
    path.write_bytes(streamed)
    found = signed_data_file.read(path)
    assert isinstance(found.content, originals.StoredOriginal)
    assert originals.octets(found.sent) == streamed != found.octets
    assert whole(found) == signed_data.parse(streamed)
    assert originals.octets(found.content) == CONTENT


def _streamed(encoded: bytes, parsed: signed_data.SignedData, content: bytes) -> bytes:
    """The message without lengths, as who writes a stream writes it (X.690 8.1.3.6)."""
    (identifier, wrapped) = signed_data.elements(signed_data.content_of(encoded, der.SEQUENCE))
    (body,) = signed_data.elements(signed_data.content_of(wrapped, None))
    version, algorithms, _, *rest = signed_data.elements(signed_data.content_of(body, None))
    end = b"\0\0"
    inner = b"\x30\x80" + parsed.content_type_der + b"\xa0\x80" + content + end + end
    members = b"".join((version, algorithms, inner, *rest))
    return b"\x30\x80" + identifier + b"\xa0\x80\x30\x80" + members + end + end + end


def test_openssl_writes_a_stream_that_is_judged_intact(path, tmp_path, hierarchy, at):
    signer = hierarchy.signer()
    source = tmp_path / "source"
    source.write_bytes(CONTENT)
    (tmp_path / "key.pem").write_bytes(
        signer.key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
    (tmp_path / "signer.pem").write_bytes(signer.pem)
    subprocess.run(
        ["openssl", "cms", "-sign", "-binary", "-nodetach", "-stream", "-outform", "DER", "-cades",
         "-in", source, "-out", path, "-signer", tmp_path / "signer.pem",
         "-inkey", tmp_path / "key.pem"],
        check=True,
    )  # fmt: skip
    read = signed_data_file.read(path)
    assert originals.octets(read.sent) == path.read_bytes() != read.octets
    validated = process.validate(
        documents.Document("signed.p7m", path), trust=trust.TrustAnchors(), at=at, fetch=None
    )
    (found,) = validated.signatures
    assert found.intact
    path.write_bytes(path.read_bytes().replace(CONTENT[5000:5008], b"changed!"))
    validated = process.validate(
        documents.Document("signed.p7m", path), trust=trust.TrustAnchors(), at=at, fetch=None
    )
    assert not validated.signatures[0].intact


def test_mutated_headers_are_read_alike_or_refused_alike(encoded, path):
    chance = random.Random(2)  # noqa: S311 - the same mutations every time
    streamed = _streamed(
        encoded, signed_data.parse(encoded), in_pieces(CONTENT, 2**19, is_open=True)
    )
    for number in range(150):
        changed = bytearray(streamed if number % 2 else encoded)
        place = chance.choice(
            (chance.randrange(80), chance.randrange(len(changed) - 1500, len(changed)))
        )
        changed[place] = chance.choice((0, 0x80, 0x30, 0x24, 0x84, chance.randrange(256)))
        path.write_bytes(changed)
        found = []
        for read in (
            lambda: whole(signed_data_file.read(path)),
            lambda: signed_data.parse(bytes(changed)),  # noqa: B023 - called at once
        ):
            try:
                found.append(read())
            except errors.InputError as error:
                found.append(error.code)
        assert found[0] == found[1]


def test_file_over_the_limit_is_refused_unread(path):
    with path.open("wb") as file:
        file.write(b"\x30\x80")
        file.truncate(signed_data_file.MAX_BYTES + 1)
    with pytest.raises(errors.LimitError):
        signed_data_file.read(path)


def test_large_content_that_is_signed_attributes_is_told_from_one_that_begins_alike(path):
    attributes = der.encode(
        der.SET,
        signed_cms.attribute("1.2.840.113549.1.9.3", der.encode_oid("1.2.840.113549.1.7.1")),
        signed_cms.attribute("1.2.840.113549.1.9.4", der.encode(der.OCTET_STRING, bytes(32))),
        signed_cms.attribute("1.2.3.4", der.encode(der.OCTET_STRING, CONTENT)),
    )
    for content, expected in ((attributes, True), (attributes + b"more", True),
                              (b"1" + CONTENT, False), (attributes[:-1], False)):  # fmt: skip
        path.write_bytes(content)
        assert signed_data.is_attributes(originals.of_file(path)) is expected
        assert signed_data.is_attributes(content) is expected
