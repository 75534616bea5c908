"""Read plain text, in whichever of the usual encodings it is."""

import codecs
import re
from pathlib import Path
from typing import Final

from back_service.handlers.documents.contents import Contents
from uketsuke import Fail

_MARKS: Final = (  # the longer ones first: UTF-32 begins as UTF-16 does
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_CONTROLS = re.compile("[\x00-\x08\x0e-\x1a\x1c-\x1f]")
_FEW_CONTROLS: Final = 0.001
_EMPTY_LINES = re.compile(r"\n[^\S\n]*\n\s*|\f")
_LINE_OF_PROSE: Final = 120


def read_plain(path: Path) -> Contents:
    """Decode by byte order mark, else as UTF-8, else as Windows-1252; refuse binary data."""
    text = decode(path.read_bytes()).replace("\r\n", "\n").replace("\r", "\n")
    paragraphs = _EMPTY_LINES.split(text)
    if len(paragraphs) == 1 and _has_long_lines(text):
        paragraphs = text.split("\n")  # one paragraph a line, as word processors save it
    return Contents(paragraphs=paragraphs)


def decode(body: bytes) -> str:
    for mark, encoding in _MARKS:
        if body.startswith(mark):
            return body.decode(encoding)
    text = _guess(body)
    if "\x00" in text or len(_CONTROLS.findall(text)) > _FEW_CONTROLS * len(text):
        raise Fail("document_unsupported", "The document is neither text nor PDF nor Word (docx)")
    return text


def _guess(body: bytes) -> str:
    try:
        return body.decode("utf-8")
    except UnicodeDecodeError:
        pass
    try:
        return body.decode("cp1252")  # what is called Latin-1 is most often this
    except UnicodeDecodeError:
        return body.decode("latin-1")


def _has_long_lines(text: str) -> bool:
    lines = [line for line in text.split("\n") if line.strip()]
    return bool(lines) and sum(map(len, lines)) / len(lines) > _LINE_OF_PROSE
