"""Find what the services log, and write what each field means: the page ``docs/logs.md``.

The source is read, not run. A field without a meaning here, or a meaning without a field, is
refused: so the page is whole.
"""

import ast
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Final

from docs.log_fields import EVERYWHERE, MEANINGS

ROOT: Final = Path(__file__).parent.parent

_FOLDERS: Final = ("shared", "front_service", "back_service")
_LEVELS: Final = {
    "debug": "debug",
    "info": "info",
    "warning": "warning",
    "error": "error",
    "exception": "error",
    "log": "that of the library",
}

_PAGE: Final = """\
# Log lines

This page is written by `make docs` from the lines that the code logs; a test compares the two.
Every line is one JSON object (`UKETSUKE_LOG_FORMAT=console` is for eyes, and no contract). `event`
is constant text: search for it. No line has a payload, a secret, or what a handler was given. A
field of more than 2,000 characters is cut and ends with `…`; of `exception` both ends are kept.

## Fields of every line

| field | says |
|---|---|
{everywhere}

## All other fields

A field means the same in each line that has it, or the table says the difference. A field whose
value is not known is `null`.

| field | of | says |
|---|---|---|
{fields}

## All lines

Those of both services have their code in `shared`; so one or the other may never say some of them.

| event | level | of | fields |
|---|---|---|---|
{lines}
"""


class NotDescribed(ValueError):
    """The code and ``MEANINGS`` do not agree; the text says where."""


@dataclass(frozen=True, slots=True, order=True)
class Line:
    """One line that the code can log."""

    event: str
    of: str
    level: str
    fields: tuple[str, ...]


def logs_page() -> str:
    """Describe what is logged: ``logs.md``."""
    found = sorted(set(lines()))
    _compare({field for line in found for field in line.fields})
    return _PAGE.format(
        everywhere="\n".join(f"| `{name}` | {text} |" for name, text in EVERYWHERE.items()),
        fields="\n".join(
            f"| `{name}` | {_of(line.of for line in found if name in line.fields)} | {text} |"
            for name, text in sorted(MEANINGS.items())
        ),
        lines="\n".join(map(_row, found)),
    )


def _compare(logged: set[str]) -> None:
    described = MEANINGS.keys() | EVERYWHERE.keys()
    if lacking := sorted(logged - described):
        raise NotDescribed(f"docs/log_fields.py does not say what is {', '.join(lacking)}")
    if idle := sorted(MEANINGS.keys() - logged):
        raise NotDescribed(f"docs/log_fields.py describes what nobody logs: {', '.join(idle)}")


def _of(services: Iterable[str]) -> str:
    told = set(services)
    return told.pop() if len(told) == 1 else "both"


def _row(line: Line) -> str:
    names = ", ".join(f"`{name}`" for name in line.fields if name not in EVERYWHERE)
    return f"| `{line.event}` | {line.level} | {line.of} | {names} |"


def lines() -> Iterator[Line]:
    """Give every line of both services; raise ``NotDescribed`` for one that cannot be read."""
    for path, tree in _trees().items():
        of = path.parts[0].removesuffix("_service")
        for node in ast.walk(tree):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                yield from _of_function(node, "both" if of == "shared" else of)


@cache
def _trees() -> Mapping[Path, ast.Module]:
    return {
        path.relative_to(ROOT): ast.parse(path.read_text(encoding="utf-8"))
        for folder in _FOLDERS
        for path in sorted((ROOT / folder).rglob("*.py"))
    }


def _of_function(function: ast.FunctionDef | ast.AsyncFunctionDef, of: str) -> Iterator[Line]:
    for node in ast.walk(function):
        match node:
            case ast.Call(func=ast.Attribute(value=ast.Name(id="log"), attr=level), args=args) if (
                level in _LEVELS
            ):
                text = args[-1] if level == "log" else args[0]
                fields = tuple(sorted(_fields(node.keywords, function.name)))
                for event in _events(text, function):
                    yield Line(event, of, _LEVELS[level], fields)


def _events(text: ast.expr, function: ast.FunctionDef | ast.AsyncFunctionDef) -> list[str]:
    """Read the text of a line: a constant, or one of those that a name of *function* may be."""
    if not isinstance(text, ast.Name):
        found = _constants(text)
    elif text.id in (names := [one.arg for one in function.args.args]):
        found = _given(function.name, names.index(text.id))
    else:
        found = [
            constant
            for node in ast.walk(function)
            if isinstance(node, ast.Assign) and text.id in map(ast.unparse, node.targets)
            for constant in _constants(node.value)
        ]
    if not found:
        raise NotDescribed(f"{function.name} logs a line whose text nobody can tell")
    return found


def _constants(node: ast.expr) -> list[str]:
    match node:
        case ast.Constant(value=str(text)):
            return [text]
        case ast.IfExp(body=one, orelse=other):
            return [*_constants(one), *_constants(other)]
        case _:
            return []


def _given(name: str, place: int) -> list[str]:
    """List what callers hand to the function *name* at *place*."""
    return [
        constant
        for tree in _trees().values()
        for node in ast.walk(tree)
        if isinstance(node, ast.Call) and ast.unparse(node.func) == name and len(node.args) > place
        for constant in _constants(node.args[place])
    ]


def _fields(keywords: Iterable[ast.keyword], where: str) -> Iterator[str]:
    for keyword in keywords:
        match keyword:
            case ast.keyword(arg="exc_info"):
                yield "exception"
            case ast.keyword(arg=str(name)):
                yield name
            case ast.keyword(value=ast.Call(func=ast.Attribute(attr=name))):
                yield from _answered(name)
            case _:
                raise NotDescribed(f"{where} logs fields whose names nobody can tell")


def _answered(name: str) -> Iterator[str]:
    """List the fields that the function *name* answers, as one dictionary."""
    for tree in _trees().values():
        for node in ast.walk(tree):
            if isinstance(node, ast.FunctionDef) and node.name == name:
                answers = [one.value for one in node.body if isinstance(one, ast.Return)]
                for answer in answers:
                    if isinstance(answer, ast.Dict):
                        yield from (str(ast.literal_eval(key)) for key in answer.keys if key)
