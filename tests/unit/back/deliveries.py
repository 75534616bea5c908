"""Knocks as the broker would deliver them, without a broker."""

import asyncio
from collections import deque
from collections.abc import Collection, Mapping
from typing import cast

from shared.broker.delivery import Custody, Delivery
from shared.broker.early import Heard
from shared.broker.subscriber import Subscriber
from shared.contract.ids import JobId
from shared.contract.messages import encode_knock

HIGH, NORMAL, LOW = "jobs.default.high", "jobs.default.normal", "jobs.default.low"


class Broker:
    """Custody of what was delivered: notes what is settled, and how."""

    def __init__(self) -> None:
        self.acked: list[int] = []
        self.rejected: list[int] = []
        self._tags = 0

    async def ack(self, tags: Collection[int]) -> int:
        self.acked += tags
        return len(tags)

    async def reject(self, tag: int) -> int:
        self.rejected.append(tag)
        return 1

    def deliver(
        self,
        *job_ids: JobId,
        route: str = NORMAL,
        keyed: bool = False,
        at: float = 1_000.0,
        message_id: str | None = None,
    ) -> Delivery:
        """Deliver a knock for *job_ids*."""
        body = encode_knock(list(job_ids), keyed=keyed)
        return self.deliver_body(body, route=route, at=at, message_id=message_id)

    def deliver_body(
        self,
        body: bytes,
        *,
        route: str = NORMAL,
        at: float = 1_000.0,
        message_id: str | None = None,
    ) -> Delivery:
        self._tags += 1
        return Delivery(
            body=body,
            route=route,
            headers={},
            message_id=message_id,
            user_id=None,
            redelivered=False,
            arrived_at=at,
            custody=cast("Custody", self),
            tag=self._tags,
        )


class Inbox:
    """What a consumer sees of the subscriber."""

    def __init__(self) -> None:
        self.waiting: Mapping[str, deque[Delivery]] = {
            route: deque() for route in (HIGH, NORMAL, LOW)
        }
        self.early: deque[Heard] = deque()
        self.news = asyncio.Event()
        self.is_paused = False

    def put(self, *deliveries: Delivery) -> None:
        for delivery in deliveries:
            self.waiting[delivery.route].append(delivery)
        self.news.set()

    def put_early(self, message_id: str, body: bytes) -> None:
        self.early.append((message_id, body))
        self.news.set()

    async def pause(self) -> None:
        self.is_paused = True
        self.early.clear()
        for deliveries in self.waiting.values():
            deliveries.clear()

    @property
    def as_subscriber(self) -> Subscriber:
        return cast("Subscriber", self)
