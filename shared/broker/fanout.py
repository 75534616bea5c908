"""Tell every front replica what happened, at most once.

Loss is normal and silent here: whoever listens reads the store again after a gap, a reconnect
or a silence. So nothing is confirmed, nothing persistent, and nobody ever waits for it.
"""

import asyncio
from collections import deque
from collections.abc import Callable
from secrets import token_hex
from typing import Final

import structlog
from aio_pika.abc import AbstractConnection
from aiormq import spec
from aiormq.abc import DeliveredMessage
from aiormq.channel import Channel

from shared.broker.connection import Link, open_channel
from shared.broker.declaration import declare, declare_queue
from shared.broker.packs import UnreadablePack, pack, unpack
from shared.broker.topology import EVENTS, Topology, events_queue, is_name
from shared.broker.troubles import BrokerTrouble, broker_faults

log = structlog.get_logger()

LARGEST_EVENT: Final = 1_048_576
_LARGEST_PACK: Final = 262_144
_MOST_IN_A_PACK: Final = 256
_PATIENCE: Final = 5.0
_BLOCKED_PAUSE: Final = 0.1
_TRANSIENT: Final = 1
_EXCHANGE: Final = Topology(exchanges=(EVENTS,))


class FanOut:
    """Publishes events from a buffer of *limit*; what is too much is dropped, the oldest first.

    `dropped` counts what never left: too old, too large, or unsent when the connection went.
    """

    def __init__(self, url: str, *, name: str, declare: bool = True, limit: int = 10_000) -> None:
        self.name = name
        self.dropped = 0
        self.link = Link(url, name=name, set_up=self._set_up)
        self._declares = declare
        self._limit = limit
        self._buffer: deque[tuple[str, bytes]] = deque()
        self._news = asyncio.Event()
        self._channel: Channel | None = None

    def offer(self, body: bytes, routing_key: str = "jobs") -> None:
        """Take an event, without ever waiting or failing."""
        if len(body) > LARGEST_EVENT or not is_name(routing_key):
            self.dropped += 1
            return
        if len(self._buffer) >= self._limit:
            self._buffer.popleft()
            self.dropped += 1
        self._buffer.append((routing_key, body))
        self._news.set()

    async def run(self) -> None:
        async with asyncio.TaskGroup() as group:
            group.create_task(self.link.run(), name=f"{self.name} link")
            group.create_task(self._send(), name=f"{self.name} send")

    async def _send(self) -> None:
        while True:
            await self._news.wait()
            await self.link.up.wait()
            if self.link.is_blocked:  # the buffer forgets the oldest; the connection would not
                await asyncio.sleep(_BLOCKED_PAUSE)
                continue
            key, bodies = self._next_pack()
            if bodies:
                await self._publish(key, bodies)

    def _next_pack(self) -> tuple[str, list[bytes]]:
        """Take the oldest events that have one routing key, as many as a message should hold."""
        if not self._buffer:
            self._news.clear()
            return "", []
        key, body = self._buffer.popleft()
        bodies, size = [body], len(body)
        while self._buffer and self._buffer[0][0] == key and len(bodies) < _MOST_IN_A_PACK:
            size += len(self._buffer[0][1])
            if size > _LARGEST_PACK:
                break
            bodies.append(self._buffer.popleft()[1])
        return key, bodies

    async def _publish(self, key: str, bodies: list[bytes]) -> None:
        channel = self._channel
        drop = self.link.dropper()
        try:
            with broker_faults(BrokerTrouble):
                async with self.link.within(_PATIENCE):
                    await _write(channel, key, pack(bodies))
        except BrokerTrouble as trouble:
            self.dropped += len(bodies)
            drop(f"events do not go out: {trouble}")

    async def _set_up(self, link: Link, connection: AbstractConnection) -> None:
        await declare(link, connection, _EXCHANGE, passive=not self._declares)
        self._channel = await open_channel(link, connection, confirms=False)


class FanIn:
    """Hears every event from now on, over a queue of its own with a new name at each connect.

    *on_message* gets each body and must not block; *on_reconnect* is called once listening has
    begun, at the first connect too: what happened before must be read from the store.
    """

    def __init__(
        self,
        url: str,
        *,
        name: str,
        on_message: Callable[[bytes], None],
        on_reconnect: Callable[[], None],
        declare: bool = True,
    ) -> None:
        self.name = name
        self.link = Link(url, name=name, set_up=self._set_up)
        self._on_message = on_message
        self._on_reconnect = on_reconnect
        self._declares = declare

    async def run(self) -> None:
        await self.link.run()

    async def _set_up(self, link: Link, connection: AbstractConnection) -> None:
        await declare(link, connection, _EXCHANGE, passive=not self._declares)
        channel = await open_channel(link, connection, confirms=False)
        queue = events_queue(f"events.{self.name}.{token_hex(8)}")
        await declare_queue(channel, queue)
        drop = link.dropper()
        channel.on_consumer_cancel_callbacks.add(lambda _: drop("the events queue is gone"))
        await channel.basic_consume(queue.name, self._arrived, no_ack=True)
        self._on_reconnect()

    async def _arrived(self, message: DeliveredMessage) -> None:
        try:
            bodies = _unpacked(message.body)
        except UnreadablePack as error:
            log.warning("unreadable event", name=self.name, why=str(error))
            return
        for body in bodies:
            try:
                self._on_message(body)
            except Exception:
                log.exception("event not taken", name=self.name)


def _unpacked(message: bytes) -> list[bytes]:
    """Unpack what we might have sent; raise `UnreadablePack` for what nobody of us would."""
    bodies = unpack(message, most=_MOST_IN_A_PACK)
    is_one_event = len(bodies) == 1 and len(bodies[0]) <= LARGEST_EVENT
    if not is_one_event and sum(map(len, bodies)) > _LARGEST_PACK:
        raise UnreadablePack("it is too large")
    return bodies


async def _write(channel: Channel | None, key: str, body: bytes) -> None:
    """Publish, waiting for the socket: a broker that takes nothing must be felt here."""
    if channel is None:
        raise BrokerTrouble("not connected")
    await channel.basic_publish(
        body,
        exchange=EVENTS.name,
        routing_key=key,
        # without an id the library would make a random one for each
        properties=spec.Basic.Properties(delivery_mode=_TRANSIENT, message_id="-"),
    )
