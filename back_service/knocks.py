"""Knocks in hand: what the broker gave and this worker has not wholly answered yet.

Pure but for decoding. A knock may name more jobs than there are slots; the rest stays in hand
while slots become free, and is given back to the broker when that takes too long.
"""

from collections import deque
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Final

from back_service.shares import Shares, is_high
from shared.broker.delivery import Delivery
from shared.contract.ids import JobId
from shared.contract.messages import Knock

OPEN_PATIENCE: Final = 1.0  # seconds a knock that was begun may stay in hand
WAIT_PATIENCE: Final = 10.0  # seconds a knock may wait untouched


@dataclass(slots=True, kw_only=True)
class InHand:
    """One knock and those of its jobs that were not claimed yet."""

    delivery: Delivery
    keyed: bool
    left: deque[JobId]
    opened_at: float


@dataclass(slots=True, kw_only=True)
class Picked:
    """Jobs to claim now; *done* are the knocks that name no further job."""

    job_ids: list[JobId] = field(default_factory=list)
    keyed: bool = False
    done: list[Delivery] = field(default_factory=list)


class Hand:
    """Deals free slots to the knocks of all routes by their shares."""

    def __init__(self, routes: Collection[str]) -> None:
        self._open: dict[str, deque[InHand]] = {route: deque() for route in routes}
        self._shares = Shares(routes)

    def __len__(self) -> int:
        return sum(len(knocks) for knocks in self._open.values())

    def take(self, delivery: Delivery, knock: Knock, now: float) -> None:
        left = deque(dict.fromkeys(knock.job_ids))
        self._open[delivery.route].append(
            InHand(delivery=delivery, keyed=knock.keyed, left=left, opened_at=now)
        )

    def restore(self, knock: InHand, now: float) -> None:
        """Put back what could not be given up just now."""
        knock.opened_at = now
        self._open[knock.delivery.route].appendleft(knock)

    def named(self, route: str) -> int:
        """Count the jobs in hand that came over *route*."""
        return sum(len(knock.left) for knock in self._open[route])

    def waiting(self) -> list[str]:
        return [route for route, knocks in self._open.items() if knocks]

    def pick(self, free: int, *, only_high: bool = False) -> Picked:
        """Choose up to *free* jobs, by shares between the routes and in order within each."""
        picked = Picked()
        while len(picked.job_ids) < free:
            routes = [r for r in self.waiting() if is_high(r) or not only_high]
            if not routes:
                break
            self._draw(self._shares.next(routes), picked, free)
        return picked

    def release(self, now: float) -> list[InHand]:
        """Give up knocks that have been in hand for too long."""
        late: list[InHand] = []
        for knocks in self._open.values():
            while knocks and now - knocks[0].opened_at > OPEN_PATIENCE:
                late.append(knocks.popleft())
        return late

    def forget(self) -> None:
        for knocks in self._open.values():
            knocks.clear()

    def _draw(self, route: str, picked: Picked, free: int) -> None:
        knock = self._open[route][0]
        count = min(free - len(picked.job_ids), len(knock.left))
        picked.job_ids += [knock.left.popleft() for _ in range(count)]
        picked.keyed |= knock.keyed
        if not knock.left:
            picked.done.append(knock.delivery)
            self._open[route].popleft()


def shelved(waiting: Mapping[str, deque[Delivery]], now: float) -> list[Delivery]:
    """Take knocks out of *waiting* that nobody had room for in all that time."""
    late: list[Delivery] = []
    for deliveries in waiting.values():
        while deliveries and now - deliveries[0].arrived_at > WAIT_PATIENCE:
            late.append(deliveries.popleft())
    return late
