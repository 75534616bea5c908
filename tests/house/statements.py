"""The SQL files, as text: what each promises, who asks it, and whether it names the tenant."""

import ast
import re
from collections.abc import Iterator
from typing import Final

from shared.store.sql import FOLDER
from tests.house.sources import ROOT, Source, sources

_COMMENT = re.compile(r"--[^\n]*")
_STRING = re.compile(r"'[^']*'")
_ALIAS_COLUMNS = re.compile(r"\bAS\s+\w+\s*\([^()]*\)", re.IGNORECASE)
_INSERT = re.compile(r"\bINSERT\s+INTO\s+(\w+)(?:\s+AS\s+\w+)?\s*\(([^()]*)\)", re.IGNORECASE)
_TENANT_IS_COMPARED = re.compile(
    r"\btenant\s*=|=\s*(?:\w+\.)?tenant\b|\(\s*(?:\w+\.)?tenant\s*,|\bUSING\s*\(\s*tenant\b",
    re.IGNORECASE,
)
_OF_TENANTS: Final = frozenset(
    {
        *("batches", "blobs", "idempotency_keys", "job_events", "jobs", "key_heads"),
        *("tombstones", "unique_keys"),
    }
)
_LOOKS = re.compile(rf"\b(FROM|UPDATE|JOIN)\s+({'|'.join(sorted(_OF_TENANTS))})\b")


_MOVES_JOBS = re.compile(r"\bUPDATE jobs\b[^;]*?\bSET state = (CASE\b.*?\bEND\b|\S+)", re.DOTALL)
_HIT = re.compile(r"\bhit AS \((.*?)\n\)", re.DOTALL)
_STARTS = re.compile(r"(?<!NOT )\bstate (?:IN \(([^)]*)\)|= ('\w+'))")
_BRANCH = re.compile(r"WHEN (?:hit\.state = '(\w+)'|[^']*?) THEN '(\w+)'|ELSE '(\w+)'")


def names() -> list[str]:
    return sorted(path.stem for path in FOLDER.glob("*.sql"))


def asked_by(source: Source) -> Iterator[tuple[str | None, int]]:
    """List what *source* asks for, each with its line; ``None`` is a name that is no literal."""
    for node in ast.walk(source.tree):
        if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "statement":
            match node.args:
                case [ast.Constant(value=str() as name)]:
                    yield name, node.lineno
                case _:
                    yield None, node.lineno


def used() -> dict[str, list[str]]:
    """Say for each statement which modules ask for it."""
    places: dict[str, list[str]] = {}
    for source in sources("shared", "front_service", "back_service", "uketsuke"):
        for name, line in asked_by(source):
            where = f"{source.path.relative_to(ROOT)}:{line}"
            places.setdefault(name or "not a literal", []).append(where)
    return places


def forgets_the_tenant(text: str) -> bool:
    """Tell whether a statement reads, changes or makes rows of tenants without naming whose.

    A name in a list of what is selected does not count: it must be compared, or inserted.
    """
    code = _STRING.sub("''", _COMMENT.sub("", text))
    for table, columns in _INSERT.findall(code):
        if table in _OF_TENANTS - {"job_events"} and "tenant" not in re.split(r"\W+", columns):
            return True
    looking = _INSERT.sub("", _ALIAS_COLUMNS.sub("", code))
    if not _LOOKS.search(looking):
        return False
    return not _TENANT_IS_COMPARED.search(looking)


def goal_of(text: str) -> str | None:
    """Say what a statement makes of the state of jobs, in its own words; ``None``: it does not."""
    found = _MOVES_JOBS.search(_COMMENT.sub("", text))
    return found.group(1).rstrip(",") if found else None


def ways_of(text: str) -> set[tuple[str, str]]:
    """List the ways (from, to) of a statement that spells them out: of what it has ``hit``."""
    code = _COMMENT.sub("", text)
    hit, goal = _HIT.search(code), goal_of(code)
    if hit is None or goal is None:
        return set()
    starts = {
        start
        for several, one in _STARTS.findall(hit.group(1))
        for start in re.findall(r"\w+", several or one)
    }
    if not goal.startswith("CASE"):
        return {(start, goal.strip("'")) for start in starts}
    ways = set[tuple[str, str]]()
    for only, then, otherwise in _BRANCH.findall(goal):
        taken = {only} & starts if only else set(starts)
        ways |= {(start, then or otherwise) for start in taken}
        starts -= {only}
    return ways
