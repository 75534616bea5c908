"""Take knocks from the queues of a pool, and hold them until somebody has room.

Hands over and no more: nothing is decoded, claimed or run here, and nothing is acked that
nobody asked to ack. A lost connection loses nothing: what was not acked comes again.
"""

import asyncio
from collections import deque
from collections.abc import Mapping
from typing import Final

import structlog
from aio_pika.abc import AbstractConnection
from aiormq.channel import Channel

from shared.broker.connection import Link, open_channel
from shared.broker.declaration import declare
from shared.broker.delivery import Delivery
from shared.broker.early import EarlySource
from shared.broker.source import Astray, Source
from shared.broker.topology import job_topology
from shared.broker.troubles import BrokerTrouble, broker_faults

log = structlog.get_logger()

_LOOK_PATIENCE: Final = 10.0


class Subscriber:
    """Consumes *routes* (queue → prefetch), each over a channel of its own.

    `waiting` holds what the broker gave and nobody took yet; `news` is set when more arrives,
    and is the reader's to clear. After a lost connection `waiting` starts empty. Every
    *look_every* seconds the broker is asked whether it still knows us; *silence* is how long a
    queue may have messages and we have room, and none comes.
    """

    def __init__(
        self,
        url: str,
        *,
        name: str,
        routes: Mapping[str, int],
        declare: bool = True,
        look_every: float = 5.0,
        silence: float = 30.0,
    ) -> None:
        self.name = name
        self.news = asyncio.Event()
        self.is_paused = False
        self._sources = {
            route: Source(route, prefetch, news=self.news, silence=silence)
            for route, prefetch in routes.items()
        }
        self.waiting: Mapping[str, deque[Delivery]] = {
            route: source.waiting for route, source in self._sources.items()
        }
        self._early = EarlySource(routes, news=self.news, declare=declare)
        self.early = self._early.heard
        self._topology = job_topology(routes)
        self._declares = declare
        self._look_every = look_every
        self.link = Link(url, name=name, set_up=self._set_up, patience=15 + 0.2 * len(routes))
        self._connection: AbstractConnection | None = None
        self._watching: Channel | None = None

    @property
    def is_listening(self) -> bool:
        """Say whether knocks reach us: the broker is there, and we have not stopped for good."""
        return self.link.up.is_set() and not self.is_paused

    async def run(self) -> None:
        async with asyncio.TaskGroup() as group:
            group.create_task(self.link.run(), name=f"{self.name} link")
            group.create_task(self._watch(), name=f"{self.name} watch")

    async def pause(self) -> None:
        """Stop consuming for good: what is prefetched and not acked goes back at once."""
        self.is_paused = True
        closings = (source.close() for source in self._sources.values())
        await asyncio.gather(self._early.close(), *closings)

    def depth(self, route: str, *, within: float = 15.0) -> int | None:
        """Say how many messages were ready at the last look; ``None`` if not known lately."""
        return self._sources[route].depth(within) if route in self._sources else None

    async def look(self) -> None:
        """See that every queue is served to us, and open again those that are not."""
        if self.link.up.is_set():
            await asyncio.gather(*(self._attend(source) for source in self._sources.values()))
            await self._hear_early()

    async def _watch(self) -> None:
        while True:
            await self.link.up.wait()
            await self.look()
            await asyncio.sleep(self._look_every)

    async def _attend(self, source: Source) -> None:
        connection, channel = self._connection, self._watching
        if connection is None or channel is None:
            return
        drop = self.link.dropper()
        try:
            if source.is_open:
                with broker_faults(BrokerTrouble):
                    async with self.link.within(_LOOK_PATIENCE):
                        await source.look(channel)
        except Astray as trouble:
            log.warning("queue not served", route=source.route, why=str(trouble))
            await source.close()
        except BrokerTrouble as trouble:
            drop(str(trouble))
        if connection is self._connection and self.link.up.is_set():
            await self._open(source, connection)

    async def _set_up(self, link: Link, connection: AbstractConnection) -> None:
        """Open every queue that can be had: one that cannot holds up no other."""
        self._connection = None
        for source in self._sources.values():
            source.forget()
        if self._declares:
            await declare(link, connection, self._topology)
        self._connection = connection
        self._watching = await open_channel(link, connection, confirms=False)
        openings = (self._open(source, connection) for source in self._sources.values())
        troubles = await asyncio.gather(*openings)
        if troubles and all(troubles):
            raise BrokerTrouble(f"no queue can be had: {troubles[0]}")
        await self._hear_early()

    async def _hear_early(self) -> None:
        if self._connection is not None and not self.is_paused:
            await self._early.attend(self.link, self._connection)

    async def _open(self, source: Source, connection: AbstractConnection) -> BrokerTrouble | None:
        if source.is_open or self.is_paused:
            return None
        try:
            await source.open(self.link, connection)
        except BrokerTrouble as trouble:
            log.warning("queue not opened", route=source.route, why=str(trouble))
            return trouble
        if self.is_paused:  # meanwhile
            await source.close()
        return None
