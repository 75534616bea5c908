"""What a watcher is offered while it takes nothing."""

import asyncio

from front_service.push import hub as module
from front_service.push.hub import Hub, Watcher
from shared.contract.access import tenant_id
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


async def test_i11_a_stranger_who_watches_first_keeps_nothing_from_the_owner() -> None:
    """Who knows an id may ask for it; the place that gives him must not be the owner's place."""
    hub, look = Hub(), a_look(1, [1])
    stranger, job_id = tenant_id("stranger"), look.job.id
    with (
        hub.watch(stranger, job_id, 0.0) as his,
        hub.watch(look.job.tenant, job_id, 0.0) as hers,
    ):
        assert set(hub.places([job_id], 0.0)) == {(stranger, job_id), (look.job.tenant, job_id)}

        hub.hand_out(look)

        assert (hers._looks, his._looks) == ([look], [])
        assert hub.is_waited_for(job_id, 1)
    assert not hub.is_watching
