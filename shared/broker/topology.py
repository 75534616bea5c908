"""Exchanges and queues as data, legal on RabbitMQ 3.10 to 4.3.

Arguments are identity: whoever declares a queue with others than it was made with is refused
(406). So a changed argument needs a new name, and what an operator may want to turn belongs
into policies, not here.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final, Literal

from shared.contract.jobs import Priority

Argument = str | int

_POOL: Final = re.compile(r"[a-z][a-z0-9_-]{0,63}", re.ASCII)
_ROUTE: Final = re.compile(rf"jobs\.(?P<pool>{_POOL.pattern})\.(?:high|normal|low)", re.ASCII)

DELIVERY_LIMIT: Final = 50
"""Closing a channel counts for every prefetched knock, so rolling restarts use it up."""

LARGEST_KNOCK: Final = 65_536
"""Bytes. 32 job ids need 1,300; past 16 MiB the broker answers by closing the channel."""

_LONGEST_NAME: Final = 255


@dataclass(frozen=True, slots=True, kw_only=True)
class Exchange:
    name: str
    kind: Literal["direct", "fanout", "topic"]  # always durable


@dataclass(frozen=True, slots=True, kw_only=True)
class Queue:
    """A queue, and the one exchange that feeds it."""

    name: str
    exchange: str
    key: str
    exclusive: bool = False  # dies with its connection; any other queue is durable
    arguments: Mapping[str, Argument] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Topology:
    """What is declared together, exchanges first."""

    exchanges: tuple[Exchange, ...]
    queues: tuple[Queue, ...] = ()


JOBS: Final = Exchange(name="jobs", kind="direct")
EVENTS: Final = Exchange(name="events", kind="topic")
JOBS_DEAD: Final = Exchange(name="jobs.dead", kind="fanout")

DEAD_QUEUE: Final = Queue(
    name="jobs.dead",
    exchange=JOBS_DEAD.name,
    key="",
    arguments={
        "x-queue-type": "quorum",
        "x-delivery-limit": DELIVERY_LIMIT,
        "x-max-length": 10_000,
        "x-overflow": "drop-head",
    },
)
"""Knocks that nobody could decode. A failed job is a row, and is not here."""


def route(pool: str, priority: str) -> str:
    """Name the queue of *pool* and *priority*; it is its routing key as well."""
    return job_queue(f"jobs.{pool}.{Priority(priority)}").name


def pool_of(queue: str) -> str:
    """Read the pool from the name of a job queue; ``ValueError`` if it is the name of none."""
    found = _ROUTE.fullmatch(queue)
    if found is None:
        raise ValueError(f"{queue!r} is not the name of a job queue")
    return found["pool"]


def is_name(text: str) -> bool:
    """Can *text* be a routing key, an id or the name of a header: a short string of AMQP."""
    if text.isascii():
        return len(text) <= _LONGEST_NAME
    try:
        return len(text.encode()) <= _LONGEST_NAME
    except UnicodeEncodeError:
        return False


def job_queue(name: str) -> Queue:
    pool_of(name)
    return Queue(
        name=name,
        exchange=JOBS.name,
        key=name,
        arguments={
            "x-queue-type": "quorum",
            "x-delivery-limit": DELIVERY_LIMIT,
            "x-dead-letter-exchange": JOBS_DEAD.name,
        },
    )


def pool_queues(pool: str) -> tuple[Queue, ...]:
    """List the three queues of *pool*, the most urgent first."""
    return tuple(job_queue(route(pool, priority)) for priority in Priority)


def early_name(route: str) -> str:
    """Name the queue of early knocks for the pool of *route*."""
    return f"{route.rpartition('.')[0]}.early"


def early_queue(pool: str) -> Queue:
    """The queue of early knocks for *pool*: nobody relies on it, and it holds nothing for long."""
    name = early_name(route(pool, Priority.NORMAL))
    return Queue(
        name=name,
        exchange=JOBS.name,
        key=name,
        arguments={
            "x-queue-type": "classic",
            "x-max-length": 64,
            "x-message-ttl": 1_000,
            "x-overflow": "drop-head",
        },
    )


def job_topology(queues: Iterable[str]) -> Topology:
    """All that job queues of these names need, the dead letters included."""
    named = tuple(job_queue(name) for name in queues)
    return Topology(exchanges=(JOBS, JOBS_DEAD), queues=(*named, DEAD_QUEUE))


def events_queue(name: str) -> Queue:
    """The queue of one listener: it may lose the oldest, and never outlives its connection."""
    return Queue(
        name=name,
        exchange=EVENTS.name,
        key="#",
        exclusive=True,
        arguments={
            "x-queue-type": "classic",
            "x-max-length": 10_000,
            "x-overflow": "drop-head",
        },
    )
