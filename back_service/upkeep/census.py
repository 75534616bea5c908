"""Show what waits where: the part of ``/metrics`` that is about the house, not about a process.

Every process with the role of upkeep counts for itself, and says the same as the others.
"""

import asyncio
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Final, Protocol

import structlog

from shared.contract.errors import Unavailable
from shared.runtime.clock import Clock
from shared.runtime.metrics import BackMetrics
from shared.store.census import Census, Group
from shared.store.operating import Worker
from shared.store.pool import Rejected

log = structlog.get_logger()

_EVERY: Final = 5.0  # seconds
_SHARE: Final = 20  # counting rests twenty times as long as it took
_STALE: Final = 120.0  # seconds, after which old figures are no answer
_NO_WORKER: Final = "no_worker"

Figures = Mapping[tuple[str, ...], float]


class TakesCensus(Protocol):
    async def census(self) -> Census:
        """As ``Counts.census``."""


class CensusTaker:
    """A service. What it could not count for two minutes is shown no more."""

    name = "census"

    def __init__(self, counts: TakesCensus, metrics: BackMetrics, clock: Clock) -> None:
        self._counts, self._clock = counts, clock
        self._latest: Census | None = None
        self._counted_at = float("-inf")
        metrics.family(
            "uketsuke_jobs",
            "Live jobs, by what they wait for: see [why a job is not running]"
            "(topics/why_not_running.md)",
            ("pool", "state"),
            self._of(lambda census: jobs(census.groups, census.workers)),
        )
        metrics.family(
            "uketsuke_late_seconds",
            "For how long the oldest of them could have gone on: since its knock, its time, the "
            "end of its lease; behind a head, since it was accepted; 0 = it is not late",
            ("pool", "state"),
            self._of(lambda census: lateness(census.groups, census.workers)),
        )
        metrics.family(
            "uketsuke_workers", "Workers that live", ("pool",), self._of(lambda c: alive(c.workers))
        )
        metrics.family(
            "uketsuke_lane_depth",
            "Live jobs of the ordering key that has most",
            (),
            self._of(lambda census: {(): census.longest_line}),
        )
        metrics.family(
            "uketsuke_keys_held",
            "Ordering keys that stand still behind a failed job until somebody decides",
            (),
            self._of(lambda census: {(): census.keys_held}),
        )
        metrics.family(
            "uketsuke_outbox_rows",
            "Knocks that the broker has not confirmed yet",
            (),
            self._of(lambda census: {(): census.outbox_rows}),
        )
        metrics.family(
            "uketsuke_outbox_oldest_seconds",
            "For how long the oldest of them has waited",
            (),
            self._of(lambda census: {(): census.outbox_late}),
        )

    async def run(self) -> None:
        while True:
            began = self._clock.monotonic()
            await self.count()
            took = self._clock.monotonic() - began
            await asyncio.sleep(max(_EVERY, _SHARE * took))

    async def count(self) -> None:
        """Count anew; if that fails, the figures of before are good for a while."""
        try:
            self._latest = await self._counts.census()
        except (Unavailable, Rejected) as error:
            log.warning("census put off", why=str(error))
        else:
            self._counted_at = self._clock.monotonic()

    def _of(self, read: Callable[[Census], Figures]) -> Callable[[], Figures]:
        def figures() -> Figures:
            is_stale = self._clock.monotonic() - self._counted_at > _STALE
            return {} if self._latest is None or is_stale else read(self._latest)

        return figures


def jobs(groups: Sequence[Group], workers: Sequence[Worker]) -> Figures:
    """Count the jobs of each pool by what they wait for."""
    found: Counter[tuple[str, ...]] = Counter()
    for group in groups:
        found[group.pool, _state(group, workers)] += group.jobs
    return found


def lateness(groups: Sequence[Group], workers: Sequence[Worker]) -> Figures:
    """Say how late the oldest is of each pool and state."""
    found: dict[tuple[str, ...], float] = {}
    for group in groups:
        place = group.pool, _state(group, workers)
        found[place] = max(found.get(place, 0.0), group.late)
    return found


def alive(workers: Sequence[Worker]) -> Figures:
    """Count the workers of each pool."""
    return Counter((pool,) for worker in workers for pool in worker.pools)


def _state(group: Group, workers: Sequence[Worker]) -> str:
    """Say what a group waits for: a free worker, or one that is not there at all."""
    if group.waits != "ready" or any(_is_able(worker, group) for worker in workers):
        return group.waits
    return _NO_WORKER


def _is_able(worker: Worker, group: Group) -> bool:
    can = worker.types - worker.lacking
    return group.pool in worker.pools and group.type in can
