"""What the store promises of a batch: one commit, each job its own, one ending."""

import asyncio
from typing import Any

import asyncpg
import pytest

from shared.contract.authoring import Blob
from shared.contract.errors import Gone, IdempotencyMismatch, NotUnique, UnknownBatch
from shared.contract.ids import THE_TENANT, BatchId, BlobId, JobId
from shared.contract.jobs import OnConflict, Submission, Uniqueness
from shared.contract.states import Move, State, Status
from shared.store.batch_intake import Torn
from shared.store.reads import Filters
from tests.integration.bench import Bench, a_bundle, a_ruling
from tests.integration.soundness import unsound
from tests.support.builders import a_job_id, a_submission, a_tenant, an_idempotency

pytestmark = pytest.mark.servers

NO_BLOB = BlobId(a_job_id())
MINE = Uniqueness(key="u", on_conflict=OnConflict.REJECT)


async def jobs(bench: Bench) -> list[JobId]:
    return [row["id"] for row in await bench.sql("SELECT id FROM jobs ORDER BY id")]


async def counts(bench: Bench, batch_id: BatchId) -> dict[str, int]:
    view = await bench.batch_view(batch_id)
    return {str(status): count for status, count in view.counts.items() if count}


async def test_a_batch_is_its_jobs_and_their_knocks_in_one_commit(bench: Bench) -> None:
    """32 jobs share a knock, whatever their number."""
    written = await bench.batch_intake.admit(a_bundle(*(a_submission() for _ in range(100))))

    ids = await jobs(bench)
    assert len(ids) == 100
    assert sorted(await bench.knocked()) == ids
    assert len(written.rows) == 4
    assert await unsound(bench) == {}


async def test_jobs_of_one_key_keep_the_order_of_the_batch(bench: Bench) -> None:
    """Their places in the key are as they stand in the request."""
    lot = [a_submission(ordering_key="k") for _ in range(5)]
    await bench.batch(*reversed(lot))

    rows = await bench.sql("SELECT id FROM jobs ORDER BY seq")
    assert [row["id"] for row in rows] == [one.id for one in reversed(lot)]
    assert await bench.knocked() == [lot[-1].id]


@pytest.mark.parametrize(
    "bad",
    [a_submission(blobs=(NO_BLOB,)), a_submission(unique=MINE), a_submission(pool="a\0b")],
    ids=["blob", "unique", "poison"],
)
async def test_one_that_cannot_be_a_job_spoils_only_itself(bench: Bench, bad: Submission) -> None:
    """I18: it is refused in its place, and nothing is kept of it."""
    await bench.submit(unique=MINE)
    good = [a_submission() for _ in range(9)]

    written = await bench.batch_intake.admit(a_bundle(*good[:4], bad, *good[4:]))

    assert written.answer.decode().split(",")[4] == ""
    assert len(await jobs(bench)) == 10
    view = await bench.batch_view(written.id)
    assert (view.refused, sum(view.counts.values())) == (1, 9)
    assert await unsound(bench) == {}


@pytest.mark.parametrize(
    "bad", [a_submission(blobs=(NO_BLOB,)), a_submission(unique=MINE)], ids=["blob", "unique"]
)
async def test_an_atomic_batch_keeps_nothing_if_one_is_refused(
    bench: Bench, bad: Submission
) -> None:
    """Not even its name: it may be mended and handed in again."""
    holder = await bench.submit(unique=MINE)
    name = an_idempotency("mine")

    with pytest.raises(Torn) as torn:
        await bench.batch(a_submission(), bad, atomic=True, idempotency=name)

    assert list(torn.value.refusals) == [bad.id]
    assert await jobs(bench) == [holder]
    assert await bench.batch(a_submission(), atomic=True, idempotency=name)


async def test_a_batch_whose_keys_somebody_holds_goes_on_without_them(bench: Bench) -> None:
    """The others do not wait, and the one is told to come again."""
    await bench.submit(ordering_key="held")
    lot = [a_submission(ordering_key=key) for key in ("a", "held", "b", None)]
    connection = await asyncpg.connect(bench.url)
    try:
        await connection.execute("BEGIN; SELECT FROM key_heads WHERE key = 'held' FOR UPDATE")
        written = await bench.batch_intake.admit(a_bundle(*lot))
    finally:
        await connection.close()

    assert [bool(one) for one in written.answer.decode().split(",")] == [True, False, True, True]
    assert await unsound(bench) == {}


async def test_the_same_request_is_the_same_batch(bench: Bench) -> None:
    """I7, of a whole batch: it is told what it was told."""
    name = an_idempotency("mine")
    first = a_bundle(a_submission(), a_submission(), idempotency=name)
    bundles = [first, *(a_bundle(a_submission(), a_submission(), idempotency=name) for _ in "xyz")]

    written = await asyncio.gather(*map(bench.batch_intake.admit, bundles))

    assert len({one.id for one in written}) == 1
    assert len({one.answer for one in written}) == 1
    assert [one.replayed for one in written].count(False) == 1
    assert len(await jobs(bench)) == 2
    with pytest.raises(IdempotencyMismatch):
        await bench.batch(
            a_submission(), idempotency=an_idempotency("mine", request=b"another one")
        )


async def test_a_batch_counts_what_its_jobs_do(bench: Bench) -> None:
    """By status; its progress is that of its jobs."""
    batch_id, ids = await bench.batch_of(4)
    first, second, third = await bench.claim(*ids[:3])
    await bench.finish(first)
    await bench.finish(second, Move.RETRY)
    await bench.work.progress([(third.id, third.token, 50, "half")])

    view = await bench.batch_view(batch_id)

    assert await counts(bench, batch_id) == {"completed": 1, "pending": 2, "processing": 1}
    assert view.progress == (100 + 0 + 50 + 0) // 4
    assert not view.has_ended


@pytest.mark.parametrize("how", ["finish", "cancel", "expire", "rescue", "replace"])
async def test_the_last_ending_ends_the_batch_however_it_comes(bench: Bench, how: str) -> None:
    """And whoever watches it is told at once."""
    unique = Uniqueness(key="u", on_conflict=OnConflict.REPLACE)
    batch_id, [job_id] = await bench.batch_of(1, unique=unique)
    if how in ("finish", "rescue"):
        [job] = await bench.claim(job_id)
    news: list[Any]
    match how:
        case "finish":
            news = await _finished(bench, job)
        case "cancel":
            changed = await bench.intake.cancel(THE_TENANT, job_id)
            assert changed is not None
            news = list(changed.others)
        case "expire":
            await bench.use_up(job_id)
            news = (await bench.upkeep.expire()).news
        case "rescue":
            await bench.sql("UPDATE jobs SET crashes = 2")
            await bench.let_lapse(job_id)
            news = (await bench.upkeep.rescue()).news
        case _:
            news = list((await bench.admit(unique=unique)).news)

    assert (batch_id, 2) in {(one.job_id, one.sequence) for one in news}
    assert (await bench.batch_view(batch_id)).has_ended


async def _finished(bench: Bench, job: Any) -> list[Any]:
    return (await bench.work.finish([a_ruling(job, Move.COMPLETE)])).news


async def test_a_batch_that_is_over_stays_as_it_was(bench: Bench) -> None:
    """A replay later on opens a new run of the job, and no new end of the batch."""
    batch_id, [job_id] = await bench.batch_of(1)
    [job] = await bench.claim(job_id)
    await bench.finish(job, Move.FAIL)
    over = await bench.batch_view(batch_id)

    await bench.intake.replay(THE_TENANT, job_id)
    await bench.finish((await bench.claim(job_id))[0])

    assert await bench.state(job_id) is State.COMPLETED
    assert await bench.batch_view(batch_id) == over
    assert over.counts[Status.FAILED] == 1


async def test_jobs_that_are_gone_are_counted_still(bench: Bench) -> None:
    """A short-lived result must not make its batch smaller."""
    batch_id, ids = await bench.batch_of(2)
    first, second = await bench.claim(*ids)
    await bench.finish(first, Move.FAIL)
    await bench.sql("UPDATE jobs SET expires_at = clock_timestamp() WHERE id = $1", first.id)
    assert await bench.upkeep.forget() == 1

    assert await counts(bench, batch_id) == {"failed": 1, "processing": 1}
    await bench.finish(second)
    assert await counts(bench, batch_id) == {"failed": 1, "completed": 1}


async def test_a_batch_of_jobs_that_are_there_is_over_at_once(bench: Bench) -> None:
    """All of its submissions were other jobs, by their unique keys: it waits for nothing."""
    unique = Uniqueness(key="u")
    holder = await bench.submit(unique=unique)

    written = await bench.batch_intake.admit(a_bundle(a_submission(unique=unique)))

    assert written.answer.decode() == str(holder)
    assert (await bench.batch_view(written.id)).has_ended


async def test_the_jobs_of_a_batch_are_listed(bench: Bench) -> None:
    """By its id, and of the tenant alone."""
    batch_id, ids = await bench.batch_of(3)
    await bench.submit()

    found = await bench.reads.jobs(THE_TENANT, Filters(batch=batch_id), limit=10)
    strangers = await bench.reads.jobs(a_tenant(), Filters(batch=batch_id), limit=10)

    assert sorted(job.id for job in found) == sorted(ids)
    assert {job.batch for job in found} == {batch_id}
    assert strangers == []


async def test_a_strangers_batch_is_unknown(bench: Bench) -> None:
    """I11: as one that never was."""
    batch_id, _ = await bench.batch_of(1)

    with pytest.raises(UnknownBatch):
        await bench.batches.batch(a_tenant(), batch_id)


async def test_a_batch_is_gone_after_its_time(bench: Bench) -> None:
    """410 and not 404; nothing is left but the tombstone."""
    batch_id, [job_id] = await bench.batch_of(1)
    await bench.finish((await bench.claim(job_id))[0])
    await bench.sql("UPDATE batches SET expires_at = clock_timestamp() - interval '1 s'")

    await bench.upkeep.forget()

    with pytest.raises(Gone):
        await bench.batch_view(batch_id)
    assert await bench.sql("SELECT FROM batch_jobs") == []


async def test_a_name_of_one_batch_is_refused_within_another(bench: Bench) -> None:
    """Unique keys are judged in the order of the batch, as if they came one by one."""
    first, second = a_submission(unique=MINE), a_submission(unique=MINE)
    bundle = a_bundle(first, second)
    errors: list[object] = []
    describe = bundle.describe

    def listening(outcomes: Any) -> bytes:
        errors.append(outcomes[second.id])
        return describe(outcomes)

    await bench.batch(first, second, describe=listening)

    assert isinstance(errors[0], NotUnique)


async def test_a_file_is_kept_for_every_job_of_a_batch(bench: Bench) -> None:
    """As for single submits."""
    blob = Blob(id=BlobId(a_job_id()), name="a", content_type="b", size_bytes=1, sha256="")
    await bench.blobs.add(THE_TENANT, blob)

    await bench.batch(*(a_submission(blobs=(blob.id,)) for _ in range(3)))

    assert len(await bench.sql("SELECT FROM blob_uses")) == 3
