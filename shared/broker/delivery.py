"""What the broker gave us and wants settled.

Acks are written without waiting for the socket, and a run of them from the oldest on goes out
as one frame. Settling never raises for a lost channel: the broker has its messages back then,
and a knock that comes twice is harmless.
"""

import asyncio
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import takewhile
from typing import Final

import structlog
from aiormq.channel import Channel

from shared.broker.connection import Link
from shared.broker.troubles import BrokerTrouble, broker_faults
from shared.contract.headers import TRACK_ID

log = structlog.get_logger()

_PATIENCE: Final = 5.0


class Custody:
    """The unsettled messages of one consuming channel, oldest first.

    A tag leaves only when its frame is in the library's hands, one settling at a time: nothing
    overtakes, and no tag is settled twice, which would cost the whole channel.
    """

    def __init__(self, route: str, link: Link, channel: Channel) -> None:
        self.route = route
        self._link = link
        self.channel = channel
        self._unsettled: dict[int, None] = {}
        self._turn = asyncio.Lock()

    def __len__(self) -> int:
        return len(self._unsettled)

    def take(self, tag: int) -> None:
        self._unsettled[tag] = None

    async def ack(self, tags: Collection[int]) -> int:
        """Answer how many of *tags* were ours to settle, and are settled now."""
        return await self._settle(tags, rejects=False)

    async def reject(self, tag: int) -> int:
        return await self._settle((tag,), rejects=True)

    async def _settle(self, tags: Collection[int], *, rejects: bool) -> int:
        before = len(self._unsettled)
        settled = 0
        try:
            with broker_faults(BrokerTrouble):
                async with self._link.within(_PATIENCE), self._turn:
                    for run in self._runs(tags):
                        await self._write(run, rejects=rejects)
                        settled += len(run)
        except BrokerTrouble as trouble:
            log.debug("not settled", route=self.route, held=before, why=str(trouble))
        return settled

    async def _write(self, run: list[int], *, rejects: bool) -> None:
        if rejects:
            await self.channel.basic_reject(run[-1], requeue=False, wait=False)
        else:
            await self.channel.basic_ack(run[-1], multiple=len(run) > 1, wait=False)
        for tag in run:
            del self._unsettled[tag]

    def _runs(self, tags: Collection[int]) -> Iterator[list[int]]:
        """Split *tags* into frames: one for all from the oldest on, as none older is spared."""
        wanted = set(tags) & self._unsettled.keys()
        if oldest := list(takewhile(wanted.__contains__, self._unsettled)):
            yield oldest
        yield from ([tag] for tag in sorted(wanted.difference(oldest)))


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivery:
    """One message as it arrived, to be settled exactly once."""

    body: bytes
    route: str  # the queue it came from
    headers: Mapping[str, str]
    message_id: str | None
    user_id: str | None  # the AMQP user who published it, vouched for by the broker
    redelivered: bool
    arrived_at: float  # monotonic
    custody: Custody = field(repr=False)
    tag: int = field(repr=False)

    async def ack(self) -> bool:
        """Let the broker forget it; ``False`` if it was not ours any more."""
        return await self.custody.ack((self.tag,)) == 1

    async def reject(self) -> bool:
        """Send it to the dead letters; ``False`` if it was not ours any more."""
        return await self.custody.reject(self.tag) == 1

    def origin(self) -> dict[str, object]:
        """Say where it is from, for the log: whoever reads it has to find out who sent it."""
        return {
            "route": self.route,
            "user": self.user_id,  # the broker vouches for it: our own fronts and backs have one
            "message_id": self.message_id,
            "track_ids": self.headers.get(TRACK_ID),
            "redelivered": self.redelivered,
        }


async def ack_all(deliveries: Iterable[Delivery]) -> int:
    """Ack many with few frames; answer how many were still ours."""
    tags: dict[Custody, list[int]] = {}
    for delivery in deliveries:
        tags.setdefault(delivery.custody, []).append(delivery.tag)
    return sum([await custody.ack(theirs) for custody, theirs in tags.items()])
