"""A Deployment without a cluster: replicas, rolling updates and scaling, as its manifest says."""

import asyncio
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import count
from typing import Final

from deploy.check.rendered import Workload
from tests.rehearsal.balancer import Balancer
from tests.rehearsal.pods import Node, Pod
from tests.support.waiting import until

_READY_WITHIN: Final = 120.0
_PROXIES_HEAR_AFTER: Final = 1.0  # seconds that endpoints lag behind the end of a pod
_LOOK_EVERY: Final = 0.1


def addresses() -> Iterator[str]:
    """Give a loopback address a pod, as a cluster gives one of its own."""
    for number in count(2):
        yield f"127.0.{10 + number // 250}.{number % 250 + 1}"


@dataclass(slots=True, kw_only=True)
class Deployment:
    """Keeps pods of *workload*; those that are ready and not going are *balancer*'s endpoints."""

    node: Node
    workload: Workload
    places: Iterator[str]
    balancer: Balancer | None = None
    pods: list[Pod] = field(default_factory=list)
    gone: list[Pod] = field(default_factory=list)
    _lagging: list[Pod] = field(default_factory=list)
    _made: int = 0
    _ending: set["asyncio.Task[None]"] = field(default_factory=set)

    async def keep_endpoints(self) -> None:
        """Run for ever: what is ready is served, what is unready or has gone is not."""
        while self.balancer is not None:
            ready = {pod.address: pod.port for pod in self.pods if pod.is_ready}
            lagging = self.balancer.endpoints.keys() & {p.address for p in self._lagging}
            kept = {a: port for a, port in self.balancer.endpoints.items() if a in lagging}
            self.balancer.endpoints = kept | ready
            await asyncio.sleep(_LOOK_EVERY)

    async def scale(self, wanted: int) -> None:
        """Start what is missing, end what is too much; return when all that stays is ready."""
        while len(self.pods) > wanted:
            self._end(self.pods[0])
        missing = wanted - len(self.pods)
        await asyncio.gather(*(self._begin() for _ in range(missing)))

    async def roll(self) -> None:
        """Replace every pod: one more at a time, none fewer."""
        for old in list(self.pods):
            await self._begin()
            self._end(old)

    async def settle(self) -> None:
        """Wait for what is still ending."""
        await asyncio.gather(*self._ending)

    async def _begin(self) -> None:
        self._made += 1
        name = f"{self.workload.name}-{self._made}"
        address = next(self.places)
        pod = Pod(node=self.node, workload=self.workload, name=name, address=address)
        try:
            await pod.start()
        except BaseException:
            pod.kill()
            raise
        self.pods.append(pod)

        async def is_ready() -> bool:
            return pod.is_ready

        await until(is_ready, within=_READY_WITHIN, what=f"{name} is ready")

    def _end(self, pod: Pod) -> None:
        self.pods.remove(pod)
        self.gone.append(pod)
        ending = asyncio.create_task(self._let_go(pod), name=f"end of {pod.name}")
        self._ending.add(ending)

    async def _let_go(self, pod: Pod) -> None:
        self._lagging.append(pod)

        async def forget() -> None:
            await asyncio.sleep(_PROXIES_HEAR_AFTER)
            self._lagging.remove(pod)

        await asyncio.gather(forget(), pod.stop())
