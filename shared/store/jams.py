"""Submissions whose key or name somebody else holds: each goes on alone, and holds up nobody."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Generic, TypeVar

from shared.contract.ids import JobId, TenantId
from shared.contract.jobs import Submission

Answer = TypeVar("Answer")
Lane = JobId | tuple[TenantId, str | None]
Write = Callable[[Sequence[Submission]], Awaitable[Sequence[Answer | BaseException]]]


def lane_of(submission: Submission) -> Lane:
    """Name what a submission shares its fate with: its key, all plain ones, or itself."""
    if submission.ordering_key is None and (
        submission.idempotency or submission.blobs or submission.unique
    ):
        return submission.id
    return (submission.tenant, submission.ordering_key)


def parted(lot: Sequence[Submission]) -> list[list[Submission]]:
    """Part a lot by lanes; if it is of one, into single submissions."""
    lanes: dict[Lane, list[Submission]] = {}
    for submission in lot:
        lanes.setdefault(lane_of(submission), []).append(submission)
    return list(lanes.values()) if len(lanes) > 1 else [[submission] for submission in lot]


class Jams(Generic[Answer]):
    """Writes the submissions of one lane one lot after the other, in the order they came.

    At most *at_once* lanes are tried at a time: each holds a connection while it waits, and
    however many keys are held, the others need theirs.
    """

    def __init__(self, write: Write[Answer], *, at_once: int) -> None:
        self._write, self._room = write, asyncio.Semaphore(at_once)
        self._waiting: dict[Lane, list[tuple[Submission, asyncio.Future[Answer]]]] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    def __contains__(self, lane: Lane) -> bool:
        return lane in self._waiting

    def add(self, submission: Submission) -> "asyncio.Future[Answer]":
        """Put *submission* at the end of its lane; one whose future is cancelled is not written."""
        future: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()
        lane = lane_of(submission)
        if lane not in self._waiting:
            self._waiting[lane] = []
            task = asyncio.create_task(self._clear(lane), name="jam")
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
        self._waiting[lane].append((submission, future))
        return future

    async def drain(self) -> None:
        while self._tasks:
            await asyncio.wait(tuple(self._tasks))

    async def _clear(self, lane: Lane) -> None:
        try:
            while self._waiting[lane]:
                async with self._room:
                    await self._write_lot(lane)
        finally:
            del self._waiting[lane]

    async def _write_lot(self, lane: Lane) -> None:
        """Write what waits in *lane* by now, but for those whose callers have gone."""
        await asyncio.sleep(0)  # for who has gone at this very moment to be known as gone
        lot = [one for one in self._waiting[lane] if not one[1].done()]
        self._waiting[lane] = []
        answers = await self._answers([submission for submission, _ in lot]) if lot else []
        for (_, future), answer in zip(lot, answers, strict=True):
            if future.done():
                continue
            if isinstance(answer, BaseException):
                future.set_exception(answer)
            else:
                future.set_result(answer)

    async def _answers(self, lot: Sequence[Submission]) -> Sequence[Answer | BaseException]:
        try:
            return await self._write(lot)
        except Exception as error:  # noqa: BLE001  every caller learns of it
            return [error] * len(lot)
