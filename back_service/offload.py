"""Run what would hold the event loop, crash, or never end in a child process of its own.

Each call has its own child, which is killed with everything it started when the awaiting task
is cancelled: by a cancel, a timeout or a drain. Nothing a child does can hold or crash the
service; not even a ``kill -9`` of the service leaves one behind. Linux only.
"""

import asyncio
import io
import pickle
import signal
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any, Final, TypeVar

import structlog

from back_service.child import Become, Call, Handle, JobFacts, Limits, encode
from back_service.children import Child, Nursery
from shared.contract.authoring import ChildDied, Fail, Retry, Snooze

log = structlog.get_logger()

T = TypeVar("T")
OnProgress = Callable[[float, str], Awaitable[None]]
OnCheckpoint = Callable[[Any], Awaitable[None]]

_QUICK: Final = 1 << 18
"""Bytes that are unpickled on the loop; more would hold it, and goes to a thread."""

_LAST_BREATH: Final = 1.0
"""Seconds that a child which says no more may take to end by itself."""

_SLACK: Final = 1 << 17
_SAVED: Final = encode("saved")


class ChildRaised(Exception):
    """A child raised what cannot travel; the text names it, the note has its traceback."""


class Offload:
    """Children for the asking, at most *most_children* at once; who comes later waits."""

    def __init__(self, *, limits: Limits, preload: Sequence[str], most_children: int) -> None:
        self._limits, self._preload = limits, tuple(preload)
        self._room = asyncio.Semaphore(most_children)
        self._nursery: Nursery | None = None

    async def call(
        self,
        function: Callable[..., T],
        args: Sequence[Any] = (),
        kwargs: Mapping[str, Any] | None = None,
        *,
        memory_bytes: int | None = None,
    ) -> T:
        """Call *function*, which must be importable, and return or raise what it does.

        Raises ``ChildDied`` if it crashed, ``Fail`` with ``out_of_memory`` or
        ``result_too_large`` if it went beyond its limits.
        """
        order = Call(_importable(function), tuple(args), dict(kwargs or {}))
        answer: T = await self._converse(order, memory_bytes, _no_progress, _no_checkpoint)
        return answer

    async def handle(
        self,
        handler: Callable[..., T],
        facts: JobFacts,
        request: Any,
        on_progress: OnProgress,
        on_checkpoint: OnCheckpoint,
        *,
        memory_bytes: int | None = None,
    ) -> T:
        """Run a handler of ``Isolation.PROCESS``; its words arrive in the order it said them.

        It goes on after a checkpoint once *on_checkpoint* has returned. What that or
        *on_progress* raises ends the child and is raised here.
        """
        order = Handle(_importable(handler), facts, request)
        answer: T = await self._converse(order, memory_bytes, on_progress, on_checkpoint)
        return answer

    async def run_program(
        self,
        argv: Sequence[str],
        cwd: Path,
        environment: Mapping[str, str] | None = None,
        *,
        memory_bytes: int | None = None,
    ) -> int:
        """Run an outside program; answer its exit code, negative for a signal.

        Raises ``OSError`` if it cannot be started. What it prints is not kept.
        """
        order = Become(tuple(argv), cwd, dict(environment or {}))
        async with self._room, self._nursery_now().child(self._limits_of(memory_bytes)) as child:
            await child.send(encode("order", order))
            if (said := await child.receive(self._limits.answer_bytes)) is not None:
                _give(await _read(said))
            if (code := await child.ended()) is None:
                raise ChildDied("the program was ended together with its nursery")
            return code

    def start(self) -> None:
        """Have the nursery import what it preloads, before the first call needs it."""
        with suppress(ChildDied):  # told by each call, to whom it matters
            self._nursery_now()

    async def close(self) -> None:
        if self._nursery is not None:
            await self._nursery.close()

    async def _converse(
        self,
        order: Call | Handle,
        memory_bytes: int | None,
        on_progress: OnProgress,
        on_checkpoint: OnCheckpoint,
    ) -> Any:
        frame = encode("order", order)
        child: Child | None = None
        async with self._room:
            try:
                async with self._nursery_now().child(self._limits_of(memory_bytes)) as child:
                    await child.send(frame)
                    return await self._listen(child, on_progress, on_checkpoint)
            except ChildDied as error:
                words = child.last_words if child is not None else ""
                if words:
                    error.add_note(f"the child's last words:\n{words}")
                log.warning("child died", why=str(error), last_words=words or None)
                raise

    async def _listen(
        self, child: Child, on_progress: OnProgress, on_checkpoint: OnCheckpoint
    ) -> Any:
        most = self._limits.answer_bytes + _SLACK
        while (said := await child.receive(most)) is not None:
            match await _read(said):
                case ("progress", percent, message):
                    await on_progress(percent, message)
                    await asyncio.sleep(0)  # a chatterbox must not keep the loop to itself
                case ("checkpoint", data):
                    await on_checkpoint(data)
                    await child.send(_SAVED)
                case message:
                    return _give(message)
        raise ChildDied(f"the child {await _ending(child)} without an answer")

    def _limits_of(self, memory_bytes: int | None) -> Limits:
        return (
            self._limits
            if memory_bytes is None
            else replace(self._limits, memory_bytes=memory_bytes)
        )

    def _nursery_now(self) -> Nursery:
        if self._nursery is not None and not self._nursery.is_alive:
            self._nursery.kill()  # what it left is reaped before another takes its place
            self._nursery = None
        self._nursery = self._nursery or Nursery(self._preload)
        return self._nursery


@asynccontextmanager
async def open_offload(
    *, limits: Limits, preload: Sequence[str] = (), most_children: int = 64
) -> AsyncIterator[Offload]:
    """Open the offload; leaving ends every child.

    *preload* names modules that its nursery imports meanwhile, or functions to call in it, as
    ``module:function``.
    """
    offload = Offload(limits=limits, preload=preload, most_children=most_children)
    try:
        offload.start()
        yield offload
    finally:
        await offload.close()


def _importable(function: Callable[..., T]) -> Callable[..., T]:
    if getattr(function, "__module__", None) == "__main__":
        raise TypeError(f"{function!r} is in __main__, which a child cannot import")
    return function


async def _ending(child: Child) -> str:
    try:
        code = await child.ended(_LAST_BREATH)
    except TimeoutError:
        return "closed its pipe"
    if code is None:
        return "ended together with its nursery"
    if code >= 0:
        return f"ended with exit code {code}"
    known = {int(number): number.name for number in signal.Signals}
    return f"was ended by {known.get(-code, f'signal {-code}')}"


class _Pages(io.BytesIO):
    """Bytes whose reading is Python code, so that between two frames the loop gets its turn.

    ``pickle.loads`` would hold the interpreter to the end, in a thread as well.
    """

    def read(self, size: int | None = -1, /) -> bytes:
        return super().read(size)


async def _read(body: bytes) -> Any:
    """Unpickle what a child said; it runs our own code, and as the same user."""
    try:
        if len(body) <= _QUICK:
            return pickle.loads(body)  # noqa: S301  # see the docstring
        return await asyncio.to_thread(pickle.load, _Pages(body))  # as above
    except Exception as error:
        raise ChildDied("the child sent what is no answer") from error


def _give(message: Any) -> Any:
    """Return or raise what the child said last."""
    match message:
        case ("answer", value):
            return value
        case ("fail", str(code), str(text)):
            raise Fail(code, text)
        case ("retry", str(text), after):
            raise Retry(text, after=after)
        case ("snooze", delay):
            raise Snooze(delay)
        case ("raised", pickled, str(name), str(text), str(trace)):
            error = _revived(pickled) or ChildRaised(f"{name}: {text}")
            error.add_note(f"in the child:\n{trace}")
            raise error
    raise ChildDied("the child sent what is no answer")


def _revived(pickled: bytes | None) -> Exception | None:
    try:
        error = None if pickled is None else pickle.loads(pickled)  # noqa: S301  # as in _read
    except Exception:  # noqa: BLE001  # a stranger's exception may not bear the journey
        return None
    return error if isinstance(error, Exception) else None


async def _no_progress(_percent: float, _message: str) -> None:
    """Nobody listens: a plain function has no context to tell progress with."""


async def _no_checkpoint(_data: Any) -> None:
    """As ``_no_progress``."""
