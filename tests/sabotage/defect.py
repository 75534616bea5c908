"""A defect: a guard taken away, and the tests that must notice."""

from dataclasses import dataclass
from pathlib import Path

from deploy.local.record import ROOT


class DoesNotApply(Exception):
    """The text that a defect replaces is not there exactly once."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Defect:
    """One small change that breaks a promise.

    Its *id* is that of the list in the design; a letter tells several of one kind apart.
    """

    id: str
    breaks: str  # what goes wrong, in a sentence
    file: str
    text: str  # what is replaced: it occurs once in the file
    instead: str
    tests: tuple[str, ...]  # each of them must fail
    servers: bool = False  # whether they need a database or a broker

    def harm(self, whole: str) -> str:
        """Answer *whole*, the text of the file, with the defect in it."""
        if (times := whole.count(self.text)) != 1:
            raise DoesNotApply(f"{self.id}: its text occurs {times} times in {self.file}")
        return whole.replace(self.text, self.instead)

    def apply(self, tree: Path) -> None:
        """Put the defect into a copy of the project at *tree*, never into the project itself."""
        if tree.resolve() == ROOT:
            raise ValueError("defects are for copies")
        path = tree / self.file
        path.write_text(self.harm(path.read_text("utf-8")), "utf-8")
