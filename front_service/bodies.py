"""Turn the bytes that a stranger sent into JSON, or refuse them.

Counts before it builds: nesting, values and numbers that would cost more than they weigh, or
be changed without a word, never become Python objects (orjson takes NUL, doubled names and
integers of any length). A small plain body pays for a handful of scans in C and no walk. What is
counted may be no JSON at all: every scan is linear, and gives up at what no JSON within the limits
can hold.
"""

import re
from collections.abc import Iterator
from typing import Any, Final

import orjson

from front_service.pointers import Mistake, mistake
from shared.contract.errors import Invalid, Malformed

_DEEPEST: Final = 32
_MOST_VALUES: Final = 10_000
_MOST_MEMBERS: Final = 1_000
_LONGEST_NAME: Final = 256
_LONGEST_NUMBER: Final = 64
_FEW_DIGITS: Final = 15  # that many cannot make a number too large
_LARGEST_INTEGER: Final = 2**53  # beyond, a JavaScript client reads another number
_MOST_MISTAKES: Final = 20

_STRINGS = re.compile(rb'"[^"\\]*+(?:\\.[^"\\]*+)*+(?:"|\\?\Z)', re.DOTALL)  # or without an end
_BRACKETS = re.compile(rb"[\[\]{}]")
_EMPTY = re.compile(rb"\[\s*\]|\{\s*\}")
_LONG_NUMBERS = re.compile(rb"[-0-9][0-9.eE+-]{%d,}" % (_FEW_DIGITS - 1))
_MANY_DIGITS = re.compile(rb"[0-9]{16}")
_NOT_DIGITS: Final = bytes(set(range(256)) - set(b"0123456789"))
_LONG_NAME = re.compile(rb'"[^"]{%d}[^"]*"\s*:' % _LONGEST_NAME)


def read_object(raw: bytes) -> dict[str, Any]:
    """Read *raw* as a JSON object; raise ``Malformed`` or ``Invalid``."""
    if not raw:
        raise Malformed("The body is empty.")
    _measure(raw)
    try:
        value = orjson.loads(raw)
    except orjson.JSONDecodeError:
        raise Malformed("The body is not JSON.") from None
    if not isinstance(value, dict):
        raise Malformed("The body must be a JSON object.")
    _inspect(raw, value)
    return value


def _measure(raw: bytes) -> None:
    """Refuse what is too deep, too much, or a number that would not survive; on bytes alone."""
    openers = raw.count(b"{") + raw.count(b"[")
    if openers > _DEEPEST or openers + raw.count(b",") >= _MOST_VALUES:
        _measure_exactly(_bare(raw))
    if len(raw.translate(None, _NOT_DIGITS)) > _FEW_DIGITS and _MANY_DIGITS.search(raw):
        literals = _LONG_NUMBERS.findall(_bare(raw))
        if len(literals) > _MOST_VALUES:
            raise _too_much()
        for literal in literals:
            _check_number(literal)


def _bare(raw: bytes) -> bytes:
    """Empty all strings: each is a value, or the name of one."""
    bare, strings = _STRINGS.subn(b'""', raw, 2 * _MOST_VALUES + 1)
    if strings > 2 * _MOST_VALUES:
        raise _too_much()
    return bare


def _measure_exactly(bare: bytes) -> None:
    openers = bare.count(b"{") + bare.count(b"[")
    if openers > _MOST_VALUES:  # each begins a value
        raise _too_much()
    depth = 0
    for found in _BRACKETS.finditer(bare):
        depth += 1 if found[0] in b"[{" else -1
        if depth > _DEEPEST:
            raise Invalid([mistake((), f"is nested deeper than {_DEEPEST}")])
        if depth < 0:
            return  # it is no JSON, as will be found
    values = 1 + bare.count(b",") + openers - len(_EMPTY.findall(bare))
    if values > _MOST_VALUES:
        raise _too_much()


def _too_much() -> Invalid:
    return Invalid([mistake((), f"has more than {_MOST_VALUES} values")])


def _check_number(literal: bytes) -> None:
    if len(literal) > _LONGEST_NUMBER:
        raise Invalid([mistake((), f"has a number of more than {_LONGEST_NUMBER} characters")])
    is_integer = literal.lstrip(b"-").isdigit()
    if is_integer and abs(int(literal)) > _LARGEST_INTEGER:
        raise Invalid([mistake((), "has an integer beyond ±2^53: send it as a string")])


def _inspect(raw: bytes, value: dict[str, Any]) -> None:
    """Refuse doubled names, NUL, over-long names and over-wide objects."""
    colons = raw.count(b":")
    if b"\\" in raw or colons > _MOST_MEMBERS or _LONG_NAME.search(raw):
        members = _walk(value)
        doubled = _bare(raw).count(b":") != members
    else:  # without an escape the colons of all strings are in the dump as they were sent
        doubled = orjson.dumps(value).count(b":") != colons
    if doubled:
        raise Invalid([mistake((), "names a member twice")])


def _walk(value: dict[str, Any]) -> int:
    """Look at every name and text of *value*; answer how many members it has in all."""
    members = 0
    mistakes: list[Mistake] = []
    waiting: list[tuple[tuple[object, ...], object]] = [((), value)]
    while waiting and len(mistakes) < _MOST_MISTAKES:
        steps, here = waiting.pop()
        match here:
            case dict():
                members += len(here)
                mistakes.extend(_misnamed(steps, here))
                waiting.extend(((*steps, name), below) for name, below in here.items())
            case list():
                waiting.extend(((*steps, place), below) for place, below in enumerate(here))
            case str() if "\0" in here:
                mistakes.append(mistake(steps, "has the character U+0000"))
            case _:
                pass
    if mistakes:
        raise Invalid(mistakes)
    return members


def _misnamed(steps: tuple[object, ...], here: dict[str, Any]) -> Iterator[Mistake]:
    if len(here) > _MOST_MEMBERS:
        yield mistake(steps, f"has more than {_MOST_MEMBERS} members")
    for name in here:
        if "\0" in name:
            yield mistake(steps, "has a name with the character U+0000")
        elif len(name.encode()) > _LONGEST_NAME:
            yield mistake(steps, f"has a name of more than {_LONGEST_NAME} bytes")
