"""The font of visible signatures: it must have the letters of both countries.

pyHanko's default font prints rubbish for ə, ğ, ş and for Georgian without an error, and it
takes every font for one of 1000 units per em. So a TrueType font is cut down to the scripts that
are needed and scaled to 1000 units, once in each process.
"""

import functools
import io
import pathlib

from pki import errors

DEFAULT_FONT = pathlib.Path("/usr/share/fonts/truetype/dejavu/DejaVuSans.ttf")
"""Where Debian's fonts-dejavu-core puts a font with Azerbaijani and Georgian letters."""

UNITS_PER_EM = 1000
"""What a PDF's glyph widths are counted in (ISO 32000-1 9.2.4)."""

_SCRIPTS = (
    range(0x20, 0x7F),  # Basic Latin
    range(0xA0, 0x250),  # Latin-1, Latin Extended-A and -B (ğ, ş)
    range(0x250, 0x2B0),  # IPA Extensions: ə is here
    range(0x370, 0x530),  # Greek and Cyrillic
    range(0x10A0, 0x1100),  # Georgian
    range(0x2010, 0x2040),  # dashes and quotation marks
    range(0x20A0, 0x20C0),  # currency signs, the manat and the lari among them
    range(0x2116, 0x2117),  # numero sign
)


class FontError(errors.InputError):
    """The font file is missing or is no TrueType font."""

    code = "font-unusable"


class MissingGlyphError(errors.InputError):
    """A text holds a character that the font cannot show."""

    code = "appearance-character"


@functools.lru_cache(maxsize=4)
def load_font(path: pathlib.Path) -> bytes:
    """Return a TrueType font cut to the needed scripts and scaled to 1000 units per em.

    Raises:
        FontError: The file cannot be read as a TrueType font.
    """
    # Imported here, because every zone reads the settings, which name a font, and few need one.
    from fontTools import subset, ttLib
    from fontTools.ttLib import scaleUpem

    try:
        font = ttLib.TTFont(path, lazy=False)
        options = subset.Options(layout_features=["kern", "mark", "mkmk", "ccmp", "locl"])
        options.name_IDs = ["*"]
        options.notdef_outline = True
        options.hinting = False
        options.drop_tables += ["FFTM"]
        cutter = subset.Subsetter(options)
        cutter.populate(unicodes=[point for script in _SCRIPTS for point in script])
        cutter.subset(font)
        if font["head"].unitsPerEm != UNITS_PER_EM:
            scaleUpem.scale_upem(font, UNITS_PER_EM)
        written = io.BytesIO()
        font.save(written)
    except (OSError, ttLib.TTLibError, KeyError) as error:
        raise FontError(f"{path}: expected a TrueType font ({type(error).__name__})") from error
    return written.getvalue()


@functools.lru_cache(maxsize=4)
def characters(path: pathlib.Path) -> frozenset[str]:
    """Return the characters that the font can show."""
    from fontTools import ttLib

    font = ttLib.TTFont(io.BytesIO(load_font(path)))
    return frozenset(chr(point) for point in font.getBestCmap())


def require_glyphs(path: pathlib.Path, text: str) -> None:
    """Check that the font can show every character; there is no second font to fall back on.

    Raises:
        MissingGlyphError: It cannot; the message names the code point, not the text.
    """
    known = characters(path)
    for character in text:
        if character != "\n" and character not in known:
            raise MissingGlyphError(
                f"expected letters that the font {path.name} has, got U+{ord(character):04X}:"
                " sign without a visible appearance, or set another font"
            )
