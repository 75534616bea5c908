"""Choose the sentences that say most of what a text says.

TextRank: sentences recommend each other by the words they share, and recommendations count by
the rank of who makes them, as in PageRank with a damping of 0.85. The similarity of two
sentences is the number of stems they share over the sum of the logarithms of their lengths.
Source: Mihalcea, Tarau, "TextRank: Bringing Order into Texts", 2004, section 4.1.
"""

import math
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Final

from back_service.handlers.documents.terms import Vocabulary
from back_service.handlers.documents.words import words_in

_MOST_RANKED: Final = 600
_FEWEST_WORDS: Final = 6
_MOST_WORDS: Final = 40
_LONGEST: Final = 600
_FEWEST_STEMS: Final = 3
_DAMPING: Final = 0.85
_TURNS: Final = 60
_ALIKE: Final = 0.6
_BULLETS = re.compile("^[*\u00b7\u2022\u2023\u25aa\u25cf\u25cb\u25e6\u2013\u2014-]\\s+")
_ENDS = re.compile(
    "[.!\u2026\u3002\uff01\u06d4\u0964][\"'\u201d\u2019\u00bb)\\]]*$"  # a question says nothing
)


@dataclass(frozen=True, slots=True)
class _Sentence:
    stems: frozenset[str]
    words: int


def summarise(sentences: Sequence[str], words: Vocabulary, *, most: int) -> tuple[str, ...]:
    """Answer up to *most* sentences in the order in which they stand in the text."""
    known = {
        place: found
        for place, sentence in enumerate(sentences)
        if (found := _sentence(sentence, words)) is not None
    }
    places = _weightiest(known)
    if not places:
        return ()
    ranks = _ranks([known[place] for place in places])
    by_rank = sorted(zip(places, ranks, strict=True), key=lambda item: (-item[1], item[0]))
    chosen: list[int] = []
    for place, _ in by_rank:
        if len(chosen) < most and not any(_alike(known[place], known[other]) for other in chosen):
            chosen.append(place)
    return tuple(_BULLETS.sub("", sentences[place]) for place in sorted(chosen))


def _sentence(sentence: str, words: Vocabulary) -> _Sentence | None:
    """Take a whole statement; ``None`` for a heading, a table row, a fragment, a question."""
    found = words_in(sentence)
    if not _FEWEST_WORDS <= len(found) <= _longest(sentence) or len(sentence) > _LONGEST:
        return None
    if not _ENDS.search(sentence):
        return None
    stems = frozenset(filter(None, map(words.content, found))) or _pairs(found)
    return _Sentence(stems, len(found)) if len(stems) >= _FEWEST_STEMS else None


def _longest(sentence: str) -> int:
    return _MOST_WORDS if " " in sentence else 3 * _MOST_WORDS  # characters, not words


def _pairs(found: Sequence[str]) -> frozenset[str]:
    """Where each character is a word, neighbours say what a word says."""
    return frozenset(map("".join, pairwise(found)))


def _weightiest(known: dict[int, _Sentence]) -> list[int]:
    """Keep what can be ranked in a moment: the sentences whose words are the most frequent."""
    counts = Counter(stem for found in known.values() for stem in found.stems)
    weights = {
        place: sum(map(counts.__getitem__, found.stems)) / len(found.stems)
        for place, found in known.items()
    }
    return sorted(sorted(known, key=lambda place: (-weights[place], place))[:_MOST_RANKED])


def _ranks(sentences: Sequence[_Sentence]) -> list[float]:
    import numpy as np

    stems = sorted(frozenset().union(*(sentence.stems for sentence in sentences)))
    columns = {stem: number for number, stem in enumerate(stems)}
    has = np.zeros((len(sentences), len(columns)), dtype=np.float32)
    for row, sentence in enumerate(sentences):
        has[row, [columns[stem] for stem in sentence.stems]] = 1
    lengths = np.log([sentence.words for sentence in sentences])
    similar = (has @ has.T) / (lengths[:, None] + lengths[None, :])
    np.fill_diagonal(similar, 0)
    return _page_rank(similar)


def _page_rank(similar: Any) -> list[float]:
    import numpy as np

    totals = similar.sum(axis=0)
    shares = np.divide(similar, totals, out=np.zeros_like(similar), where=totals > 0)
    ranks = np.ones(len(similar))
    for _ in range(_TURNS):
        following = (1 - _DAMPING) + _DAMPING * (shares @ ranks)
        if math.isclose(float(abs(following - ranks).max()), 0, abs_tol=1e-6):
            break
        ranks = following
    return [float(rank) for rank in ranks]


def _alike(one: _Sentence, other: _Sentence) -> bool:
    shared = len(one.stems & other.stems)
    return shared > _ALIKE * min(len(one.stems), len(other.stems))
