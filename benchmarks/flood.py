"""A load of submits that keeps its pace: as many a second as asked for, answered or not.

``python -m benchmarks.flood URL BODY SECONDS CONNECTIONS RATE`` prints one JSON line. With a rate
of 0 each connection submits again as soon as it is answered. wrk cannot tell how long refusals
took apart from what the accepted ones took, nor keep a pace that is not the service's.
"""

import asyncio
import json
import sys
import time
from collections import Counter, deque
from contextlib import suppress
from itertools import count
from typing import Any, Final
from urllib.parse import urlsplit

import uvloop

from tests.support.callers import quantile

_TICK: Final = 0.001  # seconds
_LAST_ANSWERS: Final = 3.0  # seconds that is waited for them
_WARM_UP: Final = 2.0  # seconds that are not told of: a limit has to notice a flood first
_SHARES: Final = {"p50_ms": 0.5, "p99_ms": 0.99}


class Crowd:
    """The lines to one service, and what they were answered."""

    def __init__(self, url: str, body: bytes) -> None:
        parts = urlsplit(url)
        self.host, self.port = parts.hostname or "127.0.0.1", parts.port or 80
        self.request = (
            f"POST {parts.path} HTTP/1.1\r\nHost: {parts.netloc}\r\n"
            f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
        ).encode() + body
        self.idle: deque[Line] = deque()
        self.took: dict[int, list[float]] = {}
        self.lost = 0  # asked and never answered
        self.sent = 0
        self.again = False  # whether an answered line asks at once
        self.counts_from = float("inf")

    def answered(self, line: "Line", status: int, since: float) -> None:
        if since >= self.counts_from:
            self.took.setdefault(status, []).append(time.perf_counter() - since)
        if self.again:
            line.ask()
        else:
            self.idle.append(line)

    def ask(self, wanted: int) -> None:
        """Send so many requests, or as many as there are idle lines."""
        for _ in range(min(wanted, len(self.idle))):
            self.idle.popleft().ask()


class Line(asyncio.Protocol):
    """One connection, with one request at a time."""

    def __init__(self, crowd: Crowd) -> None:
        self._crowd, self._heard, self._since = crowd, b"", 0.0
        self._is_asking = False
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: Any) -> None:
        self._transport = transport
        self._crowd.idle.append(self)

    def ask(self) -> None:
        if self._transport is None:
            return
        self._crowd.sent += 1
        self._since, self._is_asking = time.perf_counter(), True
        self._transport.write(self._crowd.request)

    def data_received(self, data: bytes) -> None:
        heard = self._heard + data
        head = heard.find(b"\r\n\r\n")
        if head < 0 or len(heard) < head + 4 + _length(heard[:head]):
            self._heard = heard
            return
        self._heard, self._is_asking = b"", False
        self._crowd.answered(self, int(heard[9:12]), self._since)

    def connection_lost(self, _: Exception | None) -> None:
        self._transport = None
        self._crowd.lost += self._is_asking
        with suppress(ValueError):
            self._crowd.idle.remove(self)


def _length(head: bytes) -> int:
    found = head.lower().partition(b"\r\ncontent-length:")[2]
    return int(found.partition(b"\r\n")[0] or 0)


async def flood(crowd: Crowd, *, seconds: float, lines: int, rate: float) -> dict[str, Any]:
    """Keep up *rate* for that long; the first moments are not told of."""
    loop = asyncio.get_running_loop()
    for _ in range(lines):
        await loop.create_connection(lambda: Line(crowd), crowd.host, crowd.port)
    crowd.again = not rate
    begun = loop.time()
    asked, sent_before = 0, 0
    if not rate:
        crowd.ask(lines)
    for _ in count():
        now = loop.time() - begun
        if now >= _WARM_UP + seconds:
            break
        if now >= _WARM_UP and not sent_before:
            crowd.counts_from, sent_before = time.perf_counter(), crowd.sent
        if rate:
            due = int(now * rate)
            crowd.ask(due - asked)
            asked = due
        await asyncio.sleep(_TICK)
    crowd.again, sent = False, crowd.sent - sent_before
    end = loop.time() + _LAST_ANSWERS
    while len(crowd.idle) < lines and loop.time() < end:  # noqa: ASYNC110  nobody says so
        await asyncio.sleep(_TICK)
    load = {"offered_per_s": sent / seconds, "lost": crowd.lost, "load_cpu_s": time.process_time()}
    return {**load, **_told(crowd.took, seconds)}


def _told(took: dict[int, list[float]], seconds: float) -> dict[str, Any]:
    kinds = {
        "accepted": took.get(202, []),
        "refused": [t for status, times in took.items() if status in {429, 503} for t in times],
    }
    told: dict[str, Any] = {"statuses": Counter({s: len(times) for s, times in took.items()})}
    for kind, times in kinds.items():
        told[f"{kind}_per_s"] = len(times) / seconds
        for share, value in _SHARES.items():
            told[f"{kind}_{share}"] = 1000 * quantile(times, value) if times else None
    return told


def main() -> None:
    url, body, seconds, lines, rate = sys.argv[1:]
    crowd = Crowd(url, body.encode())
    work = flood(crowd, seconds=float(seconds), lines=int(lines), rate=float(rate))
    print(json.dumps(uvloop.run(work)))


if __name__ == "__main__":
    main()
