"""What the store promises of a cancel."""

from datetime import timedelta

import pytest

from shared.contract.ids import THE_TENANT
from shared.contract.states import Move, State
from tests.integration.bench import Bench
from tests.integration.soundness import unsound
from tests.support.builders import a_job_id

pytestmark = pytest.mark.servers


async def test_i8_a_job_that_has_not_begun_never_does(bench: Bench) -> None:
    """After the 200 its handler never starts."""
    job_id = await bench.submit()

    cancelled = await bench.intake.cancel(THE_TENANT, job_id)

    assert cancelled is not None
    assert cancelled.state is State.CANCELLED
    assert (cancelled.news.job_id, cancelled.news.sequence) == (job_id, 2)
    assert await bench.claim(job_id) == []
    assert await bench.kinds(job_id) == ["accepted", "cancelled"]


async def test_a_running_job_is_asked_to_stop(bench: Bench) -> None:
    """Its worker holds it: only the worker can say that it has stopped."""
    job = await bench.running()

    cancelled = await bench.intake.cancel(THE_TENANT, job.id)

    assert cancelled is not None
    assert cancelled.state is State.CANCELLING
    assert (await bench.finish(job, Move.STOP)).state is State.CANCELLED


@pytest.mark.parametrize("move", [Move.RETRY, Move.SNOOZE])
async def test_a_job_that_waits_for_another_try_is_cancelled_at_once(
    bench: Bench, move: Move
) -> None:
    """Nobody has to wait for its time to come."""
    job = await bench.running()
    await bench.finish(job, move)

    cancelled = await bench.intake.cancel(THE_TENANT, job.id)

    assert cancelled is not None
    assert cancelled.state is State.CANCELLED


async def test_cancelling_twice_changes_nothing(bench: Bench) -> None:
    """A caller may ask again for safety."""
    waiting, running = await bench.submit(), await bench.running()
    for job_id in (waiting, running.id):
        await bench.intake.cancel(THE_TENANT, job_id)

    assert await bench.intake.cancel(THE_TENANT, waiting) is None
    assert await bench.intake.cancel(THE_TENANT, running.id) is None
    assert await bench.kinds(running.id) == ["accepted", "running", "cancelling"]


async def test_what_has_ended_or_never_was_cannot_be_cancelled(bench: Bench) -> None:
    """The caller is told how it stands, not that it was stopped."""
    ended = await bench.ended()

    assert await bench.intake.cancel(THE_TENANT, ended.id) is None
    assert await bench.intake.cancel(THE_TENANT, a_job_id()) is None


async def test_the_next_of_a_key_goes_on_when_the_head_is_cancelled(bench: Bench) -> None:
    """And nothing happens to a key when somebody behind the head gives up."""
    first, second, third = [await bench.submit(ordering_key="k") for _ in range(3)]
    await bench.intake.cancel(THE_TENANT, second)
    assert await bench.head("k") == first

    cancelled = await bench.intake.cancel(THE_TENANT, first)

    assert cancelled is not None
    assert [row.job_ids for row in cancelled.rows] == [(third,)]
    assert await bench.head("k") == third
    assert await unsound(bench) == {}


async def test_a_scheduled_head_that_is_cancelled_lets_its_key_go(bench: Bench) -> None:
    """Else a key would wait for a time that never comes."""
    first = await bench.submit(ordering_key="k", delay=timedelta(hours=1))
    second = await bench.submit(ordering_key="k")
    assert second not in await bench.knocked()

    await bench.intake.cancel(THE_TENANT, first)

    assert await bench.knocked() == [second]
