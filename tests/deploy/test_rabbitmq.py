"""The private RabbitMQ node while it runs: what it opens, what it keeps."""

import socket
import stat
from collections.abc import Iterator
from dataclasses import astuple
from pathlib import Path

import aio_pika
import pytest

from deploy.local import probes, rabbitmq_programs, record
from deploy.local.rabbitmq import RabbitMQ
from deploy.local.stack import silence

pytestmark = [
    pytest.mark.servers,
    pytest.mark.timeout(120),
]
LOOPBACK = {"0100007F", "00000000000000000000000001000000"}


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RabbitMQ]:
    """Run one node in a folder with a difficult name, for all tests of this file."""
    fetched = record.local_folder() / "rabbitmq" / "dist"
    programs = rabbitmq_programs.find_programs(fetched, silence)
    folder = tmp_path_factory.mktemp("broker") / "受付 node & söhne #1"
    made = RabbitMQ(folder, programs=programs)
    try:
        made.start()
        yield made
    finally:
        made.stop()


def says_hello(port: int) -> bool:
    """Tell whether a broker greets within half a second."""
    with socket.create_connection(("127.0.0.1", port), timeout=0.5) as line:
        line.sendall(b"AMQP\x00\x00\x09\x01")
        try:
            return line.recv(1) == b"\x01"
        except TimeoutError:
            return False


def test_nothing_listens_beyond_the_loopback(node: RabbitMQ) -> None:
    """A developer's broker, its distribution and its port mapper are nobody else's business."""
    open_on: dict[int, set[str]] = {}
    for table in (Path("/proc/net/tcp"), Path("/proc/net/tcp6")):
        for row in table.read_text().splitlines()[1:]:
            address, port = row.split()[1].split(":")
            if row.split()[3] == "0A":  # listening
                open_on.setdefault(int(port, 16), set()).add(address)

    for port in astuple(node.ports):
        assert open_on[port] <= LOOPBACK


def test_only_the_user_with_the_random_password_may_enter(node: RabbitMQ) -> None:
    """Every user of the machine can reach the loopback."""
    assert probes.opens_amqp(node.url)

    assert not probes.opens_amqp(f"amqp://guest:guest@127.0.0.1:{node.ports.amqp}/")
    assert not probes.opens_amqp(f"amqp://uketsuke:guess@127.0.0.1:{node.ports.amqp}/")


@pytest.mark.parametrize("secret", [".erlang.cookie", "password", "rabbitmq.conf"])
def test_its_secrets_are_its_owners_alone(node: RabbitMQ, secret: str) -> None:
    """Who reads the cookie runs code in the broker."""
    mode = stat.S_IMODE((node.folder / secret).stat().st_mode)

    assert mode & (stat.S_IRWXG | stat.S_IRWXO) == 0


async def test_what_it_confirmed_outlives_a_crash_on_the_same_port(node: RabbitMQ) -> None:
    """Fault tests kill the broker and expect the same one back, with every knock."""
    url = node.url
    async with await aio_pika.connect(url) as connection:
        channel = await connection.channel()
        queue = await channel.declare_queue(
            "kept", durable=True, arguments={"x-queue-type": "quorum"}
        )
        message = aio_pika.Message(b"a knock", delivery_mode=2)
        await channel.default_exchange.publish(message, queue.name, mandatory=True)

    node.settle()

    node.kill()
    node.start()

    assert node.url == url
    async with await aio_pika.connect(url) as connection:
        channel = await connection.channel()
        queue = await channel.declare_queue("kept", passive=True)
        kept = await queue.get(timeout=20)
        assert kept.body == b"a knock"
        await kept.ack()


def test_a_frozen_node_is_mute_until_it_is_thawed(node: RabbitMQ) -> None:
    """A half-dead broker keeps its connections and answers nothing: the worst kind."""
    node.freeze()
    mute = not says_hello(node.ports.amqp)
    node.thaw()

    assert mute
    assert probes.speaks_amqp(node.ports.amqp)


def test_it_can_be_asked_and_says_what_went_wrong(node: RabbitMQ) -> None:
    """Tests make virtual hosts and raise alarms by ``ctl``."""
    assert "/" in node.ctl("list_vhosts", "name").splitlines()

    with pytest.raises(RuntimeError, match="no_such_vhost"):
        node.ctl("delete_vhost", "no_such_vhost")


def test_a_node_of_another_process_is_asked_but_not_touched(node: RabbitMQ) -> None:
    """A test worker shares the broker: it must not be able to take it from the others."""
    shared = RabbitMQ(node.folder, programs=node.programs, foreign=True)

    assert "/" in shared.ctl("list_vhosts", "name").splitlines()
    for touch in (shared.start, shared.kill, shared.freeze):
        with pytest.raises(RuntimeError, match="started by another process"):
            touch()
    assert shared.stop() is None
    assert node.pid is not None
