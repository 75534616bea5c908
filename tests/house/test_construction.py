"""Only ``app.py`` and its ``ground.py`` construct: what they make, nobody else makes anew."""

import ast
from collections.abc import Iterator
from dataclasses import is_dataclass
from importlib import import_module
from typing import Final

import pytest

from tests.house.sources import TOPS, Source, pretend, sources

SERVICES: Final = ("back_service", "front_service")
ROOTS: Final = frozenset(f"{service}.{name}" for service in SERVICES for name in ("app", "ground"))


def origins(source: Source) -> dict[str, str]:
    """Say where the names of *source* come from, as ``module.name``; its own definitions too."""
    known = {
        node.name: f"{source.module}.{node.name}"
        for node in source.tree.body
        if isinstance(node, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef)
    }
    for node in ast.walk(source.tree):
        if isinstance(node, ast.ImportFrom) and node.level == 0:
            known |= {a.asname or a.name: f"{node.module}.{a.name}" for a in node.names}
    return known


def made(source: Source) -> Iterator[str]:
    """Name what *source* makes of ours: classes it calls, and ``open_…`` it enters."""
    known = origins(source)
    for node in ast.walk(source.tree):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
            origin = known.get(node.func.id, "")
            is_maker = node.func.id[0].isupper() or node.func.id.startswith("open_")
            if is_maker and origin.partition(".")[0] in TOPS:
                yield origin


def is_a_part(origin: str) -> bool:
    """Tell a part of the service from values and errors, which anybody may make."""
    module, _, name = origin.rpartition(".")
    found = getattr(import_module(module), name)
    is_value = is_dataclass(found) or (isinstance(found, type) and issubclass(found, Exception))
    return not is_value


def parts_of(service: str) -> set[str]:
    """Name the parts that the composition root of *service* puts together."""
    roots = [source for source in sources(service) if source.module in ROOTS]
    return {origin for root in roots for origin in made(root) if is_a_part(origin)}


def made_elsewhere(source: Source, parts: set[str]) -> list[str]:
    is_root = source.module in ROOTS or source.module.endswith(".__main__")
    return [] if is_root else sorted(set(made(source)) & parts)


@pytest.mark.parametrize("service", SERVICES)
def test_only_the_composition_root_constructs(service: str) -> None:
    """What a part needs is in its signature; so a test can hand it in, and a reader can see it."""
    parts = parts_of(service)

    found = {source.module: made_elsewhere(source, parts) for source in sources(service)}

    assert {module: names for module, names in found.items() if names} == {}
    assert len(parts) > 10  # else the rule has lost sight of what it guards


def test_a_part_that_is_made_elsewhere_is_seen() -> None:
    """By whatever name it was imported."""
    text = "from shared.store.outbox import Outbox as Rows\n\nclass A:\n    rows = Rows(None)"

    assert made_elsewhere(pretend("back_service.a", text), parts_of("back_service")) != []
