"""A claim and another verb at once: one runs at a time, and only whose turn it is."""

from collections.abc import Mapping
from typing import Final

import pytest

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
    hold,
    knocks_again,
    overdue,
    puts_back,
    replays,
    sends,
    takes,
)
from tests.support.interleaving import Verb

pytestmark = pytest.mark.servers


async def claim_and_claim(bench: Bench) -> Mapping[str, Verb]:
    ids = [await bench.submit(ordering_key="k" if n % 2 else None) for n in range(4)]
    return {"one": claims(*ids), "other": claims(*reversed(ids))}


async def claim_and_cancel(bench: Bench) -> Mapping[str, Verb]:
    job_id = await bench.submit()
    return {"claim": claims(job_id), "cancel": cancels(job_id)}


async def claim_and_cancel_of_a_key(bench: Bench) -> Mapping[str, Verb]:
    first, _ = [await bench.submit(ordering_key="k") for _ in range(2)]
    return {"claim": claims(first), "cancel": cancels(first)}


async def claim_and_expiry(bench: Bench) -> Mapping[str, Verb]:
    first, _ = [await bench.submit(ordering_key="k") for _ in range(2)]
    await overdue(bench, first)
    return {"claim": claims(first), "expire": expires}


async def claim_and_scheduler(bench: Bench) -> Mapping[str, Verb]:
    first = await bench.submit(ordering_key="k", delay=AN_HOUR)
    await due_now(bench, first)
    return {"claim": claims(first), "scheduler": comes_due}


async def claim_and_replay(bench: Bench) -> Mapping[str, Verb]:
    first = await failed(bench, ordering_key="k")
    return {"claim": claims(first), "replay": replays(first)}


async def claim_with_some_left_for_later_and_finish(bench: Bench) -> Mapping[str, Verb]:
    first = await bench.running(ordering_key="k")
    second, third = [await bench.submit(ordering_key="k") for _ in range(2)]
    free = await bench.submit()
    return {"claim": claims(third, later=(second, free)), "finish": finishes(first)}


async def forged_knock_and_hand_over(bench: Bench) -> Mapping[str, Verb]:
    first = await bench.running(ordering_key="k")
    behind = [await bench.submit(ordering_key="k") for _ in range(2)]
    return {"claim": claims(*behind), "finish": finishes(first, has_turn=True)}


async def forged_knock_and_claim_of_the_head(bench: Bench) -> Mapping[str, Verb]:
    first, second, third = [await bench.submit(ordering_key="k") for _ in range(3)]
    return {"forged": claims(third, second), "claim": claims(first)}


async def forged_knock_claim_and_cancel_of_the_head(bench: Bench) -> Mapping[str, Verb]:
    first, second = [await bench.submit(ordering_key="k") for _ in range(2)]
    return {"forged": claims(second), "claim": claims(first), "cancel": cancels(first)}


async def two_forged_knocks_and_hand_over(bench: Bench) -> Mapping[str, Verb]:
    first = await bench.running(ordering_key="k")
    ids = [await bench.submit(ordering_key="k") for _ in range(2)]
    return {"one": claims(*ids), "other": claims(*reversed(ids)), "finish": finishes(first)}


async def claim_and_relay(bench: Bench) -> Mapping[str, Verb]:
    job_id = await bench.submit()
    await bench.sql("UPDATE outbox SET due = clock_timestamp()")
    return {"claim": claims(job_id), "relay": takes}


async def claim_and_another_knock(bench: Bench) -> Mapping[str, Verb]:
    first, _ = [await bench.submit(ordering_key="k") for _ in range(2)]
    return {"claim": claims(first), "rescuer": knocks_again}


async def another_knock_and_another(bench: Bench) -> Mapping[str, Verb]:
    await bench.submit()
    await bench.submit(ordering_key="k")
    return {"one": knocks_again, "other": knocks_again}


async def relay_and_relay(bench: Bench) -> Mapping[str, Verb]:
    await bench.submit()
    await bench.submit()
    await bench.sql("UPDATE outbox SET due = clock_timestamp()")
    return {"one": takes, "other": takes}


async def confirm_and_relay(bench: Bench) -> Mapping[str, Verb]:
    job = await bench.running()
    await bench.sql("UPDATE outbox SET due = clock_timestamp()")
    [row] = await bench.sql("SELECT id FROM outbox")
    return {"confirm": sends(row["id"]), "relay": takes, "claim": claims(job.id)}


async def what_is_put_back_and_relay(bench: Bench) -> Mapping[str, Verb]:
    await bench.submit()
    [row] = await bench.sql("SELECT id FROM outbox")
    return {"back": puts_back(row["id"]), "relay": takes}


RACES: Final[Mapping[Given, Ends]] = {
    claim_and_claim: {("running", "running", "running", "queued")},
    claim_and_cancel: {("cancelled",), ("cancelling",)},
    claim_and_cancel_of_a_key: {("cancelled", "queued"), ("cancelling", "queued")},
    claim_and_expiry: {("expired", "queued")},
    claim_and_scheduler: {("queued",), ("running",)},
    claim_and_replay: {("queued",), ("running",)},
    claim_with_some_left_for_later_and_finish: {("queued", "completed", "queued", "queued")},
    forged_knock_and_hand_over: {("completed", "running", "queued")},
    forged_knock_and_claim_of_the_head: {("running", "queued", "queued")},
    forged_knock_claim_and_cancel_of_the_head: {
        ("cancelled", "queued"),
        ("cancelled", "running"),
        ("cancelling", "queued"),
    },
    two_forged_knocks_and_hand_over: {
        ("completed", "queued", "queued"),
        ("completed", "running", "queued"),
    },
    claim_and_relay: {("running",)},
    claim_and_another_knock: {("queued", "queued"), ("running", "queued")},
    another_knock_and_another: {("queued", "queued")},
    relay_and_relay: {("queued", "queued")},
    confirm_and_relay: {("running",)},
    what_is_put_back_and_relay: {("queued",)},
}
"""Each race, and all that may come of it."""


@pytest.mark.parametrize("given", RACES, ids=lambda given: given.__name__)
async def test_i5_a_claim_meets_another_verb(bench: Bench, given: Given) -> None:
    """Forged, doubled and late knocks change nothing; a cancelled job does not begin."""
    await hold(bench, given, RACES[given])
