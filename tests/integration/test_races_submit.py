"""A submit and another verb at once: nobody is forgotten, and nobody takes two places."""

from collections.abc import Mapping
from typing import Final

import pytest

from shared.contract.states import Move
from tests.integration.bench import Bench
from tests.integration.races import (
    AN_HOUR,
    Ends,
    Given,
    cancels,
    claims,
    comes_due,
    due_now,
    expires,
    failed,
    finishes,
    forgets,
    hold,
    outlived,
    overdue,
    releases,
    replays,
    rescues,
    submits,
)
from tests.support.builders import an_idempotency
from tests.support.interleaving import Verb

pytestmark = pytest.mark.servers


async def submit_and_finish(bench: Bench) -> Mapping[str, Verb]:
    first = await bench.running(ordering_key="k")
    return {"submit": submits(), "finish": finishes(first)}


async def submit_and_finish_with_a_turn(bench: Bench) -> Mapping[str, Verb]:
    first = await bench.running(ordering_key="k")
    return {"submit": submits(), "finish": finishes(first, has_turn=True)}


async def submit_and_failure_that_holds(bench: Bench) -> Mapping[str, Verb]:
    first = await bench.running(ordering_key="k", blocks=True)
    return {"submit": submits(), "finish": finishes(first, move=Move.FAIL)}


async def submit_and_cancel(bench: Bench) -> Mapping[str, Verb]:
    first = await bench.submit(ordering_key="k")
    return {"submit": submits(), "cancel": cancels(first)}


async def submit_and_expiry(bench: Bench) -> Mapping[str, Verb]:
    first = await bench.submit(ordering_key="k")
    await overdue(bench, first)
    return {"submit": submits(), "expire": expires}


async def submit_and_rescue(bench: Bench) -> Mapping[str, Verb]:
    first = await bench.running(ordering_key="k")
    await bench.sql("UPDATE jobs SET crashes = 2")
    await bench.let_lapse(first.id)
    return {"submit": submits(), "rescue": rescues}


async def submit_and_replay(bench: Bench) -> Mapping[str, Verb]:
    return {"submit": submits(), "replay": replays(await failed(bench, ordering_key="k"))}


async def submit_and_release(bench: Bench) -> Mapping[str, Verb]:
    first = await failed(bench, ordering_key="k", blocks=True)
    return {"submit": submits(), "release": releases(first)}


async def submit_and_scheduler(bench: Bench) -> Mapping[str, Verb]:
    await due_now(bench, await bench.submit(ordering_key="k", delay=AN_HOUR))
    return {"submit": submits(), "scheduler": comes_due}


async def submit_and_claim(bench: Bench) -> Mapping[str, Verb]:
    return {"submit": submits(), "claim": claims(await bench.submit(ordering_key="k"))}


async def submit_and_forgetting(bench: Bench) -> Mapping[str, Verb]:
    await bench.ended(ordering_key="k")
    await outlived(bench)
    return {"submit": submits(), "forget": forgets}


async def submit_and_submit(_: Bench) -> Mapping[str, Verb]:
    return {"one": submits(), "other": submits()}


async def submit_and_submit_by_one_name(_: Bench) -> Mapping[str, Verb]:
    name = an_idempotency("mine")
    return {"one": submits(None, idempotency=name), "other": submits("k", idempotency=name)}


async def submit_without_a_key_and_with_one(_: Bench) -> Mapping[str, Verb]:
    return {"one": submits(None), "other": submits()}


async def submit_submit_and_finish(bench: Bench) -> Mapping[str, Verb]:
    first = await bench.running(ordering_key="k")
    return {"one": submits(), "other": submits(), "finish": finishes(first)}


RACES: Final[Mapping[Given, Ends]] = {
    submit_and_finish: {("completed", "queued")},
    submit_and_finish_with_a_turn: {("completed", "queued"), ("completed", "running")},
    submit_and_failure_that_holds: {("failed", "queued")},
    submit_and_cancel: {("cancelled", "queued")},
    submit_and_expiry: {("expired", "queued")},
    submit_and_rescue: {("failed", "queued")},
    submit_and_replay: {("queued", "queued")},
    submit_and_release: {("failed", "queued")},
    submit_and_scheduler: {("queued", "queued")},
    submit_and_claim: {("running", "queued")},
    submit_and_forgetting: {("queued",)},
    submit_and_submit: {("queued", "queued")},
    submit_and_submit_by_one_name: {("queued",)},
    submit_without_a_key_and_with_one: {("queued", "queued")},
    submit_submit_and_finish: {("completed", "queued", "queued")},
}
"""Each race, and all that may come of it."""


@pytest.mark.parametrize("given", RACES, ids=lambda given: given.__name__)
async def test_i5_a_submit_meets_another_verb(bench: Bench, given: Given) -> None:
    """Whoever comes while the head leaves is seen by one of the two."""
    await hold(bench, given, RACES[given])
