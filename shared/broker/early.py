"""Early knocks: sent beside the real one, for a worker that happens to be idle.

A knock waits for the disk of a quorum queue before anybody hears of it. An early one does not:
it is not persistent, not confirmed, lives for a second and may vanish at any point. What it
says is true (its jobs are committed), so whoever hears it may claim them; the real knock follows
and finds them claimed.
"""

import asyncio
from collections import deque
from collections.abc import Collection
from typing import Final

import structlog
from aio_pika.abc import AbstractConnection
from aiormq import spec
from aiormq.abc import DeliveredMessage
from aiormq.channel import Channel

from shared.broker.connection import Link, open_channel
from shared.broker.declaration import declare_queue
from shared.broker.topology import JOBS, LARGEST_KNOCK, early_name, early_queue, pool_of
from shared.broker.troubles import BrokerTrouble, broker_faults

log = structlog.get_logger()

_OPEN_PATIENCE: Final = 5.0
_CLOSE_PATIENCE: Final = 3.0  # as for the queues of real knocks
_SEND_PATIENCE: Final = 0.1  # what is late is no help
_MOST_HEARD: Final = 64
_TRANSIENT: Final = 1


Heard = tuple[str, bytes]
"""The id of the outbox row, which the real knock will have too, and the body."""


class EarlyOutlet:
    """Sends early knocks over a channel of its own, and never says whether they arrived."""

    def __init__(self) -> None:
        self._channel: Channel | None = None
        self._link: Link | None = None

    async def open(self, link: Link, connection: AbstractConnection) -> None:
        """Begin anew on *connection*; without a channel nothing is sent."""
        self._link, self._channel = link, None
        self._channel = await open_channel(link, connection, confirms=False, vital=False)

    async def send(self, route: str, body: bytes, message_id: str) -> None:
        """Send *body* to the pool of *route*, or do nothing."""
        link, channel = self._link, self._channel
        if link is None or channel is None or channel.is_closed:
            return
        properties = spec.Basic.Properties(delivery_mode=_TRANSIENT, message_id=message_id)
        try:
            with broker_faults(BrokerTrouble):
                async with link.within(_SEND_PATIENCE):
                    await channel.basic_publish(
                        body,
                        exchange=JOBS.name,
                        routing_key=early_name(route),
                        properties=properties,
                        wait=False,
                    )
        except BrokerTrouble as trouble:
            log.debug("early knock not sent", route=route, why=str(trouble))


class EarlySource:
    """Hears early knocks of the pools of *routes*; `heard` holds the last of them."""

    def __init__(self, routes: Collection[str], *, news: asyncio.Event, declare: bool) -> None:
        self.heard: deque[Heard] = deque(maxlen=_MOST_HEARD)
        self._pools = sorted({pool_of(route) for route in routes})
        self._news, self._declares = news, declare
        self._channel: Channel | None = None

    async def attend(self, link: Link, connection: AbstractConnection) -> None:
        """See that we listen; what fails is tried again at the next look."""
        if self._channel is not None and not self._channel.is_closed:
            return
        try:
            with broker_faults(BrokerTrouble):
                async with link.within(_OPEN_PATIENCE):
                    self._channel = await self._listen(link, connection)
        except BrokerTrouble as trouble:
            log.debug("early knocks not heard", why=str(trouble))

    async def close(self) -> None:
        """Listen no more."""
        channel, self._channel = self._channel, None
        self.heard.clear()
        if channel is not None:
            try:
                with broker_faults(BrokerTrouble):
                    async with asyncio.timeout(_CLOSE_PATIENCE):
                        await channel.close()
            except BrokerTrouble as trouble:
                log.debug("channel not closed", why=str(trouble))

    async def _listen(self, link: Link, connection: AbstractConnection) -> Channel:
        channel = await open_channel(link, connection, confirms=False, vital=False)
        for pool in self._pools:
            queue = early_queue(pool)
            if self._declares:
                await declare_queue(channel, queue)
            await channel.basic_consume(queue.name, self._arrived, no_ack=True)
        return channel

    async def _arrived(self, message: DeliveredMessage) -> None:
        message_id = message.header.properties.message_id
        if message_id and len(message.body) <= LARGEST_KNOCK:
            self.heard.append((message_id, message.body))
            self._news.set()
