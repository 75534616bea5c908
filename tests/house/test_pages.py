"""What the pages say is so: generated ones are fresh, links lead somewhere, commands exist."""

import re
import sys
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Final
from urllib.parse import unquote

import pytest
from typer.main import get_command

from docs import generate
from tests.house.sources import ROOT
from uketsuke.cli import build

PAGES: Final = tuple(
    sorted(
        path
        for pattern in ("*.md", "docs/**/*.md", "examples/**/*.md", "deploy/**/*.md")
        for path in ROOT.glob(pattern)
    )
)
_LINK = re.compile(r"\]\(([^)\s]+)\)")
_FENCE = re.compile(r"^```(?:sh|bash|console|shell)\n(.*?)^```", re.MULTILINE | re.DOTALL)
_INLINE = re.compile(r"`(make [^`]+|python3? -m [^`]+|uketsuke [a-z][^`]*)`")
_TARGET = re.compile(r"^([a-z][a-z-]*):", re.MULTILINE)

each_page = pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))


@pytest.mark.parametrize("name", generate.PAGES)
def test_a_generated_page_says_what_the_code_says(name: str) -> None:
    """After a change of the code: ``make docs``."""
    assert (generate.FOLDER / name).read_text(encoding="utf-8") == generate.PAGES[name]()


@each_page
def test_every_link_within_the_project_leads_somewhere(page: Path) -> None:
    """A page that sends its reader nowhere is worse than one that says less."""
    found = (unquote(link.partition("#")[0]) for link in _LINK.findall(page.read_text("utf-8")))
    local = [link for link in found if link and not re.match(r"[a-z]+:", link)]

    assert [link for link in local if not (page.parent / link).exists()] == []


@each_page
def test_every_command_exists(page: Path) -> None:
    """Targets of make, modules that are run, commands of the terminal client."""
    lines = list(commands_in(page.read_text("utf-8")))

    assert [line for line in lines if not is_there(line)] == []


def commands_in(text: str) -> Iterator[str]:
    """List the lines of a page that a reader would type."""
    for block in _FENCE.findall(text):
        yield from (line.strip().removeprefix("$ ") for line in block.splitlines())
    yield from _INLINE.findall(text)


def is_there(line: str) -> bool:
    """Say whether what *line* starts exists; a program that is not ours always does."""
    words = [word for word in line.split() if not re.fullmatch(r"[A-Z_]+=\S*", word)]
    match words:
        case ["make", target, *_]:
            return target in _TARGET.findall((ROOT / "Makefile").read_text("utf-8"))
        case [python, "-m", module, *rest] if re.fullmatch(r".*python3?", python):
            named = f"{module}.__main__" if (ROOT / module.replace(".", "/")).is_dir() else module
            is_module = module in sys.stdlib_module_names or find_spec(named) is not None
            return is_module and (module != "uketsuke" or _is_command(rest))
        case ["uketsuke", *rest]:
            return _is_command(rest)
        case [python, script, *_] if re.fullmatch(r".*python3?", python):
            return not script.endswith(".py") or (ROOT / script).exists()
        case _:
            return True


def _is_command(words: list[str]) -> bool:
    commands = getattr(get_command(build()), "commands", {})
    named = [word for word in words if not word.startswith("-")]
    return not named or named[0] in commands


@pytest.mark.parametrize(
    "line",
    [
        "make nonsense",
        "python -m uketsuke.nonsense",
        ".venv/bin/python -m uketsuke nonsense x",
        "uketsuke nonsense",
        "A=b python3 examples/nonsense.py",
    ],
)
def test_a_command_that_does_not_exist_is_seen(line: str) -> None:
    """A check that cannot fail guards nothing."""
    assert not is_there(line)


def test_every_target_of_make_is_a_command_with_a_sentence() -> None:
    """``make help`` lists them all."""
    text = (ROOT / "Makefile").read_text("utf-8")

    assert set(re.findall(r"^([a-z][a-z-]*):.*## \S", text, re.MULTILINE)) == set(
        _TARGET.findall(text)
    )
