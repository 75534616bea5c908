"""What becomes of the verbs while the database is busy with somebody else, or breaks off."""

import asyncio
import re
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Final

import asyncpg
import pytest

from shared.contract.errors import Unavailable
from shared.contract.ids import THE_TENANT, JobId
from shared.contract.jobs import Job
from shared.contract.states import Move, State
from shared.store.batches import Admitted
from shared.store.reads import Filters
from tests.integration.bench import Bench, a_ruling, open_bench
from tests.integration.conftest import EMPTY
from tests.integration.line import Line, open_line
from tests.integration.test_submit import a_blob
from tests.support.builders import a_job_id, a_submission, an_idempotency
from tests.support.waiting import until

pytestmark = pytest.mark.servers

HIDE: Final = timedelta(seconds=10)


@asynccontextmanager
async def locked(bench: Bench, table: str = "jobs") -> AsyncIterator[None]:
    """Hold a whole table, as a migration would."""
    holder = await asyncpg.connect(bench.url)
    try:
        async with holder.transaction():
            await holder.execute(f"LOCK TABLE {table}")
            yield
    finally:
        await holder.close()


@pytest.fixture
async def line(database: str) -> AsyncIterator[Line]:
    """A line to the database that can be cut in mid-sentence."""
    async with open_line(database) as line:
        yield line


@pytest.fixture
async def cut(line: Line, bench: Bench) -> AsyncIterator[Bench]:
    """All verbs over that line; *bench* looks past it."""
    async with open_bench(line.url, size=4) as over_the_line:
        yield over_the_line


VERBS: Final[dict[str, Callable[[Bench, Job, JobId], Awaitable[object]]]] = {
    "admit": lambda bench, *_: bench.admit(),
    "cancel": lambda bench, _, waiting: bench.intake.cancel(THE_TENANT, waiting),
    "claim": lambda bench, _, waiting: bench.claim(waiting, keyed=False),
    "finish": lambda bench, job, _: bench.finish(job),
    "renew": lambda bench, job, _: bench.work.renew({job.id: job.token}),
    "progress": lambda bench, job, _: bench.work.progress([(job.id, job.token, 1, "")]),
    "take": lambda bench, *_: bench.outbox.take(hide=HIDE),
    "read": lambda bench, job, _: bench.view(job.id),
    "list": lambda bench, *_: bench.reads.jobs(THE_TENANT, Filters(), limit=1),
    "forget": lambda bench, *_: bench.upkeep.forget(),
}


@pytest.mark.parametrize("verb", VERBS)
async def test_a_lock_that_lasts_makes_a_verb_unavailable(bench: Bench, verb: str) -> None:
    """F15: it is asked again; nobody takes it for a refusal, and no service falls over it."""
    job, waiting = await bench.running(), await bench.submit()

    async with locked(bench):
        with pytest.raises(Unavailable):
            await VERBS[verb](bench, job, waiting)

    assert await bench.state(job.id) is State.RUNNING
    assert await bench.state(waiting) is State.QUEUED


async def test_i18_a_blocked_key_keeps_no_neighbour_of_its_batch_waiting(bench: Bench) -> None:
    """The plain ones, and those of other keys, are accepted in time."""
    await bench.ended(ordering_key="held")
    holder = await asyncpg.connect(bench.url)
    try:
        async with holder.transaction():
            await holder.execute("SELECT FROM key_heads WHERE key = 'held' FOR UPDATE")

            answers = await asyncio.gather(
                *(bench.admit(ordering_key=key) for key in ("held", None, "free", "held", None)),
                return_exceptions=True,
            )
    finally:
        await holder.close()

    taken = [isinstance(answer, Admitted) for answer in answers]
    assert taken == [False, True, True, False, True]
    assert isinstance(answers[0], Unavailable)


async def test_a_job_that_somebody_holds_costs_no_other_its_lease(bench: Bench) -> None:
    """A process that froze in mid-cancel holds a row for ten seconds: longer than a lease."""
    stuck, *others = [await bench.running() for _ in range(4)]
    ended = others.pop()
    await bench.finish(ended)
    asked = {job.id: job.token for job in (stuck, ended, *others)}
    holder = await asyncpg.connect(bench.url)
    try:
        async with holder.transaction():
            await holder.execute("SELECT FROM jobs WHERE id = $1 FOR UPDATE", stuck.id)

            told = await bench.work.renew(asked)
    finally:
        await holder.close()

    assert told == {stuck.id: None} | {job.id: State.RUNNING for job in others}


async def test_i1_commit_reply_cut_after_the_commit_is_a_yes(cut: Bench, line: Line) -> None:
    """The job is there: whoever asked must be told so, and must not send it again."""
    await cut.admit(ordering_key="k")  # the line is warm

    line.cut_at(b"COMMIT", after=True)
    admitted = await cut.admit(ordering_key="k")

    assert line.cuts == 1
    assert not admitted.accepted.replayed
    assert await cut.state(admitted.accepted.job_id) is State.QUEUED


async def test_i1_a_statement_cut_after_it_was_done_is_a_yes(cut: Bench, line: Line) -> None:
    """A plain submit is one statement, and its own commit."""
    await cut.admit()

    line.cut_at(b"cut here", after=True)
    admitted = await cut.admit(request=b'"cut here"')

    assert line.cuts == 1
    assert await cut.state(admitted.accepted.job_id) is State.QUEUED


async def test_i1_a_cut_before_the_commit_is_a_no_and_nothing_is_kept(
    cut: Bench, line: Line
) -> None:
    """503, and the same key is free for the next try."""
    await cut.admit(idempotency=an_idempotency("warm"))

    line.cut_at(b"COMMIT", after=False)
    with pytest.raises(Unavailable):
        await cut.admit(idempotency=an_idempotency("k"))

    assert line.cuts == 1
    assert len(await cut.sql("SELECT FROM jobs")) == 1
    again = await cut.admit(idempotency=an_idempotency("k"))
    assert not again.accepted.replayed


async def test_i1_a_retry_after_an_unknown_commit_finds_the_same_job(
    cut: Bench, bench: Bench, line: Line
) -> None:
    """F14: the database is away for the question as well; the caller's own key tells the truth."""
    await cut.admit(idempotency=an_idempotency("warm"))
    first = a_submission(idempotency=an_idempotency("k"))
    line.cut_at(b"COMMIT", after=True, then_refuse=True)
    with pytest.raises(Unavailable):
        await cut.intake.admit(first)
    line.open_again()

    again = await cut.admit(idempotency=an_idempotency("k"))

    assert (again.accepted.job_id, again.accepted.replayed) == (first.id, True)
    assert len(await bench.sql("SELECT FROM jobs")) == 2


async def test_a_batch_whose_commit_is_unknown_is_answered_one_by_one(
    cut: Bench, line: Line
) -> None:
    """All of it was committed, or none: each caller learns which."""
    await cut.admit(ordering_key="k")

    line.cut_at(b"COMMIT", after=True)
    answers = await asyncio.gather(*(cut.admit(ordering_key="k") for _ in range(10)))

    assert line.cuts == 1
    assert len({answer.accepted.job_id for answer in answers}) == 10


async def test_a_verdict_whose_commit_was_cut_is_not_written_twice(cut: Bench, line: Line) -> None:
    """I2: the worker asks again, and finds that it was itself that ended the job."""
    job = await cut.running(ordering_key="k")

    line.cut_at(b"COMMIT", after=True)
    with pytest.raises(Unavailable):
        await cut.finish(job)
    assert line.cuts == 1

    [again] = (await cut.work.finish([a_ruling(job, Move.COMPLETE)], again=True)).finished
    assert again.state is State.COMPLETED
    assert await cut.kinds(job.id) == ["accepted", "running", "completed"]


async def test_s24_unsorted_batches_do_not_deadlock(bench: Bench) -> None:
    """Renewals and verdicts of one worker touch the same rows at the same time."""
    ids = [a_job_id(), a_job_id()]
    second, first = [await bench.running(id=job_id) for job_id in sorted(ids, reverse=True)]
    holder = await asyncpg.connect(bench.url)
    try:
        transaction = holder.transaction()
        await transaction.start()
        await holder.execute("SELECT FROM jobs WHERE id = $1 FOR UPDATE", first.id)
        finish = asyncio.create_task(
            bench.work.finish([a_ruling(job, Move.COMPLETE) for job in (first, second)])
        )
        await _waiting_for_locks(bench, 1)
        renew = asyncio.create_task(
            bench.work.renew({second.id: second.token, first.id: first.token})
        )
        progress = asyncio.create_task(
            bench.work.progress([(job.id, job.token, 1, "") for job in (second, first)])
        )
        await _waiting_for_locks(bench, 3)
        await transaction.commit()

        settled, renewed, told = await asyncio.gather(finish, renew, progress)
    finally:
        await holder.close()

    assert [one.state for one in settled.finished] == [State.COMPLETED] * 2
    assert renewed == {}
    assert told == []


async def _waiting_for_locks(bench: Bench, how_many: int) -> None:
    """Wait until *how_many* sessions wait for a lock."""

    async def do_wait() -> bool:
        query = (
            "SELECT count(*) FROM pg_stat_activity"
            " WHERE wait_event_type = 'Lock' AND datname = current_database()"
        )
        waiting: int = await bench.pool.fetchval(query)
        return waiting >= how_many

    await until(do_wait, within=5, every=0.005, what=f"{how_many} wait for a lock")


async def test_a_blob_is_not_swept_away_under_a_submit_that_needs_it(bench: Bench) -> None:
    """One that is just being used is passed over, and what else is old goes all the same."""
    blob, idle = a_blob(), a_blob()
    for one in (blob, idle):
        await bench.blobs.add(THE_TENANT, one)
    async with bench.pool.transaction() as submit:
        await submit.execute(
            "INSERT INTO blob_uses (blob_id, job_id) VALUES ($1, $2)", blob.id, a_job_id()
        )

        assert await bench.upkeep.forget_blobs(older=timedelta(0)) == [idle.id]

    assert await bench.upkeep.forget_blobs(older=timedelta(0)) == []
    assert await bench.blobs.get(THE_TENANT, blob.id) == blob


async def test_every_table_is_emptied_between_tests(bench: Bench) -> None:
    """Else a test would see another one's jobs."""
    tables = await bench.sql(
        "SELECT relname FROM pg_class WHERE relkind = 'r' AND relname <> 'migrations'"
        "   AND relnamespace = 'public'::regnamespace"
    )

    assert {row["relname"] for row in tables} == set(re.findall(r"DELETE FROM (\w+)", EMPTY))
