"""What a watcher is offered while it takes nothing."""

import asyncio

from front_service.push import hub as module
from front_service.push.hub import Watcher
from shared.contract.ids import THE_TENANT
from tests.front.test_story import a_look
from tests.support.builders import a_job_id


async def test_i6_a_watcher_that_lost_looks_is_told_so() -> None:
    """It may have been the last look there is: nothing that comes later would show the gap."""
    watcher = Watcher(THE_TENANT, a_job_id())
    for sequence in range(1, module._MOST_LOOKS + 2):
        watcher.offer(a_look(sequence, [sequence]))

    async with asyncio.timeout(5):
        looks, lags = await watcher.take()

    assert (looks, lags) == ([], True)


async def test_i12_looks_do_not_pile_up() -> None:
    """However long somebody takes nothing, there is a bound to what is kept for him."""
    watcher = Watcher(THE_TENANT, a_job_id())
    for sequence in range(1, 10 * module._MOST_LOOKS):
        watcher.offer(a_look(sequence, [sequence]))

        assert len(watcher._looks) <= module._MOST_LOOKS


async def test_of_progress_only_the_newest_is_kept() -> None:
    """Between two events nobody misses what was so for a moment."""
    watcher = Watcher(THE_TENANT, a_job_id())
    newest = a_look(1, progress=99)
    for progress in range(98):
        watcher.offer(a_look(1, progress=progress))
    watcher.offer(newest)

    async with asyncio.timeout(5):
        looks, lags = await watcher.take()

    assert (looks, lags) == ([newest], False)
