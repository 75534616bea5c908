"""What the store promises of a submit."""

import asyncio
from datetime import UTC, datetime, timedelta

import asyncpg
import pytest

from shared.contract.authoring import Blob
from shared.contract.errors import IdempotencyMismatch, Invalid, Unavailable, Undecided
from shared.contract.ids import THE_TENANT, BlobId
from shared.contract.jobs import Priority
from shared.contract.states import State
from shared.store.batches import Admitted
from shared.store.intake import Intake
from tests.integration.bench import NO_WAIT, Bench, open_bench
from tests.support.builders import a_job_id, a_submission, a_tenant, an_idempotency

pytestmark = pytest.mark.servers


async def test_an_accepted_job_is_stored_with_its_event_and_its_knock(bench: Bench) -> None:
    """One commit holds all three: a crash after it loses nothing."""
    admitted = await bench.admit()

    job_id = admitted.accepted.job_id
    assert await bench.state(job_id) is State.QUEUED
    assert await bench.kinds(job_id) == ["accepted"]
    assert await bench.knocked() == [job_id]
    assert admitted.row is not None
    assert admitted.row.route == "jobs.default.normal"


async def test_submits_that_arrive_together_share_a_knock(bench: Bench) -> None:
    """The AMQP frame is the dearest part of a job: 32 share one."""
    admitted = await asyncio.gather(*(bench.admit() for _ in range(80)))

    rows = {one.row.id: one.row for one in admitted if one.row is not None}
    assert len(rows) < 10
    assert max(len(row.job_ids) for row in rows.values()) == 32
    assert sorted(await bench.knocked()) == sorted(one.accepted.job_id for one in admitted)


async def test_a_knock_names_jobs_of_one_queue_only(bench: Bench) -> None:
    """A worker of one pool has no use for jobs of another."""
    wishes = [
        {"pool": "default", "priority": Priority.HIGH},
        {"pool": "default", "priority": Priority.LOW},
        {"pool": "video", "priority": Priority.HIGH},
    ]
    await asyncio.gather(*(bench.admit(**wish) for wish in wishes * 3))

    routes = [row["route"] for row in await bench.sql("SELECT DISTINCT route FROM outbox")]
    assert sorted(routes) == ["jobs.default.high", "jobs.default.low", "jobs.video.high"]


async def test_a_job_for_later_waits_and_is_not_knocked_for(bench: Bench) -> None:
    """The broker only ever holds what may run now."""
    delayed = await bench.admit(delay=timedelta(hours=1))
    dated = await bench.admit(run_at=datetime.now(UTC) + timedelta(hours=1))
    past = await bench.admit(run_at=datetime.now(UTC) - timedelta(hours=1))

    assert await bench.state(delayed.accepted.job_id) is State.SCHEDULED
    assert await bench.state(dated.accepted.job_id) is State.SCHEDULED
    assert delayed.row is None
    assert await bench.knocked() == [past.accepted.job_id]


async def test_every_job_has_a_deadline_counted_from_when_it_is_due(bench: Bench) -> None:
    """I3: whatever happens to it, it comes to an end; a long delay does not eat its time."""
    job_id = await bench.submit(delay=timedelta(days=30), max_age=timedelta(days=1))

    [row] = await bench.sql("SELECT deadline - due AS lasts FROM jobs WHERE id = $1", job_id)
    assert row["lasts"] == timedelta(days=1)


async def test_only_the_first_of_a_key_is_knocked_for(bench: Bench) -> None:
    """The others have their turn when it comes to them."""
    admitted = await asyncio.gather(*(bench.admit(ordering_key="k") for _ in range(5)))

    ids = [one.accepted.job_id for one in admitted]
    assert await bench.knocked() == ids[:1]
    assert await bench.head("k") == ids[0]
    places = await bench.sql("SELECT id, seq FROM jobs ORDER BY seq")
    assert [(row["id"], row["seq"]) for row in places] == list(zip(ids, range(1, 6), strict=True))


async def test_the_same_key_of_two_tenants_is_two_keys(bench: Bench) -> None:
    """I11: nobody's order depends on a stranger's."""
    one = await bench.admit(ordering_key="k")
    other = await bench.admit(ordering_key="k", tenant=a_tenant())

    assert sorted(await bench.knocked()) == sorted([one.accepted.job_id, other.accepted.job_id])


async def test_i7_fifty_at_once_with_one_idempotency_key_are_one_job(bench: Bench) -> None:
    """A caller that sends again because it is unsure must never double its request."""
    submissions = [a_submission(idempotency=an_idempotency("same")) for _ in range(50)]

    admitted = await asyncio.gather(*(bench.intake.admit(s) for s in submissions))

    assert len({one.accepted.job_id for one in admitted}) == 1
    assert sum(not one.accepted.replayed for one in admitted) == 1
    assert len(await bench.sql("SELECT FROM jobs")) == 1
    assert len(await bench.knocked()) == 1


async def test_i7_two_replicas_at_once_make_one_job(database: str, bench: Bench) -> None:
    """The unique key decides, not a look before: no lock of one process would help."""
    async with open_bench(database, size=4) as other:
        rounds = [f"key-{n}" for n in range(20)]
        both = await asyncio.gather(
            *(b.admit(idempotency=an_idempotency(key)) for key in rounds for b in (bench, other))
        )

    assert len(await bench.sql("SELECT FROM jobs")) == len(rounds)
    assert sum(one.accepted.replayed for one in both) == len(rounds)


async def test_i7_another_request_under_the_same_key_is_refused(bench: Bench) -> None:
    """Nobody is told that something was accepted that never will be done."""
    first = await bench.submit(idempotency=an_idempotency("k", request=b"one"))

    with pytest.raises(IdempotencyMismatch):
        await bench.submit(idempotency=an_idempotency("k", request=b"other"))

    assert [row["id"] for row in await bench.sql("SELECT id FROM jobs")] == [first]


async def test_i7_a_key_is_its_callers_own(bench: Bench) -> None:
    """I11: another caller, or another tenant, has never heard of it."""
    await bench.submit(idempotency=an_idempotency("k", request=b"one"))

    await bench.submit(idempotency=an_idempotency("k", request=b"two", caller="somebody else"))
    await bench.submit(idempotency=an_idempotency("k", request=b"three"), tenant=a_tenant())

    assert len(await bench.sql("SELECT FROM jobs")) == 3


async def test_i7_refused_keeps_nothing(bench: Bench) -> None:
    """After a mistake is mended the same key must work: nothing was promised under it."""
    unknown = BlobId(a_job_id())
    with pytest.raises(Invalid, match=str(unknown)):
        await bench.submit(idempotency=an_idempotency("k"), ordering_key="o", blobs=(unknown,))
    assert await bench.sql("SELECT FROM idempotency_keys") == []
    assert await bench.sql("SELECT FROM key_heads") == []

    mended = await bench.admit(idempotency=an_idempotency("k", request=b"mended"))

    assert not mended.accepted.replayed


async def test_a_blob_of_another_tenant_is_unknown(bench: Bench) -> None:
    """I11: the same answer as for one that never was."""
    theirs = a_tenant()
    blob = a_blob()
    await bench.blobs.add(theirs, blob)

    with pytest.raises(Invalid, match=str(blob.id)):
        await bench.submit(blobs=(blob.id,))
    await bench.submit(blobs=(blob.id,), tenant=theirs)


async def test_a_blob_that_a_job_uses_is_kept(bench: Bench) -> None:
    """The handler may ask for it days later."""
    used, unused = a_blob(), a_blob()
    await bench.blobs.add(THE_TENANT, used)
    await bench.blobs.add(THE_TENANT, unused)
    await bench.submit(blobs=(used.id, used.id))

    assert await bench.upkeep.forget_blobs(older=timedelta(0)) == [unused.id]


@pytest.mark.parametrize(
    "poison",
    [
        {"traceparent": "a\x00b"},
        {"callback_url": "\ud800"},
        {"max_attempts": 2**40},
        {"priority": "urgent"},
        {"blobs": (BlobId(a_job_id()),)},
    ],
    ids=["nul", "surrogate", "too large", "not a value", "unknown blob"],
)
async def test_i18_a_poisoned_row_spoils_only_itself(
    bench: Bench, poison: dict[str, object]
) -> None:
    """A batch is only an optimisation: neighbours by chance share no fate."""
    good = [a_submission(ordering_key="k" if n % 2 else None) for n in range(20)]
    bad = a_submission(**poison)

    answers = await asyncio.gather(
        *(bench.intake.admit(s) for s in (*good[:10], bad, *good[10:])), return_exceptions=True
    )

    assert isinstance(answers.pop(10), Exception)
    assert all(isinstance(answer, Admitted) for answer in answers)
    stored = {row["id"] for row in await bench.sql("SELECT id FROM jobs")}
    assert stored == {s.id for s in good}
    lane = [
        row["id"] for row in await bench.sql("SELECT id FROM jobs WHERE key = 'k' ORDER BY seq")
    ]
    assert lane == [s.id for s in good if s.ordering_key]


async def test_i18_a_caller_that_goes_away_spoils_nobody_else(bench: Bench) -> None:
    """Its neighbours share the commit, not the fate."""
    submissions = [a_submission() for _ in range(5)]
    tasks = [asyncio.create_task(bench.intake.admit(s)) for s in submissions]
    await asyncio.sleep(0)

    tasks[2].cancel()
    answers = await asyncio.gather(*tasks, return_exceptions=True)
    await bench.intake.drain()

    assert sum(isinstance(answer, Admitted) for answer in answers) == 4
    stored = {row["id"] for row in await bench.sql("SELECT id FROM jobs")}
    assert stored >= {s.id for n, s in enumerate(submissions) if n != 2}


async def test_a_key_that_is_still_being_decided_is_undecided(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who holds it may yet roll back: neither yes nor no would be true; 409 says ask again."""
    monkeypatch.setattr("shared.store.intake._PATIENCE", 5.0)  # a busy machine needs its time
    intake = Intake(bench.pool, confirm_wait=NO_WAIT)
    holder = await asyncpg.connect(bench.url)
    try:
        async with holder.transaction():
            await holder.execute(
                "INSERT INTO idempotency_keys (tenant, caller, key, fingerprint, job_id)"
                " VALUES ($1, 'caller', 'k', 'same', $2)",
                THE_TENANT,
                a_job_id(),
            )

            with pytest.raises(Undecided):
                await intake.admit(a_submission(idempotency=an_idempotency("k")))
    finally:
        await holder.close()
        await intake.drain()
    assert await bench.sql("SELECT FROM jobs WHERE completed_at IS NULL") == []


async def test_an_ordering_key_that_somebody_holds_too_long_is_unavailable(bench: Bench) -> None:
    """Nothing was kept, and a neighbour of the same batch is accepted all the same."""
    await bench.ended(ordering_key="k")
    holder = await asyncpg.connect(bench.url)
    try:
        async with holder.transaction():
            await holder.execute("SELECT FROM key_heads WHERE key = 'k' FOR UPDATE")

            answers = await asyncio.gather(
                bench.admit(ordering_key="k"), bench.admit(), return_exceptions=True
            )
    finally:
        await holder.close()

    assert isinstance(answers[0], Unavailable)
    assert isinstance(answers[1], Admitted)


async def test_the_database_says_what_time_it_is(bench: Bench) -> None:
    """I14: a front whose clock is wrong tells the truth all the same."""
    accepted = (await bench.admit()).accepted

    [row] = await bench.sql("SELECT created_at FROM jobs WHERE id = $1", accepted.job_id)
    assert accepted.at == row["created_at"]


def a_blob() -> Blob:
    return Blob(
        id=BlobId(a_job_id()),
        name="a.pdf",
        content_type="application/pdf",
        size_bytes=1,
        sha256="0",
    )
