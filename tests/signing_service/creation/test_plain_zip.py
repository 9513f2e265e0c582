import io
import zipfile

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pki import errors
from signing_service.creation import plain_zip

NAMES = st.text(
    st.characters(exclude_categories=("C", "Z"), exclude_characters="/\\"), min_size=1, max_size=20
)
FILES = st.dictionaries(NAMES, st.lists(st.binary(max_size=50), max_size=3), max_size=4)


def _written(files: dict[str, list[bytes]]) -> tuple[io.BytesIO, list[plain_zip.Entry], int]:
    file = io.BytesIO()
    entries = [plain_zip.append(file, name, pieces) for name, pieces in files.items()]
    length = file.tell()
    plain_zip.finish(file, entries)
    return file, entries, length


@given(FILES)
@settings(max_examples=50, deadline=None)
def test_file_has_the_bytes_that_the_standard_library_would_write(
    files: dict[str, list[bytes]],
) -> None:
    expected = io.BytesIO()
    with zipfile.ZipFile(expected, "w", zipfile.ZIP_STORED) as archive:
        for name, pieces in files.items():
            info = zipfile.ZipInfo(name)
            info.external_attr = 0o644 << 16
            archive.writestr(info, b"".join(pieces))
    assert _written(files)[0].getvalue() == expected.getvalue()


@given(FILES)
@settings(max_examples=50, deadline=None)
def test_entries_are_read_from_their_headers(files: dict[str, list[bytes]]) -> None:
    file, entries, length = _written(files)
    assert plain_zip.entries(file, length) == entries


@given(FILES.filter(bool), st.data())
@settings(max_examples=50, deadline=None)
def test_changed_headers_are_refused_with_no_other_error(
    files: dict[str, list[bytes]], data: st.DataObject
) -> None:
    file, entries, length = _written(files)
    content = bytearray(file.getvalue())
    offset = data.draw(st.sampled_from(entries)).offset
    # Neither the checksum, which is looked at by who reads the content, nor the name.
    place = offset + data.draw(st.sampled_from([*range(14), *range(18, 30)]))
    content[place] ^= data.draw(st.integers(1, 255))
    with pytest.raises(errors.TamperedError):
        plain_zip.entries(io.BytesIO(bytes(content)), length)


def test_file_that_ends_early_is_refused() -> None:
    file, _, length = _written({"a": [b"TEST"]})
    for end in range(length):
        with pytest.raises(errors.TamperedError):
            plain_zip.entries(io.BytesIO(file.getvalue()[:end]), length)


def test_more_files_than_a_directory_can_count_are_refused() -> None:
    entry = plain_zip.Entry("a", 0, 0, 0)
    with pytest.raises(errors.LimitError):
        plain_zip.finish(io.BytesIO(), [entry] * 2**16)
