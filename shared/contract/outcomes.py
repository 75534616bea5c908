"""How an attempt ended, and what shall become of its job: a closed vocabulary."""

from dataclasses import dataclass
from datetime import timedelta

from shared.contract.states import Move


@dataclass(frozen=True, slots=True, kw_only=True)
class Failure:
    """What went wrong: *message* is fit to show a stranger; details are for the logs alone."""

    code: str
    message: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Returned:
    """The handler answered; *result* is JSON."""

    result: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Raised:
    """The attempt failed and may be tried again; *after* is the handler's own wish."""

    failure: Failure
    after: timedelta | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Refused:
    """The attempt failed and trying again would not help."""

    failure: Failure


@dataclass(frozen=True, slots=True, kw_only=True)
class Snoozed:
    """The handler puts the job off; the attempt is given back."""

    delay: timedelta


@dataclass(frozen=True, slots=True)
class Interrupted:
    """The worker is draining; the attempt is given back unfinished."""


@dataclass(frozen=True, slots=True)
class Stopped:
    """The handler ended because a cancel was asked."""


Outcome = Returned | Raised | Refused | Snoozed | Interrupted | Stopped


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """One move of a job and the values that go with it."""

    move: Move
    result: bytes | None = None
    failure: Failure | None = None
    delay: timedelta | None = None
    given_back: int = 0  # attempts that shall not count
