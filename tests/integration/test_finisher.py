"""Verdicts of one worker: of which somebody else holds a job, or whose commit nobody heard of."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import asyncpg
import pytest

from back_service import finishing
from back_service.finishing import Finisher
from shared.contract.errors import Unavailable
from shared.contract.ids import JobId
from shared.contract.states import Move, State
from shared.runtime.clock import SystemClock
from shared.store.pool import Connection, Pool
from shared.store.work import WorkStore
from tests.integration.bench import LEASE, NO_WAIT, Bench, a_ruling

pytestmark = pytest.mark.servers


class Silent:
    """Tells nobody."""

    def tell(self, *_: object) -> None:
        """Nothing."""


class HardOfHearing(Pool):
    """Does what it is asked, and *misses* times does not hear that it was done."""

    def __init__(self, pool: Pool, *, misses: int) -> None:
        self._real, self.misses = pool, misses

    @asynccontextmanager
    async def connection(self) -> AsyncIterator["Connection[asyncpg.Record]"]:
        async with self._real.connection() as connection:
            yield connection
        self._miss()

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator["Connection[asyncpg.Record]"]:
        async with self._real.transaction() as connection:
            yield connection
        self._miss()

    def _miss(self) -> None:
        if self.misses:
            self.misses -= 1
            raise Unavailable("the answer was lost")


def a_finisher(bench: Bench, *, misses: int = 0) -> Finisher:
    teller: Any = Silent()
    pool = HardOfHearing(bench.pool, misses=misses)
    work = WorkStore(pool, types=("demo.echo",), lease=LEASE, confirm_wait=NO_WAIT)
    return Finisher(work, teller, SystemClock())


@pytest.fixture
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ask again without waiting long."""
    monkeypatch.setattr(finishing, "_FIRST_PAUSE", 0.001)


@asynccontextmanager
async def held(bench: Bench, job_id: JobId) -> AsyncIterator[None]:
    """Hold one job, as a person at a prompt might, or a process that froze in mid-cancel."""
    holder = await asyncpg.connect(bench.url)
    try:
        async with holder.transaction():
            await holder.execute("SELECT FROM jobs WHERE id = $1 FOR UPDATE", job_id)
            yield
    finally:
        await holder.close()


@pytest.mark.parametrize("key", [None, "k"])
async def test_a_job_that_somebody_holds_keeps_no_other_waiting(
    bench: Bench, key: str | None
) -> None:
    """One worker has many slots and one line for verdicts: it must not stand still."""
    finisher = a_finisher(bench)
    stuck, beside, later = [await bench.running(ordering_key=k) for k in (key, None, None)]
    async with asyncio.timeout(20):
        async with held(bench, stuck.id):
            waits = asyncio.create_task(finisher.finish(a_ruling(stuck, Move.COMPLETE)))
            first = await finisher.finish(a_ruling(beside, Move.COMPLETE))
            second = await finisher.finish(a_ruling(later, Move.COMPLETE))
            assert first.finished.state is second.finished.state is State.COMPLETED
            assert not waits.done()

        assert (await waits).finished.state is State.COMPLETED


@pytest.mark.usefixtures("at_once")
@pytest.mark.parametrize("key", [None, "k"])
@pytest.mark.parametrize("move", [Move.COMPLETE, Move.RETRY, Move.FAIL, Move.INTERRUPT])
async def test_i1_a_verdict_whose_commit_was_not_answered_is_no_stale_one(
    bench: Bench, key: str | None, move: Move
) -> None:
    """Fenced is what a zombie is; this one's work is stored, and must be counted as done."""
    finisher = a_finisher(bench, misses=1)
    job = await bench.running(ordering_key=key)

    record = await finisher.finish(a_ruling(job, move))

    assert record.finished.state is await bench.state(job.id)
    assert len(await bench.kinds(job.id)) == 3


@pytest.mark.usefixtures("at_once")
async def test_what_came_after_an_unheard_verdict_is_not_taken_for_it(bench: Bench) -> None:
    """The scheduler may be faster than the second question: it was written all the same."""
    finisher = a_finisher(bench)
    job = await bench.running()
    ruling = a_ruling(job, Move.SNOOZE)
    await bench.finish(job, Move.SNOOZE)
    await bench.sql("UPDATE jobs SET due = clock_timestamp() WHERE id = $1", job.id)
    await bench.upkeep.come_due()

    [finished] = (await bench.work.finish([ruling], again=True)).finished

    assert finished.state is State.SCHEDULED
    assert await bench.state(job.id) is State.QUEUED
    assert (await finisher.finish(ruling)).finished.state is None, "asked for the first time"


@pytest.mark.usefixtures("at_once")
@pytest.mark.parametrize("misses", [1, 2, 3])
async def test_the_next_job_of_an_unheard_verdict_is_its_lanes(bench: Bench, misses: int) -> None:
    """Claimed with it, it would run nowhere until its lease lapses, and be charged a crash.

    However many answers are lost: that of the commit, of the question, of the renewal.
    """
    finisher = a_finisher(bench, misses=misses)
    first = await bench.running(ordering_key="k")
    second = await bench.submit(ordering_key="k")

    record = await finisher.finish(a_ruling(first, Move.COMPLETE, has_turn=True))

    following = record.finished.next
    assert following is not None
    assert following.id == second
    assert (await bench.finish(following)).state is State.COMPLETED
    assert await bench.kinds(second) == ["accepted", "running", "completed"]


async def _is_rescued(bench: Bench, second: JobId) -> None:
    await bench.let_lapse(second)
    await bench.upkeep.rescue()


async def _runs_elsewhere(bench: Bench, second: JobId) -> None:
    await _is_rescued(bench, second)
    assert len(await bench.claim(second)) == 1


async def _has_ended(bench: Bench, second: JobId) -> None:
    await bench.sql("UPDATE jobs SET deadline = clock_timestamp() WHERE id = $1", second)
    await bench.upkeep.expire()


@pytest.mark.parametrize("meanwhile", [_is_rescued, _runs_elsewhere, _has_ended])
async def test_i5_a_next_job_that_went_elsewhere_is_left_there(
    bench: Bench, meanwhile: Any
) -> None:
    """Two workers with one job is what the whole protocol is there to prevent."""
    first = await bench.running(ordering_key="k")
    second = await bench.submit(ordering_key="k")
    ruling = a_ruling(first, Move.COMPLETE, has_turn=True)
    await bench.work.finish([ruling])
    await meanwhile(bench, second)

    [finished] = (await bench.work.finish([ruling], again=True)).finished

    assert (finished.state, finished.next) == (State.COMPLETED, None)


async def test_i5_a_next_job_that_another_worker_claimed_is_not_adopted(bench: Bench) -> None:
    """The lane had no turn left: whoever heard its knock has it, with a token of that claim."""
    first = await bench.running(ordering_key="k")
    second = await bench.submit(ordering_key="k")
    ruling = a_ruling(first, Move.COMPLETE)
    await bench.work.finish([ruling])
    assert await bench.knocked() == [first.id, second]
    assert len(await bench.claim(second)) == 1

    [finished] = (await bench.work.finish([ruling], again=True)).finished

    assert (finished.state, finished.next) == (State.COMPLETED, None)


@pytest.mark.usefixtures("at_once")
async def test_i4_a_zombie_is_fenced_even_if_its_answer_was_lost(bench: Bench) -> None:
    """Doubt makes no stale token good."""
    finisher = a_finisher(bench, misses=1)
    job = await bench.running()
    await bench.let_lapse(job.id)
    await bench.upkeep.rescue()

    assert (await finisher.finish(a_ruling(job, Move.COMPLETE))).finished.state is None
