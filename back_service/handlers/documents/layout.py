"""Put the pieces of text on a page back together: to lines, and lines to paragraphs.

Pure. A page knows where its words stand, not what belongs together: what is told apart here is
told by distances, sizes and the way lines end.
"""

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from statistics import median
from typing import Final

_BULLET = re.compile(
    "^[*\u00b7\u2022\u2023\u25aa\u25cf\u25cb\u25e6\u2013\u2014-]\\s"  # dots, squares, dashes
    r"|^\(?\d{1,3}[.)]\s|^[a-z][.)]\s"
)
_ENDS = re.compile(
    "[.!?:;\u2026\u3002\uff01\uff1f\u061f\u0964]"  # also of Chinese, Arabic, Hindi
    "['\"\u201d\u2019\u00bb)\\]]*$"
)
_LOOSE = re.compile(r"\s+([,.)\]])")
_DIGITS = re.compile(r"\d+")
_HYPHENATED = re.compile(r"\w-$")
_WIDER: Final = 1.35
_OTHER_SIZE: Final = 1.25
_EDGE_LINES: Final = 2
_FEW_PAGES: Final = 3


@dataclass(frozen=True, slots=True)
class Piece:
    """A run of text and where it stands, in points from the lower left corner."""

    left: float
    bottom: float
    right: float
    top: float
    text: str

    @property
    def height(self) -> float:
        return self.top - self.bottom


@dataclass(frozen=True, slots=True)
class Line:
    text: str
    bottom: float
    height: float
    right: float


def lines_of(pieces: Sequence[Piece]) -> list[Line]:
    """Join neighbouring pieces that stand at one height."""
    lines: list[list[Piece]] = []
    for piece in pieces:
        if lines and _is_beside(piece, lines[-1][-1]):
            lines[-1].append(piece)
        else:
            lines.append([piece])
    return [line for line in map(_line, lines) if line.text]


def paragraphs_of(pages: Sequence[Sequence[Line]]) -> list[str]:
    """Join lines to paragraphs, also over the end of a page; leave out what every page repeats."""
    repeated = _running_lines(pages)
    paragraphs: list[str] = []
    for page in pages:
        own = [line for place, line in _numbered(page) if (place, _mask(line.text)) not in repeated]
        for position, block in enumerate(_blocks(own)):
            text = _joined([line.text for line in block])
            if position == 0 and paragraphs and _goes_on(paragraphs[-1], text):
                paragraphs[-1] = _joined([paragraphs[-1], text])
            else:
                paragraphs.append(text)
    return paragraphs


def _is_beside(piece: Piece, last: Piece) -> bool:
    shared = min(piece.top, last.top) - max(piece.bottom, last.bottom)
    return shared > 0.4 * min(piece.height, last.height) or (
        _is_small(piece, last) and last.bottom <= piece.top and piece.bottom <= last.top
    )


def _is_small(piece: Piece, last: Piece) -> bool:
    """Tell marks such as dots and bullets: their boxes hardly overlap with anything."""
    return min(piece.height, last.height) < 0.5 * max(piece.height, last.height)


def _line(pieces: Sequence[Piece]) -> Line:
    text = pieces[0].text
    for last, piece in pairwise(pieces):
        apart = max(piece.left - last.right, last.left - piece.right)
        blank = " " if apart > 0.15 * max(piece.height, last.height) else ""
        text += blank + piece.text
    return Line(
        text=_LOOSE.sub(r"\1", " ".join(text.replace("\ufffe", "-").split())),
        bottom=min(piece.bottom for piece in pieces),
        height=max(piece.height for piece in pieces),
        right=max(piece.right for piece in pieces),
    )


def _numbered(page: Sequence[Line]) -> Iterator[tuple[int, Line]]:
    """Give the lines of a page with their places; from the end for the last ones."""
    for number, line in enumerate(page):
        if number < _EDGE_LINES:
            yield number, line
        elif number >= len(page) - _EDGE_LINES:
            yield number - len(page), line
        else:
            yield _EDGE_LINES, line


def _mask(text: str) -> str:
    return _DIGITS.sub("#", text)


def _running_lines(pages: Sequence[Sequence[Line]]) -> set[tuple[int, str]]:
    """Find headers and footers: the same words, but for numbers, at the same edge of pages."""
    seen = Counter(
        (place, _mask(line.text))
        for page in pages
        for place, line in _numbered(page)
        if place != _EDGE_LINES
    )
    often = max(_FEW_PAGES, len(pages) // 3)
    return {place for place, count in seen.items() if count >= often}


def _blocks(lines: Sequence[Line]) -> list[list[Line]]:
    if not lines:
        return []
    pitches = [above.bottom - line.bottom for above, line in pairwise(lines)]
    usual = median([pitch for pitch in pitches if pitch > 0] or [0.0])
    widest = max(line.right for line in lines)
    blocks = [[lines[0]]]
    for pitch, (above, line) in zip(pitches, pairwise(lines), strict=True):
        if _parts(above, line, pitch > _WIDER * usual, above.right < 0.8 * widest):
            blocks.append([line])
        else:
            blocks[-1].append(line)
    return blocks


def _parts(above: Line, line: Line, wide: bool, short: bool) -> bool:  # noqa: FBT001  # facts
    """Tell whether a paragraph ends between two lines."""
    if wide or _BULLET.match(line.text):
        return True
    tall, low = max(above.height, line.height), min(above.height, line.height)
    if tall > _OTHER_SIZE * low and short:
        return True
    return short and bool(_ENDS.search(above.text))


def _goes_on(text: str, following: str) -> bool:
    """Tell whether a paragraph that a page broke off goes on after it."""
    return not _ENDS.search(text) and following[:1].islower()


def _joined(lines: Sequence[str]) -> str:
    """Join lines with blanks; a word that was cut at a line end is made whole.

    A hyphen stays where the same text writes the word with it elsewhere.
    """
    whole = " ".join(lines)
    text = lines[0]
    for line in lines[1:]:
        if not (_HYPHENATED.search(text) and line[:1].islower()):
            text += " " + line
            continue
        compound = text.rsplit(None, 1)[-1] + line.split(None, 1)[0]
        text = text + line if compound in whole else text[:-1] + line
    return text
