"""What the tests of the broker stand on: services that run, queues that go away again."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from secrets import token_hex
from time import monotonic
from typing import Protocol, TypeVar, cast

import aiormq
from aiormq import spec
from aiormq.abc import ChannelFrame, DeliveredMessage
from aiormq.channel import Channel

from shared.broker.connection import Link, underlay
from shared.broker.topology import DEAD_QUEUE, early_queue, pool_queues, route


class Linked(Protocol):
    """A service on a link."""

    link: Link

    async def run(self) -> None: ...


Some = TypeVar("Some", bound=Linked)


async def until(answer: Callable[[], object], *, within: float = 5.0) -> None:
    """Wait, no longer than *within* seconds, until *answer* is true."""
    end = monotonic() + within
    while not answer():
        if monotonic() > end:
            raise AssertionError("it did not come about in time")
        await asyncio.sleep(0.005)


@asynccontextmanager
async def started(service: Some) -> AsyncIterator[Some]:
    """Run *service* in the block, which may not end it by anything but our own cancel."""
    task = asyncio.create_task(service.run(), name="under test")
    try:
        yield service
    finally:
        task.cancel()
        done, _ = await asyncio.wait((task,), timeout=10)
        assert done, "it does not stop"
        assert task.cancelled(), task.exception()


@asynccontextmanager
async def running(service: Some) -> AsyncIterator[Some]:
    """Run *service*, and begin the block when it is connected."""
    async with started(service), asyncio.timeout(60):
        await service.link.up.wait()
        yield service


async def make_the_broker_close(link: Link) -> None:
    """Break the protocol on the connection of *link*: the broker answers by closing it."""
    assert link._connection is not None
    frame = ChannelFrame.marshall(channel_number=999, frames=[spec.Basic.Qos(prefetch_count=1)])
    await underlay(link._connection).write_queue.put(frame)


class Yard:
    """A pool of its own, and a plain channel to look into its queues and to disturb them."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.pool = f"test{token_hex(6)}"
        self.route = route(self.pool, "normal")
        self._connection: aiormq.abc.AbstractConnection | None = None

    async def channel(self) -> Channel:
        if self._connection is None:
            self._connection = await aiormq.connect(self.url)
        return cast("Channel", await self._connection.channel())

    async def put(self, body: bytes, properties: spec.Basic.Properties | None = None) -> None:
        """Publish as a stranger might."""
        channel = await self.channel()
        await channel.basic_publish(
            body, exchange="jobs", routing_key=self.route, properties=properties, mandatory=True
        )

    async def bodies(self, queue: str | None = None) -> list[bytes]:
        """Take everything out of *queue*, or the one for work of normal priority."""
        channel = await self.channel()
        bodies = []
        while (message := await channel.basic_get(queue or self.route, no_ack=True)).body:
            bodies.append(message.body)
        return bodies

    async def take(self) -> DeliveredMessage:
        channel = await self.channel()
        return await channel.basic_get(self.route, no_ack=True)

    async def delete(self, queue: str) -> None:
        channel = await self.channel()
        await channel.queue_delete(queue)

    async def is_there(self, queue: str) -> bool:
        channel = await self.channel()
        with suppress(aiormq.exceptions.ChannelNotFoundEntity):
            await channel.queue_declare(queue, passive=True)
            return True
        return False

    async def dead(self, body: bytes) -> DeliveredMessage:
        """Find the dead letter with this *body*, and take it; others' are left."""
        channel = await self.channel()
        async with asyncio.timeout(5):
            while True:
                message = await channel.basic_get(DEAD_QUEUE.name)
                if message.body == body and message.delivery_tag is not None:
                    await channel.basic_ack(message.delivery_tag)
                    await channel.close()
                    return message

    async def close(self) -> None:
        for queue in (*pool_queues(self.pool), early_queue(self.pool)):
            await self.delete(queue.name)
        if self._connection is not None:
            await self._connection.close()
