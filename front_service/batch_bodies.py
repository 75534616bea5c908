"""Turn the bytes of a batch into its submissions, each judged as a submit's body is.

A batch may be a thousand times as much as a submit: so it is looked at piece by piece, and others
have their turn in between. What is wrong with one submission is told in its place; what is wrong
with the document around them, or can only be seen in the whole (doubled names), refuses it all.
"""

import asyncio
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import orjson

from front_service.bodies import read_object
from front_service.pointers import mistake
from shared.contract.batches import MOST_SUBMISSIONS
from shared.contract.errors import Invalid, Malformed, TooLarge, UketsukeError

Entry = Mapping[str, Any] | UketsukeError

_MOST_PARTS: Final = 100_000  # brackets and commas of one JSON document
_AT_A_TIME: Final = 25  # submissions
_BYTES_AT_A_TIME: Final = 256 * 1024

_STRINGS = re.compile(rb'"[^"\\]*+(?:\\.[^"\\]*+)*+"', re.DOTALL)
_MANY_DIGITS = re.compile(rb"[0-9]{16}")
_NUMBERS = re.compile(rb"-?[0-9][0-9.eE+-]*")


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """The submissions of a batch, or what is wrong with them; *atomic*: all or none."""

    entries: Sequence[Entry]
    atomic: bool


async def read_lines(raw: bytes, *, atomic: bool, most_bytes: int) -> Asked:
    """Read a batch of one JSON object a line, each of at most *most_bytes*."""
    lines = [line for line in raw.splitlines() if line.strip()]
    _check_number_of(lines)
    return Asked(entries=await _read_each(lines, most_bytes), atomic=atomic)


async def read_document(raw: bytes, *, most_bytes: int) -> Asked:
    """Read a batch ``{"jobs": […], "atomic": …}``; raise ``Malformed`` or ``Invalid``."""
    document = _parsed(raw)
    names = len(document)
    jobs, atomic = document.pop("jobs", None), document.pop("atomic", False)
    if not isinstance(jobs, list):
        raise Invalid([mistake(("jobs",), "must be a list of submissions")])
    if not isinstance(atomic, bool):
        raise Invalid([mistake(("atomic",), "must be true or false")])
    if document:
        raise Invalid([mistake((min(document),), "is not known here")])
    _check_number_of(jobs)
    lines = await _written(jobs)
    await _check_the_whole(raw, jobs, lines, names)
    return Asked(entries=await _read_each(lines, most_bytes), atomic=atomic)


async def _written(jobs: Sequence[object]) -> list[bytes | UketsukeError]:
    """Write each submission by itself, so that it can be judged by itself."""
    lines: list[bytes | UketsukeError] = []
    for place, job in enumerate(jobs):
        if place % _AT_A_TIME == 0:
            await asyncio.sleep(0)
        lines.append(_dumped(job))
    return lines


def _parsed(raw: bytes) -> dict[str, Any]:
    if not raw:
        raise Malformed("The body is empty.")
    if raw.count(b"{") + raw.count(b"[") + raw.count(b",") > _MOST_PARTS:
        text = f"has more than {_MOST_PARTS} brackets and commas: send one submission a line"
        raise Invalid([mistake((), text)])
    try:
        value = orjson.loads(raw)
    except orjson.JSONDecodeError:
        raise Malformed("The body is not JSON.") from None
    if not isinstance(value, dict):
        raise Malformed("The body must be a JSON object.")
    return value


def _check_number_of(jobs: Sequence[object]) -> None:
    if not jobs:
        raise Invalid([mistake(("jobs",), "must have at least one submission")])
    if len(jobs) > MOST_SUBMISSIONS:
        raise TooLarge(f"At most {MOST_SUBMISSIONS} submissions are taken in one batch.")


def _dumped(job: object) -> bytes | UketsukeError:
    try:
        return orjson.dumps(job)
    except orjson.JSONEncodeError:  # deeper than it writes, and far deeper than we take
        return Invalid([mistake((), "is nested too deep")])


async def _read_each(lines: Sequence[bytes | UketsukeError], most_bytes: int) -> list[Entry]:
    entries: list[Entry] = []
    for place, line in enumerate(lines):
        if place % _AT_A_TIME == 0:
            await asyncio.sleep(0)
        entries.append(_read(line, most_bytes) if isinstance(line, bytes) else line)
    return entries


def _read(line: bytes, most_bytes: int) -> Entry:
    if len(line) > most_bytes:
        return TooLarge(f"At most {most_bytes} bytes are taken for one submission.")
    try:
        return read_object(line)
    except UketsukeError as error:
        return error


async def _check_the_whole(
    raw: bytes, jobs: Sequence[object], lines: Sequence[bytes | UketsukeError], names: int
) -> None:
    """Refuse doubled names and numbers that would not survive: once read, nothing shows them."""
    if b"\\" in raw or await _has_many_digits(raw):
        members = names + await _members_of(jobs)
        doubled = await _colons_between_strings(raw) != members
    else:  # without an escape the colons of all strings are in the lines as they were sent
        found = sum(line.count(b":") for line in lines if isinstance(line, bytes))
        is_whole = all(isinstance(line, bytes) for line in lines)
        doubled = is_whole and raw.count(b":") != found + names
    if doubled:
        raise Invalid([mistake((), "names a member twice")])


async def _has_many_digits(raw: bytes) -> bool:
    """Look for a number of so many digits that it may not survive, or for what looks like one."""
    for start in range(0, len(raw), _BYTES_AT_A_TIME):
        await asyncio.sleep(0)
        if _MANY_DIGITS.search(raw, max(0, start - 16), start + _BYTES_AT_A_TIME):
            return True
    return False


async def _members_of(jobs: Sequence[object]) -> int:
    members = 0
    for place, job in enumerate(jobs):
        if place % _AT_A_TIME == 0:
            await asyncio.sleep(0)
        members += _members(job)
    return members


async def _colons_between_strings(raw: bytes) -> int:
    colons = end = seen = 0
    for string in _STRINGS.finditer(raw):
        if string.end() - seen > _BYTES_AT_A_TIME:
            seen = string.end()
            await asyncio.sleep(0)
        colons += _look_between(raw[end : string.start()])
        end = string.end()
    return colons + _look_between(raw[end:])


def _look_between(gap: bytes) -> int:
    """Judge the numbers between two strings, and count the colons there."""
    if len(gap) > 15 and _MANY_DIGITS.search(gap):  # noqa: PLR2004  fewer digits are harmless
        for literal in _NUMBERS.findall(gap):
            read_object(b'{"number":' + literal + b"}")
    return gap.count(b":")


def _members(value: object) -> int:
    """Count the members of all objects in *value*."""
    found, waiting = 0, [value]
    while waiting:
        match waiting.pop():
            case dict() as here:
                found += len(here)
                waiting.extend(v for v in here.values() if isinstance(v, dict | list))
            case list() as here:
                waiting.extend(v for v in here if isinstance(v, dict | list))
            case _:
                pass
    return found
