"""What the reader of each kind of document finds, and how much of it at the most."""

from dataclasses import dataclass
from typing import Final

MOST_CHARACTERS: Final = 3_000_000
MOST_PAGES: Final = 2_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Contents:
    """What a reader of one kind found, not cleaned yet."""

    paragraphs: list[str]
    pages: int | None = None
    title: str | None = None
