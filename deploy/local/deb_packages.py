"""Fetch and unpack Debian packages without root and without installing anything.

Standard library only: the bootstrap needs it before there is a virtual environment. Works on
Debian and Ubuntu; where the package lists are missing, it fetches them to a folder of its own.
"""

import re
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

_TOOLS = ("apt-cache", "apt-get", "dpkg-deb")
_HARD_NEEDS = [
    f"--no-{kind}"
    for kind in ("recommends", "suggests", "conflicts", "breaks", "replaces", "enhances")
]


class CannotFetch(RuntimeError):
    """The packages cannot be had here; the text says why, in one line."""


def can_fetch() -> bool:
    """Tell whether this machine has the tools of Debian's packages."""
    return all(shutil.which(tool) for tool in _TOOLS)


def unpack(package: str, *, family: str, into: Path) -> None:
    """Unpack *package*, and what it needs of the *family* (a pattern of names), *into* a folder."""
    debs = into.with_name(into.name + ".debs")
    shutil.rmtree(debs, ignore_errors=True)
    debs.mkdir(parents=True)
    apt = _Apt(debs)
    apt.run("apt-get", "download", *apt.needs(package, family))
    for deb in sorted(debs.glob("*.deb")):
        _run(["dpkg-deb", "-x", deb.name, str(into)], cwd=debs)
    shutil.rmtree(debs)


class _Apt:
    """apt with the machine's package lists or, where they lack the package, lists of our own."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._options: list[str] = []

    def needs(self, package: str, family: str) -> list[str]:
        """List *package* and the members of the *family* that it depends on."""
        if not self._knows(package):
            self._fetch_lists()
        listed = self.run("apt-cache", "depends", "--recurse", *_HARD_NEEDS, package)
        names = {name for name in listed.splitlines() if re.fullmatch(family, name)}
        return sorted(names | {package})

    def _knows(self, package: str) -> bool:
        """Tell whether the lists say where *package* is; an installed one may be known without."""
        try:
            return "Filename:" in self.run("apt-cache", "show", package)
        except CannotFetch:
            return False

    def _fetch_lists(self) -> None:
        lists, cache = self._folder / "lists", self._folder / "cache"
        for folder in (lists / "partial", cache / "archives" / "partial"):
            folder.mkdir(parents=True)
        self._options = ["-o", f"Dir::State::lists={lists}", "-o", f"Dir::Cache={cache}"]
        self.run("apt-get", "update")

    def run(self, tool: str, *words: str) -> str:
        return _run([tool, "-q", *self._options, *words], cwd=self._folder)


def _run(argv: Sequence[str], *, cwd: Path) -> str:
    done = subprocess.run(argv, cwd=cwd, capture_output=True, check=False, text=True)
    if done.returncode:
        said = (done.stderr or done.stdout).strip().splitlines() or ["no word"]
        raise CannotFetch(f"{' '.join(argv[:1])} failed: {said[-1]}")
    return done.stdout
