"""Say what a text is like and what it says. Runs in a child."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from back_service.handlers.documents.language import UNKNOWN, identifier, language_of
from back_service.handlers.documents.summary import summarise
from back_service.handlers.documents.terms import key_terms, vocabulary
from back_service.handlers.documents.words import dense_words_in, sentences_in, words_in
from shared.job_types.documents import DocumentOptions, KeyTerm, Language, Statistics

_WORDS_A_MINUTE: Final = 238
"""Silent reading of prose. Source: Brysbaert, "How many words do we read per minute?", 2019."""

_CHARACTERS_A_MINUTE: Final = 255
"""Chinese. Source: Trauzettel-Klosinski, Dietz, "Standardized assessment of reading", 2012."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Analysis:
    """All that is said of a text."""

    language: Language
    statistics: Statistics
    key_terms: tuple[KeyTerm, ...]
    summary: tuple[str, ...]


def analyse(paragraphs: Sequence[str], options: DocumentOptions) -> Analysis:
    language = language_of("\n".join(paragraphs), options.language)
    rules = "en" if language.code == UNKNOWN else language.code
    sentences = [s for paragraph in paragraphs for s in sentences_in(paragraph, rules)]
    counts = statistics_of(paragraphs, sentences)
    known = vocabulary(language.code)
    return Analysis(
        language=language,
        statistics=counts,
        key_terms=key_terms(sentences, known, most=options.key_terms),
        summary=summarise(sentences, known, most=options.summary_sentences)
        if options.summary
        else (),
    )


def statistics_of(paragraphs: Sequence[str], sentences: Sequence[str]) -> Statistics:
    """Count; a sentence is one that has a word."""
    words = letters = dense = 0
    for paragraph in paragraphs:
        found = words_in(paragraph)
        words += len(found)
        letters += sum(map(len, found))
        dense += dense_words_in(paragraph)
    spoken = sum(1 for sentence in sentences if any(map(str.isalnum, sentence)))
    minutes = (words - dense) / _WORDS_A_MINUTE + dense / _CHARACTERS_A_MINUTE
    return Statistics(
        characters=sum(1 for text in paragraphs for character in text if not character.isspace()),
        words=words,
        sentences=spoken,
        paragraphs=len(paragraphs),
        words_per_sentence=round(words / spoken, 1) if spoken else 0.0,
        characters_per_word=round(letters / words, 1) if words else 0.0,
        reading_minutes=round(minutes, 1),
    )


def warm() -> None:
    """Load what every analysis needs; called once in the nursery."""
    identifier()
    vocabulary("en")
