"""Read the text of a PDF with its lines put back together as paragraphs."""

from pathlib import Path
from typing import Any, Final

from back_service.handlers.documents.contents import MOST_CHARACTERS, MOST_PAGES, Contents
from back_service.handlers.documents.layout import Line, Piece, lines_of, paragraphs_of
from uketsuke import Fail

_PASSWORD: Final = 4
_SECURITY: Final = 5
"""Error codes of PDFium: FPDF_ERR_PASSWORD, FPDF_ERR_SECURITY."""


def read_pdf(path: Path) -> Contents:
    """Read all pages; pictures, forms and annotations are passed over."""
    import pypdfium2

    try:
        document = pypdfium2.PdfDocument(path)
    except pypdfium2.PdfiumError as error:
        if error.err_code in (_PASSWORD, _SECURITY):
            raise Fail("document_encrypted", "The document is protected by a password") from error
        raise
    with document:
        if len(document) > MOST_PAGES:
            raise Fail("document_too_large", f"A document may have {MOST_PAGES:,} pages")
        pages = _pages(document)
        title = document.get_metadata_value("Title")
        return Contents(paragraphs=paragraphs_of(pages), pages=len(pages), title=title)


def _pages(document: Any) -> list[list[Line]]:
    pages: list[list[Line]] = []
    room = MOST_CHARACTERS * 2
    for number in range(len(document)):
        pieces = _pieces(document[number])
        room -= sum(len(piece.text) for piece in pieces)
        if room < 0:
            raise Fail("document_too_large", f"A document may have {MOST_CHARACTERS:,} characters")
        pages.append(lines_of(pieces))
    return pages


def _pieces(page: Any) -> list[Piece]:
    """List the runs of text of one page, in the order in which they were written."""
    text = page.get_textpage()
    try:
        return [_piece(text, number) for number in range(text.count_rects())]
    finally:
        text.close()
        page.close()


def _piece(text: Any, number: int) -> Piece:
    left, bottom, right, top = text.get_rect(number)
    words = text.get_text_bounded(left, bottom, right, top)
    return Piece(left, bottom, right, top, words)
