"""All that a report tells, in the words that every format uses."""

from dataclasses import dataclass
from typing import Final

from back_service.handlers.documents.language import NAMES, UNKNOWN
from shared.job_types.documents import (
    DocumentFacts,
    DocumentKind,
    KeyTerm,
    Language,
    Statistics,
)

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
