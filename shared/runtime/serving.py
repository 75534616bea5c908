"""Run the services of a process and stop them in order.

The first failure stops the house; stopping is a walk in reverse, each service within its grace.
"""

import asyncio
import gc
import signal
import sys
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack
from typing import Final, Protocol

import structlog

from shared.runtime.settings import BadSettings

log = structlog.get_logger()

STOPPED: Final = 0
FAILED: Final = 1
CANNOT_START: Final = 2
"""Exit codes. Whatever starts us again may give up at the last one: it will not get better."""


class Service(Protocol):
    """Something that runs until it is cancelled, and then ends by itself in its own time."""

    @property
    def name(self) -> str: ...

    async def run(self) -> None: ...


class Afterwards:
    """Does one thing when it is stopped: after the services started later, before the others.

    It does not wait for it longer than *within* seconds.
    """

    def __init__(self, name: str, do: Callable[[], Awaitable[None]], *, within: float) -> None:
        self.name, self._do, self._within = name, do, within

    async def run(self) -> None:
        try:
            await asyncio.Event().wait()
        finally:
            try:
                async with asyncio.timeout(self._within):
                    await self._do()
            except TimeoutError:
                log.warning("not all was done before the end", name=self.name)


OpenHouse = Callable[[Callable[[], None]], AbstractAsyncContextManager[Sequence[Service]]]


class ServiceEnded(Exception):
    """A service that should run for ever came back."""


async def keep_house(open_house: OpenHouse) -> int:
    """Open a house and serve until a signal comes; answer the exit code of the process.

    *open_house* is handed what it may call to leave as if a signal had come.
    Only what is wrong before anything runs is laid to the settings, and told without a trace.
    """
    stop = stop_on_signals()
    try:
        async with AsyncExitStack() as stack:
            try:
                services = await stack.enter_async_context(open_house(stop.set))
            except (BadSettings, ValueError, ImportError) as error:
                print(error, file=sys.stderr)  # noqa: T201  whoever starts it must see why not
                return CANNOT_START
            spare_the_collector()
            await serve(services, stop)
    except Exception:
        log.exception("stopped by a failure")
        return FAILED
    log.info("stopped")
    return STOPPED


async def serve(services: Sequence[Service], stop: asyncio.Event) -> None:
    """Run every service until *stop* is set; the first failure stops them all and is raised."""
    tasks = [asyncio.create_task(service.run(), name=service.name) for service in services]
    waiting = asyncio.create_task(stop.wait(), name="stop")
    try:
        await asyncio.wait([*tasks, waiting], return_when=asyncio.FIRST_COMPLETED)
        failed = [task for task in tasks if task.done()]
    finally:
        waiting.cancel()
        for task in reversed(tasks):  # last started, first stopped, one at a time
            await _stop(task)
    for task in failed:
        error = task.exception() if not task.cancelled() else None
        raise error or ServiceEnded(task.get_name())


async def _stop(task: asyncio.Task[None]) -> None:
    task.cancel()
    await asyncio.wait([task])
    if not task.cancelled() and (error := task.exception()) is not None:
        log.error("service failed", name=task.get_name(), exc_info=error)


def spare_the_collector() -> None:
    """Let the garbage collector pass over what lives as long as the process.

    Thousands of short-lived objects a second would else make it walk all modules again and again.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(5_000, 20, 20)


def stop_on_signals() -> asyncio.Event:
    """Give the event that SIGTERM and SIGINT set."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    return stop
