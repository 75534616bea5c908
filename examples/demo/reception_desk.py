"""Make ``reception-desk.pdf``: a document to try ``documents.process`` with.

Run ``python examples/demo/reception_desk.py``; it needs the extra ``documents``. The text is in
``reception_desk.txt``: ours, under the licence of the project.
"""

from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from fpdf import FPDF

HERE: Final = Path(__file__).parent
FONTS: Final = HERE.parent.parent / "back_service/handlers/documents/fonts"
TITLE: Final = "How a reception desk works"
SUBTITLE: Final = "The asynchronous request-reply pattern, seen from the counter"


class Booklet(FPDF):
    """Pages with a running foot; the title page has none."""

    def footer(self) -> None:
        if self.page_no() > 1:
            self.set_y(-15)
            self.set_font("DejaVu", size=8)
            self.set_text_color(110, 118, 130)
            self.cell(0, 5, f"{TITLE}  ·  {self.page_no()}", align="C")


def make() -> Path:
    """Write the document and return where it is."""
    pdf = Booklet(format=(148, 210))
    pdf.add_font("DejaVu", "", FONTS / "DejaVuSans.ttf")
    pdf.add_font("DejaVu", "B", FONTS / "DejaVuSans-Bold.ttf")
    pdf.set_title(TITLE)
    pdf.set_author("The Uketsuke project")
    pdf.set_lang("en")
    pdf.set_creation_date(datetime(2026, 1, 1, tzinfo=UTC))  # the same bytes every time
    pdf.set_margin(18)
    pdf.set_auto_page_break(True, margin=20)
    _title_page(pdf)
    pdf.add_page()
    for block in (HERE / "reception_desk.txt").read_text(encoding="utf-8").split("\n\n"):
        text = " ".join(block.split())
        if text.startswith("# "):
            _heading(pdf, text.removeprefix("# "))
        else:
            _paragraph(pdf, text)
    path = HERE / "reception-desk.pdf"
    pdf.output(path)
    return path


def _title_page(pdf: FPDF) -> None:
    pdf.add_page()
    pdf.set_fill_color(179, 65, 42)
    pdf.rect(18, 62, pdf.epw, 1.6, style="F")
    pdf.set_y(70)
    pdf.set_text_color(31, 39, 51)
    pdf.set_font("DejaVu", "B", 24)
    pdf.multi_cell(0, 12, TITLE, align="L", new_x="LMARGIN", new_y="NEXT")
    pdf.ln(3)
    pdf.set_font("DejaVu", size=11)
    pdf.set_text_color(91, 102, 118)
    pdf.multi_cell(0, 6.5, SUBTITLE, align="L")


def _heading(pdf: FPDF, text: str) -> None:
    if pdf.will_page_break(45):
        pdf.add_page()
    pdf.ln(4)
    pdf.set_text_color(179, 65, 42)
    pdf.set_font("DejaVu", "B", 13)
    pdf.multi_cell(0, 8, text, align="L", new_x="LMARGIN", new_y="NEXT")
    pdf.ln(1.5)


def _paragraph(pdf: FPDF, text: str) -> None:
    pdf.set_text_color(31, 39, 51)
    pdf.set_font("DejaVu", size=9)
    pdf.multi_cell(0, 5, text, align="L", new_x="LMARGIN", new_y="NEXT")
    pdf.ln(2.4)


if __name__ == "__main__":
    print(make())
