"""The real services as real processes, on a database and a virtual host of their own.

Whatever a test starts here is ended with the house, also when the test is killed: children die
with the process that started them.
"""

import asyncio
import os
import secrets
import signal
import socket
import sys
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import ExitStack, asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

import aiohttp
import asyncpg

from deploy.local import processes
from deploy.local.rabbitmq import RabbitMQ
from deploy.local.stack import Stack
from shared.store.migrate import migrate
from tests.support.waiting import until

_ROOT = Path(__file__).parents[2]
_MAKE = (  # each command of its own would be one more virtual machine to start
    'rabbit_vhost:add(<<"{name}">>, <<"tests">>), rabbit_auth_backend_internal:set_permissions('
    '<<"{user}">>, <<"{name}">>, <<".*">>, <<".*">>, <<".*">>, <<"tests">>).'
)
_DELETE = '[rabbit_vhost:delete(Name, <<"tests">>) || Name <- [{names}]].'
_left: dict[Path, tuple[RabbitMQ, list[str]]] = {}


class Worker:
    """One process of a service, and what it has logged."""

    def __init__(self, module: str, environment: Mapping[str, str], log: Path) -> None:
        self.log, self._module = log, module
        with log.open("ab") as output:
            self._child = processes.start(
                [sys.executable, "-m", module],
                death=signal.SIGKILL,
                env=dict(environment),
                output=output.fileno(),
                cwd=_ROOT,
            )

    @property
    def pid(self) -> int:
        return self._child.pid

    @property
    def exit_code(self) -> int | None:
        return self._child.poll()

    @property
    def logged(self) -> str:
        return self.log.read_text(encoding="utf-8", errors="replace")

    def send(self, number: signal.Signals) -> None:
        """Signal it, if it still lives: the number of one that has ended may be somebody else's."""
        self._child.send_signal(number)

    def kill(self) -> None:
        """End it as the kernel would: no last words."""
        self.send(signal.SIGKILL)
        self._child.wait(10)

    async def terminate(self, *, within: float = 40.0) -> int:
        """Ask it to stop, and give its exit code."""
        self.send(signal.SIGTERM)
        return await asyncio.to_thread(self._child.wait, within)


@dataclass(slots=True, kw_only=True)
class House:
    """A place to run fronts and backs in."""

    stack: Stack
    folder: Path
    database_url: str
    amqp_url: str
    extra: dict[str, str] = field(default_factory=dict)
    _workers: list[Worker] = field(default_factory=list)
    ports: dict[int, int] = field(default_factory=dict)  # by pid

    async def front(self, *, module: str = "front_service", **settings: object) -> Worker:
        """Start a front service; returns when it is ready."""
        with free_port() as port:
            pass
        worker = self.start(module, port=port, **settings)
        self.ports[worker.pid] = port
        await self._ready(worker, settings.get("probe_port", port))
        return worker

    async def back(self, *, module: str = "back_service", **settings: object) -> Worker:
        """Start a back service; returns when it consumes."""
        worker = self.start(module, **settings)

        async def consumes() -> bool:
            if worker.exit_code is not None:
                raise AssertionError(f"the back service ended:\n{worker.logged[-4000:]}")
            return '"back-jobs"' in worker.logged and "broker connected" in worker.logged

        await until(consumes, within=30, what="the back service consumes")
        return worker

    def url(self, front: Worker) -> str:
        return f"http://127.0.0.1:{self.ports[front.pid]}"

    async def fetch(self, query: str, *args: object) -> list[asyncpg.Record]:
        """Ask the database, past all services."""
        connection = await asyncpg.connect(self.database_url)
        try:
            return await connection.fetch(query, *args)
        finally:
            await connection.close()

    async def execute(self, script: str) -> None:
        """Do something to the database, past all services."""
        await _execute(self.database_url, script)

    async def fetchval(self, query: str, *args: object) -> object:
        rows = await self.fetch(query, *args)
        return rows[0][0] if rows else None

    async def close(self) -> None:
        for worker in self._workers:
            if worker.exit_code is None:
                worker.kill()

    def start(self, module: str, **settings: object) -> Worker:
        own = {f"UKETSUKE_{name.upper()}": str(value) for name, value in settings.items()}
        environment = {k: v for k, v in os.environ.items() if not k.startswith("UKETSUKE_")}
        environment |= {
            "UKETSUKE_DATABASE_URL": self.database_url,
            "UKETSUKE_AMQP_URL": self.amqp_url,
            "UKETSUKE_BLOB_DIR": str(self.folder / "blobs"),
            "PYTHONPATH": str(_ROOT),
            "UKETSUKE_STALL_LIMIT": "20",  # a busy machine holds up loops that are well
            "UKETSUKE_PRELOAD": "no",  # most tests read no document, and start many workers
        }
        log = self.folder / f"{module}-{len(self._workers)}.log"
        worker = Worker(module, environment | self.extra | own, log)
        self._workers.append(worker)
        return worker

    async def _ready(self, worker: Worker, port: object) -> None:
        async with aiohttp.ClientSession() as session:

            async def is_ready() -> bool:
                if worker.exit_code is not None:
                    raise AssertionError(f"the front service ended:\n{worker.logged[-4000:]}")
                with suppress(aiohttp.ClientError):
                    async with session.get(f"http://127.0.0.1:{port}/readyz") as answer:
                        return answer.status == 200
                return False

            await until(is_ready, within=30, what="the front service is ready")


@contextmanager
def free_port() -> Iterator[int]:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        yield probe.getsockname()[1]


@asynccontextmanager
async def open_house(stack: Stack, folder: Path) -> AsyncIterator[House]:
    """Make a database and a virtual host, and remove them with everything that runs on them."""
    name = f"house_{secrets.token_hex(6)}"
    with ExitStack() as left:
        await asyncio.to_thread(_add_vhost, stack, name)
        left.callback(_delete_vhost, stack, name)
        admin = stack.database_tcp_url or stack.database_url
        await _execute(admin, f'CREATE DATABASE "{name}"')
        database_url = _with_path(admin, name)
        await migrate(database_url)
        house = House(
            stack=stack,
            folder=folder,
            database_url=database_url,
            amqp_url=_with_path(stack.amqp_url, name),
        )
        try:
            yield house
        finally:
            await house.close()
            with suppress(OSError, asyncpg.PostgresError):
                await _execute(admin, f'DROP DATABASE "{name}" WITH (FORCE)')


def _add_vhost(stack: Stack, name: str) -> None:
    user = urlsplit(stack.amqp_url).username or "guest"
    made = _MAKE.format(name=name, user=user)
    try:
        stack.broker.ctl("eval", made)
    except RuntimeError:  # it lets clients in a moment before it takes commands
        stack.broker.ctl("await_startup")
        stack.broker.ctl("eval", made)


def _delete_vhost(stack: Stack, name: str) -> None:
    """Delete it at once, or with all others of the run where the broker outlives the house."""
    if stack.own_broker is not None and stack.own_broker._foreign:
        _left.setdefault(stack.folder, (stack.own_broker, []))[1].append(name)
        return
    with suppress(Exception):  # a test may have left the broker dead on purpose
        stack.broker.ctl("delete_vhost", name)


def delete_what_is_left() -> None:
    """Delete the virtual hosts of all houses of this process on servers that are shared."""
    for broker, names in _left.values():
        listed = ", ".join(f'<<"{name}">>' for name in names)
        with suppress(Exception):  # nobody would use them, and names are not used twice
            broker.ctl("eval", _DELETE.format(names=listed))
    _left.clear()


async def _execute(url: str, statement: str) -> None:
    connection = await asyncpg.connect(url)
    try:
        await connection.execute(statement)
    finally:
        await connection.close()


def _with_path(url: str, name: str) -> str:
    """Name the database or the virtual host in *url*, or in each of several."""
    parts = (urlsplit(part)._replace(path=f"/{name}") for part in url.split(","))
    return ",".join(urlunsplit(part) for part in parts)
