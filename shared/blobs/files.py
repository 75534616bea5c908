"""File calls in threads: none of them holds the event loop, and what fails is told in our words."""

import asyncio
import os
import stat
from collections.abc import AsyncGenerator, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from errno import ENOENT
from pathlib import Path
from typing import BinaryIO, Final, TypeVar, TypeVarTuple

from shared.contract.errors import Unavailable

T = TypeVar("T")
Ts = TypeVarTuple("Ts")

_READ_SIZE: Final = 1 << 18


class Files:
    def __init__(self, threads: ThreadPoolExecutor) -> None:
        self._threads = threads

    async def make(self, path: Path) -> BinaryIO:
        """Open a new file to write to; raises ``Unavailable`` if there is one."""
        return await self.run(_open_new, path, undo=_close)

    async def read(
        self, path: Path, start: int = 0, end: int | None = None
    ) -> AsyncGenerator[bytes, None]:
        """Stream a regular file; a link is not followed. Raises ``FileNotFoundError``."""
        source = await self.run(_open_regular, path, start, undo=os.close)
        try:
            left = None if end is None else max(0, end - start)
            while left is None or left > 0:
                wanted = _READ_SIZE if left is None else min(_READ_SIZE, left)
                piece = await self.run(os.read, source, wanted)
                if not piece:
                    return
                left = None if left is None else left - len(piece)
                yield piece
        finally:
            await self.run(os.close, source)

    async def run(
        self,
        step: Callable[[*Ts], T],
        *args: *Ts,
        undo: Callable[[T], object] | None = None,
    ) -> T:
        """Do one file call in a thread; a cancel waits for it, for its file is still in use.

        *undo* gives back what a call has opened of which nobody learns any more.
        """
        call = asyncio.wrap_future(self._threads.submit(step, *args))
        try:
            with translated():
                return await asyncio.shield(call)
        except asyncio.CancelledError:
            await asyncio.wait([call])
            if not call.cancelled() and call.exception() is None and undo is not None:
                undo(call.result())
            raise


def _open_new(path: Path) -> BinaryIO:
    return path.open("xb")


def _close(file: BinaryIO) -> None:
    file.close()


def _open_regular(path: Path, start: int) -> int:
    source = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)  # a pipe must not block
    if not stat.S_ISREG(os.fstat(source).st_mode):
        os.close(source)
        raise FileNotFoundError(ENOENT, "not a regular file", str(path))
    os.lseek(source, start, os.SEEK_SET)
    return source


@contextmanager
def translated() -> Iterator[None]:
    """Say what no file call can help; a file that is not there is left to whoever asked."""
    try:
        yield
    except FileNotFoundError:
        raise
    except OSError as error:
        raise Unavailable(f"the blob store cannot do this now: {error.strerror}") from error
