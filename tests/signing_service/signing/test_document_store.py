import errno
import pathlib
import stat

import pytest

from pki import errors
from signing_service.signing import document_store

ID = "0" * 32


def test_file_that_is_not_finished_leaves_the_old_one_and_nothing_else(
    tmp_path: pathlib.Path,
) -> None:
    store = document_store.DocumentStore(tmp_path / "store")
    with store.writing(ID, "b-b") as path:
        path.write_bytes(b"old")

    def write_half() -> None:
        with store.writing(ID, "b-b") as path:
            path.write_bytes(b"half of the n")
            raise RuntimeError("power cut")

    with pytest.raises(RuntimeError):
        write_half()

    assert store.path(ID, "b-b").read_bytes() == b"old"
    assert [one.name for one in (tmp_path / "store" / ID).iterdir()] == ["b-b"]


@pytest.mark.parametrize(
    ("session_id", "name"),
    [("../../etc", "b-b"), (ID, "../x"), ("", "b-b"), (ID, ""), (ID + "0", "b-b"), (ID, "a/b")],
)
def test_id_from_a_stranger_cannot_leave_the_folder(
    tmp_path: pathlib.Path, session_id: str, name: str
) -> None:
    store = document_store.DocumentStore(tmp_path / "store")
    with pytest.raises(errors.NotFoundError):
        store.path(session_id, name)


def test_documents_are_for_the_service_alone(tmp_path: pathlib.Path) -> None:
    store = document_store.DocumentStore(tmp_path / "store")
    with store.writing(ID, "b-b") as path:
        path.write_bytes(b"secret")
    for place in (tmp_path / "store", tmp_path / "store" / ID, store.path(ID, "b-b")):
        assert stat.S_IMODE(place.stat().st_mode) & 0o077 == 0


def test_missing_file_is_an_alarm_and_not_a_wrong_address(tmp_path: pathlib.Path) -> None:
    store = document_store.DocumentStore(tmp_path / "store")
    with pytest.raises(errors.TamperedError):
        store.path(ID, "b-b")


def test_discarding_twice_is_fine(tmp_path: pathlib.Path) -> None:
    store = document_store.DocumentStore(tmp_path / "store")
    source = tmp_path / "source"
    source.write_bytes(b"x")
    with store.writing(ID, "prepared") as path:
        path.write_bytes(source.read_bytes())
    store.discard(ID)
    store.discard(ID)
    assert not store.holds(ID, "prepared")


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT, errno.EFBIG])
def test_full_disk_is_told_and_leaves_what_was_there(tmp_path: pathlib.Path, number: int) -> None:
    store = document_store.DocumentStore(tmp_path)
    session_id = ID
    with store.writing(session_id, "b-b") as path:
        path.write_bytes(b"earlier")
    with (
        pytest.raises(document_store.StorageFullError) as caught,
        store.writing(session_id, "b-b"),
    ):
        raise OSError(number, "as the disk says it")
    assert caught.value.retriable
    assert store.path(session_id, "b-b").read_bytes() == b"earlier"
    assert [one.name for one in (tmp_path / session_id).iterdir()] == ["b-b"]
    with pytest.raises(PermissionError), store.writing(session_id, "b-b"):
        raise PermissionError(errno.EACCES, "something else")
