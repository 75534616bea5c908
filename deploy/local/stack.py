"""One private PostgreSQL and one private RabbitMQ node in one folder, as a ``with`` block.

Promises: both are ready inside the block and gone after it, in that order and once; the data,
and where possible the ports, are those of the last time; one launcher a folder. Who comes
second shares what runs, and stops nothing at its end.
"""

import contextlib
import os
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from deploy.local import probes, processes, rabbitmq_programs, record
from deploy.local.postgres import DURABLE, FAST_AND_LOSSY, Postgres
from deploy.local.processes import CannotStart
from deploy.local.rabbitmq import RabbitMQ
from deploy.local.rabbitmq_programs import Programs
from deploy.local.record import Say

_BOOTING = 60.0


class AlreadyRunning(CannotStart):
    """Another launcher holds the folder."""


class NotOurs(RuntimeError):
    """This server was started elsewhere: it is not for us to stop, kill or start it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Given:
    """Servers that run already and are to be used as they are."""

    database_url: str | None = None
    amqp_url: str | None = None

    @classmethod
    def by(cls, environ: Mapping[str, str], prefix: str = "UKETSUKE_") -> "Given":
        """Read what the user named, as ``<prefix>DATABASE_URL`` and ``<prefix>AMQP_URL``."""
        return cls(
            database_url=environ.get(f"{prefix}DATABASE_URL") or None,
            amqp_url=environ.get(f"{prefix}AMQP_URL") or None,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Stack:
    """Two servers that are ready: where they are and, if they are ours, the handles to them."""

    folder: Path
    database_url: str = field(repr=False)  # these hold passwords
    amqp_url: str = field(repr=False)
    database_tcp_url: str | None = field(default=None, repr=False)  # by TCP, if asked for
    own_postgres: Postgres | None = None
    own_broker: RabbitMQ | None = None

    @property
    def postgres(self) -> Postgres:
        """The database server, to be killed and started again; raises ``NotOurs``."""
        if self.own_postgres is None:
            raise NotOurs("this PostgreSQL was started elsewhere")
        return self.own_postgres

    @property
    def broker(self) -> RabbitMQ:
        """The broker, to be asked and, where this process started it, killed; or ``NotOurs``."""
        if self.own_broker is None:
            raise NotOurs("this RabbitMQ was started elsewhere")
        return self.own_broker


def silence(_line: str) -> None:
    """Say nothing."""


@contextlib.contextmanager
def open_stack(
    folder: Path,
    *,
    fast_and_lossy: bool = False,
    tcp: bool = False,
    given: Given = Given(),
    share: bool = True,
    say: Say = silence,
) -> Iterator[Stack]:
    """Start what is not *given*, in *folder*; stop it at the end of the block.

    *fast_and_lossy* loses data in a crash of the machine: for tests alone. *tcp* opens
    PostgreSQL on 127.0.0.1 too. Where another process runs the folder, its servers are shared,
    or with ``share=False`` ``AlreadyRunning`` is raised. *say* hears the progress, in lines.
    """
    folder = folder.absolute().resolve()
    with record.hold(folder) as is_ours, contextlib.ExitStack() as ending:
        if is_ours:
            record.write(folder, {"launcher": os.getpid()})  # what an earlier one wrote is void
            settings = FAST_AND_LOSSY if fast_and_lossy else DURABLE
            postgres = None if given.database_url else Postgres(folder, settings=settings, tcp=tcp)
            broker = None if given.amqp_url else _make_broker(folder, say)
            own: list[Postgres | RabbitMQ] = [server for server in (postgres, broker) if server]
            for server in own:
                ending.callback(server.stop)
            _start_together(own, say)
            yield _describe(folder, given, postgres, broker)
        elif share:
            yield attach(folder, patience=_BOOTING)
        else:
            raise AlreadyRunning(f"a stack runs already in {folder}")


def attach(folder: Path, *, patience: float = 0.0) -> Stack:
    """Answer the stack that another process runs in *folder*: to be used, not to be stopped.

    Waits up to *patience* seconds for it, since it may still be starting.
    """
    found: list[Stack] = []

    def answers() -> bool:
        facts = record.read(folder)
        if not {"database_url", "amqp_url"} <= facts.keys():
            return False
        found[:] = [_from_record(folder, facts)]
        is_up = probes.data_directory(found[0].database_url) is not None
        return is_up and probes.opens_amqp(found[0].amqp_url)

    if not processes.await_truth(answers, patience, every=0.2):
        raise CannotStart(f"the stack in {folder} is held by another process and does not answer")
    return found[0]


def _make_broker(folder: Path, say: Say) -> RabbitMQ:
    fetched = record.local_folder() / "rabbitmq" / "dist"
    return RabbitMQ(
        folder / "rabbitmq" / "node", programs=rabbitmq_programs.find_programs(fetched, say)
    )


def _start_together(servers: Sequence[Postgres | RabbitMQ], say: Say) -> None:
    """Start all at once; when one fails, or we are interrupted, give up the others."""
    if not servers:
        return
    say(f"starting {' and '.join(type(server).__name__ for server in servers)} …")
    with ThreadPoolExecutor(max_workers=len(servers)) as threads:
        starts = [threads.submit(server.start) for server in servers]
        try:
            done, _ = wait(starts, return_when=FIRST_EXCEPTION)
            for start in done:
                start.result()
        except BaseException:
            for server in servers:
                server.stop()
            raise


def _describe(
    folder: Path, given: Given, postgres: Postgres | None, broker: RabbitMQ | None
) -> Stack:
    """Make the value of the block, and the record for whoever comes second."""
    stack = Stack(
        folder=folder,
        database_url=given.database_url or (postgres.url if postgres else ""),
        amqp_url=given.amqp_url or (broker.url if broker else ""),
        database_tcp_url=postgres.tcp_url if postgres else None,
        own_postgres=postgres,
        own_broker=broker,
    )
    facts: dict[str, Any] = {
        "launcher": os.getpid(),
        "database_url": stack.database_url,
        "database_tcp_url": stack.database_tcp_url,
        "amqp_url": stack.amqp_url,
    }
    if broker:
        erlang = broker.programs.erlang
        facts["broker"] = {
            "folder": str(broker.folder),
            "sbin": str(broker.programs.sbin),
            "erlang": str(erlang) if erlang else None,
        }
    record.write(folder, facts)
    return stack


def _from_record(folder: Path, facts: Mapping[str, Any]) -> Stack:
    broker = None
    if known := facts.get("broker"):
        erlang = Path(known["erlang"]) if known["erlang"] else None
        programs = Programs(sbin=Path(known["sbin"]), erlang=erlang)
        broker = RabbitMQ(Path(known["folder"]), programs=programs, foreign=True)
    return Stack(
        folder=folder,
        database_url=facts["database_url"],
        amqp_url=facts["amqp_url"],
        database_tcp_url=facts.get("database_tcp_url"),
        own_broker=broker,
    )
