"""Why is this job not running? Each reason of the page is brought about, and found as it says."""

import asyncio
import re
from collections.abc import Awaitable, Callable, Mapping
from datetime import timedelta
from typing import Any, Final

import orjson
import pytest

from back_service.ground import measure
from back_service.upkeep.census import CensusTaker
from front_service.overview import Overview
from shared.broker.publisher import Publisher
from shared.broker.subscriber import Subscriber
from shared.contract.errors import Unavailable
from shared.contract.ids import THE_TENANT, JobId
from shared.contract.states import Move
from shared.contract.status import dump, status_document
from shared.runtime.catalogue import BUILT_IN_JOB_TYPES, load_job_types
from shared.runtime.clock import SystemClock
from shared.runtime.metrics import BackMetrics
from shared.store.census import Counts
from tests.house.sources import ROOT
from tests.integration.bench import Bench, crash
from tests.unit.back.fakes import Ears
from tests.unit.back.test_consumer import Works
from tests.unit.back.test_upkeep import Queues, Store, knocks_of

pytestmark = pytest.mark.servers

PAGE: Final = (ROOT / "docs" / "topics" / "why_not_running.md").read_text("utf-8")
HOUR: Final = timedelta(hours=1)


class Eyes:
    """What an operator sees of a house: figures, one job's status, the counts of the API."""

    def __init__(self, bench: Bench) -> None:
        self.bench, self.metrics, clock = bench, BackMetrics(), SystemClock()
        self._taker = CensusTaker(Counts(bench.pool), self.metrics, clock)
        catalogue = load_job_types(BUILT_IN_JOB_TYPES)
        self._overview = Overview(counts=bench.operating, catalogue=catalogue, clock=clock)

    async def figure(self, name: str, **labels: str) -> float:
        await self._taker.count()
        return self.metrics.registry.get_sample_value(f"uketsuke_{name}", labels) or 0.0

    async def jobs(self, state: str) -> float:
        return await self.figure("jobs", pool="default", state=state)

    async def late(self, state: str) -> float:
        return await self.figure("late_seconds", pool="default", state=state)

    async def status(self, job_id: JobId) -> dict[str, Any]:
        document = status_document(await self.bench.view(job_id))
        read: dict[str, Any] = orjson.loads(dump(document))
        return read

    async def stats(self) -> dict[str, Any]:
        return await self._overview.stats(THE_TENANT)

    async def type(self, name: str) -> dict[str, Any]:
        found = (await self._overview.job_types())["jobTypes"]
        return next(one for one in found if one["type"] == name)

    async def worker(self) -> None:
        """Let a worker live that can run what this bench submits."""
        await self.bench.sql(
            "INSERT INTO workers (id, pools, types, lacking, seen_at) VALUES"
            " (gen_random_uuid(), '{default}', '{demo.echo}', '{}', clock_timestamp())"
        )


async def early(eyes: Eyes) -> None:
    status = await eyes.status(await eyes.bench.submit(delay=HOUR))
    assert (status["status"], status["state"]) == ("pending", "scheduled")
    assert status["scheduledFor"]
    assert await eyes.jobs("scheduled") == 1
    assert await eyes.late("scheduled") == 0


async def failed_once(eyes: Eyes) -> None:
    job = await eyes.bench.running()
    await eyes.bench.finish(job, Move.RETRY)
    status = await eyes.status(job.id)
    assert (status["state"], status["attempt"]) == ("retrying", 1)
    assert await eyes.jobs("retrying") == 1
    eyes.metrics.ended(job.type, Move.RETRY, seconds=1, fenced=False, code="no_good")
    assert await eyes.figure("failures_total", type=job.type, code="no_good") == 1


async def due_and_nobody_says_so(eyes: Eyes) -> None:
    assert eyes.metrics.registry.get_sample_value("uketsuke_outbox_rows") is None  # no upkeep
    job_id = await eyes.bench.submit(delay=HOUR)
    past = "due = clock_timestamp() - interval '1 minute'"
    await eyes.bench.sql(f"UPDATE jobs SET {past} WHERE id = $1", job_id)  # noqa: S608  ours
    assert await eyes.late("scheduled") >= 60


async def behind(eyes: Eyes) -> None:
    await eyes.bench.running(ordering_key="k")
    status = await eyes.status(await eyes.bench.submit(ordering_key="k"))
    assert status["state"] == "queued"
    assert await eyes.jobs("behind") == 1
    assert await eyes.figure("lane_depth") == 2
    assert [(key["waiting"], key["running"]) for key in (await eyes.stats())["keys"]] == [(1, 1)]


async def held_by_a_failure(eyes: Eyes) -> None:
    head = await eyes.bench.running(ordering_key="k", blocks=True)
    waiting = await eyes.bench.submit(ordering_key="k")
    await eyes.bench.finish(head, Move.FAIL)
    assert (await eyes.status(waiting))["state"] == "queued"
    assert await eyes.figure("keys_held") == 1


async def no_worker(eyes: Eyes) -> None:
    await eyes.bench.submit()
    assert await eyes.jobs("no_worker") == 1
    told = await eyes.type("demo.echo")
    assert (told["available"], told["reason"]) == (False, "no_worker")


async def all_busy(eyes: Eyes) -> None:
    await eyes.worker()
    status = await eyes.status(await eyes.bench.submit())
    assert status["state"] == "queued"
    assert await eyes.jobs("ready") == 1
    assert (await eyes.type("demo.echo"))["available"] is True
    works = Works(slots=1)
    async with works.open():
        works.knock(*works.queue(2))
        await works.until(lambda: len(works.begun) == 1, "its slot is taken")
        assert works.counted("uketsuke_slots_in_use") == works.counted("uketsuke_slots") == 1
        works.may_end.set()


async def limit_of_its_type(eyes: Eyes) -> None:
    works, one_at_a_time = Works(slots=4), asyncio.Semaphore(1)
    works.consumer._runner._limits["demo.echo"] = one_at_a_time  # as its job type may say
    async with works.open():
        works.knock(*works.queue(3))
        await works.until(lambda: works.counted("uketsuke_attempts_held_back") == 2, "two wait")
        assert len(works.begun) == 1
        works.may_end.set()
        await works.until(lambda: works.counted("uketsuke_attempts_held_back") == 0, "none does")
    assert (await eyes.status((await eyes.bench.running()).id))["status"] == "processing"


async def suspected(eyes: Eyes) -> None:
    job_id = await eyes.bench.submit()
    await crash(eyes.bench, job_id, 2)
    assert (await eyes.status(job_id))["state"] == "queued"
    assert await eyes.jobs("suspect") == 1


async def broker_takes_nothing(eyes: Eyes) -> None:
    await eyes.bench.submit()
    await eyes.bench.sql("UPDATE outbox SET at = at - interval '1 minute'")
    assert await eyes.figure("outbox_rows") == 1
    assert await eyes.figure("outbox_oldest_seconds") >= 60
    cut_off(eyes)
    assert await eyes.figure("broker_up") == 0


async def worker_is_deaf(eyes: Eyes) -> None:
    cut_off(eyes)
    assert eyes.metrics.registry.get_sample_value("uketsuke_hears_knocks") == 0


def cut_off(eyes: Eyes) -> None:
    """Measure a worker that has no broker."""
    nowhere = "amqp://127.0.0.1:1/"
    publisher = Publisher(nowhere, name="p", pools=["default"])
    subscriber = Subscriber(nowhere, name="s", routes={"jobs.default.normal": 1})
    measure(eyes.metrics, eyes.bench.pool, publisher, subscriber)


async def knock_was_lost(eyes: Eyes) -> None:
    assert await knocks_of(Store(), Queues(), Ears(), eyes.metrics).work() == 2
    assert await eyes.figure("jobs_unheard_total") == 2


async def knock_is_newer(eyes: Eyes) -> None:
    works = Works()
    async with works.open():
        works.inbox.put(works.broker.deliver_body(b'{"version": 2}', at=works.clock.now))
        name = "uketsuke_knocks_not_understood_total"
        await works.until(lambda: works.counted(name, why="newer") == 1, "it is counted")
    assert await eyes.jobs("ready") == 0


async def claims_put_off(eyes: Eyes) -> None:
    works = Works()
    works.work.troubles = [Unavailable("away")]
    async with works.open():
        works.knock(*works.queue(1))
        name = "uketsuke_claims_put_off_total"
        await works.until(lambda: works.counted(name) == 1, "it is counted")
        works.may_end.set()
    assert await eyes.jobs("running") == 0


async def worker_is_gone(eyes: Eyes) -> None:
    job = await eyes.bench.running()
    await eyes.bench.let_lapse(job.id)
    assert (await eyes.status(job.id))["status"] == "processing"
    assert await eyes.late("running") >= 1


async def being_cancelled(eyes: Eyes) -> None:
    job = await eyes.bench.running()
    await eyes.bench.intake.cancel(THE_TENANT, job.id)
    status = await eyes.status(job.id)
    assert (status["status"], status["state"]) == ("processing", "cancelling")
    assert await eyes.jobs("cancelling") == 1


REASONS: Final[Mapping[str, Callable[[Eyes], Awaitable[None]]]] = {
    "it is early": early,
    "it failed, and waits for its next attempt": failed_once,
    "it is due, and nobody says so": due_and_nobody_says_so,
    "it is behind another of its key": behind,
    "a failed job holds its key": held_by_a_failure,
    "no living worker can run its type": no_worker,
    "all workers are busy": all_busy,
    "as many of its type run as may": limit_of_its_type,
    "it ended workers, and is to run alone": suspected,
    "the broker does not take its knock": broker_takes_nothing,
    "workers do not hear knocks": worker_is_deaf,
    "its knock was lost": knock_was_lost,
    "its knock is newer than the workers": knock_is_newer,
    "workers cannot claim": claims_put_off,
    "its worker is gone, and nobody rescues it": worker_is_gone,
    "it is being cancelled, and its handler does not end": being_cancelled,
}


def test_the_page_has_these_reasons_and_no_other() -> None:
    """A reason without a scene is a guess."""
    rows = re.findall(r"^\| ([^|]+?) \|", PAGE, re.MULTILINE)

    assert rows[:1] == ["reason"]
    assert rows[1:] == list(REASONS)


@pytest.mark.parametrize("reason", REASONS)
async def test_a_reason_is_found_where_the_page_says(bench: Bench, reason: str) -> None:
    """In the job's status, in the counts, or in the metrics."""
    await REASONS[reason](Eyes(bench))
