"""Run named tests on a copy of the project, harmed or not, and say which of them failed.

The project itself is never touched. A copy has the same environment, by a link, and none of the
data; what a test needs from outside is handed down, and what is missing is a failure.
"""

import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from deploy.local import processes, record
from tests.sabotage.defect import Defect, DoesNotApply

_NOT_COPIED: Final = shutil.ignore_patterns(
    ".git", ".venv", ".local", ".mypy_cache", ".ruff_cache", ".hypothesis", "node_modules"
)
_AT_MOST: Final = 90.0  # seconds for one trial
_STRICT: Final = ("-q", "-rfE", "--tb=short", "--color=no", "--timeout=60")
_SAME_DICE: Final = ("-p", "no:randomly", "--hypothesis-seed=0")
_FAILED = re.compile(r"^FAILED (\S+)", re.MULTILINE)
_PASSED: Final = 0
_SOME_FAILED: Final = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Trial:
    """What became of one defect; *missed* is empty if it was caught."""

    defect: Defect
    missed: str
    seconds: float

    @property
    def is_caught(self) -> bool:
        return not self.missed


class Bench:
    """Copies of one unharmed tree; *logs* is where each trial leaves what its tests said."""

    def __init__(self, pattern: Path, logs: Path, servers: Mapping[str, str]) -> None:
        self._pattern, self._logs = pattern, logs
        self._env = {**os.environ, **servers, "CI": "1"}  # a test that is skipped guards nothing

    def are_green(self, tests: Sequence[str]) -> bool:
        """Run all *tests* on the unharmed copy, which leaves it compiled for those to come."""
        words = ("-n", "2", "--dist", "loadfile", *tests)
        return self._run(self._pattern, "unharmed", words, at_most=300) == _PASSED

    def log_of(self, name: str) -> Path:
        return self._logs / f"{name}.log"

    def try_out(self, defect: Defect) -> Trial:
        """Put *defect* into a fresh copy, and see whether each of its tests fails there."""
        begun = time.monotonic()
        with tempfile.TemporaryDirectory(prefix="sabotage-") as folder:
            tree = Path(folder) / "tree"
            shutil.copytree(self._pattern, tree, symlinks=True)
            try:
                defect.apply(tree)
            except DoesNotApply as why:
                missed = str(why)
            else:
                missed = self._judge(defect, tree)
        return Trial(defect=defect, missed=missed, seconds=time.monotonic() - begun)

    def _judge(self, defect: Defect, tree: Path) -> str:
        hurry = ("-x",) if len(defect.tests) == 1 else ()
        try:
            code = self._run(tree, defect.id, (*hurry, *defect.tests), at_most=_AT_MOST)
        except subprocess.TimeoutExpired:
            return f"its tests did not end in {_AT_MOST:g} s"
        if code == _PASSED:
            return "no test failed"
        failed = _FAILED.findall(self.log_of(defect.id).read_text("utf-8", errors="replace"))
        unmoved = [test for test in defect.tests if not any(f.startswith(test) for f in failed)]
        if code != _SOME_FAILED or unmoved:
            return f"not told by {', '.join(unmoved) or 'its tests'}: see {self.log_of(defect.id)}"
        return ""

    def _run(self, tree: Path, name: str, words: Sequence[str], *, at_most: float) -> int:
        """Run pytest in *tree*; answer its exit code."""
        with self.log_of(name).open("wb") as log:
            child = processes.start(
                [sys.executable, "-m", "pytest", *_STRICT, *_SAME_DICE, *words],
                death=signal.SIGTERM,
                env=self._env,
                output=log,
                cwd=tree,
            )
            try:
                return child.wait(at_most)
            finally:
                processes.stop(child, gently=signal.SIGINT, patience=10.0, firmly=signal.SIGTERM)


@contextmanager
def open_bench(logs: Path, servers: Mapping[str, str]) -> Iterator[Bench]:
    """Copy the project, as it lies there now, for as long as the block lasts."""
    shutil.rmtree(logs, ignore_errors=True)
    logs.mkdir(parents=True)
    with tempfile.TemporaryDirectory(prefix="sabotage-") as folder:
        pattern = Path(folder) / "tree"
        shutil.copytree(record.ROOT, pattern, ignore=_NOT_COPIED)
        (pattern / ".venv").symlink_to((record.ROOT / ".venv").resolve())
        yield Bench(pattern, logs, servers)
