"""Find the terms that a text is about.

Candidates are runs of one to three words without stop words, told apart by their stems and
shown as they are written most often. The value of a term is how many words of the text it stands
for and no longer term does:

    V(a) = |a| · (f(a) - max f(b) over the longer candidates b that contain a)

This is the C-value of Frantzi, Ananiadou, Mima, "Automatic recognition of multi-word terms", 2000,
with two changes: |a| for log2 |a|, so that single words count at all, and the greatest f(b) for
the mean, which would let single words crowd out every phrase. Chinese and Japanese are taken in
runs of two to six characters.
"""

import re
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import cache
from itertools import groupby
from typing import Final

from back_service.handlers.documents.words import dense_runs_in, phrases_in
from shared.job_types.documents import KeyTerm

Gram = tuple[str, ...]
Run = list[tuple[str, str]]
"""Neighbouring words that mean something: each as its stem and as it is written."""

Stem = Callable[[str], str]

_MOST_WORDS: Final = 3
_MOST_DENSE: Final = 6
_FEW: Final = 3
_PARTICLES = re.compile(
    "[的了是在和不我你他她它们这那有与及或就也都而被把对从向到以为之其于因但等着过吗呢吧啊会很请]"
)
"""Chinese characters that join words, and so hardly ever are part of a term."""

_STEMMERS: Final = {
    "ar": "arabic", "ca": "catalan", "cs": "czech", "da": "danish", "de": "german",
    "el": "greek", "en": "english", "eo": "esperanto", "es": "spanish", "et": "estonian",
    "eu": "basque", "fa": "persian", "fi": "finnish", "fr": "french", "ga": "irish",
    "hi": "hindi", "hu": "hungarian", "hy": "armenian", "id": "indonesian", "it": "italian",
    "lt": "lithuanian", "ne": "nepali", "nl": "dutch", "no": "norwegian", "pl": "polish",
    "pt": "portuguese", "ro": "romanian", "ru": "russian", "sr": "serbian", "sv": "swedish",
    "ta": "tamil", "tr": "turkish",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Vocabulary:
    """What is known of a language: its stop words and how its words bend."""

    stop_words: frozenset[str]
    stem: Stem

    def content(self, word: str) -> str | None:
        """Answer the stem of a word that means something by itself, else ``None``."""
        plain = word.casefold().replace("\u2019", "'")
        if len(plain) == 1 or plain in self.stop_words or not any(map(str.isalpha, plain)):
            return None
        return self.stem(plain)


@cache
def vocabulary(language: str) -> Vocabulary:
    """Have the vocabulary of *language*; an unknown one has no stop words and no stems."""
    import stopwordsiso

    known = stopwordsiso.stopwords(language) if stopwordsiso.has_lang(language) else ()
    return Vocabulary(frozenset(map(str.casefold, known)), _stemmer(language))


def key_terms(sentences: Iterable[str], words: Vocabulary, *, most: int) -> tuple[KeyTerm, ...]:
    """List up to *most* terms, the weightiest first.

    What stands in the text once is no term, unless the text is so short that little else is.
    """
    runs, dense = _runs(sentences, words)
    stems = [tuple(stem for stem, _ in run) for run in runs]
    counts = _repeated(stems, shortest=1, longest=_MOST_WORDS)
    counts |= _repeated([tuple(run) for run in dense], shortest=2, longest=_MOST_DENSE)
    if len(counts) < _FEW:
        counts |= Counter((stem,) for run in stems for stem in run)
    values = _values(counts)
    chosen = _distinct(sorted(values, key=lambda gram: (-values[gram], gram)), counts, most)
    best = max((values[gram] for gram in chosen), default=1)
    forms = _forms(runs, frozenset(chosen))
    return tuple(
        KeyTerm(
            term=_shown(forms[gram]) if gram in forms else "".join(gram),
            count=counts[gram],
            score=round(max(0.0, values[gram] / max(best, 1)), 3),
        )
        for gram in chosen
    )


def _runs(sentences: Iterable[str], words: Vocabulary) -> tuple[list[Run], list[str]]:
    """Cut the text where a stop word or a mark stands; give dense scripts by themselves."""
    runs: list[Run] = []
    dense: list[str] = []
    for sentence in sentences:
        for phrase in phrases_in(sentence):
            pairs = [(words.content(word), word) for word in phrase]
            for means_something, group in groupby(pairs, key=lambda pair: pair[0] is not None):
                if means_something:
                    runs.append([(stem or "", word) for stem, word in group])
        for run in dense_runs_in(sentence):
            dense.extend(part for part in _PARTICLES.split(run) if part not in words.stop_words)
    return runs, dense


def _repeated(runs: Iterable[Gram], *, shortest: int, longest: int) -> dict[Gram, int]:
    """Count all runs of neighbours that stand in the text twice or more.

    Length by length: only what is made of repeated parts can be repeated, so that memory goes
    to few candidates even if the text is a book.
    """
    found: dict[Gram, int] = {}
    runs = list(runs)
    for size in range(shortest, longest + 1):
        level: Counter[Gram] = Counter()
        for run in runs:
            for start in range(len(run) - size + 1):
                gram = run[start : start + size]
                if size == shortest or (gram[:-1] in found and gram[1:] in found):
                    level[gram] += 1
        found |= {gram: count for gram, count in level.items() if count > 1}
    return found


def _forms(runs: Iterable[Run], wanted: frozenset[Gram]) -> dict[Gram, Counter[str]]:
    """Collect how the text writes the *wanted* terms."""
    forms: dict[Gram, Counter[str]] = defaultdict(Counter)
    for run in runs:
        for start in range(len(run)):
            for end in range(start + 1, min(start + _MOST_WORDS, len(run)) + 1):
                gram = tuple(stem for stem, _ in run[start:end])
                if gram in wanted:
                    forms[gram][" ".join(word for _, word in run[start:end])] += 1
    return forms


def _values(counts: dict[Gram, int]) -> dict[Gram, int]:
    owed: dict[Gram, int] = defaultdict(int)
    for gram, count in counts.items():
        for part in _parts(gram):
            owed[part] = max(owed[part], count)
    return {gram: len(gram) * (count - owed.get(gram, 0)) for gram, count in counts.items()}


def _parts(gram: Gram) -> set[Gram]:
    size = len(gram)
    spans = ((start, end) for start in range(size) for end in range(start + 1, size + 1))
    return {gram[start:end] for start, end in spans if end - start < size}


def _distinct(ranked: Iterable[Gram], counts: dict[Gram, int], most: int) -> list[Gram]:
    """Take from the top, but no term that says little more than one already taken."""
    chosen: list[Gram] = []
    for gram in ranked:
        if len(chosen) == most:
            break
        if not any(_is_shadow(gram, other, counts) for other in chosen):
            chosen.append(gram)
    return chosen


def _is_shadow(gram: Gram, other: Gram, counts: dict[Gram, int]) -> bool:
    if gram in _parts(other):
        return counts[gram] <= 2 * counts[other]
    return other in _parts(gram) and 2 * counts[gram] <= counts[other]


def _shown(forms: Counter[str]) -> str:
    """Choose the usual spelling; of equals the one that is not the start of a sentence."""
    return min(forms, key=lambda form: (-forms[form], form[:1].isupper(), form))


def _stemmer(language: str) -> Stem:
    import snowballstemmer

    if language not in _STEMMERS:
        return str
    stem: Stem = cache(snowballstemmer.stemmer(_STEMMERS[language]).stemWord)
    return stem
