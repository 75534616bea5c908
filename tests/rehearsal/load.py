"""Callers that keep their connections and never try again: what fails once has failed."""

import asyncio
from dataclasses import dataclass, field
from time import monotonic
from typing import Final
from uuid import uuid4

import aiohttp

_PATIENCE: Final = aiohttp.ClientTimeout(total=20)
_LONG_EVERY: Final = 150  # of so many jobs one outlives every drain
_LONG: Final = 30.0  # seconds


@dataclass(slots=True)
class Load:
    """*callers* that each submit a job and read it again, every *pause* seconds."""

    url: str
    key: str
    callers: int = 12
    pause: float = 0.3
    jobs: list[str] = field(default_factory=list)
    tries: int = 0
    requests: int = 0
    failed: list[str] = field(default_factory=list)
    slowest: float = 0.0
    _is_over: bool = False

    async def run(self) -> None:
        """Go on until ``stop``."""
        await asyncio.gather(*(self._call(number) for number in range(self.callers)))

    def stop(self) -> None:
        self._is_over = True

    async def _call(self, number: int) -> None:
        connector = aiohttp.TCPConnector(limit=2)
        shown = {"Authorization": f"Bearer {self.key}"}
        async with aiohttp.ClientSession(
            self.url, connector=connector, timeout=_PATIENCE, headers=shown
        ) as line:
            while not self._is_over:
                await self._submit_and_look(line, number)
                await asyncio.sleep(self.pause)

    async def _submit_and_look(self, line: aiohttp.ClientSession, number: int) -> None:
        self.tries += 1
        is_long = self.tries % _LONG_EVERY == 0
        body = {
            "seconds": _LONG if is_long else 0.1 + (number % 5) / 10,
            "job": {} if is_long else {"orderingKey": f"key-{number}"},
        }
        told = {"Idempotency-Key": str(uuid4())}
        ticket = await self._ask(line, "POST", "/api/demo/sleep", 202, json=body, headers=told)
        if ticket is not None:
            self.jobs.append(str(ticket["jobId"]))
            await self._ask(line, "GET", str(ticket["statusUrl"]), 200)

    async def _ask(
        self, line: aiohttp.ClientSession, method: str, path: str, wanted: int, **more: object
    ) -> dict[str, object] | None:
        self.requests += 1
        began = monotonic()
        try:
            async with line.request(method, path, **more) as answer:  # type: ignore[arg-type]
                document: dict[str, object] = await answer.json()
                if answer.status == wanted:
                    return document
                self.failed.append(f"{method} {path}: {answer.status} {document}")
        except (aiohttp.ClientError, TimeoutError) as error:
            self.failed.append(f"{method} {path}: {error!r}")
        finally:
            self.slowest = max(self.slowest, monotonic() - began)
        return None
