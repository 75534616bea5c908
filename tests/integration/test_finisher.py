"""Verdicts of one worker, of which somebody else holds a job."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import asyncpg
import pytest

from back_service.finishing import Finisher
from shared.contract.ids import JobId
from shared.contract.states import Move, State
from shared.runtime.clock import SystemClock
from tests.integration.bench import Bench, a_ruling

pytestmark = pytest.mark.servers


class Silent:
    """Tells nobody."""

    def tell(self, *_: object) -> None:
        """Nothing."""


def a_finisher(bench: Bench) -> Finisher:
    teller: Any = Silent()
    return Finisher(bench.work, teller, SystemClock())


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
