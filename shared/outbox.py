"""Carry knocks from the outbox to the broker: publish, wait for the confirm, drop the row.

``Post`` does it at once for rows that were just written; ``Relay`` later, for whatever nobody
confirmed in time. A row goes only after the broker's ack, so a knock may come twice and is
never lost.
"""

import asyncio
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from datetime import timedelta
from typing import Final, Protocol

import structlog

from shared.broker.publisher import Publisher, Unconfirmed
from shared.contract.errors import Unavailable
from shared.contract.headers import TRACEPARENT, TRACK_ID
from shared.contract.messages import MOST_JOBS, encode_knock
from shared.store.outbox import Outbox
from shared.store.pool import Rejected
from shared.store.rows import OutboxRow

log = structlog.get_logger()

_TICK: Final = 0.5  # seconds between two looks for rows that are late
_HIDE: Final = timedelta(seconds=10)  # longer than a publish may take
_MOST: Final = 200


def _unmeasured(_: float) -> None:
    """Stand in for a metric where nobody looks."""


class Knocker(Protocol):
    """Whoever can carry rows to the broker without being waited for."""

    def send(self, rows: Iterable[OutboxRow]) -> None:
        """Publish *rows* in the background; what fails is left to the relay."""


class _Parcel:
    """One publish and everybody who waits for it."""

    def __init__(self) -> None:
        self.is_confirmed = False
        self.decided = asyncio.Event()  # confirmed, refused, or not worth waiting for any longer


class Post:
    """Publishes fresh rows, one publish a row however many callers wait for it."""

    def __init__(
        self,
        outbox: Outbox,
        publisher: Publisher,
        *,
        confirm_wait: timedelta,
        confirmed_in: Callable[[float], object] = _unmeasured,
    ) -> None:
        self._outbox, self._publisher = outbox, publisher
        self._confirmed_in = confirmed_in  # told the seconds of each publish that was confirmed
        self._wait = confirm_wait.total_seconds()
        self._parcels: dict[int, _Parcel] = {}
        self._under_way: set[asyncio.Task[None]] = set()

    def send(self, rows: Iterable[OutboxRow]) -> None:
        for row in rows:
            self._start(row)

    async def confirmed(self, row: OutboxRow) -> bool:
        """Publish *row*, and say within the confirm wait whether the broker has it.

        ``False`` at once while the broker is known to be down. The publish goes on behind a
        caller that stopped waiting.
        """
        if self._publisher.is_down:
            return False
        parcel = self._start(row)
        await parcel.decided.wait()
        return parcel.is_confirmed

    async def drain(self) -> None:
        """Wait until every publish has its answer and every confirmed row is dropped."""
        while self._under_way:
            await asyncio.wait(tuple(self._under_way))
        await self._outbox.drain()

    def _start(self, row: OutboxRow) -> _Parcel:
        parcel = self._parcels.get(row.id)
        if parcel is None:
            is_lone = not self._parcels and len(row.job_ids) == 1  # else nobody is idle
            parcel = self._parcels[row.id] = _Parcel()
            task = asyncio.create_task(self._carry(row, parcel, early=is_lone), name="knock")
            self._under_way.add(task)
            task.add_done_callback(self._under_way.discard)
        return parcel

    async def _carry(self, row: OutboxRow, parcel: _Parcel, *, early: bool) -> None:
        loop = asyncio.get_running_loop()
        patience = loop.call_later(self._wait, self._give_up, row, parcel)
        began = loop.time()
        try:
            if early:
                body = encode_knock(list(row.job_ids), keyed=row.keyed)
                await self._publisher.knock_early(row.route, body, message_id=message_id([row]))
            await publish(self._publisher, [row], relay=False)
            parcel.is_confirmed = True
            self._outbox.sent(row.id)
            self._confirmed_in(loop.time() - began)
        except Unconfirmed as trouble:
            log.debug("knock not confirmed", route=row.route, why=str(trouble))
        finally:
            patience.cancel()
            parcel.decided.set()
            del self._parcels[row.id]

    def _give_up(self, row: OutboxRow, parcel: _Parcel) -> None:
        """Let the callers go; a few such waits in a row, and the next ones need not wait.

        Where nobody is to wait at all, nobody has waited in vain.
        """
        if self._wait:
            self._publisher.miss(message_id([row]))
        parcel.decided.set()


class Relay:
    """Publishes what is late, as soon as the broker is there. Any number may run at once.

    What has waited together goes out together: rows of one route share knocks, so that workers
    get as many jobs as they have slots for from the few knocks that they prefetch.
    """

    name = "relay"

    def __init__(
        self,
        outbox: Outbox,
        publisher: Publisher,
        *,
        relayed: Callable[[int], object] = _unmeasured,
    ) -> None:
        self._outbox, self._publisher, self._relayed = outbox, publisher, relayed

    async def run(self) -> None:
        while True:
            await self._publisher.wait_up()
            took = await self._turn()
            if took < _MOST:
                await asyncio.sleep(_TICK)

    async def _turn(self) -> int:
        """Carry one lot of rows; answer how many there were."""
        try:
            rows = await self._outbox.take(hide=_HIDE, most=_MOST)
        except (Unavailable, Rejected):
            return 0
        if not rows:
            return 0
        lots = gathered(rows)
        carried = await asyncio.gather(*(self._carry(lot) for lot in lots))
        left = [row.id for lot, ok in zip(lots, carried, strict=True) if not ok for row in lot]
        log.info("outbox relayed", rows=len(rows), knocks=len(lots), left=len(left))
        if left:
            await self._put_back(left)
        return len(rows) if any(carried) else 0

    async def _put_back(self, row_ids: list[int]) -> None:
        with suppress(Unavailable, Rejected):  # then they come back by themselves, later
            await self._outbox.put_back(row_ids)

    async def _carry(self, lot: Sequence[OutboxRow]) -> bool:
        try:
            await publish(self._publisher, lot, relay=True)
        except Unconfirmed:
            return False
        for row in lot:
            self._outbox.sent(row.id)
        self._relayed(len(lot))
        return True


def gathered(rows: Iterable[OutboxRow]) -> list[list[OutboxRow]]:
    """Part *rows* into lots that one knock can name, in their order within each route."""
    lots: list[list[OutboxRow]] = []
    open_lots: dict[tuple[str, bool], list[OutboxRow]] = {}
    for row in rows:
        lot = open_lots.get((row.route, row.keyed))
        if lot is None or sum(len(r.job_ids) for r in lot) + len(row.job_ids) > MOST_JOBS:
            lot = open_lots[row.route, row.keyed] = []
            lots.append(lot)
        lot.append(row)
    return lots


async def publish(publisher: Publisher, rows: Sequence[OutboxRow], *, relay: bool) -> None:
    """Publish *rows* of one route as one knock; raise ``Unconfirmed`` if no confirm comes."""
    await publisher.knock(
        rows[0].route,
        encode_knock([i for row in rows for i in row.job_ids], keyed=rows[0].keyed),
        message_id=message_id(rows),
        headers=_headers(rows),
        relay=relay,
    )


def _headers(rows: Sequence[OutboxRow]) -> dict[str, str]:
    headers = {TRACK_ID: ",".join(row.track_ids for row in rows)}
    traceparent = next((row.traceparent for row in rows if row.traceparent), None)
    return headers if traceparent is None else headers | {TRACEPARENT: traceparent}


def message_id(rows: Sequence[OutboxRow]) -> str:
    """Name the knock for *rows*, so that a retry is recognisable as the same one."""
    return str(rows[0].id)
