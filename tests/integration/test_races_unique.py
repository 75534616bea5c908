"""Unique keys under fire: whoever asks at once with whom, two jobs never hold one key."""

from collections.abc import Mapping
from datetime import timedelta
from typing import Final

import pytest

from shared.contract.errors import NotUnique
from shared.contract.jobs import OnConflict, Uniqueness
from shared.contract.states import Move
from tests.integration.bench import Bench
from tests.integration.races import (
    Ends,
    Given,
    claims,
    failed,
    finishes,
    forgets,
    hold,
    outlived,
    replays,
    run,
    scripts,
    submits,
)
from tests.support.builders import an_idempotency
from tests.support.interleaving import Verb

pytestmark = pytest.mark.servers

FEW: Final = 24  # orders of each race; 70 were run when it was made
ONE: Final = Uniqueness(key="u")
REJECT: Final = Uniqueness(key="u", on_conflict=OnConflict.REJECT)
REPLACE: Final = Uniqueness(key="u", on_conflict=OnConflict.REPLACE)
A_MOMENT: Final = timedelta(microseconds=1)


async def two_are_one(_: Bench) -> Mapping[str, Verb]:
    return {"one": submits(None, unique=ONE), "other": submits("k", unique=ONE)}


async def one_is_rejected(_: Bench) -> Mapping[str, Verb]:
    name = an_idempotency("mine")
    return {"one": submits(None, unique=ONE), "other": submits(unique=REJECT, idempotency=name)}


async def each_replaces_the_other(bench: Bench) -> Mapping[str, Verb]:
    await bench.submit(unique=ONE, ordering_key="k")
    return {"one": submits(unique=REPLACE), "other": submits(None, unique=REPLACE)}


async def one_request_twice(bench: Bench) -> Mapping[str, Verb]:
    """By one Idempotency-Key, and what they ask for is there already."""
    await bench.submit(unique=ONE)
    name = an_idempotency("mine")
    return dict.fromkeys(("one", "other"), submits(None, unique=ONE, idempotency=name))


async def submit_and_finish_of_the_holder(bench: Bench) -> Mapping[str, Verb]:
    holder = await bench.running(unique=ONE)
    return {"submit": submits(None, unique=ONE), "finish": finishes(holder)}


async def submit_after_its_time(bench: Bench) -> Mapping[str, Verb]:
    await bench.submit(unique=Uniqueness(key="u", lasts=A_MOMENT))
    return {"one": submits(None, unique=ONE), "other": submits(None, unique=ONE)}


async def replacement_and_finish(bench: Bench) -> Mapping[str, Verb]:
    holder = await bench.running(unique=ONE, ordering_key="k")
    return {"submit": submits(unique=REPLACE), "finish": finishes(holder, has_turn=True)}


async def replacement_and_claim(bench: Bench) -> Mapping[str, Verb]:
    holder = await bench.submit(unique=ONE, ordering_key="k")
    return {"submit": submits(None, unique=REPLACE), "claim": claims(holder)}


async def replacements_with_their_keys_crossed(bench: Bench) -> Mapping[str, Verb]:
    for name, key in (("u", "x"), ("v", "y")):
        await bench.submit(unique=Uniqueness(key=name), ordering_key=key)
    other = Uniqueness(key="v", on_conflict=OnConflict.REPLACE)
    return {"one": submits("y", unique=REPLACE), "other": submits("x", unique=other)}


async def submit_and_replay_of_the_last_holder(bench: Bench) -> Mapping[str, Verb]:
    job_id = await failed(bench, unique=ONE)
    return {"submit": submits(None, unique=ONE), "replay": replays(job_id)}


async def two_replays_of_one_name(bench: Bench) -> Mapping[str, Verb]:
    one, other = [await failed(bench, unique=ONE) for _ in range(2)]
    return {"one": replays(one), "other": replays(other)}


async def submit_and_forgetting_of_the_last_holder(bench: Bench) -> Mapping[str, Verb]:
    await bench.ended(Move.COMPLETE, unique=ONE)
    await outlived(bench)
    return {"submit": submits(None, unique=ONE), "forget": forgets}


RACES: Final[Mapping[Given, Ends]] = {
    two_are_one: {("queued",)},
    each_replaces_the_other: {
        ("cancelled", "cancelled", "queued"),
        ("queued", "cancelled", "cancelled"),
    },
    one_request_twice: {("queued",)},
    submit_and_finish_of_the_holder: {("completed",), ("completed", "queued")},
    submit_after_its_time: {("queued", "queued")},
    replacement_and_finish: {("completed", "queued"), ("completed", "running")},
    replacement_and_claim: {("queued", "cancelled"), ("queued", "cancelling")},
    replacements_with_their_keys_crossed: {("cancelled", "cancelled", "queued", "queued")},
    submit_and_replay_of_the_last_holder: {("failed", "queued"), ("queued",)},
    two_replays_of_one_name: {("failed", "queued"), ("queued", "failed")},
    submit_and_forgetting_of_the_last_holder: {("queued",)},
}
"""Each race, and all that may come of it."""


@pytest.mark.parametrize("given", RACES, ids=lambda given: given.__name__)
async def test_a_unique_key_is_held_by_one(bench: Bench, given: Given) -> None:
    """Two that come at once must not both find it free, and what leaves must not hold it."""
    await hold(bench, given, RACES[given], few=FEW)


async def test_the_one_that_is_refused_leaves_nothing(bench: Bench) -> None:
    """Of the two one is a job; the other one was told which, and its name is free."""
    seen = set()
    for order in await scripts(bench, one_is_rejected, few=FEW):
        outcomes = await run(bench, one_is_rejected, order)

        is_refused = isinstance(outcomes["other"], NotUnique)
        jobs = await bench.sql("SELECT id FROM jobs")
        names = await bench.sql("SELECT FROM idempotency_keys")
        assert len(jobs) == 1, order
        assert len(names) == (not is_refused), order
        seen.add(is_refused)
    assert seen == {True, False}
