"""``make run``: the local stack, the migrations, and both services, until Ctrl-C.

Says that it is ready when both services say so of themselves: the back on a port for its probes.
Stops in order, each once: front, back (with its time to drain), broker, database. Exits 0 when
asked to stop, 1 when something fell.
"""

import argparse
import errno
import os
import shutil
import socket
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from deploy.local import probes, processes, record, services, terminal
from deploy.local.processes import CannotStart
from deploy.local.services import Service
from deploy.local.stack import AlreadyRunning, Given, Stack, open_stack
from deploy.local.terminal import StopAsked, Stops

_Number = TypeVar("_Number", int, float)
_DEFAULT_PORT = 8080
_URL_THE_CALLERS_TRY = f"http://127.0.0.1:{_DEFAULT_PORT}"
_PROBE_PORT = "UKETSUKE_PROBE_PORT"
_READY_WITHIN = 60.0
_DRAIN_SECONDS = 25.0  # the services' own default
_AFTER_DRAIN = 10.0
_BANNER = """
  Uketsuke is ready, in {seconds:.1f} s.

    address                    {url}
    figures of the back        {probes}/metrics
    data, kept for next time   {folder}
    process of this launcher   {pid}

  Try, in another terminal:

    curl -s {url}/api/demo/sleep -H 'Content-Type: application/json' -d '{{"seconds": 5}}'
    make demo
    .venv/bin/python -m uketsuke watch JOB_ID{elsewhere}

  Ctrl-C here, or `make stop`, stops everything in order.
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What to run, and where it listens; tests name stand-ins."""

    folder: Path
    host: str
    port: int
    probe_host: str
    probe_port: int
    drain: float
    migrate: str
    front: str
    back: str
    within: float

    @property
    def url(self) -> str:
        """Where a caller on this machine finds the front service."""
        return f"http://{self.caller_host}:{self.port}"

    @property
    def caller_host(self) -> str:
        return _near(self.host)

    @property
    def probes(self) -> str:
        """Where the back service says how it is."""
        return f"http://{_near(self.probe_host)}:{self.probe_port}"

    def unready(self) -> list[str]:
        """Ask both services, and name those that do not say that they are ready."""
        said = {
            f"the front service ({self.url}/readyz)": (self.caller_host, self.port),
            f"the back service ({self.probes}/readyz)": (_near(self.probe_host), self.probe_port),
        }
        return [name for name, place in said.items() if not probes.says_ready(*place)]


def _near(host: str) -> str:
    """Answer where something that listens at *host* is met on this machine."""
    return "127.0.0.1" if host in {"0.0.0.0", ""} else host  # noqa: S104  compared


def main(words: Sequence[str] | None = None) -> int:
    """Run until asked to stop; answer the exit code."""
    stops = Stops()
    stops.listen()
    began = time.monotonic()
    folder = record.local_folder()
    try:
        plan = _plan(words, folder, os.environ)
        _refuse_what_cannot_work(plan)
        given = Given.by(os.environ)
        with open_stack(folder, given=given, share=False, say=terminal.say) as stack:
            return _serve(plan, stack, stops, began)
    except StopAsked:
        return 0
    except AlreadyRunning:
        terminal.say(_already_running(folder))
    except CannotStart as error:
        terminal.say(str(error))
    finally:
        stops.ignore()
    return 1


def _plan(words: Sequence[str] | None, folder: Path, environ: Mapping[str, str]) -> Plan:
    reader = argparse.ArgumentParser(prog="make run", description=__doc__)
    reader.add_argument("--migrate", default="shared.store.migrate", help="a module")
    reader.add_argument("--front", default="front_service", help="a module")
    reader.add_argument("--back", default="back_service", help="a module")
    reader.add_argument("--within", default=_READY_WITHIN, type=float, help="seconds to be ready")
    given = reader.parse_args(words)
    return Plan(
        folder=folder,
        host=environ.get("UKETSUKE_HOST") or "127.0.0.1",
        port=_port(environ, "UKETSUKE_PORT", _DEFAULT_PORT),
        probe_host=environ.get("UKETSUKE_PROBE_HOST") or "127.0.0.1",
        probe_port=_port(environ, _PROBE_PORT, 0) or processes.free_ports(1)[0],
        drain=_number(environ, "UKETSUKE_DRAIN", float, _DRAIN_SECONDS),
        **vars(given),
    )


def _port(environ: Mapping[str, str], name: str, default: int) -> int:
    port = _number(environ, name, int, default)
    if environ.get(name) and not 0 < port < 1 << 16:
        raise CannotStart(f"{name}={port} is no port: they go from 1 to 65535.")
    return port


def _number(
    environ: Mapping[str, str], name: str, kind: type[_Number], default: _Number
) -> _Number:
    text = environ.get(name)
    try:
        return kind(text) if text else default
    except ValueError:
        raise CannotStart(f"{name}={text} is no number.") from None


def _refuse_what_cannot_work(plan: Plan) -> None:
    """Say what is wrong before anything is started."""
    if record.is_held(plan.folder):
        raise AlreadyRunning
    if obstacle := processes.obstacle(plan.port, plan.host):
        raise CannotStart(_no_place(plan, obstacle))
    if plan.probe_port == plan.port or processes.obstacle(plan.probe_port, plan.probe_host):
        raise CannotStart(
            f"{_PROBE_PORT}={plan.probe_port} is no port that the back service can have for its"
            " probes. Choose another, or leave it out: then a free one is found."
        )


def _no_place(plan: Plan, obstacle: OSError) -> str:
    """Say why nobody can listen where *plan* says, and what to do."""
    if isinstance(obstacle, socket.gaierror) or obstacle.errno == errno.EADDRNOTAVAIL:
        return (
            f"UKETSUKE_HOST={plan.host} is no address of this machine."
            " 127.0.0.1 is for this machine alone, 0.0.0.0 for all that reach it."
        )
    taken = obstacle.errno == errno.EADDRINUSE
    why = "another program listens there" if taken else obstacle.strerror
    another = plan.port + 1 if taken else _DEFAULT_PORT
    return (
        f"Port {plan.port} of {plan.host} cannot be had: {why}."
        f" Choose another: UKETSUKE_PORT={another} make run"
    )


def _already_running(folder: Path) -> str:
    url = record.read(folder).get("url", "it is still starting")
    return f"Uketsuke runs already from {folder}: {url} (`make stop` stops it)"


def _serve(plan: Plan, stack: Stack, stops: Stops, began: float) -> int:
    """Run the services on *stack* until asked to stop; answer the exit code."""
    environment = _environment(plan, stack, os.environ)
    terminal.say("bringing the database up to date …")
    services.run_to_end("the migration", plan.migrate, environment, record.ROOT)
    running: list[Service] = []
    try:
        for name, module in (("front", plan.front), ("back", plan.back)):
            running.append(Service(name, module, environment | _probed(plan, name), record.ROOT))
        _watch(plan, stack, running, began)
    except StopAsked:
        time_left = f"running jobs have up to {plan.drain:g} s"
        terminal.say(f"stopping in order; {time_left} (Ctrl-C once more to hurry) …")
    finally:
        stops.begin()
        patience = plan.drain + _AFTER_DRAIN
        ended_well = [service.stop(patience, stops.hurry) for service in running]
    return 0 if all(ended_well) else 1


def _watch(plan: Plan, stack: Stack, running: Sequence[Service], began: float) -> None:
    """Wait until all is ready, say so, and then until something falls, which is raised."""
    alive = {f"{service.name} service": _exit_code_of(service) for service in running}
    if stack.own_postgres:
        alive["database server"] = lambda: stack.postgres.exit_code
    if stack.own_broker:
        alive["broker"] = lambda: stack.broker.exit_code
    pids = {service.name: service.pid for service in running}
    record.write(plan.folder, {**record.read(plan.folder), "url": plan.url, "services": pids})
    late = time.monotonic() + plan.within
    terminal.say("waiting for the services to be ready …")

    def is_ready() -> bool:
        unready = plan.unready()
        if unready and time.monotonic() > late:
            raise CannotStart(f"not ready after {plan.within:g} s: {' and '.join(unready)}")
        return not unready

    services.watch(alive, until=is_ready)
    seconds = time.monotonic() - began
    terminal.show(_banner(plan, seconds))
    services.watch(alive, until=lambda: False)


def _banner(plan: Plan, seconds: float) -> str:
    elsewhere = "" if plan.url == _URL_THE_CALLERS_TRY else f" --url {plan.url}"
    return _BANNER.format(
        seconds=seconds,
        url=plan.url,
        probes=plan.probes,
        folder=plan.folder,
        pid=os.getpid(),
        elsewhere=elsewhere,
    )


def _exit_code_of(service: Service) -> Callable[[], int | None]:
    return lambda: service.exit_code


def _emptied(folder: Path) -> Path:
    """Have an empty folder: a back service that was killed has left the files of its attempts."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    return folder


def _probed(plan: Plan, name: str) -> dict[str, str]:
    """Give the back a port for its probes; a front answers them where it answers all."""
    return {_PROBE_PORT: str(plan.probe_port)} if name == "back" else {}


def _environment(plan: Plan, stack: Stack, environ: Mapping[str, str]) -> dict[str, str]:
    """Tell the services where things are; what the user set goes before our choices."""
    return {
        "UKETSUKE_BLOB_DIR": str(plan.folder / "blobs"),
        "TMPDIR": str(_emptied(plan.folder / "tmp")),
        "UKETSUKE_LOG_FORMAT": "console",
        **{name: value for name, value in environ.items() if name != _PROBE_PORT},
        "UKETSUKE_HOST": plan.host,
        "UKETSUKE_PORT": str(plan.port),
        "UKETSUKE_DATABASE_URL": stack.database_url,
        "UKETSUKE_AMQP_URL": stack.amqp_url,
    }


if __name__ == "__main__":
    sys.exit(main())
