"""What a power cut may take back, and what waits for the disk.

The quick pool's commits do not wait: here it lends no connection at all, so that whoever uses it
for what must last is found out.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from shared.contract.errors import Unavailable
from shared.contract.states import Move, State
from shared.store.pool import Connection, Pool
from shared.store.work import WorkStore
from tests.integration.bench import LEASE, NO_WAIT, Bench, a_ruling

pytestmark = pytest.mark.servers


class Shut(Pool):
    """Has no connection for anybody; needs nothing of what a pool is made of."""

    def __init__(self) -> None:
        pass

    @asynccontextmanager
    async def connection(self) -> AsyncIterator["Connection[Any]"]:
        raise Unavailable("The quick pool was asked", retry_after=1)
        yield


def careful(bench: Bench) -> WorkStore:
    types = ("demo.echo",)
    return WorkStore(bench.pool, types=types, lease=LEASE, confirm_wait=NO_WAIT, quick=Shut())


@pytest.mark.parametrize("key", [None, "k"])
async def test_i1_a_verdict_waits_for_the_disk(bench: Bench, key: str | None) -> None:
    """Whoever was told of an ending must never see it taken back."""
    job = await bench.running(ordering_key=key)

    settled = await careful(bench).finish([a_ruling(job, Move.COMPLETE)])

    assert [one.state for one in settled.finished] == [State.COMPLETED]


async def test_i4_an_effect_and_a_checkpoint_wait_for_the_disk(bench: Bench) -> None:
    """The effect is done next, and what was left behind is built upon."""
    job = await bench.running()

    assert await careful(bench).note_effect(job, "mail") is True
    assert await careful(bench).save_checkpoint(job, b"half") is True


async def test_i1_a_knock_for_the_rest_waits_for_the_disk(bench: Bench) -> None:
    """The broker is told to forget the knock that named these jobs before."""
    job_id = await bench.submit()

    claimed = await careful(bench).claim([], keyed=False, later=[job_id])

    assert [row.job_ids for row in claimed.rows] == [(job_id,)]


async def test_a_claim_need_not_wait_for_the_disk(bench: Bench) -> None:
    """It is the one that is paid for by every job; and the stand-in above does bite."""
    job_id = await bench.submit()

    with pytest.raises(Unavailable):
        await careful(bench).claim([job_id], keyed=False)


async def test_i4_a_claim_that_was_taken_back_leaves_no_token_that_fits(bench: Bench) -> None:
    """Its worker goes on, and must not pass for the one who claims the job after the crash."""
    job_id = await bench.submit()
    tokens = set[int]()
    for _ in range(3):  # that all three are one by chance will not happen
        async with bench.pool.connection() as connection:
            crash = connection.transaction()
            await crash.start()
            [job] = await bench.work._claim(connection, [job_id], keyed=False)
            await crash.rollback()
        tokens.add(job.token)

    assert len(tokens) > 1
