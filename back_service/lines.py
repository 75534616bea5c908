"""Take from the lines of tenants, in the store, while several of them want the same slots.

The queue of the broker is one line for all: who comes after somebody's hundred thousand jobs would
wait for all of them. So a worker whose slots are full looks now and then whether a second tenant
is about. If so, it chooses by turns what to run, whichever job a knock names, and of the knocks
it lets go one for each job that it claimed: they bear the same number of jobs, and in the end both
are through. That lasts until nothing waits. A worker that sees one tenant only does all as ever.
"""

import asyncio
from collections.abc import Callable, Collection, Mapping
from datetime import datetime, timedelta
from typing import Final, Protocol

import structlog

from back_service.knocks import Picked
from back_service.turns import Turns
from shared.contract.errors import Unavailable
from shared.contract.ids import JobId, TenantId
from shared.runtime.clock import Clock
from shared.store.lines import FROM_THE_START, Line, Place
from shared.store.pool import Rejected

log = structlog.get_logger()

_SCOUT: Final = 0.1  # seconds between two looks for a second tenant, while all slots are full
_TICK: Final = 0.03  # seconds between two looks at the lines, while there is one
_LASTING: Final = 30.0  # seconds for which a tenant is about after it was seen
_REMEMBERED: Final = 600.0  # seconds for which a tenant that was seen is looked for
_MOST_TENANTS: Final = 64  # of one look: those that were seen last
_LATE: Final = timedelta(seconds=5)  # how long a job may take from its knock to being seen


class ReadsLines(Protocol):
    async def newest(self) -> set[TenantId]:
        """As ``LineRows.newest``."""

    async def heads(self, since: Mapping[Place, datetime], *, most: int) -> dict[Place, Line]:
        """As ``LineRows.heads``."""


class Lines:
    """A service. *wake* is called when there is something to choose from."""

    name = "lines"

    def __init__(
        self,
        rows: ReadsLines,
        routes: Collection[str],
        clock: Clock,
        *,
        slots: int,
        wake: Callable[[], None],
        dice: Callable[[], float],
    ) -> None:
        self._rows, self._clock, self._wake, self._dice = rows, clock, wake, dice
        self._routes = {route: (route.split(".")[1], route.split(".")[2]) for route in routes}
        self._turns = Turns(routes, slots=slots)
        self._most = max(32, 2 * slots)
        self._seen: dict[TenantId, float] = {}
        self._since: dict[Place, datetime] = {}
        self._scouted_at = float("-inf")
        self.is_on = False
        self.is_full = False  # set by the consumer: it could use no further job

    def pick(self, free: int, *, only_high: bool = False) -> Picked:
        """Choose up to *free* jobs by turns."""
        return self._turns.pick(free, only_high=only_high)

    def started(self, tenant: TenantId) -> None:
        self._turns.started(tenant)
        self._seen[tenant] = self._clock.monotonic()

    def ended(self, tenant: TenantId) -> None:
        self._turns.ended(tenant)

    def lets_go_on(self, tenant: TenantId) -> bool:
        """Whether a lane of *tenant* may keep its slot for the next job of its key."""
        return not (self.is_on and self._turns.wants(tenant))

    async def run(self) -> None:
        while True:
            await asyncio.sleep(_TICK if self.is_on else _SCOUT)
            if self.is_on or self.is_full:
                await self.look()

    async def look(self) -> None:
        """See who is about, and if there are several, what waits for each."""
        try:
            await self._scout()
            if self.is_on or len(self._seen) > 1:
                await self._read()
        except (Unavailable, Rejected) as error:
            log.warning("lines not read", why=str(error))
            self._turns.set({})
            self.is_on = False  # the knocks are there still

    async def _scout(self) -> None:
        now = self._clock.monotonic()
        if now - self._scouted_at < _SCOUT:
            return
        self._scouted_at = now
        self._seen |= dict.fromkeys(await self._rows.newest(), now)
        for tenant, at in list(self._seen.items()):
            if now - at > _REMEMBERED and not self._turns.running[tenant]:
                self._forget(tenant)

    async def _read(self) -> None:
        last = sorted(self._seen, key=self._seen.__getitem__)[-_MOST_TENANTS:]
        since = {
            (tenant, *where): self._since.get((tenant, *where), FROM_THE_START)
            for tenant in last
            for where in self._routes.values()
        }
        found = await self._rows.heads(since, most=self._most)
        for place, line in found.items():
            self._since[place] = (line.oldest or line.now) - _LATE
        self._judge({tenant for (tenant, _, _), line in found.items() if line.jobs})
        self._turns.set(self._waiting(found) if self.is_on else {})
        if self.is_on:
            self._wake()

    def _judge(self, waiting: set[TenantId]) -> None:
        """Say whether tenants have to share, and whether one of them may have all."""
        now, was_on = self._clock.monotonic(), self.is_on
        self._seen |= dict.fromkeys(waiting, now)
        self._turns.others_are_about = sum(now - at < _LASTING for at in self._seen.values()) > 1
        self.is_on = bool(waiting) and (was_on or self._turns.others_are_about)
        if self.is_on is not was_on:
            log.info("tenants take turns" if self.is_on else "no tenant waits any more")

    def _waiting(
        self, found: Mapping[Place, Line]
    ) -> dict[str, dict[TenantId, list[tuple[JobId, bool]]]]:
        """Sort what was found by route and tenant, in an order of our own.

        Other workers see the same heads: if all began with the first, all but one would lose.
        """
        waiting: dict[str, dict[TenantId, list[tuple[JobId, bool]]]] = {}
        for route, where in self._routes.items():
            for tenant in self._seen:
                line = found.get((tenant, *where))
                if line is not None and line.jobs:
                    start = int(self._dice() * min(len(line.jobs), self._most // 2))
                    jobs = [*line.jobs[start:], *line.jobs[:start]]
                    waiting.setdefault(route, {})[tenant] = jobs
        return waiting

    def _forget(self, tenant: TenantId) -> None:
        del self._seen[tenant]
        for place in [place for place in self._since if place[0] == tenant]:
            del self._since[place]
