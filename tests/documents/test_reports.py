"""What the reports promise: whatever a document says of itself is shown, and is only text."""

import hashlib
import io
import re
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pypdf import PdfReader

from back_service.handlers.documents.findings import Findings
from back_service.handlers.documents.reading import clean
from back_service.handlers.documents.report import write_reports
from back_service.handlers.documents.report_html import render_html
from back_service.handlers.documents.report_pdf import render_pdf
from shared.job_types.documents import (
    DocumentFacts,
    DocumentKind,
    KeyTerm,
    Language,
    ReportFormat,
    Statistics,
)
from tests.documents.bench import Bench
from tests.documents.papers import ARABIC, CHINESE, FONTS, HEBREW, PROSE, a_docx, a_pdf

ATTACK = '<script>alert(1)</script>"><img src=x onerror=alert(2)>{{ 7*7 }}'


def findings(
    title: str | None = "A title", *, code: str = "en", texts: tuple[str, ...] = PROSE
) -> Findings:
    return Findings(
        document=DocumentFacts(
            kind=DocumentKind.PDF, pages=3, size_bytes=12_345, sha256="ab" * 32, title=title
        ),
        language=Language(code=code, confidence=0.5),
        statistics=Statistics(
            characters=1, words=1_234, sentences=3, paragraphs=1, words_per_sentence=1.5,
            characters_per_word=4.5, reading_minutes=75.2,
        ),
        key_terms=tuple(KeyTerm(term=text, count=2, score=0.5) for text in texts),
        summary=texts,
    )  # fmt: skip


def text_of(pdf: bytes) -> str:
    return " ".join(page.extract_text() for page in PdfReader(io.BytesIO(pdf)).pages)


class Tags(HTMLParser):
    """Notes which elements and attributes a page really has."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.found: set[str] = set()
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found |= {tag, *(name for name, _ in attrs)}


@pytest.mark.parametrize("make", [a_pdf, a_docx], ids=["pdf", "docx"])
async def test_a_title_that_is_markup_is_shown_as_text(
    bench: Bench, make: Callable[..., bytes]
) -> None:
    """A report is opened by somebody who trusts us, not the document."""
    found = await bench.process(make(*PROSE, ATTACK, title=ATTACK), report=["html"])
    page = (await bench.content(found.reports[0].url)).decode()

    assert found.document.title == ATTACK
    assert not Tags(page).found & {"script", "img", "onerror", "src", "href"}
    assert "&lt;script&gt;" in page
    assert "{{ 7*7 }}" in page


def test_the_page_needs_nothing_from_outside() -> None:
    """It opens on a plane, prints in a court, and tells nobody that it was opened."""
    page = render_html(findings())

    assert not re.search(r"(?:src|href|action)\s*=|url\(|@import|://", page)
    assert "default-src 'none'" in page
    assert "@media print" in page


def test_what_was_found_is_told_in_both() -> None:
    """The formats differ in looks, not in content."""
    page, paper = render_html(findings()), text_of(render_pdf(findings()))

    for said in ("A title", "1,234", "1 h 15 min", "3 pages", "12.3 kB", "English, most likely"):
        assert said in page
        assert said in paper
    assert PROSE[0] in page
    assert " ".join(PROSE[0].split()[:6]) in paper


@pytest.mark.parametrize("text", [ARABIC, HEBREW, "Ελληνικά και Кириллица"])
def test_what_the_font_has_is_drawn(text: str) -> None:
    """Letters are joined and run to the left where their script wants it."""
    assert "Boxes stand for" not in text_of(render_pdf(findings("T", texts=(text,))))


@pytest.mark.parametrize("text", [CHINESE, "한국어", "🎉 party", "\U00012000"])
def test_what_the_font_lacks_is_a_box_and_said_so(text: str) -> None:
    """A missing letter must not look as if nothing had been there."""
    paper = text_of(render_pdf(findings("T", texts=(text,))))

    assert "\u25a1" in paper
    assert "Boxes stand for" in paper


def test_a_report_on_next_to_nothing_is_a_report() -> None:
    """No title, no terms, no summary, no known language."""
    nothing = findings(None, code="und", texts=())

    assert "A document without a title" in render_html(nothing)
    assert "not recognised" in text_of(render_pdf(nothing))


@settings(max_examples=12, deadline=None)
@given(st.text(alphabet=st.characters(), min_size=1, max_size=400).map(clean).filter(bool))
def test_no_text_is_too_strange_to_report(text: str) -> None:
    """Whatever got through the reading can be shown."""
    shown = findings(text[:300], texts=(text, text.replace(" ", "")))

    assert render_pdf(shown).startswith(b"%PDF")
    Tags(render_html(shown))


def test_a_long_report_goes_on_over_pages() -> None:
    """Twenty sentences and fifty terms have room."""
    long = findings("word " * 60, texts=tuple(f"{number} " + PROSE[0] * 3 for number in range(20)))

    assert len(PdfReader(io.BytesIO(render_pdf(long))).pages) > 1


def test_a_format_that_is_asked_twice_is_made_once(tmp_path: Path) -> None:
    """Two blobs for one report would be one too many."""
    written = write_reports(findings(), [ReportFormat.HTML, ReportFormat.HTML], tmp_path)

    assert [path.name for path in written.values()] == ["report.html"]


def test_vendored_fonts_are_what_their_manifest_says() -> None:
    """A file from elsewhere is known by its hash and comes with its licence."""
    rows = [line.split() for line in (FONTS / "MANIFEST").read_text().splitlines()[1:]]

    assert {row[0] for row in rows} == {path.name for path in FONTS.glob("*.ttf")}
    for name, _, digest, *_ in rows:
        assert hashlib.sha256((FONTS / name).read_bytes()).hexdigest() == digest
    assert "Bitstream" in (FONTS / "LICENSE").read_text()
