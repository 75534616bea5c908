"""Cancel, replay, release and clean-up, at once with one another and with a claim."""

from collections.abc import Mapping
from typing import Final

import pytest

from shared.contract.ids import THE_TENANT
from shared.contract.jobs import Job, Uniqueness
from shared.store.pool import Pool
from tests.integration.bench import Bench
from tests.integration.races import (
    AN_HOUR,
    Ends,
    Given,
    a_blob,
    cancels,
    claims,
    comes_due,
    deletes,
    does,
    due_now,
    failed,
    forgets,
    forgets_blobs,
    hold,
    keeps,
    outlived,
    overdue,
    releases,
    replays,
    submits,
)
from tests.support.interleaving import Verb

pytestmark = pytest.mark.servers


async def cancel_and_cancel(bench: Bench) -> Mapping[str, Verb]:
    first, _ = [await bench.submit(ordering_key="k") for _ in range(2)]
    return {"one": cancels(first), "other": cancels(first)}


async def cancel_of_the_head_and_of_the_next(bench: Bench) -> Mapping[str, Verb]:
    first, second, _ = [await bench.submit(ordering_key="k") for _ in range(3)]
    return {"one": cancels(first), "other": cancels(second)}


async def replay_and_replay(bench: Bench) -> Mapping[str, Verb]:
    job_id = await failed(bench)
    return {"one": replays(job_id), "other": replays(job_id)}


async def replay_and_replay_of_another_of_the_key(bench: Bench) -> Mapping[str, Verb]:
    one, other = [await failed(bench, ordering_key="k") for _ in range(2)]
    return {"one": replays(one), "other": replays(other)}


async def replay_and_cancel(bench: Bench) -> Mapping[str, Verb]:
    job_id = await failed(bench, ordering_key="k")
    return {"replay": replays(job_id), "cancel": cancels(job_id)}


async def replay_and_cancel_of_the_head(bench: Bench) -> Mapping[str, Verb]:
    job_id = await failed(bench, ordering_key="k")
    return {"replay": replays(job_id), "cancel": cancels(await bench.submit(ordering_key="k"))}


async def replay_and_scheduler(bench: Bench) -> Mapping[str, Verb]:
    job_id = await failed(bench, ordering_key="k")
    await due_now(bench, await bench.submit(ordering_key="k", delay=AN_HOUR))
    return {"replay": replays(job_id), "scheduler": comes_due}


async def replay_and_release(bench: Bench) -> Mapping[str, Verb]:
    job_id = await failed(bench, ordering_key="k", blocks=True)
    await bench.submit(ordering_key="k")
    return {"replay": replays(job_id), "release": releases(job_id)}


async def replay_and_forgetting(bench: Bench) -> Mapping[str, Verb]:
    job_id = await failed(bench, ordering_key="k")
    await outlived(bench)
    return {"replay": replays(job_id), "forget": forgets}


async def deletion_and_replay(bench: Bench) -> Mapping[str, Verb]:
    job_id = await failed(bench, ordering_key="k", unique=Uniqueness(key="u"))
    return {"delete": deletes(job_id), "replay": replays(job_id)}


async def replay_and_effect_of_the_old_run(bench: Bench) -> Mapping[str, Verb]:
    job = await bench.running()
    await overdue(bench, job.id)
    await bench.upkeep.expire()
    return {"replay": replays(job.id), "effect": does(job), "claim": claims(job.id)}


async def release_and_release(bench: Bench) -> Mapping[str, Verb]:
    job_id = await failed(bench, ordering_key="k", blocks=True)
    await bench.submit(ordering_key="k")
    return {"one": releases(job_id), "other": releases(job_id)}


async def release_and_cancel_of_the_next(bench: Bench) -> Mapping[str, Verb]:
    job_id = await failed(bench, ordering_key="k", blocks=True)
    second, _ = [await bench.submit(ordering_key="k") for _ in range(2)]
    return {"release": releases(job_id), "cancel": cancels(second)}


async def release_and_claim_of_the_next(bench: Bench) -> Mapping[str, Verb]:
    job_id = await failed(bench, ordering_key="k", blocks=True)
    second, _ = [await bench.submit(ordering_key="k") for _ in range(2)]
    return {"release": releases(job_id), "claim": claims(second)}


async def release_and_forgetting(bench: Bench) -> Mapping[str, Verb]:
    job_id = await failed(bench, ordering_key="k", blocks=True)
    await outlived(bench)
    return {"release": releases(job_id), "forget": forgets, "submit": submits()}


async def forgetting_and_forgetting(bench: Bench) -> Mapping[str, Verb]:
    """One sees the first job of a key, the other both or the second."""
    first, second = [await bench.ended(ordering_key="k") for _ in range(2)]
    await _outlived(bench.pool, first)

    async def forget_a_moment_later(pool: Pool) -> object:
        await _outlived(pool, second)
        return await forgets(pool)

    return {"one": forgets, "other": forget_a_moment_later}


async def _outlived(pool: Pool, job: Job) -> None:
    await pool.fetch("UPDATE jobs SET expires_at = clock_timestamp() WHERE id = $1", job.id)


async def blobs_forgotten_and_used(bench: Bench) -> Mapping[str, Verb]:
    blob = a_blob()
    await bench.blobs.add(THE_TENANT, blob)
    return {"forget": forgets_blobs, "submit": submits(None, blobs=(blob.id,))}


async def blobs_forgotten_and_kept(bench: Bench) -> Mapping[str, Verb]:
    job, blob = await bench.running(), a_blob()
    await bench.blobs.add(THE_TENANT, a_blob())
    return {"forget": forgets_blobs, "keep": keeps(blob, job.id)}


RACES: Final[Mapping[Given, Ends]] = {
    cancel_and_cancel: {("cancelled", "queued")},
    cancel_of_the_head_and_of_the_next: {("cancelled", "cancelled", "queued")},
    replay_and_replay: {("queued",)},
    replay_and_replay_of_another_of_the_key: {("queued", "queued")},
    replay_and_cancel: {("cancelled",), ("queued",)},
    replay_and_cancel_of_the_head: {("cancelled", "queued")},
    replay_and_scheduler: {("queued", "queued")},
    replay_and_release: {("queued", "queued")},
    replay_and_forgetting: {(), ("queued",)},
    deletion_and_replay: {(), ("queued",)},
    replay_and_effect_of_the_old_run: {("queued",), ("running",)},
    release_and_release: {("failed", "queued")},
    release_and_cancel_of_the_next: {("failed", "cancelled", "queued")},
    release_and_claim_of_the_next: {
        ("failed", "queued", "queued"),
        ("failed", "running", "queued"),
    },
    release_and_forgetting: {("failed", "queued"), ("queued",)},
    forgetting_and_forgetting: {()},
    blobs_forgotten_and_used: {(), ("queued",)},
    blobs_forgotten_and_kept: {("running",)},
}
"""Each race, and all that may come of it."""


@pytest.mark.parametrize("given", RACES, ids=lambda given: given.__name__)
async def test_what_callers_wish_at_once(bench: Bench, given: Given) -> None:
    """A second run is opened once, a key is freed once, and what is gone stays gone."""
    await hold(bench, given, RACES[given])
