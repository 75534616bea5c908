"""What the store promises of a replay, and of a key that a failed job holds."""

from datetime import datetime, timedelta
from typing import Final

import pytest

from shared.contract.ids import THE_TENANT, JobId
from shared.contract.states import Move, State
from tests.integration.bench import Bench
from tests.integration.soundness import unsound
from tests.support.builders import a_job_id, a_tenant

pytestmark = pytest.mark.servers

REPLAYABLE: Final = (State.FAILED, State.CANCELLED, State.EXPIRED)
_AN_HOUR: Final = timedelta(hours=1)


async def ended(bench: Bench, state: State, **wishes: object) -> JobId:
    """Bring a job to an ending that a replay takes back."""
    if state is State.FAILED:
        return (await bench.ended(Move.FAIL, **wishes)).id
    job_id = await bench.submit(**wishes)
    if state is State.CANCELLED:
        await bench.intake.cancel(THE_TENANT, job_id)
    else:
        await bench.let_expire(job_id)
    assert await bench.state(job_id) is state
    return job_id


async def held(bench: Bench) -> tuple[JobId, JobId]:
    """Let the first of a key fail and hold it; answer it and who waits behind it."""
    first = await bench.ended(Move.FAIL, ordering_key="k", blocks=True)
    second = await bench.submit(ordering_key="k")
    assert await bench.head("k") == first.id
    await bench.forget_knocks()
    return first.id, second


async def deadline_of(bench: Bench, job_id: JobId) -> datetime:
    [row] = await bench.sql("SELECT deadline FROM jobs WHERE id = $1", job_id)
    deadline: datetime = row["deadline"]
    return deadline


@pytest.mark.parametrize("state", REPLAYABLE)
async def test_a_replayed_job_begins_anew(bench: Bench, state: State) -> None:
    """Nothing of its last run is told as if it were of this one."""
    job_id = await ended(bench, state)
    before = await bench.view(job_id)
    await bench.forget_knocks()

    replayed = await bench.intake.replay(THE_TENANT, job_id)

    assert replayed is not None
    assert replayed.state is State.QUEUED
    assert (replayed.news.job_id, replayed.news.sequence) == (job_id, before.sequence + 1)
    assert [row.job_ids for row in replayed.rows] == [(job_id,)]
    view = await bench.view(job_id)
    assert (view.replays, view.attempt, view.progress) == (1, 0, 0)
    assert (view.started_at, view.completed_at, view.expires_at) == (None, None, None)
    assert (view.error, view.error_code, view.message) == (None, None, None)
    assert await unsound(bench) == {}


async def test_a_replayed_job_has_all_its_attempts_and_crashes_again(bench: Bench) -> None:
    """Else it would fail at its first trouble."""
    job = await bench.running(max_attempts=4)
    await bench.sql("UPDATE jobs SET attempt = 4, crashes = 2")
    await bench.finish(job, Move.FAIL)

    await bench.intake.replay(THE_TENANT, job.id)

    [again] = await bench.claim(job.id)
    assert (again.attempt, again.crashes, again.max_attempts) == (1, 0, 4)


async def test_i2_each_run_has_one_ending(bench: Bench) -> None:
    """The history goes on without a gap, run after run."""
    job_id = await ended(bench, State.CANCELLED)
    for _ in range(2):
        await bench.intake.replay(THE_TENANT, job_id)
        [job] = await bench.claim(job_id)
        await bench.finish(job, Move.FAIL)
    await bench.intake.replay(THE_TENANT, job_id)
    [job] = await bench.claim(job_id)
    await bench.finish(job)

    run = ["queued", "running", "failed"]
    assert await bench.kinds(job_id) == [
        *("accepted", "cancelled", *run, *run, "queued", "running", "completed")
    ]
    history = await bench.reads.history({(THE_TENANT, job_id): 0})
    assert [event.replays for event in history[job_id][1]] == [0, 0, 1, 1, 1, 2, 2, 2, 3, 3, 3]
    assert await unsound(bench) == {}


async def test_the_worker_of_the_old_run_changes_nothing(bench: Bench) -> None:
    """It was expired while it ran, and does not know."""
    zombie = await bench.running()
    await bench.let_expire(zombie.id)
    await bench.intake.replay(THE_TENANT, zombie.id)
    assert (await bench.finish(zombie)).state is None
    [job] = await bench.claim(zombie.id)

    assert job.token > zombie.token
    assert (await bench.finish(zombie)).state is None
    assert await bench.work.renew({zombie.id: zombie.token}) == {}
    assert (await bench.finish(job)).state is State.COMPLETED


async def test_a_replayed_job_has_as_long_as_it_had_at_first(bench: Bench) -> None:
    """Its old deadline has passed: it must not expire at once, nor live longer each time."""
    job_id = await ended(bench, State.CANCELLED, max_age=_AN_HOUR)
    shift = "created_at = created_at - interval '1 day', deadline = deadline - interval '1 day'"
    await bench.sql(f"UPDATE jobs SET {shift}")  # noqa: S608  ours
    await bench.sql("UPDATE job_events SET at = at - interval '1 day'")
    for _ in range(3):
        [now] = await bench.sql("SELECT clock_timestamp() AS at")
        await bench.intake.replay(THE_TENANT, job_id)

        given = await deadline_of(bench, job_id) - now["at"]
        assert abs(given - _AN_HOUR) < timedelta(seconds=10)
        assert (await bench.upkeep.expire()).moved == []
        await bench.intake.cancel(THE_TENANT, job_id)


async def test_a_start_deadline_is_for_the_first_run_only(bench: Bench) -> None:
    """It said until when the first one made sense; whoever replays means now."""
    [now] = await bench.sql("SELECT clock_timestamp() AS at")
    job_id = await bench.submit(start_deadline=now["at"])
    await bench.upkeep.expire()
    assert await bench.state(job_id) is State.EXPIRED

    await bench.intake.replay(THE_TENANT, job_id)

    assert (await bench.upkeep.expire()).moved == []
    assert [job.id for job in await bench.claim(job_id)] == [job_id]


async def test_what_attempts_left_stays(bench: Bench) -> None:
    """I4: an effect that was done is not done again, and the work goes on where it was."""
    job = await bench.running()
    assert await bench.work.note_effect(job, "mail")
    await bench.work.save_checkpoint(job, b"page 3")
    await bench.finish(job, Move.FAIL)

    await bench.intake.replay(THE_TENANT, job.id)

    [again] = await bench.claim(job.id)
    assert again.checkpoint == b"page 3"
    assert await bench.work.note_effect(again, "mail") is False


async def test_a_replayed_job_is_not_forgotten(bench: Bench) -> None:
    """The time of its old result is no longer its own."""
    job_id = await ended(bench, State.CANCELLED)
    await bench.sql("UPDATE jobs SET expires_at = clock_timestamp()")

    await bench.intake.replay(THE_TENANT, job_id)

    assert await bench.upkeep.forget() == 0


async def test_nobody_replays_what_lives_has_a_result_or_is_not_there(bench: Bench) -> None:
    """Nor a job of another tenant."""
    completed, waiting = (await bench.ended()).id, await bench.submit()
    failed = await ended(bench, State.FAILED)

    for job_id in (completed, waiting, a_job_id()):
        assert await bench.intake.replay(THE_TENANT, job_id) is None
    assert await bench.intake.replay(a_tenant(), failed) is None
    assert await bench.state(failed) is State.FAILED


async def test_replaying_twice_is_one_replay(bench: Bench) -> None:
    """A second click opens no second run."""
    job_id = await ended(bench, State.FAILED)

    assert await bench.intake.replay(THE_TENANT, job_id)

    assert await bench.intake.replay(THE_TENANT, job_id) is None
    assert (await bench.view(job_id)).replays == 1


async def test_a_replayed_job_goes_to_the_end_of_its_key(bench: Bench) -> None:
    """Its place was given up when it ended."""
    first = await bench.ended(Move.FAIL, ordering_key="k")
    second, third = [await bench.submit(ordering_key="k") for _ in range(2)]
    await bench.forget_knocks()

    replayed = await bench.intake.replay(THE_TENANT, first.id)

    assert replayed is not None
    assert replayed.rows == []
    assert await bench.head("k") == second
    for job_id in (second, third, first.id):
        [job] = await bench.claim(first.id, second, third)
        assert job.id == job_id
        await bench.finish(job)


async def test_a_replayed_job_of_an_idle_key_may_run_at_once(bench: Bench) -> None:
    """There is nobody to wait for; and who comes later comes after it."""
    first = await bench.ended(Move.FAIL, ordering_key="k")

    await bench.intake.replay(THE_TENANT, first.id)

    second = await bench.submit(ordering_key="k")
    assert await bench.head("k") == first.id
    assert [job.id for job in await bench.claim(second, first.id)] == [first.id]
    assert await unsound(bench) == {}


async def test_a_job_that_holds_its_key_is_replayed_in_its_place(bench: Bench) -> None:
    """That is what it was held for: those behind it need what it does."""
    first, second = await held(bench)

    replayed = await bench.intake.replay(THE_TENANT, first)

    assert replayed is not None
    assert [row.job_ids for row in replayed.rows] == [(first,)]
    assert await bench.claim(second) == []
    [job] = await bench.claim(first)
    await bench.finish(job)
    assert await bench.head("k") == second
    assert await unsound(bench) == {}


async def test_a_release_lets_the_next_of_a_key_go_on(bench: Bench) -> None:
    """The failed job stays as it is, and can still be replayed: at the end."""
    first, second = await held(bench)

    rows = await bench.intake.release(THE_TENANT, first)

    assert rows is not None
    assert [row.job_ids for row in rows] == [(second,)]
    assert await bench.head("k") == second
    assert await bench.state(first) is State.FAILED
    assert await bench.intake.replay(THE_TENANT, first)
    assert await bench.head("k") == second
    assert await bench.knocked() == [second]
    assert await unsound(bench) == {}


async def test_a_key_without_a_next_is_free_after_a_release(bench: Bench) -> None:
    """Whoever comes then is the head."""
    first = await bench.ended(Move.FAIL, ordering_key="k", blocks=True)

    assert await bench.intake.release(THE_TENANT, first.id) == []

    second = await bench.submit(ordering_key="k")
    assert await bench.head("k") == second


async def test_what_holds_no_key_is_not_released(bench: Bench) -> None:
    """A job that lives, one whose type skips, one released before, one of another tenant."""
    first, _ = await held(bench)
    skips = await bench.ended(Move.FAIL, ordering_key="other")
    lives = await bench.running(ordering_key="third", blocks=True)

    for job_id in (skips.id, lives.id, a_job_id()):
        assert await bench.intake.release(THE_TENANT, job_id) is None
    assert await bench.intake.release(a_tenant(), first) is None
    assert await bench.head("k") == first
    await bench.intake.release(THE_TENANT, first)
    assert await bench.intake.release(THE_TENANT, first) is None
