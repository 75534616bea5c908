"""The real front service on a loopback port, over a store in memory."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp

from front_service.app import Front, build_front
from front_service.described.openapi import OpenApi
from front_service.gate import Gate
from front_service.ground import Ground
from front_service.identity import ReadsTokens
from front_service.routes import ROUTES
from shared.blobs.folder import open_folder
from shared.contract.errors import Unavailable
from shared.contract.ids import JobId, parse_uuid
from shared.runtime.clock import SystemClock
from shared.runtime.serving import serve
from shared.runtime.settings import FrontSettings
from tests.front.batches import MemoryBatches
from tests.front.job_types import CATALOGUE
from tests.front.memory import Loudspeaker, MemoryKeys, MemoryPost, MemoryQuotas, MemoryStore
from tests.front.operating import MemoryOperating
from tests.support.conformance import Conformance, watchful

CONFORMANCE = Conformance(OpenApi(ROUTES, CATALOGUE).document())
"""Every answer of a desk is held against what the service says of itself."""

TOKEN_KEY = b"only for tests, and long enough!"


def settings(**values: Any) -> FrontSettings:
    given = {"database_url": "postgres://nowhere", "amqp_url": "amqp://nowhere"} | values
    return FrontSettings(**given).model_copy(update={"port": 0})


@dataclass(kw_only=True)
class Desk:
    """One front replica and what it stands on."""

    url: str
    port: int
    store: MemoryStore
    gate: Gate
    batches: MemoryBatches
    operating: MemoryOperating
    post: MemoryPost
    air: Loudspeaker
    keys: MemoryKeys
    quotas: MemoryQuotas
    front: Front
    session: aiohttp.ClientSession
    stop: asyncio.Event
    served: "asyncio.Task[None]"

    async def submit(self, path: str = "demo/echo", **members: Any) -> JobId:
        async with self.session.post(f"{self.url}/api/{path}", json=members) as response:
            assert response.status == 202, await response.text()
            job_id = parse_uuid((await response.json())["jobId"])
        assert job_id is not None
        return JobId(job_id)

    def tell(self, *job_ids: JobId) -> None:
        """Say on the air that something happened to *job_ids*."""
        self.air.offer(self.store.news(*job_ids))


async def until(condition: Callable[[], bool]) -> None:
    """Give the loop its turns until *condition* holds; bounded."""
    async with asyncio.timeout(10):
        while not condition():  # noqa: ASYNC110  what is looked at announces nothing
            await asyncio.sleep(0.005)


@asynccontextmanager
async def open_desk(
    folder: Path,
    *,
    store: MemoryStore | None = None,
    air: Loudspeaker | None = None,
    tokens: ReadsTokens | None = None,
    quotas: MemoryQuotas | None = None,
    **values: Any,
) -> AsyncIterator[Desk]:
    """Serve a desk; several may share a store and the air."""
    store, post, air = store or MemoryStore(), MemoryPost(), air or Loudspeaker()
    gate = Gate(SystemClock(), lambda: store.waiting, most=1_000)
    batches, operating = MemoryBatches(store), MemoryOperating(store)
    keys, quotas = MemoryKeys(), quotas or MemoryQuotas()

    async def outbox_depth(most: int) -> int:
        if store.is_away:
            raise Unavailable
        return await post.depth(most)

    async with AsyncExitStack() as stack:
        blobs = await stack.enter_async_context(open_folder(folder))
        ground = Ground(
            intake=store,
            gate=gate,
            batch_intake=batches,
            reads=store,
            batches=batches,
            operating=operating,
            post=post,
            fan_out=air,
            blobs=blobs,
            blob_rows=store,
            key_rows=keys,
            quota_rows=quotas,
            tokens=tokens,
            broker_is_up=lambda: post.answer is True,
            outbox_depth=outbox_depth,
            free_connections=lambda: 8,
            token_keys=[TOKEN_KEY],
        )
        front = build_front(settings(**values), CATALOGUE, ground, clock=SystemClock())
        air.ears.append(front.hear)
        stop = asyncio.Event()
        served = asyncio.create_task(serve(front.services, stop))
        watched = aiohttp.ClientSession(trace_configs=[watchful(CONFORMANCE)])
        session = await stack.enter_async_context(watched)
        port = await front.server.port
        try:
            yield Desk(
                url=f"http://127.0.0.1:{port}",
                port=port,
                store=store,
                gate=gate,
                batches=batches,
                operating=operating,
                post=post,
                air=air,
                keys=keys,
                quotas=quotas,
                front=front,
                session=session,
                stop=stop,
                served=served,
            )
        finally:
            await session.close()  # or the front would wait for what is idle to be used once more
            stop.set()
            with suppress(asyncio.CancelledError):
                await served
