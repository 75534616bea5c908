"""Three private RabbitMQ nodes that are one broker, to be broken one by one.

Same cookie, same port mapper, own names, ports and folders, all on 127.0.0.1. A minority pauses
itself; what is declared after the start has a member on every node. Each node is a ``RabbitMQ``,
so that all of ``broker_faults`` can be done to it.
"""

import asyncio
import secrets
from collections.abc import AsyncIterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from pathlib import Path

from deploy.local import processes, rabbitmq_programs, record
from deploy.local.rabbitmq import RabbitMQ
from deploy.local.rabbitmq_mapper import Membership, PortMapper
from deploy.local.rabbitmq_ports import Ports
from deploy.local.rabbitmq_programs import Programs
from deploy.local.stack import silence
from tests.support import broker_faults
from tests.support.waiting import until

_SIZE = 3
_JOINED_WITHIN = 60.0  # seconds: a node that comes back fetches what it has missed
_CONF = """\
cluster_partition_handling = pause_minority
queue_leader_locator = balanced
cluster_formation.peer_discovery_backend = classic_config
"""
_TICKTIME = "[{kernel, [{net_ticktime, 15}]}].\n"
_SHUT = (
    "[begin erlang:set_cookie(N, no_cookie_of_ours), erlang:disconnect_node(N) end || N <- nodes()]"
)


class BrokerCluster:
    """Three nodes; made by ``open_cluster``."""

    def __init__(self, folder: Path, *, programs: Programs) -> None:
        epmd, *rest = processes.free_ports(1 + 2 * _SIZE)
        self._mapper, self._epmd = PortMapper(folder, programs=programs), epmd
        mark = secrets.token_hex(4)
        names = [f"uketsuke-{mark}-{number}" for number in range(1, _SIZE + 1)]
        conf = _CONF + "".join(
            f"cluster_formation.classic_config.nodes.{number} = {name}@localhost\n"
            for number, name in enumerate(names, 1)
        )
        self.nodes: Sequence[RabbitMQ] = [
            RabbitMQ(
                folder / name,
                programs=programs,
                member=Membership(
                    name=name,
                    ports=Ports(amqp=amqp, distribution=distribution, epmd=epmd),
                    mapper=self._mapper,
                    conf=conf,
                ),
            )
            for name, amqp, distribution in zip(names, rest[::2], rest[1::2], strict=True)
        ]

    @property
    def url(self) -> str:
        """All nodes, as UKETSUKE_AMQP_URL takes them."""
        return ",".join(node.url for node in self.nodes)

    def others(self, *nodes: RabbitMQ) -> list[RabbitMQ]:
        return [each for each in self.nodes if each not in nodes]

    async def open(self) -> None:
        """Start all together: they find each other while they boot."""
        await asyncio.to_thread(self._open)
        await self.all_are_in()

    async def close(self) -> None:
        await asyncio.gather(*(asyncio.to_thread(node.stop) for node in self.nodes))
        await asyncio.to_thread(self._mapper.stop)

    async def kill(self, node: RabbitMQ) -> None:
        """Strike a node dead."""
        await asyncio.to_thread(node.kill)

    async def start(self, node: RabbitMQ) -> None:
        """Start a node that is dead, and wait until it is one of the three again."""
        await asyncio.to_thread(node.start)
        await self.all_are_in()

    async def cut_off(self, node: RabbitMQ) -> None:
        """Part *node* from the others, as a dead line between machines does; it then pauses.

        It alone is told another cookie: the others' attempts to reach it fail at the handshake.
        """
        await broker_faults.evaluate(node, _SHUT)

    async def heal(self, node: RabbitMQ) -> None:
        """Let *node* be reached again, and wait until it is one of the three."""
        peers = ",".join(f"'{peer.node}'" for peer in self.others(node))
        await broker_faults.evaluate(
            node,
            "[begin erlang:set_cookie(N, erlang:get_cookie()), net_adm:ping(N) end"
            f" || N <- [{peers}]]",
        )
        await self.all_are_in()

    async def is_serving(self, node: RabbitMQ) -> bool:
        """Say whether *node* takes part: one that is cut off has paused, and does not."""
        return await broker_faults.evaluate(node, "rabbit:is_running()") == "true"

    async def leader_of(self, queue: str, *, vhost: str = "/") -> RabbitMQ:
        """Ask a node that serves which one leads *queue*."""
        found = await until(
            lambda: self._leader(queue, vhost), within=20, what=f"{queue} has a leader", every=0.2
        )
        return next(node for node in self.nodes if node.node == found)

    async def all_are_in(self) -> None:
        async def are_in() -> bool:
            counted = [
                await broker_faults.evaluate(node, "length(rabbit_mnesia:cluster_nodes(running))")
                for node in self.nodes
            ]
            return counted == [str(_SIZE)] * _SIZE

        await until(are_in, within=_JOINED_WITHIN, what="all nodes are one cluster", every=0.5)

    async def _leader(self, queue: str, vhost: str) -> str | None:
        """Read the leader; ``None`` while there is none that lives."""
        living = [node for node in self.nodes if node.pid and await self.is_serving(node)]
        words = ("--vhost", vhost, "name", "leader", "--no-table-headers")
        said = await broker_faults.ctl(living[0], "list_queues", *words)
        leaders = dict(line.split("\t") for line in said.splitlines() if line)
        return leaders[queue] if leaders.get(queue) in {n.node for n in living} else None

    def _open(self) -> None:
        secret = {".erlang.cookie": secrets.token_hex(20), "password": secrets.token_hex(20)}
        for node in self.nodes:
            node.folder.mkdir(parents=True, mode=0o700)
            (node.folder / "advanced.config").write_text(_TICKTIME)
            for name, text in secret.items():
                (node.folder / name).touch(mode=0o600)
                (node.folder / name).write_text(text)
                (node.folder / name).chmod(0o400)
        self._mapper.start(self._epmd)
        with ThreadPoolExecutor(max_workers=_SIZE) as threads:
            list(threads.map(RabbitMQ.start, self.nodes))


def turned(url: str, by: int) -> str:
    """Have the hosts of *url* dialled from another one on: not all clients sit on one node."""
    parts = url.split(",")
    return ",".join(parts[by:] + parts[:by])


@asynccontextmanager
async def open_cluster(folder: Path) -> AsyncIterator[BrokerCluster]:
    """Have a cluster in *folder* for the length of a block; its start takes 20 s."""
    fetched = record.local_folder() / "rabbitmq" / "dist"
    programs = await asyncio.to_thread(rabbitmq_programs.find_programs, fetched, silence)
    cluster = BrokerCluster(folder, programs=programs)
    try:
        await cluster.open()
        yield cluster
    finally:
        await cluster.close()
