"""What the store promises a worker: claims, verdicts, and that a stale token changes nothing."""

from datetime import timedelta
from typing import Final

import pytest

from shared.contract.ids import THE_TENANT
from shared.contract.jobs import Job
from shared.contract.states import MOVES, Move, State
from tests.integration.bench import FAILURE, Bench, a_bench, a_ruling
from tests.integration.soundness import unsound
from tests.support.builders import a_job_id, a_tenant

pytestmark = pytest.mark.servers

VERDICTS: Final = (
    Move.COMPLETE,
    Move.RETRY,
    Move.FAIL,
    Move.SNOOZE,
    Move.INTERRUPT,
    Move.STOP,
)


async def test_a_claim_hands_out_what_was_submitted(bench: Bench) -> None:
    """The row is the truth: a knock says no more than where it lies."""
    job_id = await bench.submit(request=b'{"payload": 1}', track_id="abc", max_attempts=7)

    [job] = await bench.claim(job_id)

    assert (job.id, job.request, job.track_id, job.max_attempts) == (
        job_id,
        b'{"payload": 1}',
        "abc",
        7,
    )
    assert (job.attempt, job.crashes, job.sequence) == (1, 0, 2)
    assert await bench.state(job_id) is State.RUNNING
    assert await bench.kinds(job_id) == ["accepted", "running"]


@pytest.mark.parametrize("key", [None, "k"])
async def test_a_job_may_wait_for_longer_than_a_number_has_room_for(
    bench: Bench, key: str | None
) -> None:
    """25 days are more milliseconds than fit: a claim must not break on its own statistics."""
    first = await bench.running(ordering_key="k")
    waiting = await bench.submit(ordering_key=key)
    await bench.sql(
        "UPDATE jobs SET created_at = created_at - interval '90 days',"
        " knocked_at = NULL, updated_at = updated_at - interval '60 days' WHERE id = $1",
        waiting,
    )

    finished = await bench.finish(first, has_turn=True)

    [job] = [finished.next] if finished.next else await bench.claim(waiting)
    assert (job.id, job.waited_ms) == (waiting, 2**31 - 1)


async def test_a_job_is_claimed_once(bench: Bench) -> None:
    """Knocks come twice: the second one finds the door closed."""
    job_id = await bench.submit()

    assert len(await bench.claim(job_id, job_id)) == 1
    assert await bench.claim(job_id) == []


async def test_a_claim_of_nothing_that_exists_brings_nothing(bench: Bench) -> None:
    """I13: whoever forges knocks gets no answer, and harms nobody."""
    ended = await bench.ended()
    scheduled = await bench.submit(delay=timedelta(hours=1))

    assert await bench.claim(a_job_id(), ended.id, scheduled) == []


async def test_i5_a_forged_knock_for_a_job_that_is_not_the_head_claims_nothing(
    bench: Bench,
) -> None:
    """S22: whatever the message says, a key runs one job at a time, in order."""
    first, second = [await bench.submit(ordering_key="k") for _ in range(2)]

    assert await bench.claim(second) == []
    assert [job.id for job in await bench.claim(second, first)] == [first]
    assert await bench.claim(second) == []


async def test_a_knock_that_hides_its_keys_claims_none_of_them(bench: Bench) -> None:
    """Its word decides only whether the keys are locked, never whose turn it is."""
    keyed, plain = await bench.submit(ordering_key="k"), await bench.submit()

    assert [job.id for job in await bench.claim(keyed, plain, keyed=False)] == [plain]


async def test_a_worker_claims_only_types_that_it_knows(bench: Bench) -> None:
    """During an upgrade an old worker must not fail jobs that it cannot do."""
    job_id = await bench.submit(type="videos.transcode")

    assert await bench.claim(job_id) == []
    other = a_bench(bench.url, bench.pool, types=["videos.transcode"])
    assert len(await other.claim(job_id)) == 1


async def test_a_job_past_its_start_deadline_is_not_begun(bench: Bench) -> None:
    """Nobody waits for it any more; but an attempt after the first has begun in time."""
    in_time, late = [await bench.submit() for _ in range(2)]
    [job] = await bench.claim(in_time)
    await bench.finish(job, Move.INTERRUPT)
    past = "UPDATE jobs SET start_deadline = clock_timestamp() - interval '1 second'"
    await bench.sql(past)

    assert [job.id for job in await bench.claim(in_time, late)] == [in_time]


async def test_jobs_without_a_slot_are_knocked_for_again_in_the_same_commit(bench: Bench) -> None:
    """I1: the old knock is acknowledged after it, so what it named must have a new one."""
    ids = [await bench.submit() for _ in range(3)]
    await bench.forget_knocks()

    claimed = await bench.work.claim(ids[:1], keyed=False, later=ids[1:])

    assert [job.id for job in claimed.jobs] == ids[:1]
    assert sorted(await bench.knocked()) == sorted(ids[1:])
    assert [row.id for row in claimed.rows] != []


async def test_a_job_that_ended_meanwhile_is_not_knocked_for_again(bench: Bench) -> None:
    """A knock for what cannot run is only work for everybody."""
    job_id = await bench.submit()
    await bench.intake.cancel(THE_TENANT, job_id)
    await bench.forget_knocks()

    assert (await bench.work.claim([], keyed=False, later=[job_id])).rows == []


@pytest.mark.parametrize("move", VERDICTS)
@pytest.mark.parametrize("key", [None, "k"])
async def test_a_verdict_moves_a_running_job_as_the_table_says(
    bench: Bench, move: Move, key: str | None
) -> None:
    """What ``MOVES`` does not allow is fenced, as if somebody else held the job."""
    job = await bench.running(ordering_key=key)

    finished = await bench.finish(job, move)

    assert finished.state == MOVES[move].get(State.RUNNING)
    assert await bench.state(job.id) is MOVES[move].get(State.RUNNING, State.RUNNING)
    assert await unsound(bench) == {}


@pytest.mark.parametrize("move", VERDICTS)
@pytest.mark.parametrize("key", [None, "k"])
async def test_a_verdict_on_a_cancelled_attempt_ends_the_job(
    bench: Bench, move: Move, key: str | None
) -> None:
    """Once a cancel was asked there is no other attempt; a result that is there still counts."""
    job = await bench.running(ordering_key=key)
    await bench.intake.cancel(THE_TENANT, job.id)

    finished = await bench.finish(job, move)

    assert finished.state is MOVES[move][State.CANCELLING]
    assert await unsound(bench) == {}


async def test_a_result_is_stored_byte_for_byte(bench: Bench) -> None:
    """What a handler wrote is not ours to change: not the spaces, not the digits."""
    job = await bench.running()

    await bench.finish(job, result=b'{ "n": 1.0000000000000000001 }')

    assert (await bench.view(job.id)).result == b'{ "n": 1.0000000000000000001 }'


async def test_snooze_and_interrupt_give_the_attempt_back(bench: Bench) -> None:
    """I15: a restart of the workers must not use up anybody's tries."""
    one, other = await bench.running(), await bench.running()

    await bench.finish(one, Move.SNOOZE)
    await bench.finish(other, Move.INTERRUPT)

    assert (await bench.view(one.id)).attempt == 0
    assert (await bench.view(other.id)).attempt == 0


async def test_an_interrupted_job_is_knocked_for_at_once(bench: Bench) -> None:
    """Another worker goes on with it while this one is still leaving."""
    job = await bench.running()
    await bench.forget_knocks()

    await bench.finish(job, Move.INTERRUPT)

    assert await bench.knocked() == [job.id]


async def test_the_next_of_a_key_is_knocked_for_when_the_head_ends(bench: Bench) -> None:
    """The hand-over is in the commit of the ending: there is no moment to lose it in."""
    first = await bench.running(ordering_key="k")
    second, third = [await bench.submit(ordering_key="k") for _ in range(2)]
    await bench.forget_knocks()

    await bench.finish(first)

    assert await bench.knocked() == [second]
    assert await bench.head("k") == second
    assert await bench.claim(third) == []


async def test_a_lane_with_a_turn_left_goes_on_in_the_same_commit(bench: Bench) -> None:
    """A hot key pays for no round trip through the broker."""
    first = await bench.running(ordering_key="k")
    second = await bench.submit(ordering_key="k")
    await bench.forget_knocks()

    finished = await bench.finish(first, has_turn=True)

    assert finished.next is not None
    assert finished.next.id == second
    assert await bench.state(second) is State.RUNNING
    assert await bench.knocked() == []


async def test_a_lane_does_not_go_on_with_a_type_it_does_not_know(bench: Bench) -> None:
    """Another worker does: it is knocked for."""
    first = await bench.running(ordering_key="k")
    second = await bench.submit(ordering_key="k", type="videos.transcode")
    await bench.forget_knocks()

    assert (await bench.finish(first, has_turn=True)).next is None
    assert await bench.knocked() == [second]


@pytest.mark.parametrize("move", [Move.RETRY, Move.SNOOZE, Move.INTERRUPT])
async def test_a_key_waits_while_its_head_has_another_try(bench: Bench, move: Move) -> None:
    """Order survives failure: a later job of a key never overtakes an earlier one."""
    first = await bench.running(ordering_key="k")
    second = await bench.submit(ordering_key="k")

    await bench.finish(first, move, has_turn=True)

    assert await bench.head("k") == first.id
    assert await bench.claim(second) == []


async def test_a_failed_job_of_a_blocking_type_holds_its_key(bench: Bench) -> None:
    """Its type says that what comes after makes no sense without it."""
    first = await bench.running(ordering_key="k", blocks=True)
    second = await bench.submit(ordering_key="k")
    await bench.forget_knocks()

    await bench.finish(first, Move.FAIL, has_turn=True)

    assert await bench.head("k") == first.id
    assert await bench.knocked() == []
    assert await bench.claim(second) == []
    assert await unsound(bench) == {}


async def test_a_failed_job_of_another_type_lets_its_key_go_on(bench: Bench) -> None:
    """The default: one bad job does not stop a customer's day."""
    first = await bench.running(ordering_key="k")
    second = await bench.submit(ordering_key="k")

    finished = await bench.finish(first, Move.FAIL, has_turn=True)

    assert finished.next is not None
    assert finished.next.id == second


async def test_a_batch_of_verdicts_is_answered_in_its_order(bench: Bench) -> None:
    """Group commit: keyed and plain, good and stale ones share a transaction."""
    jobs = [await bench.running(ordering_key=key) for key in ("a", None, "b", None)]
    await bench.submit(ordering_key="a")
    stale = await bench.ended()
    rulings = [
        a_ruling(job, move, has_turn=True)
        for job, move in zip(
            (*jobs, stale),
            (Move.COMPLETE, Move.RETRY, Move.FAIL, Move.INTERRUPT, Move.COMPLETE),
            strict=True,
        )
    ]

    settled = await bench.work.finish(rulings)

    assert [one.state for one in settled.finished] == [
        State.COMPLETED,
        State.RETRYING,
        State.FAILED,
        State.QUEUED,
        None,
    ]
    assert [one.next is not None for one in settled.finished] == [True, *[False] * 4]
    assert await unsound(bench) == {}


async def test_what_was_moved_is_told_with_its_number(bench: Bench) -> None:
    """A front that hears of it reads from there on."""
    job = await bench.running(ordering_key="k")
    following = await bench.submit(ordering_key="k")

    settled = await bench.work.finish([a_ruling(job, Move.COMPLETE, has_turn=True)])

    assert {(news.job_id, news.sequence) for news in settled.news} == {(job.id, 3), (following, 2)}


async def test_a_stale_token_changes_nothing(bench: Bench) -> None:
    """I5, I4: a worker that was thought dead may wake up at any time: all doors are shut."""
    zombie = await bench.running(ordering_key="k")
    await bench.let_lapse(zombie.id)
    await bench.upkeep.rescue()
    [present] = await bench.claim(zombie.id)
    before = await _whole(bench, present)

    assert (await bench.finish(zombie)).state is None
    assert await bench.work.renew({zombie.id: zombie.token}) == {}
    assert await bench.work.progress([(zombie.id, zombie.token, 99, "zombie")]) == []
    assert not await bench.work.save_checkpoint(zombie, b'"zombie"')
    assert await bench.work.note_effect(zombie, "mail") is None

    assert await _whole(bench, present) == before
    assert await bench.sql("SELECT FROM effects") == []
    assert (await bench.finish(present)).state is State.COMPLETED


async def test_a_lane_does_not_go_on_with_a_job_of_another_pool(bench: Bench) -> None:
    """A pool is a bulkhead: its workers hear of their own jobs by a knock of their own."""
    first = await bench.running(ordering_key="k")
    second = await bench.submit(ordering_key="k", pool="video")

    finished = await bench.finish(first, has_turn=True)

    assert finished.next is None
    assert second in await bench.knocked()


async def test_a_token_is_never_given_twice(bench: Bench) -> None:
    """It only grows, at each claim and each rescue."""
    job_id = await bench.submit()
    tokens = [0]
    for _ in range(2):
        [job] = await bench.claim(job_id)
        tokens.append(job.token)
        await bench.let_lapse(job_id)
        await bench.upkeep.rescue()
        [row] = await bench.sql("SELECT token FROM jobs WHERE id = $1", job_id)
        tokens.append(row["token"])

    assert tokens == sorted(set(tokens))


async def test_a_renewal_prolongs_the_lease_and_tells_of_a_cancel(bench: Bench) -> None:
    """One question for all that a worker holds."""
    one, asked, lost = [await bench.running() for _ in range(3)]
    await bench.intake.cancel(THE_TENANT, asked.id)
    await bench.let_lapse(one.id)

    told = await bench.work.renew(
        {one.id: one.token, asked.id: asked.token, lost.id: lost.token + 1}
    )

    assert told == {one.id: State.RUNNING, asked.id: State.CANCELLING}
    assert await bench.work.cancelling([one.id, asked.id]) == [asked.id]
    assert (await bench.upkeep.rescue()).moved == []  # a late renewal counts while the token fits


async def test_progress_never_goes_back_within_an_attempt(bench: Bench) -> None:
    """A bar that shrinks is worse than none; the next attempt begins anew."""
    job = await bench.running()

    await bench.work.progress([(job.id, job.token, 60, "well on")])
    await bench.work.progress([(job.id, job.token, 40, "a late word")])
    assert (await bench.view(job.id)).progress == 60

    await bench.finish(job, Move.INTERRUPT)
    await bench.claim(job.id)
    assert (await bench.view(job.id)).progress == 0


async def test_a_checkpoint_is_there_for_the_next_attempt_and_gone_after_the_last(
    bench: Bench,
) -> None:
    """An hour's work is not done twice; nor kept for ever."""
    job = await bench.running()

    assert await bench.work.save_checkpoint(job, b'{"page": 7}')
    await bench.finish(job, Move.INTERRUPT)
    [again] = await bench.claim(job.id)
    assert again.checkpoint == b'{"page": 7}'

    await bench.finish(again)
    [row] = await bench.sql("SELECT checkpoint FROM jobs")
    assert row["checkpoint"] is None


async def test_i4_an_effect_is_noted_once_for_all_attempts(bench: Bench) -> None:
    """S3: a crash between effect and finish must not make a second one."""
    job = await bench.running()
    assert await bench.work.note_effect(job, "mail") is True
    assert await bench.work.note_effect(job, "mail") is False
    assert await bench.work.note_effect(job, "another") is True

    await bench.finish(job, Move.INTERRUPT)
    [again] = await bench.claim(job.id)

    assert await bench.work.note_effect(again, "mail") is False


async def test_i4_a_cancel_closes_the_gate(bench: Bench) -> None:
    """After an accepted cancel nothing leaves the house any more."""
    job = await bench.running()
    await bench.intake.cancel(THE_TENANT, job.id)

    assert await bench.work.note_effect(job, "mail") is None


@pytest.mark.parametrize("state", ["completed", "failed", "cancelled", "expired"])
@pytest.mark.parametrize("goal", ["queued", "running", "completed", "cancelled"])
async def test_i2_an_ending_is_final_even_for_a_raw_update(
    bench: Bench, state: str, goal: str
) -> None:
    """S5: the net under the guards of every statement; only a replay may pass."""
    await bench.ended()
    now = "clock_timestamp()"
    await bench.sql("ALTER TABLE jobs DISABLE TRIGGER endings_are_final")
    try:
        await bench.sql("UPDATE jobs SET state = $1", state)
    finally:
        await bench.sql("ALTER TABLE jobs ENABLE TRIGGER endings_are_final")

    lease = f"{now} + interval '1 hour'" if goal == "running" else "NULL"
    ended = now if goal in ("completed", "cancelled") else "NULL"
    change = f"UPDATE jobs SET state = $1, lease_until = {lease}, completed_at = {ended}"  # noqa: S608  ours
    if goal == state:
        await bench.sql(change, goal)
    else:
        with pytest.raises(Exception, match="cannot become"):
            await bench.sql(change, goal)


async def test_i2_a_run_has_one_ending(bench: Bench) -> None:
    """S5: whatever wrote the second one, the history would not hold it."""
    job = await bench.ended()

    with pytest.raises(Exception, match="one_ending"):
        await bench.sql(
            "INSERT INTO job_events (job_id, sequence, replays, kind, token, attempt)"
            " VALUES ($1, 4, 0, 'failed', 1, 1)",
            job.id,
        )


async def test_a_failed_job_tells_why_and_stays_for_a_week(bench: Bench) -> None:
    """Somebody has to look at it before it goes; its own time to live may be shorter."""
    job = await bench.running(result_ttl=timedelta(minutes=1))
    await bench.finish(job, Move.FAIL)

    view = await bench.view(job.id)
    assert (view.error_code, view.error) == (FAILURE.code, FAILURE.message)
    assert view.expires_at is not None
    assert view.completed_at is not None
    assert view.expires_at - view.completed_at >= timedelta(days=7)


async def test_another_tenants_job_cannot_be_cancelled(bench: Bench) -> None:
    """I11: and the answer is the one for a job that never was."""
    theirs = a_tenant()
    job_id = await bench.submit(tenant=theirs)

    assert await bench.intake.cancel(THE_TENANT, job_id) is None
    assert await bench.intake.cancel(theirs, job_id) is not None


async def _whole(bench: Bench, job: Job) -> tuple[object, ...]:
    """Read everything of a job that a stale write could have changed."""
    [row] = await bench.sql(
        "SELECT state, token, lease_until, progress, message, checkpoint, sequence, result,"
        " attempt, updated_at FROM jobs WHERE id = $1",
        job.id,
    )
    return tuple(row)
