import pytest
from hypothesis import given
from hypothesis import strategies as st

from mobile_id import display_text
from mobile_id.display_text import DisplayTextFormat
from pki import errors


@pytest.mark.clause("Mobile-ID REST", "3.2.3")
def test_letters_that_gsm7_lacks_become_spaces() -> None:
    assert display_text.shown_text("Müqavilə", DisplayTextFormat.GSM7) == "Müqavil "
    assert display_text.shown_text("Müqavilə", DisplayTextFormat.UCS2) == "Müqavilə"


@pytest.mark.parametrize(
    ("text", "text_format"),
    [("a" * 101, DisplayTextFormat.GSM7), ("ə" * 51, DisplayTextFormat.UCS2),
     ("{}[]|^", DisplayTextFormat.GSM7)],
)  # fmt: skip
def test_a_text_that_does_not_fit_is_refused_and_not_cut(
    text: str, text_format: DisplayTextFormat
) -> None:
    with pytest.raises(display_text.DisplayTextError):
        display_text.shown_text(text, text_format)


def test_the_longest_texts_fit() -> None:
    assert len(display_text.shown_text("a" * 95 + "{}[]|", DisplayTextFormat.GSM7)) == 100
    assert len(display_text.shown_text("ნ" * 50, DisplayTextFormat.UCS2)) == 50


def test_invisible_characters_cannot_turn_a_text_around() -> None:
    spoofed = "pay 100\u202e001 yap\u200b\x07"
    shown = display_text.shown_text(spoofed, DisplayTextFormat.UCS2)
    assert "\u202e" not in shown
    assert "\u200b" not in shown
    assert "\x07" not in shown


@given(st.text(max_size=120), st.sampled_from(DisplayTextFormat))
def test_any_text_is_shown_with_its_length_or_refused(
    text: str, text_format: DisplayTextFormat
) -> None:
    try:
        shown = display_text.shown_text(text, text_format)
    except errors.InputError:
        return
    assert len(shown) == len(text) <= display_text.MAX_GSM7_CHARACTERS


def test_the_format_that_keeps_every_letter_is_chosen() -> None:
    assert display_text.format_for("Contract 7 [a]") is DisplayTextFormat.GSM7
    assert display_text.format_for("Müqavilə") is DisplayTextFormat.UCS2
