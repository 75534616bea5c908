"""``documents.process``: read a document, say what it is about, and write a report on it."""

from datetime import timedelta
from enum import StrEnum
from typing import Annotated, Final, Self

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, model_validator
from pydantic.alias_generators import to_camel

from shared.contract.files import FileReference
from shared.contract.job_types import JobType
from shared.contract.retries import Retries

LARGEST_DOCUMENT: Final = 50 * 2**20
"""Bytes of a document that a worker fetches; a larger one fails with ``file_too_large``."""

LanguageCode = Annotated[str, StringConstraints(pattern=r"^[a-z]{2}$")]


class DocumentKind(StrEnum):
    """What the bytes of a document say it is; its name is never asked."""

    PDF = "pdf"
    DOCX = "docx"
    TEXT = "text"


class ReportFormat(StrEnum):
    HTML = "html"
    PDF = "pdf"


class _Model(BaseModel):
    model_config = ConfigDict(
        frozen=True,
        extra="forbid",
        alias_generator=to_camel,
        validate_by_name=True,
        serialize_by_alias=True,
    )


class DocumentOptions(_Model):
    """How much to say about a document."""

    summary: bool = True
    summary_sentences: int = Field(default=5, ge=1, le=20)
    key_terms: int = Field(default=12, ge=0, le=50)
    language: LanguageCode | None = Field(
        default=None, description="two letters (ISO 639-1); found out if left away"
    )
    report: tuple[ReportFormat, ...] = Field(
        default=(ReportFormat.HTML, ReportFormat.PDF), max_length=2
    )

    @model_validator(mode="after")
    def _each_format_once(self) -> Self:
        if len(set(self.report)) != len(self.report):
            raise ValueError("report names a format twice")
        return self


class DocumentRequest(_Model):
    """Exactly one of the two members names the document."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {"fileUrl": "https://example.org/report.pdf", "options": {"summarySentences": 3}}
            ]
        }
    )

    document: FileReference | None = Field(
        default=None, description="an uploaded file as blob:<id>, or an address to fetch"
    )
    file_url: FileReference | None = Field(
        default=None, description="the same under the name that many callers expect"
    )
    options: DocumentOptions = DocumentOptions()

    @model_validator(mode="after")
    def _names_one_document(self) -> Self:
        if (self.document is None) == (self.file_url is None):
            raise ValueError("name the document in exactly one of document and fileUrl")
        return self

    @property
    def file(self) -> FileReference:
        """The document, whichever member names it."""
        found = self.document or self.file_url
        if found is None:
            raise ValueError("a validated request names a document")
        return found


class DocumentFacts(_Model):
    """What the file itself is."""

    kind: DocumentKind
    pages: int | None = Field(description="null where the format knows no pages")
    size_bytes: int
    sha256: str
    title: str | None


class Language(_Model):
    """*code* is ``und`` where the text is too short or too mixed to tell."""

    code: str
    confidence: float = Field(ge=0, le=1)


class Statistics(_Model):
    """Counts over the text. A character of a script without spaces counts as a word."""

    characters: int
    words: int
    sentences: int
    paragraphs: int
    words_per_sentence: float
    characters_per_word: float
    reading_minutes: float


class KeyTerm(_Model):
    """*score* is relative: the first term of a document has 1."""

    term: str
    count: int
    score: float = Field(ge=0, le=1)


class Report(_Model):
    format: ReportFormat
    url: str
    size_bytes: int


class DocumentAnalysis(_Model):
    document: DocumentFacts
    language: Language
    statistics: Statistics
    key_terms: tuple[KeyTerm, ...]
    summary: tuple[str, ...]
    reports: tuple[Report, ...]


PROCESS: Final = JobType(
    name="documents.process",
    request=DocumentRequest,
    result=DocumentAnalysis,
    description="Reads a PDF, Word or text document and answers its language, statistics, "
    "key terms, a summary, and a report as HTML and PDF.",
    timeout=timedelta(minutes=5),
    retries=Retries(attempts=3),
    memory_bytes=2**30,
)
