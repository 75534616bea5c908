"""What can be done to a private RabbitMQ node, and undone; alone or one of a cluster.

Besides what the node does itself: ``kill``, ``freeze``, ``thaw``, ``stop``, ``start``. All of it
waits in a thread, so that the test's own clients live on.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from enum import StrEnum

from deploy.local.rabbitmq import RabbitMQ

_ABSOLUTE = ("set_vm_memory_high_watermark", "absolute")


class Alarm(StrEnum):
    """What the broker can be short of: it then takes nothing from publishers."""

    MEMORY = "memory"
    DISK = "disk"


async def ctl(node: RabbitMQ, *words: str) -> str:
    return await asyncio.to_thread(node.ctl, *words)


async def evaluate(node: RabbitMQ, erlang: str) -> str:
    """Evaluate *erlang*, without its full stop, inside the node."""
    return (await ctl(node, "eval", f"{erlang}.")).strip()


async def raise_alarm(node: RabbitMQ, alarm: Alarm) -> None:
    if alarm is Alarm.MEMORY:
        await ctl(node, *_ABSOLUTE, "1")
    else:
        await ctl(node, "set_disk_free_limit", "9999GB")


async def clear_alarm(node: RabbitMQ, alarm: Alarm) -> None:
    if alarm is Alarm.MEMORY:
        await ctl(node, *_ABSOLUTE, "512MB")
    else:
        await ctl(node, "set_disk_free_limit", "50MB")


@asynccontextmanager
async def alarmed(node: RabbitMQ, alarm: Alarm) -> AsyncIterator[None]:
    """Have an alarm for the length of a block."""
    await raise_alarm(node, alarm)
    try:
        yield
    finally:
        await clear_alarm(node, alarm)


async def stop_app(node: RabbitMQ) -> None:
    """Stop the broker, and leave its process: every upgrade begins so."""
    await ctl(node, "stop_app")


async def start_app(node: RabbitMQ) -> None:
    await ctl(node, "start_app")


async def delete_queue(node: RabbitMQ, queue: str, *, vhost: str = "/") -> None:
    """Take a queue away under its consumers."""
    await ctl(node, "delete_queue", queue, "--vhost", vhost)


async def purge_queue(node: RabbitMQ, queue: str, *, vhost: str = "/") -> None:
    """Lose every message that nobody holds."""
    await ctl(node, "purge_queue", queue, "--vhost", vhost)


async def lose_all_data(node: RabbitMQ) -> None:
    """Come back as a new broker at the old address: nothing declared, nothing kept."""
    await asyncio.to_thread(node.stop)
    await asyncio.to_thread(node.forget)
    await asyncio.to_thread(node.start)


async def messages_of(node: RabbitMQ, *, vhost: str = "/") -> dict[str, int]:
    """Count what each queue holds, whether a consumer has it or not."""
    said = await ctl(
        node, "list_queues", "--vhost", vhost, "name", "messages", "--no-table-headers"
    )
    rows = (line.split("\t") for line in said.splitlines() if line)
    return {name: int(count) for name, count in rows}
