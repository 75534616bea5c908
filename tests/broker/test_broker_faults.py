"""Faults of a whole node: struck dead, frozen, out of memory, emptied, stopped, locked down."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from secrets import token_hex
from time import monotonic

import pytest
from yarl import URL

from deploy.local import rabbitmq_programs, record
from deploy.local.processes import CannotStart
from deploy.local.rabbitmq import RabbitMQ
from deploy.local.stack import silence
from shared.broker.connection import Link
from shared.broker.fanout import FanIn, FanOut
from shared.broker.publisher import Publisher, Unconfirmed
from shared.broker.subscriber import Subscriber
from shared.broker.topology import pool_queues, route
from tests.broker.scene import Yard, running, started, until
from tests.support import broker_faults
from tests.support.broker_faults import Alarm
from tests.support.needs import missing

pytestmark = [
    pytest.mark.servers,
    pytest.mark.timeout(120),
    pytest.mark.xdist_group("a broker to break"),
]

BACK_WITHIN = 5.0
"""Seconds from the cure of a fault to the first confirm."""


@pytest.fixture(scope="module")
async def node(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[RabbitMQ]:
    """Run a node that a test may break; each puts it right again."""
    fetched = record.local_folder() / "rabbitmq" / "dist"
    try:
        programs = await asyncio.to_thread(rabbitmq_programs.find_programs, fetched, silence)
    except CannotStart as error:
        missing(str(error))
    made = RabbitMQ(tmp_path_factory.mktemp("broker"), programs=programs)
    try:
        await asyncio.to_thread(made.start)
        yield made
    finally:
        await asyncio.to_thread(made.stop)


class Scene:
    """One publisher, one worker and one listener on the node."""

    def __init__(self, url: str, *, declare: bool = True, worker_url: str | None = None) -> None:
        self.pool = f"test{token_hex(6)}"
        self.route = route(self.pool, "normal")
        self.heard: list[bytes] = []
        self.publisher = Publisher(url, name="front", pools=[self.pool], declare=declare)
        worker_url = worker_url or url
        self.subscriber = Subscriber(
            worker_url, name="back", routes={self.route: 1000}, look_every=0.5, declare=declare
        )
        self.fan_out = FanOut(worker_url, name="back", declare=declare)
        self.fan_in = FanIn(
            url,
            name="front",
            declare=declare,
            on_message=self.heard.append,
            on_reconnect=lambda: None,
        )

    @property
    def services(self) -> tuple[Publisher, Subscriber, FanOut, FanIn]:
        return self.publisher, self.subscriber, self.fan_out, self.fan_in

    @property
    def links(self) -> list[Link]:
        return [service.link for service in self.services]

    async def knock(self, body: bytes = b"{}", *, patience: float = 0.5) -> bool:
        try:
            await self.publisher.knock(self.route, body, message_id=token_hex(8), patience=patience)
        except Unconfirmed:
            return False
        return True

    async def confirms_again(self) -> float:
        """Knock at the pace of a relay until one is confirmed; tell after how many seconds."""
        begun = monotonic()
        while not await self.knock(b"after"):
            assert monotonic() - begun < 30, "no knock is confirmed any more"
            await asyncio.sleep(0.05)
        return monotonic() - begun

    async def all_is_well(self) -> None:
        """See that a knock and an event get through to the other side."""
        await until(lambda: all(link.up.is_set() for link in self.links), within=10)
        mark = token_hex(8).encode()
        assert await self.knock(mark, patience=5)
        waiting = self.subscriber.waiting[self.route]
        await until(lambda: any(delivery.body == mark for delivery in waiting))
        self.fan_out.offer(mark)
        await until(lambda: mark in self.heard)


@pytest.fixture
async def scene(node: RabbitMQ) -> AsyncIterator[Scene]:
    scene = Scene(node.url)
    async with AsyncExitStack() as stack:
        for service in scene.services:
            await stack.enter_async_context(running(service))
        yield scene
    await clear_away(node, scene)


async def clear_away(node: RabbitMQ, scene: Scene) -> None:
    yard = Yard(node.url)
    for queue in pool_queues(scene.pool):
        await yard.delete(queue.name)
    await yard.close()


async def write_down(node: RabbitMQ) -> None:
    """Let the node write down that its queues exist.

    Of a quorum queue killed in the first second of its life 3.10 may never elect a leader
    again; see rabbitmq-server#10070.
    """
    await asyncio.to_thread(node.ctl, "eval", "[dets:sync(Table) || Table <- dets:all()].")


async def test_a_node_struck_dead_keeps_what_it_confirmed_and_is_found_again(
    node: RabbitMQ, scene: Scene
) -> None:
    """Confirmed means on disk; and nobody restarts a service because a broker was restarted."""
    bodies = [b"%d" % number for number in range(20)]
    for body in bodies:
        assert await scene.knock(body, patience=5)
    await write_down(node)

    await asyncio.to_thread(node.kill)
    await until(lambda: scene.publisher.is_down)
    assert not await scene.knock()
    await asyncio.to_thread(node.start)

    assert await scene.confirms_again() < BACK_WITHIN
    await scene.all_is_well()
    waiting = scene.subscriber.waiting[scene.route]
    assert set(bodies) <= {delivery.body for delivery in waiting}


async def test_knocks_in_flight_when_a_node_is_struck_dead_are_decided_at_once(
    node: RabbitMQ, scene: Scene
) -> None:
    """What was said to be confirmed is there; the rest is for the relay."""
    assert await scene.knock(patience=5)
    await write_down(node)
    knocks = {
        number: asyncio.create_task(scene.knock(b"%d" % number, patience=20))
        for number in range(300)
    }
    await asyncio.wait(knocks.values(), return_when=asyncio.FIRST_COMPLETED)
    await asyncio.to_thread(node.kill)
    async with asyncio.timeout(3):
        told = {number: await knock for number, knock in knocks.items()}
    await asyncio.to_thread(node.start)

    assert not all(told.values())
    await scene.all_is_well()
    waiting = scene.subscriber.waiting[scene.route]
    confirmed = {b"%d" % number for number, is_confirmed in told.items() if is_confirmed}
    assert confirmed <= {delivery.body for delivery in waiting}


async def test_a_node_frozen_for_a_moment_costs_no_connection(node: RabbitMQ, scene: Scene) -> None:
    """A pause of the virtual machine is no reason to dial."""
    born = scene.publisher.link.born
    node.freeze()
    try:
        outcomes = await asyncio.gather(*(scene.knock(patience=0.3) for _ in range(5)))
        assert outcomes == [False] * 5
        assert scene.publisher.is_down
    finally:
        node.thaw()

    assert await scene.confirms_again() < BACK_WITHIN
    assert scene.publisher.link.born == born


async def test_a_node_frozen_past_the_heartbeat_ends_no_service(node: RabbitMQ) -> None:
    """There the library ends its waits with bare cancels, which kill tasks in silence."""
    scene = Scene(str(URL(node.url).update_query(heartbeat=1)))
    async with AsyncExitStack() as stack:
        for service in scene.services:
            await stack.enter_async_context(running(service))
        node.freeze()
        try:
            waits = [asyncio.create_task(scene.knock(patience=20)) for _ in range(5)]
            await until(lambda: not any(link.up.is_set() for link in scene.links), within=20)
            assert [await wait for wait in waits] == [False] * 5
        finally:
            node.thaw()

        assert await scene.confirms_again() < BACK_WITHIN
        await scene.all_is_well()
    await clear_away(node, scene)


@pytest.mark.parametrize("alarm", Alarm)
async def test_a_node_out_of_room_is_known_to_be_down_and_loses_nothing(
    node: RabbitMQ, scene: Scene, alarm: Alarm
) -> None:
    """It takes what is written and confirms nothing: submits must not wait for it."""
    async with broker_faults.alarmed(node, alarm):
        assert not await scene.knock(b"during", patience=0.5)
        await until(lambda: scene.publisher.is_down)
        async with asyncio.timeout(0.2):
            assert not await scene.knock(b"refused", patience=5)
        scene.fan_out.offer(b"during")
        await scene.subscriber.look()
        assert scene.subscriber.link.up.is_set()  # who only consumes is not held up

    assert await scene.confirms_again() < BACK_WITHIN
    await until(lambda: not scene.publisher.is_down)
    await scene.all_is_well()
    bodies = [delivery.body for delivery in scene.subscriber.waiting[scene.route]]
    assert b"during" in bodies
    assert b"refused" not in bodies


async def test_connections_made_during_an_alarm_do_not_dial_for_ever(
    node: RabbitMQ, scene: Scene
) -> None:
    """A fan-out that is blocked keeps the newest events, and its line."""
    async with broker_faults.alarmed(node, Alarm.MEMORY):
        scene.fan_out.offer(b"first")  # the broker blocks whoever publishes
        await until(lambda: scene.fan_out.link.is_blocked)
        born = scene.fan_out.link.born
        scene.fan_out.offer(b"kept")
        assert not scene.fan_out.link.lost.is_set()

    await until(lambda: b"kept" in scene.heard)
    assert scene.fan_out.link.born == born
    assert scene.fan_out.dropped == 0


async def test_a_broker_stopped_and_started_is_found_again(node: RabbitMQ, scene: Scene) -> None:
    """That is every upgrade."""
    await broker_faults.stop_app(node)
    await until(lambda: scene.publisher.is_down)
    await broker_faults.start_app(node)

    assert await scene.confirms_again() < BACK_WITHIN
    await scene.all_is_well()


async def test_a_broker_that_lost_everything_has_its_topology_again(
    node: RabbitMQ, scene: Scene
) -> None:
    """The rows are the truth: a broker may be thrown away and made anew."""
    await broker_faults.lose_all_data(node)

    assert await scene.confirms_again() < BACK_WITHIN
    await scene.all_is_well()


async def test_all_connections_closed_by_an_operator_are_made_again(
    node: RabbitMQ, scene: Scene
) -> None:
    """A habit in emergencies."""
    await asyncio.to_thread(node.ctl, "close_all_connections", "for the test")

    assert await scene.confirms_again() < BACK_WITHIN
    await scene.all_is_well()


async def test_a_knock_held_too_long_comes_back_and_so_does_the_consumer(
    node: RabbitMQ, scene: Scene
) -> None:
    """The broker closes the channel of whoever does not ack in time, 30 minutes by default."""
    setting = "application:set_env(rabbit, {}, {})."
    for name, value in (("consumer_timeout", 1_000), ("channel_tick_interval", 500)):
        await asyncio.to_thread(node.ctl, "eval", setting.format(name, value))
    try:
        scene.subscriber.link.drop("for new channels, which the settings are for")
        await until(scene.subscriber.link.up.is_set)
        born = scene.subscriber.link.born
        waiting = scene.subscriber.waiting[scene.route]
        assert await scene.knock(b"held", patience=5)
        await until(lambda: waiting)

        await until(lambda: scene.subscriber.link.born != born and waiting, within=60)
        assert waiting[0].redelivered
        assert await waiting.popleft().ack()
    finally:
        for name, value in (("consumer_timeout", 1_800_000), ("channel_tick_interval", 60_000)):
            await asyncio.to_thread(node.ctl, "eval", setting.format(name, value))


async def test_a_queue_that_answers_nobody_holds_up_no_other(node: RabbitMQ) -> None:
    """Quorum queues lose their leaders one by one."""
    scene = Scene(node.url)
    high = route(scene.pool, "high")
    scene.subscriber = Subscriber(
        node.url, name="back", routes={scene.route: 4, high: 4}, look_every=0.3
    )
    silent = f"whereis('%2F_{scene.route}')"
    async with running(scene.publisher) as publisher, started(scene.subscriber) as subscriber:
        await asyncio.to_thread(node.ctl, "eval", f"sys:suspend({silent}).")
        try:
            subscriber.link.drop("for the test")
            stuck = [asyncio.create_task(scene.knock(patience=2)) for _ in range(150)]

            for number in range(20):
                await publisher.knock(high, b"%d" % number, message_id=f"{number}", patience=2)
                await until(lambda: subscriber.waiting[high])
                assert await subscriber.waiting[high].popleft().ack()
            assert not any(await asyncio.gather(*stuck))
            await publisher.knock(high, b"", message_id="one more")
            async with asyncio.timeout(0.5):
                assert not await scene.knock(patience=5)  # it is not even tried
        finally:
            await asyncio.to_thread(node.ctl, "eval", f"sys:resume({silent}).")

        assert await scene.confirms_again() < BACK_WITHIN
        await until(lambda: subscriber.waiting[scene.route], within=15)
    await clear_away(node, scene)


async def test_services_run_with_no_more_rights_than_they_need(node: RabbitMQ) -> None:
    """A front that is taken over must not read work, nor a worker make queues."""
    scene = await declared(node)
    rights = {
        "front": (r"^events\..+", r"^(jobs|events|events\..+)$", r"^(events|events\..+)$"),
        "back": ("^$", "^(jobs|events)$", r"^jobs\..+"),
    }
    for user, (configure, write, read) in rights.items():
        await asyncio.to_thread(node.ctl, "add_user", user, "p")
        await asyncio.to_thread(node.ctl, "set_permissions", user, configure, write, read)
    front, back = (str(URL(node.url).with_user(user).with_password("p")) for user in rights)
    modest = Scene(front, declare=False, worker_url=back)
    modest.pool, modest.route = scene.pool, scene.route
    modest.publisher = Publisher(front, name="front", pools=[scene.pool], declare=False)
    modest.subscriber = Subscriber(
        back, name="back", routes={scene.route: 9}, look_every=0.1, declare=False
    )
    async with AsyncExitStack() as stack:
        for service in modest.services:
            await stack.enter_async_context(running(service))

        await modest.all_is_well()

        (delivery,) = modest.subscriber.waiting[modest.route]
        assert delivery.user_id == "front"
        assert await delivery.reject()
        await until(lambda: modest.subscriber.depth(modest.route) == 0)
    await clear_away(node, scene)


async def declared(node: RabbitMQ) -> Scene:
    """Declare a pool as a deploy does, and leave."""
    scene = Scene(node.url)
    async with running(scene.publisher), running(scene.fan_out):
        return scene
