"""The report as a PDF of our own drawing.

The font covers Latin, Greek, Cyrillic, Arabic and Hebrew among others, but no Chinese, Japanese
or Korean; a character it lacks is drawn as a box, and a line at the end says so.
"""

import logging
import unicodedata
from pathlib import Path
from typing import Any, Final

from back_service.handlers.documents.findings import Findings
from shared.job_types.documents import KeyTerm

_FONTS: Final = Path(__file__).parent / "fonts"
_FACE: Final = "DejaVu"
_INK: Final = (31, 39, 51)
_SOFT: Final = (91, 102, 118)
_LINE: Final = (228, 224, 216)
_ACCENT: Final = (179, 65, 42)
_TINT: Final = (246, 231, 226)
_MARGIN: Final = 20.0
_COLUMNS: Final = 4
_GAP: Final = 4.0
_RIGHT_TO_LEFT: Final = frozenset({"R", "AL"})
_BOX: Final = "\u25a1"
_LACKING: Final = "Boxes stand for characters that this font lacks; the HTML report shows them."


def render_pdf(findings: Findings) -> bytes:
    from fpdf import FPDF

    logging.getLogger("fpdf").setLevel(logging.ERROR)  # it would tell of every missing glyph
    pdf = FPDF(format="A4")
    sheet = _Sheet(pdf, findings)
    sheet.head()
    sheet.summary()
    sheet.figures()
    sheet.terms()
    sheet.foot()
    return bytes(pdf.output())


class _Sheet:
    """Draws one part after the other, from the top of the first page down."""

    def __init__(self, pdf: Any, findings: Findings) -> None:
        self._pdf, self._findings = pdf, findings
        pdf.add_font(_FACE, "", _FONTS / "DejaVuSans.ttf")
        pdf.add_font(_FACE, "B", _FONTS / "DejaVuSans-Bold.ttf")
        pdf.set_text_shaping(True)
        pdf.set_margin(_MARGIN)
        pdf.c_margin = 0
        pdf.set_auto_page_break(True, margin=_MARGIN)
        pdf.set_title(findings.title)
        pdf.set_creator("Uketsuke")
        pdf.set_lang("en")
        pdf.add_page()
        self._width = float(pdf.epw)
        self._known = frozenset(pdf.fonts[_FACE.lower()].cmap)
        self._lacking = False

    def head(self) -> None:
        pdf = self._pdf
        pdf.set_fill_color(*_ACCENT)
        pdf.rect(_MARGIN, _MARGIN - 4, self._width, 1.6, style="F")
        pdf.ln(4)
        self._say("DOCUMENT REPORT", size=8, bold=True, colour=_ACCENT)
        pdf.ln(1)
        self._say(self._findings.title, size=19, bold=True, line=1.3)
        pdf.ln(1.5)
        self._say("   ·   ".join(self._findings.facts), size=9.5, colour=_SOFT)

    def summary(self) -> None:
        if not self._findings.summary:
            return
        self._heading("In short")
        for number, sentence in enumerate(self._findings.summary, start=1):
            self._point(number, sentence)
        self._say(
            "Sentences of the document itself, chosen and not rewritten.", size=8.5, colour=_SOFT
        )

    def figures(self) -> None:
        self._heading("In figures")
        pdf, figures = self._pdf, self._findings.figures
        width = (self._width - _GAP * (_COLUMNS - 1)) / _COLUMNS
        height = 17.0
        for start in range(0, len(figures), _COLUMNS):
            self._need(height)
            top = pdf.get_y()
            for column, (value, meaning) in enumerate(figures[start : start + _COLUMNS]):
                left = _MARGIN + column * (width + _GAP)
                pdf.set_draw_color(*_LINE)
                pdf.rect(left, top, width, height, round_corners=True, corner_radius=1.5)
                self._at(left + 3, top + 3, value, size=13, bold=True)
                self._at(left + 3, top + 10, meaning, size=8, colour=_SOFT)
            pdf.set_xy(_MARGIN, top + height + _GAP)
        if self._findings.remark:
            self._say(self._findings.remark, size=8.5, colour=_SOFT)

    def terms(self) -> None:
        if not self._findings.key_terms:
            return
        self._heading("What it is about")
        pdf, terms = self._pdf, self._findings.key_terms
        width, height = (self._width - 2 * _GAP) / 2, 6.8
        for start in range(0, len(terms), 2):
            self._need(height)
            top = pdf.get_y()
            for column, term in enumerate(terms[start : start + 2]):
                self._term(term, _MARGIN + column * (width + 2 * _GAP), top, width)
            pdf.set_xy(_MARGIN, top + height)

    def _term(self, term: KeyTerm, left: float, top: float, width: float) -> None:
        name, count = width * 0.56, 11.0
        room = width - name - count
        self._at(left, top, self._shortened(term.term, name - 3), size=9.5)
        for share, colour in ((1.0, _TINT), (max(term.score, 0.04), _ACCENT)):
            self._pdf.set_fill_color(*colour)
            self._pdf.rect(
                left + name, top + 1.9, room * share, 2,
                style="F", round_corners=True, corner_radius=1,
            )  # fmt: skip
        self._at(
            left + name + room, top, f"{term.count:,}",
            size=8.5, colour=_SOFT, width=count, align="R",
        )  # fmt: skip

    def foot(self) -> None:
        pdf = self._pdf
        pdf.set_auto_page_break(False)  # it stands in the margin of the last page
        pdf.set_y(-_MARGIN + (1 if self._lacking else 4))
        pdf.set_draw_color(*_LINE)
        pdf.line(_MARGIN, pdf.get_y(), _MARGIN + self._width, pdf.get_y())
        pdf.ln(1.5)
        if self._lacking:
            self._say(_LACKING, size=8, colour=_SOFT)
        self._say(
            f"SHA-256 of the document: {self._findings.document.sha256}", size=7, colour=_SOFT
        )
        self._say("Made by Uketsuke.", size=7, colour=_SOFT)

    def _heading(self, text: str) -> None:
        self._need(30)
        self._pdf.ln(8)
        self._say(text, size=13, bold=True)
        self._pdf.ln(2)

    def _point(self, number: int, sentence: str) -> None:
        pdf = self._pdf
        self._need(14)
        top = pdf.get_y()
        pdf.set_fill_color(*_TINT)
        pdf.ellipse(_MARGIN, top, 6, 6, style="F")
        self._at(
            _MARGIN, top + 0.1, str(number), size=8, bold=True, colour=_ACCENT, width=6, align="C"
        )
        pdf.set_xy(_MARGIN + 9, top)
        self._say(sentence, size=10.5, width=self._width - 9, line=1.5)
        pdf.set_xy(_MARGIN, pdf.get_y() + 2.5)

    def _say(
        self,
        text: str,
        *,
        size: float,
        bold: bool = False,
        colour: tuple[int, int, int] = _INK,
        width: float = 0,
        line: float = 1.4,
    ) -> None:
        """Write a paragraph from here on, to its own side of the page."""
        pdf = self._pdf
        self._pen(size, bold=bold, colour=colour)
        pdf.multi_cell(
            width or self._width, size * 0.3528 * line, self._drawable(text), align=_side(text),
            new_x="LMARGIN", new_y="NEXT",
        )  # fmt: skip

    def _at(
        self,
        left: float,
        top: float,
        text: str,
        *,
        size: float,
        bold: bool = False,
        colour: tuple[int, int, int] = _INK,
        width: float | None = None,
        align: str = "L",
    ) -> None:
        """Write one line at a place, aligned within *width* if that is given."""
        pdf = self._pdf
        self._pen(size, bold=bold, colour=colour)
        pdf.set_xy(left, top)
        pdf.cell(width, 5.8, self._drawable(text), align=align)

    def _pen(self, size: float, *, bold: bool, colour: tuple[int, int, int]) -> None:
        self._pdf.set_font(_FACE, "B" if bold else "", size)
        self._pdf.set_text_color(*colour)

    def _need(self, height: float) -> None:
        """Begin a new page if less than *height* is left of this one."""
        if self._pdf.will_page_break(height):
            self._pdf.add_page()

    def _shortened(self, text: str, width: float) -> str:
        self._pen(9.5, bold=False, colour=_INK)
        while len(text) > 1 and self._pdf.get_string_width(text) > width:
            text = text[:-2].rstrip() + "…"
        return text

    def _drawable(self, text: str) -> str:
        """Put a box for each character that the font lacks; left alone they would vanish."""
        drawn = "".join(
            character if ord(character) in self._known else "" if _hides(character) else _BOX
            for character in text
        )
        self._lacking |= _BOX in drawn
        return drawn


def _hides(character: str) -> bool:
    """Tell marks and joiners, which have no place of their own, and spaces."""
    return unicodedata.category(character) in {"Mn", "Me", "Cf", "Zs"}


def _side(text: str) -> str:
    """Tell where a paragraph begins: at the side of its first letter that has one."""
    for character in text:
        direction = unicodedata.bidirectional(character)
        if direction == "L":
            return "L"
        if direction in _RIGHT_TO_LEFT:
            return "R"
    return "L"
