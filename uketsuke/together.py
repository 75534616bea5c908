"""Watch many jobs over one socket.

    async with client.together() as together:
        async with asyncio.TaskGroup() as group:
            for job_id in job_ids:
                group.create_task(follow(together.watch(job_id)))

Each watch promises what ``Client.watch`` promises. Where there is no such socket, or no room on
it for one more job, that job is polled.
"""

import asyncio
from collections import deque
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager, suppress
from datetime import timedelta
from typing import Any, Final

import aiohttp
import orjson

from uketsuke.documents import Status, parse, read_status
from uketsuke.errors import BadAnswer
from uketsuke.patience import Deadline
from uketsuke.sockets import Line, NoSocket, dial, text_of
from uketsuke.watching import Watch, checked
from uketsuke.wire import Wire

_GATHER: Final = 0.1  # seconds between two lots of commands: twenty a second are allowed
_MOST_AT_ONCE: Final = 100  # jobs in one command
_MOST_UNREAD: Final = 1_000  # frames that a slow watch may leave lying; then it starts again


class Together:
    """One socket, opened with the first watch; use it as ``async with client.together()``."""

    def __init__(self, wire: Wire, patience: timedelta) -> None:
        self._wire, self._patience = wire, patience
        self._shared: _Shared | None = None
        self._dialling = asyncio.Lock()

    def watch(
        self, job_id: object, *, after: int | None = None, deadline: timedelta | None = None
    ) -> AsyncGenerator[Status]:
        """As ``Client.watch``."""
        return Watch(
            self._wire,
            checked(job_id),
            after=after,
            deadline=deadline,
            patience=self._patience,
            door=self,
        ).statuses()

    @asynccontextmanager
    async def open(self, job_id: str, after: int | None, deadline: Deadline) -> AsyncIterator[Line]:
        """Have a line on the common socket: as ``Door.open``."""
        shared = await self._connected(deadline)
        line = shared.join(job_id, after)
        try:
            yield line
        finally:
            shared.leave(job_id)

    async def close(self) -> None:
        if self._shared is not None:
            await self._shared.close()

    async def _connected(self, deadline: Deadline) -> "_Shared":
        async with self._dialling:
            if self._shared is None or self._shared.is_closed:
                if self._shared is not None:
                    await self._shared.close()
                self._shared = _Shared(await dial(self._wire, "/api/socket", {}, deadline))
            return self._shared


class _Line:
    """The frames of one job, as they were sorted out of all."""

    def __init__(self, socket: aiohttp.ClientWebSocketResponse, job_id: str) -> None:
        self._socket, self._job_id = socket, job_id
        self._frames: deque[object] = deque()
        self._trouble: Exception | None = None
        self._is_over = False
        self._news = asyncio.Event()

    @property
    def close_code(self) -> int | None:
        return self._socket.close_code

    async def receive(self) -> Status | None:
        while not self._frames:
            if self._trouble is not None:
                raise self._trouble
            if self._is_over:
                return None
            self._news.clear()
            await self._news.wait()
        return read_status(self._frames.popleft(), self._job_id)

    def put(self, document: object) -> None:
        self._frames.append(document)
        if len(self._frames) > _MOST_UNREAD:
            self._frames.clear()
            self._is_over = True
        self._news.set()

    def end(self, trouble: Exception | None = None) -> None:
        self._is_over, self._trouble = True, trouble
        self._news.set()


class _Shared:
    """A socket and who listens on it."""

    def __init__(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        self._socket = socket
        self._lines: dict[str, _Line] = {}
        self._joining: dict[str, int | None] = {}
        self._leaving: set[str] = set()
        self._lots: dict[str, list[str]] = {}  # what was asked for under which name
        self._stir = asyncio.Event()
        self._tasks = [
            asyncio.create_task(self._read(), name="frames"),
            asyncio.create_task(self._write(), name="commands"),
        ]

    @property
    def is_closed(self) -> bool:
        return self._socket.closed or self._tasks[0].done()

    def join(self, job_id: str, after: int | None) -> _Line:
        if job_id in self._lines:
            raise NoSocket  # it is watched here already: two would share their frames
        line = self._lines[job_id] = _Line(self._socket, job_id)
        self._joining[job_id] = after
        self._stir.set()
        return line

    def leave(self, job_id: str) -> None:
        del self._lines[job_id]
        self._joining.pop(job_id, None)
        self._leaving.add(job_id)
        self._stir.set()

    async def close(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.wait(self._tasks)
        await self._socket.close()

    async def _write(self) -> None:
        """Say in common commands who came and who went; a socket that is lost is read so."""
        with suppress(ConnectionError):
            while True:
                await self._stir.wait()
                await asyncio.sleep(0)  # whoever comes in the same turn of the loop comes along
                self._stir.clear()
                await self._tell()
                await asyncio.sleep(_GATHER)

    async def _tell(self) -> None:
        left, self._leaving = sorted(self._leaving), set()
        new, self._joining = list(self._joining.items()), {}
        for start in range(0, len(left), _MOST_AT_ONCE):
            await self._say({"op": "unsubscribe", "jobs": left[start : start + _MOST_AT_ONCE]})
        for start in range(0, len(new), _MOST_AT_ONCE):
            lot = dict(new[start : start + _MOST_AT_ONCE])
            name = str(len(self._lots))
            self._lots[name] = list(lot)
            after = {job_id: seen for job_id, seen in lot.items() if seen is not None}
            await self._say({"op": "subscribe", "id": name, "jobs": list(lot), "after": after})

    async def _say(self, command: dict[str, Any]) -> None:
        await self._socket.send_str(orjson.dumps(command).decode())

    async def _read(self) -> None:
        trouble: Exception | None = None
        try:
            while (text := text_of(await self._socket.receive())) is not None:
                self._sort(parse(text))
        except BadAnswer as error:
            trouble = error
        finally:
            for line in self._lines.values():
                line.end(trouble)

    def _sort(self, document: object) -> None:
        match document:
            case {"event": "error", "jobId": str() as job_id}:
                self._refuse([job_id])
            case {"event": "error", "id": str() as name}:
                self._refuse(self._lots.get(name, []))
            case {"event": _}:
                pass
            case {"jobId": str() as job_id} if (line := self._lines.get(job_id)) is not None:
                line.put(document)
            case _:
                pass  # of a job that was left a moment ago

    def _refuse(self, job_ids: list[str]) -> None:
        for job_id in job_ids:
            if (line := self._lines.get(job_id)) is not None:
                line.end(NoSocket())
