"""What readers are told: one tenant's jobs, whole and in order."""

from datetime import timedelta
from typing import Final

import pytest

from shared.contract.authoring import Blob
from shared.contract.errors import Unavailable, UnknownBlob, UnknownJob
from shared.contract.ids import THE_TENANT, BlobId, JobId, uuid7
from shared.contract.jobs import Priority
from shared.contract.states import Move, State
from shared.contract.status import MOST_INLINE
from shared.store.pool import open_pool
from shared.store.reads import Filters
from tests.integration.bench import Bench, a_bench
from tests.support.builders import a_job_id, a_tenant

pytestmark = pytest.mark.servers

EVERYTHING: Final = Filters()


async def test_a_job_is_read_as_it_was_submitted(bench: Bench) -> None:
    """The status document is made of this and of nothing else."""
    job_id = await bench.submit(
        ordering_key="k", priority=Priority.HIGH, tags=("a", "b"), max_attempts=7, track_id="t"
    )

    view = await bench.view(job_id)

    assert (view.id, view.tenant, view.type) == (job_id, THE_TENANT, "demo.echo")
    assert (view.ordering_key, view.priority, view.tags) == ("k", "high", ("a", "b"))
    assert (view.max_attempts, view.attempt, view.track_id) == (7, 0, "t")
    assert (view.state, view.sequence, view.replays) == (State.QUEUED, 1, 0)


async def test_a_large_result_is_read_only_by_whoever_asks_for_it(bench: Bench) -> None:
    """A status is asked for often: it must stay small."""
    large, small = await bench.running(), await bench.running()
    await bench.finish(large, result=b"1" * (MOST_INLINE + 1))
    await bench.finish(small, result=b"1" * MOST_INLINE)

    assert (await bench.view(large.id)).result is None
    assert (await bench.view(small.id)).result is not None
    whole = await bench.reads.job(THE_TENANT, large.id, whole=True)
    assert len(whole.result or b"") == MOST_INLINE + 1


async def test_i11_another_tenants_job_is_as_unknown_as_none(bench: Bench) -> None:
    """S15: by id, in a history, and in a list."""
    theirs = a_tenant()
    job_id = await bench.submit(tenant=theirs)

    with pytest.raises(UnknownJob):
        await bench.view(job_id)
    assert await bench.reads.history({(THE_TENANT, job_id): 0}) == {}
    assert await bench.reads.jobs(THE_TENANT, EVERYTHING, limit=10) == []
    assert [view.id for view in await bench.reads.jobs(theirs, EVERYTHING, limit=10)] == [job_id]


async def test_i6_a_history_has_every_event_after_a_number(bench: Bench) -> None:
    """What a client that comes back has missed: all of it, and nothing twice."""
    job = await bench.running()
    await bench.finish(job, Move.FAIL)
    other = await bench.submit()

    told = await bench.reads.history({(THE_TENANT, job.id): 1, (THE_TENANT, other): 0})

    view, events = told[job.id]
    assert [(event.sequence, event.kind) for event in events] == [(2, "running"), (3, "failed")]
    assert events[-1].error is not None
    assert view.sequence == 3
    assert [event.kind for event in told[other][1]] == ["accepted"]


async def test_a_line_is_read_in_the_order_of_its_knocks(bench: Bench) -> None:
    """Of each priority the first few; what runs, waits for its time or its key stands in none."""
    await bench.running()
    await bench.submit(delay=timedelta(hours=1))
    keyed, _ = await bench.submit(ordering_key="k"), await bench.submit(ordering_key="k")
    late = await bench.submit()
    high = await bench.submit(priority=Priority.HIGH)
    await bench.submit(pool="elsewhere")
    beyond = await bench.submit()

    line = await bench.reads.line("default", 2)

    assert [(one.id, one.priority) for one in line] == [
        (high, "high"),
        (keyed, "normal"),
        (late, "normal"),
    ]
    assert beyond not in {one.id for one in line}


async def test_a_job_of_a_key_knows_what_is_before_it(bench: Bench) -> None:
    """What has ended, comes after, or is another tenant's does not keep it waiting."""
    await bench.ended(ordering_key="k")
    await bench.running(ordering_key="k")
    await bench.submit(ordering_key="k", type="demo.fail")
    job_id = await bench.submit(ordering_key="k")
    await bench.submit(ordering_key="k")
    await bench.submit(ordering_key="k", tenant=a_tenant())

    before = await bench.reads.before(THE_TENANT, job_id, 200)

    assert before == [("demo.echo", State.RUNNING), ("demo.fail", State.QUEUED)]
    with pytest.raises(Unavailable):
        await bench.reads.before(THE_TENANT, job_id, 2)
    assert await bench.reads.before(a_tenant(), job_id, 200) == []


async def test_a_list_is_read_page_by_page_newest_first(bench: Bench) -> None:
    """A cursor is an id: what is submitted meanwhile moves nothing."""
    ids = sorted([await bench.submit() for _ in range(5)], reverse=True)

    first = await bench.reads.jobs(THE_TENANT, EVERYTHING, limit=2)
    await bench.submit(id=JobId(uuid7(2**47, bytes(10))))
    second = await bench.reads.jobs(THE_TENANT, EVERYTHING, limit=9, before=first[-1].id)

    assert [view.id for view in (*first, *second)] == ids


@pytest.mark.parametrize(
    ("filters", "found"),
    [
        (Filters(states=[State.COMPLETED]), ["done"]),
        (Filters(states=[State.COMPLETED, State.QUEUED]), ["plain", "keyed", "tagged", "done"]),
        (Filters(states=[]), []),
        (Filters(type="videos.transcode"), ["tagged"]),
        (Filters(ordering_key="k"), ["keyed"]),
        (Filters(tag="red"), ["tagged"]),
        (Filters(tag="red", type="demo.echo"), []),
    ],
    ids=["state", "states", "no state", "type", "key", "tag", "both"],
)
async def test_a_list_shows_what_its_filters_say(
    bench: Bench, filters: Filters, found: list[str]
) -> None:
    """All that are given hold at once."""
    ids = {
        "plain": await bench.submit(),
        "keyed": await bench.submit(ordering_key="k"),
        "tagged": await bench.submit(tags=("red", "round"), type="videos.transcode"),
        "done": (await bench.ended()).id,
    }

    listed = {view.id for view in await bench.reads.jobs(THE_TENANT, filters, limit=10)}

    assert listed == {ids[name] for name in found}


async def test_a_list_can_be_cut_by_time(bench: Bench) -> None:
    """Both ends are open: the moment itself is on neither side."""
    job_id = await bench.submit()
    at = (await bench.view(job_id)).created_at
    moment = timedelta(microseconds=1)

    async def between(after: timedelta, before: timedelta) -> bool:
        filters = Filters(created_after=at + after, created_before=at + before)
        return bool(await bench.reads.jobs(THE_TENANT, filters, limit=10))

    assert await between(-moment, moment)
    assert not await between(timedelta(0), moment)
    assert not await between(-moment, timedelta(0))


async def test_a_blob_is_its_tenants_own(bench: Bench) -> None:
    """I11: the bytes of a stranger are as unknown as none."""
    theirs = a_tenant()
    blob = Blob(
        id=BlobId(a_job_id()), name="a.pdf", content_type="text/plain", size_bytes=7, sha256="ab"
    )
    await bench.blobs.add(theirs, blob)

    assert await bench.blobs.get(theirs, blob.id) == blob
    with pytest.raises(UnknownBlob):
        await bench.blobs.get(THE_TENANT, blob.id)


async def test_a_blob_may_be_noted_twice(bench: Bench) -> None:
    """Whoever got no answer asks again, and must not be refused for having been heard."""
    job = await bench.running()
    blob = Blob(
        id=BlobId(a_job_id()), name="a.pdf", content_type="text/plain", size_bytes=7, sha256="ab"
    )

    await bench.blobs.add(THE_TENANT, blob, job.id)
    await bench.blobs.add(THE_TENANT, blob, job.id)

    assert await bench.blobs.get(THE_TENANT, blob.id) == blob
    assert len(await bench.sql("SELECT FROM blob_uses")) == 1


async def test_a_blob_that_a_job_made_lives_as_long_as_the_job(bench: Bench) -> None:
    """I9: a result may link to it; afterwards it is swept away."""
    job = await bench.running()
    blob = Blob(
        id=BlobId(a_job_id()), name="a.pdf", content_type="text/plain", size_bytes=7, sha256="ab"
    )
    await bench.blobs.add(THE_TENANT, blob, job.id)
    await bench.finish(job)
    assert await bench.upkeep.forget_blobs(older=timedelta(0)) == []

    await bench.sql("UPDATE jobs SET expires_at = clock_timestamp() - interval '1 second'")
    await bench.upkeep.forget()

    assert await bench.upkeep.forget_blobs(older=timedelta(0)) == [blob.id]


async def test_a_fresh_upload_is_kept_for_the_submit_that_will_use_it(bench: Bench) -> None:
    """It has no job yet, and must not vanish under the caller's hands."""
    blob = Blob(
        id=BlobId(a_job_id()), name="a.pdf", content_type="text/plain", size_bytes=7, sha256="ab"
    )
    await bench.blobs.add(THE_TENANT, blob)

    assert await bench.upkeep.forget_blobs(older=timedelta(hours=1)) == []


async def test_files_that_no_row_speaks_of_are_told_apart(bench: Bench) -> None:
    """Whatever has a row stays, whoever it belongs to: only files nobody knows may go."""
    known, stray = BlobId(a_job_id()), BlobId(a_job_id())
    blob = Blob(id=known, name="a.pdf", content_type="text/plain", size_bytes=7, sha256="ab")
    await bench.blobs.add(a_tenant(), blob)

    assert await bench.upkeep.unknown_blobs([known, stray]) == [stray]
    assert await bench.upkeep.unknown_blobs([]) == []


async def test_a_database_has_a_name_that_no_other_has(bench: Bench, bare_database: str) -> None:
    """By it a folder of files is told whose it is; a dump that is read in elsewhere has another."""
    name = await bench.upkeep.which()

    async with open_pool(bare_database, size=1, name="test") as pool:
        other = await a_bench(bare_database, pool).upkeep.which()

    assert await bench.upkeep.which() == name
    assert other != name
    assert other.partition("/")[0] == name.partition("/")[0]  # one server
