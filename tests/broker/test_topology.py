"""The topology as data: legal on every supported RabbitMQ."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.broker.topology import (
    DEAD_QUEUE,
    DELIVERY_LIMIT,
    EVENTS,
    JOBS,
    JOBS_DEAD,
    Queue,
    events_queue,
    job_topology,
    pool_of,
    pool_queues,
    route,
)
from shared.contract.jobs import Priority

EVERY_QUEUE = (*pool_queues("default"), *pool_queues("video"), DEAD_QUEUE, events_queue("events.a"))
KNOWN_ARGUMENTS = {
    "x-queue-type",
    "x-delivery-limit",
    "x-dead-letter-exchange",
    "x-max-length",
    "x-overflow",
}
each_queue = pytest.mark.parametrize("queue", EVERY_QUEUE, ids=lambda queue: queue.name)
pools = st.from_regex(r"[a-z][a-z0-9_-]{0,63}", fullmatch=True)


@each_queue
def test_no_queue_bears_an_argument_that_some_release_refuses(queue: Queue) -> None:
    """What 4.3 refuses (modes, versions, locators, priorities) must never be asked on 3.10."""
    assert queue.arguments.keys() <= KNOWN_ARGUMENTS


@each_queue
def test_every_queue_says_its_type(queue: Queue) -> None:
    """The default type is the virtual host's to set, and would change what is declared."""
    assert queue.arguments["x-queue-type"] == ("classic" if queue.exclusive else "quorum")


@each_queue
def test_every_shared_queue_limits_deliveries_itself(queue: Queue) -> None:
    """From 4.0 the default is 20, and a message over it is dropped."""
    assert queue.exclusive or queue.arguments["x-delivery-limit"] == DELIVERY_LIMIT


@each_queue
def test_every_queue_but_those_for_work_is_bounded(queue: Queue) -> None:
    """Nobody need ever read the dead letters, and a listener may stall."""
    if queue.exchange == JOBS.name:
        assert "x-max-length" not in queue.arguments  # a knock is never dropped for want of room
    else:
        assert queue.arguments["x-overflow"] == "drop-head"
        assert queue.arguments["x-max-length"] == 10_000


def test_what_cannot_be_delivered_has_somewhere_to_go() -> None:
    """A dead-letter exchange that is not declared would lose what it is sent."""
    topology = job_topology([route("default", "high")])

    declared = {exchange.name for exchange in topology.exchanges}
    fed = {queue.exchange for queue in topology.queues}
    dead = {queue.arguments.get("x-dead-letter-exchange") for queue in topology.queues}

    assert dead - {None} == {JOBS_DEAD.name}
    assert {JOBS_DEAD.name} <= declared & fed
    assert fed <= declared


def test_a_pool_has_a_queue_for_each_priority_the_most_urgent_first() -> None:
    """Priority inside a queue means something else on every release."""
    assert [queue.name for queue in pool_queues("video")] == [
        "jobs.video.high",
        "jobs.video.normal",
        "jobs.video.low",
    ]


@given(pool=pools, priority=st.sampled_from(Priority))
def test_a_route_tells_its_pool(pool: str, priority: Priority) -> None:
    """The relay and the consumer know a queue by its name alone."""
    assert pool_of(route(pool, priority)) == pool


@pytest.mark.parametrize("pool", ["", "Video", "a.b", "a b", "é", "a\n", "x" * 65, "#", "1a"])
def test_what_is_no_name_for_a_pool_makes_no_route(pool: str) -> None:
    """A dot or a wildcard in a routing key would reach other queues."""
    with pytest.raises(ValueError, match=re.escape(repr(f"jobs.{pool}.high"))):
        route(pool, "high")


def test_there_are_three_priorities_and_no_other() -> None:
    """A knock for a fourth would be unroutable for ever."""
    with pytest.raises(ValueError, match="urgent"):
        route("default", "urgent")


def test_a_listener_hears_every_event() -> None:
    """Bindings per subscriber stall the broker; one for all does not."""
    queue = events_queue("events.front.1")

    assert (queue.exchange, queue.key, queue.exclusive) == (EVENTS.name, "#", True)
