import hashlib
import pathlib
import random
import stat
import zipfile

import pytest

from pki import algorithms, errors
from signing_service import documents, parameters
from signing_service.creation import asic, asic_container
from signing_service.validation.asic import container as containers

ASIC_E = documents.SignatureFormat.ASIC_E
MEDIA_TYPE = asic_container.MEDIA_TYPES[ASIC_E]
SHA256 = algorithms.HashAlgorithm.SHA256
WISH = parameters.SignatureParameters(ASIC_E, documents.SignatureLevel.B_B)


@pytest.fixture
def container(tmp_path: pathlib.Path) -> pathlib.Path:
    source, target = tmp_path / "a.txt", tmp_path / "a.asice"
    source.write_bytes(b"TEST" * 1000)
    asic_container.create(target, ASIC_E, documents.single(source).files, ["text/plain"], SHA256)
    return target


def _zip(path: pathlib.Path, *entries: tuple[str, bytes]) -> pathlib.Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(zipfile.ZipInfo("mimetype"), MEDIA_TYPE)
        for name, content in entries:
            archive.writestr(zipfile.ZipInfo(name), content, zipfile.ZIP_DEFLATED)
    return path


@pytest.mark.clause("EN 319 162-1", "A.1")
def test_mimetype_is_first_and_can_be_read_at_its_place(container: pathlib.Path) -> None:
    content = container.read_bytes()
    assert content[30:38] == b"mimetype"
    assert content[38 : 38 + len(MEDIA_TYPE)] == MEDIA_TYPE.encode()
    assert asic_container.is_container(container)
    assert asic_container.read(container).data_files == ("a.txt",)


def test_hashes_are_those_of_the_documents_as_they_were_put_in(tmp_path: pathlib.Path) -> None:
    one, other = tmp_path / "one.txt", tmp_path / "other.bin"
    one.write_bytes(b"")
    other.write_bytes(bytes(range(256)) * 5000)
    made, found = asic_container.create(
        tmp_path / "c.asice",
        ASIC_E,
        [documents.Document(path.name, path) for path in (one, other)],
        ["text/plain", "application/octet-stream"],
        SHA256,
    )
    assert found == {path.name: hashlib.sha256(path.read_bytes()).digest() for path in (one, other)}
    container = asic_container.read(tmp_path / "c.asice")
    assert made == container
    assert b"".join(container.pieces("other.bin")) == other.read_bytes()


def test_signature_is_put_behind_what_is_there_or_in_its_place(
    container: pathlib.Path, tmp_path: pathlib.Path
) -> None:
    once, twice = tmp_path / "once.asice", tmp_path / "twice.asice"
    asic_container.add(container, once, {"META-INF/signatures0.xml": b"<first/>"})
    assert (
        once.read_bytes()[: container.stat().st_size // 2]
        == (container.read_bytes()[: container.stat().st_size // 2])
    )
    asic_container.add(once, twice, {"META-INF/signatures0.xml": b"<second/>"})
    for path, expected in ((once, b"<first/>"), (twice, b"<second/>")):
        found = asic_container.read(path)
        assert found.signatures == ("META-INF/signatures0.xml",)
        assert found.read("META-INF/signatures0.xml") == expected
        with zipfile.ZipFile(path) as archive:
            assert archive.testzip() is None


ADDED = {"META-INF/signatures0.xml": b"<first/>"}


def _created(tmp_path: pathlib.Path) -> tuple[pathlib.Path, int]:
    source, waiting = tmp_path / "a.txt", tmp_path / "waiting"
    source.write_bytes(b"TEST" * 100_000)
    files = documents.single(source).files
    made, _ = asic_container.create(waiting, ASIC_E, files, ["text/plain"], SHA256)
    assert made.length is not None
    return waiting, made.length


def test_completed_container_is_the_one_that_a_copy_would_become(tmp_path: pathlib.Path) -> None:
    waiting, length = _created(tmp_path)
    asic_container.add(waiting, tmp_path / "copied", ADDED)
    asic_container.complete(waiting, tmp_path / "completed", length, ADDED)
    assert (tmp_path / "completed").read_bytes() == (tmp_path / "copied").read_bytes()
    assert (tmp_path / "completed").samefile(waiting)  # The documents were not written again.


@pytest.mark.parametrize("left", [0, 1, 50, 10_000])
def test_container_is_completed_again_after_a_crash(tmp_path: pathlib.Path, left: int) -> None:
    waiting, length = _created(tmp_path)
    asic_container.add(waiting, tmp_path / "copied", ADDED)
    with waiting.open("r+b") as file:
        file.seek(length)
        file.write(b"\xff" * left)
    asic_container.complete(waiting, tmp_path / "completed", length, ADDED)
    assert (tmp_path / "completed").read_bytes() == (tmp_path / "copied").read_bytes()


def test_container_with_a_second_name_is_copied_so_that_the_other_stays(
    tmp_path: pathlib.Path,
) -> None:
    waiting, length = _created(tmp_path)
    asic_container.complete(waiting, tmp_path / "one", length, ADDED)
    before = (tmp_path / "one").read_bytes()
    other = {"META-INF/signatures0.xml": b"<another/>"}
    asic_container.complete(waiting, tmp_path / "two", length, other)
    assert (tmp_path / "one").read_bytes() == before
    found = asic_container.read(tmp_path / "two")
    assert found.read("META-INF/signatures0.xml") == b"<another/>"
    assert not (tmp_path / "two").samefile(waiting)
    assert stat.S_IMODE((tmp_path / "two").stat().st_mode) == 0o600


def test_names_without_a_flag_stay_what_validation_reads(tmp_path: pathlib.Path) -> None:
    """Info-ZIP writes UTF-8 without saying so (APPNOTE 4.4.4, bit 11)."""
    name = "müqavilə.txt"
    plain = "n" * len(name.encode())
    source = _zip(tmp_path / "a.asice", (plain, b"TEST"))
    source.write_bytes(source.read_bytes().replace(plain.encode(), name.encode()))
    assert asic_container.read(source).read(name) == b"TEST"
    asic_container.rewrite(source, tmp_path / "b.asice", {})
    assert asic_container.read(tmp_path / "b.asice").read(name) == b"TEST"
    with (tmp_path / "b.asice").open("rb") as file:
        assert containers.Container(file)[name] == b"TEST"


def test_container_that_lost_its_end_is_not_completed(tmp_path: pathlib.Path) -> None:
    waiting, length = _created(tmp_path)
    with waiting.open("r+b") as file:
        file.truncate(length - 1)
    with pytest.raises(errors.TamperedError):
        asic_container.complete(waiting, tmp_path / "completed", length, ADDED)


@pytest.mark.parametrize(
    "name", ["../a", "/a", "a//b", "a\\b", "META-INF/x", "mimetype", "a\nb", "", "./a"]
)
def test_document_whose_name_leads_elsewhere_is_not_put_in(
    tmp_path: pathlib.Path, name: str
) -> None:
    path = tmp_path / "a"
    path.write_bytes(b"TEST")
    with pytest.raises(asic_container.ContainerError):
        asic_container.create(
            tmp_path / "c", ASIC_E, [documents.Document(name, path)], ["text/plain"], SHA256
        )


@pytest.mark.filterwarnings("ignore:Duplicate name")
@pytest.mark.parametrize(
    "entries",
    [
        [("a.txt", b"1"), ("a.txt", b"2")],
        [("../a.txt", b"1")],
        [("/etc/passwd", b"1")],
        [("a\\..\\b", b"1")],
        [],
    ],
)
def test_hostile_container_is_refused(
    tmp_path: pathlib.Path, entries: list[tuple[str, bytes]]
) -> None:
    path = _zip(tmp_path / "bad.asice", *entries)
    with pytest.raises(documents.DocumentRefusedError):
        asic.check_document(path, WISH)


def test_bomb_is_refused_before_it_grows(tmp_path: pathlib.Path) -> None:
    path = _zip(tmp_path / "bomb.asice", ("a.txt", bytes(40 * 2**20)))
    with pytest.raises(errors.LimitError):
        asic.check_document(path, WISH)


def test_container_of_the_other_kind_is_refused(container: pathlib.Path) -> None:
    wish = parameters.SignatureParameters(
        documents.SignatureFormat.ASIC_S, documents.SignatureLevel.B_B
    )
    with pytest.raises(asic_container.ContainerError):
        asic.check_document(container, wish)


def test_mutated_container_raises_input_errors_and_nothing_else(
    container: pathlib.Path, tmp_path: pathlib.Path
) -> None:
    random_ = random.Random(1)  # noqa: S311 - the same mutations every time
    original = container.read_bytes()
    path = tmp_path / "mutated"
    for _ in range(300):
        content = bytearray(original)
        for _ in range(random_.randint(1, 6)):
            content[random_.randrange(len(content))] = random_.randrange(256)
        path.write_bytes(content[: random_.randint(1, len(content))])
        try:
            found = asic_container.read(path)
            asic_container.rewrite(path, tmp_path / "again", {"META-INF/x.xml": b"<x/>"})
            for name in found.names:
                found.read(name)
        except errors.InputError:
            continue
