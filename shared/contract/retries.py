"""When a failed attempt is tried again. Pure: the dice are handed in."""

from dataclasses import dataclass
from datetime import timedelta


@dataclass(frozen=True, slots=True, kw_only=True)
class Retries:
    """How often a job of a type is tried, and how long it waits in between."""

    attempts: int = 4
    first: timedelta = timedelta(seconds=1)
    cap: timedelta = timedelta(minutes=5)

    def delay(self, tries: int, roll: float) -> timedelta:
        """Wait after the *tries*-th failure: exponential backoff with full jitter.

        *roll* is uniform in [0, 1). Source: Brooker, "Exponential Backoff And Jitter", 2015.
        """
        doublings = min(tries - 1, 24)  # past every sensible cap, far below any overflow
        return min(self.cap, self.first * 2.0**doublings) * roll


NEVER = Retries(attempts=1)
