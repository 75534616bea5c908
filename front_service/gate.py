"""Refuse submits that would wait too long to be stored, before anything of them is read.

Submits wait for the commit under way and for their own. What comes in faster than commits go has
to be refused, or all wait longer and longer until nobody is answered in time. A burst is no such
flood: it is let in, up to a bound, and gone in a moment. So the gate closes once there has been a
queue for most of a second without a break, and then lets in what the next commits can take: as many
as keep a commit about as short as it is when there is nothing to do.
"""

from collections.abc import Callable
from typing import Final

import structlog

from shared.contract.errors import Unavailable
from shared.runtime.clock import Clock

log: Final = structlog.get_logger()

_FEWEST: Final = 48  # submits in the queue: less would make commits small, and that makes them dear
_FIRST: Final = 64
_BURST: Final = 0.8  # seconds that a queue may last: longer than a commit waits for a lock
_CALM: Final = 1.0  # seconds without a refusal that end a flood
_LONE: Final = 4  # submits: a commit of so few tells how long one takes when there is nothing to do
_SHORTER: Final = 0.3  # of the usual time is what the newest of those says, if it took less;
_LONGER: Final = 0.02  # else it may have waited for others, or was the first on its connection
_TIMES: Final = 3  # the usual time is as long as a commit may take
_SHORT: Final = 0.012  # seconds: a commit that takes no longer is short enough anyway
_LOST: Final = 0.05  # seconds: what was let through and does not wait by then was not accepted
_LESS: Final = 0.95
_MORE: Final = 2
_COME_BACK: Final = 3  # seconds at the most, and not the same for all who are refused together


class Gate:
    """Lets submits in, or not, by how many wait in this process and how long commits take.

    *waiting* counts them, *most* bounds the largest burst.
    """

    def __init__(self, clock: Clock, waiting: Callable[[], int], *, most: int) -> None:
        self._clock, self._waiting, self._most = clock, waiting, most
        self._limit = float(min(_FIRST, most))
        self._usual: float | None = None
        self._room, self._room_at = 0, -_LOST
        self._refused = 0
        self._low_at = self._refused_at = clock.monotonic()
        self.is_flooded = False

    @property
    def limit(self) -> int:
        """How many submits may wait right now."""
        return int(self._limit) if self.is_flooded else self._most

    def check(self) -> None:
        """Raise ``Unavailable`` if one more submit would be too many."""
        if self._is_full():
            raise self.refusal()

    def refusal(self) -> Unavailable:
        """Say to one submit that it is too many."""
        self._refused_at = self._clock.monotonic()
        self._refused += 1
        return Unavailable(
            "More is submitted than can be stored right now.",
            retry_after=1 + self._refused % _COME_BACK,
        )

    def turns_away(self) -> bool:
        """Tell, in a flood, whether a submit is too many that nobody has looked at yet.

        Many come in between two commits, and count as waiting only later: so those that are let
        through are counted here, and what the last commit made room for is given out once.
        """
        if not self.is_flooded:
            return False
        now, waiting = self._clock.monotonic(), self._waiting()
        if not waiting and now - self._room_at > _LOST:
            self._make_room(now)
        if waiting >= self._limit or self._room <= 0:
            return True
        self._room -= 1
        return False

    def committed(self, size: int, seconds: float) -> None:
        """Learn that a commit of *size* submits came to its end after *seconds*."""
        if size <= _LONE:
            before = seconds if self._usual is None else self._usual
            newest = _SHORTER if seconds < before else _LONGER
            self._usual = before + (seconds - before) * newest
        if not self.is_flooded:
            return
        longest = max(_SHORT, _TIMES * (self._usual or 0))
        if seconds > longest:
            self._limit = max(min(_FEWEST, self._most), self._limit * _LESS)
        else:
            self._limit = min(self._most, self._limit + _MORE)
        self._make_room(self._clock.monotonic())

    def _make_room(self, now: float) -> None:
        self._room, self._room_at = self.limit - self._waiting(), now

    def _is_full(self) -> bool:
        now, waiting = self._clock.monotonic(), self._waiting()
        if waiting < self._limit:
            self._low_at = now
            if self.is_flooded and now - self._refused_at > _CALM:
                self.is_flooded = False
                log.info("flood over", refused=self._refused)
            return False
        if self.is_flooded:
            return True
        if now - self._low_at > _BURST:
            self.is_flooded, self._refused = True, 0
            log.warning("flood: submits are refused", waiting=waiting, limit=self.limit)
            return True
        return waiting >= self._most
