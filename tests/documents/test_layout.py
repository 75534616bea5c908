"""How the words on a page become lines, and lines paragraphs."""

from back_service.handlers.documents.layout import Line, Piece, lines_of, paragraphs_of


def a_line(text: str, bottom: float, *, right: float = 500, height: float = 10) -> Line:
    return Line(text, bottom, height, right)


def a_page(*texts: str, start: float = 700, pitch: float = 14) -> list[Line]:
    return [a_line(text, start - pitch * place) for place, text in enumerate(texts)]


def test_pieces_at_one_height_are_one_line() -> None:
    """A word in bold is a piece of its own, but not a line."""
    pieces = [
        Piece(50, 100, 80, 110, "The "),
        Piece(84, 98, 120, 110, "message "),
        Piece(120, 100, 122, 101, "."),
        Piece(50, 86, 90, 96, "next"),
    ]

    assert [line.text for line in lines_of(pieces)] == ["The message.", "next"]


def test_lines_of_one_paragraph_are_joined() -> None:
    """A sentence that runs over three lines is one sentence."""
    page = a_page("The desk accepts", "a request and", "hands out a ticket.")

    assert paragraphs_of([page]) == ["The desk accepts a request and hands out a ticket."]


def test_a_gap_parts_paragraphs() -> None:
    """White space is how a page says that something new begins."""
    page = [*a_page("One one", "one one."), *a_page("Two two", "two.", start=640)]

    assert paragraphs_of([page]) == ["One one one one.", "Two two two."]


def test_a_short_last_line_parts_paragraphs() -> None:
    """Where there is no gap, the end of a sentence before the edge is one."""
    page = a_page("One one one", "one.", "Two two two", "two.")
    page[1] = a_line("one.", 686, right=100)

    assert paragraphs_of([page]) == ["One one one one.", "Two two two two."]


def test_a_heading_stands_by_itself() -> None:
    """Else it would be the beginning of a sentence in the summary."""
    page = [a_line("A ticket", 700, height=14, right=120), *a_page("The easy part", start=684)]

    assert paragraphs_of([page]) == ["A ticket", "The easy part"]


def test_points_of_a_list_are_paragraphs() -> None:
    """Each says something of its own."""
    page = a_page("Ask this:", "1. Is it there?", "2. Is it done?", "• Is it over?")

    assert paragraphs_of([page]) == [
        "Ask this:",
        "1. Is it there?",
        "2. Is it done?",
        "• Is it over?",
    ]


def test_a_paragraph_goes_on_over_the_end_of_a_page() -> None:
    """A page ends where the paper ends, not where the thought does."""
    pages = [a_page("The desk accepts"), a_page("a request.")]

    assert paragraphs_of(pages) == ["The desk accepts a request."]


def test_what_every_page_repeats_is_left_out() -> None:
    """Running heads and page numbers are not what a document is about."""
    pages = [
        a_page("The Book", f"Text of page {'abcd'[number]}.", f"Page {number} of 4")
        for number in range(4)
    ]

    assert paragraphs_of(pages) == [f"Text of page {letter}." for letter in "abcd"]


def test_a_word_that_was_cut_is_made_whole() -> None:
    """But a hyphen that belongs to the word stays, if the text shows that it does."""
    assert paragraphs_of([a_page("an identi-", "fier")]) == ["an identifier"]
    kept = paragraphs_of([a_page("a request-reply and", "a request-", "reply")])
    assert kept == ["a request-reply and a request-reply"]


def test_an_empty_page_is_nothing() -> None:
    """Scans have pages without any text."""
    assert paragraphs_of([[], []]) == []
