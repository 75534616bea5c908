"""Every verb of the store does in every state what the table says, and nothing else."""

from collections.abc import Awaitable, Callable, Mapping
from datetime import timedelta
from typing import Final

import pytest

from shared.contract.ids import THE_TENANT, JobId
from shared.contract.states import MOVES, Move, State
from tests.integration.bench import Bench
from tests.integration.soundness import unsound

pytestmark = pytest.mark.servers

KEY: Final = "k"


async def scheduled(bench: Bench) -> JobId:
    return await bench.submit(ordering_key=KEY, delay=timedelta(hours=1))


async def queued(bench: Bench) -> JobId:
    return await bench.submit(ordering_key=KEY)


async def running(bench: Bench) -> JobId:
    return (await bench.running(ordering_key=KEY)).id


async def retrying(bench: Bench) -> JobId:
    return (await bench.ended(Move.RETRY, ordering_key=KEY)).id


async def cancelling(bench: Bench) -> JobId:
    job_id = await running(bench)
    await bench.intake.cancel(THE_TENANT, job_id)
    return job_id


async def completed(bench: Bench) -> JobId:
    return (await bench.ended(ordering_key=KEY)).id


async def failed(bench: Bench) -> JobId:
    return (await bench.ended(Move.FAIL, ordering_key=KEY)).id


async def cancelled(bench: Bench) -> JobId:
    job_id = await queued(bench)
    await bench.intake.cancel(THE_TENANT, job_id)
    return job_id


async def expired(bench: Bench) -> JobId:
    job_id = await queued(bench)
    await expire(bench, job_id)
    return job_id


async def claim(bench: Bench, job_id: JobId) -> None:
    await bench.claim(job_id)


async def cancel(bench: Bench, job_id: JobId) -> None:
    await bench.intake.cancel(THE_TENANT, job_id)


async def come_due(bench: Bench, _: JobId) -> None:
    await bench.sql("UPDATE jobs SET due = clock_timestamp() WHERE due IS NOT NULL")
    await bench.upkeep.come_due()


async def rescue(bench: Bench, _: JobId) -> None:
    past = "lease_until = clock_timestamp() - interval '1 second'"
    await bench.sql(f"UPDATE jobs SET {past} WHERE lease_until IS NOT NULL")  # noqa: S608  ours
    await bench.upkeep.rescue()


async def crash_loop(bench: Bench, job_id: JobId) -> None:
    await bench.sql("UPDATE jobs SET crashes = 2")
    await rescue(bench, job_id)


async def expire(bench: Bench, _: JobId) -> None:
    await bench.sql("UPDATE jobs SET deadline = clock_timestamp() - interval '1 second'")
    await bench.upkeep.expire()


async def replay(bench: Bench, job_id: JobId) -> None:
    await bench.intake.replay(THE_TENANT, job_id)


GIVEN: Final[Mapping[State, Callable[[Bench], Awaitable[JobId]]]] = {
    State.SCHEDULED: scheduled,
    State.QUEUED: queued,
    State.RUNNING: running,
    State.RETRYING: retrying,
    State.CANCELLING: cancelling,
    State.COMPLETED: completed,
    State.FAILED: failed,
    State.CANCELLED: cancelled,
    State.EXPIRED: expired,
}
VERBS: Final[Mapping[Move, Callable[[Bench, JobId], Awaitable[None]]]] = {
    Move.CLAIM: claim,
    Move.CANCEL: cancel,
    Move.COME_DUE: come_due,
    Move.RESCUE: rescue,
    Move.CRASH_LOOP: crash_loop,
    Move.EXPIRE: expire,
    Move.REPLAY: replay,
}


@pytest.mark.parametrize("state", State)
@pytest.mark.parametrize("move", VERBS)
async def test_a_verb_does_what_the_table_says(bench: Bench, move: Move, state: State) -> None:
    """SQL spells some moves out for speed: here it is held to the one table."""
    job_id = await GIVEN[state](bench)
    assert await bench.state(job_id) is state

    await VERBS[move](bench, job_id)

    assert await bench.state(job_id) is MOVES[move].get(state, state)
    assert await unsound(bench) == {}
