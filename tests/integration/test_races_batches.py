"""The last of a batch ends it, once, whoever else ends a job of it at that moment."""

from collections.abc import Mapping
from datetime import timedelta
from typing import Any, Final

import pytest

from shared.contract.batches import COMPLETED
from shared.contract.ids import BatchId
from shared.contract.states import Move
from shared.store.batch_rows import START
from shared.store.intake import Changed
from shared.store.upkeep import Tended
from shared.store.work import Settled
from tests.integration.bench import Bench
from tests.integration.races import (
    Ends,
    Given,
    batches,
    cancels,
    closes,
    expires,
    finishes,
    forgets,
    overdue,
    replays,
    rescues,
    run,
    scripts,
    states,
    submits,
)
from tests.support.builders import a_submission, an_idempotency
from tests.support.interleaving import Verb

pytestmark = pytest.mark.servers


FEW: Final = 24  # orders of each race; 70 were run when it was made


async def two_finishes(bench: Bench) -> Mapping[str, Verb]:
    _, ids = await bench.batch_of(2)
    one, other = await bench.claim(*ids)
    return {"one": finishes(one), "other": finishes(other, move=Move.FAIL)}


async def finish_and_cancel(bench: Bench) -> Mapping[str, Verb]:
    _, (first, second) = await bench.batch_of(2)
    [job] = await bench.claim(first)
    return {"finish": finishes(job), "cancel": cancels(second)}


async def finish_and_rescue_of_the_same(bench: Bench) -> Mapping[str, Verb]:
    """Its third crash: one of the two ends it, the other one is fenced."""
    _, ids = await bench.batch_of(1)
    [job] = await bench.claim(*ids)
    await bench.sql("UPDATE jobs SET crashes = 2")
    await bench.let_lapse(job.id)
    return {"finish": finishes(job), "rescue": rescues}


async def finish_expiry_and_upkeep(bench: Bench) -> Mapping[str, Verb]:
    _, (first, second) = await bench.batch_of(2)
    [job] = await bench.claim(first)
    await overdue(bench, second)
    return {"finish": finishes(job), "expire": expires, "upkeep": closes}


async def finish_and_replay_of_another(bench: Bench) -> Mapping[str, Verb]:
    _, ids = await bench.batch_of(2)
    one, other = await bench.claim(*ids)
    await bench.finish(other, Move.FAIL)
    return {"finish": finishes(one), "replay": replays(other.id)}


async def finish_and_forgetting_of_another(bench: Bench) -> Mapping[str, Verb]:
    _, ids = await bench.batch_of(2)
    one, other = await bench.claim(*ids)
    await bench.finish(other)
    await bench.sql("UPDATE jobs SET expires_at = clock_timestamp() WHERE id = $1", other.id)
    return {"finish": finishes(one), "forget": forgets}


async def finishes_across_two_batches(bench: Bench) -> Mapping[str, Verb]:
    """Each ends one job of both."""
    _, a = await bench.batch_of(2)
    _, b = await bench.batch_of(2)
    jobs = {job.id: job for job in await bench.claim(*a, *b)}
    return {
        "one": finishes(jobs[a[0]], jobs[b[0]]),
        "other": finishes(jobs[b[1]], jobs[a[1]]),
    }


async def one_batch_twice(_: Bench) -> Mapping[str, Verb]:
    """By one Idempotency-Key."""
    name = an_idempotency("mine")
    return {
        "one": batches(a_submission(), a_submission(), idempotency=name),
        "other": batches(a_submission(), a_submission(), idempotency=name),
    }


async def batch_and_submit_with_their_keys_crossed(_: Bench) -> Mapping[str, Verb]:
    keyed = [a_submission(ordering_key=key) for key in ("b", "a")]
    return {"batch": batches(*keyed), "one": submits("a"), "other": submits("b")}


RACES: Final[Mapping[Given, Ends]] = {
    two_finishes: {("completed", "failed")},
    finish_and_cancel: {("completed", "cancelled")},
    finish_and_rescue_of_the_same: {("completed",), ("failed",)},
    finish_expiry_and_upkeep: {("completed", "expired")},
    finish_and_replay_of_another: {("completed", "queued")},
    finish_and_forgetting_of_another: {("completed",)},
    finishes_across_two_batches: {("completed",) * 4},
    one_batch_twice: {("queued", "queued")},
    batch_and_submit_with_their_keys_crossed: {("queued",) * 4},
}
"""Each race, and all that may come of it."""

_ENDED: Final = {
    two_finishes: 1,
    finish_and_cancel: 1,
    finish_and_rescue_of_the_same: 1,
    finish_expiry_and_upkeep: 1,
    finish_and_forgetting_of_another: 1,
    finishes_across_two_batches: 2,
}
"""How many batches are over after a race in which each is ended."""


def told(outcome: Any) -> list[BatchId]:
    """Name the batches of which a verb says that they are over."""
    match outcome:
        case Settled() | Tended():
            news = outcome.news
        case Changed():
            news = list(outcome.others)
        case (list() as news, _):
            pass
        case _:
            news = []
    return [BatchId(one.job_id) for one in news if one.sequence == COMPLETED]


@pytest.mark.parametrize("given", RACES, ids=lambda given: given.__name__)
async def test_a_batch_ends_once(bench: Bench, given: Given) -> None:
    """Whoever commits last sees that it is the last; of two that see it one says so."""
    seen: Ends = set()
    for order in await scripts(bench, given, few=FEW):
        outcomes = await run(bench, given, order)

        seen.add(await states(bench))
        if given in _ENDED:
            over = await bench.sql("SELECT id FROM batches WHERE completed_at IS NOT NULL")
            assert len(over) == _ENDED[given], order
            known = {row["id"] for row in over}
            said = [one for outcome in outcomes.values() for one in told(outcome) if one in known]
            assert sorted(said) == sorted(known), order
    assert seen == RACES[given]


async def test_what_nobody_ended_is_ended_by_upkeep(bench: Bench) -> None:
    """Whoever ended the last job died before he could say so."""
    batch_id, _ = await bench.batch_of(3, delay=timedelta(hours=1))
    await bench.sql("UPDATE jobs SET state = 'cancelled', completed_at = now(), due = NULL")
    assert not (await bench.batch_view(batch_id)).has_ended

    news, _ = await bench.upkeep.close_batches(START)

    assert [(BatchId(one.job_id), one.sequence) for one in news] == [(batch_id, COMPLETED)]
    assert (await bench.batch_view(batch_id)).has_ended
