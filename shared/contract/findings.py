"""What an examination finds: one line each, with what to change where something is wrong."""

from dataclasses import dataclass
from enum import StrEnum


class Health(StrEnum):
    SOUND = "sound"
    WRONG = "wrong"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """*what* was looked at, what was *found*, and what to *change*; no secret is in any of it."""

    health: Health
    what: str
    found: str
    change: str = ""


def sound(what: str, found: str) -> Finding:
    return Finding(health=Health.SOUND, what=what, found=found)


def wrong(what: str, found: str, change: str) -> Finding:
    return Finding(health=Health.WRONG, what=what, found=found, change=change)


def unknown(what: str, found: str, change: str = "") -> Finding:
    """Say that *what* could not be told, and by *change* how it could be."""
    return Finding(health=Health.UNKNOWN, what=what, found=found, change=change)
