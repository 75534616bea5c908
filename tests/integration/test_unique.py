"""What a unique key promises: of one tenant and type, one job at a time holds it."""

import asyncio
from datetime import timedelta

import pytest

from shared.contract.errors import Invalid, NotUnique
from shared.contract.ids import THE_TENANT, BlobId, JobId
from shared.contract.jobs import OnConflict, Uniqueness
from shared.contract.states import Move, State
from tests.integration.bench import Bench, a_bench
from tests.integration.soundness import unsound
from tests.support.builders import a_job_id, a_submission, a_tenant, an_idempotency

pytestmark = pytest.mark.servers

AN_HOUR = timedelta(hours=1)


def unique(
    on_conflict: OnConflict = OnConflict.RETURN, *, key: str = "u", lasts: timedelta | None = None
) -> Uniqueness:
    return Uniqueness(key=key, lasts=lasts, on_conflict=on_conflict)


async def count(bench: Bench) -> int:
    return int(await bench.pool.fetchval("SELECT count(*) FROM jobs"))


async def test_a_second_one_is_the_job_that_is_there(bench: Bench) -> None:
    """Whoever asks for the same work again gets the work that is under way."""
    first = await bench.admit(unique=unique())

    second = await bench.admit(unique=unique())

    assert second.accepted.job_id == first.accepted.job_id
    assert second.accepted.at == first.accepted.at
    assert (first.accepted.existing, second.accepted.existing) == (False, True)
    assert second.row is None
    assert await count(bench) == 1


@pytest.mark.parametrize("state", [State.QUEUED, State.RUNNING, State.CANCELLING, State.RETRYING])
async def test_a_key_is_held_while_its_job_lives(bench: Bench, state: State) -> None:
    """Also while it is being stopped, or waits for its next attempt."""
    first = await bench.submit(unique=unique())
    if state is not State.QUEUED:
        [job] = await bench.claim(first)
    if state is State.RETRYING:
        await bench.finish(job, Move.RETRY)
    if state is State.CANCELLING:
        await bench.intake.cancel(THE_TENANT, first)
    assert await bench.state(first) is state

    assert await bench.submit(unique=unique()) == first


@pytest.mark.parametrize("move", [Move.COMPLETE, Move.FAIL])
async def test_an_ending_frees_the_key(bench: Bench, move: Move) -> None:
    """The next one is a job of its own."""
    first = await bench.ended(move, unique=unique())

    assert await bench.submit(unique=unique()) != first.id


async def test_a_key_with_a_time_outlives_its_job(bench: Bench) -> None:
    """Once an hour means once an hour, however quick the job is; what its holder said counts."""
    first = await bench.ended(unique=unique(lasts=AN_HOUR))
    assert await bench.submit(unique=unique()) == first.id

    await bench.sql("UPDATE unique_keys SET until = clock_timestamp()")

    assert await bench.submit(unique=unique()) != first.id


async def test_a_second_one_may_be_refused(bench: Bench) -> None:
    """The refusal says which job holds the key, and nothing is kept."""
    first = await bench.submit(unique=unique())
    name = an_idempotency("mine")

    with pytest.raises(NotUnique) as refused:
        await bench.submit(unique=unique(OnConflict.REJECT), idempotency=name)

    assert refused.value.members["jobId"] == str(first)
    await bench.intake.cancel(THE_TENANT, first)
    again = await bench.admit(unique=unique(OnConflict.REJECT), idempotency=name)
    assert not again.accepted.replayed


async def test_one_that_waits_is_replaced(bench: Bench) -> None:
    """It never runs; the newest request is what counts."""
    first = await bench.submit(unique=unique())

    second = await bench.admit(unique=unique(OnConflict.REPLACE))

    assert await bench.kinds(first) == ["accepted", "cancelled"]
    assert [news.job_id for news in second.news] == [first]
    assert await bench.submit(unique=unique()) == second.accepted.job_id


async def test_one_that_runs_is_told_to_stop(bench: Bench) -> None:
    """The key is the new one's at once; the old one ends when its handler does."""
    first = await bench.running(unique=unique())

    second = await bench.submit(unique=unique(OnConflict.REPLACE))

    assert await bench.state(first.id) is State.CANCELLING
    assert await bench.state(second) is State.QUEUED
    await bench.finish(first, Move.STOP)
    assert await bench.submit(unique=unique()) == second


async def test_the_ordering_key_of_the_one_replaced_goes_on(bench: Bench) -> None:
    """Its next job would wait for ever for a head that is gone."""
    await bench.submit(unique=unique(), ordering_key="k")
    after = await bench.submit(ordering_key="k")

    admitted = await bench.admit(unique=unique(OnConflict.REPLACE))

    assert await bench.head("k") == after
    assert [row.job_ids for row in admitted.others] == [(after,)]
    assert await unsound(bench) == {}


async def test_of_many_at_once_one_is_the_job(bench: Bench) -> None:
    """Over several connections, and several in one commit."""
    fronts = [a_bench("", bench.pool).intake for _ in range(4)]

    answers = await asyncio.gather(
        *(fronts[n % 4].admit(a_submission(unique=unique())) for n in range(80))
    )

    assert len({one.accepted.job_id for one in answers}) == 1
    assert [one.accepted.existing for one in answers].count(False) == 1
    assert await count(bench) == 1


async def test_of_many_that_replace_at_once_the_last_is_left(bench: Bench) -> None:
    """Each was accepted, so each has an ending; one is left to run."""
    await asyncio.gather(*(bench.admit(unique=unique(OnConflict.REPLACE)) for _ in range(40)))

    rows = await bench.sql("SELECT state FROM jobs")
    assert sorted(row["state"] for row in rows) == ["cancelled"] * 39 + ["queued"]
    assert await unsound(bench) == {}


async def test_one_request_by_one_name_stays_one_answer(bench: Bench) -> None:
    """An Idempotency-Key names the job that its request came to, in one commit and later."""
    first, name = await bench.submit(unique=unique()), an_idempotency("mine")

    answers = await asyncio.gather(
        *(bench.admit(unique=unique(), idempotency=name) for _ in range(3))
    )

    later = await bench.admit(unique=unique(), idempotency=name)
    assert {one.accepted.job_id for one in (*answers, later)} == {first}
    assert later.accepted.replayed
    assert await unsound(bench) == {}


async def test_a_key_is_of_one_tenant_and_one_type(bench: Bench) -> None:
    """I11: nobody learns from a conflict that a stranger has such a job."""
    await bench.submit(unique=unique())

    stranger = await bench.admit(unique=unique(OnConflict.REJECT), tenant=a_tenant())
    sibling = await bench.admit(unique=unique(OnConflict.REJECT), type="demo.sleep")

    assert not stranger.accepted.existing
    assert not sibling.accepted.existing


async def test_a_refused_submission_does_not_take_the_key(bench: Bench) -> None:
    """Else a job that never was would keep all others out."""
    with pytest.raises(Invalid):
        await bench.submit(unique=unique(), blobs=(BlobId(a_job_id()),))

    assert await bench.pool.fetchval("SELECT count(*) FROM unique_keys") == 0
    assert await bench.submit(unique=unique())


async def test_a_replay_takes_the_key_again_or_is_refused(bench: Bench) -> None:
    """Two jobs would be at the same work."""
    first = await bench.ended(Move.FAIL, unique=unique())
    second = await bench.submit(unique=unique())

    with pytest.raises(NotUnique):
        await bench.intake.replay(THE_TENANT, first.id)
    await bench.intake.cancel(THE_TENANT, second)

    assert await bench.intake.replay(THE_TENANT, first.id) is not None
    assert await bench.submit(unique=unique()) == first.id


@pytest.mark.parametrize("move", [Move.COMPLETE, None])
async def test_a_replay_that_cannot_be_takes_nothing(bench: Bench, move: Move | None) -> None:
    """Of one that has its result, or lives: the key stays as it was."""
    ended = await bench.ended(Move.COMPLETE, unique=unique()) if move else None
    holder = await bench.submit(unique=unique())

    assert await _replay(bench, ended.id if ended else holder) is None

    assert await bench.submit(unique=unique()) == holder


async def _replay(bench: Bench, job_id: JobId) -> object:
    try:
        return await bench.intake.replay(THE_TENANT, job_id)
    except NotUnique:
        return None


async def test_the_key_goes_with_its_job(bench: Bench) -> None:
    """What is cleaned up leaves no row behind."""
    await bench.ended(unique=unique(lasts=AN_HOUR))
    await bench.sql("UPDATE jobs SET expires_at = clock_timestamp()")

    await bench.upkeep.forget()

    assert await bench.pool.fetchval("SELECT count(*) FROM unique_keys") == 0
    assert await unsound(bench) == {}
