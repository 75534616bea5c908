"""Write the reports on a document: what they say, the same in every format. Runs in a child."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from back_service.handlers.documents.language import NAMES, UNKNOWN
from shared.job_types.documents import (
    DocumentFacts,
    DocumentKind,
    KeyTerm,
    Language,
    ReportFormat,
    Statistics,
)

CONTENT_TYPES: Final = {
    ReportFormat.HTML: "text/html; charset=utf-8",
    ReportFormat.PDF: "application/pdf",
}

_KINDS: Final = {
    DocumentKind.PDF: "PDF",
    DocumentKind.DOCX: "Word document",
    DocumentKind.TEXT: "Plain text",
}
_WITHOUT_BLANKS: Final = frozenset({"ja", "km", "lo", "my", "th", "zh"})
_SURE: Final = 0.9


@dataclass(frozen=True, slots=True, kw_only=True)
class Findings:
    """All that a report tells."""

    document: DocumentFacts
    language: Language
    statistics: Statistics
    key_terms: tuple[KeyTerm, ...]
    summary: tuple[str, ...]

    @property
    def title(self) -> str:
        return self.document.title or "A document without a title"

    @property
    def facts(self) -> list[str]:
        """Say in few words what was read."""
        pages = self.document.pages
        said = [_KINDS[self.document.kind]]
        if pages is not None:
            said.append(f"{pages:,} page" + ("s" if pages != 1 else ""))
        return [*said, _size(self.document.size_bytes), self.language_name]

    @property
    def language_name(self) -> str:
        name = NAMES.get(self.language.code, f"language “{self.language.code}”")
        if self.language.code == UNKNOWN:
            return f"Language {name}"
        return name if self.language.confidence >= _SURE else f"{name}, most likely"

    @property
    def figures(self) -> list[tuple[str, str]]:
        """List the statistics, each as a value and what it counts."""
        counts = self.statistics
        return [
            (_minutes(counts.reading_minutes), "to read"),
            (f"{counts.words:,}", "words"),
            (f"{counts.sentences:,}", "sentences"),
            (f"{counts.paragraphs:,}", "paragraphs"),
            (f"{counts.characters:,}", "characters"),
            (f"{counts.words_per_sentence:g}", "words a sentence"),
            (f"{counts.characters_per_word:g}", "characters a word"),
        ]

    @property
    def remark(self) -> str | None:
        """Say how words were counted where that is not what a reader expects."""
        if self.language.code in _WITHOUT_BLANKS:
            return "In scripts that are written without blanks, each character counts as a word."
        return None


def write_reports(
    findings: Findings, formats: Sequence[ReportFormat], folder: Path
) -> dict[ReportFormat, Path]:
    """Write the report in each of *formats* to a file of its own in *folder*."""
    return {wanted: _write(findings, wanted, folder) for wanted in _distinct(formats)}


def _write(findings: Findings, wanted: ReportFormat, folder: Path) -> Path:
    path = folder / f"report.{wanted}"
    match wanted:
        case ReportFormat.HTML:
            from back_service.handlers.documents.report_html import render_html

            path.write_text(render_html(findings), encoding="utf-8")
        case ReportFormat.PDF:
            from back_service.handlers.documents.report_pdf import render_pdf

            path.write_bytes(render_pdf(findings))
    return path


def _distinct(formats: Iterable[ReportFormat]) -> list[ReportFormat]:
    return list(dict.fromkeys(formats))


def _size(count: int) -> str:
    for unit, size in (("MB", 1_000_000), ("kB", 1_000)):
        if count >= size:
            return f"{count / size:.1f} {unit}"
    return f"{count} bytes"


def _minutes(minutes: float) -> str:
    if minutes < 1:
        return "< 1 min"
    hours, rest = divmod(round(minutes), 60)
    return f"{hours} h {rest} min" if hours else f"{rest} min"
