"""Make the exchanges and queues of all pools: ``python -m shared.broker.provision``.

For a deploy whose services only look for them (``UKETSUKE_DECLARE_TOPOLOGY=no``), run by a user
of the broker that has the right to make them. To run it again is harmless.
"""

import asyncio
import sys
from collections.abc import Iterable
from contextlib import suppress
from typing import Final

from aio_pika.abc import AbstractConnection

from shared.broker.connection import Link
from shared.broker.declaration import declare
from shared.broker.topology import EVENTS, Topology, early_queue, job_topology, pool_queues
from shared.runtime.catalogue import load_job_types
from shared.runtime.logs import configure
from shared.runtime.settings import BadSettings, TopologySettings, read_settings

_PATIENCE: Final = 120.0  # seconds: a cluster that is just starting takes its time


class NotProvided(Exception):
    """Not all of the topology is there; the text says what stood against it."""


async def provide(url: str, pools: Iterable[str], *, patience: float = _PATIENCE) -> list[str]:
    """Make what is missing and answer the names of all queues, or raise ``NotProvided``."""
    pools = tuple(pools)
    wanted = job_topology([queue.name for pool in pools for queue in pool_queues(pool)])
    topology = Topology(
        exchanges=(*wanted.exchanges, EVENTS),
        queues=(*wanted.queues, *(early_queue(pool) for pool in pools)),
    )

    async def set_up(link: Link, connection: AbstractConnection) -> None:
        await declare(link, connection, topology)

    link = Link(url, name="topology", set_up=set_up, patience=patience)
    dialling = asyncio.create_task(link.run(), name="topology")
    try:
        async with asyncio.timeout(patience):
            await link.up.wait()
    except TimeoutError as error:
        raise NotProvided(link.trouble or "no answer in time") from error
    finally:
        dialling.cancel()
        with suppress(asyncio.CancelledError):
            await dialling
    return [queue.name for queue in topology.queues]


def main() -> int:
    try:
        settings = read_settings(TopologySettings)
        configure(service="topology", log_format="console", level="warning")
        pools = load_job_types(settings.job_type_modules).pools
        made = asyncio.run(provide(settings.amqp_url.get_secret_value(), pools))
    except (BadSettings, NotProvided, ValueError, ImportError) as error:
        print(f"topology not made: {error}", file=sys.stderr)  # noqa: T201  a command
        return 1
    print(f"queues: {' '.join(made)}")  # noqa: T201  a command
    return 0


if __name__ == "__main__":
    sys.exit(main())
