"""Group commit: calls that arrive together share one write.

A flush starts at once when nothing is under way; what arrives meanwhile forms the next batch.
So a lone call waits for nobody, and a crowd pays for few transactions.
"""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from contextvars import Context
from typing import Any, Generic, TypeVar

Item = TypeVar("Item")
Answer = TypeVar("Answer")

Flush = Callable[
    [Sequence[Item]], Awaitable[Sequence[Answer | BaseException | asyncio.Future[Answer]]]
]


class Batcher(Generic[Item, Answer]):
    """Collect items for *flush*, which answers each in its place: a value, or an exception.

    It may also answer a future, for what takes longer than the next batch should wait; that is
    cancelled when its caller goes away.

    An error that *flush* itself raises goes to every item of that batch. A caller that goes
    away takes back what still waits; from a batch under way it takes nothing (that is one
    promise).

    A batch runs in a context of its own: what it does, it does on behalf of no single caller.
    With *patience*, in seconds, a caller that has no answer by then gets a ``TimeoutError``; its
    item is left to its batch if that is under way, else it is not written.

    *on_flush* is told of every batch that came to its end, well or not: how many items it had, and
    how many seconds it took.
    """

    def __init__(
        self,
        flush: Flush[Item, Answer],
        *,
        most: int,
        at_once: int = 1,
        linger: float = 0.0,
        patience: float | None = None,
        on_flush: Callable[[int, float], None] | None = None,
        name: str = "batch",
    ) -> None:
        self._flush, self._most, self._at_once, self._name = flush, most, at_once, name
        self._linger = linger  # seconds to gather first, where nobody waits for the answer
        self._patience = None if patience is None else Patience(patience)
        self._waiting: deque[tuple[Item, asyncio.Future[Answer]]] = deque()
        self._under_way: set[asyncio.Task[None]] = set()
        self._writers = 0  # those that will look for waiting items once more
        self._on_flush, self._in_hand = on_flush, 0

    def __len__(self) -> int:
        """Count the items that wait or are in a batch under way."""
        return len(self._waiting) + self._in_hand

    def offer(self, item: Item) -> asyncio.Future[Answer]:
        """Hand in *item* without waiting; the future tells its answer."""
        future: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()
        self._waiting.append((item, future))
        if self._patience is not None:
            self._patience.watch(future)
        if self._writers < self._at_once:
            self._start()
        return future

    async def submit(self, item: Item) -> Answer:
        """Hand in *item* and wait until its batch is written."""
        return await self.offer(item)

    async def drain(self) -> None:
        """Wait until nothing is waiting or under way."""
        while self._under_way:
            await asyncio.wait(tuple(self._under_way))

    def _start(self) -> None:
        self._writers += 1
        task = asyncio.get_running_loop().create_task(
            self._run(), name=self._name, context=Context()
        )
        self._under_way.add(task)
        task.add_done_callback(self._under_way.discard)

    async def _run(self) -> None:
        try:
            while self._waiting:
                if self._linger:
                    await asyncio.sleep(self._linger)
                size = min(len(self._waiting), self._most)
                batch = [self._waiting.popleft() for _ in range(size)]
                await self._timed([one for one in batch if not one[1].done()])
        finally:  # in the same breath as the last look: what comes after it starts another
            self._writers -= 1

    async def _timed(self, batch: list[tuple[Item, asyncio.Future[Answer]]]) -> None:
        now, size = asyncio.get_running_loop().time, len(batch)
        begun = now()
        self._in_hand += size
        try:
            await self._write(batch)
        finally:
            self._in_hand -= size
            if self._on_flush is not None and size:
                self._on_flush(size, now() - begun)

    async def _write(self, batch: list[tuple[Item, asyncio.Future[Answer]]]) -> None:
        if not batch:
            return
        try:
            answers = await self._flush([item for item, _ in batch])
            answered = list(zip(batch, answers, strict=True))
        except BaseException as error:  # every caller learns of it, and a cancel goes on its way
            for _, future in batch:
                _settle(future, error)
            if not isinstance(error, Exception):
                raise
            return
        for (_, future), answer in answered:
            if isinstance(answer, asyncio.Future):
                _settle_later(future, answer)
            else:
                _settle(future, answer)


class Patience:
    """Gives every future that it watches the same time; one timer serves them all.

    A timer each (``asyncio.timeout``) costs a short call more than all else that it waits for.
    """

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._watched: deque[tuple[float, asyncio.Future[Any]]] = deque()
        self._timer: asyncio.TimerHandle | None = None

    def watch(self, future: asyncio.Future[Any]) -> None:
        """Set ``TimeoutError`` on *future* unless it is done in time."""
        until = future.get_loop().time() + self._seconds
        self._watched.append((until, future))
        if self._timer is None:
            self._timer = future.get_loop().call_at(until, self._look)

    def _look(self) -> None:
        """Part with what is done or late; all wait equally long, so the first is the next."""
        self._timer = None
        while self._watched:
            until, future = self._watched[0]
            if not future.done():
                loop = future.get_loop()
                if loop.time() < until:
                    self._timer = loop.call_at(until, self._look)
                    return
                future.set_exception(TimeoutError())
                future.exception()  # whoever offered without waiting must not be warned about it
            self._watched.popleft()


def _settle(future: asyncio.Future[Answer], answer: Answer | BaseException) -> None:
    if future.done():
        return
    if isinstance(answer, asyncio.CancelledError):
        future.cancel()
    elif isinstance(answer, BaseException):
        future.set_exception(answer)
        future.exception()  # whoever offered without waiting must not be warned about it
    else:
        future.set_result(answer)


def _settle_later(future: asyncio.Future[Answer], answer: asyncio.Future[Answer]) -> None:
    def pass_on(done: asyncio.Future[Answer]) -> None:
        gone = asyncio.CancelledError() if done.cancelled() else done.exception()
        _settle(future, gone or done.result())

    answer.add_done_callback(pass_on)
    future.add_done_callback(lambda _: answer.cancel())
