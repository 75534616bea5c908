"""The service's side of the nursery: have a child, talk with it, and never leave one behind."""

import asyncio
import json
import os
import socket
import subprocess
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import asdict
from itertools import count
from pathlib import Path
from typing import Any, Final

from back_service.child import HEADER, Limits
from shared.contract.authoring import ChildDied

_READ_AHEAD: Final = 1 << 20
_BURIAL: Final = 5.0
"""Seconds to wait for the end of a killed child; then the nursery itself is given up."""

_ECHO: Final = 2.0
"""Seconds in which a dead child's socket is still read: a process that slipped away may hold it."""

_TAIL: Final = 4_096
_SIP: Final = 1 << 16
_PAUSE: Final = 0.01


class LastWords:
    """The end of what a child prints. The pipe is drained slowly, so that a flood costs little."""

    def __init__(self) -> None:
        self._tail = b""
        self._from_child, self.for_child = os.pipe()
        os.set_blocking(self._from_child, False)
        self._loop = asyncio.get_running_loop()
        self._pause: asyncio.TimerHandle | None = None
        self._listen()

    def close(self) -> str:
        """Take what is still there, and give the end of it all as text."""
        self._stop()
        self._sip()
        os.close(self._from_child)
        return self._tail.decode("utf-8", "replace").strip()

    def _listen(self) -> None:
        self._loop.add_reader(self._from_child, self._hear)

    def _hear(self) -> None:
        self._loop.remove_reader(self._from_child)
        if self._sip():
            self._pause = self._loop.call_later(_PAUSE, self._listen)

    def _sip(self) -> bool:
        with suppress(BlockingIOError):
            words = os.read(self._from_child, _SIP)
            self._tail = (self._tail + words)[-_TAIL:]
            return bool(words)
        return True

    def _stop(self) -> None:
        self._loop.remove_reader(self._from_child)
        if self._pause is not None:
            self._pause.cancel()


class Child:
    """One child as the service knows it: frames to and fro, and how it ended."""

    def __init__(
        self,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        ended: "asyncio.Future[int | None]",
    ) -> None:
        self._reader, self._writer, self._ended = reader, writer, ended
        self.last_words = ""

    async def send(self, frame: bytes) -> None:
        """Send *frame*. That the child is gone is told by ``receive``, not here."""
        self._writer.write(frame)
        with suppress(ConnectionError):
            await self._writer.drain()

    async def receive(self, most_bytes: int) -> bytes | None:
        """Wait for the body of the next frame; ``None`` once the child says no more.

        Raises ``ChildDied`` for a frame over *most_bytes*: garbage, or far more than agreed.
        """
        try:
            (length,) = HEADER.unpack(await self._reader.readexactly(HEADER.size))
            if length > most_bytes:
                raise ChildDied("the child sent what is no answer")
            return await self._reader.readexactly(length)
        except (asyncio.IncompleteReadError, ConnectionError):
            return None

    async def ended(self, patience: float | None = None) -> int | None:
        """Wait for the end; the exit code is negative for a signal, ``None`` if nobody knows.

        Raises ``TimeoutError`` if it still lives after *patience* seconds.
        """
        async with asyncio.timeout(patience):
            return await asyncio.shield(self._ended)


class Nursery:
    """One running nursery process and the children that are not buried yet."""

    def __init__(self, preload: Sequence[str]) -> None:
        if sys.platform != "linux":
            raise ChildDied("child processes need Linux: its death signals and its subreapers")
        self._calls: dict[int, asyncio.Future[int | None]] = {}
        self._numbers = count()
        self._control, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._control.setblocking(False)
        with theirs:
            self._process = _start(theirs, preload)
        self._loop = asyncio.get_running_loop()
        self._loop.add_reader(self._control, self._hear)
        self.is_alive = True

    @asynccontextmanager
    async def child(self, limits: Limits) -> AsyncIterator[Child]:
        """Have a child; leaving kills it with all its descendants and waits until it is reaped.

        Raises ``ChildDied`` when none can be had.
        """
        ours, theirs = socket.socketpair()
        ours.setblocking(False)
        words = LastWords()
        child = number = None
        try:
            try:
                number = self._fork(theirs.fileno(), words.for_child, limits)
            finally:
                theirs.close()
                os.close(words.for_child)
            ended = self._calls[number]
            reader, writer = await asyncio.open_unix_connection(sock=ours, limit=_READ_AHEAD)
            ended.add_done_callback(lambda _: self._loop.call_later(_ECHO, writer.transport.abort))
            child = Child(reader, writer, ended)
            yield child
        finally:
            try:
                if number is not None:
                    await self._end(number)
            finally:
                last = words.close()
                if child is None:
                    ours.close()
                else:
                    child.last_words = last
                    writer.transport.abort()

    async def close(self) -> None:
        """End every child, then the nursery."""
        self._give_up()
        try:
            await asyncio.to_thread(self._process.wait, _BURIAL)
        except subprocess.TimeoutExpired:
            self.kill()

    def kill(self) -> None:
        """End a nursery that no longer answers; its children die with it."""
        self._give_up()
        self._process.kill()
        self._process.wait()

    def _fork(self, channel: int, words: int, limits: Limits) -> int:
        number = next(self._numbers)
        order = json.dumps({"fork": number, "limits": asdict(limits)}).encode()
        try:
            socket.send_fds(self._control, [order], [channel, words])
        except OSError as error:
            raise ChildDied("no child could be started") from error
        self._calls[number] = self._loop.create_future()
        return number

    async def _end(self, number: int) -> None:
        ended = self._calls[number]
        if not ended.done():
            with suppress(OSError):  # a nursery that is gone has taken its children along
                self._control.send(json.dumps({"end": number}).encode())
        try:
            async with asyncio.timeout(_BURIAL):
                await asyncio.shield(ended)
        except TimeoutError:
            self.kill()
        finally:
            if ended.done():
                self._calls.pop(number, None)

    def _hear(self) -> None:
        try:
            while message := self._control.recv(_SIP):
                self._note(json.loads(message))
        except BlockingIOError:
            return
        except OSError:
            pass
        self._give_up()

    def _note(self, message: dict[str, Any]) -> None:
        ended = self._calls.get(message["ended"])
        if ended is not None and not ended.done():
            ended.set_result(message["code"])

    def _give_up(self) -> None:
        if not self.is_alive:
            return
        self.is_alive = False
        self._loop.remove_reader(self._control)
        self._control.close()
        for ended in self._calls.values():
            if not ended.done():
                ended.set_result(None)


def _start(theirs: socket.socket, preload: Sequence[str]) -> "subprocess.Popen[bytes]":
    environment = {
        "PATH": os.environ.get("PATH", os.defpath),
        "LANG": "C.UTF-8",
        "PYTHONPATH": os.pathsep.join(entry or str(Path.cwd()) for entry in sys.path),
        "PYTHONSAFEPATH": "1",
        **dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1"),
    }
    return subprocess.Popen(  # noqa: S603  # our own interpreter, our own module
        [sys.executable, "-m", "back_service.nursery", str(theirs.fileno()), *preload],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        env=environment,
        cwd="/",
        pass_fds=[theirs.fileno()],
        start_new_session=True,
    )
