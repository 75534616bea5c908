"""Admit a batch: its jobs, their knocks, its own row and its Idempotency-Key in one commit.

It has a connection of its own, so that single submits never wait behind a thousand others.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

import asyncpg

from shared.contract.errors import UketsukeError, Unavailable, Undecided
from shared.contract.events import News
from shared.contract.ids import BatchId, JobId, TenantId, TrackId
from shared.contract.jobs import Idempotency, Submission
from shared.store.admitting import Answers, Spoilt, decide
from shared.store.batch_rows import closed
from shared.store.batches import Admitted, remembered
from shared.store.pool import Busy, Connection, Locked, Pool, Rejected
from shared.store.rows import OutboxRow
from shared.store.sql import statement

_AT_ONCE: Final = 2  # of one front: each holds a connection, and single submits need theirs
_TURN: Final = 3.0  # seconds that a batch waits for those before it
_TRIES: Final = 3
_SHORTLY: Final = "SET LOCAL lock_timeout = '50ms'"  # where each half of a batch may have to wait
_POISON: Final = (asyncpg.DataError, asyncpg.IntegrityConstraintViolationError, ValueError)

Refusals = Mapping[JobId, UketsukeError]


class Torn(Exception):
    """Nothing was kept: the batch is atomic and some of it were refused, or all of it were."""

    def __init__(self, refusals: Refusals) -> None:
        super().__init__()
        self.refusals = refusals


@dataclass(frozen=True, slots=True, kw_only=True)
class Bundle:
    """The vetted submissions of a batch. *places* are theirs in it, *refused* those of no place.

    *describe* writes down what the caller is told, so that a retry is told the same.
    """

    id: BatchId
    tenant: TenantId
    track_id: TrackId
    submissions: Sequence[Submission]
    places: Mapping[JobId, int]
    refused: int
    atomic: bool
    describe: Callable[[Mapping[JobId, "Admitted | UketsukeError"]], bytes]
    idempotency: Idempotency | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Written:
    """A batch that is stored, now or *replayed* from before; what to publish and to tell of it."""

    id: BatchId
    at: datetime
    answer: bytes
    replayed: bool = False
    rows: Sequence[OutboxRow] = ()
    news: Sequence[News] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class _Named:
    """A batch as the table of Idempotency-Keys sees it."""

    id: JobId
    tenant: TenantId
    idempotency: Idempotency | None


class BatchIntake:
    def __init__(self, pool: Pool, *, confirm_wait: timedelta) -> None:
        self._pool = pool
        self._head_start = confirm_wait + timedelta(seconds=0.5)  # before the relay steps in
        self._room = asyncio.Semaphore(_AT_ONCE)

    async def admit(self, bundle: Bundle) -> Written:
        """Make the submissions jobs of a batch; all that is accepted is durable when this returns.

        Raises ``Torn``, ``IdempotencyMismatch``, ``Undecided`` or ``Unavailable``; then nothing
        is kept, unless the database fell silent meanwhile.
        """
        async with self._turn():
            written, batches = await self._write(bundle)
        news = [*written.news, *await closed(self._pool, batches)]
        return Written(
            id=written.id,
            at=written.at,
            answer=written.answer,
            replayed=written.replayed,
            rows=written.rows,
            news=news,
        )

    @asynccontextmanager
    async def _turn(self) -> AsyncIterator[None]:
        try:
            async with asyncio.timeout(_TURN):
                await self._room.acquire()
        except TimeoutError:
            text = "Too many batches are handed in at once"
            raise Unavailable(text, retry_after=1) from None
        try:
            yield
        finally:
            self._room.release()

    async def _write(self, bundle: Bundle) -> tuple[Written, set[BatchId]]:
        refusals: dict[JobId, UketsukeError] = {}
        apart = False
        for tries in range(1, _TRIES + 1):
            try:
                async with self._pool.transaction() as connection:
                    return await self._decide(connection, bundle, refusals, apart=apart)
            except Spoilt as spoilt:
                refusals |= _told(spoilt.why)
            except (Locked, Rejected):  # somewhere among them: find out which
                if apart or tries == _TRIES:
                    raise
                apart = True
            except Busy:
                if tries == _TRIES:
                    raise
            except Unavailable:
                return await self._find_out(bundle)
        raise Unavailable("The files of the batch come and go", retry_after=1)

    async def _decide(
        self, connection: "Connection[Any]", bundle: Bundle, refusals: Refusals, *, apart: bool
    ) -> tuple[Written, set[BatchId]]:
        if (known := await self._known(connection, bundle)) is not None:
            return known, set()
        lot = [s for s in bundle.submissions if s.id not in refusals]
        answers: Answers = {}
        if apart:
            await connection.execute(_SHORTLY)
            answers = await self._halved(connection, lot)
        elif lot:
            decided = await decide(connection, lot, self._head_start)
            answers = {s.id: answer for s, answer in zip(lot, decided, strict=True)}
        admitted = {i: one for i, one in answers.items() if isinstance(one, Admitted)}
        bad = {**refusals, **_told({i: a for i, a in answers.items() if i not in admitted})}
        if not admitted or (bundle.atomic and (bad or bundle.refused)):
            raise Torn(bad)
        return await self._open(connection, bundle, admitted, bad)

    async def _known(self, connection: "Connection[Any]", bundle: Bundle) -> Written | None:
        """Find the batch that was asked for by the same Idempotency-Key."""
        named = _Named(id=JobId(bundle.id), tenant=bundle.tenant, idempotency=bundle.idempotency)
        try:
            answer = (await remembered(connection, [named])).get(named.id)
        except asyncpg.LockNotAvailableError:
            raise Undecided(retry_after=1) from None
        if isinstance(answer, BaseException):
            raise answer
        return None if answer is None else await _recalled(connection, bundle, answer)

    async def _open(
        self,
        connection: "Connection[Any]",
        bundle: Bundle,
        admitted: Mapping[JobId, Admitted],
        bad: Refusals,
    ) -> tuple[Written, set[BatchId]]:
        own = [job_id for job_id, one in admitted.items() if not one.accepted.existing]
        answer = bundle.describe({**admitted, **bad})
        at = await connection.fetchval(
            statement("open_batch"),
            bundle.id,
            bundle.tenant,
            bundle.track_id,
            bundle.refused + len(bad),
            answer,
            [bundle.places[job_id] for job_id in own],
            own,
        )
        rows = {one.row.id: one.row for one in admitted.values() if one.row is not None}
        others = [row for one in admitted.values() for row in one.others]
        news = [news for one in admitted.values() for news in one.news]
        left = {batch for one in admitted.values() for batch in one.batches}
        over = left if own else {*left, bundle.id}
        written = Written(
            id=bundle.id, at=at, answer=answer, rows=[*rows.values(), *others], news=news
        )
        return written, over

    async def _halved(self, connection: "Connection[Any]", lot: Sequence[Submission]) -> Answers:
        """Admit a lot whose keys somebody may hold: each half by itself, down to the culprits."""
        if not lot:
            return {}
        try:
            async with connection.transaction():
                decided = await decide(connection, lot, self._head_start)
                return {s.id: answer for s, answer in zip(lot, decided, strict=True)}
        except asyncpg.LockNotAvailableError:
            trouble: UketsukeError = Busy("Somebody else is changing this", retry_after=1)
        except _POISON:
            trouble = Unavailable("This cannot be stored")
        if len(lot) == 1:
            return {lot[0].id: trouble}
        middle = len(lot) // 2
        first = await self._halved(connection, lot[:middle])
        return first | await self._halved(connection, lot[middle:])

    async def _find_out(self, bundle: Bundle) -> tuple[Written, set[BatchId]]:
        """After trouble the commit may have happened: ask a new connection, once."""
        away = Unavailable("The database does not answer", retry_after=1)
        try:
            row = await self._pool.fetchrow(statement("batch_answer"), bundle.tenant, bundle.id)
        except (Unavailable, Rejected):
            raise away from None
        if row is None:
            raise away
        return Written(id=bundle.id, at=row["created_at"], answer=row["answer"]), {bundle.id}


async def _recalled(connection: "Connection[Any]", bundle: Bundle, answer: Admitted) -> Written:
    batch_id = BatchId(answer.accepted.job_id)
    row = await connection.fetchrow(statement("batch_answer"), bundle.tenant, batch_id)
    if row is None:
        raise Unavailable("The batch is just being cleaned up", retry_after=1)
    return Written(id=batch_id, at=row["created_at"], answer=row["answer"], replayed=True)


def _told(errors: Mapping[JobId, Any]) -> dict[JobId, UketsukeError]:
    """Keep what may be told to a stranger; anything else is a bug, and goes on its way."""
    for error in errors.values():
        if not isinstance(error, UketsukeError):
            raise error
    return dict(errors)
