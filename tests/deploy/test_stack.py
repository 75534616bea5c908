"""Both private servers in one folder: as an ordinary user, after a crash, and shared."""

import os
import signal
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import aio_pika
import asyncpg
import pytest

from deploy.local import processes, rabbitmq_programs, record
from deploy.local.postgres import Postgres
from deploy.local.processes import CannotStart
from deploy.local.stack import AlreadyRunning, Given, NotOurs, Stack, attach, open_stack, silence
from tests.deploy.places import give_to_nobody, open_folder, ordinary_users_can_read

NOWHERE = Given(database_url="postgresql://nobody@127.0.0.1:1/none", amqp_url="amqp://127.0.0.1:1/")


class OrdinaryLauncher:
    """A stack that an ordinary user's process holds open."""

    def __init__(self, folder: Path) -> None:
        fetched = record.local_folder() / "rabbitmq" / "dist"
        sbin = rabbitmq_programs.find_programs(fetched, silence).sbin
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.deploy.standins.launcher", str(folder)],
            cwd=record.ROOT,
            env={**os.environ, "UKETSUKE_RABBITMQ_SBIN": str(sbin)},
            stdout=subprocess.PIPE,
        )
        assert self._process.stdout is not None
        self.pids = [int(word) for word in self._process.stdout.readline().split()]

    def ends(self, how: signal.Signals) -> int:
        """Send *how* and answer the exit code."""
        if self._process.poll() is None:
            self._process.send_signal(how)
        self._process.communicate(timeout=40)
        return self._process.returncode

    def leaves_nothing(self) -> bool:
        """Wait for the end of all that it started."""
        return processes.await_truth(
            lambda: not any(processes.is_alive(pid) for pid in self.pids), 20.0
        )


@pytest.fixture
def folder() -> Iterator[Path]:
    """Answer an ordinary user's own folder."""
    with open_folder() as made:
        give_to_nobody(made)
        yield made


async def leave_something(stack: Stack) -> None:
    """Put a row and a confirmed message into *stack*."""
    database = await asyncpg.connect(stack.database_url)
    await database.execute("CREATE TABLE kept AS SELECT 'the row' AS what")
    await database.close()
    async with await aio_pika.connect(stack.amqp_url) as connection:
        channel = await connection.channel()
        queue = await channel.declare_queue(
            "kept", durable=True, arguments={"x-queue-type": "quorum"}
        )
        message = aio_pika.Message(b"the message", delivery_mode=2)
        await channel.default_exchange.publish(message, queue.name, mandatory=True)
    stack.broker.settle()


async def find_it(stack: Stack) -> tuple[str, bytes]:
    """Read what ``leave_something`` left."""
    database = await asyncpg.connect(stack.database_url)
    row = await database.fetchval("SELECT what FROM kept")
    await database.close()
    async with await aio_pika.connect(stack.amqp_url) as connection:
        channel = await connection.channel()
        queue = await channel.declare_queue("kept", passive=True)
        message = await queue.get(timeout=20)
        await message.ack()
    return row, message.body


@pytest.mark.servers
@pytest.mark.timeout(120)
async def test_an_ordinary_users_stack_survives_a_killed_launcher(folder: Path) -> None:
    """Kill -9 of the launcher ends both servers; the next start finds every promise kept."""
    if not ordinary_users_can_read(Path(__file__)):
        pytest.skip("the project lies in a folder of root's that no ordinary user can enter")
    first = OrdinaryLauncher(folder)
    try:
        before = attach(folder)
        await leave_something(before)
        assert first.ends(signal.SIGKILL) == -signal.SIGKILL
        assert first.leaves_nothing()

        second = OrdinaryLauncher(folder)
        try:
            after = attach(folder)
            assert await find_it(after) == ("the row", b"the message")
            assert after.amqp_url == before.amqp_url
        finally:
            assert second.ends(signal.SIGTERM) == 0
        assert second.leaves_nothing()
        assert after.broker.ports.are_free()  # its port mapper's among them
    finally:
        first.ends(signal.SIGKILL)


def test_who_comes_second_is_told(tmp_path: Path) -> None:
    """Two launchers on one data folder would be the end of the data."""
    second = open_stack(tmp_path, given=NOWHERE, share=False)

    with open_stack(tmp_path, given=NOWHERE), pytest.raises(AlreadyRunning), second:
        pass


def test_a_held_folder_that_does_not_answer_is_one_clear_line(tmp_path: Path) -> None:
    """A launcher that hangs must not make the second one hang as well."""
    with open_stack(tmp_path, given=NOWHERE), pytest.raises(CannotStart, match="does not answer"):
        attach(tmp_path)


def test_given_servers_are_used_and_never_touched(tmp_path: Path) -> None:
    """A database of a colleague's is not ours to stop."""
    with open_stack(tmp_path, given=NOWHERE) as stack:
        assert stack.database_url == NOWHERE.database_url
        assert stack.amqp_url == NOWHERE.amqp_url
        with pytest.raises(NotOurs):
            _ = stack.postgres
        with pytest.raises(NotOurs):
            _ = stack.broker


def test_the_record_is_its_owners_alone(tmp_path: Path) -> None:
    """It holds passwords."""
    with open_stack(tmp_path, given=NOWHERE):
        mode = (tmp_path / "stack.json").stat().st_mode

    assert stat.S_IMODE(mode) == stat.S_IRUSR | stat.S_IWUSR


def test_a_record_cut_short_is_no_record(tmp_path: Path) -> None:
    """A full disk must not make every later start fail."""
    (tmp_path / "stack.json").write_text('{"launcher": 1')

    assert record.read(tmp_path) == {}


def test_passwords_are_not_shown_where_a_stack_is_printed(tmp_path: Path) -> None:
    """Tests that fail print what they hold."""
    secret = Given(database_url="postgresql://a:hidden@h/d", amqp_url="amqp://a:hidden@h/")

    with open_stack(tmp_path, given=secret) as stack:
        assert "hidden" not in repr(stack)


@pytest.mark.servers
def test_when_one_server_fails_the_other_is_given_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A start that failed must leave nothing running behind it."""
    started: list[Postgres] = []
    real_start = Postgres.start

    def start_and_fall(self: Postgres) -> None:
        real_start(self)
        started.append(self)
        raise CannotStart("as if the disk were full")

    monkeypatch.setattr(Postgres, "start", start_and_fall)

    given = Given(amqp_url=NOWHERE.amqp_url)
    with pytest.raises(CannotStart, match="disk"), open_stack(tmp_path, given=given):
        pass

    assert [server.pid for server in started] == [None]
    assert not record.is_held(tmp_path)
