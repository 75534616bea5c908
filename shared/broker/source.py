"""One queue as a worker consumes it: its channel, what it gave, how it was when last seen.

Queues fail one by one (a quorum queue without a leader answers nobody), so each is opened,
looked at and opened again without regard to the others.
"""

import asyncio
from collections import deque
from contextlib import suppress
from functools import partial
from time import monotonic
from typing import Final

import structlog
from aio_pika.abc import AbstractConnection
from aiormq.abc import DeliveredMessage
from aiormq.channel import Channel

from shared.broker.connection import Link, open_channel
from shared.broker.delivery import Custody, Delivery
from shared.broker.topology import LARGEST_KNOCK
from shared.broker.troubles import BrokerTrouble, broker_faults

log = structlog.get_logger()

_OPEN_PATIENCE: Final = 5.0
_CLOSE_PATIENCE: Final = 3.0
_MOST_PREFETCH: Final = 65_535
_UNSERVED_LOOKS: Final = 2


class Astray(BrokerTrouble):
    """The broker does not serve this queue to us, whatever we think."""


class Source:
    """Consumes *route* with *prefetch*; `waiting` holds what nobody took yet."""

    def __init__(self, route: str, prefetch: int, *, news: asyncio.Event, silence: float) -> None:
        if not 1 <= prefetch <= _MOST_PREFETCH:
            raise ValueError("a prefetch is a number from 1 to 65535")
        self.route = route
        self.waiting: deque[Delivery] = deque()
        self._prefetch = prefetch
        self._news = news
        self._silence = silence
        self._custody: Custody | None = None
        self._heard_at = 0.0
        self._ready = 0
        self._looked_at = float("-inf")
        self._unserved = 0

    @property
    def is_open(self) -> bool:
        return self._custody is not None

    def depth(self, within: float) -> int | None:
        """Say how many messages were ready at the last look, if that is not too long ago."""
        return self._ready if monotonic() - self._looked_at <= within else None

    def forget(self) -> None:
        """Begin anew: the connection is gone, and what it gave comes again."""
        self._custody = None
        self._looked_at = float("-inf")
        self._unserved = 0
        self.waiting.clear()

    async def open(self, link: Link, connection: AbstractConnection) -> None:
        """Begin to consume; raise `BrokerTrouble` if the queue cannot be had in time."""
        try:
            with broker_faults(BrokerTrouble):
                async with link.within(_OPEN_PATIENCE):
                    await self._consume(link, connection)
        except BrokerTrouble:
            self.forget()
            raise

    async def close(self) -> None:
        """Give back at once whatever was not acked."""
        custody = self._custody
        self.forget()
        if custody is not None:
            with suppress(BrokerTrouble), broker_faults(BrokerTrouble):
                async with asyncio.timeout(_CLOSE_PATIENCE):
                    await custody.channel.close()

    async def look(self, channel: Channel) -> None:
        """Ask after the queue over *channel*; raise `Astray` where the answer is not sound.

        A consumer can vanish without any signal: then the queue has none, or it has messages
        and we have room, yet none comes. A queue that has no leader, or is too busy to answer,
        says that it has neither; so once is not enough.
        """
        seen = await channel.queue_declare(self.route, passive=True)
        if self._custody is None:
            return
        self._unserved = 0 if seen.consumer_count else self._unserved + 1
        if self._unserved:
            self._looked_at = float("-inf")  # what it says of its messages is no better
            if self._unserved >= _UNSERVED_LOOKS:
                raise Astray("it has no consumer")
            return
        self._ready, self._looked_at = seen.message_count or 0, monotonic()
        has_room = len(self._custody) < self._prefetch
        if self._ready and has_room and monotonic() - self._heard_at > self._silence:
            raise Astray("it has messages and sends none")

    async def _consume(self, link: Link, connection: AbstractConnection) -> None:
        channel = await open_channel(link, connection, confirms=False, vital=False)
        custody = Custody(self.route, link, channel)
        drop = link.dropper()

        def ended(*_: object) -> None:
            if self._custody is custody:  # else we left it ourselves
                drop(f"consumer of {self.route} ended")

        await channel.basic_qos(prefetch_count=self._prefetch)
        self._custody = custody
        self._heard_at = monotonic()
        await channel.basic_consume(self.route, partial(self._arrived, custody))
        channel.closing.add_done_callback(ended)  # not before: what fails here is known here
        channel.on_consumer_cancel_callbacks.add(ended)

    async def _arrived(self, custody: Custody, message: DeliveredMessage) -> None:
        if self._custody is not custody or message.delivery_tag is None:
            return  # of a channel that is gone: it comes again
        self._heard_at = monotonic()
        custody.take(message.delivery_tag)
        delivery = _delivery(custody, message, message.delivery_tag)
        if len(delivery.body) > LARGEST_KNOCK:
            log.warning("message too large", route=self.route, size_bytes=len(delivery.body))
            await delivery.reject()
            return
        self.waiting.append(delivery)
        self._news.set()


def _delivery(custody: Custody, message: DeliveredMessage, tag: int) -> Delivery:
    properties = message.header.properties
    headers = properties.headers or {}
    return Delivery(
        body=message.body,
        route=custody.route,
        headers={name: text for name, text in headers.items() if isinstance(text, str)},
        message_id=properties.message_id,
        user_id=properties.user_id,
        redelivered=bool(message.redelivered),
        arrived_at=monotonic(),
        custody=custody,
        tag=tag,
    )
