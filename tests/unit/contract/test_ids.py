"""Identities: how they are made, and the one form in which they are read."""

from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.contract.ids import parse_track_id, parse_uuid, uuid7

moments = st.integers(0, 2**48 - 1)
entropies = st.binary(min_size=10, max_size=10)


@given(moments, entropies)
def test_it_is_a_version_7_uuid_of_its_moment(unix_ms: int, entropy: bytes) -> None:
    """RFC 9562, section 5.7: 48 bits of time, the version, the variant, and chance."""
    made = uuid7(unix_ms, entropy)

    assert made.version == 7
    assert made.variant == "specified in RFC 4122"
    assert made.int >> 80 == unix_ms


@given(st.lists(st.tuples(moments, entropies), max_size=20))
def test_ids_sort_by_the_time_of_their_making(made: list[tuple[int, bytes]]) -> None:
    """New rows land at one edge of the index, and a page of a list is cut by an id."""
    ids = [uuid7(unix_ms, entropy) for unix_ms, entropy in sorted(made)]

    assert [one.int >> 80 for one in sorted(ids)] == [one.int >> 80 for one in ids]


@given(moments, entropies, entropies)
def test_all_the_entropy_counts(unix_ms: int, one: bytes, other: bytes) -> None:
    """74 bits tell ids of one millisecond apart; six of the eighty are the layout's."""
    mask = (1 << 74) - 1
    same = int.from_bytes(one, "big") & mask == int.from_bytes(other, "big") & mask

    assert (uuid7(unix_ms, one) == uuid7(unix_ms, other)) == same


@given(st.uuids())
def test_the_canonical_form_is_read_back(made: UUID) -> None:
    """Whatever version it is of: it may be another's."""
    assert parse_uuid(str(made)) == made


@pytest.mark.parametrize(
    "text",
    [
        "",
        "0193",
        "../../../etc/passwd",
        "{01930000-0000-7000-8000-000000000000}",
        "urn:uuid:01930000-0000-7000-8000-000000000000",
        "01930000000070008000000000000000",
        "0193000A-0000-7000-8000-000000000000",
        "01930000-0000-7000-8000-000000000000\n",
        " 01930000-0000-7000-8000-000000000000",
        "\uff101930000-0000-7000-8000-000000000000",
        "01930000-0000-7000-8000-00000000000g",
        "01930000-0000-7000-8000-000000000000\x00",
    ],
)
def test_what_only_looks_like_an_id_is_none(text: str) -> None:
    """One job has one address: any other way to write it is as unknown as any nonsense."""
    assert parse_uuid(text) is None


@given(st.text())
def test_no_text_does_harm(text: str) -> None:
    """It comes from strangers: an answer, never an exception."""
    found = parse_uuid(text)

    assert found is None or str(found) == text
    assert parse_track_id(text) in (None, text)


@pytest.mark.parametrize("text", ["a", "A-b_c.9", "x" * 64])
def test_a_callers_track_id_is_taken(text: str) -> None:
    """So that its own logs and ours can be read together."""
    assert parse_track_id(text) == text


@pytest.mark.parametrize("text", [None, "", "x" * 65, "a b", "a\n", "ä", "a,b", "a;b", "a/b"])
def test_a_track_id_that_could_do_harm_is_not(text: str | None) -> None:
    """It goes into headers, log lines and lists with commas."""
    assert parse_track_id(text) is None
