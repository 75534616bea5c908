"""Cut text into words and sentences, whatever its script.

Words are runs of letters, marks and digits, with apostrophes and hyphens inside; a number with
its points is one word. Chinese and
Japanese are written without blanks, and so are Thai, Lao, Khmer and Burmese: there each
character is a word, as word processors count. That is said wherever it shows.
"""

import re
from collections.abc import Iterator
from typing import Final

_HAN: Final = "\u3005-\u3007\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff"
_KANA: Final = "\u3040-\u30ff\u31f0-\u31ff\uff66-\uff9f"
_WITHOUT_BLANKS: Final = _HAN + _KANA + "\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff"
_MARKS: Final = (
    "\u0300-\u036f\u0591-\u05c7\u0610-\u061a\u064b-\u065f\u0670\u06d6-\u06ed"  # of letters
    "\u0900-\u0963\u0966-\u0dff\u200c\u200d"  # vowels of Indian scripts, and joiners
)
_LETTER: Final = f"(?:(?![{_WITHOUT_BLANKS}_])[\\w{_MARKS}])"
_SPACED: Final = f"{_LETTER}+(?:(?:[-'\u2019\u02bc\u00b7]|(?<=\\d)[.,](?=\\d)){_LETTER}+)*"
_DENSE: Final = f"(?:[{_WITHOUT_BLANKS}])(?<=\\w)"

_WORD = re.compile(f"{_SPACED}|{_DENSE}")
_DENSE_WORD = re.compile(_DENSE)
_HAN_RUN = re.compile(f"[{_HAN}]+|[\u30a0-\u30ff]+")
_TOKEN = re.compile(f"(?P<word>{_SPACED})|(?P<gap>\\s+)|(?P<other>.)", re.DOTALL)

_PORTION: Final = 10_000
"""Characters that the sentence library gets at once: on some input it takes their square."""


def words_in(text: str) -> list[str]:
    return _WORD.findall(text)


def dense_words_in(text: str) -> int:
    """Count the words that are single characters of a script without blanks."""
    return sum(1 for _ in _DENSE_WORD.finditer(text))


def phrases_in(text: str) -> Iterator[list[str]]:
    """Give runs of words between which there is nothing but blanks."""
    run: list[str] = []
    for token in _TOKEN.finditer(text):
        if token.lastgroup == "word":
            run.append(token[0])
        elif token.lastgroup == "other" and run:
            yield run
            run = []
    if run:
        yield run


def dense_runs_in(text: str) -> list[str]:
    """List runs of Chinese characters, and of katakana: there Japanese has its nouns."""
    return _HAN_RUN.findall(text)


def sentences_in(paragraph: str, language: str) -> Iterator[str]:
    """Cut one paragraph into sentences by the rules of *language*."""
    import sentencex

    for start in range(0, len(paragraph), _PORTION):
        for sentence in sentencex.segment(language, paragraph[start : start + _PORTION]):
            if stripped := sentence.strip():
                yield stripped
