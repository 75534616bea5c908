"""``make rehearse``: run what the manifests say on this machine, and change it under load.

The rendering of ``overlays/production`` gives commands, environment, probes, hooks and graces;
the broker's users and the database's roles have the rights of a deploy. Fronts and backs are
rolled and scaled while callers submit. Wanted: 0 failed requests, 0 attempts lost, every job
completed, nobody killed. Keeps a line in ``benchmarks/results/rehearsals.jsonl``.
"""

import asyncio
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import asyncpg

from deploy.check.rendered import Manifests, NoRenderer, Workload, render
from deploy.local import record, terminal
from deploy.local.processes import CannotStart
from deploy.local.stack import Stack, open_stack
from deploy.local.terminal import StopAsked, Stops
from tests.rehearsal.balancer import Balancer, open_balancer
from tests.rehearsal.deployment import Deployment, addresses
from tests.rehearsal.load import Load
from tests.rehearsal.pods import Node, Pod
from tests.rights.databases import as_role, open_database
from tests.rights.users import open_users
from tests.support.waiting import until

_RESULTS: Final = record.ROOT / "benchmarks" / "results" / "rehearsals.jsonl"
_ENDED_WITHIN: Final = 180.0
_INTERRUPTED: Final = 130
_QUESTION: Final = """
SELECT count(*) AS jobs, count(*) FILTER (WHERE state = 'completed') AS completed,
       count(*) FILTER (WHERE attempt <> 1) AS burnt, coalesce(sum(crashes), 0) AS crashes
  FROM jobs
"""
_INTERRUPTS: Final = "SELECT count(*) FROM job_events WHERE kind = 'queued'"


class Stage:
    """All deployments of the manifests, their balancer and their database."""

    def __init__(self, node: Node, balancer: Balancer, database_url: str) -> None:
        self._node, self.balancer, self._database_url = node, balancer, database_url
        places = addresses()
        self._places = places
        by_name = {workload.name: workload for workload in node.manifests.ours}
        self.prepare = by_name["uketsuke-prepare"]
        self.administrator = by_name["uketsuke-administrator"]
        self.front = self._deployment(by_name["uketsuke-front"], balancer)
        self.back = self._deployment(by_name["uketsuke-back-default"])
        self.upkeep = self._deployment(by_name["uketsuke-upkeep"])

    @property
    def all(self) -> tuple[Deployment, ...]:
        return self.front, self.back, self.upkeep

    async def run_job(self) -> None:
        pod = Pod(
            node=self._node, workload=self.prepare, name="prepare", address=next(self._places)
        )
        await pod.start()

    async def make_key(self) -> str:
        """Have the administrator's pod make a key, as the deployment page says."""
        pod = Pod(
            node=self._node,
            workload=self.administrator,
            name="administrator",
            address=next(self._places),
        )
        words = ("python", "-m", "uketsuke", "keys", "create", "--tenant", "rehearsal", "--json")
        made = await pod.say(*words)
        return str(json.loads(made)["key"])

    async def ask(self, query: str) -> Any:
        connection = await asyncpg.connect(self._database_url)
        try:
            return await connection.fetchrow(query)
        finally:
            await connection.close()

    async def all_have_ended(self) -> bool:
        open_ones = await self.ask("SELECT count(*) FROM jobs WHERE completed_at IS NULL")
        return int(open_ones[0]) == 0

    def _deployment(self, workload: Workload, balancer: Balancer | None = None) -> Deployment:
        return Deployment(
            node=self._node, workload=workload, places=self._places, balancer=balancer
        )


def main() -> int:
    """Rehearse; answer 0 if nothing was lost, failed or killed."""
    Stops().listen()
    try:
        manifests = render("production")
        folder = record.local_folder() / "rehearsal"
        with open_stack(folder, tcp=True, say=terminal.say) as stack:
            figures = asyncio.run(_rehearse(manifests, stack))
    except StopAsked:
        return _INTERRUPTED
    except (CannotStart, NoRenderer) as error:
        terminal.say(str(error))
        return 1
    line = json.dumps(figures)
    print(line)
    with _RESULTS.open("a", encoding="utf-8") as results:
        results.write(line + "\n")
    wanted = ("failed_requests", "burnt_attempts", "crashes", "not_completed", "killed_pods")
    bad = {name: figures[name] for name in (*wanted, "liveness_failures") if figures[name]}
    if not figures["given_back_by_drains"]:  # nothing ran for longer than a drain: it shows nothing
        bad["given_back_by_drains"] = 0
    terminal.say(f"not as it should be: {bad}" if bad else "nothing failed, burnt, lost or killed")
    return 1 if bad else 0


async def _rehearse(manifests: Manifests, stack: Stack) -> dict[str, Any]:
    began = time.monotonic()
    async with _stage(manifests, stack) as stage:
        await stage.run_job()
        terminal.say("prepared: schema and topology")
        endpoints = asyncio.create_task(stage.front.keep_endpoints())
        await asyncio.gather(stage.front.scale(3), stage.back.scale(2), stage.upkeep.scale(2))
        terminal.say("3 fronts, 2 backs, 2 of upkeep are ready")
        load = Load(stage.balancer.url, key=await stage.make_key())
        calling = asyncio.create_task(load.run())
        await _changes(stage)
        load.stop()
        await calling
        terminal.say(f"{len(load.jobs)} jobs submitted; waiting for the last of them")
        await until(stage.all_have_ended, within=_ENDED_WITHIN, what="all jobs have ended")
        figures = await _figures(stage, load)
        endpoints.cancel()
        for deployment in stage.all:
            await deployment.scale(0)
        await asyncio.gather(*(deployment.settle() for deployment in stage.all))
        figures |= _endings(stage)
    return {
        "at": datetime.now(UTC).isoformat(timespec="seconds"),
        "commit": _commit(),
        "cores": len(os.sched_getaffinity(0)),
        "seconds": round(time.monotonic() - began, 1),
        **figures,
    }


async def _changes(stage: Stage) -> None:
    """What a week brings, in a minute or two; each begins when the last has settled."""
    steps: tuple[tuple[str, Callable[[], Awaitable[None]]], ...] = (
        ("backs scaled from 2 to 4", lambda: stage.back.scale(4)),
        ("fronts rolled", stage.front.roll),
        ("backs rolled", stage.back.roll),
        ("upkeep rolled", stage.upkeep.roll),
        ("backs scaled from 4 to 1", lambda: stage.back.scale(1)),
        ("fronts scaled from 3 to 2", lambda: stage.front.scale(2)),
    )
    for what, step in steps:
        began = time.monotonic()
        await step()
        await asyncio.gather(*(deployment.settle() for deployment in stage.all))
        terminal.say(f"{what} in {time.monotonic() - began:.1f} s")


async def _figures(stage: Stage, load: Load) -> dict[str, Any]:
    rows = await stage.ask(_QUESTION)
    interrupts = await stage.ask(_INTERRUPTS)
    for line in load.failed[:10]:
        terminal.say(line)
    return {
        "requests": load.requests,
        "failed_requests": len(load.failed),
        "slowest_request_s": round(load.slowest, 2),
        "connections_refused": stage.balancer.refused,
        "jobs": rows["jobs"],
        "not_completed": rows["jobs"] - rows["completed"] + abs(rows["jobs"] - len(load.jobs)),
        "given_back_by_drains": interrupts[0],
        "burnt_attempts": rows["burnt"],
        "crashes": int(rows["crashes"]),
    }


def _endings(stage: Stage) -> dict[str, Any]:
    pods = [pod for deployment in stage.all for pod in deployment.gone]
    return {
        "pods_ended": len(pods),
        "killed_pods": sum(pod.was_killed for pod in pods),
        "liveness_failures": sum(pod.restarts for pod in pods),
        "longest_ending_s": {
            deployment.workload.name: round(max(pod.ended_after or 0 for pod in deployment.gone), 1)
            for deployment in stage.all
        },
    }


@asynccontextmanager
async def _stage(manifests: Manifests, stack: Stack) -> AsyncIterator[Stage]:
    server = stack.database_tcp_url or stack.database_url
    with tempfile.TemporaryDirectory(prefix="rehearsal-", dir=stack.folder) as name:
        folder = Path(name)
        async with (
            open_balancer() as balancer,
            open_users(stack) as users,
            open_database(server, migrated=False) as url,
        ):
            addresses_of = {
                "uketsuke-prepare": (as_role(url, "uketsuke_migrator"), users["topology"]),
                "uketsuke-front": (as_role(url, "uketsuke_front"), users["front"]),
                "uketsuke-back": (as_role(url, "uketsuke_back"), users["back"]),
            }
            blobs = folder / "blobs"
            blobs.mkdir()
            node = Node(
                manifests=manifests,
                folder=folder,
                secrets=_write_secrets(folder, addresses_of),
                blobs=blobs,
            )
            stage = Stage(node, balancer, url)
            try:
                yield stage
            finally:
                for deployment in stage.all:
                    for pod in (*deployment.pods, *deployment.gone):
                        pod.kill()


def _write_secrets(folder: Path, given: Mapping[str, tuple[str, str]]) -> dict[str, Path]:
    """Lay the secrets out as a cluster mounts them: a folder each, a file a value."""
    made = {}
    for name, (database, broker) in given.items():
        made[name] = place = folder / name
        place.mkdir(mode=0o700)
        (place / "uketsuke_database_url").write_text(database)
        (place / "uketsuke_amqp_url").write_text(broker)
    return made


def _commit() -> str:
    asked = subprocess.run(
        ["git", "rev-parse", "--short", "HEAD"], capture_output=True, text=True, check=False
    )
    return asked.stdout.strip() or "unknown"


if __name__ == "__main__":
    sys.exit(main())
