"""Keep what a drill came to: printed, and one line of JSON a run where the command says so."""

import json
import os
import subprocess
from collections.abc import Mapping
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any, Final

_ROOT: Final = Path(__file__).parents[2]
_BEGUN: Final = datetime.now(UTC).isoformat(timespec="seconds")
kept: Final[list[Mapping[str, Any]]] = []
"""The lines of this run, for the sum at its end."""


def keep(  # one line has that many parts
    fault: str,
    *,
    seed: int | None = None,
    bites: Mapping[str, int],
    counts: Mapping[str, int],
    figures: Mapping[str, float],
    again: str,
) -> None:
    """Keep what *fault* did (*bites*), what was counted and measured, and how to repeat it."""
    report = {
        "at": datetime.now(UTC).isoformat(timespec="seconds"),
        "run": _BEGUN,
        "commit": commit(),
        "fault": fault,
        "seed": seed,
        "bites": bites,
        "counts": counts,
        "figures": figures,
        "again": again,
    }
    line = json.dumps(report)
    kept.append(json.loads(line))  # plain values: a worker hands them on
    print(f"\n{line}")
    if path := os.environ.get("UKETSUKE_TEST_RESULTS"):
        append(report, path)


def append(report: Mapping[str, Any], path: str) -> None:
    """Add *report* as one line to the file of that *path*."""
    with Path(path).open("a", encoding="utf-8") as file:
        file.write(json.dumps(report) + "\n")


@cache
def commit() -> str:
    """Name the commit that the tree is at; one that has been changed since is dirty."""
    name = _git("rev-parse", "--short", "HEAD").stdout.strip()
    if not name:
        return "unknown"
    is_clean = _git("diff", "--quiet", "HEAD", "--", ".", ":!benchmarks/results").returncode == 0
    return name if is_clean else f"{name}-dirty"


def _git(*words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(["git", *words], cwd=_ROOT, capture_output=True, text=True, check=False)
