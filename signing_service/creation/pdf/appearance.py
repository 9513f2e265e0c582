"""What a visible signature shows: who signed, when, and why, in a box on a page.

The box is for people; what counts is the signature itself. Names are shown as the certificate
spells them and never in capitals: Georgian capitals are rarely supported, and upper-casing turns
the Azerbaijani i into another letter.
"""

import datetime
import io
import pathlib
from collections.abc import Sequence

from cryptography import x509
from cryptography.x509.oid import NameOID
from pyhanko import stamp
from pyhanko.pdf_utils import layout, text, writer
from pyhanko.pdf_utils.font import opentype
from pyhanko.sign.signers import cms_embedder

from signing_service import parameters
from signing_service.creation.pdf import fonts

FONT_SIZE = 10
MAX_LINE = 60
"""Characters in one line before it is broken between words."""


def describe(
    certificate: x509.Certificate, chosen: parameters.SignatureParameters, at: datetime.datetime
) -> tuple[str, ...]:
    """Return the lines of text of a visible signature."""
    lines = [*_signer(certificate), at.strftime("%Y-%m-%d %H:%M:%S UTC")]
    lines += [line for line in (chosen.reason, chosen.place) if line is not None]
    return tuple(broken for line in lines for broken in _break(line))


def setup(
    lines: Sequence[str], font: pathlib.Path, at: datetime.datetime
) -> cms_embedder.SigAppearanceSetup:
    """Return the drawing of the lines, for pyHanko's embedder.

    Raises:
        MissingGlyphError: The font lacks a character.
    """
    shown = "\n".join(lines)
    fonts.require_glyphs(font, shown)
    style = stamp.TextStampStyle(
        # Percent signs are pyHanko's own placeholders.
        stamp_text=shown.replace("%", "%%"),
        border_width=1,
        text_box_style=text.TextBoxStyle(
            font=_FontFactory(font),  # type: ignore[arg-type]
            font_size=FONT_SIZE,
            leading=FONT_SIZE + 3,
        ),
        inner_content_layout=layout.SimpleBoxLayoutRule(
            x_align=layout.AxisAlignment.ALIGN_MIN,
            y_align=layout.AxisAlignment.ALIGN_MID,
            margins=layout.Margins.uniform(4),
            inner_content_scaling=layout.InnerScaling.SHRINK_TO_FIT,
        ),
    )
    return cms_embedder.SigAppearanceSetup(style=style, timestamp=at, name=None)


class _FontFactory:
    """Gives pyHanko the scaled font from memory; its own factory wants a file."""

    def __init__(self, font: pathlib.Path) -> None:
        self._font = font

    def create_font_engine(
        self, pdf: writer.BasePdfFileWriter, obj_stream: object = None
    ) -> opentype.GlyphAccumulator:
        return opentype.GlyphAccumulator(
            pdf, io.BytesIO(fonts.load_font(self._font)), FONT_SIZE, obj_stream=obj_stream
        )


def _signer(certificate: x509.Certificate) -> list[str]:
    subject = certificate.subject
    names = [
        _first(subject, NameOID.GIVEN_NAME),
        _first(subject, NameOID.SURNAME),
    ]
    person = " ".join(name for name in names if name) or _first(subject, NameOID.COMMON_NAME)
    lines = [person] if person else []
    title = _first(subject, NameOID.TITLE)
    organisation = _first(subject, NameOID.ORGANIZATION_NAME)
    if organisation:
        lines.append(f"{title}, {organisation}" if title else organisation)
    return lines


def _first(name: x509.Name, oid: x509.ObjectIdentifier) -> str:
    values = name.get_attributes_for_oid(oid)
    return str(values[0].value) if values else ""


def _break(line: str) -> list[str]:
    broken = [""]
    for word in line.split():
        if broken[-1] and len(broken[-1]) + 1 + len(word) > MAX_LINE:
            broken.append("")
        broken[-1] = f"{broken[-1]} {word}".strip()
    return broken
