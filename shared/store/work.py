"""The back's verbs: claim, renew, finish. Whatever carries an old token changes nothing.

Claims and finishes that come together share a transaction. Trouble with the database is
``Unavailable``; the caller keeps what it holds and asks again.
"""

import asyncio
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, Final, TypeVar

import asyncpg

from shared.contract.errors import Unavailable
from shared.contract.events import News
from shared.contract.ids import BatchId, JobId
from shared.contract.jobs import Job
from shared.contract.outcomes import Verdict
from shared.contract.states import ENDINGS, Move, State, edges
from shared.store.batch_rows import closed, left_by
from shared.store.pool import Busy, Connection, Locked, Pool
from shared.store.rows import OutboxRow, job, outbox_row
from shared.store.sql import statement

DEAD_LETTER_TTL: Final = timedelta(days=7)
"""How long a failed job is kept at least, so that a person can look at it and replay it."""

MAX_CRASHES: Final = 3
"""A job that ended its worker that often is not given to another."""

_SETTLE: Final = edges(
    *(Move.COMPLETE, Move.RETRY, Move.FAIL, Move.SNOOZE, Move.INTERRUPT, Move.STOP)
)
_ENDINGS: Final = [str(state) for state in ENDINGS]
_TRIES: Final = 5

T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class Ruling:
    """A verdict on one attempt; *has_turn*: its lane may go on with the next job of its key."""

    job: Job
    verdict: Verdict
    has_turn: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Finished:
    """What a verdict did. ``state=None``: fenced, the result is thrown away."""

    state: State | None
    next: Job | None = None  # of the same key, already claimed by the same worker


@dataclass(slots=True, kw_only=True)
class Claimed:
    """What a claim brought: jobs to run, knocks to publish, news to tell."""

    jobs: list[Job] = field(default_factory=list)
    rows: list[OutboxRow] = field(default_factory=list)


@dataclass(slots=True, kw_only=True)
class Settled:
    """What a batch of verdicts brought, each answered in its place."""

    finished: list[Finished] = field(default_factory=list)
    rows: list[OutboxRow] = field(default_factory=list)
    news: list[News] = field(default_factory=list)
    batches: set[BatchId] = field(default_factory=set)  # that jobs of theirs have ended


class WorkStore:
    """The store as one worker sees it: it knows these *types*, and holds leases that long.

    *quick* may be a pool whose commits do not wait for the disk. A claim that a crash of the
    database takes back leaves the job queued, and tokens grow by chance, so that nobody else
    will ever be given the same one.

    A job that must not end one more worker is a *suspect*: only who is *alone*, with nothing else
    running in his process, may claim it, and he may claim nothing else.
    """

    def __init__(
        self,
        pool: Pool,
        *,
        types: Collection[str],
        lease: timedelta,
        confirm_wait: timedelta,
        quick: Pool | None = None,
        max_crashes: int = MAX_CRASHES,
        alone: bool = False,
    ) -> None:
        self._pool, self._quick = pool, quick or pool
        self._types, self._lease = sorted(types), lease
        self._suspect, self._alone = suspect_from(max_crashes), alone
        self._head_start = confirm_wait + timedelta(seconds=0.5)  # before the relay steps in

    async def claim(
        self, job_ids: Sequence[JobId], *, keyed: bool, later: Sequence[JobId] = ()
    ) -> Claimed:
        """Claim what may run of *job_ids*, and knock again for *later*, in one commit.

        *keyed* is the knock's own word. If it is wrong, jobs with a key are not claimed; the
        rescuer finds them.
        """
        if not keyed and not later:
            return Claimed(jobs=await self._claim(self._quick, job_ids, keyed=False))
        return await self._again(
            self._quick if not later else self._pool,
            lambda c: self._claim_and_knock(c, job_ids, later, keyed=keyed),
        )

    async def finish(self, rulings: Sequence[Ruling], *, again: bool = False) -> Settled:
        """Write verdicts; a key that is free again goes on with its next job at once.

        *again* repeats a question whose answer was lost: a verdict that was written then is no
        stale one, and the next job that was claimed with it is still its lane's.
        """
        settled = await self._finish(rulings)
        settled.news += await closed(self._pool, settled.batches)
        stale = [one for one, f in zip(rulings, settled.finished, strict=True) if f.state is None]
        return await self._recall(rulings, settled, stale) if again and stale else settled

    async def renew(self, held: Mapping[JobId, int]) -> dict[JobId, State | None]:
        """Prolong leases; a job that is not answered is lost, one that is ``cancelling`` told.

        ``None``: somebody holds its row, and its lease is what it was; it costs no other its own.
        """
        try:
            return await self._renew(held)
        except Locked:
            if len(held) == 1:
                raise
        alone = await asyncio.gather(*(self._renew_alone(*one) for one in held.items()))
        return {job_id: state for answer in alone for job_id, state in answer.items()}

    async def suspects(self, pools: Collection[str]) -> list[JobId]:
        """Find the suspect of these pools that has waited longest, if there is one."""
        rows = await self._pool.fetch(
            statement("suspects"), self._suspect, list(pools), self._types
        )
        return [row["id"] for row in rows]

    async def cancelling(self, job_ids: Sequence[JobId]) -> list[JobId]:
        """Say which of these running jobs somebody has asked to stop."""
        rows = await self._pool.fetch(statement("cancelling"), list(job_ids))
        return [row["id"] for row in rows]

    async def progress(self, told: Sequence[tuple[JobId, int, int, str]]) -> list[News]:
        """Note (job, token, percent, message) of several running jobs."""
        rows = await self._quick.fetch(statement("progress"), *map(list, zip(*told, strict=True)))
        return [News(row["id"], row["sequence"]) for row in rows]

    async def save_checkpoint(self, holder: Job, data: bytes) -> bool:
        """Keep *data* for the next attempt; ``False``: the token is stale, nothing was kept."""
        row = await self._pool.fetchrow(statement("checkpoint"), holder.id, holder.token, data)
        return row is not None

    async def note_effect(self, holder: Job, name: str, *, again: bool = False) -> bool | None:
        """Note an effect by name: ``True`` the first time, ``False`` later, ``None`` if fenced.

        *again* repeats a question whose answer was lost: a note of this very attempt is the first.
        """
        row = await self._pool.fetchrow(statement("effect"), holder.id, holder.token, name, again)
        return row["first"] if row is not None and row["may"] else None

    async def _finish(self, rulings: Sequence[Ruling]) -> Settled:
        if any(_needs_lock(ruling) for ruling in rulings):
            return await self._again(self._pool, lambda c: self._finish_in_order(c, rulings))
        done = await _settle(self._pool, rulings, in_order=False)
        return _settled(rulings, done, {}, [])

    async def _recall(
        self, rulings: Sequence[Ruling], settled: Settled, stale: Sequence[Ruling]
    ) -> Settled:
        """Put what was written before in the place of what seemed stale."""
        rows = await self._pool.fetch(
            statement("written"),
            [ruling.job.id for ruling in stale],
            [ruling.job.token for ruling in stale],
            [str(ruling.verdict.move) for ruling in stale],
            *_SETTLE,
        )
        claimed = {row["ended"]: job(row) for row in rows if row["id"] is not None}
        following = await self._still_ours(claimed)
        became = {row["ended"]: State(row["became"]) for row in rows}
        for place, ruling in enumerate(rulings):
            if (state := became.get(ruling.job.id)) is not None:
                after = following.get(ruling.job.id)
                settled.finished[place] = Finished(state=state, next=after)
        settled.news += [News(row["ended"], row["up_to"]) for row in rows]
        settled.news += [News(after.id, after.sequence) for after in following.values()]
        return settled

    async def _still_ours(self, claimed: Mapping[JobId, Job]) -> dict[JobId, Job]:
        """Renew what was claimed by a commit that nobody heard of; leave out what was lost."""
        if not claimed:
            return {}
        try:
            ours = await self._renew({one.id: one.token for one in claimed.values()})
        except Busy as error:  # to its caller that means that nothing was written
            raise Unavailable("Somebody else is changing this", retry_after=1) from error
        return {ended: after for ended, after in claimed.items() if after.id in ours}

    async def _renew(self, held: Mapping[JobId, int]) -> dict[JobId, State | None]:
        rows = await self._quick.fetch(
            statement("renew"), list(held), list(held.values()), self._lease
        )
        return {row["id"]: State(row["state"]) for row in rows}

    async def _renew_alone(self, job_id: JobId, token: int) -> dict[JobId, State | None]:
        try:
            return await self._renew({job_id: token})
        except Locked:
            return {job_id: None}

    async def _claim(
        self, where: "Pool | Connection[Any]", job_ids: Sequence[JobId], *, keyed: bool
    ) -> list[Job]:
        rows = await where.fetch(
            statement("claim"),
            list(job_ids),
            self._lease,
            self._types,
            keyed,
            self._suspect,
            self._alone,
        )
        return [job(row) for row in rows]

    async def _claim_and_knock(
        self,
        connection: "Connection[Any]",
        job_ids: Sequence[JobId],
        later: Sequence[JobId],
        *,
        keyed: bool,
    ) -> Claimed:
        if keyed:
            await connection.execute(statement("lock"), [*job_ids, *later])
        jobs = await self._claim(connection, job_ids, keyed=keyed)
        return Claimed(jobs=jobs, rows=await self._knock(connection, later))

    async def _finish_in_order(
        self, connection: "Connection[Any]", rulings: Sequence[Ruling]
    ) -> Settled:
        done = await _settle(connection, rulings, in_order=True)
        ended = [job_id for job_id, row in done.items() if row["key"] and row["state"] in ENDINGS]
        heads = await self._go_on(connection, ended, rulings) if ended else []
        following = {row["ended"]: job(row) for row in heads if row["id"] is not None}
        ready = [row["head"] for row in heads if row["id"] is None and row["head"] is not None]
        ready += [job_id for job_id, row in done.items() if row["state"] == State.QUEUED]
        rows = await self._knock(connection, ready)
        return _settled(rulings, done, following, rows)

    async def _go_on(
        self, connection: "Connection[Any]", ended: Sequence[JobId], rulings: Sequence[Ruling]
    ) -> list[asyncpg.Record]:
        with_a_turn = [ruling.job.id for ruling in rulings if ruling.has_turn]
        return await connection.fetch(
            statement("go_on"), list(ended), with_a_turn, self._lease, self._types, self._suspect
        )

    async def _knock(
        self, connection: "Connection[Any]", job_ids: Sequence[JobId]
    ) -> list[OutboxRow]:
        if not job_ids:
            return []
        rows = await connection.fetch(statement("knock"), list(job_ids), self._head_start)
        return [outbox_row(row) for row in rows]

    async def _again(self, pool: Pool, verb: Callable[["Connection[Any]"], Awaitable[T]]) -> T:
        """Run *verb* in a transaction; a deadlock or a busy key is no reason to give up."""
        for tries in range(1, _TRIES + 1):
            try:
                async with pool.transaction() as connection:
                    return await verb(connection)
            except Busy:
                if tries == _TRIES:
                    raise
        raise AssertionError("unreachable")


def suspect_from(max_crashes: int) -> int:
    """Say how many crashes make a job a suspect: one more, and it has failed."""
    return max(1, max_crashes - 1)


def _needs_lock(ruling: Ruling) -> bool:
    """Say whether a verdict touches a key, or makes a job queued that must be knocked for."""
    return ruling.job.ordering_key is not None or ruling.verdict.move is Move.INTERRUPT


async def _settle(
    where: "Pool | Connection[Any]", rulings: Sequence[Ruling], *, in_order: bool
) -> dict[JobId, asyncpg.Record]:
    verdicts = [ruling.verdict for ruling in rulings]
    failures = [verdict.failure for verdict in verdicts]
    rows = await where.fetch(
        statement("finish"),
        [ruling.job.id for ruling in rulings],
        [ruling.job.token for ruling in rulings],
        [str(verdict.move) for verdict in verdicts],
        [verdict.delay for verdict in verdicts],
        [verdict.given_back for verdict in verdicts],
        [verdict.result for verdict in verdicts],
        [failure.code if failure else None for failure in failures],
        [failure.message if failure else None for failure in failures],
        *_SETTLE,
        _ENDINGS,
        DEAD_LETTER_TTL,
        in_order,
    )
    return {row["id"]: row for row in rows}


def _settled(
    rulings: Sequence[Ruling],
    done: Mapping[JobId, asyncpg.Record],
    following: Mapping[JobId, Job],
    rows: list[OutboxRow],
) -> Settled:
    finished = [
        Finished(
            state=State(done[ruling.job.id]["state"]) if ruling.job.id in done else None,
            next=following.get(ruling.job.id),
        )
        for ruling in rulings
    ]
    news = [News(job_id, row["sequence"]) for job_id, row in done.items()]
    news += [News(after.id, after.sequence) for after in following.values()]
    return Settled(finished=finished, rows=rows, news=news, batches=left_by(done.values()))
