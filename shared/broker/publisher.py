"""Publish knocks, and say truly whether the broker has them.

A knock that returns is confirmed: persistent, routed, on the broker's disk. One that raises
`Unconfirmed` is unknown or refused: it may still arrive, so its outbox row stays. Nothing is
retried here, and nothing is kept.
"""

from collections.abc import Mapping, Sequence
from time import monotonic
from typing import Final

from aio_pika.abc import AbstractConnection
from aiormq import spec
from aiormq.exceptions import DeliveryError

from shared.broker.connection import Link
from shared.broker.declaration import declare
from shared.broker.early import EarlyOutlet
from shared.broker.outlet import Outlet
from shared.broker.topology import (
    JOBS,
    LARGEST_KNOCK,
    Topology,
    is_name,
    job_topology,
    pool_queues,
)
from shared.broker.troubles import BrokerTrouble, broker_faults

_LARGEST_HEADERS: Final = 4_096  # together with the properties they must fit into one frame
_PERSISTENT: Final = 2
_MISSES: Final = 3
_STRANGERS: Final = ""  # all routes that are none of ours share what is kept for one


class Unconfirmed(BrokerTrouble):
    """The broker did not say that it has the knock: unknown, or refused."""


class Unpublishable(Unconfirmed):
    """This knock can never be published as it is; nothing was sent."""


class Publisher:
    """Knocks over one connection; for each queue a channel for submits, another for the relay.

    *pools* are declared at each connect, unless *declare* is false: then a missing queue shows
    as `Unconfirmed`. *confirm_window* bounds what is in flight on each of the channels. Three
    waits in a row that ran out count for *misses_count_for* seconds.
    """

    def __init__(
        self,
        url: str,
        *,
        name: str,
        pools: Sequence[str],
        declare: bool = True,
        confirm_window: int = 100,
        knock_patience: float = 5.0,
        misses_count_for: float = 10.0,
    ) -> None:
        self.name = name
        self._routes = frozenset(queue.name for pool in pools for queue in pool_queues(pool))
        self._declares = declare
        self._patience = knock_patience
        self._misses_count_for = misses_count_for
        patience = 10 + 0.2 * len(self._routes)
        self.link = Link(url, name=name, set_up=self._set_up, patience=patience)
        self._outlets = {
            (route, relay): Outlet(confirm_window)
            for route in (*self._routes, _STRANGERS)
            for relay in (False, True)
        }
        self._early = EarlyOutlet()
        self._connection: AbstractConnection | None = None
        self._user = self.link.user
        self._missed = 0
        self._missed_at = 0.0
        self._late: set[str] = set()  # in flight, and counted already

    @property
    def is_down(self) -> bool:
        """Tell whether a confirm is known not to come soon: then a submit does not wait for it.

        Misses are forgotten with an ack, and after a while: if nobody tried, nobody would know.
        """
        if not self.link.up.is_set() or self.link.is_blocked:
            return True
        return self._missed >= _MISSES and monotonic() - self._missed_at < self._misses_count_for

    def miss(self, message_id: str) -> None:
        """Count a knock whose confirm was waited for in vain: here, or by somebody less patient.

        It counts once, however many run out of patience with it while it is in flight.
        """
        if message_id in self._late:
            return
        self._late.add(message_id)
        self._missed += 1
        self._missed_at = monotonic()

    async def run(self) -> None:
        await self.link.run()

    async def wait_up(self) -> None:
        await self.link.up.wait()

    async def knock(
        self,
        route: str,
        body: bytes,
        *,
        message_id: str,
        headers: Mapping[str, str] | None = None,
        patience: float | None = None,
        relay: bool = False,
    ) -> None:
        """Return when the broker has it, within *patience* seconds; else raise `Unconfirmed`.

        *message_id* is that of the outbox row. The relay has channels of its own, so that two
        knocks of one row are never in flight on one channel, where they would swap outcomes.
        """
        _check(route, body, message_id, headers)
        outlet = self._outlets[route if route in self._routes else _STRANGERS, relay]
        connection = self._admit(outlet, message_id)
        properties = spec.Basic.Properties(
            delivery_mode=_PERSISTENT,
            message_id=message_id,
            user_id=self._user,
            headers=dict(headers) if headers else None,
        )
        limit = self._patience if patience is None else patience
        lost = self.link.lost
        outlet.in_flight.add(message_id)
        try:
            async with self.link.within(limit), outlet.window:
                await self._publish(outlet, connection, route, body, properties)
        except TimeoutError as error:
            if lost.is_set():
                raise Unconfirmed("the connection was lost") from error
            self._count_miss(outlet, message_id)
            raise Unconfirmed("no confirm in time") from error
        finally:
            outlet.in_flight.discard(message_id)
            self._late.discard(message_id)

    async def knock_early(self, route: str, body: bytes, *, message_id: str) -> None:
        """Tell an idle worker of a knock before it is on disk; promises nothing."""
        if not self.is_down:
            await self._early.send(route, body, message_id)

    def _admit(self, outlet: Outlet, message_id: str) -> AbstractConnection:
        """Refuse what could only end in doubt."""
        if self._connection is None or not self.link.up.is_set():
            raise Unconfirmed("the broker is down")
        if self.link.is_blocked:
            raise Unconfirmed("the broker takes nothing at present")
        if message_id in outlet.in_flight:
            raise Unconfirmed("the same knock is in flight already")
        if self._missed < _MISSES and not outlet.admits():  # others are answered, it is not
            raise Unconfirmed("the queue confirms nothing at present")
        return self._connection

    def _count_miss(self, outlet: Outlet, message_id: str) -> None:
        self.miss(message_id)
        if outlet.miss():
            self.link.drop("a queue has confirmed nothing for too long")

    async def _publish(
        self,
        outlet: Outlet,
        connection: AbstractConnection,
        route: str,
        body: bytes,
        properties: spec.Basic.Properties,
    ) -> None:
        with broker_faults(Unconfirmed):
            channel = outlet.channel or await outlet.open(self.link, connection)
            try:
                await channel.basic_publish(
                    body,
                    exchange=JOBS.name,
                    routing_key=route,
                    properties=properties,
                    mandatory=True,
                    wait=False,  # for the socket: it is the confirm that counts
                )
            except DeliveryError:
                age = monotonic() - self.link.born
                if route in self._routes and outlet.refuse(age):  # a stranger's stays unroutable
                    self.link.drop(f"knocks for {route} are refused")
                raise
        self._missed = 0
        outlet.answer()

    async def _set_up(self, link: Link, connection: AbstractConnection) -> None:
        if self._declares:
            await declare(link, connection, job_topology(sorted(self._routes)))
        else:
            await declare(link, connection, Topology(exchanges=(JOBS,)), passive=True)
        for outlet in self._outlets.values():
            outlet.renew()
        await self._early.open(link, connection)
        self._connection = connection
        self._user = link.user
        self._missed = 0


def _check(route: str, body: bytes, message_id: str, headers: Mapping[str, str] | None) -> None:
    """Refuse what the broker would answer by closing the connection on everybody's knocks."""
    if len(body) > LARGEST_KNOCK:
        raise Unpublishable(f"a knock of {len(body)} bytes")
    if not message_id or not all(map(is_name, (route, message_id, *(headers or ())))):
        raise Unpublishable("a route, an id or the name of a header cannot be sent")
    if headers and _bytes_of(headers) > _LARGEST_HEADERS:
        raise Unpublishable("the headers are too large")


def _bytes_of(headers: Mapping[str, str]) -> int:
    try:
        return sum(
            len(name) + len(text if text.isascii() else text.encode())
            for name, text in headers.items()
        )
    except UnicodeEncodeError as error:
        raise Unpublishable("a header is not Unicode") from error
