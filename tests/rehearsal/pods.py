"""Pods without a cluster: commands, environment, probes and endings are those of the manifest.

What differs is said here: no image, so ``python`` is this one and the code is that of this folder;
no network of pods, so each has an address of 127.0.0.0/8, which stands for all of its own; paths
of mounts are folders of the run.
"""

import asyncio
import os
import signal
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import aiohttp

from deploy.check.doors import EVERYWHERE
from deploy.check.rendered import Manifests, Workload
from deploy.local import processes, record

_PREPARED_WITHIN: Final = 120.0


class PodFailed(AssertionError):
    """A pod did what its cluster would restart it for; the text is its log."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Node:
    """Where pods run: what the manifests leave to the cluster."""

    manifests: Manifests
    folder: Path
    secrets: Mapping[str, Path]  # by the name of the Secret
    blobs: Path


@dataclass(slots=True, kw_only=True)
class Pod:
    """One pod of *workload*, at *address*."""

    node: Node
    workload: Workload
    name: str
    address: str
    is_ready: bool = False
    is_stopping: bool = False
    restarts: int = 0
    ended_after: float | None = None  # seconds from the wish to stop it
    was_killed: bool = False
    _process: Any = None
    _watch: "asyncio.Task[None] | None" = field(default=None)

    @property
    def log(self) -> Path:
        return self.node.folder / f"{self.name}.log"

    @property
    def port(self) -> int:
        return self._port("http")

    async def start(self) -> None:
        """Run what comes first to its end, then the service until its startup probe is content."""
        for container in self.workload.pod.get("initContainers", ()):
            await self._run_to_end(container)
        if self.workload.kind == "Job":
            await self._run_to_end(self._main)
            return
        self._process = await asyncio.to_thread(self._launch, self._main)
        await self._starts_up()
        self._watch = asyncio.create_task(self._keep_watch(), name=f"probes of {self.name}")

    async def say(self, *command: str) -> str:
        """Run *command* beside the pod's own, as ``kubectl exec``; give what it prints."""
        asked = await asyncio.create_subprocess_exec(
            *_command(command),
            stdout=asyncio.subprocess.PIPE,
            env=self.environment(self._main),
            cwd=record.ROOT,
        )
        said, _ = await asyncio.wait_for(asked.communicate(), _PREPARED_WITHIN)
        if asked.returncode != 0:
            raise PodFailed(f"{self.name}: {' '.join(command)} ended with {asked.returncode}")
        return said.decode()

    async def stop(self) -> None:
        """As the kubelet: hook, signal, grace, and then no more mercy."""
        self.is_stopping, began = True, time.monotonic()
        hook = self._main.get("lifecycle", {}).get("preStop", {}).get("exec", {}).get("command")
        if hook:
            asked = await asyncio.create_subprocess_exec(*hook)
            await asked.wait()
        os.kill(self._process.pid, signal.SIGTERM)
        grace = self.workload.pod["terminationGracePeriodSeconds"]
        left = grace - (time.monotonic() - began)
        try:
            await asyncio.wait_for(asyncio.to_thread(self._process.wait), left)
        except TimeoutError:
            self.was_killed = True
            self._process.kill()
        self.ended_after = time.monotonic() - began
        if self._watch:
            self._watch.cancel()
        if self._process.wait() != 0:
            self.was_killed = True

    def kill(self) -> None:
        """At the end of a rehearsal that failed."""
        if self._process is not None and self._process.poll() is None:
            self._process.kill()
            self._process.wait()

    @property
    def _main(self) -> Mapping[str, Any]:
        (container,) = self.workload.pod["containers"]
        found: Mapping[str, Any] = container
        return found

    def _launch(self, container: Mapping[str, Any]) -> Any:
        with self.log.open("ab") as output:
            return processes.start(
                _command(container["command"]),
                death=signal.SIGKILL,
                env=self.environment(container),
                output=output.fileno(),
                cwd=record.ROOT,
            )

    async def _run_to_end(self, container: Mapping[str, Any]) -> None:
        process = await asyncio.to_thread(self._launch, container)
        code = await asyncio.wait_for(asyncio.to_thread(process.wait), _PREPARED_WITHIN)
        if code != 0:
            raise PodFailed(f"{self.name}/{container['name']} ended with {code}\n{self._tail()}")

    def environment(self, container: Mapping[str, Any]) -> dict[str, str]:
        """Give nothing but what the manifest gives, with its paths turned to ours."""
        told = self.node.manifests.settings(container, self.address)
        mounts = {m["mountPath"]: self._place(m["name"]) for m in container["volumeMounts"]}
        places = {**mounts, **dict.fromkeys(EVERYWHERE, self.address)}
        turned = {name: str(places.get(value, value)) for name, value in told.items()}
        temporary = self.node.folder / f"{self.name}.tmp"
        temporary.mkdir(exist_ok=True)
        ours = {"PATH": os.environ["PATH"], "PYTHONPATH": str(record.ROOT)}
        return turned | ours | {"TMPDIR": str(temporary), "PYTHONUNBUFFERED": "1"}

    def _place(self, volume: str) -> Path:
        (found,) = (v for v in self.workload.pod["volumes"] if v["name"] == volume)
        if "secret" in found:
            return self.node.secrets[found["secret"]["secretName"]]
        return self.node.blobs if "persistentVolumeClaim" in found else self.node.folder

    def _port(self, name: str) -> int:
        (port,) = (p["containerPort"] for p in self._main["ports"] if p["name"] == name)
        return int(port)

    async def _starts_up(self) -> None:
        probe = self._main["startupProbe"]
        async with aiohttp.ClientSession() as session:
            for _ in range(probe["failureThreshold"]):
                if await self._answers(session, probe):
                    return
                if self._process.poll() is not None:
                    break
                await asyncio.sleep(probe["periodSeconds"])
        raise PodFailed(f"{self.name} does not start\n{self._tail()}")

    async def _keep_watch(self) -> None:
        """Ask both probes as often as the manifest says, and count what they miss."""
        async with aiohttp.ClientSession() as session, asyncio.TaskGroup() as group:
            group.create_task(self._judge_readiness(session))
            group.create_task(self._judge_life(session))

    async def _judge_readiness(self, session: aiohttp.ClientSession) -> None:
        probe, missed = self._main["readinessProbe"], 0
        while True:
            missed = 0 if await self._answers(session, probe) else missed + 1
            if missed == 0:
                self.is_ready = True
            elif missed >= probe["failureThreshold"]:
                self.is_ready = False
            await asyncio.sleep(probe["periodSeconds"])

    async def _judge_life(self, session: aiohttp.ClientSession) -> None:
        probe, missed = self._main["livenessProbe"], 0
        while True:
            await asyncio.sleep(probe["periodSeconds"])
            missed = 0 if await self._answers(session, probe) else missed + 1
            if missed >= probe["failureThreshold"] and not self.is_stopping:
                self.restarts += 1

    async def _answers(self, session: aiohttp.ClientSession, probe: Mapping[str, Any]) -> bool:
        asked = probe["httpGet"]
        url = f"http://{self.address}:{self._port(asked['port'])}{asked['path']}"
        limit = aiohttp.ClientTimeout(total=probe["timeoutSeconds"])
        try:
            async with session.get(url, timeout=limit) as answer:
                return answer.ok
        except (aiohttp.ClientError, TimeoutError):
            return False

    def _tail(self) -> str:
        return self.log.read_text(encoding="utf-8", errors="replace")[-3_000:]


def _command(words: Sequence[str]) -> list[str]:
    return [sys.executable if word == "python" else word for word in words]
