"""The project's own source files, read but not run: what each imports and calls."""

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).parents[2]

TOPS: Final = ("back_service", "front_service", "shared", "uketsuke")
"""What is installed: the rules of the house are for these."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """One file of Python and its dotted name."""

    path: Path
    module: str
    tree: ast.Module

    @property
    def package(self) -> str:
        is_package = self.path.name == "__init__.py"
        return self.module if is_package else self.module.rpartition(".")[0]


@cache
def sources(*tops: str) -> tuple[Source, ...]:
    """Read all modules below the folders *tops*."""
    paths = [path for top in tops for path in sorted((ROOT / top).rglob("*.py"))]
    return tuple(read(path) for path in paths)


def read(path: Path) -> Source:
    """Read one file; its name is its place below the root."""
    parts = path.relative_to(ROOT).with_suffix("").parts
    module = ".".join(parts[:-1] if parts[-1] == "__init__" else parts)
    tree = ast.parse(path.read_text(encoding="utf-8"), filename=str(path))
    return Source(path=path, module=module, tree=tree)


def pretend(module: str, text: str) -> Source:
    """Make a source that does not exist, so that a rule can be seen to bite."""
    return Source(path=Path(f"{module}.py"), module=module, tree=ast.parse(text))


def imports(source: Source) -> Iterator[str]:
    """Name every module that *source* imports, at whatever depth, as ``module`` or ``module.name``.

    ``from x import y`` gives ``x.y``: y may be a module itself, and its rules are those of x.
    """
    for node in ast.walk(source.tree):
        match node:
            case ast.Import(names=names):
                yield from (alias.name for alias in names)
            case ast.ImportFrom(module=name, names=names, level=level):
                base = _absolute(source, name, level)
                yield from (f"{base}.{alias.name}" for alias in names)


def _absolute(source: Source, name: str | None, level: int) -> str:
    if level == 0:
        return name or ""
    parts = source.package.split(".")
    above = parts[: len(parts) - level + 1]
    return ".".join([*above, name] if name else above)
