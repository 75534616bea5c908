"""What happens to jobs as time passes."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from types import SimpleNamespace
from typing import Any, cast

import pytest

from shared.contract.errors import Gone, Unavailable, UnknownJob
from shared.contract.ids import THE_TENANT, JobId
from shared.contract.states import Move, State
from shared.store.pool import Connection, Pool
from shared.store.sql import statement
from shared.store.upkeep import UpkeepStore
from tests.integration.bench import Bench, a_bench, crash
from tests.integration.soundness import unsound
from tests.support.builders import a_job_id, a_tenant, an_idempotency

pytestmark = pytest.mark.servers

SECOND = timedelta(seconds=1)


async def make_due(bench: Bench, *job_ids: JobId) -> None:
    await bench.sql("UPDATE jobs SET due = clock_timestamp() WHERE id = ANY($1)", job_ids)


async def pass_deadline(bench: Bench, *job_ids: JobId) -> None:
    past = "UPDATE jobs SET deadline = clock_timestamp() - interval '1 s' WHERE id = ANY($1)"
    await bench.sql(past, job_ids)


async def test_a_due_job_is_queued_and_knocked_for(bench: Bench) -> None:
    """Whether it was delayed or waited for its next try."""
    delayed = await bench.submit(delay=timedelta(hours=1))
    retried = await bench.running()
    await bench.finish(retried, Move.RETRY)
    later = await bench.submit(delay=timedelta(hours=1))
    await bench.forget_knocks()
    await make_due(bench, delayed, retried.id)

    tended = await bench.upkeep.come_due()

    assert {moved.id for moved in tended.moved} == {delayed, retried.id}
    assert sorted(await bench.knocked()) == sorted([delayed, retried.id])
    assert await bench.state(later) is State.SCHEDULED
    assert {news.job_id for news in tended.news} == {delayed, retried.id}


async def test_a_due_job_that_is_not_the_head_waits_for_its_turn(bench: Bench) -> None:
    """I5: it is knocked for when the head ends, not before."""
    head = await bench.running(ordering_key="k")
    delayed = await bench.submit(ordering_key="k", delay=timedelta(hours=1))
    await bench.forget_knocks()
    await make_due(bench, delayed)

    await bench.upkeep.come_due()
    assert await bench.knocked() == []

    await bench.finish(head)
    assert await bench.knocked() == [delayed]


async def test_a_lost_lease_is_rescued_with_a_new_token_and_a_knock(bench: Bench) -> None:
    """The old worker is fenced before anybody else can start."""
    job = await bench.running()
    healthy = await bench.running()
    await bench.forget_knocks()
    await bench.let_lapse(job.id)

    tended = await bench.upkeep.rescue()

    assert [(moved.id, moved.state) for moved in tended.moved] == [(job.id, State.QUEUED)]
    assert await bench.knocked() == [job.id]
    assert await bench.state(healthy.id) is State.RUNNING
    [again] = await bench.claim(job.id)
    assert (again.attempt, again.crashes) == (2, 1)
    assert again.token > job.token + 1


async def test_i3_a_crash_loop_ends_after_three_and_frees_the_key(bench: Bench) -> None:
    """A job that kills its workers must not kill them for ever, nor hold its key."""
    poison = await bench.submit(ordering_key="k")
    following = await bench.submit(ordering_key="k")

    await crash(bench, poison, 2)
    assert await bench.state(poison) is State.QUEUED
    await crash(bench, poison, 1)

    view = await bench.view(poison)
    assert (view.state, view.error_code) == (State.FAILED, "crash_loop")
    assert await bench.head("k") == following
    assert await unsound(bench) == {}


async def test_a_crash_loop_of_a_blocking_type_holds_the_key(bench: Bench) -> None:
    """It has failed for good, as its type counts it."""
    poison = await bench.submit(ordering_key="k", blocks=True)
    await bench.submit(ordering_key="k")

    await crash(bench, poison, 3)

    assert await bench.head("k") == poison


async def test_a_cancelled_job_whose_worker_died_is_cancelled(bench: Bench) -> None:
    """Nobody is left to say that it has stopped, and it must not begin anew."""
    job = await bench.running(ordering_key="k")
    following = await bench.submit(ordering_key="k")
    await bench.intake.cancel(THE_TENANT, job.id)
    await bench.let_lapse(job.id)

    await bench.upkeep.rescue()

    assert await bench.state(job.id) is State.CANCELLED
    assert await bench.head("k") == following


async def test_i3_what_has_lasted_too_long_expires_and_frees_its_key(bench: Bench) -> None:
    """Also when no worker of its pool has ever lived, and while it runs."""
    waiting = await bench.submit(ordering_key="k", pool="nobody")
    running = await bench.running(ordering_key="other")
    in_time = await bench.submit(ordering_key="k")
    scheduled = await bench.submit(delay=timedelta(hours=1))
    await bench.forget_knocks()
    await pass_deadline(bench, waiting, running.id, scheduled)

    tended = await bench.upkeep.expire()

    assert {moved.id for moved in tended.moved} == {waiting, running.id, scheduled}
    assert await bench.head("k") == in_time
    assert await bench.head("other") is None
    assert await bench.knocked() == [in_time]
    assert (await bench.finish(running)).state is None  # the worker was fenced
    assert (await bench.view(waiting)).error_code == "expired"


async def test_a_start_deadline_counts_until_the_first_start(bench: Bench) -> None:
    """It says when it makes no sense any more to begin."""
    never, begun = await bench.submit(), await bench.running()
    await bench.finish(begun, Move.INTERRUPT)
    await bench.sql("UPDATE jobs SET start_deadline = clock_timestamp() - interval '1 second'")

    tended = await bench.upkeep.expire()

    assert [moved.id for moved in tended.moved] == [never]


async def unheard(bench: Bench, *, is_empty: bool) -> list[JobId]:
    rows = await bench.upkeep.unheard("default", "normal", is_empty=is_empty, older=5 * SECOND)
    return [job_id for row in rows for job_id in row.job_ids]


async def knocked_ago(bench: Bench, job_id: JobId, seconds: int) -> None:
    change = (
        "UPDATE jobs SET knocked_at = clock_timestamp() - make_interval(secs => $2) WHERE id = $1"
    )
    await bench.sql(change, job_id, seconds)


async def test_an_old_knock_is_repeated_only_when_the_queue_is_empty(bench: Bench) -> None:
    """A backlog that waits its turn is not knocked for again and again."""
    old, _fresh = await bench.submit(), await bench.submit()
    await knocked_ago(bench, old, 60)

    assert await unheard(bench, is_empty=False) == []
    assert await unheard(bench, is_empty=True) == [old]
    assert await unheard(bench, is_empty=True) == []  # it has just been knocked for


async def test_a_knock_that_was_overtaken_is_lost(bench: Bench) -> None:
    """A queue keeps its order: one made later and heard before says that this one is gone."""
    lost = await bench.submit()
    await bench.running()
    await knocked_ago(bench, lost, 60)

    assert await unheard(bench, is_empty=False) == [lost]


@pytest.mark.parametrize("key", [None, "k"])
async def test_a_job_whose_type_a_worker_does_not_know_finds_one_that_does(
    bench: Bench, key: str | None
) -> None:
    """F22: such a worker lets its knock go; the next one comes after seconds, and spins never."""
    stranger = a_bench(bench.url, bench.pool, types=("demo.other",))
    job_id = await bench.submit(ordering_key=key)
    assert await stranger.claim(job_id) == []
    assert await bench.state(job_id) is State.QUEUED
    assert await unheard(bench, is_empty=True) == []

    await knocked_ago(bench, job_id, 6)

    assert await unheard(bench, is_empty=True) == [job_id]
    assert await stranger.claim(job_id) == []
    assert await unheard(bench, is_empty=True) == []
    assert [job.id for job in await bench.claim(job_id)] == [job_id]


async def test_the_next_job_of_a_lane_may_be_of_a_type_its_worker_does_not_know(
    bench: Bench,
) -> None:
    """It is knocked for with the end of the one before, as if the lane had no turn left."""
    first = await bench.running(ordering_key="k")
    other = await bench.submit(ordering_key="k", type="demo.other")

    finished = await bench.finish(first, has_turn=True)

    assert finished.next is None
    assert (await bench.knocked())[-1] == other
    assert await bench.claim(other) == []
    await knocked_ago(bench, other, 6)
    assert await unheard(bench, is_empty=True) == [other]


async def test_a_job_behind_the_head_is_never_unheard(bench: Bench) -> None:
    """Nobody has knocked for it, and nobody should."""
    await bench.running(ordering_key="k")
    await bench.submit(ordering_key="k")

    assert await unheard(bench, is_empty=True) == []


async def test_a_job_of_another_queue_is_not_unheard_here(bench: Bench) -> None:
    """Each queue is asked for by itself: it is its own emptiness that counts."""
    other = await bench.submit(pool="video")
    await knocked_ago(bench, other, 60)

    assert await unheard(bench, is_empty=True) == []


async def _outlive(bench: Bench) -> None:
    await bench.sql("UPDATE jobs SET expires_at = clock_timestamp() - interval '1 second'")


async def test_i9_what_was_kept_long_enough_is_gone_and_not_unknown(bench: Bench) -> None:
    """410 says that it was: 404 would make a caller doubt itself."""
    job = await bench.ended()
    await _outlive(bench)

    assert await bench.upkeep.forget() == 1

    with pytest.raises(Gone):
        await bench.view(job.id)
    with pytest.raises(UnknownJob):  # I11: another tenant learns nothing
        await bench.reads.job(a_tenant(), job.id)
    with pytest.raises(UnknownJob):
        await bench.view(JobId(a_job_id()))
    assert await bench.sql("SELECT FROM job_events") == []


async def test_a_live_job_is_never_forgotten(bench: Bench) -> None:
    """Only endings have a time after which they may go."""
    await bench.running()
    await bench.submit()

    assert await bench.upkeep.forget() == 0


class Breaks(Pool):
    """Breaks off, once, when it is to forget the heads."""

    def __init__(self, pool: Pool) -> None:
        self._real, self.has_broken = pool, False

    @asynccontextmanager
    async def connection(self) -> AsyncIterator["Connection[Any]"]:
        async with self._real.connection() as connection:
            yield cast("Connection[Any]", self._listening(connection))

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator["Connection[Any]"]:
        async with self._real.transaction() as connection:
            yield cast("Connection[Any]", self._listening(connection))

    def _listening(self, connection: "Connection[Any]") -> SimpleNamespace:
        async def fetch(query: str, *args: Any) -> list[Any]:
            if query == statement("forget_heads") and not self.has_broken:
                self.has_broken = True
                raise Unavailable("the line was cut")
            return await connection.fetch(query, *args)

        return SimpleNamespace(fetch=fetch, execute=connection.execute)


async def test_a_key_outlives_its_last_job_by_no_breakdown(bench: Bench) -> None:
    """Nobody would come back for it: its jobs are gone, and with them the way to its head."""
    await bench.ended(ordering_key="k")
    await _outlive(bench)
    breaks = Breaks(bench.pool)
    upkeep = UpkeepStore(breaks, confirm_wait=timedelta(0))
    with pytest.raises(Unavailable):
        await upkeep.forget()
    assert breaks.has_broken

    await upkeep.forget()

    assert await bench.sql("SELECT FROM jobs") == []
    assert await bench.sql("SELECT FROM key_heads") == []


async def test_an_ordering_key_is_let_go_with_its_last_job(bench: Bench) -> None:
    """Keys are made up by callers without end; they must not be kept without end."""
    for key in ("a", "b"):
        await bench.ended(ordering_key=key)
    waiting = await bench.submit(ordering_key="b")
    await bench.sql("UPDATE jobs SET expires_at = now() - interval '1 s' WHERE id <> $1", waiting)

    await bench.upkeep.forget()

    assert [row["key"] for row in await bench.sql("SELECT key FROM key_heads")] == ["b"]
    assert await bench.head("b") == waiting


async def test_a_failed_job_that_holds_its_key_is_not_forgotten(bench: Bench) -> None:
    """Without it nobody could let the key go on: what waits behind it would wait for ever."""
    blocker = await bench.ended(Move.FAIL, ordering_key="k", blocks=True)
    passed_by = await bench.ended(Move.FAIL, ordering_key="l", blocks=False)
    await _outlive(bench)

    await bench.upkeep.forget()

    assert await bench.state(blocker.id) is State.FAILED
    with pytest.raises(Gone):
        await bench.view(passed_by.id)


async def test_after_thirty_days_nothing_is_left(bench: Bench) -> None:
    """Neither the tombstone nor the idempotency key: then the same key is a new request."""
    first = await bench.submit(idempotency=an_idempotency("k"))
    [job] = await bench.claim(first)
    await bench.finish(job)
    await _outlive(bench)
    await bench.upkeep.forget()
    assert (await bench.admit(idempotency=an_idempotency("k"))).accepted.job_id == first

    await bench.sql("UPDATE tombstones SET at = at - interval '31 days'")
    await bench.upkeep.forget()

    with pytest.raises(UnknownJob):
        await bench.view(first)
    assert not (await bench.admit(idempotency=an_idempotency("k"))).accepted.replayed


async def test_upkeep_leaves_to_another_replica_what_it_holds(bench: Bench) -> None:
    """Any number of replicas tend at once, without a leader and without waiting."""
    jobs = [await bench.running() for _ in range(2)]
    await bench.let_lapse(*(job.id for job in jobs))
    async with bench.pool.transaction() as other:
        await other.fetch("SELECT FROM jobs WHERE id = $1 FOR UPDATE", jobs[0].id)

        tended = await bench.upkeep.rescue()

    assert [moved.id for moved in tended.moved] == [jobs[1].id]
    assert [moved.id for moved in (await bench.upkeep.rescue()).moved] == [jobs[0].id]
