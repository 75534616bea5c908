"""One queue as a publisher knocks at it: a confirm channel, and how well it answers.

A quorum queue without a leader brings the broker's end of a channel to a standstill. So each
queue has a channel of its own, opened when it is first needed; and one that alone confirms
nothing is tried only now and then.
"""

import asyncio
from time import monotonic
from typing import Final

from aio_pika.abc import AbstractConnection
from aiormq.channel import Channel

from shared.broker.connection import Link, open_channel

_MISSES: Final = 3
_TRY_EVERY: Final = 3.0
_MOST_UNANSWERED: Final = 200  # with 400 the broker would stop reading the whole connection
_FIRST_DOUBT: Final = 2.0
_LAST_DOUBT: Final = 60.0


class Outlet:
    """*window* bounds what waits for a confirm; `in_flight` are the ids of that."""

    def __init__(self, window: int) -> None:
        self.window = asyncio.Semaphore(window)
        self.in_flight: set[str] = set()
        self.channel: Channel | None = None
        self._opening = asyncio.Lock()
        self._misses = 0
        self._missed_at = 0.0
        self._unanswered = 0
        self._doubt = _FIRST_DOUBT

    def renew(self) -> None:
        """Begin anew: the connection is another."""
        self.channel = None
        self._misses = 0
        self._unanswered = 0

    async def open(self, link: Link, connection: AbstractConnection) -> Channel:
        async with self._opening:
            if self.channel is None:
                self.channel = await open_channel(link, connection, confirms=True)
            return self.channel

    def admits(self) -> bool:
        """Tell whether a knock may be tried: always, unless three in a row had no answer."""
        if self._misses < _MISSES:
            return True
        if monotonic() - self._missed_at < _TRY_EVERY:
            return False
        self._missed_at = monotonic()  # this one tries; the next has to wait
        return True

    def answer(self) -> None:
        self._misses = 0
        self._doubt = _FIRST_DOUBT

    def miss(self) -> bool:
        """Count a knock without an answer; tell whether the connection has borne too many."""
        self._misses += 1
        self._missed_at = monotonic()
        self._unanswered += 1
        return self._unanswered >= _MOST_UNANSWERED

    def refuse(self, age: float) -> bool:
        """Take a nack or a return; tell whether a connection of this *age* should be renewed.

        The queue may have been deleted; and on RabbitMQ 3.10 a channel remembers a dead leader
        until that node is back. While refusals last the answer is yes ever more seldom: a queue
        may be full for hours.
        """
        if age <= self._doubt:
            return False
        self._doubt = min(_LAST_DOUBT, self._doubt * 2)
        return True
