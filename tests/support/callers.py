"""Callers that keep time: each call begins when its turn comes, answered or not the one before.

A call that could not be made in time counts from when it should have been made: so a service
that stalls is not spared the calls that would have met it.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import count
from time import monotonic
from typing import Any

import aiohttp

_PATIENCE = 30.0  # seconds: longer than any answer may take, so that it is seen how long it took


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """One answer; *status* 0 means that there was none."""

    due: float  # monotonic
    took: float  # seconds from then to the end of the answer
    status: int
    headers: Mapping[str, str]
    body: dict[str, Any]

    @property
    def job_id(self) -> str:
        return str(self.body["jobId"])

    @property
    def ended(self) -> float:
        return self.due + self.took


class Caller:
    """Makes calls to one front."""

    def __init__(self, session: aiohttp.ClientSession, base: str) -> None:
        self._session, self._base = session, base

    async def submit(
        self, path: str, body: object, *, due: float | None = None, key: str | None = None
    ) -> Reply:
        """Submit a job; *key* is sent as its Idempotency-Key."""
        return await self._call("POST", path, body, due, {"Idempotency-Key": key} if key else {})

    async def get(self, path: str, *, due: float | None = None) -> Reply:
        return await self._call("GET", path, None, due)

    async def post(self, path: str) -> Reply:
        return await self._call("POST", path, None, None)

    async def _call(
        self,
        method: str,
        path: str,
        body: object,
        due: float | None,
        headers: Mapping[str, str] | None = None,
    ) -> Reply:
        begun, url = monotonic() if due is None else due, self._base + path
        try:
            async with self._session.request(method, url, json=body, headers=headers) as answer:
                content = await answer.json(content_type=None)
                status, told = answer.status, dict(answer.headers)
        except (aiohttp.ClientError, TimeoutError) as error:
            status, told, content = 0, {}, {"error": repr(error)}
        took = monotonic() - begun
        return Reply(due=begun, took=took, status=status, headers=told, body=content)


def open_session() -> aiohttp.ClientSession:
    """Make a session that never lets one call wait for another."""
    return aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(limit=0),
        timeout=aiohttp.ClientTimeout(total=_PATIENCE),
    )


async def keep_pace(
    call: Callable[[int, float], Awaitable[Reply]],
    *,
    rate: float,
    stop: asyncio.Event,
    replies: list[Reply],
) -> None:
    """Make *rate* calls a second until *stop*; each gets its number and when it was due."""
    begun = monotonic()
    async with asyncio.TaskGroup() as group:

        async def one(number: int, due: float) -> None:
            replies.append(await call(number, due))

        for number in count():
            due = begun + number / rate
            await asyncio.sleep(max(0.0, due - monotonic()))
            if stop.is_set():
                return
            group.create_task(one(number, due))


def quantile(values: Iterable[float], share: float) -> float:
    """Give the smallest value that at least *share* of all do not exceed."""
    in_order = sorted(values)
    return in_order[min(len(in_order) - 1, int(share * len(in_order)))]


def told(replies: Sequence[Reply]) -> str:
    """Sum up how long answers took, for a person to read."""
    if not replies:
        return "none"
    took = [reply.took * 1000 for reply in replies]
    p50, p99 = quantile(took, 0.5), quantile(took, 0.99)
    return f"n={len(took)} p50={p50:.1f} p99={p99:.1f} max={max(took):.1f} ms"
