"""A front of a process of its own, over a store in memory, as it runs in production.

Told ``stats`` on its standard input it answers a line of JSON; at the end of the input it stops.
"""

import asyncio
import sys
import time
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import orjson
import uvloop

from shared.contract.states import State
from shared.runtime.logs import configure
from shared.runtime.serving import spare_the_collector
from tests.front.desk import Desk, open_desk

_TICK = 0.005


class Lag:
    """How long the loop computed without looking up, in seconds of the processor.

    Not of the clock: on a busy machine that would measure the others.
    """

    def __init__(self) -> None:
        self.worst = 0.0

    async def run(self) -> None:
        while True:
            begun = time.thread_time()
            await asyncio.sleep(_TICK)
            self.worst = max(self.worst, time.thread_time() - begun)


def resident_bytes() -> int:
    pages = int(Path("/proc/self/statm").read_text("ascii").split()[1])
    return pages * 4_096


async def prepare(desk: Desk) -> dict[str, str]:
    """Make one job of each kind, and a file."""
    waiting, done, gone = [await desk.submit() for _ in range(3)]
    desk.store.move(done, State.RUNNING)
    desk.store.move(done, State.COMPLETED, result=b'{"x":1}')
    view = desk.store.views.pop(gone)
    desk.store.tombstones.add((view.tenant, gone))
    async with desk.session.post(f"{desk.url}/api/blobs", data=b"0123456789") as response:
        blob = await response.json()
    large = await desk.submit()
    desk.store.move(large, State.RUNNING)
    desk.store.move(large, State.COMPLETED, result=b'"' + b"x" * 6_000_000 + b'"')
    known = {"waiting": waiting, "done": done, "gone": gone, "large": large}
    return {name: str(job_id) for name, job_id in known.items()} | {"blob": blob["blobId"]}


def stats(desk: Desk, lag: Lag) -> dict[str, Any]:
    """Say how the process is; the worst lag is that since the last time."""
    worst, lag.worst = lag.worst, 0.0
    return {
        "worst_lag_ms": worst * 1_000,
        "resident_bytes": resident_bytes(),
        "connections": desk.front.server.open_connections,
        "tasks": len(asyncio.all_tasks()),
        "jobs": len(desk.store.views),
    }


async def main(folder: Path) -> None:
    lag = Lag()
    async with AsyncExitStack() as stack:
        desk = await stack.enter_async_context(open_desk(folder))
        known = await prepare(desk)
        spare_the_collector()
        measuring = asyncio.create_task(lag.run())
        say({"port": desk.port, "known": known})
        reader = asyncio.StreamReader()
        await asyncio.get_running_loop().connect_read_pipe(
            lambda: asyncio.StreamReaderProtocol(reader), sys.stdin
        )
        while await reader.readline():
            say(stats(desk, lag))
        measuring.cancel()


def say(what: dict[str, Any]) -> None:
    sys.stderr.buffer.write(orjson.dumps(what) + b"\n")
    sys.stderr.buffer.flush()


if __name__ == "__main__":
    configure(service="front", log_format="json", level="info")
    uvloop.run(main(Path(sys.argv[1])))
