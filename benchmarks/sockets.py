"""What slow readers cost a front, and what the others feel of them.

Half of the sockets read all they are told, the other half never read anything. The news are made
here, as a worker makes them: a row, then a word on the fan-out. Told in turn: the healthy ones
alone, then beside the slow ones, from when these are first told something until all are cut off.
"""

import asyncio
import json
import statistics
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from time import monotonic
from typing import Any, Final

import asyncpg

from benchmarks.sockets_peers import Deaf, deaf, listening
from deploy.local.stack import Stack, open_stack
from shared.broker.fanout import FanOut
from shared.contract.events import News, encode_news
from shared.contract.ids import JobId, parse_uuid
from shared.runtime.descriptors import raise_descriptor_limit
from tests.support.callers import Caller, open_session, quantile
from tests.support.house import House, Worker, open_house
from tests.support.waiting import until

_JOBS: Final = 50  # of each half: each is followed by a fiftieth of its sockets
_NEWS: Final = 10.0  # a second, for the healthy half: each job waits five seconds for the next
_PUSH: Final = 50.0  # a second, for the slow half, while it is being filled
_TIMES: Final = 25  # of 3.5 kB: more than all buffers of a slow socket hold
_DIALS: Final = 16  # at once
_PATIENCE: Final = 120.0  # seconds for all that are slow to be cut off
_REPORT: Final = "UPDATE jobs SET message = $2, updated_at = clock_timestamp() WHERE id = $1"
_PAGE: Final = 4_096


class Press:
    """Does what a worker does when its handler reports progress."""

    def __init__(self, database: Any, fan_out: FanOut) -> None:
        self._database, self._fan_out = database, fan_out
        self._turn = asyncio.Lock()

    async def report(self, job_id: JobId, message: str) -> None:
        async with self._turn:
            await self._database.execute(_REPORT, job_id, message)
        self._fan_out.offer(encode_news([News(job_id, 1)]))

    async def tell(self, jobs: Sequence[JobId]) -> None:
        """Report the time on one job after the other, for ever."""
        begun, number = monotonic(), 0
        while True:
            await asyncio.sleep(max(0.0, begun + number / _NEWS - monotonic()))
            await self.report(jobs[number % len(jobs)], f"at {monotonic():.6f}")
            number += 1

    async def fill(self, jobs: Sequence[JobId]) -> None:
        """Report on each of *jobs* many times, as long a text as is allowed."""
        begun = monotonic()
        for number in range(_TIMES * len(jobs)):
            await asyncio.sleep(max(0.0, begun + number / _PUSH - monotonic()))
            await self.report(jobs[number % len(jobs)], f"{number:08}" + "x" * 480)


@dataclass(frozen=True, slots=True, kw_only=True)
class Scene:
    """A front, its sockets that read, and the jobs that both halves follow."""

    front: Worker
    port: int
    press: Press
    took: list[float]  # seconds from a report to a socket that reads
    slow_jobs: Sequence[JobId]


async def measure_sockets(
    stack: Stack, folder: Path, *, sockets: int, rounds: int, seconds: float
) -> dict[str, Any]:
    """Give what a slow socket costs, when it is cut, and the latency of the healthy half."""
    raise_descriptor_limit()
    async with open_house(stack, folder) as house, _open_press(house) as press:
        front = await house.front(log_level="warning")
        port, empty, took = house.ports[front.pid], rss_kb(front.pid), list[float]()
        jobs, slow_jobs = await _submit(house.url(front), 0), await _submit(house.url(front), 20)
        scene = Scene(front=front, port=port, press=press, took=took, slow_jobs=slow_jobs)
        async with listening(port, jobs, sockets // 2, took, at_once=_DIALS) as ears:
            telling = asyncio.create_task(press.tell(jobs))
            try:
                told = [await _round(scene, sockets // 2, seconds) for _ in range(rounds)]
            finally:
                telling.cancel()
            lost = sum(ear.is_lost for ear in ears)
    middle = {name: statistics.median(one[name] for one in told) for name in told[0]}
    return {"sockets": sockets, "empty_front_mb": empty // 1024, "healthy_lost": lost, **middle}


async def _round(scene: Scene, count: int, seconds: float) -> dict[str, float]:
    """Measure alone, then beside *count* sockets that never read."""
    alone = await _latencies(scene, asyncio.sleep(seconds))
    print(f"  alone: {len(scene.took)} news, p99 {1e3 * alone[1]:.1f} ms", flush=True)
    rss, kernel = rss_kb(scene.front.pid), kernel_kb()
    async with deaf(scene.port, scene.slow_jobs, count, at_once=_DIALS) as slow:
        opened = rss_kb(scene.front.pid)
        begun, peak = monotonic(), Peak(scene.front.pid)
        beside = await _latencies(scene, _fill_until_cut(scene, slow, peak))
        filled = begun + _TIMES * len(scene.slow_jobs) / _PUSH
    print(
        f"  p99 alone {1e3 * alone[1]:.1f} ms, beside {count} slow {1e3 * beside[1]:.1f} ms;"
        f" a slow one {(peak.rss - rss) / count:.1f} kB",
        flush=True,
    )
    return {
        "p50_alone_ms": round(1e3 * alone[0], 2),
        "p99_alone_ms": round(1e3 * alone[1], 2),
        "p50_beside_ms": round(1e3 * beside[0], 2),
        "p99_beside_ms": round(1e3 * beside[1], 2),
        "p99_ratio": round(beside[1] / alone[1], 2),
        "kb_per_open_socket": round((opened - rss) / count, 1),
        "kb_per_slow_socket": round((peak.rss - rss) / count, 1),
        "kernel_kb_per_slow_socket": round((peak.kernel - kernel) / count, 1),
        "front_mb": peak.rss // 1024,
        "cut_within_s": round(max(slow.cut_at) - filled, 1),
        "still_open": slow.look(),
    }


async def _latencies(scene: Scene, meanwhile: Any) -> tuple[float, float]:
    """Give median and 99th percentile of what is told while *meanwhile* lasts."""
    scene.took.clear()
    await meanwhile
    told = sorted(scene.took)
    return quantile(told, 0.5), quantile(told, 0.99)


class Peak:
    """The most memory that was seen: of the front, and of the kernel for sockets."""

    def __init__(self, pid: int) -> None:
        self._pid = pid
        self.rss = self.kernel = 0

    def look(self) -> None:
        self.rss = max(self.rss, rss_kb(self._pid))
        self.kernel = max(self.kernel, kernel_kb())


async def _fill_until_cut(scene: Scene, slow: Deaf, peak: Peak) -> None:
    filling = asyncio.create_task(scene.press.fill(scene.slow_jobs))

    async def all_are_cut() -> bool:
        peak.look()
        return slow.look() == 0

    await until(all_are_cut, within=_PATIENCE, what="slow sockets are cut off", every=0.2)
    await filling


def rss_kb(pid: int) -> int:
    """Read how much memory a process holds."""
    lines = Path(f"/proc/{pid}/status").read_text(encoding="ascii").splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmRSS"))


def kernel_kb() -> int:
    """Read how much memory the kernel holds for all TCP sockets, of both ends."""
    words = Path("/proc/net/sockstat").read_text(encoding="ascii").split("TCP:")[1].split()
    return int(words[words.index("mem") + 1]) * _PAGE // 1024


async def _submit(url: str, tags: int) -> list[JobId]:
    """Hand in jobs that nobody runs; many tags make long documents."""
    body = {"job": {"tags": [f"{n:02}" + "t" * 98 for n in range(tags)]}}
    async with open_session() as session:
        caller = Caller(session, url)
        replies = [await caller.submit("/api/demo/echo", body) for _ in range(_JOBS)]
    found = [parse_uuid(reply.job_id) for reply in replies]
    return [JobId(job_id) for job_id in found if job_id is not None]


@asynccontextmanager
async def _open_press(house: House) -> AsyncIterator[Press]:
    database = await asyncpg.connect(house.database_url)
    fan_out = FanOut(house.amqp_url, name="bench-news")
    running = asyncio.create_task(fan_out.run())
    try:
        yield Press(database, fan_out)
    finally:
        running.cancel()
        await asyncio.wait([running])
        await database.close()


def main() -> None:
    """Measure on servers of its own; the first argument is how many sockets, 10,000 if none."""
    sockets = int(sys.argv[1]) if sys.argv[1:] else 10_000
    with TemporaryDirectory() as folder, open_stack(Path(folder) / "stack", tcp=True) as stack:
        told = asyncio.run(
            measure_sockets(stack, Path(folder), sockets=sockets, rounds=2, seconds=15)
        )
    print(json.dumps(told))


if __name__ == "__main__":
    main()
