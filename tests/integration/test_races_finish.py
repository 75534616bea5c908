"""A verdict and another verb at once: one ending a run, and a hand-over that is not lost."""

from collections.abc import Mapping
from typing import Final

import pytest

from shared.contract.ids import THE_TENANT
from shared.contract.states import Move
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
    failed,
    finishes,
    hold,
    overdue,
    progresses,
    renews,
    replays,
    rescues,
    saves,
)
from tests.support.interleaving import Verb

pytestmark = pytest.mark.servers


async def scheduler_and_finish(bench: Bench) -> Mapping[str, Verb]:
    first = await bench.running(ordering_key="k")
    await due_now(bench, await bench.submit(ordering_key="k", delay=AN_HOUR))
    return {"scheduler": comes_due, "finish": finishes(first)}


def cancel_and(move: Move) -> Given:
    """A cancel beside a verdict of each kind."""

    async def given(bench: Bench) -> Mapping[str, Verb]:
        job = await bench.running(ordering_key="k")
        await bench.submit(ordering_key="k")
        return {"cancel": cancels(job.id), "finish": finishes(job, move=move)}

    given.__name__ = f"cancel_and_{move}"
    return given


async def stop_and_rescue(bench: Bench) -> Mapping[str, Verb]:
    job = await bench.running(ordering_key="k")
    await bench.submit(ordering_key="k")
    await bench.intake.cancel(THE_TENANT, job.id)
    await bench.let_lapse(job.id)
    return {"finish": finishes(job, move=Move.STOP), "rescue": rescues}


async def finish_without_a_key_and_cancel(bench: Bench) -> Mapping[str, Verb]:
    job = await bench.running()
    return {"cancel": cancels(job.id), "finish": finishes(job)}


async def cancel_of_the_next_and_hand_over(bench: Bench) -> Mapping[str, Verb]:
    first = await bench.running(ordering_key="k")
    second, _ = [await bench.submit(ordering_key="k") for _ in range(2)]
    return {"cancel": cancels(second), "finish": finishes(first, has_turn=True)}


async def finish_and_rescue(bench: Bench) -> Mapping[str, Verb]:
    job = await bench.running(ordering_key="k")
    await bench.submit(ordering_key="k")
    await bench.let_lapse(job.id)
    return {"finish": finishes(job), "rescue": rescues}


async def finish_and_expiry(bench: Bench) -> Mapping[str, Verb]:
    job = await bench.running(ordering_key="k")
    await bench.submit(ordering_key="k")
    await overdue(bench, job.id)
    return {"finish": finishes(job), "expire": expires}


async def finish_and_its_double(bench: Bench) -> Mapping[str, Verb]:
    job = await bench.running(ordering_key="k")
    await bench.submit(ordering_key="k")
    return {"one": finishes(job), "other": finishes(job, move=Move.FAIL)}


async def finish_and_renewal(bench: Bench) -> Mapping[str, Verb]:
    job = await bench.running(ordering_key="k")
    return {"finish": finishes(job), "renew": renews(job)}


async def finish_and_progress(bench: Bench) -> Mapping[str, Verb]:
    job = await bench.running(ordering_key="k")
    return {"finish": finishes(job), "progress": progresses(job)}


async def finish_and_checkpoint(bench: Bench) -> Mapping[str, Verb]:
    job = await bench.running(ordering_key="k")
    return {"finish": finishes(job), "checkpoint": saves(job)}


async def finish_and_effect(bench: Bench) -> Mapping[str, Verb]:
    job = await bench.running(ordering_key="k")
    return {"finish": finishes(job, move=Move.FAIL), "effect": does(job)}


async def finish_and_replay_of_one_before(bench: Bench) -> Mapping[str, Verb]:
    before = await failed(bench, ordering_key="k")
    job = await bench.running(ordering_key="k")
    return {"finish": finishes(job), "replay": replays(before)}


async def failure_and_its_replay(bench: Bench) -> Mapping[str, Verb]:
    job = await bench.running(ordering_key="k")
    await bench.submit(ordering_key="k")
    return {"finish": finishes(job, move=Move.FAIL), "replay": replays(job.id)}


async def failure_that_holds_and_its_replay(bench: Bench) -> Mapping[str, Verb]:
    job = await bench.running(ordering_key="k", blocks=True)
    await bench.submit(ordering_key="k")
    return {"finish": finishes(job, move=Move.FAIL), "replay": replays(job.id)}


async def finish_cancel_and_rescue(bench: Bench) -> Mapping[str, Verb]:
    job = await bench.running(ordering_key="k")
    await bench.submit(ordering_key="k")
    await bench.let_lapse(job.id)
    return {"finish": finishes(job), "cancel": cancels(job.id), "rescue": rescues}


async def two_batches_in_other_orders(bench: Bench) -> Mapping[str, Verb]:
    jobs = [await bench.running(ordering_key=key) for key in ("a", "b", "c", None)]
    for key in "abc":
        await bench.submit(ordering_key=key)
    doubles = finishes(*reversed(jobs), move=Move.FAIL)
    return {"one": finishes(*jobs, has_turn=True), "other": doubles}


RACES: Final[Mapping[Given, Ends]] = {
    scheduler_and_finish: {("completed", "queued")},
    stop_and_rescue: {("cancelled", "queued")},
    finish_without_a_key_and_cancel: {("completed",)},
    cancel_of_the_next_and_hand_over: {
        ("completed", "cancelled", "running"),
        ("completed", "cancelling", "queued"),
    },
    finish_and_rescue: {("completed", "queued"), ("queued", "queued")},
    finish_and_expiry: {("completed", "queued"), ("expired", "queued")},
    finish_and_its_double: {("completed", "queued"), ("failed", "queued")},
    finish_and_renewal: {("completed",)},
    finish_and_progress: {("completed",)},
    finish_and_checkpoint: {("completed",)},
    finish_and_effect: {("failed",)},
    finish_and_replay_of_one_before: {("completed", "queued")},
    failure_and_its_replay: {("failed", "queued"), ("queued", "queued")},
    failure_that_holds_and_its_replay: {("failed", "queued"), ("queued", "queued")},
    finish_cancel_and_rescue: {("cancelled", "queued"), ("completed", "queued")},
    two_batches_in_other_orders: {
        ("completed", "completed", "completed", "completed", "running", "running", "running"),
        ("failed", "failed", "failed", "failed", "queued", "queued", "queued"),
    },
    cancel_and(Move.COMPLETE): {("completed", "queued")},
    cancel_and(Move.FAIL): {("cancelled", "queued"), ("failed", "queued")},
    cancel_and(Move.RETRY): {("cancelled", "queued")},
    cancel_and(Move.SNOOZE): {("cancelled", "queued")},
    cancel_and(Move.INTERRUPT): {("cancelled", "queued")},
}
"""Each race, and all that may come of it."""


@pytest.mark.parametrize("given", RACES, ids=lambda given: given.__name__)
async def test_i2_a_verdict_meets_another_verb(bench: Bench, given: Given) -> None:
    """Whoever comes second finds that the row has moved."""
    await hold(bench, given, RACES[given])
