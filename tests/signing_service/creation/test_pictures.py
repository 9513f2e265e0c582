"""Pictures for visible signatures: what is decoded, and what is refused before it does harm."""

import contextlib
import io
import pathlib
import struct
import zlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from pki import errors
from signing_service import parameters
from signing_service.creation.pdf import pictures

RED, GREEN = (255, 0, 0), (0, 255, 0)


def halves(width: int = 40, height: int = 20) -> Image.Image:
    """Red on the left, green on the right."""
    picture = Image.new("RGB", (width, height), RED)
    picture.paste(GREEN, (width // 2, 0, width, height))
    return picture


def saved(folder: pathlib.Path, picture: Image.Image, kind: str, **how: object) -> pathlib.Path:
    path = folder / f"picture.{kind.lower()}"
    picture.save(path, kind, **how)
    return path


def pixel(picture: parameters.Picture, x: int, y: int) -> tuple[int, ...]:
    at = 3 * (y * picture.width + x)
    return tuple(picture.colours[at : at + 3])


def test_png_keeps_its_colours_and_its_opacity(tmp_path: pathlib.Path) -> None:
    drawn = halves().convert("RGBA")
    drawn.putpixel((3, 3), (1, 2, 3, 77))
    found = pictures.read(saved(tmp_path, drawn, "PNG"))
    assert (found.width, found.height) == (40, 20)
    assert pixel(found, 0, 0) == RED
    assert pixel(found, 39, 19) == GREEN
    assert found.opacity is not None
    assert found.opacity[3 * 40 + 3] == 77


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGB", "RGBA", "I;16"])
def test_every_kind_of_png_is_read(tmp_path: pathlib.Path, mode: str) -> None:
    found = pictures.read(saved(tmp_path, halves().convert("L").convert(mode), "PNG"))
    assert (found.opacity is not None) is (mode in ("LA", "RGBA"))


@pytest.mark.parametrize("mode", ["L", "RGB", "CMYK"])
def test_every_kind_of_jpeg_is_read(tmp_path: pathlib.Path, mode: str) -> None:
    found = pictures.read(saved(tmp_path, halves().convert(mode), "JPEG", quality=95))
    assert found.opacity is None
    if mode != "L":
        left, right = pixel(found, 2, 10), pixel(found, 37, 10)
        assert left[0] > 200 > 60 > left[1]
        assert right[1] > 200 > 60 > right[0]


def test_photograph_is_turned_upright(tmp_path: pathlib.Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6  # Turn by 90 degrees clockwise to show it.
    found = pictures.read(saved(tmp_path, halves(), "JPEG", exif=exif, quality=95))
    assert (found.width, found.height) == (20, 40)
    assert pixel(found, 10, 2)[0] > 200, "what was on the left is now above"


def test_large_picture_is_scaled_down(tmp_path: pathlib.Path) -> None:
    found = pictures.read(saved(tmp_path, halves(3000, 1500), "PNG"))
    assert (found.width, found.height) == (parameters.MAX_PICTURE_SIDE, 500)


def bomb(width: int, height: int) -> bytes:
    """A PNG of some hundred bytes that says it has many pixels."""

    def chunk(kind: bytes, content: bytes) -> bytes:
        body = kind + content
        return struct.pack(">I", len(content)) + body + struct.pack(">I", zlib.crc32(body))

    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 6, 0, 0, 0))
        + chunk(b"IDAT", zlib.compress(bytes(1000)))
        + chunk(b"IEND", b"")
    )


@pytest.mark.parametrize("sides", [(5000, 5000), (60_000, 60_000), (2**31 - 1, 2**31 - 1)])
def test_picture_with_more_pixels_than_are_decoded_is_refused_by_its_header(
    tmp_path: pathlib.Path, sides: tuple[int, int]
) -> None:
    path = tmp_path / "bomb.png"
    path.write_bytes(bomb(*sides))
    with pytest.raises(pictures.PictureError, match="pixels"):
        pictures.read(path)


def test_other_kinds_empty_cut_off_and_oversized_files_are_refused(
    tmp_path: pathlib.Path,
) -> None:
    whole = saved(tmp_path, halves(), "PNG").read_bytes()
    gif = io.BytesIO()
    halves().save(gif, "GIF")
    path = tmp_path / "picture"
    for content in (b"", b"%PDF-1.7", gif.getvalue(), whole[:60], whole[:-30], bomb(1000, 1000)):
        path.write_bytes(content)
        with pytest.raises(pictures.PictureError):
            pictures.read(path)
    path.write_bytes(whole + bytes(pictures.MAX_BYTES))
    with pytest.raises(pictures.PictureError, match="bytes"):
        pictures.read(path)


@pytest.mark.parametrize(
    ("width", "height", "colours", "opacity"),
    [(2, 2, bytes(11), None), (2, 2, bytes(12), bytes(3)), (0, 2, b"", None), (1001, 1, b"", None)],
)
def test_samples_that_do_not_fill_the_picture_are_refused(
    width: int, height: int, colours: bytes, opacity: bytes | None
) -> None:
    with pytest.raises(parameters.ParametersError):
        parameters.Picture(width, height, colours, opacity)


WHOLE = {}
for _kind in pictures.KINDS:
    _written = io.BytesIO()
    halves().save(_written, _kind)
    WHOLE[_kind] = _written.getvalue()


@settings(max_examples=300, deadline=None)
@given(
    kind=st.sampled_from(pictures.KINDS),
    places=st.lists(st.tuples(st.integers(0), st.integers(0, 255)), min_size=1, max_size=12),
)
def test_mutated_picture_is_decoded_or_refused_and_nothing_else(
    tmp_path_factory: pytest.TempPathFactory, kind: str, places: list[tuple[int, int]]
) -> None:
    content = bytearray(WHOLE[kind])
    for place, value in places:
        content[place % len(content)] = value
    path = tmp_path_factory.mktemp("mutated") / "picture"
    path.write_bytes(content)
    with contextlib.suppress(errors.InputError):
        assert pictures.read(path).colours
