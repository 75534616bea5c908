"""Jobs that must not end one more worker: who may run them, and who finds them."""

from datetime import timedelta

import pytest

from tests.integration.bench import Bench, alone, crash

pytestmark = pytest.mark.servers


async def test_who_must_not_crash_again_runs_alone(bench: Bench) -> None:
    """Beside others it could be their fault, or they would pay for its own."""
    suspect, other = await bench.submit(), await bench.submit()
    await crash(bench, suspect, 2)

    assert [job.id for job in await bench.claim(suspect, other)] == [other]
    assert await alone(bench).suspects(["default"]) == [suspect]
    claimed = await alone(bench).claim([suspect], keyed=True)
    assert [job.id for job in claimed.jobs] == [suspect]
    assert await alone(bench).suspects(["default"]) == []


async def test_who_is_alone_takes_nobody_else_in(bench: Bench) -> None:
    """Whatever a knock may say: an innocent would share the process of a suspect."""
    innocent = await bench.submit()
    once = await bench.submit()
    await crash(bench, once, 1)

    assert (await alone(bench).claim([innocent, once], keyed=True)).jobs == []
    assert await alone(bench).suspects(["default"]) == []


async def test_a_lane_does_not_go_on_with_a_suspect(bench: Bench) -> None:
    """Its key waits for it, and it waits for a process of its own."""
    first = await bench.running(ordering_key="k")
    suspect = await bench.submit(ordering_key="k")
    await bench.sql("UPDATE jobs SET crashes = 2 WHERE id = $1", suspect)

    assert await alone(bench).suspects(["default"]) == []  # it is not its turn
    assert (await bench.finish(first, has_turn=True)).next is None
    assert await alone(bench).suspects(["default"]) == [suspect]


async def test_nobody_knocks_again_for_a_suspect(bench: Bench) -> None:
    """Ordinary workers would hear it every few seconds, and never take it."""
    suspect = await bench.submit()
    await bench.sql("UPDATE jobs SET crashes = 2, knocked_at = now() - interval '1 minute'")
    await bench.forget_knocks()

    rows = await bench.upkeep.unheard(
        "default", "normal", is_empty=True, older=timedelta(seconds=5)
    )

    assert rows == []
    assert await alone(bench).suspects(["video"]) == []
    assert await alone(bench).suspects(["default"]) == [suspect]
