"""A report as PDF, for files and courts."""

import pathlib

import fpdf
import fpdf.fonts
from fpdf.enums import WrapMode

from signing_service.creation.pdf import fonts
from signing_service.reports import course, sheet

MARGIN_MM = 20
LABEL_MM = 48
TEXT_PT = 10
LEADING_MM = 5.3
COURSE_LEADING_MM = 4.6

INK = (27, 31, 36)
SOFT = (87, 96, 106)
LINE = (208, 215, 222)
TONES = {
    course.Tone.GOOD: (17, 99, 41),
    course.Tone.OPEN: (111, 68, 0),
    course.Tone.BAD: (138, 28, 28),
}


def set_sheet(one: sheet.Sheet, font: pathlib.Path = fonts.DEFAULT_FONT) -> bytes:
    """Return the report as PDF on A4; letters that the font lacks are shown as U+FFFD.

    Raises:
        FontError: The font cannot be read.
    """
    pdf = _Paper(one, font)
    try:
        pdf.set_all()
        return bytes(pdf.output())
    finally:
        # The library reads the fonts' tables when it needs them, and leaves the files open.
        for used in pdf.fonts.values():
            if isinstance(used, fpdf.fonts.TTFFont):
                used.ttfont.close()


class _Paper(fpdf.FPDF):
    """A4 with the document's name at the foot of each page."""

    def __init__(self, one: sheet.Sheet, font: pathlib.Path) -> None:
        super().__init__(format="A4")
        self._sheet = one
        self.set_margin(MARGIN_MM)
        self.set_auto_page_break(True, margin=MARGIN_MM)
        self.set_lang(one.wording.language)
        self.set_title(one.wording.title)
        try:
            self.add_font("text", "", font)
        except (OSError, ValueError, fpdf.errors.FPDFException) as error:
            raise fonts.FontError(
                f"{font}: expected a TrueType font ({type(error).__name__})"
            ) from error
        self._letters = {
            point
            for one in self.fonts.values()
            if isinstance(one, fpdf.fonts.TTFFont)
            for point in one.cmap
        }
        # Kerning and marks as the font's tables say; without it Georgian and ə, ğ stand unevenly.
        self.set_text_shaping(True)
        self.alias_nb_pages("{pages}")

    def footer(self) -> None:
        """What stands at the foot of each page."""
        words = self._sheet.wording
        self.set_y(-MARGIN_MM + 6)
        self.set_font("text", "", 8)
        self.set_text_color(*SOFT)
        self.cell(self.epw - 35, 5, words.title)
        self.cell(0, 5, f"{words.page} {self.page_no()} / {{pages}}", align="R")

    def set_all(self) -> None:
        """Set the whole report."""
        one = self._sheet
        self.add_page()
        self._text(one.wording.title, size=16, leading=8)
        self._text(one.verdict, size=12, leading=6.5, colour=TONES[one.tone])
        self.ln(1)
        self._lines(one.document)
        for section in one.sections:
            if self.get_y() > self.h - MARGIN_MM - 40:
                self.add_page()
            self.ln(4)
            self.set_draw_color(*LINE)
            self.line(self.l_margin, self.get_y(), self.w - self.r_margin, self.get_y())
            self.ln(2.5)
            self.start_section(section.heading)
            self._text(section.heading, size=12, leading=6.5)
            self._text(section.verdict, colour=TONES[section.tone])
            self._lines(section.lines)
            if section.stages:
                self._course(section.stages)
        for note in one.notes:
            self._text(note)
        self.ln(5)
        self._text(one.wording.disclaimer, size=8, leading=4.2, colour=SOFT)

    def _course(self, stages: tuple[course.Stage, ...]) -> None:
        """Set how a verdict came about: a block with its rules stays together."""
        self.ln(2)
        self._text(self._sheet.wording.course, size=11, leading=6)
        for stage in stages:
            self._text(stage.heading, size=9, leading=4.8, colour=SOFT)
            for block in stage.blocks:
                self._block(block)

    def _block(self, block: course.Block) -> None:
        lines = (
            (block.heading, 9.5, INK, 0.0),
            (block.verdict, 9.0, TONES[block.tone], 0.0),
            *((f"{one.mark} {one.whole}", 8.5, SOFT, 4.0) for one in block.rules),
        )
        if self.get_y() + len(lines) * COURSE_LEADING_MM > self.h - MARGIN_MM:
            self.add_page()
        for text, size, colour, indent in lines:
            self.set_font("text", "", size)
            self.set_text_color(*colour)
            self.set_x(self.l_margin + indent)
            self.multi_cell(
                0, COURSE_LEADING_MM, self._shown(text), align="L", new_x="LMARGIN", new_y="NEXT"
            )
        self.ln(1)

    def _lines(self, lines: tuple[sheet.Line, ...]) -> None:
        for line in lines:
            top, page = self.get_y(), self.page
            self.set_font("text", "", TEXT_PT)
            self.set_text_color(*SOFT)
            self.multi_cell(
                LABEL_MM - 3, LEADING_MM, self._shown(line.label), align="L",
                new_x="LMARGIN", new_y="NEXT",
            )  # fmt: skip
            below = self.get_y()
            if self.page == page:
                self.set_y(top)
            self.set_x(self.l_margin + LABEL_MM)
            self.set_text_color(*INK)
            # A digest has no blanks to break at.
            mode = WrapMode.WORD if " " in line.whole else WrapMode.CHAR
            self.multi_cell(
                0, LEADING_MM, self._shown(line.whole), align="L", wrapmode=mode,
                new_x="LMARGIN", new_y="NEXT",
            )  # fmt: skip
            if self.page == page:
                self.set_y(max(below, self.get_y()))

    def _text(
        self,
        text: str,
        *,
        size: float = TEXT_PT,
        leading: float = LEADING_MM,
        colour: tuple[int, int, int] = INK,
    ) -> None:
        self.set_font("text", "", size)
        self.set_text_color(*colour)
        self.multi_cell(0, leading, self._shown(text), align="L", new_x="LMARGIN", new_y="NEXT")
        self.ln(1)

    def _shown(self, text: str) -> str:
        return "".join(one if ord(one) in self._letters else "\ufffd" for one in text)
