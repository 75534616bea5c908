"""Make the topology real, or see that it is there."""

from collections.abc import Iterable

from aio_pika.abc import AbstractConnection
from aiormq.channel import Channel

from shared.broker.connection import Link, open_channel
from shared.broker.topology import Exchange, Queue, Topology


async def declare(
    link: Link, connection: AbstractConnection, topology: Topology, *, passive: bool = False
) -> None:
    """Declare *topology* on a channel of its own; *passive* only asks, and needs no rights.

    A queue that exists with other arguments is a 406, a passive one that is missing a 404.
    """
    channel = await open_channel(link, connection, confirms=False, vital=False)
    await declare_exchanges(channel, topology.exchanges, passive=passive)
    for queue in topology.queues:
        await declare_queue(channel, queue, passive=passive)
    await channel.close()


async def declare_exchanges(
    channel: Channel, exchanges: Iterable[Exchange], *, passive: bool
) -> None:
    for exchange in exchanges:
        await channel.exchange_declare(
            exchange.name, exchange_type=exchange.kind, durable=True, passive=passive
        )


async def declare_queue(channel: Channel, queue: Queue, *, passive: bool = False) -> None:
    await channel.queue_declare(
        queue.name,
        durable=not queue.exclusive,
        exclusive=queue.exclusive,
        passive=passive,
        arguments=dict(queue.arguments),
    )
    if not passive:
        await channel.queue_bind(queue.name, queue.exchange, queue.key)
