"""Follow one job to its end: by the socket while there is one, else by asking again and again.

What a watch promises: no status twice, none that is older than one already told, no event missed
on the socket however often it drops, and the last status is always the ending. Between two
polls events may pass unseen; the numbers of the statuses (``sequence``) show it.
"""

from collections.abc import AsyncGenerator
from contextlib import aclosing
from datetime import timedelta
from itertools import count
from typing import Final

from shared.contract.errors import UnknownJob
from shared.contract.ids import parse_uuid
from uketsuke.documents import Status, read_status
from uketsuke.errors import Unreachable, clean
from uketsuke.patience import Deadline
from uketsuke.sockets import Door, Line, NoSocket, OwnSockets
from uketsuke.wire import (
    MAY_PASS,
    Answer,
    Call,
    Wire,
    network_trouble,
    read_retry_after,
)

_MOST_FRUITLESS: Final = 3  # sockets in a row that told nothing new, before polling
_POINTLESS: Final = frozenset({1002, 1003, 1007, 1008, 4401})  # a new socket would end the same


class Seen:
    """What a watch has told so far; decides whether a status is news."""

    def __init__(self, after: int | None) -> None:
        self.sequence = after
        self._last: Status | None = None

    def is_news(self, status: Status) -> bool:
        """Take note of *status*; the ending is always news."""
        known, last = self.sequence, self._last
        if status.has_ended or known is None or status.sequence > known:
            news = True
        elif status.sequence < known or (last and status.progress < last.progress):
            return False  # overtaken by what a fresher source said
        else:  # conflated progress; the caller of ``after`` has seen the event itself
            news = last is not None and _gist(status) != _gist(last)
        self.sequence, self._last = max(status.sequence, known or 0), status
        return news


def _gist(status: Status) -> tuple[object, ...]:
    return status.status, status.state, status.progress, status.message


class Watch:
    """One job under observation."""

    def __init__(
        self,
        wire: Wire,
        job_id: str,
        *,
        after: int | None,
        deadline: timedelta | None,
        patience: timedelta,
        door: Door | None = None,
    ) -> None:
        self._door = OwnSockets(wire) if door is None else door
        self._wire, self._job_id, self._patience = wire, job_id, patience
        self._deadline = Deadline(wire.clock, deadline)
        self._seen = Seen(after)
        self._ended = False

    async def statuses(self) -> AsyncGenerator[Status]:
        for source in (self._by_socket, self._by_polling):
            async with aclosing(source()) as statuses:
                async for status in statuses:
                    if self._seen.is_news(status):
                        yield status
                    if status.has_ended:
                        return

    async def _by_socket(self) -> AsyncGenerator[Status]:
        """Tell what the socket tells, and open it again after every drop that may pass."""
        fruitless = 0
        while fruitless < _MOST_FRUITLESS:
            before = self._seen.sequence
            try:
                async with self._door.open(self._job_id, before, self._deadline) as line:
                    while (status := await self._receive(line)) is not None:
                        yield status
            except Unreachable:
                pass
            except NoSocket:
                return
            else:
                if line.close_code in _POINTLESS:
                    return
            fruitless = 1 if self._seen.sequence != before else fruitless + 1
            await self._deadline.pause(self._wire.wait_before(fruitless))

    async def _receive(self, line: Line) -> Status | None:
        """Wait for the next status; ``None`` when the line is gone, for whatever reason."""
        async with network_trouble(self._wire.base, self._deadline.seconds()):
            return await line.receive()

    async def _by_polling(self) -> AsyncGenerator[Status]:
        for polls in count(1):
            answer = await self._poll()
            yield read_status(answer.document, self._job_id)
            wait = self._wire.wait_before(polls, read_retry_after(answer.headers))
            await self._deadline.pause(wait)

    async def _poll(self) -> Answer:
        """Ask once. With a deadline, trouble is endured until it passes."""
        call = Call(method="GET", path=f"/api/jobs/{self._job_id}")
        if self._deadline.limit is None:
            return await self._wire.ask(call, Deadline(self._wire.clock, self._patience))
        try:
            return await self._wire.ask(call, self._deadline)
        except MAY_PASS as trouble:
            raise await self._deadline.run_out() from trouble


def checked(job_id: object) -> str:
    """Refuse what is no job id before it becomes part of an address."""
    if parse_uuid(str(job_id)) is None:
        raise UnknownJob(f"{clean(job_id, 64)!r} is no job id")
    return str(job_id)
