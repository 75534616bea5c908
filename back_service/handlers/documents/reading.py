"""Read a document: what kind it is, by its bytes alone, and its text as paragraphs.

Runs in a child. Every document ends as a ``Reading`` or as a ``Fail`` whose code starts with
``document_``; what a parser chokes on is ``document_broken``.
"""

import hashlib
import re
import unicodedata
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from back_service.handlers.documents.contents import MOST_CHARACTERS, Contents
from shared.job_types.documents import DocumentKind
from uketsuke import Fail

_LONGEST_TITLE: Final = 300
_HEAD: Final = 4_096
_BLOCK: Final = 1 << 20
_OLE: Final = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
_ENCRYPTED_OFFICE: Final = "EncryptedPackage".encode("utf-16-le")
_FOREIGN: Final = (b"{\\rtf", b"%!PS", b"<!doctype html", b"<html", b"\x1f\x8b", b"\x89PNG")

_UNWANTED = re.compile(
    "["
    "\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f"  # controls
    "\xad\u200b\u2060\ufeff\ufffe\uffff"  # soft hyphens, marks without width, no characters
    "\u202a-\u202e\u2066-\u2069"  # overrides of direction: they make text read as another
    "\ud800-\udfff"  # halves of characters
    "]"
)
_LIGATURES = re.compile("[\ufb00-\ufb06]")
_BLANKS = re.compile(r"[^\S\n]+")


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """A document as it was read. Paragraphs are clean, not empty and without line ends."""

    kind: DocumentKind
    pages: int | None
    size_bytes: int
    sha256: str
    title: str | None
    paragraphs: tuple[str, ...]


def read(path: Path) -> Reading:
    """Read the document at *path*."""
    kind = kind_of(path)
    contents = _contents(path, kind)
    paragraphs = tuple(filter(None, map(clean, contents.paragraphs)))
    size = sum(map(len, paragraphs))
    if size > MOST_CHARACTERS:
        raise Fail("document_too_large", f"A document may have {MOST_CHARACTERS:,} characters")
    if not any(character.isalnum() for text in paragraphs for character in text):
        raise Fail("document_without_text", "There is no text in the document; is it a scan?")
    return Reading(
        kind=kind,
        pages=contents.pages,
        size_bytes=path.stat().st_size,
        sha256=_digest(path),
        title=clean(contents.title or "")[:_LONGEST_TITLE] or None,
        paragraphs=paragraphs,
    )


def kind_of(path: Path) -> DocumentKind:
    """Judge by content; raise ``Fail`` for a kind that is not read here."""
    with path.open("rb") as file:
        head = file.read(_HEAD)
        if head.startswith(_OLE):
            raise _office_of_old(head + file.read(_BLOCK))
    start = head.lstrip().lower()
    if b"%pdf-" in start[:1_024]:
        return DocumentKind.PDF
    if head.startswith(b"PK\x03\x04"):
        return DocumentKind.DOCX
    if not head.strip():
        raise Fail("document_without_text", "The document is empty")
    if start.startswith(tuple(mark.lower() for mark in _FOREIGN)):
        raise _unsupported()
    return DocumentKind.TEXT


def clean(text: str) -> str:
    """Join lines, drop what cannot be seen, and settle on one form for each character."""
    text = _UNWANTED.sub("", text)
    text = _LIGATURES.sub(lambda found: unicodedata.normalize("NFKC", found[0]), text)
    return _BLANKS.sub(" ", unicodedata.normalize("NFC", text).replace("\n", " ")).strip()


def _contents(path: Path, kind: DocumentKind) -> Contents:
    try:
        match kind:
            case DocumentKind.PDF:
                from back_service.handlers.documents.pdf import read_pdf

                return read_pdf(path)
            case DocumentKind.DOCX:
                from back_service.handlers.documents.docx import read_docx

                return read_docx(path)
            case DocumentKind.TEXT:
                from back_service.handlers.documents.plain import read_plain

                return read_plain(path)
    except (Fail, MemoryError):
        raise
    except Exception as error:
        raise Fail("document_broken", f"The document is not a sound {kind} file") from error


def _office_of_old(start: bytes) -> Fail:
    if _ENCRYPTED_OFFICE in start:
        return Fail("document_encrypted", "The document is protected by a password")
    return _unsupported()


def _unsupported() -> Fail:
    return Fail("document_unsupported", "Only PDF, Word (docx) and plain text are read here")


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
