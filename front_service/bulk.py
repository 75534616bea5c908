"""Do one thing to many jobs: in slices, for a bounded time; to ask again is harmless."""

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Final, Protocol

import structlog

from front_service.control import Changes, Sends, Tells
from front_service.lookup import read_cursor, write_cursor
from shared.contract.errors import NotUnique, Unavailable
from shared.contract.events import News, encode_news
from shared.contract.ids import BatchId, JobId, TenantId
from shared.contract.operating import Action, BulkAnswer, BulkFilter, BulkRequest, BulkSample
from shared.contract.states import MOVES, STATUS, Move, State
from shared.contract.status import links
from shared.runtime.clock import Clock
from shared.store.intake import Changed
from shared.store.operating import Picked
from shared.store.pool import Busy
from shared.store.reads import Filters

log: Final = structlog.get_logger()

_SLICE: Final = 100  # jobs
_AT_ONCE: Final = 3  # jobs of a front that are changed at the same time: submits go on beside them
_CALLS: Final = 2  # of a front at the same time
_LASTS: Final = 5.0  # seconds, after which no further slice is begun
_SAMPLE: Final = 10

_ENDED: Final = frozenset(MOVES[Move.REPLAY]) | {State.COMPLETED}
_STATES: Final[Mapping[Action, frozenset[State]]] = {
    Action.REPLAY: frozenset(MOVES[Move.REPLAY]),
    Action.CANCEL: frozenset(MOVES[Move.CANCEL]),
    Action.DELETE: _ENDED,
}


class Finds(Protocol):
    async def now(self) -> datetime:
        """As ``Operating.now``."""

    async def pick(
        self,
        tenant: TenantId,
        filters: Filters,
        *,
        as_of: datetime,
        limit: int,
        before: JobId | None = None,
    ) -> list[Picked]:
        """As ``Operating.pick``."""

    async def named(self, tenant: TenantId, job_ids: Sequence[JobId]) -> list[Picked]:
        """As ``Operating.named``."""


class ChangesMany(Changes, Protocol):
    async def delete(
        self, tenant: TenantId, job_ids: Sequence[JobId], *, ended_by: datetime
    ) -> list[JobId]:
        """As ``Intake.delete``."""


@dataclass(slots=True, kw_only=True)
class _Count:
    """What was done so far."""

    matched: int = 0
    changed: int = 0
    skipped: int = 0
    unknown: int = 0
    sample: list[Picked] = field(default_factory=list)
    place: JobId | None = None  # where to go on, if there may be more

    def note(self, lot: Sequence[Picked], changed: int) -> None:
        self.matched += len(lot)
        self.changed += changed
        self.sample += lot[: _SAMPLE - len(self.sample)]


class Bulk:
    def __init__(
        self, *, finds: Finds, intake: ChangesMany, post: Sends, fan_out: Tells, clock: Clock
    ) -> None:
        self._finds, self._intake, self._clock = finds, intake, clock
        self._post, self._fan_out = post, fan_out
        self._calls = asyncio.Semaphore(_CALLS)
        self._hands = asyncio.Semaphore(_AT_ONCE)

    async def do(self, tenant: TenantId, wish: BulkRequest) -> BulkAnswer:
        """Do what *wish* says to the tenant's own jobs, as far as that goes in some seconds.

        Raises ``Malformed`` for a cursor that is none, ``TooLong``, ``Unavailable``.
        """
        async with self._turn():
            as_of = min(wish.as_of or datetime.max.replace(tzinfo=UTC), await self._finds.now())
            count = _Count()
            if wish.ids is not None:
                await self._do_to_ids(tenant, wish, as_of, count)
            else:
                await self._do_to_all(tenant, wish, as_of, count)
        log.info(
            "jobs changed in bulk",
            action=wish.action,
            dry_run=wish.dry_run,
            matched=count.matched,
            changed=count.changed,
        )
        return _answer(wish, as_of, count)

    @asynccontextmanager
    async def _turn(self) -> AsyncIterator[None]:
        if self._calls.locked():
            raise Unavailable("Too many bulk changes are under way", retry_after=5)
        async with self._calls:
            yield

    async def _do_to_ids(
        self, tenant: TenantId, wish: BulkRequest, as_of: datetime, count: _Count
    ) -> None:
        ids = list(dict.fromkeys(JobId(one) for one in wish.ids or ()))
        found = await self._finds.named(tenant, ids)
        fit = [job for job in found if job.state in _STATES[wish.action]]
        count.unknown, count.skipped = len(ids) - len(found), len(found) - len(fit)
        for start in range(0, len(fit), _SLICE):  # at most a thousand: to the end
            await self._do_to(tenant, wish, as_of, fit[start : start + _SLICE], count)

    async def _do_to_all(
        self, tenant: TenantId, wish: BulkRequest, as_of: datetime, count: _Count
    ) -> None:
        filters = _filters(wish.filter or BulkFilter(), _STATES[wish.action])
        count.place = None if wish.cursor is None else read_cursor(wish.cursor)
        until = self._clock.monotonic() + _LASTS
        while filters.states:
            lot = await self._finds.pick(
                tenant, filters, as_of=as_of, limit=_SLICE, before=count.place
            )
            await self._do_to(tenant, wish, as_of, lot, count)
            if len(lot) < _SLICE:
                break
            count.place = lot[-1].id
            if self._clock.monotonic() >= until:
                return
        count.place = None

    async def _do_to(
        self,
        tenant: TenantId,
        wish: BulkRequest,
        as_of: datetime,
        lot: Sequence[Picked],
        count: _Count,
    ) -> None:
        """Do it to one slice. What was changed meanwhile by somebody else is skipped."""
        changed = 0
        if lot and not wish.dry_run:
            changed = await self._change(tenant, wish.action, as_of, [job.id for job in lot])
            count.skipped += len(lot) - changed
        count.note(lot, changed)

    async def _change(
        self, tenant: TenantId, action: Action, as_of: datetime, ids: Sequence[JobId]
    ) -> int:
        if action is Action.DELETE:
            async with self._hands:
                return len(await self._intake.delete(tenant, ids, ended_by=as_of))
        changes = await asyncio.gather(*(self._move(tenant, action, as_of, one) for one in ids))
        moved = [change for change in changes if change is not None]
        self._tell(moved)
        return len(moved)

    async def _move(
        self, tenant: TenantId, action: Action, as_of: datetime, job_id: JobId
    ) -> Changed | None:
        async with self._hands:
            try:
                if action is Action.CANCEL:
                    return await self._intake.cancel(tenant, job_id)
                return await self._intake.replay(tenant, job_id, ended_by=as_of)
            except (NotUnique, Busy):  # another job has its key; or somebody is at this one
                return None

    def _tell(self, moved: Sequence[Changed]) -> None:
        news: list[News] = []
        for change in moved:
            self._post.send(change.rows)
            news += [change.news, *change.others]
        if news:
            self._fan_out.offer(encode_news(news))


def _filters(wish: BulkFilter, states: frozenset[State]) -> Filters:
    """Leave of what is asked for the states to which the action can be done."""
    wanted = [
        state
        for state in State
        if state in states and wish.state in (None, state) and wish.status in (None, STATUS[state])
    ]
    return Filters(
        states=wanted,
        type=wish.type,
        ordering_key=wish.ordering_key,
        tag=wish.tag,
        created_after=wish.created_after,
        created_before=wish.created_before,
        batch=None if wish.batch is None else BatchId(wish.batch),
    )


def _answer(wish: BulkRequest, as_of: datetime, count: _Count) -> BulkAnswer:
    return BulkAnswer(
        action=wish.action,
        dry_run=wish.dry_run,
        as_of=as_of,
        matched=count.matched,
        changed=count.changed,
        skipped=count.skipped,
        unknown=count.unknown,
        sample=tuple(_sample(job) for job in count.sample),
        is_complete=count.place is None,
        next_cursor=None if count.place is None else write_cursor(count.place),
    )


def _sample(job: Picked) -> BulkSample:
    return BulkSample(
        job_id=job.id,
        type=job.type,
        status=STATUS[job.state],
        status_url=links(job.type, str(job.id))["self"],
    )
