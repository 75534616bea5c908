"""The front's verbs: admit a submission; cancel, replay or release a job.

Submits that arrive together share a commit.

A submission is durable when ``admit`` answers. If the answer to a commit was lost, the store is
asked once more whether it holds the job, before anything is said.
"""

import asyncio
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from itertools import chain
from typing import Any, Final

import asyncpg

from shared.contract.errors import Unavailable, Undecided
from shared.contract.events import News
from shared.contract.ids import JobId, TenantId
from shared.contract.jobs import Accepted, Submission
from shared.contract.states import ENDINGS, Move, State, edges
from shared.runtime.batching import Batcher
from shared.store.admitting import Spoilt, decide, insert, is_plain, knock
from shared.store.batch_rows import closed, left_by
from shared.store.batches import Admitted
from shared.store.forgetting import forget_jobs
from shared.store.jams import Jams, lane_of, parted
from shared.store.names import reclaimed
from shared.store.pool import Busy, Connection, Locked, Pool, Rejected
from shared.store.rows import OutboxRow
from shared.store.sql import statement

_MOST: Final = 128
"""Submissions of one commit: more would only make the first of them wait longer."""

_PATIENCE: Final = 1.2  # seconds that a caller waits for a batch of its own and the one before

_TRIES: Final = 3
_MOST_JAMS: Final = 2  # of the connections of a front, for keys that somebody holds


@dataclass(frozen=True, slots=True, kw_only=True)
class Changed:
    """What a caller's wish did: *state* is the job's new one; *rows* are knocks for who may run."""

    state: State
    news: News
    rows: Sequence[OutboxRow]
    others: Sequence[News] = ()  # of its batch


class Intake:
    def __init__(
        self,
        pool: Pool,
        *,
        confirm_wait: timedelta,
        on_commit: Callable[[int, float], None] | None = None,
    ) -> None:
        self._pool = pool
        self._head_start = confirm_wait + timedelta(seconds=0.5)  # before the relay steps in
        self._submits: Batcher[Submission, Admitted] = Batcher(
            self._write, most=_MOST, patience=_PATIENCE, on_flush=on_commit, name="submit"
        )
        self._jams = Jams(self._write_lane, at_once=_MOST_JAMS)

    @property
    def waiting(self) -> int:
        """How many submissions wait for their commit; those that wait for a held key are not."""
        return len(self._submits)

    async def admit(self, submission: Submission) -> Admitted:
        """Make *submission* a job, or find the job it was before; durable when this returns.

        Raises ``IdempotencyMismatch``, ``Undecided``, ``NotUnique``, ``Invalid`` (a blob nobody
        knows) or ``Unavailable``; then nothing is kept of it, unless the database fell silent
        meanwhile.
        """
        try:
            admitted = await self._submits.submit(submission)
        except TimeoutError:
            raise _away() from None
        if not admitted.batches:
            return admitted
        others = await closed(self._pool, admitted.batches)
        return replace(admitted, news=(*admitted.news, *others))

    async def cancel(self, tenant: TenantId, job_id: JobId) -> Changed | None:
        """End a job that waits, or ask one that runs to stop; ``None``: nothing to cancel."""
        guard = edges(Move.CANCEL)
        async with self._pool.transaction() as connection:
            await connection.execute(statement("lock"), [job_id])
            moved = await connection.fetchrow(statement("cancel"), tenant, job_id, *guard)
            if moved is None:
                return None
            state, rows = State(moved["state"]), list[OutboxRow]()
            if state in ENDINGS:
                rows = await self._hand_over(connection, job_id)
        others = await closed(self._pool, left_by([moved]))
        return Changed(state=state, news=News(job_id, moved["sequence"]), rows=rows, others=others)

    async def replay(
        self, tenant: TenantId, job_id: JobId, *, ended_by: datetime | None = None
    ) -> Changed | None:
        """Give a job that failed, was cancelled or expired a new run; ``None``: it is neither.

        With *ended_by* only if it ended until then: so that a wish that is repeated is one wish.

        Raises ``NotUnique`` if another job holds the unique key that it held.
        """
        try:
            return await self._replay(tenant, job_id, ended_by)
        except _NothingMoved:
            return None

    async def _replay(self, tenant: TenantId, job_id: JobId, ended_by: datetime | None) -> Changed:
        guard = edges(Move.REPLAY)
        async with self._pool.transaction() as connection:
            await reclaimed(connection, tenant, job_id)
            await connection.execute(statement("lock"), [job_id])
            moved = await connection.fetchrow(statement("replay"), tenant, job_id, *guard, ended_by)
            if moved is None:
                raise _NothingMoved
            rows = await knock(connection, [job_id], self._head_start)
        return Changed(state=State(moved["state"]), news=News(job_id, moved["sequence"]), rows=rows)

    async def release(self, tenant: TenantId, job_id: JobId) -> Sequence[OutboxRow] | None:
        """Let the key go on that a failed job holds; ``None``: it holds none.

        The job stays as it is; the answer is the knock for the next of its key.
        """
        async with self._pool.transaction() as connection:
            await connection.execute(statement("lock"), [job_id])
            heads = await connection.fetch(statement("release"), tenant, job_id)
            return await self._go_on(connection, heads) if heads else None

    async def delete(
        self, tenant: TenantId, job_ids: Sequence[JobId], *, ended_by: datetime
    ) -> list[JobId]:
        """Clean up those of *job_ids* that had ended by then: gone at once, with a tombstone each.

        A failed job that holds its key stays.
        """
        async with self._pool.transaction() as connection:
            found = await connection.fetch(statement("states"), tenant, list(job_ids))
            mine = [row["id"] for row in found]
            await connection.execute(statement("names_of"), mine)
            await connection.execute(statement("lock"), mine)
            rows = await connection.fetch(statement("outlive"), tenant, mine, ended_by)
            await forget_jobs(connection, [row["id"] for row in rows])
        return [row["id"] for row in rows]

    async def drain(self) -> None:
        """Wait until every submission handed in is decided."""
        await self._submits.drain()
        await self._jams.drain()

    async def _hand_over(self, connection: "Connection[Any]", job_id: JobId) -> list[OutboxRow]:
        return await self._go_on(connection, await connection.fetch(statement("advance"), [job_id]))

    async def _go_on(
        self, connection: "Connection[Any]", heads: Sequence[asyncpg.Record]
    ) -> list[OutboxRow]:
        """Knock for the new heads of keys."""
        ids = [row["head"] for row in heads if row["head"] is not None]
        return await knock(connection, ids, self._head_start)

    async def _write(
        self, batch: Sequence[Submission]
    ) -> list["Admitted | BaseException | asyncio.Future[Admitted]"]:
        """Write a batch; those whose key somebody holds go on by themselves, later."""
        free = [submission for submission in batch if lane_of(submission) not in self._jams]
        answers: Mapping[JobId, Admitted | BaseException] = {}
        try:
            if free:
                answers = _by_id(free, await self._write_together(free))
        except Locked:  # somewhere among them: each lane has a try of its own, plain ones at once
            plain = [submission for submission in free if is_plain([submission])]
            if plain:
                answers = _by_id(plain, await self._write_together(plain))
        return [answers[s.id] if s.id in answers else self._jams.add(s) for s in batch]

    async def _write_together(
        self, lot: Sequence[Submission]
    ) -> Sequence[Admitted | BaseException]:
        """Write a lot in one transaction; if some of it spoil it, the others go without them.

        Raises ``Locked`` if somebody holds a key of it.
        """
        try:
            return await self._commit(lot)
        except Locked:
            raise
        except Spoilt as spoilt:
            if len(lot) == 1:
                return list(spoilt.why.values())
        except (Busy, Rejected, ValueError) as error:
            if len(lot) == 1:
                return [error]
        except Unavailable:
            return await self._find_out(lot)
        parts = parted(lot)
        answers = await asyncio.gather(*(self._write_lane(part) for part in parts))
        answer_to = _by_id(chain.from_iterable(parts), chain.from_iterable(answers))
        return [answer_to[submission.id] for submission in lot]

    async def _write_lane(self, lot: Sequence[Submission]) -> Sequence[Admitted | BaseException]:
        """As ``_write_together``, for what shares a lane: all of it waits for the same holder."""
        try:
            return await self._write_together(lot)
        except Locked as error:
            return [Undecided(retry_after=1) if s.idempotency else error for s in lot]

    async def _commit(self, batch: Sequence[Submission]) -> Sequence[Admitted | BaseException]:
        for tries in range(1, _TRIES + 1):
            try:
                if is_plain(batch):
                    async with self._pool.connection() as connection:
                        return await insert(connection, batch, self._head_start)
                async with self._pool.transaction() as connection:
                    return await decide(connection, batch, self._head_start)
            except Busy as error:
                if tries == _TRIES or isinstance(error, Locked):
                    raise
        raise AssertionError("unreachable")

    async def _find_out(self, batch: Sequence[Submission]) -> Sequence[Admitted | BaseException]:
        """After trouble the commit may have happened: ask a new connection, once."""
        try:
            rows = await self._pool.fetch(statement("accepted"), [s.id for s in batch])
        except (Unavailable, Rejected):
            rows = []
        at = {row["id"]: row["created_at"] for row in rows}
        return [
            Admitted(accepted=Accepted(job_id=s.id, at=at[s.id])) if s.id in at else _away()
            for s in batch
        ]


class _NothingMoved(Exception):
    """So that the transaction keeps nothing."""


def _away() -> Unavailable:
    return Unavailable("The database does not answer", retry_after=1)


def _by_id(
    batch: Iterable[Submission], answers: Iterable[Admitted | BaseException]
) -> dict[JobId, Admitted | BaseException]:
    return dict(zip((submission.id for submission in batch), answers, strict=True))
