"""A store in memory with the verbs that the front service asks of the real one."""

import os
import time
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

from shared.contract.access import EVERYTHING, Scope, digest_of, tenant_id, write_key
from shared.contract.authoring import Blob
from shared.contract.errors import (
    Gone,
    IdempotencyMismatch,
    Invalid,
    NotUnique,
    Unavailable,
    UnknownBlob,
    UnknownJob,
)
from shared.contract.events import ACCEPTED, JobEvent, News, encode_news
from shared.contract.ids import BlobId, JobId, TenantId
from shared.contract.jobs import Accepted, JobView, OnConflict, Submission
from shared.contract.states import ENDINGS, MOVES, Move, State
from shared.contract.status import MOST_INLINE, links
from shared.store.access import LiveKey
from shared.store.batches import Admitted
from shared.store.intake import Changed
from shared.store.quotas import Grant, Limits, Wish
from shared.store.reads import Filters
from shared.store.rows import InLine, OutboxRow

_LATER = datetime.max.replace(tzinfo=UTC)


class MemoryStore:
    """Jobs, their events and blobs; *is_away* makes every question fail."""

    def __init__(self) -> None:
        self.views: dict[JobId, JobView] = {}
        self.events: dict[JobId, list[JobEvent]] = {}
        self.submissions: dict[JobId, Submission] = {}
        self.tombstones: set[tuple[TenantId, JobId]] = set()
        self.blobs: dict[BlobId, Blob] = {}
        self.owners: dict[BlobId, TenantId] = {}
        self.keys: dict[tuple[TenantId, str, str], tuple[bytes, JobId]] = {}
        self.names: dict[tuple[TenantId, str, str], JobId] = {}
        self.released: set[JobId] = set()
        self.is_away = self.line_is_away = False
        self.questions = self.lines = self.waiting = 0
        self.after_history: Callable[[], None] = lambda: None
        self._ticks = 0

    async def admit(self, submission: Submission) -> Admitted:
        self._answer()
        for blob_id in submission.blobs:
            if self.owners.get(blob_id) != submission.tenant:
                raise Invalid([{"pointer": "", "detail": f"there is no blob {blob_id}"}])
        if (name := submission.idempotency) is not None:
            key = (submission.tenant, name.caller, name.key)
            fingerprint, known = self.keys.setdefault(key, (name.fingerprint, submission.id))
            if fingerprint != name.fingerprint:
                raise IdempotencyMismatch
            if known != submission.id:
                at = self.views[known].created_at
                return Admitted(accepted=Accepted(job_id=known, at=at, replayed=True))
        if (answer := self._unique(submission)) is not None:
            return answer
        view = _view(submission, self._now())
        self.submissions[view.id] = submission
        self.views[view.id] = view
        self.events[view.id] = [_event(view, ACCEPTED)]
        row = _row(view)
        is_due = view.state is State.QUEUED
        accepted = Accepted(job_id=view.id, at=view.created_at)
        return Admitted(accepted=accepted, row=row if is_due else None)

    def _unique(self, submission: Submission) -> Admitted | None:
        """Know unique keys that are held while their job lives."""
        if (wish := submission.unique) is None:
            return None
        name = (submission.tenant, submission.type, wish.key)
        holder = self.views.get(self.names.get(name, submission.id))
        if holder is None or holder.has_ended or wish.on_conflict is OnConflict.REPLACE:
            self.names[name] = submission.id
            return None
        if wish.on_conflict is OnConflict.REJECT:
            where = links(holder.type, str(holder.id))
            raise NotUnique("held", job_id=str(holder.id), links=where)
        at = holder.created_at
        return Admitted(accepted=Accepted(job_id=holder.id, at=at, existing=True))

    async def cancel(self, tenant: TenantId, job_id: JobId) -> Changed | None:
        self._answer()
        view = self.views.get(job_id)
        if view is None or view.tenant != tenant or view.state not in MOVES[Move.CANCEL]:
            return None
        moved = self.move(job_id, MOVES[Move.CANCEL][view.state])
        return Changed(state=moved.state, news=News(job_id, moved.sequence), rows=())

    async def replay(
        self, tenant: TenantId, job_id: JobId, *, ended_by: datetime | None = None
    ) -> Changed | None:
        self._answer()
        view = self.views.get(job_id)
        if view is None or view.tenant != tenant or view.state not in MOVES[Move.REPLAY]:
            return None
        if ended_by is not None and (view.completed_at or ended_by) > ended_by:
            return None
        fresh = replace(view, replays=view.replays + 1, attempt=0, started_at=None, progress=0)
        self.views[job_id] = replace(fresh, error=None, error_code=None, message=None)
        moved = self.move(job_id, State.QUEUED)
        return Changed(state=moved.state, news=News(job_id, moved.sequence), rows=(_row(moved),))

    async def delete(
        self, tenant: TenantId, job_ids: Sequence[JobId], *, ended_by: datetime
    ) -> list[JobId]:
        self._answer()
        views = [self.views[job_id] for job_id in job_ids if job_id in self.views]
        mine = [view for view in views if view.tenant == tenant]
        over = [view.id for view in mine if (view.completed_at or _LATER) <= ended_by]
        for job_id in over:
            self.forget(job_id)
        return over

    async def release(self, tenant: TenantId, job_id: JobId) -> Sequence[OutboxRow] | None:
        """Take every failed job with a key for one that holds it, once."""
        self._answer()
        view = self.views.get(job_id)
        is_held = view is not None and view.state is State.FAILED and view.ordering_key is not None
        if view is None or view.tenant != tenant or not is_held or job_id in self.released:
            return None
        self.released.add(job_id)
        return (_row(view),)

    async def job(self, tenant: TenantId, job_id: JobId, *, whole: bool = False) -> JobView:
        self._answer()
        view = self.views.get(job_id)
        if view is not None and view.tenant == tenant:
            too_large = not whole and len(view.result or b"") > MOST_INLINE
            return replace(view, result=None) if too_large else view
        raise Gone if (tenant, job_id) in self.tombstones else UnknownJob

    async def history(
        self, wanted: Mapping[tuple[TenantId, JobId], int]
    ) -> dict[JobId, tuple[JobView, list[JobEvent]]]:
        self._answer()
        found = {
            job_id: (view, [e for e in self.events[job_id] if e.sequence > after])
            for (tenant, job_id), after in wanted.items()
            if (view := self.views.get(job_id)) is not None and view.tenant == tenant
        }
        self.after_history()
        return found

    async def jobs(
        self, tenant: TenantId, filters: Filters, *, limit: int, before: JobId | None = None
    ) -> list[JobView]:
        self._answer()
        newest = sorted(self.views.values(), key=lambda view: view.id, reverse=True)
        fitting = [v for v in newest if v.tenant == tenant and fits(v, filters)]
        if filters.batch is not None:
            fitting = [v for v in fitting if self.submissions[v.id].batch == filters.batch]
        return [v for v in fitting if before is None or v.id < before][:limit]

    async def line(self, pool: str, most: int) -> list[InLine]:
        """Take every job of a queue for one of *pool*, and that without a key or at its head."""
        self._answer()
        if self.line_is_away:
            raise Unavailable
        self.lines += 1
        queued = [v for v in self.views.values() if v.state is State.QUEUED]
        return [
            InLine(id=v.id, tenant=v.tenant, type=v.type, priority=v.priority)
            for v in queued
            if self.submissions[v.id].pool == pool and not self._ahead(v)
        ][:most]

    async def before(self, tenant: TenantId, job_id: JobId, most: int) -> list[tuple[str, State]]:
        self._answer()
        view = self.views[job_id]
        ahead = self._ahead(view) if view.tenant == tenant else []
        return [(v.type, v.state) for v in ahead][:most]

    def _ahead(self, view: JobView) -> list[JobView]:
        """List the live jobs of the same key that were accepted before."""
        earlier = (v for v in self.views.values() if v.id < view.id and not v.has_ended)
        return [v for v in earlier if view.ordering_key and v.ordering_key == view.ordering_key]

    async def add(self, tenant: TenantId, blob: Blob) -> None:
        self._answer()
        self.blobs[blob.id], self.owners[blob.id] = blob, tenant

    async def get(self, tenant: TenantId, blob_id: BlobId) -> Blob:
        self._answer()
        if self.owners.get(blob_id) != tenant:
            raise UnknownBlob
        return self.blobs[blob_id]

    def move(self, job_id: JobId, state: State, **values: object) -> JobView:
        """Do what a worker does: bring a job to *state*, with an event."""
        view, now = self.views[job_id], self._now()
        moved = replace(
            view,
            state=state,
            sequence=view.sequence + 1,
            attempt=view.attempt + (state is State.RUNNING),
            updated_at=now,
            started_at=now if state is State.RUNNING else view.started_at,
            completed_at=now if state in ENDINGS else None,
            **values,  # type: ignore[arg-type]  # whatever fields the test wants changed
        )
        self.views[job_id] = moved
        self.events[job_id].append(_event(moved, state))
        return moved

    def progress(self, job_id: JobId, percent: int, message: str | None = None) -> JobView:
        """Do what a worker does: say how far it is, without an event."""
        view = self.views[job_id]
        self.views[job_id] = replace(
            view, progress=percent, message=message, updated_at=self._now()
        )
        return self.views[job_id]

    def news(self, *job_ids: JobId) -> bytes:
        """Write the message that tells of the present state of *job_ids*."""
        return encode_news([News(job_id, self.views[job_id].sequence) for job_id in job_ids])

    def age(self, job_id: JobId, *, days: int) -> None:
        """Let a job have been accepted some days earlier."""
        view = self.views[job_id]
        self.views[job_id] = replace(view, created_at=view.created_at - timedelta(days=days))

    def forget(self, job_id: JobId) -> None:
        """Do what the sweeper does."""
        self.tombstones.add((self.views.pop(job_id).tenant, job_id))

    def _answer(self) -> None:
        self.questions += 1
        if self.is_away:
            raise Unavailable("The database does not answer", retry_after=1)

    def _now(self) -> datetime:
        """Never the same moment twice, as in a database with microseconds."""
        self._ticks += 1
        return datetime.now(UTC) + timedelta(microseconds=self._ticks)


class MemoryKeys:
    """API keys in memory; *is_away* makes every question fail."""

    def __init__(self) -> None:
        self.by_digest: dict[bytes, LiveKey] = {}
        self.was_any = False
        self.is_away = False
        self.questions = 0
        self.noted: list[UUID] = []

    def make(self, tenant: str, *scopes: Scope, name: str = "app") -> str:
        """Make a key as an administrator does, with all scopes if none is named."""
        shown = write_key(os.urandom(32))
        digest = digest_of(shown)
        assert digest is not None
        self.by_digest[digest] = LiveKey(
            id=uuid4(),
            digest=digest,
            tenant=tenant_id(tenant),
            name=name,
            scopes=frozenset(scopes) or EVERYTHING,
        )
        self.was_any = True
        return shown

    def end(self, shown: str) -> None:
        """Revoke a key."""
        digest = digest_of(shown)
        assert digest is not None
        del self.by_digest[digest]

    async def live(self, digests: Collection[bytes]) -> list[LiveKey]:
        self._answer()
        return [self.by_digest[one] for one in digests if one in self.by_digest]

    async def is_any(self) -> bool:
        self._answer()
        return self.was_any

    async def used(self, key_ids: Collection[UUID]) -> None:
        self.noted += key_ids

    def _answer(self) -> None:
        self.questions += 1
        if self.is_away:
            raise Unavailable("The database does not answer", retry_after=1)


class MemoryQuotas:
    """Limits and rates in memory, for several replicas; *is_away* makes every question fail."""

    def __init__(self) -> None:
        self.given: dict[TenantId, Limits] = {}
        self.paid_until: dict[TenantId, float] = {}
        self.counts: dict[TenantId, int] = {}
        self.elsewhere: dict[TenantId, int] = {}
        self.now: Callable[[], float] = time.monotonic
        self.is_away = False
        self.questions = 0

    def give(self, tenant: str, **limits: Any) -> None:
        self.given[tenant_id(tenant)] = Limits(**limits)

    async def limits(self, tenants: Collection[TenantId]) -> dict[TenantId, Limits]:
        self._answer()
        return {one: self.given[one] for one in tenants if one in self.given}

    async def take(self, wishes: Sequence[Wish]) -> dict[TenantId, Grant]:
        self._answer()
        return {wish.tenant: self._grant(wish) for wish in wishes}

    def _grant(self, wish: Wish) -> Grant:
        ahead = max(0.0, self.paid_until.get(wish.tenant, 0.0) - self.now())
        granted = max(0, min(wish.want, int(wish.burst - ahead * wish.rate + 1e-6)))
        ahead += granted / wish.rate
        self.paid_until[wish.tenant] = self.now() + ahead
        return Grant(granted=granted, ahead=ahead)

    async def waiting(self, most: Mapping[TenantId, int]) -> dict[TenantId, int]:
        self._answer()
        return {tenant: min(self.counts.get(tenant, 0), top + 1) for tenant, top in most.items()}

    async def streams(self, mine: Mapping[TenantId, int]) -> dict[TenantId, int]:
        self._answer()
        return {tenant: self.elsewhere.get(tenant, 0) for tenant in mine}

    async def forget_streams(self) -> None:
        self._answer()

    def _answer(self) -> None:
        self.questions += 1
        if self.is_away:
            raise Unavailable("The database does not answer", retry_after=1)


class MemoryPost:
    """Takes knocks; *answers* says whether the broker confirms."""

    def __init__(self) -> None:
        self.sent: list[OutboxRow] = []
        self.answer: bool | Exception = True
        self.waiting = 0

    async def depth(self, most: int) -> int:
        return min(most, self.waiting)

    async def confirmed(self, row: OutboxRow) -> bool:
        self.sent.append(row)
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer

    def send(self, rows: Iterable[OutboxRow]) -> None:
        self.sent.extend(rows)


class Loudspeaker:
    """Every front replica that listens hears what one of them says."""

    def __init__(self) -> None:
        self.ears: list[Callable[[bytes], None]] = []

    def offer(self, body: bytes) -> None:
        for ear in self.ears:
            ear(body)


def _view(submission: Submission, now: datetime) -> JobView:
    is_due = submission.delay is None and submission.run_at is None
    return JobView(
        id=submission.id,
        tenant=submission.tenant,
        type=submission.type,
        state=State.QUEUED if is_due else State.SCHEDULED,
        priority=submission.priority,
        sequence=1,
        attempt=0,
        max_attempts=submission.max_attempts,
        replays=0,
        progress=0,
        message=None,
        ordering_key=submission.ordering_key,
        tags=submission.tags,
        track_id=submission.track_id,
        created_at=now,
        updated_at=now,
        started_at=None,
        completed_at=None,
        due=None if is_due else submission.run_at or now + (submission.delay or timedelta()),
        expires_at=None,
        result=None,
        error_code=None,
        error=None,
    )


def _row(view: JobView) -> OutboxRow:
    return OutboxRow(id=view.sequence, route="r", job_ids=(view.id,), keyed=False, track_ids="")


def _event(view: JobView, kind: str) -> JobEvent:
    return JobEvent(
        sequence=view.sequence,
        kind=kind,
        at=view.updated_at,
        attempt=view.attempt,
        error=view.error,
        replays=view.replays,
    )


def fits(view: JobView, filters: Filters) -> bool:
    return (
        (filters.states is None or view.state in filters.states)
        and filters.type in (None, view.type)
        and filters.ordering_key in (None, view.ordering_key)
        and (filters.tag is None or filters.tag in view.tags)
        and (filters.created_after is None or view.created_at > filters.created_after)
        and (filters.created_before is None or view.created_at < filters.created_before)
    )
