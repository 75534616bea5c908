"""What time and callers do to jobs, at once with one another."""

from collections.abc import Mapping
from typing import Final

import pytest

from shared.contract.jobs import Job
from tests.integration.bench import Bench
from tests.integration.races import (
    AN_HOUR,
    Ends,
    Given,
    cancels,
    comes_due,
    does,
    due_now,
    expires,
    hold,
    overdue,
    progresses,
    renews,
    rescues,
)
from tests.support.interleaving import Verb

pytestmark = pytest.mark.servers


async def lapsed(bench: Bench, *keys: str | None) -> list[Job]:
    jobs = [await bench.running(ordering_key=key) for key in keys]
    await bench.let_lapse(*(job.id for job in jobs))
    return jobs


async def rescue_and_renewal(bench: Bench) -> Mapping[str, Verb]:
    return {"rescue": rescues, "renew": renews(*await lapsed(bench, None))}


async def rescue_and_rescue(bench: Bench) -> Mapping[str, Verb]:
    await lapsed(bench, "a", "b", None)
    return {"one": rescues, "other": rescues}


async def rescue_and_cancel(bench: Bench) -> Mapping[str, Verb]:
    [job] = await lapsed(bench, "k")
    await bench.submit(ordering_key="k")
    return {"rescue": rescues, "cancel": cancels(job.id)}


async def rescue_and_effect(bench: Bench) -> Mapping[str, Verb]:
    [job] = await lapsed(bench, None)
    return {"rescue": rescues, "effect": does(job)}


async def rescue_and_expiry(bench: Bench) -> Mapping[str, Verb]:
    [job] = await lapsed(bench, "k")
    await overdue(bench, job.id)
    return {"rescue": rescues, "expire": expires}


async def rescue_and_batches_in_another_order(bench: Bench) -> Mapping[str, Verb]:
    jobs = await lapsed(bench, "a", "b", None, None)
    return {"rescue": rescues, "renew": renews(*reversed(jobs)), "tell": progresses(*jobs)}


async def scheduler_and_cancel(bench: Bench) -> Mapping[str, Verb]:
    first = await bench.submit(ordering_key="k", delay=AN_HOUR)
    await bench.submit(ordering_key="k")
    await due_now(bench, first)
    return {"scheduler": comes_due, "cancel": cancels(first)}


async def scheduler_and_scheduler(bench: Bench) -> Mapping[str, Verb]:
    for key in ("k", None):
        await due_now(bench, await bench.submit(ordering_key=key, delay=AN_HOUR))
    return {"one": comes_due, "other": comes_due}


async def expiry_and_scheduler(bench: Bench) -> Mapping[str, Verb]:
    first = await bench.submit(ordering_key="k", delay=AN_HOUR)
    await due_now(bench, first)
    await overdue(bench, first)
    return {"expire": expires, "scheduler": comes_due}


async def expiry_and_cancel(bench: Bench) -> Mapping[str, Verb]:
    first, _ = [await bench.submit(ordering_key="k") for _ in range(2)]
    await overdue(bench, first)
    return {"expire": expires, "cancel": cancels(first)}


async def expiry_and_effect(bench: Bench) -> Mapping[str, Verb]:
    job = await bench.running()
    await overdue(bench, job.id)
    return {"expire": expires, "effect": does(job)}


async def cancel_and_effect(bench: Bench) -> Mapping[str, Verb]:
    job = await bench.running()
    return {"cancel": cancels(job.id), "effect": does(job)}


async def effect_and_its_double(bench: Bench) -> Mapping[str, Verb]:
    job = await bench.running()
    return {"one": does(job), "other": does(job)}


RACES: Final[Mapping[Given, Ends]] = {
    rescue_and_renewal: {("queued",), ("running",)},
    rescue_and_rescue: {("queued", "queued", "queued")},
    rescue_and_cancel: {("cancelled", "queued")},
    rescue_and_effect: {("queued",)},
    rescue_and_expiry: {("expired",)},
    rescue_and_batches_in_another_order: {
        ("queued", "queued", "queued", "queued"),
        ("running", "running", "running", "running"),
    },
    scheduler_and_cancel: {("cancelled", "queued")},
    scheduler_and_scheduler: {("queued", "queued")},
    expiry_and_scheduler: {("expired",)},
    expiry_and_cancel: {("cancelled", "queued"), ("expired", "queued")},
    expiry_and_effect: {("expired",)},
    cancel_and_effect: {("cancelling",)},
    effect_and_its_double: {("running",)},
}
"""Each race, and all that may come of it."""


@pytest.mark.parametrize("given", RACES, ids=lambda given: given.__name__)
async def test_what_time_does_at_once_with_others(bench: Bench, given: Given) -> None:
    """A lease renewed in time is kept, one that was taken is fenced, whoever asks first."""
    await hold(bench, given, RACES[given])
