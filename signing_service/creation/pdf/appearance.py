"""What a visible signature shows: who signed, when, and why, in a box on a page.

The box is for people; what counts is the signature itself. Names are shown as the certificate
spells them and never in capitals: Georgian capitals are rarely supported, and upper-casing turns
the Azerbaijani i into another letter.
"""

import dataclasses
import datetime
import io
import pathlib

from cryptography import x509
from cryptography.x509.oid import NameOID
from pyhanko import stamp
from pyhanko.pdf_utils import content, form_tools, generic, layout, text
from pyhanko.pdf_utils import writer as pdf_writer
from pyhanko.pdf_utils.font import opentype

from signing_service import parameters
from signing_service.creation.pdf import fonts

FONT_SIZE = 10
MAX_LINE = 60
"""Characters in one line before it is broken between words."""

MARGIN = 4
"""Points between the border, the picture and the text."""

PICTURE_SHARE = 0.4
"""Of the width, what a picture beside text takes at most; of the height, where it is above."""

HIGH = 0.6
"""The height of a box, to its width, from which a picture stands above the text."""


def describe(
    certificate: x509.Certificate, chosen: parameters.SignatureParameters, at: datetime.datetime
) -> tuple[str, ...]:
    """Return the lines of text of a visible signature."""
    lines = [*_signer(certificate), at.strftime("%Y-%m-%d %H:%M:%S UTC")]
    lines += [line for line in (chosen.reason, chosen.place) if line is not None]
    return tuple(broken for line in lines for broken in _break(line))


@dataclasses.dataclass(frozen=True)
class Drawing:
    """Draws a visible signature into the widget of a field, for pyHanko's embedder.

    Attributes:
        lines: The text, without any where there is only a picture.
        font: For the text.
        picture: Left of the text or above it, or alone.
        rotation: Of the page, in degrees clockwise.
    """

    lines: tuple[str, ...]
    font: pathlib.Path
    picture: parameters.Picture | None
    rotation: int

    def apply(
        self, sig_annot: generic.DictionaryObject, writer: pdf_writer.BasePdfFileWriter
    ) -> None:
        """Give the widget its appearance; one without an area has none to give it."""
        width, height = form_tools.annot_width_height(sig_annot)
        if not (width and height):
            return
        if self.rotation in (90, 270):
            width, height = height, width
        box = layout.BoxConstraints(width=float(width), height=float(height))
        made = self._style(float(width), float(height)).create_stamp(writer, box, {})
        if made is None:
            raise TypeError("pyHanko gave no stamp")
        drawn = made.as_form_xobject()
        if self.rotation:
            # ISO 32000-1 12.5.5: readers fit the turned box into the rectangle.
            drawn["/Matrix"] = generic.ArrayObject(
                map(generic.NumberObject, _TURNED[self.rotation])
            )
            look = sig_annot.get("/MK", generic.DictionaryObject())
            if isinstance(look, generic.DictionaryObject):
                look["/R"] = generic.NumberObject(self.rotation)
                sig_annot["/MK"] = look
        sig_annot["/AP"] = generic.DictionaryObject(
            {generic.pdf_name("/N"): writer.add_object(drawn)}
        )
        sig_annot.pop("/AS", None)
        writer.update_container(sig_annot)

    def _style(self, width: float, height: float) -> stamp.BaseStampStyle:
        picture = None
        # The field of somebody else may be as small as its author liked.
        margin = min(MARGIN, int(min(width, height) / 10))
        # In a box as high as this, text beside a picture would be too small to read.
        is_above = bool(self.lines) and height > HIGH * width
        room = [width - 2 * margin, height - 2 * margin]
        left = top = float(margin)
        if self.picture is not None:
            if self.lines:
                room[is_above] *= PICTURE_SHARE
            scale = min(room[0] / self.picture.width, room[1] / self.picture.height)
            picture = _PictureContent(self.picture, scale)
            if is_above:
                top += self.picture.height * scale + margin
            else:
                left += self.picture.width * scale + margin
        align = layout.AxisAlignment
        beside = layout.SimpleBoxLayoutRule(
            x_align=align.ALIGN_MIN if self.lines and not is_above else align.ALIGN_MID,
            y_align=align.ALIGN_MAX if is_above else align.ALIGN_MID,
            margins=layout.Margins.uniform(margin),
        )
        if not self.lines:
            return stamp.StaticStampStyle(
                border_width=1,
                background=picture,
                background_layout=beside,
                background_opacity=1.0,
            )
        return stamp.TextStampStyle(
            # Percent signs are pyHanko's own placeholders.
            stamp_text="\n".join(self.lines).replace("%", "%%"),
            border_width=1,
            background=picture,
            background_layout=beside,
            background_opacity=1.0,
            text_box_style=text.TextBoxStyle(
                font=_FontFactory(self.font),  # type: ignore[arg-type]
                font_size=FONT_SIZE,
                leading=FONT_SIZE + 3,
            ),
            inner_content_layout=layout.SimpleBoxLayoutRule(
                x_align=layout.AxisAlignment.ALIGN_MIN,
                y_align=layout.AxisAlignment.ALIGN_MID,
                margins=layout.Margins(int(left), margin, int(top), margin),
                inner_content_scaling=layout.InnerScaling.SHRINK_TO_FIT,
            ),
        )


def draw(
    shown: parameters.Appearance,
    certificate: x509.Certificate,
    chosen: parameters.SignatureParameters,
    font: pathlib.Path,
    at: datetime.datetime,
    rotation: int,
) -> Drawing:
    """Return the drawing of a visible signature.

    Raises:
        MissingGlyphError: The font lacks a character.
    """
    lines = describe(certificate, chosen, at) if shown.text else ()
    fonts.require_glyphs(font, "\n".join(lines))
    return Drawing(lines, font, shown.picture, rotation)


_TURNED = {90: (0, 1, -1, 0, 0, 0), 180: (-1, 0, 0, -1, 0, 0), 270: (0, -1, 1, 0, 0, 0)}
"""What turns a drawing against its page, by the rotation of the page."""


class _PictureContent(content.PdfContent):
    """A picture in a size of its own, as an image XObject (ISO 32000-1 8.9.5)."""

    def __init__(self, picture: parameters.Picture, scale: float) -> None:
        self._size = picture.width * scale, picture.height * scale
        super().__init__(box=layout.BoxConstraints(*self._size))
        self._picture = picture

    def render(self) -> bytes:
        picture, writer = self._picture, self.writer
        if writer is None:
            raise TypeError("pyHanko set no writer")
        image = _samples(picture, "/DeviceRGB", picture.colours)
        if picture.opacity is not None:
            # ISO 32000-1 11.6.5.3.
            image["/SMask"] = writer.add_object(_samples(picture, "/DeviceGray", picture.opacity))
        self.set_resource(
            category=content.ResourceType.XOBJECT,
            name=generic.pdf_name("/Picture"),
            value=writer.add_object(image),
        )
        return b"q %g 0 0 %g 0 0 cm /Picture Do Q" % self._size


def _samples(
    picture: parameters.Picture, colour_space: str, samples: bytes
) -> generic.StreamObject:
    image = generic.StreamObject(
        {
            generic.pdf_name("/Type"): generic.pdf_name("/XObject"),
            generic.pdf_name("/Subtype"): generic.pdf_name("/Image"),
            generic.pdf_name("/Width"): generic.NumberObject(picture.width),
            generic.pdf_name("/Height"): generic.NumberObject(picture.height),
            generic.pdf_name("/ColorSpace"): generic.pdf_name(colour_space),
            generic.pdf_name("/BitsPerComponent"): generic.NumberObject(8),
        },
        stream_data=samples,
    )
    image.compress()
    return image


class _FontFactory:
    """Gives pyHanko the scaled font from memory; its own factory wants a file."""

    def __init__(self, font: pathlib.Path) -> None:
        self._font = font

    def create_font_engine(
        self, pdf: pdf_writer.BasePdfFileWriter, obj_stream: object = None
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
