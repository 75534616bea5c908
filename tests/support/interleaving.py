"""Run two or three verbs of the store statement by statement, in every order there is.

Each verb gets a pool whose statements, BEGIN and COMMIT included, wait at a gate. A script says
whose statement is next. One that waits for a lock is left waiting: the others go on, as they
would, and it goes on by itself when the lock is free.
"""

import asyncio
import random
from collections.abc import (
    AsyncIterator,
    Awaitable,
    Callable,
    Iterable,
    Iterator,
    Mapping,
    Sequence,
)
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from itertools import permutations
from math import factorial, prod
from typing import Any, Final, cast

import asyncpg

from shared.store.pool import Busy, Connection, Pool

Verb = Callable[[Pool], Awaitable[object]]

_PATIENCE: Final = 20.0
_LOOK: Final = 0.002  # seconds after which one who has not moved is suspected to wait for a lock
MOST: Final = 70
LOT: Final = 40
_UNHURRIED: Final = "SET lock_timeout = '15s'"
"""Who holds a lock may be waiting for its turn in the script: that is no trouble."""

_WAITS_FOR_A_LOCK: Final = """
SELECT wait_event_type = 'Lock' FROM pg_stat_activity WHERE pid = $1
"""


@dataclass(slots=True)
class _Actor:
    """One verb, and where it stands."""

    task: asyncio.Task[object] | None = None
    go: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(0))
    at_gate: asyncio.Event = field(default_factory=asyncio.Event)
    pid: int | None = None
    is_free: bool = False
    asked: list[str] = field(default_factory=list)  # its statements
    trouble: Busy | None = None  # the first one, even if it was tried again after that

    @property
    def has_ended(self) -> bool:
        return self.task is not None and self.task.done()

    def start(self, pool: Pool, verb: Verb, name: str | None = None) -> None:
        self.task = asyncio.create_task(_run(verb, pool, self), name=name)
        self.task.add_done_callback(lambda _: self.at_gate.set())

    async def gate(self, query: str) -> None:
        self.asked.append(query)
        if self.is_free:
            return
        self.at_gate.set()
        await self.go.acquire()
        self.at_gate.clear()


class _Stepped:
    """A connection that asks before each statement."""

    def __init__(self, connection: "Connection[Any]", actor: _Actor) -> None:
        self._connection, self._actor = connection, actor

    async def execute(self, query: str, *args: Any) -> str:
        await self._actor.gate(query)
        return await self._connection.execute(query, *args)

    async def fetch(self, query: str, *args: Any) -> list[asyncpg.Record]:
        await self._actor.gate(query)
        return await self._connection.fetch(query, *args)

    async def fetchrow(self, query: str, *args: Any) -> asyncpg.Record | None:
        await self._actor.gate(query)
        return await self._connection.fetchrow(query, *args)

    async def fetchval(self, query: str, *args: Any) -> Any:
        await self._actor.gate(query)
        return await self._connection.fetchval(query, *args)


class _SteppedPool(Pool):
    """Lends connections of *pool* to one actor; needs nothing of what a pool is made of."""

    def __init__(self, pool: Pool, actor: _Actor) -> None:
        self._real, self._actor = pool, actor

    @asynccontextmanager
    async def connection(self) -> AsyncIterator["Connection[asyncpg.Record]"]:
        async with self._borrow() as connection:
            yield cast("Connection[asyncpg.Record]", _Stepped(connection, self._actor))

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator["Connection[asyncpg.Record]"]:
        async with self._borrow() as connection, connection.transaction():
            yield cast("Connection[asyncpg.Record]", _Stepped(connection, self._actor))
            await self._actor.gate("-- COMMIT")

    @asynccontextmanager
    async def _borrow(self) -> AsyncIterator["Connection[asyncpg.Record]"]:
        try:
            async with self._real.connection() as connection:
                await connection.execute(_UNHURRIED)
                self._actor.pid = await connection.fetchval("SELECT pg_backend_pid()")
                yield connection
        except Busy as trouble:
            self._actor.trouble = self._actor.trouble or trouble
            raise


async def play(pool: Pool, verbs: Mapping[str, Verb], script: Sequence[str]) -> dict[str, Any]:
    """Run *verbs* as *script* says, then let them end; answer what each came to.

    A verb that raised comes to its exception, and so does one that met a deadlock or waited too
    long for a lock, even if it then tried again and did what it should. What is left of the
    script when a verb has ended, or waits for a lock, is passed over.
    """
    actors = {name: _Actor() for name in verbs}
    for name, verb in verbs.items():
        actors[name].start(pool, verb, name)
    async with asyncio.timeout(_PATIENCE):
        await _settle(pool, actors.values())
        for name in script:
            await _step(pool, actors[name], actors.values())
        for actor in actors.values():
            actor.is_free = True
            actor.go.release()
        tasks = [actor.task for actor in actors.values() if actor.task is not None]
        outcomes = await asyncio.gather(*tasks, return_exceptions=True)
    return {
        name: actor.trouble or outcome
        for (name, actor), outcome in zip(actors.items(), outcomes, strict=True)
    }


async def _run(verb: Verb, pool: Pool, actor: _Actor) -> object:
    return await verb(_SteppedPool(pool, actor))


async def _step(pool: Pool, actor: _Actor, everybody: Iterable[_Actor]) -> None:
    """Let *actor* do one statement, if it is there to be let, and see what that sets going."""
    if not actor.has_ended and actor.at_gate.is_set():
        actor.at_gate.clear()
        actor.go.release()
        await _settle(pool, everybody)


async def _settle(pool: Pool, actors: Iterable[_Actor]) -> None:
    """Wait until each of *actors* is at its next gate, has ended, or waits for a lock."""
    for actor in actors:
        while not (actor.has_ended or actor.at_gate.is_set()):
            with suppress(TimeoutError):
                async with asyncio.timeout(_LOOK):
                    await actor.at_gate.wait()
                    continue
            if actor.pid is not None and await pool.fetchval(_WAITS_FOR_A_LOCK, actor.pid):
                break


async def rehearse(pool: Pool, verb: Verb) -> list[str]:
    """Run *verb* alone; answer its statements one by one, its COMMIT included."""
    actor = _Actor()
    actor.start(pool, verb)
    await _settle(pool, [actor])
    while not actor.has_ended:
        await _step(pool, actor, [actor])
    if actor.task is not None:
        await actor.task
    return actor.asked


def orders(
    steps: Mapping[str, int], *, most: int = MOST, lot: int = LOT, seed: int = 1
) -> list[tuple[str, ...]]:
    """List the ways to shuffle the *steps* of some verbs into one another.

    All of them if they are no more than *most*; else those in which one follows the other, and
    others by lot, *lot* in all.
    """
    deck = [name for name, count in steps.items() for _ in range(count)]
    if factorial(len(deck)) // prod(map(factorial, steps.values())) <= most:
        return list(_shuffles(dict(steps)))
    dice = random.Random(seed)
    found = {
        tuple(name for name in turn for _ in range(steps[name])): None
        for turn in permutations(steps)
    }
    while len(found) < lot:
        found[tuple(dice.sample(deck, len(deck)))] = None
    return list(found)


def _shuffles(left: dict[str, int]) -> Iterator[tuple[str, ...]]:
    if not any(left.values()):
        yield ()
    for name in [name for name, count in left.items() if count]:
        rest = left | {name: left[name] - 1}
        yield from ((name, *more) for more in _shuffles(rest))
