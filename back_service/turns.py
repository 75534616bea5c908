"""Whose turn it is, when several tenants want the same slots. No I/O.

Between priorities by their shares, as ever; between tenants whoever has the fewest running. And
nobody has all: as long as others are about, a part of the slots is kept free of the greatest.
"""

from collections import Counter, deque
from collections.abc import Collection, Mapping, Sequence
from typing import Final

from back_service.knocks import Picked
from back_service.shares import Shares, is_high
from shared.contract.ids import JobId, TenantId

_KEPT: Final = 4  # of so many slots, one is kept for the others

Waiting = Mapping[str, Mapping[TenantId, Sequence[tuple[JobId, bool]]]]
"""By route and tenant, the jobs that wait: their ids, and whether each has an ordering key."""


class Turns:
    def __init__(self, routes: Collection[str], *, slots: int) -> None:
        self._slots = slots
        self._shares = Shares(routes)
        self._waiting: dict[str, dict[TenantId, deque[tuple[JobId, bool]]]] = {}
        self.running: Counter[TenantId] = Counter()
        self.others_are_about = False

    @property
    def most(self) -> int:
        """How many slots one tenant may have now."""
        kept = max(1, self._slots // _KEPT) if self._slots > 1 else 0
        return self._slots - kept if self.others_are_about else self._slots

    def set(self, waiting: Waiting) -> None:
        """Take a new view of what waits, instead of the one before."""
        self._waiting = {
            route: {tenant: deque(jobs) for tenant, jobs in tenants.items() if jobs}
            for route, tenants in waiting.items()
        }

    def started(self, tenant: TenantId) -> None:
        self.running[tenant] += 1

    def ended(self, tenant: TenantId) -> None:
        self.running[tenant] -= 1
        if self.running[tenant] <= 0:
            del self.running[tenant]

    def wants(self, tenant: TenantId) -> bool:
        """Whether a tenant other than this one waits, with fewer slots: a lane has to end then."""
        have = self.running[tenant]
        return any(
            other != tenant and self.running[other] < have
            for tenants in self._waiting.values()
            for other in tenants
        )

    def pick(self, free: int, *, only_high: bool = False) -> Picked:
        """Choose up to *free* of the jobs that wait."""
        picked, chosen = Picked(), Counter[TenantId]()
        while len(picked.job_ids) < free:
            routes = [
                route
                for route in self._waiting
                if (is_high(route) or not only_high) and self._next(route, chosen) is not None
            ]
            if not routes:
                break
            self._draw(self._shares.next(routes), picked, chosen)
        return picked

    def _next(self, route: str, chosen: Counter[TenantId]) -> TenantId | None:
        """Say who is next on a route: of those who may have a slot, who has the fewest."""
        held = {one: self.running[one] + chosen[one] for one in self._waiting[route]}
        may = [one for one, count in held.items() if count < self.most]
        return min(may, key=held.__getitem__, default=None)

    def _draw(self, route: str, picked: Picked, chosen: Counter[TenantId]) -> None:
        tenant = self._next(route, chosen)
        if tenant is None:
            return
        jobs = self._waiting[route][tenant]
        job_id, keyed = jobs.popleft()
        picked.job_ids.append(job_id)
        picked.keyed |= keyed
        chosen[tenant] += 1
        # a tenant that was served goes to the end: of those with equally few it is the last now
        del self._waiting[route][tenant]
        if jobs:
            self._waiting[route][tenant] = jobs
