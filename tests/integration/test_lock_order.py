"""In which order a batch takes what others want too: always by name, however it came.

A batch waits for the first of its keys while the last is still free; one that took them as they
came would hold the last by then. Retries would hide that: each deadlock costs but a second.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Any, cast

import asyncpg
import pytest

from shared.contract.jobs import Job
from shared.contract.states import Move
from shared.store.batches import places, remembered
from shared.store.pool import Connection
from tests.integration.bench import Bench, a_ruling
from tests.support.builders import a_submission, an_idempotency
from tests.support.waiting import until

pytestmark = pytest.mark.servers

Verb = Callable[[Bench, Sequence[Job]], Awaitable[object]]


async def test_s24_submits_take_their_ordering_keys_by_name(bench: Bench) -> None:
    """Of two batches that share keys, one simply waits for the other."""
    batch = [a_submission(ordering_key=key) for key in ("b", "a")]
    for key in ("a", "b"):
        await bench.submit(ordering_key=key)

    async with visitor(bench) as holder, visitor(bench) as waiter, visitor(bench) as other:
        await holder.execute("SELECT FROM key_heads WHERE key = 'a' FOR UPDATE")
        placing = asyncio.create_task(places(waiter, batch))
        await somebody_waits(bench)

        await other.execute("SELECT FROM key_heads WHERE key = 'b' FOR UPDATE NOWAIT")

        await other.execute("ROLLBACK; BEGIN")
        await holder.execute("ROLLBACK; BEGIN")
        assert len(await placing) == 2


async def test_s24_submits_take_their_idempotency_keys_by_name(bench: Bench) -> None:
    """As above, for names that nobody has taken yet."""
    batch = [a_submission(idempotency=an_idempotency(name)) for name in ("b", "a")]
    first, last = ([one] for one in reversed(batch))

    async with visitor(bench) as holder, visitor(bench) as waiter, visitor(bench) as other:
        await remembered(holder, first)
        remembering = asyncio.create_task(remembered(waiter, batch))
        await somebody_waits(bench)

        await other.execute("SET LOCAL lock_timeout = '1s'")
        assert await remembered(other, last) == {}

        await other.execute("ROLLBACK; BEGIN")
        await holder.execute("ROLLBACK; BEGIN")
        assert await remembering == {}


def finishes(bench: Bench, jobs: Sequence[Job]) -> Awaitable[object]:
    return bench.work.finish([a_ruling(job, Move.COMPLETE) for job in jobs])


def renews(bench: Bench, jobs: Sequence[Job]) -> Awaitable[object]:
    return bench.work.renew({job.id: job.token for job in jobs})


def progresses(bench: Bench, jobs: Sequence[Job]) -> Awaitable[object]:
    return bench.work.progress([(job.id, job.token, 50, "half") for job in jobs])


@pytest.mark.parametrize("verb", [finishes, renews, progresses])
async def test_s24_a_worker_takes_its_jobs_by_id(bench: Bench, verb: Verb) -> None:
    """Its verdicts, renewals and reports go out at the same time, for the same jobs."""
    jobs = [await bench.running() for _ in range(2)]
    first, last = sorted(job.id for job in jobs)
    hold = "SELECT FROM jobs WHERE id = $1 FOR UPDATE NOWAIT"

    async with visitor(bench) as holder, visitor(bench) as other:
        await holder.execute(hold, first)
        doing = asyncio.ensure_future(verb(bench, sorted(jobs, key=_last_first)))
        await somebody_waits(bench)

        await other.execute(hold, last)

        await other.execute("ROLLBACK; BEGIN")
        await holder.execute("ROLLBACK; BEGIN")
        await doing


def _last_first(job: Job) -> int:
    return -job.id.int


@asynccontextmanager
async def visitor(bench: Bench) -> AsyncIterator["Connection[Any]"]:
    """Open a transaction of somebody who is patient, and roll it back."""
    connection = await asyncpg.connect(bench.url)
    try:
        await connection.execute("BEGIN")
        yield cast("Connection[Any]", connection)
    finally:
        await connection.close()


async def somebody_waits(bench: Bench) -> None:
    """Wait until a session waits for a lock."""
    query = (
        "SELECT count(*) > 0 FROM pg_stat_activity"
        " WHERE wait_event_type = 'Lock' AND datname = current_database()"
    )

    async def does_wait() -> bool:
        return bool(await bench.pool.fetchval(query))

    await until(does_wait, within=5, every=0.005, what="somebody waits for a lock")
