"""Two verbs at once, in every order of their statements: the store stays sound, and decides.

The rescuer of knocks is off here, so that it cannot hide a hand-over that was lost.
"""

from collections.abc import Awaitable, Callable, Mapping
from datetime import timedelta
from typing import Final

import pytest

from shared.contract.ids import THE_TENANT, JobId
from shared.contract.jobs import Job
from shared.contract.states import Move
from shared.store.pool import Pool
from tests.integration.bench import Bench, a_bench, a_ruling
from tests.integration.conftest import EMPTY
from tests.integration.soundness import unsound
from tests.support.builders import a_submission
from tests.support.interleaving import Verb, count_steps, orders, play

pytestmark = pytest.mark.servers

_MOST: Final = 16
"""Orders of one race: all, or that many of them by lot."""


Given = Callable[[Bench], Awaitable[Mapping[str, Verb]]]
"""Sets a race up, and gives the verbs that are to run it."""


def submits(key: str | None = "k") -> Verb:
    return lambda pool: a_bench("", pool).intake.admit(a_submission(ordering_key=key))


def claims(*job_ids: JobId) -> Verb:
    return lambda pool: a_bench("", pool).claim(*job_ids)


def finishes(job: Job, move: Move = Move.COMPLETE, *, has_turn: bool = False) -> Verb:
    return lambda pool: a_bench("", pool).work.finish([a_ruling(job, move, has_turn=has_turn)])


def cancels(job_id: JobId) -> Verb:
    return lambda pool: a_bench("", pool).intake.cancel(THE_TENANT, job_id)


def rescues(pool: Pool) -> Awaitable[object]:
    return a_bench("", pool).upkeep.rescue()


def expires(pool: Pool) -> Awaitable[object]:
    return a_bench("", pool).upkeep.expire()


def comes_due(pool: Pool) -> Awaitable[object]:
    return a_bench("", pool).upkeep.come_due()


def forgets(pool: Pool) -> Awaitable[object]:
    return a_bench("", pool).upkeep.forget()


async def _outlived(pool: Pool, job: Job) -> None:
    await pool.fetch("UPDATE jobs SET expires_at = clock_timestamp() WHERE id = $1", job.id)


async def _due_now(bench: Bench, job_id: JobId) -> None:
    await bench.sql("UPDATE jobs SET due = clock_timestamp() WHERE id = $1", job_id)


async def _overdue(bench: Bench, job_id: JobId) -> None:
    await bench.sql("UPDATE jobs SET deadline = clock_timestamp() WHERE id = $1", job_id)


async def submit_and_finish(bench: Bench) -> Mapping[str, Verb]:
    first = await bench.running(ordering_key="k")
    return {"submit": submits(), "finish": finishes(first)}


async def submit_and_cancel(bench: Bench) -> Mapping[str, Verb]:
    first = await bench.submit(ordering_key="k")
    return {"submit": submits(), "cancel": cancels(first)}


async def submit_and_expiry(bench: Bench) -> Mapping[str, Verb]:
    first = await bench.submit(ordering_key="k")
    await _overdue(bench, first)
    return {"submit": submits(), "expire": expires}


async def submit_and_submit(bench: Bench) -> Mapping[str, Verb]:
    return {"one": submits(), "other": submits()}


async def scheduler_and_finish(bench: Bench) -> Mapping[str, Verb]:
    first = await bench.running(ordering_key="k")
    second = await bench.submit(ordering_key="k", delay=timedelta(hours=1))
    await _due_now(bench, second)
    return {"scheduler": comes_due, "finish": finishes(first)}


async def cancel_and_claim(bench: Bench) -> Mapping[str, Verb]:
    job_id = await bench.submit()
    return {"cancel": cancels(job_id), "claim": claims(job_id)}


async def cancel_and_claim_of_a_key(bench: Bench) -> Mapping[str, Verb]:
    job_id = await bench.submit(ordering_key="k")
    await bench.submit(ordering_key="k")
    return {"cancel": cancels(job_id), "claim": claims(job_id)}


async def cancel_and_finish(bench: Bench) -> Mapping[str, Verb]:
    job = await bench.running(ordering_key="k")
    await bench.submit(ordering_key="k")
    return {"cancel": cancels(job.id), "finish": finishes(job)}


async def cancel_and_finish_without_a_key(bench: Bench) -> Mapping[str, Verb]:
    job = await bench.running()
    return {"cancel": cancels(job.id), "finish": finishes(job)}


async def cancel_of_the_next_and_hand_over(bench: Bench) -> Mapping[str, Verb]:
    first = await bench.running(ordering_key="k")
    second = await bench.submit(ordering_key="k")
    await bench.submit(ordering_key="k")
    return {"cancel": cancels(second), "finish": finishes(first, has_turn=True)}


async def forged_knock_and_hand_over(bench: Bench) -> Mapping[str, Verb]:
    first = await bench.running(ordering_key="k")
    second = await bench.submit(ordering_key="k")
    third = await bench.submit(ordering_key="k")
    return {"claim": claims(second, third), "finish": finishes(first, has_turn=True)}


async def claim_and_claim(bench: Bench) -> Mapping[str, Verb]:
    ids = [await bench.submit(ordering_key="k" if n % 2 else None) for n in range(4)]
    return {"one": claims(*ids), "other": claims(*reversed(ids))}


async def rescue_and_finish(bench: Bench) -> Mapping[str, Verb]:
    job = await bench.running(ordering_key="k")
    await bench.submit(ordering_key="k")
    await bench.let_lapse(job.id)
    return {"rescue": rescues, "finish": finishes(job)}


async def rescue_and_renewal(bench: Bench) -> Mapping[str, Verb]:
    job = await bench.running()
    await bench.let_lapse(job.id)
    renew: Verb = lambda pool: a_bench("", pool).work.renew({job.id: job.token})  # noqa: E731  a verb as the others
    return {"rescue": rescues, "renew": renew}


async def rescue_and_rescue(bench: Bench) -> Mapping[str, Verb]:
    jobs = [await bench.running(ordering_key=key) for key in ("a", "b", None)]
    await bench.let_lapse(*(job.id for job in jobs))
    return {"one": rescues, "other": rescues}


async def rescue_and_cancel(bench: Bench) -> Mapping[str, Verb]:
    job = await bench.running(ordering_key="k")
    await bench.submit(ordering_key="k")
    await bench.let_lapse(job.id)
    return {"rescue": rescues, "cancel": cancels(job.id)}


async def expiry_and_claim(bench: Bench) -> Mapping[str, Verb]:
    job_id = await bench.submit(ordering_key="k")
    await bench.submit(ordering_key="k")
    await _overdue(bench, job_id)
    return {"expire": expires, "claim": claims(job_id)}


async def expiry_and_finish(bench: Bench) -> Mapping[str, Verb]:
    job = await bench.running(ordering_key="k")
    await bench.submit(ordering_key="k")
    await _overdue(bench, job.id)
    return {"expire": expires, "finish": finishes(job)}


async def finish_and_its_double(bench: Bench) -> Mapping[str, Verb]:
    job = await bench.running(ordering_key="k")
    await bench.submit(ordering_key="k")
    return {"one": finishes(job), "other": finishes(job, Move.FAIL)}


async def forgetting_and_submit(bench: Bench) -> Mapping[str, Verb]:
    await _outlived(bench.pool, await bench.ended(ordering_key="k"))
    return {"forget": forgets, "submit": submits()}


async def forgetting_and_forgetting(bench: Bench) -> Mapping[str, Verb]:
    """One sees the first job of a key, the other both or the second."""
    first, second = [await bench.ended(ordering_key="k") for _ in range(2)]
    await _outlived(bench.pool, first)

    async def forget_a_moment_later(pool: Pool) -> object:
        await _outlived(pool, second)
        return await forgets(pool)

    return {"one": forgets, "other": forget_a_moment_later}


RACES: Final[Mapping[Given, set[tuple[str, ...]]]] = {
    submit_and_finish: {("completed", "queued")},
    submit_and_cancel: {("cancelled", "queued")},
    submit_and_expiry: {("expired", "queued")},
    submit_and_submit: {("queued", "queued")},
    scheduler_and_finish: {("completed", "queued")},
    cancel_and_claim: {("cancelled",), ("cancelling",)},
    cancel_and_claim_of_a_key: {("cancelled", "queued"), ("cancelling", "queued")},
    cancel_and_finish: {("completed", "queued")},
    cancel_and_finish_without_a_key: {("completed",)},
    cancel_of_the_next_and_hand_over: {
        ("completed", "cancelled", "queued"),
        ("completed", "cancelled", "running"),
        ("completed", "cancelling", "queued"),
    },
    forged_knock_and_hand_over: {("completed", "running", "queued")},
    claim_and_claim: {("running", "running", "running", "queued")},
    rescue_and_finish: {("completed", "queued"), ("queued", "queued")},
    rescue_and_renewal: {("running",), ("queued",)},
    rescue_and_rescue: {("queued", "queued", "queued")},
    rescue_and_cancel: {("cancelled", "queued"), ("cancelling", "queued")},
    expiry_and_claim: {("expired", "queued")},
    expiry_and_finish: {("expired", "queued"), ("completed", "queued")},
    finish_and_its_double: {("completed", "queued"), ("failed", "queued")},
    forgetting_and_submit: {("queued",)},
    forgetting_and_forgetting: {()},
}
"""Each race, and all that its jobs may be in the end, in the order of their acceptance."""


@pytest.mark.parametrize("given", RACES, ids=lambda given: given.__name__)
async def test_whatever_the_order_the_store_is_sound(bench: Bench, given: Given) -> None:
    """Each race of the design, statement by statement: nothing is lost, doubled or overtaken."""
    verbs = await given(bench)
    steps = {name: await count_steps(bench.pool, verb) for name, verb in verbs.items()}
    for order in orders(steps, most=_MOST):
        await bench.sql_script(EMPTY)
        verbs = await given(bench)

        outcomes = await play(bench.pool, verbs, order)

        assert not [one for one in outcomes.values() if isinstance(one, BaseException)], order
        rows = await bench.sql("SELECT state FROM jobs ORDER BY seq NULLS FIRST, id")
        assert tuple(row["state"] for row in rows) in RACES[given], order
        assert await unsound(bench) == {}, order


async def test_a_lease_that_was_renewed_in_time_is_not_rescued(bench: Bench) -> None:
    """S2: whoever was told that its lease goes on must not be doing somebody else's work."""
    verbs = await rescue_and_renewal(bench)
    steps = {name: await count_steps(bench.pool, verb) for name, verb in verbs.items()}
    renewed = 0
    for order in orders(steps, most=_MOST):
        await bench.sql_script(EMPTY)

        outcomes = await play(bench.pool, await rescue_and_renewal(bench), order)

        [row] = await bench.sql("SELECT state FROM jobs")
        assert bool(outcomes["renew"]) == (row["state"] == "running"), order
        renewed += bool(outcomes["renew"])
    assert renewed  # else no order has tried it
