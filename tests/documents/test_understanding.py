"""What is said of a text: words, sentences, language, terms, summary."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from back_service.handlers.documents.analysis import analyse
from back_service.handlers.documents.language import language_of
from back_service.handlers.documents.plain import decode
from back_service.handlers.documents.reading import clean
from back_service.handlers.documents.summary import summarise
from back_service.handlers.documents.terms import key_terms, vocabulary
from back_service.handlers.documents.words import sentences_in, words_in
from shared.job_types.documents import DocumentOptions
from tests.documents.papers import ARABIC, CHINESE, HEBREW, PROSE
from uketsuke import Fail

PASSAGES = {
    "en": "The clerk writes every request into the register before the ticket is handed over.",
    "de": "Der Empfang nimmt den Auftrag an und gibt dem Kunden sofort eine Nummer.",
    "fr": "Le guichet accepte la demande tout de suite et donne un numéro au visiteur.",
    "es": "La recepción acepta la solicitud enseguida y entrega un número al visitante.",
    "ru": "Стойка регистрации сразу принимает заявку и выдаёт посетителю номерок.",
    "ja": "受付はすぐに依頼を受け取り、番号札を渡します。仕事は奥の部屋で行われます。",
    "ko": "접수처는 요청을 바로 받고 번호표를 건네줍니다. 일은 뒷방에서 합니다.",
    "zh": CHINESE,
    "ar": ARABIC,
    "he": HEBREW,
}
LINE = st.text(alphabet=st.characters(), max_size=300)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("Don't split well-known words, nor 3,500.75!", 6),
        ("naïve café Ångström", 3),
        ("cafe\u0301 is one word", 4),
        ("हिन्दी में लिखा", 3),
        ("السَّلَامُ عَلَيْكُمْ", 2),
        ("前台接待处", 5),
        ("ひらがなとカタカナ", 9),
        ("mixed 中文 text", 4),
        ("한국어 문장", 2),
        ("... — !!! 🎉", 0),
        ("snake_case and C++", 4),
        ("", 0),
    ],
)
def test_words_are_counted_in_every_script(text: str, words: int) -> None:
    """Averages and reading times rest on it."""
    assert len(words_in(text)) == words


@pytest.mark.parametrize(
    ("language", "text", "count"),
    [
        ("en", "Dr. Smith came at 5 p.m. on Monday. He paid 3.50 dollars. Why?", 3),
        ("de", "Das kostet z. B. 3,50 Euro. Am 3. Mai war es billiger.", 2),
        ("zh", "今天天气很好。我们去公园吧\uff01你呢\uff1f", 3),
        ("ar", "مرحبا بالعالم. كيف حالك؟", 2),
        ("hi", "यह एक वाक्य है। यह दूसरा है।", 2),
        ("xx", "An unknown language. Two sentences.", 2),
    ],
)
def test_sentences_are_cut_by_the_rules_of_the_language(
    language: str, text: str, count: int
) -> None:
    """A full stop ends a sentence only sometimes."""
    assert len(list(sentences_in(text, language))) == count


@pytest.mark.parametrize("code", PASSAGES)
def test_a_language_is_recognised(code: str) -> None:
    """From a sentence or two, without asking anybody."""
    found = language_of(PASSAGES[code], None)

    assert found.code == code
    assert 0 < found.confidence <= 1


@pytest.mark.parametrize("text", ["", "Hi", "12345 67890", "!!! ???", "x" * 3])
def test_a_language_is_not_guessed_from_nothing(text: str) -> None:
    """It is better to say so than to call two letters Serbian."""
    assert language_of(text, None).code == "und"


def test_a_hint_settles_the_language() -> None:
    """The caller may know better."""
    assert language_of(PASSAGES["de"], "nl").code == "nl"


def test_terms_are_told_apart_by_stems_and_shown_as_written() -> None:
    """Singular and plural are one term; what a phrase explains is not told again."""
    text = ["The message broker is away.", "Two message brokers wait.", "Message brokers knock."]

    terms = key_terms(text, vocabulary("en"), most=5)

    assert terms[0].count == 3
    assert terms[0].term == "message broker"
    assert "broker" not in {term.term for term in terms}


def test_stop_words_are_never_terms() -> None:
    """Every text is full of *the*; no text is about it."""
    terms = key_terms(["The the of the and of the desk, the desk."], vocabulary("en"), most=5)

    assert [term.term for term in terms] == ["desk"]


def test_chinese_terms_are_found_without_blanks() -> None:
    """The longest run that repeats is the term, not each pair of characters in it."""
    terms = key_terms(
        ["前台接待处很大。前台接待处开门。前台接待处在这里。"], vocabulary("zh"), most=3
    )

    assert terms[0].term == "前台接待处"


def test_scores_fall_from_one() -> None:
    """A bar in the report is drawn by it."""
    terms = key_terms(list(PROSE) * 3, vocabulary("en"), most=20)

    scores = [term.score for term in terms]
    assert scores[0] == 1.0
    assert scores == sorted(scores, reverse=True)
    assert all(0 <= score <= 1 for score in scores)


def test_a_summary_is_made_of_whole_sentences_in_their_order() -> None:
    """It quotes; it never rewrites, and it skips headings, questions and repetitions."""
    text = ["THE BROKER", *PROSE, "Is the message broker away again today?", PROSE[1]]

    found = summarise(text, vocabulary("en"), most=3)

    assert len(found) == 3
    assert set(found) <= set(PROSE)
    assert [text.index(sentence) for sentence in found] == sorted(map(text.index, found))


def test_a_text_without_sentences_has_no_summary() -> None:
    """A list of words says what it says."""
    assert summarise(["alpha", "beta gamma", "1 2 3"], vocabulary("en"), most=5) == ()


@settings(max_examples=60, deadline=None)
@given(st.lists(LINE.map(clean).filter(bool), min_size=1, max_size=5))
def test_no_text_is_too_strange_to_analyse(paragraphs: list[str]) -> None:
    """Whatever characters a document is made of, the answer is an answer."""
    found = analyse(paragraphs, DocumentOptions())

    assert found.statistics.paragraphs == len(paragraphs)
    assert found.statistics.words >= 0


@given(LINE)
def test_clean_text_is_fit_for_json_and_for_eyes(text: str) -> None:
    """No control, no half character and no override of direction is left."""
    cleaned = clean(text)

    cleaned.encode("utf-8")
    assert not set(cleaned) & set("\x00\x1b\n\u202e\u2066\ufeff")
    assert cleaned == cleaned.strip()


@pytest.mark.parametrize(
    ("body", "text"),
    [
        ("gänzlich".encode(), "gänzlich"),
        ("gänzlich".encode("utf-8-sig"), "gänzlich"),
        ("gänzlich".encode("utf-16"), "gänzlich"),
        (b"\xfe\xff" + "gänzlich".encode("utf-16-be"), "gänzlich"),
        ("gänzlich".encode("utf-32"), "gänzlich"),
        ("gänzlich".encode("latin-1"), "gänzlich"),
        ("“quoted” 5 €".encode("cp1252"), "“quoted” 5 €"),
        (b"caf\xe9 \x81", "café \x81"),
    ],
)
def test_text_is_decoded_in_the_usual_encodings(body: bytes, text: str) -> None:
    """Old files are documents too."""
    assert decode(body) == text


@given(st.binary(max_size=300))
def test_bytes_are_text_or_refused(body: bytes) -> None:
    """No bytes make the decoder raise anything that nobody expects."""
    try:
        assert isinstance(decode(body), str)
    except Fail as error:
        assert error.code == "document_unsupported"  # noqa: PT017  # either is right
    except UnicodeDecodeError:
        assert body[:2] in {b"\xff\xfe", b"\xfe\xff", b"\x00\x00", b"\xef\xbb"}
