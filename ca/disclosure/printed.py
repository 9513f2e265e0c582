"""A statement as PDF: set with shaped text, with a title, a language and an outline.

The same statement gives the same bytes: its date is the day since which it holds.
"""

import datetime
import pathlib

import fpdf
import fpdf.fonts
from fpdf.enums import MethodReturnValue, WrapMode
from fpdf.fonts import TTFFont

from ca.disclosure import settings
from ca.disclosure import statement as statements

MARGIN_MM = 22
TEXT_PT = 10
LEADING_MM = 5.4
LABEL_MM = 52
POINT_MM = 5

INK = (27, 31, 36)
SOFT = (87, 96, 106)
WARNING = (138, 28, 28)
LINK = (11, 87, 164)
LINE = (208, 215, 222)


class FontMissingError(settings.DisclosureSettingsError):
    """The font of the PDF is not there or is no TrueType font."""

    code = "disclosure-font"


def set_statement(one: statements.Statement, font: pathlib.Path, bold_font: pathlib.Path) -> bytes:
    """Return a statement as PDF on A4.

    Raises:
        FontMissingError: A font cannot be read, or lacks a letter of the statement.
    """
    pdf = _Sheet(one)
    try:
        pdf.add_font("text", "", font)
        pdf.add_font("text", "B", bold_font)
    except (OSError, ValueError, fpdf.errors.FPDFException) as error:
        raise FontMissingError(
            f"expected TrueType fonts at {font} and {bold_font} ({type(error).__name__})"
        ) from error
    try:
        pdf.check_letters()
        # Kerning and marks as the font's tables say; without it Georgian and ə, ğ stand unevenly.
        pdf.set_text_shaping(True)
        pdf.add_page()
        pdf.set_front()
        for section in one.sections:
            pdf.set_section(section)
        return bytes(pdf.output())
    finally:
        # The library reads the fonts' tables when it needs them, and leaves the files open.
        for used in pdf.fonts.values():
            if isinstance(used, fpdf.fonts.TTFFont):
                used.ttfont.close()


class _Sheet(fpdf.FPDF):
    """A4 with the statement's name at the foot of each page."""

    def __init__(self, one: statements.Statement) -> None:
        super().__init__(format="A4")
        self._statement = one
        self.set_margin(MARGIN_MM)
        self.set_auto_page_break(True, margin=MARGIN_MM)
        self.set_lang(one.language)
        self.set_title(f"{one.wording.title}, {one.version}")
        self.set_author(one.operator)
        self.set_creation_date(
            datetime.datetime.combine(one.effective, datetime.time(), datetime.UTC)
        )
        self.alias_nb_pages("{pages}")

    def check_letters(self) -> None:
        """Refuse a font without a letter; the library would print a box in its place."""
        loaded = [one for one in self.fonts.values() if isinstance(one, TTFFont)]
        known = set.intersection(*(set(one.cmap) for one in loaded))
        shown = "".join(_texts(self._statement))
        missing = sorted({one for one in shown if ord(one) not in known})
        if missing:
            raise FontMissingError(
                f"expected a font with every letter of the statement, but it lacks"
                f" U+{ord(missing[0]):04X}: set [disclosure] font and bold_font"
            )

    def footer(self) -> None:
        """What stands at the foot of each page."""
        one = self._statement
        self.set_y(-MARGIN_MM + 6)
        self.set_font("text", "", 8)
        self.set_text_color(*SOFT)
        self.cell(self.epw - 35, 5, f"{one.wording.title}, {one.version}")
        self.cell(0, 5, f"{one.wording.page} {self.page_no()} / {{pages}}", align="R")

    def set_front(self) -> None:
        """Set title, version, notice and introduction."""
        one = self._statement
        self._text(one.wording.title, size=17, bold=True, leading=8.5)
        about = (
            f"{one.operator}. {one.wording.version} {one.version}."
            f" {one.wording.effective}: {one.effective.isoformat()}"
        )
        self._text(about, colour=SOFT)
        if one.notice:
            self.ln(2)
            self.set_draw_color(*WARNING)
            self.set_font("text", "B", TEXT_PT)
            self.set_text_color(*WARNING)
            self.multi_cell(
                0, LEADING_MM + 0.6, one.notice, border=1, align="L", padding=2,
                new_x="LMARGIN", new_y="NEXT",
            )  # fmt: skip
        self.ln(2)
        for paragraph in one.introduction:
            self._text(paragraph)

    def set_section(self, section: statements.Section) -> None:
        """Set one section, its heading never alone at the foot of a page."""
        if self.get_y() > self.h - MARGIN_MM - 30:
            self.add_page()
        self.ln(4)
        self.set_draw_color(*LINE)
        self.line(self.l_margin, self.get_y(), self.w - self.r_margin, self.get_y())
        self.ln(2.5)
        self.start_section(section.heading)
        self._text(section.heading, size=12, bold=True, leading=6.5)
        for paragraph in section.paragraphs:
            self._text(paragraph)
        for line in section.lines:
            self._line(line)
        self.ln(0.8)
        for point in section.points:
            self._point(point)

    def _text(
        self,
        text: str,
        *,
        size: float = TEXT_PT,
        bold: bool = False,
        colour: tuple[int, int, int] = INK,
        leading: float = LEADING_MM,
    ) -> None:
        self.set_font("text", "B" if bold else "", size)
        self.set_text_color(*colour)
        self.multi_cell(0, leading, text, align="L", new_x="LMARGIN", new_y="NEXT")
        self.ln(1.4)

    def _line(self, line: statements.Line) -> None:
        self.set_font("text", "", TEXT_PT)
        value_width = self.epw - LABEL_MM
        rows = max(
            self._rows(width, text)
            for width, text in ((LABEL_MM - 3, line.label), (value_width, line.text))
        )
        if self.get_y() + rows * LEADING_MM > self.h - MARGIN_MM:
            self.add_page()
        top = self.get_y()
        self.set_text_color(*SOFT)
        self.multi_cell(LABEL_MM - 3, LEADING_MM, line.label, align="L",
                        new_x="LMARGIN", new_y="TOP")  # fmt: skip
        self.set_xy(self.l_margin + LABEL_MM, top)
        self.set_text_color(*(LINK if line.url else INK))
        self.multi_cell(value_width, LEADING_MM, line.text, align="L", link=line.url or "",
                        wrapmode=WrapMode.CHAR if line.url else WrapMode.WORD)  # fmt: skip
        self.set_xy(self.l_margin, top + rows * LEADING_MM + 0.8)

    def _rows(self, width: float, text: str) -> int:
        """In how many lines a text will be set."""
        lines = self.multi_cell(
            width, LEADING_MM, text, align="L", dry_run=True, output=MethodReturnValue.LINES
        )
        return len(lines) if isinstance(lines, list) else 1

    def _point(self, text: str) -> None:
        self.set_font("text", "", TEXT_PT)
        self.set_text_color(*INK)
        width = self.epw - POINT_MM
        rows = self._rows(width, text)
        if self.get_y() + rows * LEADING_MM > self.h - MARGIN_MM:
            self.add_page()
        self.cell(POINT_MM, LEADING_MM, "•")
        self.multi_cell(width, LEADING_MM, text, align="L", new_x="LMARGIN", new_y="NEXT")
        self.ln(0.8)


def _texts(one: statements.Statement) -> list[str]:
    found = [one.wording.title, one.wording.page, one.wording.version, one.wording.effective,
             one.operator, one.notice, *one.introduction]  # fmt: skip
    for section in one.sections:
        found += [section.heading, *section.paragraphs, *section.points]
        found += [text for line in section.lines for text in (line.label, line.text)]
    return found
