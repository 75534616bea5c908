"""Say now and then that this worker lives, what it can run, and how long that usually takes.

Nobody waits for it and nothing depends on it but what clients are told of the time to come.
"""

import asyncio
from collections.abc import Iterable, Mapping
from secrets import token_hex
from typing import Protocol

from shared.contract.presence import EVERY, Beat, encode_beat


class Tells(Protocol):
    def offer(self, body: bytes, routing_key: str) -> None:
        """As ``FanOut.offer``."""


class Announcer:
    """A service. Cancelled, it says that this worker takes no more, before that drains."""

    name = "announcer"

    def __init__(
        self,
        fan_out: Tells,
        *,
        pools: Iterable[str],
        types: Iterable[str],
        slots: int,
        seconds: Mapping[str, float],
    ) -> None:
        self._fan_out, self._slots, self._seconds = fan_out, slots, seconds
        self._worker = token_hex(8)
        self._pools, self._types = tuple(sorted(pools)), tuple(sorted(types))

    async def run(self) -> None:
        try:
            while True:
                self._tell(self._slots)
                await asyncio.sleep(EVERY)
        finally:
            self._tell(0)

    def _tell(self, slots: int) -> None:
        beat = Beat(
            worker=self._worker,
            slots=slots,
            pools=self._pools,
            types=self._types,
            seconds={name: round(usual, 3) for name, usual in self._seconds.items()},
        )
        self._fan_out.offer(encode_beat(beat), "workers")
