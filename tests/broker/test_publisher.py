"""Knocks: confirmed, or not known to be."""

import asyncio
from collections.abc import Awaitable

import pytest

from shared.broker.outlet import Outlet
from shared.broker.publisher import Publisher, Unconfirmed, Unpublishable
from shared.broker.topology import LARGEST_KNOCK, pool_queues, route
from tests.broker.scene import Yard, make_the_broker_close, running, started, until
from tests.support.fault_proxy import Proxy

pytestmark = pytest.mark.servers


def a_publisher(yard: Yard, url: str | None = None, **others: float) -> Publisher:
    return Publisher(url or yard.url, name="front", pools=[yard.pool], **others)  # type: ignore[arg-type]  # limits only


def outlet(publisher: Publisher, yard: Yard, *, relay: bool = False) -> Outlet:
    return publisher._outlets[yard.route, relay]


async def outcome(knock: Awaitable[None]) -> str:
    """Tell how a knock ended; anything but the two ways it may end is raised."""
    try:
        async with asyncio.timeout(20):
            await knock
    except Unconfirmed:
        return "unconfirmed"
    return "confirmed"


async def test_a_confirmed_knock_lies_in_its_queue(yard: Yard) -> None:
    """The outbox row is dropped on the word of the publisher alone."""
    async with running(a_publisher(yard)) as publisher:
        await publisher.knock(yard.route, b"{}", message_id="row-7", headers={"X-Track-ID": "t"})

    message = await yard.take()
    properties = message.header.properties
    assert message.body == b"{}"
    assert properties.delivery_mode == 2
    assert properties.message_id == "row-7"
    assert properties.user_id == publisher.link.user
    assert properties.headers is not None
    assert properties.headers["X-Track-ID"] == "t"


async def test_each_priority_has_its_queue(yard: Yard) -> None:
    """The routes of a pool must not meet."""
    async with running(a_publisher(yard)) as publisher:
        for number, queue in enumerate(pool_queues(yard.pool)):
            await publisher.knock(queue.name, b"%d" % number, message_id="row")

    assert [await yard.bodies(queue.name) for queue in pool_queues(yard.pool)] == [
        [b"0"],
        [b"1"],
        [b"2"],
    ]


async def test_a_knock_that_no_queue_takes_is_not_confirmed(yard: Yard) -> None:
    """The broker acks what it throws away, unless it is asked to return it."""
    async with running(a_publisher(yard)) as publisher:
        born = publisher.link.born

        assert await outcome(publisher.knock(route("nobody", "low"), b"{}", message_id="1")) == (
            "unconfirmed"
        )

        await publisher.knock(yard.route, b"{}", message_id="2")
        assert publisher.link.born == born  # one bad row must not cost the others their connection


async def test_without_a_broker_a_knock_fails_at_once(yard: Yard) -> None:
    """Submits go on without the broker, and do not wait for it."""
    async with started(a_publisher(yard, "amqp://127.0.0.1:1/")) as publisher:
        async with asyncio.timeout(0.5):
            with pytest.raises(Unconfirmed):
                await publisher.knock(yard.route, b"{}", message_id="1")

        assert publisher.is_down


async def test_a_silent_broker_leaves_a_knock_unconfirmed_in_time(yard: Yard, proxy: Proxy) -> None:
    """Silence is no answer: the row stays."""
    async with running(a_publisher(yard, proxy.url)) as publisher:
        proxy.freeze()
        async with asyncio.timeout(1):
            with pytest.raises(Unconfirmed):
                await publisher.knock(yard.route, b"{}", message_id="1", patience=0.1)


async def test_what_was_not_confirmed_may_still_arrive(yard: Yard, proxy: Proxy) -> None:
    """Unconfirmed is unknown, not failed: the claim must bear a knock that comes twice."""
    async with running(a_publisher(yard, proxy.url)) as publisher:
        await publisher.knock(yard.route, b"first", message_id="0")
        proxy.freeze()
        with pytest.raises(Unconfirmed):
            await publisher.knock(yard.route, b"late", message_id="1", patience=0.1)
        proxy.thaw()
        await publisher.knock(yard.route, b"next", message_id="2")

    assert await yard.bodies() == [b"first", b"late", b"next"]


async def test_three_waits_in_a_row_that_ran_out_mean_down_until_the_next_ack(
    yard: Yard, proxy: Proxy
) -> None:
    """A submit waits for a confirm only where one is to be expected."""
    async with running(a_publisher(yard, proxy.url)) as publisher:
        proxy.freeze()
        downs = []
        for number in range(3):
            downs.append(publisher.is_down)
            with pytest.raises(Unconfirmed):
                await publisher.knock(yard.route, b"", message_id=f"{number}", patience=0.05)

        assert downs == [False] * 3
        assert publisher.is_down
        proxy.thaw()
        await publisher.knock(yard.route, b"{}", message_id="4")
        assert not publisher.is_down


async def test_misses_are_forgotten_if_nobody_tries(yard: Yard, proxy: Proxy) -> None:
    """Or a front that stopped trying would call the broker down for ever."""
    async with running(a_publisher(yard, proxy.url, misses_count_for=0.3)) as publisher:
        proxy.freeze()
        for number in range(3):
            with pytest.raises(Unconfirmed):
                await publisher.knock(yard.route, b"", message_id=f"{number}", patience=0.02)
        assert publisher.is_down

        await until(lambda: not publisher.is_down)


async def test_knocks_in_flight_on_a_lost_line_are_unconfirmed_and_nothing_else(
    yard: Yard, proxy: Proxy
) -> None:
    """The library ends such waits in four ways, a bare cancel among them."""
    async with running(a_publisher(yard, proxy.url)) as publisher:
        proxy.freeze()
        knocks = [
            asyncio.create_task(
                outcome(publisher.knock(yard.route, b"x", message_id=f"{n}", relay=n % 2 == 0))
            )
            for n in range(60)
        ]
        await until(lambda: len(outlet(publisher, yard, relay=True).in_flight) == 30)
        proxy.cut()
        proxy.thaw()

        assert {await knock for knock in knocks} == {"unconfirmed"}
        await until(publisher.link.up.is_set)
        await publisher.knock(yard.route, b"after", message_id="after")
    assert b"after" in await yard.bodies()


async def test_knocks_while_the_broker_closes_the_connection_are_decided(yard: Yard) -> None:
    """Confirmed must be true whenever it is said."""
    async with running(a_publisher(yard)) as publisher:
        knocks = [
            asyncio.create_task(outcome(publisher.knock(yard.route, b"%d" % n, message_id=f"{n}")))
            for n in range(60)
        ]
        await asyncio.wait(knocks, return_when=asyncio.FIRST_COMPLETED)
        await make_the_broker_close(publisher.link)
        outcomes = [await knock for knock in knocks]
        await until(publisher.link.up.is_set)

    there = await yard.bodies()
    confirmed = {b"%d" % n for n, told in enumerate(outcomes) if told == "confirmed"}
    assert confirmed <= set(there)


async def test_a_queue_that_was_deleted_is_there_again_soon(yard: Yard) -> None:
    """Deleting a queue by hand loses knocks, which the rescuer makes again; not the queue."""
    async with running(a_publisher(yard)) as publisher:
        await yard.delete(yard.route)
        told = []
        for number in range(200):
            told.append(await outcome(publisher.knock(yard.route, b"", message_id=f"{number}")))
            if told[-1] == "confirmed":
                break
            await asyncio.sleep(0.05)  # the pace of a relay

    assert told[0] == "unconfirmed"
    assert told[-1] == "confirmed"


def test_a_refusal_that_lasts_costs_ever_fewer_connections() -> None:
    """A queue that is full by policy refuses for hours: others must not be torn down for it."""
    outlet = Outlet(window=1)

    ages = [2.1, 2.1, 4.1, 4.1, 8.1, 16.1, 32.1, 59.0, 60.1, 60.1]
    renewed = [outlet.refuse(age) for age in ages]
    outlet.answer()

    assert renewed == [True, False, True, False, True, True, True, False, True, True]
    assert outlet.refuse(2.1)


def test_of_many_knocks_for_a_mute_queue_one_tries() -> None:
    """What is sent to it piles up in the broker, which at last reads nobody any more."""
    outlet = Outlet(window=1)
    for _ in range(3):
        assert outlet.admits()
        outlet.miss()
    outlet._missed_at -= 3  # some seconds later

    assert [outlet.admits() for _ in range(5)] == [True, False, False, False, False]


def test_a_connection_is_given_up_before_the_broker_would_stop_reading_it() -> None:
    """It grants each channel a credit of 400 messages, and a mute queue gives none back."""
    outlet = Outlet(window=1)

    assert [outlet.miss() for _ in range(200)].index(True) == 199
    outlet.renew()
    assert not outlet.miss()


async def test_the_window_bounds_what_is_in_flight(yard: Yard, proxy: Proxy) -> None:
    """More in flight is only latency."""
    async with running(a_publisher(yard, proxy.url, confirm_window=2)) as publisher:
        proxy.freeze()
        first = [
            asyncio.create_task(outcome(publisher.knock(yard.route, b"in", message_id=f"{n}")))
            for n in range(2)
        ]
        await until(lambda: len(outlet(publisher, yard).in_flight) == 2)
        with pytest.raises(Unconfirmed):
            await publisher.knock(yard.route, b"out", message_id="3", patience=0.1)
        proxy.thaw()
        assert {await task for task in first} == {"confirmed"}

    assert await yard.bodies() == [b"in", b"in"]


async def test_a_queue_whose_window_is_full_holds_up_no_other(yard: Yard, proxy: Proxy) -> None:
    """A quorum queue without a majority confirms nothing for as long as that lasts."""
    high, normal, _ = (queue.name for queue in pool_queues(yard.pool))
    async with running(a_publisher(yard, proxy.url, confirm_window=1)) as publisher:
        for route in (high, normal):
            await publisher.knock(route, b"before", message_id="0")
        proxy.freeze()
        knocks = [
            asyncio.create_task(outcome(publisher.knock(high, b"1", message_id="1"))),
            asyncio.create_task(outcome(publisher.knock(high, b"2", message_id="2", patience=0.3))),
            asyncio.create_task(outcome(publisher.knock(normal, b"3", message_id="3"))),
        ]
        assert await knocks[1] == "unconfirmed"
        proxy.thaw()

        assert [await knock for knock in knocks] == ["confirmed", "unconfirmed", "confirmed"]
    assert await yard.bodies(high) == [b"before", b"1"]  # the other was never sent


async def test_whoever_is_less_patient_may_say_that_a_confirm_is_late(yard: Yard) -> None:
    """A submit waits for a second, its publish for five: down is known after three submits."""
    async with running(a_publisher(yard)) as publisher:
        for _ in range(3):
            assert not publisher.is_down
            publisher.miss()
        assert publisher.is_down

        await publisher.knock(yard.route, b"{}", message_id="1")
        assert not publisher.is_down


async def test_two_knocks_of_one_row_never_share_a_channel(yard: Yard, proxy: Proxy) -> None:
    """They would swap their outcomes: the lost one would be called confirmed."""
    async with running(a_publisher(yard, proxy.url)) as publisher:
        proxy.freeze()
        first = asyncio.create_task(publisher.knock(yard.route, b"{}", message_id="row"))
        await until(lambda: outlet(publisher, yard).in_flight)
        relayed = asyncio.create_task(
            publisher.knock(yard.route, b"{}", message_id="row", relay=True)
        )
        with pytest.raises(Unconfirmed, match="in flight"):
            await publisher.knock(yard.route, b"{}", message_id="row")
        proxy.thaw()

        await first
        await relayed
        await publisher.knock(yard.route, b"{}", message_id="row")


@pytest.mark.parametrize(
    "wrong",
    [
        {"body": b"x" * (LARGEST_KNOCK + 1)},
        {"message_id": ""},
        {"message_id": "é" * 128},
        {"message_id": "\ud800"},
        {"route": "jobs." + "x" * 255},
        {"headers": {"X-Track-ID": "x" * 5_000}},
        {"headers": {"x" * 256: ""}},
        {"headers": {"X-Track-ID": "\ud800"}},
    ],
    ids=lambda wrong: next(iter(wrong)),
)
async def test_what_cannot_be_published_costs_nobody_else_anything(
    yard: Yard, wrong: dict[str, object]
) -> None:
    """The broker would answer by closing the connection, again with every retry."""
    async with running(a_publisher(yard)) as publisher:
        born = publisher.link.born
        knock = {"route": yard.route, "body": b"{}", "message_id": "1", "headers": None} | wrong

        with pytest.raises(Unpublishable):
            await publisher.knock(**knock)  # type: ignore[arg-type]  # wrong on purpose

        await publisher.knock(yard.route, b"x" * LARGEST_KNOCK, message_id="2")
        assert publisher.link.born == born


async def test_a_cancelled_knock_is_cancelled_and_leaves_its_place(
    yard: Yard, proxy: Proxy
) -> None:
    """A client that hangs up must not use up the window, nor be told of trouble."""
    async with running(a_publisher(yard, proxy.url, confirm_window=1)) as publisher:
        proxy.freeze()
        knock = asyncio.create_task(publisher.knock(yard.route, b"{}", message_id="1"))
        await until(lambda: outlet(publisher, yard).in_flight)
        knock.cancel()
        await asyncio.wait((knock,))
        proxy.thaw()

        assert knock.cancelled()
        await publisher.knock(yard.route, b"{}", message_id="1")


async def test_a_publisher_that_may_not_declare_makes_no_queue(yard: Yard) -> None:
    """In production a user of its own declares at deploy."""
    async with running(a_publisher(yard)):  # somebody did
        await yard.delete(yard.route)
        quiet = Publisher(yard.url, name="front", pools=[yard.pool], declare=False)
        async with running(quiet) as publisher:
            told = await outcome(publisher.knock(yard.route, b"{}", message_id="1"))

            assert told == "unconfirmed"
            assert not await yard.is_there(yard.route)
