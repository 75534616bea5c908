"""What a check has found: sound, wrong, or not to be told on this machine."""

from dataclasses import dataclass
from enum import StrEnum


class Kind(StrEnum):
    SOUND = "sound"
    WRONG = "WRONG"
    NOT_VERIFIED = "not verified"


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """*what* was looked at, and what there is to say of it; *why* may have several lines."""

    kind: Kind
    what: str
    why: str = ""

    @property
    def is_wrong(self) -> bool:
        return self.kind is Kind.WRONG

    @property
    def is_unknown(self) -> bool:
        return self.kind is Kind.NOT_VERIFIED

    def __str__(self) -> str:
        head = f"{self.kind:<12} {self.what}"
        return (
            head if not self.why else head + "".join(f"\n      {x}" for x in self.why.split("\n"))
        )


def sound(what: str, why: str = "") -> Verdict:
    return Verdict(kind=Kind.SOUND, what=what, why=why)


def wrong(what: str, why: str) -> Verdict:
    return Verdict(kind=Kind.WRONG, what=what, why=why)


def not_verified(what: str, why: str) -> Verdict:
    return Verdict(kind=Kind.NOT_VERIFIED, what=what, why=why)


def judged(what: str, complaints: str) -> Verdict:
    """Sound if there are no *complaints*."""
    return wrong(what, complaints) if complaints.strip() else sound(what)
