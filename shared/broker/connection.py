"""One supervised connection to the broker.

Whatever goes wrong on a connection sets `lost`, and the cure is always to dial again: nothing
is ever repaired in place, and no object of the library outlives its connection. Every wait on
the library is bounded from outside, for its own limits do not cover all of its waits.
"""

import asyncio
import logging
import random
from collections.abc import Awaitable, Callable
from contextlib import suppress
from itertools import cycle
from time import monotonic
from types import TracebackType
from typing import Final, cast

import aio_pika
import structlog
from aio_pika.abc import AbstractConnection
from aio_pika.exceptions import ChannelPreconditionFailed
from aiormq.abc import AbstractConnection as LowerConnection
from aiormq.channel import Channel
from yarl import URL

from shared.broker.troubles import BrokerTrouble, broker_faults

log = structlog.get_logger()

HEARTBEAT_SECONDS: Final = 15  # a blocked loop is a dead connection: not less
_DIAL_PATIENCE: Final = 5.0
_LAST_MOMENT: Final = 0.05
_CLOSE_PATIENCE: Final = 3.0  # the library itself gives the broker two seconds to say goodbye
_SHORTEST_PAUSE: Final = 0.05
_LONGEST_PAUSE: Final = 2.0
_A_LIFE: Final = 1.0  # a connection that lasted this long has earned a quick redial
_REPEAT_EVERY: Final = 30.0
_WE_SAY_IT: Final = (
    "error when creating transport",
    "Unexpected connection close",
    "Cancelling cause reader exited",
)
"""What the library logs, some of it with a stack, at every lost connection and every dial."""


class Link:
    """Keeps one connection up, over the hosts of *url* in turn.

    *url* may be several, separated by commas. *set_up* opens what is needed on each new
    connection, within *patience*; only then is the link `up`. `trouble` says why it is not.
    """

    def __init__(
        self,
        url: str,
        *,
        name: str,
        set_up: Callable[["Link", AbstractConnection], Awaitable[None]],
        patience: float = 10.0,
        heartbeat: int = HEARTBEAT_SECONDS,
        dice: Callable[[], float] = random.random,
    ) -> None:
        self.name = name
        self.up = asyncio.Event()
        self.lost = asyncio.Event()
        self.born = monotonic()
        self.trouble: str | None = "not connected yet"
        self._urls = broker_urls(url, heartbeat)
        self._url = self._urls[0]
        self._set_up = set_up
        self._patience = patience
        self._dice = dice
        self._connection: AbstractConnection | None = None
        self._said_at = float("-inf")
        self._lived = False
        self._waits: set[asyncio.Timeout] = set()

    @property
    def is_blocked(self) -> bool:
        """Tell whether the broker takes nothing at present, for want of memory or disk."""
        if self._connection is None or self._connection.transport is None:
            return False
        return not _ends_at_once(underlay(self._connection).ready())

    @property
    def user(self) -> str | None:
        """As whom we are connected; ``None`` where a certificate says it."""
        is_named = self._url.query.get("auth", "plain").lower() == "plain"
        return (self._url.user or "guest") if is_named else None

    def drop(self, why: str) -> None:
        """Give this connection up, and end every wait on it; the next one will be sound."""
        if self.lost.is_set():
            return
        self.trouble = why
        self.up.clear()
        self.lost.set()
        now = asyncio.get_running_loop().time()
        for limit in self._waits:
            if not limit.expired():
                limit.reschedule(now)

    def within(self, seconds: float) -> "_Wait":
        """Bound a wait on the library; it ends with the connection, whichever is first.

        The library forgets some who wait when a connection is lost: for room in its buffer,
        say, which nobody empties any more. Either way it is a `TimeoutError`.
        """
        return _Wait(asyncio.timeout(seconds), self._waits)

    async def run(self) -> None:
        logging.getLogger("aiormq.connection").addFilter(_is_news)
        failures = 0
        for url in cycle(self._urls):
            began = monotonic()
            try:
                with broker_faults(BrokerTrouble):
                    await self._live(url)
                log.warning("broker lost", name=self.name, host=url.host, why=self.trouble)
            except BrokerTrouble as trouble:
                self._note(url, trouble)
            failures = 0 if self._lived and monotonic() - began >= _A_LIFE else failures + 1
            await asyncio.sleep(pause(failures, self._dice()))

    async def _live(self, url: URL) -> None:
        self._url = url
        self._lived = False
        self.lost = asyncio.Event()
        connection = aio_pika.Connection(url, client_properties={"connection_name": self.name})
        try:
            await _dial(connection)
            self._connection = connection
            self.watch(underlay(connection).closing, "connection")
            async with self.within(self._patience):
                await self._set_up(self, connection)
            self._begin(url)
            await self.lost.wait()
        finally:
            self.drop("stopped, or never set up")
            self._connection = None
            await _close(connection)  # one that never was, too, or it wails when it is collected

    def _begin(self, url: URL) -> None:
        if self.lost.is_set():  # while it was being set up
            raise BrokerTrouble(self.trouble)
        self.born = monotonic()
        self.trouble = None
        self._lived = True
        self._said_at = float("-inf")
        self.up.set()
        log.info("broker connected", name=self.name, host=url.host, port=url.port)

    def watch(self, closing: asyncio.Future[None], what: str) -> None:
        """Give the present connection up when *closing* is done."""
        drop = self.dropper()
        closing.add_done_callback(
            lambda ended: drop(f"{what} closed: {_reason(ended)}"),
        )

    def dropper(self) -> Callable[[str], None]:
        """Make a `drop` for the present connection, which does not touch any later one."""
        lost = self.lost
        return lambda why: self.drop(why) if lost is self.lost else None

    def _note(self, url: URL, trouble: BrokerTrouble) -> None:
        """Say what is wrong: loudly if only a change of ours can mend it, and not too often."""
        self.trouble = f"{trouble}"
        if monotonic() - self._said_at < _REPEAT_EVERY:
            return
        self._said_at = monotonic()
        if isinstance(trouble.__cause__, ChannelPreconditionFailed):
            log.error("broker refuses our topology", name=self.name, why=self.trouble)
        else:
            log.warning("broker out of reach", name=self.name, host=url.host, why=self.trouble)


class _Wait:
    """A time limit that is known to its link while it runs."""

    __slots__ = ("_limit", "_waits")

    def __init__(self, limit: asyncio.Timeout, waits: set[asyncio.Timeout]) -> None:
        self._limit = limit
        self._waits = waits

    async def __aenter__(self) -> None:
        await self._limit.__aenter__()
        self._waits.add(self._limit)

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._waits.discard(self._limit)
        await self._limit.__aexit__(kind, error, traceback)


def broker_urls(text: str, heartbeat: int) -> tuple[URL, ...]:
    """Read URLs separated by commas; ``ValueError`` without the text, which holds a password."""
    urls = tuple(URL(part.strip()) for part in text.split(",") if part.strip())
    if not urls or not all(url.scheme in ("amqp", "amqps") and url.host for url in urls):
        raise ValueError("the broker's URL must be amqp:// or amqps://, or several with commas")
    return tuple(
        url if "heartbeat" in url.query else url.update_query(heartbeat=heartbeat) for url in urls
    )


def pause(failures: int, roll: float) -> float:
    """Seconds before the next dial: doubling with each failure, and jittered by *roll*."""
    longest = min(_LONGEST_PAUSE, _SHORTEST_PAUSE * 2.0 ** min(failures, 10))
    return _SHORTEST_PAUSE + (longest - _SHORTEST_PAUSE) * roll


async def open_channel(
    link: Link, connection: AbstractConnection, *, confirms: bool, vital: bool = True
) -> Channel:
    """Open a channel; the loss of a *vital* one gives up the whole connection.

    It is a channel of the lower library: the upper one's messages and callbacks cost nearly
    twice the CPU time, and a knock is the dearest part of a job.
    """
    opened = await underlay(connection).channel(publisher_confirms=confirms)
    channel = cast("Channel", opened)
    if vital:
        link.watch(channel.closing, "channel")
    return channel


def underlay(connection: AbstractConnection) -> LowerConnection:
    """Give the connection below; the upper one notices neither a block nor its own end."""
    if connection.transport is None:
        raise BrokerTrouble("the connection is gone")
    return connection.transport.connection


def _is_news(record: logging.LogRecord) -> bool:
    return not str(record.msg).startswith(_WE_SAY_IT)


def _ends_at_once(asking: Awaitable[None]) -> bool:
    """Take one step of a coroutine: the library has no other way to ask without waiting."""
    steps = asking.__await__()
    try:
        next(steps)
    except StopIteration:
        return True
    steps.close()
    return False


def _reason(ended: asyncio.Future[None]) -> str:
    return "torn down by the library" if ended.cancelled() else repr(ended.exception())


async def _dial(connection: AbstractConnection) -> None:
    """Connect in time. Torn at the last moment a line would be nobody's, and stay open."""
    dial = asyncio.create_task(connection.connect(), name="dial")
    try:
        async with asyncio.timeout(_DIAL_PATIENCE):
            await asyncio.shield(dial)
    finally:
        with suppress(TimeoutError):
            async with asyncio.timeout(_LAST_MOMENT):
                await asyncio.gather(dial, return_exceptions=True)


async def _close(connection: AbstractConnection) -> None:
    with suppress(Exception), broker_faults(BrokerTrouble):
        async with asyncio.timeout(_CLOSE_PATIENCE):
            await connection.close()
