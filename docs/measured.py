"""Find what the services count, in their own words: the table of ``docs/metrics.md``.

The source is read, not run: gauges are named where the parts of a service are joined, which needs
servers. Scrapes of real services are held against the same list by a test.
"""

import ast
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).parent.parent

_FOLDERS: Final = ("shared", "front_service", "back_service")
_KINDS: Final = {
    "Counter": "counter",
    "Histogram": "histogram",
    "gauge": "gauge",
    "family": "gauge",
}
_OF_CLASSES: Final = {"FrontMetrics": "front", "BackMetrics": "back", "Metrics": "both"}

_OTHER: Final = {"front": "back", "back": "front"}
_HOUSE: Final = "back_service/upkeep/"

_PAGE: Final = """\
# Metrics

This page is written by `make docs` from what the code says of its metrics; tests compare the two,
and both with what real services show. Names and labels are stable: a change is announced in the
[changelog](changelog.md). Labels have few values; none is an id, a key or what a client wrote.

Every process has its own `/metrics`: a front on its port, or on `UKETSUKE_PROBE_PORT`; a back on
`UKETSUKE_PROBE_PORT`. A histogram has `_bucket`, `_sum` and `_count`. What is marked *house* is of
all processes together; every back with the role `upkeep` counts it, every 5 s, and all say the
same: take the `max`. Besides, each process has Prometheus' own `process_*`, `python_info` and
`python_gc_*`. Rules and a dashboard: [`deploy/observability`](../deploy/observability/README.md).

| metric | kind | of | labels | says |
|---|---|---|---|---|
{rows}
"""


@dataclass(frozen=True, slots=True, order=True)
class Measure:
    """One metric of one service, or of both."""

    name: str
    of: str
    kind: str
    labels: tuple[str, ...]
    text: str

    @property
    def series(self) -> tuple[str, ...]:
        """What a scrape calls it."""
        if self.kind != "histogram":
            return (self.name,)
        return tuple(f"{self.name}_{part}" for part in ("bucket", "sum", "count"))


def measures() -> list[Measure]:
    """List all metrics, in the order of their names."""
    found = {
        measure
        for folder in _FOLDERS
        for path in (ROOT / folder).rglob("*.py")
        for measure in _of_file(path)
    }
    twice = {one for one in found if replace(one, of=_OTHER.get(one.of, "")) in found}
    return sorted((found - twice) | {replace(one, of="both") for one in twice})


def metrics_page() -> str:
    """Describe what is counted: ``metrics.md``."""
    return _PAGE.format(rows="\n".join(map(_row, measures())))


def _row(one: Measure) -> str:
    labels = ", ".join(f"`{label}`" for label in one.labels)
    return f"| `{one.name}` | {one.kind} | {one.of} | {labels} | {one.text} |"


def _of_file(path: Path) -> Iterator[Measure]:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    place = path.relative_to(ROOT)
    of = "house" if place.is_relative_to(_HOUSE) else place.parts[0].removesuffix("_service")
    for node in tree.body:
        name = getattr(node, "name", "")
        yield from _of_node(node, _OF_CLASSES.get(name, "both" if of == "shared" else of))


def _of_node(tree: ast.AST, of: str) -> Iterator[Measure]:
    for node in ast.walk(tree):
        match node:
            case ast.Call(
                func=ast.Name(id=word) | ast.Attribute(attr=word),
                args=[ast.Constant(value=str(name)), ast.Constant(value=str(text)), *rest],
            ) if word in _KINDS and name.startswith("uketsuke_"):
                yield Measure(name, of, _KINDS[word], _labels(rest), text)


def _labels(rest: list[ast.expr]) -> tuple[str, ...]:
    match rest:
        case [ast.Tuple(elts=parts), *_]:
            return tuple(str(part.value) for part in parts if isinstance(part, ast.Constant))
        case _:
            return ()
