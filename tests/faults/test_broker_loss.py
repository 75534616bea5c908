"""A broker that forgets everything: the rows are the truth, and it is told all of it again."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path
from time import monotonic

import pytest

from deploy.local.stack import open_stack
from shared.broker.topology import route
from tests.faults.load import judged, keep_verdict, lost_its_broker, steady_load, told
from tests.support import broker_faults
from tests.support.endings import all_have_ended
from tests.support.house import House, open_house
from tests.support.waiting import until

pytestmark = [pytest.mark.faults, pytest.mark.servers, pytest.mark.timeout(300)]

_RATE = 50.0  # submits a second: more than are worked, so that knocks wait
_SLOTS = 2  # of each back
_WAITING = 50  # knocks to be lost
_QUEUE = route("default", "normal")


@pytest.fixture
async def lone_house(tmp_path: Path) -> AsyncIterator[House]:
    """A house on the default virtual host, the one that a new broker has by itself."""
    with open_stack(tmp_path / "stack", tcp=True) as stack:
        async with open_house(stack, tmp_path) as house:
            house.amqp_url = stack.amqp_url
            yield house


async def test_a_broker_may_lose_all_its_data_and_every_job_still_finishes(
    lone_house: House,
) -> None:
    """Queues are declared again, and whoever was knocked for is knocked for again."""
    house, broker = lone_house, lone_house.stack.broker
    front = await house.front()
    backs = [await house.back(concurrency=_SLOTS) for _ in range(2)]

    async def waiting() -> int:
        count = (await broker_faults.messages_of(broker))[_QUEUE]
        return count if count >= _WAITING else 0

    async with steady_load(house, front, rate=_RATE) as load:
        forgotten = await until(waiting, within=30, what="knocks wait in the broker")
        begun_at = datetime.now(UTC)
        await broker_faults.lose_all_data(broker)
        back = monotonic()
    await all_have_ended(house, within=90)
    drained = monotonic() - back
    verdict = await judged(house, load)

    print(f"\n{forgotten} knocks lost: {told(load)}\n  drained in {drained:.1f} s; {verdict}")
    keep_verdict(
        "F10-broker-loses-its-data",
        verdict,
        bites={"knocks lost": forgotten},
        figures={"unfinished_after_loss": verdict.not_completed, "drained_s": round(drained, 1)},
        again='make faults ARGS="tests/faults/test_broker_loss.py"',
    )
    assert all(lost_its_broker(worker, begun_at) for worker in (front, *backs))
    assert any("knocked again for unheard jobs" in worker.logged for worker in backs)
    assert {reply.status for reply in load.replies} == {202}
    assert verdict.is_sound()
    assert [worker.exit_code for worker in (front, *backs)] == [None] * 3
