"""Where visible signatures stand on pages that are turned and cut, and how they look there."""

import datetime
import pathlib
import shutil
import subprocess

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from pyhanko.sign import fields

from pki import errors, signature
from signing_service import parameters
from signing_service.creation import pades
from signing_service.creation.pdf import pdf_places
from tests.support import form_pdfs, hierarchy, signing_desk, signing_world

CROP = (50, 100, 550, 800)
"""500 by 700 points of an A4 page."""

corners = st.tuples(st.integers(0, 400), st.integers(0, 400))


@given(
    rotation=st.sampled_from([0, 90, 180, 270]),
    low=corners,
    size=st.tuples(st.integers(1, 90), st.integers(1, 90)),
)
def test_box_comes_back_from_the_page_as_it_went(
    rotation: int, low: tuple[int, int], size: tuple[int, int]
) -> None:
    view = pdf_places.View((50.0, 100.0, 550.0, 800.0), rotation)
    box = (low[0], low[1], low[0] + size[0], low[1] + size[1])
    on_page = view.to_page(box)
    assert view.to_view(on_page) == box
    assert 50 <= on_page[0] < on_page[2] <= 550
    assert 100 <= on_page[1] < on_page[3] <= 800


@pytest.fixture
def contract(tmp_path: pathlib.Path) -> pathlib.Path:
    path = tmp_path / "contract.pdf"
    path.write_bytes(signing_world.make_pdf(text=" ", pages=1))
    return path


def signed_with(
    folder: pathlib.Path,
    source: pathlib.Path,
    authorities: hierarchy.Hierarchy,
    at: datetime.datetime,
    look: parameters.Appearance,
) -> pathlib.Path:
    holder = authorities.signer()
    chosen = signing_world.pades(appearance=look)
    pades.check_document(source, chosen)
    prepared = pades.prepare(
        source,
        folder / "prepared",
        certificate=holder.certificate,
        chain=holder.issuers,
        parameters=chosen,
        at=at,
    )
    value = holder.handle.sign(
        signature.represent(prepared.data_to_be_signed, prepared.hash_algorithm)
    )
    target = folder / f"signed-{len(list(folder.iterdir()))}.pdf"
    pades.embed(prepared, folder / "prepared", target, value)
    return target


def rendered(pdf: pathlib.Path, *, dots: int = 72) -> Image.Image:
    """The first page as poppler shows it, a pixel for each point."""
    program = signing_desk.program("pdftoppm")
    target = pdf.with_suffix("")
    subprocess.run(
        [program, "-r", str(dots), "-cropbox", "-singlefile", "-png", str(pdf), str(target)],
        check=True,
    )
    with Image.open(target.with_suffix(".png")) as opened:
        return opened.convert("RGB")


def places_of(page: Image.Image, colour: int) -> tuple[float, float, float, float]:
    """Left, bottom, right and top of what is strongly red (0), green (1) or blue (2)."""
    bands = page.split()
    strong = bands[colour].point(lambda value: 255 if value > 180 else 0)
    for other in {0, 1, 2} - {colour}:
        weak = bands[other].point(lambda value: 255 if value < 90 else 0)
        strong = Image.composite(strong, Image.new("L", page.size), weak)
    box = strong.getbbox()
    assert box is not None, "the colour is not on the page"
    return box[0], page.height - box[3], box[2], page.height - box[1]


def four_colours() -> parameters.Picture:
    """Red above blue on the left, green on the right: it shows when it is turned or mirrored."""
    drawn = Image.new("RGB", (200, 100), (0, 255, 0))
    drawn.paste((255, 0, 0), (0, 0, 100, 50))
    drawn.paste((0, 0, 255), (0, 50, 100, 100))
    return parameters.Picture(200, 100, drawn.tobytes())


@pytest.mark.peer
@pytest.mark.parametrize("rotation", [0, 90, 180, 270])
def test_picture_is_upright_where_the_box_is_on_the_shown_page(
    tmp_path: pathlib.Path,
    contract: pathlib.Path,
    hierarchy: hierarchy.Hierarchy,
    at: datetime.datetime,
    rotation: int,
) -> None:
    form_pdfs.show(contract, rotation, CROP)
    look = parameters.Appearance(1, (30, 60, 238, 168), text=False, picture=four_colours())
    page = rendered(signed_with(tmp_path, contract, hierarchy, at, look))

    assert page.size == ((500, 700) if rotation in (0, 180) else (700, 500))
    # The picture stands four points inside the border, twice as wide as it is high.
    assert places_of(page, 0) == pytest.approx((34, 114, 134, 164), abs=2)
    assert places_of(page, 2) == pytest.approx((34, 64, 134, 114), abs=2)
    assert places_of(page, 1) == pytest.approx((134, 64, 234, 164), abs=2)


@pytest.mark.peer
@pytest.mark.parametrize("rotation", [0, 90, 180, 270])
def test_free_place_is_at_the_foot_of_the_shown_page_and_the_second_beside_it(
    tmp_path: pathlib.Path,
    contract: pathlib.Path,
    hierarchy: hierarchy.Hierarchy,
    at: datetime.datetime,
    rotation: int,
) -> None:
    form_pdfs.show(contract, rotation, CROP)
    look = parameters.Appearance(picture=four_colours())
    first = signed_with(tmp_path, contract, hierarchy, at, look)
    second = signed_with(tmp_path, first, hierarchy, at, look)
    one, both = rendered(first), rendered(second)
    assert places_of(one, 0)[0] == pytest.approx(pdf_places.MARGIN + 4, abs=2)
    assert places_of(one, 2)[1] < 100
    found = places_of(both, 0)
    narrow = one.size[0] < 2 * (pdf_places.PLACE[0] + pdf_places.MARGIN) + pdf_places.GAP
    if narrow:
        assert found[3] > places_of(one, 0)[3] + 40, "above it"
    else:
        assert found[2] > places_of(one, 0)[2] + 200, "beside it"


@pytest.mark.peer
def test_clear_parts_of_a_picture_let_the_page_through(
    tmp_path: pathlib.Path,
    contract: pathlib.Path,
    hierarchy: hierarchy.Hierarchy,
    at: datetime.datetime,
) -> None:
    whole = four_colours()
    clear = bytes(255 if place % 200 < 100 else 0 for place in range(200 * 100))
    picture = parameters.Picture(200, 100, whole.colours, clear)
    look = parameters.Appearance(1, (30, 60, 238, 168), text=False, picture=picture)
    page = rendered(signed_with(tmp_path, contract, hierarchy, at, look))
    assert places_of(page, 0) == pytest.approx((34, 114, 134, 164), abs=2)
    assert page.getpixel((180, page.height - 110)) == (255, 255, 255)


@pytest.mark.peer
@pytest.mark.parametrize("rotation", [0, 90])
def test_existing_field_without_a_page_of_its_own_is_drawn_upright(
    tmp_path: pathlib.Path,
    contract: pathlib.Path,
    hierarchy: hierarchy.Hierarchy,
    at: datetime.datetime,
    rotation: int,
) -> None:
    box = pdf_places.View(CROP, rotation).to_page((30, 60, 238, 168))
    form_pdfs.add_signature_field(contract, fields.SigFieldSpec("Buyer", box=box))

    def forget(opened: object) -> None:
        field = opened.root["/AcroForm"]["/Fields"][0]  # type: ignore[attr-defined]
        del field["/P"]
        opened.update_container(field)  # type: ignore[attr-defined]

    form_pdfs.changed(contract, forget)
    form_pdfs.show(contract, rotation, CROP)
    look = parameters.Appearance(field="Buyer", text=False, picture=four_colours())
    page = rendered(signed_with(tmp_path, contract, hierarchy, at, look))
    assert places_of(page, 0) == pytest.approx((34, 114, 134, 164), abs=2)


@pytest.mark.peer
def test_picture_stands_left_of_the_text_in_both_scripts(
    tmp_path: pathlib.Path,
    contract: pathlib.Path,
    hierarchy: hierarchy.Hierarchy,
    at: datetime.datetime,
) -> None:
    shutil.copyfile(contract, tmp_path / "plain.pdf")
    look = parameters.Appearance(1, (300, 60, 560, 130), picture=four_colours())
    signed = signed_with(tmp_path, contract, hierarchy, at, look)
    page = rendered(signed)
    assert places_of(page, 1)[2] <= 300 + 260 * 0.45
    words = page.crop((415, page.height - 130, 558, page.height - 62)).convert("L")
    dark = sum(words.histogram()[:100])
    assert dark > 50, "the text is right of it"


@pytest.mark.peer
def test_picture_stands_above_the_text_in_a_high_box(
    tmp_path: pathlib.Path,
    contract: pathlib.Path,
    hierarchy: hierarchy.Hierarchy,
    at: datetime.datetime,
) -> None:
    look = parameters.Appearance(1, (60, 60, 260, 300), picture=four_colours())
    page = rendered(signed_with(tmp_path, contract, hierarchy, at, look))
    assert places_of(page, 0) == pytest.approx((67, 249, 160, 296), abs=3)
    words = page.crop((64, page.height - 195, 256, page.height - 64)).convert("L")
    assert sum(words.histogram()[:100]) > 50, "the text is under it"


@pytest.mark.slow
@pytest.mark.peer
@pytest.mark.parametrize("size", [(3, 3), (9, 60), (60, 9), (30, 12)])
def test_picture_is_not_mirrored_in_a_field_that_is_hardly_there(
    tmp_path: pathlib.Path,
    contract: pathlib.Path,
    hierarchy: hierarchy.Hierarchy,
    at: datetime.datetime,
    size: tuple[int, int],
) -> None:
    box = (100, 100, 100 + size[0], 100 + size[1])
    form_pdfs.add_signature_field(contract, fields.SigFieldSpec("Buyer", box=box))
    look = parameters.Appearance(field="Buyer", picture=four_colours(), text=False)
    page = rendered(signed_with(tmp_path, contract, hierarchy, at, look), dots=720)
    red, blue, green = (places_of(page, colour) for colour in (0, 2, 1))
    assert red[1] >= blue[3] - 2, "red is above blue"
    assert green[0] >= red[2] - 2, "green is on the right"
    with_text = parameters.Appearance(field="Seller", picture=four_colours())
    form_pdfs.add_signature_field(contract, fields.SigFieldSpec("Seller", box=box))
    signed_with(tmp_path, contract, hierarchy, at, with_text)


def test_box_beside_the_page_is_refused(
    tmp_path: pathlib.Path,
    contract: pathlib.Path,
    hierarchy: hierarchy.Hierarchy,
    at: datetime.datetime,
) -> None:
    form_pdfs.show(contract, 90, CROP)
    shown_wide = parameters.Appearance(1, (440, 30, 690, 120))
    signed_with(tmp_path, contract, hierarchy, at, shown_wide)
    for box in ((500, 30, 710, 120), (30, 450, 260, 520)):
        with pytest.raises(errors.InputError) as caught:
            signed_with(tmp_path, contract, hierarchy, at, parameters.Appearance(1, box))
        assert caught.value.code == "appearance-page"
