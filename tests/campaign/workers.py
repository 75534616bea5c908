"""Faults of the services themselves: killed in bulk, paused with many jobs, replaced in turn."""

import asyncio
import signal
import time
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Final

from tests.campaign.drills import LATE_PERCENT, TOLD_TO_STOP, Kind
from tests.campaign.fault import Fault
from tests.campaign.history import Asked
from tests.campaign.scene import Scene, Stage
from tests.support.callers import quantile
from tests.support.house import Worker
from tests.support.logbook import lines
from tests.support.waiting import until

_DEATHS: Final = 6
_PAUSES: Final = 4
_UNDEAD: Final = 75  # submitted before each pause; what is paused runs a quarter of them or more
_STEADY: Final = 2  # backs that are never killed: there the others' jobs run again
_TRIES: Final[Mapping[Kind, int]] = {Kind.RETRY: 3, Kind.CRASH: 2}
_REFUSED: Final = frozenset(("late write refused", "job fenced"))
_LATE_PROGRESS: Final = "SELECT count(*) FROM jobs WHERE state = 'running' AND progress = $1"
_JUST_ENDED: Final = frozenset(("job attempt ended",))  # its verdict was under way to the store
_WROTE_NOTHING: Final = _JUST_ENDED | {"lease lost"}
_STOPPED: Final = frozenset((TOLD_TO_STOP, "lease lost", *_REFUSED))


async def kill_backs_in_bulk(scene: Scene, _seconds: float) -> None:
    """F1: each death makes orphans of many jobs; the next comes before they are rescued."""
    stop = asyncio.Event()
    async with asyncio.TaskGroup() as group:
        for _ in range(2):  # beside the mixed load
            group.create_task(scene.crowd.keep_asking(Kind.SLOW, stop, every=0.05, seconds=3.0))
        for _ in range(_DEATHS):
            victim = scene.backs.pop(_STEADY)
            scene.gone.append(victim)
            await scene.runs_something(victim, jobs=15)
            died = time.time()
            victim.kill()
            orphans = scene.running_on(victim)
            scene.struck.append((died, orphans))
            scene.bite("killed")
            scene.bite("orphans", len(orphans))
            group.create_task(scene.add_back())
            await asyncio.sleep(2.5)  # the pace of the fault
            await _there_are(scene, _STEADY + 2)
        stop.set()


async def see_reruns(scene: Scene) -> None:
    """Say how long orphans waited for their next run."""
    waits = []
    for died, orphans in scene.struck:
        for job_id in orphans:
            events = await scene.house.fetch(
                "SELECT kind, at FROM job_events WHERE job_id = $1 AND at > $2 ORDER BY sequence",
                job_id,
                datetime.fromtimestamp(died, UTC),
            )
            kinds = [event["kind"] for event in events]
            if kinds[:2] == ["queued", "running"]:  # else its verdict was just written
                waits.append(events[1]["at"].timestamp() - died)
    assert len(waits) > 0.8 * scene.bites["orphans"], "hardly any orphan ran again"
    scene.figures |= {
        "dead_to_rerun_n": len(waits),
        "dead_to_rerun_p50_s": round(quantile(waits, 0.5), 2),
        "dead_to_rerun_p99_s": round(quantile(waits, 0.99), 2),
    }


async def wake_the_undead(scene: Scene, _seconds: float) -> None:
    """F3: workers with many jobs sleep for three leases; awake, each job tries every write."""
    for _ in range(_PAUSES):
        await asyncio.gather(*(scene.crowd.ask(Kind.UNDEAD, seconds=4.0) for _ in range(_UNDEAD)))
        back = await _busy(scene, jobs=_UNDEAD // 4)
        back.send(signal.SIGSTOP)
        scene.bite("paused")
        await asyncio.sleep(0.1)  # what it had written has reached the file
        held = scene.running_on(back)
        scene.bite("jobs paused", len(held))
        await asyncio.sleep(3 * scene.lease)  # the fault itself
        resumed = time.time()
        back.send(signal.SIGCONT)
        await _note_awakening(scene, back, held, resumed)
    scene.bite("stale writes refused", scene.stale_writes_refused())


async def _busy(scene: Scene, *, jobs: int) -> Worker:
    """Wait for a worker that runs so many."""

    async def busy() -> Worker | None:
        return next((back for back in scene.backs if len(scene.running_on(back)) >= jobs), None)

    back = await until(busy, within=30, what="a worker has much work", every=0.02)
    assert back is not None
    return back


async def _note_awakening(scene: Scene, back: Worker, held: set[str], resumed: float) -> None:
    """Keep how long it took until the last handler was told, and the last write refused."""

    def since(events: frozenset[str]) -> Iterator[tuple[str, str, float]]:
        for line in lines(back):
            at = datetime.fromisoformat(line["timestamp"]).timestamp()
            if line["event"] in events and line.get("job_id") in held and at > resumed:
                yield line["job_id"], line["event"], at - resumed

    async def all_were_stopped() -> bool:
        return {job_id for job_id, _, _ in since(_STOPPED | _JUST_ENDED)} == held

    async def all_were_refused() -> bool:
        wrote = undead - {job_id for job_id, _, _ in since(_WROTE_NOTHING)}
        return wrote <= {job_id for job_id, _, _ in since(_REFUSED)}

    accepted = scene.crowd.history.accepted()
    undead = held & {job_id for job_id, asked in accepted if asked.kind is Kind.UNDEAD}
    await until(all_were_stopped, within=10, what="every handler was stopped")
    await until(all_were_refused, within=10, what="every late verdict was refused")
    told: dict[str, float] = {}
    for job_id, _, after in since(_STOPPED):
        told.setdefault(job_id, after)
    scene.note_most("resumed_to_stopped_s", max(told.values()))
    refused = [(event, after) for _, event, after in since(_REFUSED)]
    scene.note_most("resumed_to_refused_s", max((after for _, after in refused), default=99.0))
    late = await scene.house.fetchval(_LATE_PROGRESS, LATE_PERCENT)
    scene.note_most("late_progress_taken", int(str(late)))
    scene.bite("verdicts refused", sum(event == "job fenced" for event, _ in refused))


async def roll_everything(scene: Scene, _seconds: float) -> None:
    """F2 and F5: every service is replaced; clients are told by nobody but the services."""
    history = scene.crowd.history
    begun = len(history.broken_off), len(history.refused())
    for front in list(scene.fronts):
        await scene.add_front()
        assert await front.terminate() == 0
        scene.forget_front(front)
        scene.bite("fronts replaced")
    for back in list(scene.backs):
        await scene.add_back()
        await scene.runs_something(back)
        scene.backs.remove(back)
        scene.gone.append(back)
        assert await back.terminate() == 0
        scene.bite("backs replaced")
    await asyncio.sleep(1.0)  # load after it
    scene.bite("sent away", history.sent_away)
    failed = history.broken_off[begun[0] :] + [f"{s}" for s in history.refused()[begun[1] :]]
    scene.figures["failed_requests"] = len(failed)
    scene.figures["connects_refused"] = history.not_connected
    assert not failed, f"{len(failed)} failed: {failed[:5]}"


async def see_burnt_attempts(scene: Scene) -> None:
    """Count the attempts that no handler asked for."""
    rows = await scene.house.fetch("SELECT id::text, attempt, crashes FROM jobs")
    asked_for = dict(scene.crowd.history.accepted())
    burnt = sum(_burnt(row, asked_for[row["id"]]) for row in rows if row["id"] in asked_for)
    scene.figures["burnt_attempts"] = burnt


def _burnt(row: Any, asked: Asked) -> int:
    more = int(row["attempt"]) - _TRIES.get(asked.kind, 1)
    return max(0, more) + int(row["crashes"])


async def _there_are(scene: Scene, backs: int) -> None:
    async def are_there() -> bool:
        return len(scene.backs) >= backs

    await until(are_there, within=30, what="the successor has come")


FAULTS: Final[Sequence[Fault]] = (
    Fault(
        number="F1",
        name="backs-killed-in-bulk",
        harm=kill_backs_in_bulk,
        bites={"killed": _DEATHS, "orphans": 80},
        marks={"crashes": 80},
        look=see_reruns,
        limits={"dead_to_rerun_p99_s": 12.0},
        stage=Stage(lease=10.0, backs=4, slots=40, warm=8.0),
    ),
    Fault(
        number="F3",
        name="undead-awake",
        harm=wake_the_undead,
        bites={
            "paused": _PAUSES,
            "jobs paused": 40,
            "stale writes refused": 200,
            "verdicts refused": 30,
        },
        marks={"crashes": 40},
        limits={
            "resumed_to_stopped_s": 1.0,
            "resumed_to_refused_s": 1.0,
            "late_progress_taken": 0,
        },
        stage=Stage(slots=48),
    ),
    Fault(
        number="F2",
        name="all-rolled",
        harm=roll_everything,
        bites={"fronts replaced": 2, "backs replaced": 3, "sent away": 1},
        look=see_burnt_attempts,
        limits={"failed_requests": 0, "burnt_attempts": 0},
        stage=Stage(lease=10.0),  # nobody dies: no lease may lapse, however crowded the machine
    ),
)
