"""The things of one kind that one socket follows, each in a task and with a place of its own."""

import asyncio
from collections.abc import Awaitable, Callable, Collection, Iterator
from contextlib import ExitStack
from typing import Generic, TypeVar

from front_service.push.stream import Frames

Id = TypeVar("Id")


class Followed(Generic[Id]):
    """*tell* tells the frames of one; when it returns, or is left, the place is given up."""

    def __init__(
        self, tasks: asyncio.TaskGroup, tell: Callable[[Id, Frames], Awaitable[None]]
    ) -> None:
        self._tasks, self._tell = tasks, tell
        self._running: dict[Id, asyncio.Task[None]] = {}

    def __len__(self) -> int:
        return len(self._running)

    def __iter__(self) -> Iterator[Id]:
        return iter(tuple(self._running))

    def __contains__(self, one: object) -> bool:
        return one in self._running

    def start(self, one: Id, stream: Frames, place: ExitStack) -> None:
        task = self._tasks.create_task(self._run(one, stream), name="subscription")
        self._running[one] = task

        def left(ended: asyncio.Task[None]) -> None:
            place.close()
            if self._running.get(one) is ended:
                del self._running[one]

        task.add_done_callback(left)

    async def leave(self, those: Collection[Id]) -> None:
        """Follow *those* no longer: when this returns nothing more is told of them."""
        tasks = [self._running[one] for one in those if one in self._running]
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks)

    async def _run(self, one: Id, stream: Frames) -> None:
        await self._tell(one, stream)
