"""All verbs of the store over one database, and a look past them."""

from collections.abc import AsyncIterator, Collection, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any, Final

import asyncpg

from shared.contract.batches import BatchView
from shared.contract.errors import UketsukeError
from shared.contract.ids import THE_TENANT, BatchId, JobId, TrackId
from shared.contract.jobs import Job, JobView, Submission
from shared.contract.outcomes import Failure, Verdict
from shared.contract.states import Move, State
from shared.store.batch_intake import BatchIntake, Bundle
from shared.store.batch_rows import BatchRows
from shared.store.batches import Admitted
from shared.store.blobs import BlobRows
from shared.store.intake import Intake
from shared.store.operating import Operating
from shared.store.outbox import Outbox
from shared.store.pool import Pool, open_pool
from shared.store.reads import Reads
from shared.store.upkeep import UpkeepStore
from shared.store.work import Finished, Ruling, WorkStore
from tests.support.builders import a_job_id, a_submission

LEASE: Final = timedelta(seconds=10)
NO_WAIT: Final = timedelta(0)
FAILURE: Final = Failure(code="no_good", message="It went wrong")


@dataclass(frozen=True, slots=True, kw_only=True)
class Bench:
    url: str
    pool: Pool
    intake: Intake
    work: WorkStore
    upkeep: UpkeepStore
    outbox: Outbox
    reads: Reads
    blobs: BlobRows
    batch_intake: BatchIntake
    batches: BatchRows
    operating: Operating

    async def submit(self, **wishes: Any) -> JobId:
        """Admit one job, and give its id."""
        admitted = await self.admit(**wishes)
        return admitted.accepted.job_id

    async def admit(self, **wishes: Any) -> Admitted:
        return await self.intake.admit(a_submission(**wishes))

    async def batch(self, *submissions: Submission, **wishes: Any) -> BatchId:
        """Admit a batch, and give its id."""
        return (await self.batch_intake.admit(a_bundle(*submissions, **wishes))).id

    async def batch_of(self, count: int, **wishes: Any) -> tuple[BatchId, list[JobId]]:
        """Admit a batch of *count* jobs; give its id and theirs."""
        lot = sorted((a_submission(**wishes) for _ in range(count)), key=lambda one: one.id)
        return await self.batch(*lot), [submission.id for submission in lot]

    async def batch_view(self, batch_id: BatchId) -> BatchView:
        return await self.batches.batch(THE_TENANT, batch_id)

    async def claim(self, *job_ids: JobId, keyed: bool = True) -> list[Job]:
        return (await self.work.claim(job_ids, keyed=keyed)).jobs

    async def running(self, **wishes: Any) -> Job:
        """Admit one job and claim it."""
        [job] = await self.claim(await self.submit(**wishes))
        return job

    async def finish(
        self, job: Job, move: Move = Move.COMPLETE, *, has_turn: bool = False, **values: Any
    ) -> Finished:
        """Write one verdict, with what usually goes with *move*."""
        settled = await self.work.finish([a_ruling(job, move, has_turn=has_turn, **values)])
        return settled.finished[0]

    async def ended(self, move: Move = Move.COMPLETE, **wishes: Any) -> Job:
        """Admit one job and bring it to an end."""
        job = await self.running(**wishes)
        await self.finish(job, move)
        return job

    async def view(self, job_id: JobId) -> JobView:
        return await self.reads.job(THE_TENANT, job_id)

    async def state(self, job_id: JobId) -> State:
        return (await self.view(job_id)).state

    async def kinds(self, job_id: JobId) -> list[str]:
        """List what happened to a job, in order."""
        query = "SELECT kind FROM job_events WHERE job_id = $1 ORDER BY sequence"
        return [row["kind"] for row in await self.sql(query, job_id)]

    async def knocked(self) -> list[JobId]:
        """List the jobs that the outbox knocks for, doubled if it does so twice."""
        query = "SELECT unnest(job_ids) AS id FROM outbox ORDER BY outbox.id"
        return [row["id"] for row in await self.sql(query)]

    async def head(self, key: str) -> JobId | None:
        rows = await self.sql("SELECT head FROM key_heads WHERE key = $1", key)
        return rows[0]["head"] if rows else None

    async def sql(self, query: str, *args: Any) -> list[asyncpg.Record]:
        """Ask, or disturb, the database past all verbs."""
        return await self.pool.fetch(query, *args)

    async def sql_script(self, script: str) -> None:
        async with self.pool.connection() as connection:
            await connection.execute(script)

    async def let_lapse(self, *job_ids: JobId) -> None:
        """Let the leases of running jobs run out."""
        past = "lease_until = clock_timestamp() - interval '1 second'"
        await self.sql(f"UPDATE jobs SET {past} WHERE id = ANY($1)", job_ids)  # noqa: S608  ours

    async def use_up(self, *job_ids: JobId) -> None:
        """Let the hour that jobs had be over; so long is what a replay would give them again."""
        await self.sql(
            "UPDATE job_events SET at = at - interval '1 hour' WHERE job_id = ANY($1)", job_ids
        )
        await self.sql("UPDATE jobs SET deadline = clock_timestamp() WHERE id = ANY($1)", job_ids)

    async def let_expire(self, *job_ids: JobId) -> None:
        """Let that hour be over, and have it noticed."""
        await self.use_up(*job_ids)
        await self.upkeep.expire()

    async def forget_knocks(self) -> None:
        await self.sql("DELETE FROM outbox")


def a_ruling(job: Job, move: Move, *, has_turn: bool = False, **values: Any) -> Ruling:
    """Rule *move* for *job*, with the values a verdict of that kind has."""
    usual: dict[Move, dict[str, Any]] = {
        Move.COMPLETE: {"result": b'"done"'},
        Move.FAIL: {"failure": FAILURE},
        Move.RETRY: {"failure": FAILURE, "delay": timedelta(minutes=1)},
        Move.SNOOZE: {"delay": timedelta(minutes=1), "given_back": 1},
        Move.INTERRUPT: {"given_back": 1},
    }
    verdict = Verdict(move=move, **usual.get(move, {}) | values)
    return Ruling(job=job, verdict=verdict, has_turn=has_turn)


def a_bundle(*submissions: Submission, **wishes: Any) -> Bundle:
    """Make a batch of *submissions*, whose answer names who was accepted."""
    batch_id = BatchId(a_job_id())

    def describe(outcomes: Mapping[JobId, Admitted | UketsukeError]) -> bytes:
        told = (
            "" if isinstance(one, UketsukeError) else str(one.accepted.job_id)
            for one in (outcomes[submission.id] for submission in submissions)
        )
        return ",".join(told).encode()

    usual: dict[str, Any] = {
        "id": batch_id,
        "tenant": THE_TENANT,
        "track_id": TrackId("track"),
        "submissions": [replace(one, batch=batch_id) for one in submissions],
        "places": {one.id: place for place, one in enumerate(submissions)},
        "refused": 0,
        "atomic": False,
        "describe": describe,
    }
    return Bundle(**usual | wishes)


def a_bench(url: str, pool: Pool, types: Collection[str] = ("demo.echo",)) -> Bench:
    return Bench(
        url=url,
        pool=pool,
        intake=Intake(pool, confirm_wait=NO_WAIT),
        work=WorkStore(pool, types=types, lease=LEASE, confirm_wait=NO_WAIT),
        upkeep=UpkeepStore(pool, confirm_wait=NO_WAIT),
        outbox=Outbox(pool),
        reads=Reads(pool),
        blobs=BlobRows(pool),
        batch_intake=BatchIntake(pool, confirm_wait=NO_WAIT),
        batches=BatchRows(pool),
        operating=Operating(pool),
    )


def alone(bench: Bench) -> WorkStore:
    """See the store as a worker does in whose process nothing else runs."""
    return WorkStore(
        bench.pool, types=("demo.echo",), lease=LEASE, confirm_wait=NO_WAIT, alone=True
    )


async def crash(bench: Bench, job_id: JobId, times: int) -> None:
    """Let the worker of a job die, *times* over; the last chance it has is one alone."""
    for _ in range(times):
        jobs = await bench.claim(job_id) or (await alone(bench).claim([job_id], keyed=True)).jobs
        assert len(jobs) == 1
        await bench.let_lapse(job_id)
        await bench.upkeep.rescue()


@asynccontextmanager
async def open_bench(url: str, *, size: int = 8) -> AsyncIterator[Bench]:
    async with AsyncExitStack() as stack:
        pool = await stack.enter_async_context(open_pool(url, size=size, name="bench"))
        bench = a_bench(url, pool)
        yield bench
        await bench.intake.drain()
        await bench.outbox.drain()
        assert pool.free == size, "a connection was not given back"
