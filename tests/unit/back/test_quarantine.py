"""The process for suspects: opened when it is needed, not again and again, and told to leave."""

import asyncio
import os
import signal
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any, cast

import pytest
from structlog.testing import capture_logs

from back_service import quarantine
from back_service.leases import longest_stall
from back_service.quarantine import Process, Quarantine, Suspects
from shared.contract.errors import Unavailable
from shared.contract.ids import JobId
from shared.runtime.clock import fresh_job_id
from shared.runtime.serving import Afterwards, Service, serve
from shared.runtime.settings import PREFIX, unknown_names
from shared.store.work import WorkStore
from tests.support.clock import ManualClock
from tests.unit.back.fakes import settle

LOOK, DICE = 1.0, 0.25
SPREAD = 2 * DICE


class Child:
    """A process that ends when it is told to."""

    pid = 4_711

    def __init__(self) -> None:
        self.told: list[int] = []
        self.has_left = False
        self._code: asyncio.Future[int] = asyncio.get_running_loop().create_future()

    async def wait(self) -> int:
        return await self._code

    def send_signal(self, signal: int) -> None:
        if self.has_left:
            raise ProcessLookupError
        self.told.append(signal)

    def ends(self, code: int) -> None:
        self._code.set_result(code)


class Post:
    """A worker's quarantine: each sleep is noted, and passes at once while children are left.

    *lives* are the children in turn: (seconds, exit code), or the error of a spawn.
    """

    def __init__(self, lives: Sequence[tuple[float, int] | OSError] = ()) -> None:
        self.clock, self.slept, self.spawned = ManualClock(), list[float](), 0
        self.answers: list[list[JobId] | Unavailable] = []
        self.child: Child | None = None
        self.is_full = asyncio.Event()
        self._lives = list(lives)
        self.quarantine = Quarantine(
            cast("WorkStore", self),
            pools=["default"],
            clock=self.clock,
            dice=lambda: DICE,
            sleep=self._sleep,
            spawn=self._spawn,
        )

    async def suspects(self, _pools: object) -> list[JobId]:
        answer = self.answers.pop(0) if self.answers else [fresh_job_id()]
        if isinstance(answer, Unavailable):
            raise answer
        return answer

    async def _sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        if not self._lives and not self.answers and self.child is None:
            self.is_full.set()
            await asyncio.Event().wait()

    async def _spawn(self) -> Process:
        self.spawned += 1
        life = self._lives.pop(0)
        if isinstance(life, OSError):
            raise life
        child = Child()
        if life[0]:
            self.clock.pass_by(life[0])
            child.ends(life[1])
        else:
            self.child = child
        return child

    async def runs_out(self) -> list[str]:
        """Let all happen that was prepared; give the warnings."""
        with capture_logs() as logged:
            running = asyncio.create_task(self.quarantine.run())
            await asyncio.wait(
                (running, asyncio.create_task(self.is_full.wait())),
                return_when=asyncio.FIRST_COMPLETED,
            )
            assert not running.done()
            running.cancel()
            await asyncio.wait((running,))
        return [line["event"] for line in logged if line["log_level"] == "warning"]


@asynccontextmanager
async def a_child(post: Post) -> AsyncIterator[tuple[Child, asyncio.Task[None]]]:
    running = asyncio.create_task(post.quarantine.run())
    await settle()
    assert post.child is not None
    yield post.child, running
    assert running.done()


async def test_what_cannot_start_is_tried_again_ever_later() -> None:
    """A machine without memory or processes is not helped by a worker that ends, nor by haste."""
    post = Post([OSError(11, "no process left")] * 8)

    warnings = await post.runs_out()

    assert post.slept[::2] == [LOOK + pause for pause in (0, 1, 2, 4, 8, 16, 32, 60, 60)]
    assert warnings == ["quarantine could not start"] * 8


@pytest.mark.parametrize(("lives", "code"), [(5.0, 0), (11.0, 3)])
async def test_one_that_was_of_use_ends_the_haltings(lives: float, code: int) -> None:
    """It ended well, or lived for long: what failed before is over."""
    post = Post([(0.4, 1), (0.4, 1), (lives, code), (0.4, 1)])

    await post.runs_out()

    assert post.slept[::2] == [LOOK + pause for pause in (0, 1, 2, 0, 1)]


@pytest.mark.parametrize(
    ("lives", "event"),
    [(0.4, "quarantine could not start"), (3.0, "quarantine ended by its job")],
)
async def test_only_who_began_is_blamed(lives: float, event: str) -> None:
    """Within its first second it had not even looked for a job."""
    assert await Post([(lives, 3)]).runs_out() == [event]


@pytest.mark.parametrize("second", [[], Unavailable("away")])
async def test_who_is_gone_at_the_second_look_needs_no_process(
    second: list[JobId] | Unavailable,
) -> None:
    """Another worker of the pool was quicker."""
    post = Post()
    post.answers = [[fresh_job_id()], second, [], []]

    await post.runs_out()

    assert post.slept[:3] == [LOOK, SPREAD, LOOK]
    assert post.spawned == 0


async def test_it_drains_while_the_consumer_does() -> None:
    """One drain after the other would outlast the patience of whoever stops us."""
    post, stop = Post([(0, 0)]), asyncio.Event()

    class Consumer:
        name = "consumer"
        told: Sequence[int] = ()

        async def run(self) -> None:
            try:
                await asyncio.Event().wait()
            finally:
                await settle()
                assert post.child is not None
                self.told = tuple(post.child.told)
                post.child.ends(0)

    consumer = Consumer()
    telling = Afterwards("quarantine told to leave", post.quarantine.close, within=1)
    services: Sequence[Service] = [post.quarantine, consumer, telling]
    serving = asyncio.create_task(serve(services, stop))
    await settle()
    stop.set()
    await serving

    assert consumer.told == (signal.SIGTERM,)
    assert post.spawned == 1


async def test_none_is_opened_once_it_is_closed() -> None:
    """There are suspects at each look; the worker is leaving."""
    post = Post()
    post.answers = [[fresh_job_id()]] * 4
    await post.quarantine.close()

    assert await post.runs_out() == []
    assert post.spawned == 0


async def test_one_that_starts_meanwhile_is_told_as_well() -> None:
    """The stop came between the second look and the first sign of the child."""
    post, spawn = Post([(0, 0)]), asyncio.Event()

    async def slowly() -> Process:
        await spawn.wait()
        return await post._spawn()

    post.quarantine._spawn = slowly
    running = asyncio.create_task(post.quarantine.run())
    await settle()
    running.cancel()
    await settle()
    spawn.set()
    await settle()

    assert post.child is not None
    assert post.child.told == [signal.SIGTERM]
    assert not running.done()
    post.child.ends(-signal.SIGTERM)
    await asyncio.wait((running,))
    assert running.cancelled()


async def test_one_that_has_just_left_need_not_be_told() -> None:
    """Its end and our stop may cross."""
    post = Post([(0, 0)])
    async with a_child(post) as (child, running):
        child.has_left = True
        running.cancel()
        await settle()
        child.ends(0)
        await asyncio.wait((running,))

    assert running.cancelled()


async def test_a_quarantine_leaves_if_its_worker_died_while_it_started(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The kernel tells only of deaths that come after we asked it to."""
    monkeypatch.setattr(quarantine, "_end_with_parent", lambda: None)
    monkeypatch.setenv("UKETSUKE_QUARANTINE_OF", str(os.getpid()))  # that is not our parent
    left = asyncio.Event()
    suspects: Any = Suspects(
        cast("WorkStore", Post()), pools=["default"], is_busy=lambda: True, nobody_left=left.set
    )
    running = asyncio.create_task(suspects.run())
    await settle()

    assert left.is_set()
    assert not suspects.news.is_set()
    running.cancel()


@pytest.mark.parametrize("named", [[str(os.getppid())], []])
async def test_a_quarantine_whose_worker_lives_offers_its_suspects(
    monkeypatch: pytest.MonkeyPatch, named: list[str]
) -> None:
    """So does one that was started by hand."""
    monkeypatch.setattr(quarantine, "_end_with_parent", lambda: None)
    monkeypatch.delenv("UKETSUKE_QUARANTINE_OF", raising=False)
    for parent in named:
        monkeypatch.setenv("UKETSUKE_QUARANTINE_OF", parent)
    left = asyncio.Event()
    suspects = Suspects(
        cast("WorkStore", Post()), pools=["default"], is_busy=lambda: False, nobody_left=left.set
    )
    running = asyncio.create_task(suspects.run())
    await settle()

    assert suspects.news.is_set()
    assert not left.is_set()
    running.cancel()


def test_what_a_worker_tells_its_child_is_no_slip_of_the_pen() -> None:
    """Else each quarantine would begin with a warning."""
    assert unknown_names({PREFIX + "QUARANTINE_OF": "1", PREFIX + "QUARANTINE": "yes"}) == []


@pytest.mark.parametrize("lease", [3, 5, 10, 30, 60])
def test_a_stall_that_is_let_be_costs_no_lease(lease: int) -> None:
    """Right before a renewal a third of the lease is gone, and half a second: the next look."""
    limit = longest_stall(timedelta(seconds=lease)).total_seconds()

    assert lease / 3 + 0.5 + limit < lease
    assert limit >= 1.2


def test_a_tiny_lease_does_not_make_a_busy_machine_deadly() -> None:
    """The figures that the pages give."""
    assert longest_stall(timedelta(seconds=2)) == timedelta(seconds=1.2)
    assert longest_stall(timedelta(seconds=10)).total_seconds() == pytest.approx(5.57, abs=0.01)
