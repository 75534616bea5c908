"""Batches in memory, over a store in memory."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import replace
from datetime import datetime

from shared.contract.batches import BatchView
from shared.contract.errors import IdempotencyMismatch, UketsukeError, UnknownBatch
from shared.contract.events import News, encode_news
from shared.contract.ids import BatchId, JobId, TenantId
from shared.contract.states import State
from shared.store.batch_intake import Bundle, Torn, Written
from shared.store.batches import Admitted
from tests.front.memory import MemoryStore


class MemoryBatches:
    """The verbs of batches that the front service asks of the real store."""

    def __init__(self, store: MemoryStore) -> None:
        self._store = store
        self.views: dict[BatchId, BatchView] = {}
        self.own: dict[BatchId, list[JobId]] = {}
        self.keys: dict[tuple[TenantId, str, str], tuple[bytes, Written]] = {}

    async def admit(self, bundle: Bundle) -> Written:
        name = bundle.idempotency
        if name and (known := self.keys.get((bundle.tenant, name.caller, name.key))):
            if known[0] != name.fingerprint:
                raise IdempotencyMismatch
            return replace(known[1], replayed=True, rows=(), news=())
        outcomes: dict[JobId, Admitted | UketsukeError] = {}
        for submission in bundle.submissions:
            try:
                outcomes[submission.id] = await self._store.admit(submission)
            except UketsukeError as error:
                outcomes[submission.id] = error
        bad = {i: one for i, one in outcomes.items() if isinstance(one, UketsukeError)}
        if bad and (bundle.atomic or len(bad) == len(outcomes)):
            raise Torn(bad)
        at = self._keep(bundle, outcomes, len(bad))
        rows = [one.row for one in outcomes.values() if isinstance(one, Admitted) and one.row]
        written = Written(id=bundle.id, at=at, answer=bundle.describe(outcomes), rows=rows)
        if name:
            self.keys[bundle.tenant, name.caller, name.key] = (name.fingerprint, written)
        return written

    def _keep(
        self, bundle: Bundle, outcomes: dict[JobId, Admitted | UketsukeError], bad: int
    ) -> datetime:
        own = [i for i in outcomes if i in self._store.views]
        at = self._store.views[own[0]].created_at
        self.own[bundle.id] = own
        self.views[bundle.id] = BatchView(
            id=bundle.id,
            tenant=bundle.tenant,
            track_id=bundle.track_id,
            refused=bundle.refused + bad,
            created_at=at,
            completed_at=None,
            progress=0,
            counts={},
        )
        return at

    async def batch(self, tenant: TenantId, batch_id: BatchId) -> BatchView:
        view = self.views.get(batch_id)
        if view is None or view.tenant != tenant:
            raise UnknownBatch
        jobs = [self._store.views[job_id] for job_id in self.own[batch_id]]
        ended = [job.completed_at for job in jobs if job.completed_at is not None]
        return replace(
            view,
            counts=Counter(job.status for job in jobs),
            progress=100 * len(ended) // len(jobs),
            completed_at=max(ended) if len(ended) == len(jobs) else None,
        )

    async def states(self, tenant: TenantId, job_ids: Iterable[JobId]) -> dict[JobId, State]:
        views = [self._store.views[i] for i in job_ids if i in self._store.views]
        return {view.id: view.state for view in views if view.tenant == tenant}

    def news(self, batch_id: BatchId, sequence: int = 1) -> bytes:
        """Write the message that tells of a batch."""
        return encode_news([News(JobId(batch_id), sequence)])
