"""A broker of three nodes that loses one: the others carry on, and every promise is kept."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from deploy.local.rabbitmq import RabbitMQ
from deploy.local.stack import Given, open_stack
from shared.broker.topology import route
from tests.faults.load import judged, keep_verdict, lost_its_broker, steady_load, told
from tests.support.broker_cluster import BrokerCluster, open_cluster, turned
from tests.support.endings import all_have_ended
from tests.support.house import House, open_house

pytestmark = [pytest.mark.faults, pytest.mark.servers, pytest.mark.timeout(300)]

_RATE = 30.0  # submits a second
_WARM, _FAULT, _AFTER = 3.0, 8.0, 3.0  # seconds of load
_LONGEST_PAUSE = 10.0  # seconds without a completion
_QUEUE = route("default", "normal")  # of all jobs here


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """One way to lose a node, and to have it back."""

    name: str
    of_leader: bool
    begin: Callable[[BrokerCluster, RabbitMQ], Awaitable[None]]
    end: Callable[[BrokerCluster, RabbitMQ], Awaitable[None]]


FAULTS = [
    Fault(name="killed", of_leader=False, begin=BrokerCluster.kill, end=BrokerCluster.start),
    Fault(name="leader-killed", of_leader=True, begin=BrokerCluster.kill, end=BrokerCluster.start),
    Fault(name="cut-off", of_leader=False, begin=BrokerCluster.cut_off, end=BrokerCluster.heal),
    Fault(
        name="leader-cut-off", of_leader=True, begin=BrokerCluster.cut_off, end=BrokerCluster.heal
    ),
]


@pytest.fixture(scope="module")
async def cluster(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[BrokerCluster]:
    """Three nodes for all tests of this file; each leaves them well."""
    async with open_cluster(tmp_path_factory.mktemp("cluster") / "nodes") as cluster:
        yield cluster


@pytest.fixture
async def cluster_house(cluster: BrokerCluster, tmp_path: Path) -> AsyncIterator[House]:
    """A durable database, and a virtual host of the cluster."""
    with open_stack(tmp_path / "stack", tcp=True, given=Given(amqp_url=cluster.url)) as stack:
        async with open_house(replace(stack, own_broker=cluster.nodes[0]), tmp_path) as house:
            yield house


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.name)
async def test_one_of_three_nodes_may_go_and_no_promise_is_broken(
    cluster: BrokerCluster, cluster_house: House, fault: Fault
) -> None:
    """The majority goes on: nothing is lost or done out of order, and nobody waits for long."""
    house, vhost = cluster_house, cluster_house.amqp_url.rpartition("/")[2]
    urls = [turned(house.amqp_url, number) for number in range(3)]  # one service on each node
    front = await house.front(amqp_url=urls[0])
    backs = [await house.back(amqp_url=url) for url in urls[1:]]
    await asyncio.gather(*(asyncio.to_thread(node.settle) for node in cluster.nodes))
    leader = await cluster.leader_of(_QUEUE, vhost=vhost)
    victim = leader if fault.of_leader else cluster.others(leader)[0]
    struck = (front, *backs)[list(cluster.nodes).index(victim)]

    async with steady_load(house, front, rate=_RATE) as load:
        await asyncio.sleep(_WARM)
        begun_at = datetime.now(UTC)
        await fault.begin(cluster, victim)
        await asyncio.sleep(_FAULT)
        has_gone = victim.pid is None or not await cluster.is_serving(victim)
        heir = await cluster.leader_of(_QUEUE, vhost=vhost)
        await fault.end(cluster, victim)
        await asyncio.sleep(_AFTER)
    await all_have_ended(house, within=60)
    verdict = await judged(house, load)

    print(f"\n{fault.name}: {told(load)}\n  {verdict}")
    keep_verdict(
        f"F11-{fault.name}",
        verdict,
        bites={"nodes lost": int(has_gone)},
        figures={"cluster_pause_s": round(verdict.pause, 2)},
        again=f'make faults ARGS="-k {fault.name}"',
    )
    assert has_gone
    assert lost_its_broker(struck, begun_at), "the fault struck nobody"
    assert (heir is not leader) == fault.of_leader
    assert {reply.status for reply in load.replies} == {202}
    assert verdict.is_sound()
    assert verdict.pause <= _LONGEST_PAUSE
    assert [worker.exit_code for worker in (front, *backs)] == [None] * 3
