"""The topology on the broker is that of the data."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from secrets import token_hex

import pytest
from aio_pika.abc import AbstractConnection
from aiormq.channel import Channel
from aiormq.exceptions import ChannelLockedResource, ChannelPreconditionFailed
from pamqp.common import FieldValue

from shared.broker.connection import Link, open_channel
from shared.broker.declaration import declare, declare_exchanges, declare_queue
from shared.broker.topology import EVENTS, Queue, events_queue, job_queue, job_topology
from tests.broker.scene import Yard, running

pytestmark = pytest.mark.servers


class Deploy:
    """A service that declares the queues of *yard*, and one for events if it has a name."""

    def __init__(self, yard: Yard, events: Queue | None = None) -> None:
        self._yard, self._events = yard, events
        self.link = Link(yard.url, name="deploy", set_up=self._set_up)

    async def run(self) -> None:
        await self.link.run()

    async def _set_up(self, link: Link, connection: AbstractConnection) -> None:
        await declare(link, connection, job_topology([self._yard.route]))
        if self._events is not None:
            channel = await open_channel(link, connection, confirms=False)
            await declare_exchanges(channel, [EVENTS], passive=False)
            await declare_queue(channel, self._events)


@asynccontextmanager
async def declared(yard: Yard, events: Queue | None = None) -> AsyncIterator[Channel]:
    """Give a stranger's channel to look at what was declared."""
    async with running(Deploy(yard, events)):
        yield await yard.channel()


async def test_a_listener_s_queue_is_its_own(yard: Yard) -> None:
    """A transient queue that is shared is refused by 4.3, and would outlive its listener."""
    queue = events_queue(f"events.test.{token_hex(8)}")

    async with declared(yard, queue) as channel:
        with pytest.raises(ChannelLockedResource):
            await channel.queue_declare(queue.name, passive=True)

    assert not await yard.is_there(queue.name)


@pytest.mark.parametrize("durable", [True, False])
async def test_a_queue_for_work_is_durable(yard: Yard, durable: bool) -> None:  # noqa: FBT001  a case
    """A restart of the broker must not take it away."""
    async with declared(yard) as channel:
        arguments: dict[str, FieldValue] = dict(job_queue(yard.route).arguments)
        if durable:
            await channel.queue_declare(yard.route, durable=True, arguments=arguments)
            return
        with pytest.raises(ChannelPreconditionFailed):
            await channel.queue_declare(yard.route, durable=False, arguments=arguments)
