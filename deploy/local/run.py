"""``make run``: the local stack, the migrations, and both services, until Ctrl-C.

Stops in order, each once: front, back (with its time to drain), broker, database. Exits 0 when
asked to stop, 1 when something fell.
"""

import argparse
import os
import shutil
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from deploy.local import probes, processes, record, services, terminal
from deploy.local.processes import CannotStart
from deploy.local.services import Service
from deploy.local.stack import AlreadyRunning, Given, Stack, open_stack
from deploy.local.terminal import StopAsked, Stops

_READY_WITHIN = 60.0
_DRAIN_SECONDS = 25.0  # the services' own default
_AFTER_DRAIN = 10.0
_BANNER = """
  Uketsuke is ready, in {seconds:.1f} s.

    address                    {url}
    data, kept for next time   {folder}

  Try, in another terminal:

    curl -s {url}/api/demo/sleep -H 'Content-Type: application/json' -d '{{"seconds": 5}}'
    make demo
    .venv/bin/python -m uketsuke watch JOB_ID

  Ctrl-C here, or `make stop`, stops everything in order.
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What to run, and where it listens; tests name stand-ins."""

    folder: Path
    host: str
    port: int
    drain: float
    migrate: str
    front: str
    back: str

    @property
    def url(self) -> str:
        """Where a caller on this machine finds the front service."""
        return f"http://{self.caller_host}:{self.port}"

    @property
    def caller_host(self) -> str:
        return "127.0.0.1" if self.host in {"0.0.0.0", ""} else self.host  # noqa: S104  compared


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
    modules = reader.parse_args(words)
    try:
        port = int(environ.get("UKETSUKE_PORT") or 8080)
        drain = float(environ.get("UKETSUKE_DRAIN") or _DRAIN_SECONDS)
    except ValueError as error:
        raise CannotStart(f"UKETSUKE_PORT and UKETSUKE_DRAIN are numbers: {error}") from error
    if not 0 < port < 1 << 16:
        raise CannotStart(f"UKETSUKE_PORT={port} is no port.")
    host = environ.get("UKETSUKE_HOST") or "127.0.0.1"
    return Plan(folder=folder, host=host, port=port, drain=drain, **vars(modules))


def _refuse_what_cannot_work(plan: Plan) -> None:
    """Say what is wrong before anything is started."""
    if record.is_held(plan.folder):
        raise AlreadyRunning
    if not processes.is_free(plan.port, plan.host):
        raise CannotStart(
            f"Port {plan.port} of {plan.host} cannot be had: most likely another program listens"
            f" there. Choose another: UKETSUKE_PORT={plan.port + 1} make run"
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
            running.append(Service(name, module, environment, record.ROOT))
        _watch(plan, stack, running, began)
    except StopAsked:
        terminal.say("stopping in order (Ctrl-C once more to hurry) …")
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
    late = time.monotonic() + _READY_WITHIN
    terminal.say("waiting for the services to be ready …")

    def is_ready() -> bool:
        if time.monotonic() > late:
            raise CannotStart(f"{plan.url}/readyz is not ready after {_READY_WITHIN:.0f} s")
        return probes.says_ready(plan.caller_host, plan.port)

    services.watch(alive, until=is_ready)
    seconds = time.monotonic() - began
    terminal.show(_BANNER.format(seconds=seconds, url=plan.url, folder=plan.folder))
    services.watch(alive, until=lambda: False)


def _exit_code_of(service: Service) -> Callable[[], int | None]:
    return lambda: service.exit_code


def _emptied(folder: Path) -> Path:
    """Have an empty folder: a back service that was killed has left the files of its attempts."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    return folder


def _environment(plan: Plan, stack: Stack, environ: Mapping[str, str]) -> dict[str, str]:
    """Tell the services where things are; what the user set goes before our choices."""
    return {
        "UKETSUKE_BLOB_DIR": str(plan.folder / "blobs"),
        "TMPDIR": str(_emptied(plan.folder / "tmp")),
        "UKETSUKE_LOG_FORMAT": "console",
        **environ,
        "UKETSUKE_HOST": plan.host,
        "UKETSUKE_PORT": str(plan.port),
        "UKETSUKE_DATABASE_URL": stack.database_url,
        "UKETSUKE_AMQP_URL": stack.amqp_url,
    }


if __name__ == "__main__":
    sys.exit(main())
