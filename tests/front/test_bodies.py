"""Bodies: what strangers may send as JSON, judged before it is built."""

from contextlib import suppress
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from front_service.bodies import read_object
from shared.contract.errors import Invalid, Malformed, Refusal

JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**53), 2**53)
    | st.floats(allow_nan=False)
    | st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=20),
    lambda below: (
        st.lists(below, max_size=4)
        | st.dictionaries(
            st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=9),
            below,
            max_size=4,
        )
    ),
    max_leaves=20,
)


def nested(depth: int) -> bytes:
    return b'{"a":' + b"[" * (depth - 1) + b"]" * (depth - 1) + b"}"


@given(st.dictionaries(st.text(st.characters(exclude_categories=["Cs", "Cc"]), max_size=60), JSON))
def test_ordinary_json_is_taken_as_it_is(value: dict[str, Any]) -> None:
    """The checks refuse nothing that anybody would send."""
    raw = orjson.dumps(value)

    assert read_object(raw) == orjson.loads(raw)


@given(st.binary(max_size=200))
def test_any_bytes_are_taken_or_refused(raw: bytes) -> None:
    """Never an error of our own."""
    with suppress(Refusal):
        assert isinstance(read_object(raw), dict)


@given(st.dictionaries(st.text(max_size=3), st.integers(0, 9), min_size=1, max_size=5), st.data())
def test_a_doubled_name_is_found(value: dict[str, int], data: st.DataObject) -> None:
    """Two readers of such a body would each believe another value."""
    try:
        raw = orjson.dumps(value)
    except TypeError:  # a lone surrogate cannot be written
        return
    if "\0" in "".join(value):
        return
    name = orjson.dumps(data.draw(st.sampled_from(sorted(value))))
    doubled = raw[:-1] + b"," + name + b":1}"

    with pytest.raises(Invalid):
        read_object(doubled)


@pytest.mark.parametrize(
    "raw",
    [
        b'{"a":1,"a":2}',
        b'{"a":1,"\\u0061":2}',
        b'{"x":{"a":":","a":":"}}',
        b'{"a":"\\"","a":1}',
        b'{"a":[{"b":1,"b":1}]}',
    ],
)
def test_doubled_names_are_found_behind_escapes(raw: bytes) -> None:
    """However they are written and wherever they stand."""
    with pytest.raises(Invalid):
        read_object(raw)


@pytest.mark.parametrize(
    ("raw", "pointer"),
    [
        (rb'{"a": "x\u0000"}', "/a"),
        (rb'{"a": [0, {"b": "\u0000"}]}', "/a/1/b"),
        (rb'{"a\u0000": 1}', ""),
        (b'{"a": {"' + b"n" * 257 + b'": 1}}', "/a"),
    ],
)
def test_what_the_database_would_choke_on_is_told_by_pointer(raw: bytes, pointer: str) -> None:
    """NUL in a text, a name too long: found before anything is asked of PostgreSQL."""
    with pytest.raises(Invalid) as refusal:
        read_object(raw)

    errors = refusal.value.members["errors"]
    assert isinstance(errors, list)
    assert [mistake["pointer"] for mistake in errors] == [pointer]


def test_an_escaped_backslash_before_u0000_is_no_nul() -> None:
    """It is six harmless characters."""
    assert read_object(rb'{"a": "\\u0000"}') == {"a": r"\u0000"}


@pytest.mark.parametrize(
    "raw",
    [
        nested(33),
        nested(100_000),
        b'{"a":' * 2_000 + b"1" + b"}" * 2_000,
        b'{"a":[' + b"1," * 10_000 + b"1]}",
        b'{"a":[' + b"{}," * 10_000 + b"{}]}",
        b"{" + b",".join(b'"%d":1' % n for n in range(1_001)) + b"}",
        b'{"a": 9007199254740993}',
        b'{"a": -9007199254740993}',
        b'{"a": ' + b"1" * 5_000 + b"}",
        b'{"a": 0.' + b"1" * 70 + b"}",
    ],
)
def test_what_costs_too_much_is_refused(raw: bytes) -> None:
    """Depth, number of values and of members, numbers that JavaScript would change."""
    with pytest.raises(Invalid):
        read_object(raw)


@pytest.mark.parametrize(
    "raw",
    [
        nested(32),
        b'{"a":[' + b"1," * 9_996 + b"1]}",
        b'{"a": "' + b"[" * 1_000 + b'"}',
        b'{"a": "' + b"," * 20_000 + b'"}',
        b'{"a": "' + b"9" * 100 + b'"}',
        b'{"a": 9007199254740992}',
        b'{"a": 1e300}',
        b'{"a": 0.12345678901234567}',
        b"{" + b",".join(b'"%d":1' % n for n in range(1_000)) + b"}",
    ],
)
def test_what_only_looks_costly_is_taken(raw: bytes) -> None:
    """Brackets, commas and digits inside texts are texts."""
    assert read_object(raw) == orjson.loads(raw)


@pytest.mark.parametrize("raw", [b"", b" ", b"[]", b"1", b"{", b"{}{}", b"{'a': 1}", b"\xff"])
def test_what_is_no_object_is_malformed(raw: bytes) -> None:
    """400: there is nothing to point at."""
    with pytest.raises(Malformed):
        read_object(raw)
