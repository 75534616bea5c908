"""What clients of a drill asked, and were told. A timeout is *unknown*, never *no*."""

from collections.abc import Iterator
from dataclasses import dataclass, field

from tests.campaign.drills import Kind


@dataclass(slots=True, kw_only=True)
class Asked:
    """One request for a job, however often it was sent."""

    number: int
    kind: Kind
    key: str | None
    idempotent: bool
    job_ids: set[str] = field(default_factory=set)  # that a 202 named
    refusals: int = 0
    unanswered: int = 0
    is_cancelled: bool = False  # somebody asked for it

    @property
    def is_accepted(self) -> bool:
        return bool(self.job_ids)


@dataclass(slots=True, kw_only=True)
class Told:
    """What one reader saw of one job over all its connections."""

    job_id: str
    sequences: list[int] = field(default_factory=list)
    states: list[str] = field(default_factory=list)
    reconnects: int = 0
    mistakes: list[str] = field(default_factory=list)
    is_over: bool = False


@dataclass(slots=True)
class History:
    """Everything that clients know."""

    asked: list[Asked] = field(default_factory=list)
    told: list[Told] = field(default_factory=list)
    odd_answers: list[str] = field(default_factory=list)
    submits: list[tuple[float, int]] = field(default_factory=list)  # monotonic end, status
    took: list[float] = field(default_factory=list)  # seconds of each 202
    not_connected: int = 0  # calls that met nobody: nothing was sent, so all are made again
    broken_off: list[str] = field(default_factory=list)  # calls and streams that ended otherwise
    sent_away: int = 0  # readers told to come back: 1012

    def accepted(self) -> Iterator[tuple[str, Asked]]:
        """Go through the jobs that somebody was promised."""
        for asked in self.asked:
            for job_id in asked.job_ids:
                yield job_id, asked

    def refused(self) -> list[int]:
        """List the answers that were no 202, by their status."""
        return [status for _, status in self.submits if status != 202]

    @property
    def reconnects(self) -> int:
        return sum(told.reconnects for told in self.told)
