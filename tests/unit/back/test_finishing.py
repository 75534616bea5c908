"""Writing down how attempts ended: never given up, and no verdict for another's fate."""

import asyncio
from typing import Any

import pytest

from back_service import finishing
from back_service.finishing import Finisher, Record
from shared.contract.errors import Unavailable
from shared.contract.jobs import Job
from shared.contract.outcomes import Verdict
from shared.contract.states import Move, State
from shared.store.pool import Busy, Locked, Rejected
from shared.store.work import Ruling
from tests.support.builders import a_job
from tests.support.clock import ManualClock
from tests.unit.back.fakes import Ears, FakeWork


class Desk:
    def __init__(self) -> None:
        self.work, self.ears, self.clock = FakeWork(), Ears(), ManualClock()
        self.finisher = Finisher(self.work.as_store, self.ears.as_teller, self.clock)

    async def finish(self, job: Job, *, has_turn: bool = True, **verdict: Any) -> Record:
        usual: dict[str, Any] = {"move": Move.COMPLETE, "result": b"1"}
        ruling = Ruling(job=job, verdict=Verdict(**usual | verdict), has_turn=has_turn)
        async with asyncio.timeout(5):
            return await self.finisher.finish(ruling)

    def states(self, *jobs: Job) -> list[State]:
        return [self.work.states[job.id] for job in jobs]


@pytest.fixture
def desk(monkeypatch: pytest.MonkeyPatch) -> Desk:
    """A desk that does not wait long before it asks again."""
    monkeypatch.setattr(finishing, "_FIRST_PAUSE", 0.001)
    return Desk()


async def test_verdicts_of_one_moment_share_a_commit(desk: Desk) -> None:
    """And all of them are told."""
    jobs = [desk.work.add() for _ in range(5)]

    records = await asyncio.gather(*(desk.finish(job) for job in jobs))

    assert [len(batch) for batch in desk.work.batches] == [5]
    assert [record.finished.state for record in records] == [State.COMPLETED] * 5
    assert {news.job_id for news in desk.ears.news} == {job.id for job in jobs}


async def test_the_next_of_a_key_comes_with_the_record(desk: Desk) -> None:
    """Its lease counts from before the question."""
    job, following = desk.work.add(), a_job()
    desk.work.following[job.id] = following

    record = await desk.finish(job)

    assert record.finished.next is following
    assert record.asked_at == desk.clock.now


async def test_a_stale_verdict_is_known_to_be_fenced(desk: Desk) -> None:
    """Its worker is told, and goes on with something else."""
    job = desk.work.add()
    desk.work.tokens[job.id] += 1

    assert (await desk.finish(job)).finished.state is None


async def test_a_verdict_is_never_given_up_while_the_database_is_away(desk: Desk) -> None:
    """The work is done: it waits for as long as it takes."""
    job = desk.work.add()
    desk.work.troubles = [Unavailable("away")] * 4

    assert (await desk.finish(job)).finished.state is State.COMPLETED
    assert desk.work.troubles == []


async def test_a_verdict_in_doubt_stays_so_while_somebody_holds_its_job(desk: Desk) -> None:
    """It may have been written, and says so with each question until it is answered."""
    job, other = desk.work.add(), desk.work.add()
    desk.work.troubles = [Unavailable("unheard"), Busy("held"), Busy("held")]

    await desk.finish(job)
    await desk.finish(other)

    assert desk.work.again == [True, False]


@pytest.mark.parametrize("trouble", [Busy, Locked])
async def test_a_verdict_waits_for_whoever_holds_its_job(desk: Desk, trouble: type[Busy]) -> None:
    """F15: a lock costs a wait, and never the verdict."""
    job = desk.work.add()
    desk.work.troubles = [trouble("held")] * 3

    assert (await desk.finish(job)).finished.state is State.COMPLETED


async def test_i18_a_poisoned_verdict_spoils_only_itself(desk: Desk) -> None:
    """Its neighbours by chance are written; it ends as failed, and says why."""
    jobs = [desk.work.add() for _ in range(5)]
    desk.work.poison = {jobs[2].id}

    records = await asyncio.gather(*(desk.finish(job) for job in jobs))

    states = [record.finished.state for record in records]
    assert states == [State.COMPLETED, State.COMPLETED, State.FAILED, *[State.COMPLETED] * 2]
    [refused] = [r for batch in desk.work.batches for r in batch if r.verdict.move is Move.FAIL]
    assert refused.verdict.failure is not None
    assert refused.verdict.failure.code == "result_invalid"


async def test_trouble_in_the_midst_of_a_spoiled_batch_fences_nobody(desk: Desk) -> None:
    """What was written by itself is not asked for again: its next job would be lost."""
    jobs = [desk.work.add() for _ in range(4)]
    following = [a_job() for _ in jobs]
    desk.work.following = {j.id: f for j, f in zip(jobs, following, strict=True)}
    desk.work.poison = {jobs[3].id}
    desk.work.troubles = [_fine(), _fine(), _fine(), Unavailable("away")]

    records = await asyncio.gather(*(desk.finish(job) for job in jobs))

    assert [record.finished.next for record in records] == following


async def test_a_second_refusal_is_its_own_callers_alone(desk: Desk) -> None:
    """A bug of ours: the lane falls, and with it no other one."""
    jobs = [desk.work.add() for _ in range(3)]
    desk.work.hopeless = {jobs[1].id}

    answers = await asyncio.gather(*(desk.finish(job) for job in jobs), return_exceptions=True)

    assert [type(answer) for answer in answers] == [Record, Rejected, Record]
    assert desk.states(*jobs) == [State.COMPLETED, State.RUNNING, State.COMPLETED]


async def test_one_that_somebody_holds_keeps_no_other_waiting(desk: Desk) -> None:
    """They are written while it still waits."""
    jobs = [desk.work.add() for _ in range(4)]
    desk.work.held = {jobs[0].id}
    tasks = [asyncio.create_task(desk.finish(job)) for job in jobs]

    await asyncio.gather(*tasks[1:])
    assert not tasks[0].done()

    desk.work.held.clear()
    assert (await tasks[0]).finished.state is State.COMPLETED


def _fine() -> BaseException | None:
    """Stand for a question that has no trouble."""
    return None
