"""What operators ask, of a store in memory."""

from collections import Counter
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

from shared.contract.ids import JobId, TenantId
from shared.contract.states import State
from shared.store.operating import Picked, Tally, Worker
from shared.store.reads import Filters
from tests.front.memory import MemoryStore, fits


class MemoryOperating:
    """Finds and counts; *workers* are those that live."""

    def __init__(self, store: MemoryStore) -> None:
        self._store = store
        self.workers_: list[Worker] = []
        self.counted = 0

    async def now(self) -> datetime:
        return datetime.now(UTC) + timedelta(seconds=1)  # later than whatever was stored

    async def pick(
        self,
        tenant: TenantId,
        filters: Filters,
        *,
        as_of: datetime,
        limit: int,
        before: JobId | None = None,
    ) -> list[Picked]:
        views = sorted(self._store.views.values(), key=lambda view: view.id, reverse=True)
        return [
            Picked(view.id, view.type, view.state)
            for view in views
            if view.tenant == tenant
            and fits(view, filters)
            and (view.completed_at or view.created_at) <= as_of
            and (before is None or view.id < before)
        ][:limit]

    async def named(self, tenant: TenantId, job_ids: Sequence[JobId]) -> list[Picked]:
        views = [self._store.views[i] for i in job_ids if i in self._store.views]
        return [Picked(v.id, v.type, v.state) for v in views if v.tenant == tenant]

    async def tallies(self) -> list[Tally]:
        self._store._answer()
        self.counted += 1
        live = [view for view in self._store.views.values() if not view.has_ended]
        waiting = (State.SCHEDULED, State.QUEUED, State.RETRYING)
        of_types = Counter((v.tenant, v.type, v.state, None) for v in live)
        of_keys = Counter((v.tenant, None, None, v.ordering_key) for v in live if v.ordering_key)
        return [
            Tally(
                tenant=tenant,
                type=name,
                pool=None if name is None else "default",
                state=state,
                key=key,
                jobs=jobs,
                waiting=jobs if state in (None, *waiting) else 0,
                oldest=min(v.created_at for v in live if key in (None, v.ordering_key)),
            )
            for (tenant, name, state, key), jobs in (of_types | of_keys).items()
        ]

    async def workers(self) -> list[Worker]:
        return self.workers_
