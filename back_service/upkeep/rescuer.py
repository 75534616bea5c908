"""Recover jobs whose worker is gone, and knocks that nobody heard.

After a start and after every outage of the database it waits one lease: workers that are alive
renew first, and nobody's work is done twice for nothing.
"""

from datetime import timedelta
from functools import partial
from typing import Final

import structlog

from back_service.telling import Teller
from back_service.upkeep.round import Round, announce
from shared.broker.subscriber import Subscriber
from shared.contract.errors import Unavailable
from shared.runtime.clock import Clock
from shared.runtime.metrics import BackMetrics
from shared.store.outbox import Outbox
from shared.store.upkeep import AT_ONCE, UpkeepStore

log = structlog.get_logger()

_UNHEARD: Final = timedelta(seconds=5)


class LostLeases:
    """Decides when leases may be judged, and judges them."""

    def __init__(
        self,
        store: UpkeepStore,
        teller: Teller,
        *,
        lease: timedelta,
        clock: Clock,
        metrics: BackMetrics,
    ) -> None:
        self._store, self._teller, self._clock = store, teller, clock
        self._count = partial(metrics.tended, "lease")
        self._lease = lease.total_seconds()
        self._not_before = clock.monotonic() + self._lease

    async def work(self) -> int:
        if self._clock.monotonic() < self._not_before:
            return 0
        try:
            tended = await self._store.rescue()
        except Unavailable:
            self._not_before = self._clock.monotonic() + self._lease
            raise
        return announce(self._teller, tended, "job rescued", self._count)


class LostKnocks:
    """Knocks again for what the broker has lost, never for what only waits its turn.

    And for what was heard by nobody who could run it: a worker lets go of jobs whose type it does
    not know, and of knocks that are newer than itself. A few seconds pass between two knocks for
    one job, so that they find their worker, and those that there is none for do not spin.
    """

    def __init__(
        self,
        store: UpkeepStore,
        teller: Teller,
        outbox: Outbox,
        subscriber: Subscriber,
        metrics: BackMetrics,
    ) -> None:
        self._store, self._teller, self._outbox = store, teller, outbox
        self._subscriber, self._metrics = subscriber, metrics

    async def work(self) -> int:
        return sum([await self._listen(route) for route in self._subscriber.waiting])

    async def _listen(self, route: str) -> int:
        ready = self._subscriber.depth(route)
        if ready is None or self._subscriber.waiting[route] or await self._outbox.is_late(route):
            return 0
        _, pool, priority = route.split(".")
        rows = await self._store.unheard(pool, priority, is_empty=ready == 0, older=_UNHEARD)
        self._teller.tell(rows=rows)
        found = sum(len(row.job_ids) for row in rows)
        if found:
            self._metrics.unheard(found)
            log.warning("knocked again for unheard jobs", route=route, jobs=found)
        return found


def rescuer_of_leases(leases: LostLeases) -> Round:
    return Round(name="rescuer of leases", work=leases.work, every=1.0, full=AT_ONCE)


def rescuer_of_knocks(knocks: LostKnocks) -> Round:
    return Round(name="rescuer of knocks", work=knocks.work, every=2.0, full=AT_ONCE)
