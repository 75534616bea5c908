"""What a race is made of: the verbs of the store, and the run of two or three in every order.

The rescuer of knocks is off here, so that it cannot hide a hand-over that was lost.
"""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from shared.contract.authoring import Blob
from shared.contract.errors import Invalid, NotUnique
from shared.contract.ids import THE_TENANT, BlobId, JobId
from shared.contract.jobs import Job, Submission
from shared.contract.states import Move
from shared.store.batch_rows import START
from shared.store.pool import Pool
from tests.integration.bench import Bench, a_bench, a_bundle, a_ruling
from tests.integration.conftest import EMPTY
from tests.integration.soundness import unsound
from tests.support.builders import a_job_id, a_submission
from tests.support.interleaving import Verb, orders, play, rehearse

Given = Callable[[Bench], Awaitable[Mapping[str, Verb]]]
"""Sets a race up, and gives the verbs that are to run it."""

Ends = set[tuple[str, ...]]
"""All that the jobs of a race may be in the end, in the order of their places or acceptance."""

AN_HOUR: Final = timedelta(hours=1)
_STATES: Final = "SELECT state FROM jobs ORDER BY seq NULLS FIRST, id"


def of(pool: Pool) -> Bench:
    """Make all verbs over the pool of one who takes part."""
    return a_bench("", pool)


def submits(key: str | None = "k", **wishes: Any) -> Verb:
    return lambda pool: of(pool).intake.admit(a_submission(ordering_key=key, **wishes))


def batches(*submissions: Submission, **wishes: Any) -> Verb:
    return lambda pool: of(pool).batch_intake.admit(a_bundle(*submissions, **wishes))


def closes(pool: Pool) -> Awaitable[object]:
    return of(pool).upkeep.close_batches(START)


def claims(*job_ids: JobId, later: Sequence[JobId] = ()) -> Verb:
    return lambda pool: of(pool).work.claim(job_ids, keyed=True, later=later)


def finishes(*jobs: Job, move: Move = Move.COMPLETE, has_turn: bool = False) -> Verb:
    rulings = [a_ruling(job, move, has_turn=has_turn) for job in jobs]
    return lambda pool: of(pool).work.finish(rulings)


def renews(*jobs: Job) -> Verb:
    return lambda pool: of(pool).work.renew({job.id: job.token for job in jobs})


def progresses(*jobs: Job) -> Verb:
    return lambda pool: of(pool).work.progress([(job.id, job.token, 50, "half") for job in jobs])


def saves(job: Job) -> Verb:
    return lambda pool: of(pool).work.save_checkpoint(job, b"left")


def does(job: Job, name: str = "mail") -> Verb:
    return lambda pool: of(pool).work.note_effect(job, name)


def cancels(job_id: JobId) -> Verb:
    return lambda pool: of(pool).intake.cancel(THE_TENANT, job_id)


def replays(job_id: JobId) -> Verb:
    return lambda pool: of(pool).intake.replay(THE_TENANT, job_id)


def deletes(job_id: JobId) -> Verb:
    return lambda pool: of(pool).intake.delete(
        THE_TENANT, [job_id], ended_by=datetime.max.replace(tzinfo=UTC)
    )


def releases(job_id: JobId) -> Verb:
    return lambda pool: of(pool).intake.release(THE_TENANT, job_id)


def rescues(pool: Pool) -> Awaitable[object]:
    return of(pool).upkeep.rescue()


def expires(pool: Pool) -> Awaitable[object]:
    return of(pool).upkeep.expire()


def comes_due(pool: Pool) -> Awaitable[object]:
    return of(pool).upkeep.come_due()


def forgets(pool: Pool) -> Awaitable[object]:
    return of(pool).upkeep.forget()


def knocks_again(pool: Pool) -> Awaitable[object]:
    return of(pool).upkeep.unheard("default", "normal", is_empty=True, older=timedelta(0))


def takes(pool: Pool) -> Awaitable[object]:
    return of(pool).outbox.take(hide=AN_HOUR)


def sends(row_id: int) -> Verb:
    async def confirmed(pool: Pool) -> None:
        outbox = of(pool).outbox
        outbox.sent(row_id)
        await outbox.drain()

    return confirmed


def puts_back(row_id: int) -> Verb:
    return lambda pool: of(pool).outbox.put_back([row_id])


def forgets_blobs(pool: Pool) -> Awaitable[object]:
    return of(pool).upkeep.forget_blobs(older=timedelta(0))


def keeps(blob: Blob, job_id: JobId | None = None) -> Verb:
    return lambda pool: of(pool).blobs.add(THE_TENANT, blob, job_id)


async def due_now(bench: Bench, job_id: JobId) -> None:
    await bench.sql("UPDATE jobs SET due = clock_timestamp() WHERE id = $1", job_id)


async def overdue(bench: Bench, job_id: JobId) -> None:
    await bench.use_up(job_id)


async def outlived(bench: Bench) -> None:
    await bench.sql("UPDATE jobs SET expires_at = clock_timestamp() WHERE expires_at IS NOT NULL")


async def failed(bench: Bench, **wishes: Any) -> JobId:
    return (await bench.ended(Move.FAIL, **wishes)).id


def a_blob() -> Blob:
    name = BlobId(a_job_id())
    return Blob(id=name, name="a.txt", content_type="text/plain", size_bytes=1, sha256="")


async def scripts(bench: Bench, given: Given, *, few: int | None = None) -> list[tuple[str, ...]]:
    """List the orders in which the statements of a race are to be tried; *few*: so many."""
    steps: dict[str, int] = {}
    await bench.sql_script(EMPTY)
    for name in await given(bench):
        await bench.sql_script(EMPTY)
        steps[name] = len(await rehearse(bench.pool, (await given(bench))[name]))
    return orders(steps) if few is None else orders(steps, most=few, lot=few)


async def run(bench: Bench, given: Given, order: tuple[str, ...]) -> dict[str, Any]:
    """Run a race in one order, from an empty store; the store must be sound after it."""
    await bench.sql_script(EMPTY)
    outcomes = await play(bench.pool, await given(bench), order)
    trouble = [one for one in outcomes.values() if isinstance(one, BaseException)]
    assert [t for t in trouble if not isinstance(t, Invalid | NotUnique)] == [], (trouble, order)
    assert await unsound(bench) == {}, order
    return outcomes


async def states(bench: Bench) -> tuple[str, ...]:
    return tuple(row["state"] for row in await bench.sql(_STATES))


async def hold(bench: Bench, given: Given, ends: Ends, *, few: int | None = None) -> None:
    """Run a race in every order: sound, without trouble, and nothing but *ends* comes of it."""
    seen: Ends = set()
    for order in await scripts(bench, given, few=few):
        await run(bench, given, order)
        seen.add(await states(bench))
    assert seen == ends
