"""The front's loops while the store refuses a question: they go on, and so does the service."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from typing import Any

import pytest

from front_service import backlog as backlog_module
from front_service.backlog import Backlog
from front_service.push import listener as listener_module
from front_service.push.hub import Hub
from front_service.push.listener import Listener
from shared.contract.errors import Unavailable
from shared.contract.events import News, encode_news
from shared.contract.ids import THE_TENANT, JobId, TenantId
from shared.runtime.clock import SystemClock
from shared.runtime.serving import Service
from shared.store.pool import Rejected
from tests.front.memory import MemoryStore
from tests.support.builders import a_submission

TROUBLES = [Unavailable("away"), Rejected("no such column")]


@pytest.fixture(autouse=True)
def soon(monkeypatch: pytest.MonkeyPatch) -> None:
    """Look again without waiting long."""
    monkeypatch.setattr(backlog_module, "_TICK", 0.001)
    monkeypatch.setattr(listener_module, "_PAUSE", 0.001)
    monkeypatch.setattr(listener_module, "_TICK", 0.01)
    monkeypatch.setattr(listener_module, "_SILENCE", 0.01)


@asynccontextmanager
async def running(service: Service) -> AsyncIterator[None]:
    """Have *service* run; what it fell over is raised at the end."""
    task = asyncio.create_task(service.run())
    try:
        yield
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


class Troubled(MemoryStore):
    """A store whose next questions about histories go wrong."""

    def __init__(self, *troubles: Exception) -> None:
        super().__init__()
        self.troubles = list(troubles)

    async def history(self, wanted: Mapping[tuple[TenantId, JobId], int]) -> dict[JobId, Any]:
        if self.troubles:
            raise self.troubles.pop(0)
        return await super().history(wanted)


@pytest.mark.parametrize("trouble", TROUBLES)
async def test_whoever_watches_is_served_after_trouble_with_the_store(trouble: Exception) -> None:
    """One question that goes wrong must not take every stream of the replica along."""
    store, hub, clock = Troubled(trouble, trouble), Hub(), SystemClock()
    job_id = (await store.admit(a_submission())).accepted.job_id
    listener = Listener(hub, store, clock)
    with hub.watch(THE_TENANT, job_id, clock.monotonic()) as watcher:
        async with running(listener), asyncio.timeout(5):
            listener.hear(encode_news([News(job_id, 1)]))

            [look], _ = await watcher.take()

    assert look.job.id == job_id
    assert store.troubles == []


@pytest.mark.parametrize("trouble", TROUBLES)
async def test_the_outbox_is_counted_again_after_trouble_with_the_store(trouble: Exception) -> None:
    """It is known to be full as soon as the store says so."""
    troubles, counted = [trouble, trouble], asyncio.Event()

    async def depth(most: int) -> int:
        if troubles:
            raise troubles.pop(0)
        counted.set()
        return most

    backlog = Backlog(depth, most=10)
    async with running(backlog), asyncio.timeout(5):
        await counted.wait()
        await asyncio.sleep(0)  # the answer is on its way

        with pytest.raises(Unavailable, match="broker"):
            backlog.check()
