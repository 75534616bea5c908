"""What operators ask of the store: which jobs fit, how many live, who could run them."""

from datetime import UTC, datetime, timedelta
from uuid import uuid4

import pytest

from shared.contract.errors import Gone
from shared.contract.ids import THE_TENANT, JobId
from shared.contract.states import Move, State
from shared.store.operating import Register, Worker
from shared.store.reads import Filters
from tests.integration.bench import Bench
from tests.integration.soundness import unsound
from tests.support.builders import a_tenant

pytestmark = pytest.mark.servers

LATER = datetime.max.replace(tzinfo=UTC)
ANY = Filters(states=list(State))


async def picked(bench: Bench, filters: Filters = ANY, as_of: datetime = LATER) -> list[JobId]:
    found = await bench.operating.pick(THE_TENANT, filters, as_of=as_of, limit=10)
    return [job.id for job in found]


class TestPick:
    async def test_a_page_is_named_newest_first(self, bench: Bench) -> None:
        """And goes on where the last one ended."""
        ids = [await bench.submit() for _ in range(5)]

        first = await bench.operating.pick(THE_TENANT, ANY, as_of=LATER, limit=3)
        rest = await bench.operating.pick(
            THE_TENANT, ANY, as_of=LATER, limit=3, before=first[-1].id
        )

        assert [job.id for job in (*first, *rest)] == sorted(ids, reverse=True)

    async def test_only_what_fits_is_named(self, bench: Bench) -> None:
        """By each of the filters of the list, and by batch."""
        batch_id, [of_batch] = await bench.batch_of(1)
        keyed = await bench.submit(ordering_key="k")
        tagged = await bench.submit(tags=("t",))
        typed = await bench.submit(type="demo.sleep")

        assert await picked(bench, Filters(batch=batch_id)) == [of_batch]
        assert await picked(bench, Filters(ordering_key="k")) == [keyed]
        assert await picked(bench, Filters(tag="t")) == [tagged]
        assert await picked(bench, Filters(type="demo.sleep")) == [typed]
        assert await picked(bench, Filters(states=[State.FAILED])) == []

    async def test_what_came_or_ended_later_is_not_meant(self, bench: Bench) -> None:
        """Else a wish that is repeated would do more than it did."""
        before = await bench.operating.now()
        live, ended = await bench.submit(), (await bench.ended(Move.FAIL)).id

        assert await picked(bench, as_of=before) == []
        assert set(await picked(bench)) == {live, ended}

    async def test_strangers_are_never_named(self, bench: Bench) -> None:
        """I11: neither by a filter nor by their ids."""
        job_id = await bench.submit(tenant=a_tenant())

        assert await picked(bench) == []
        assert await bench.operating.named(THE_TENANT, [job_id]) == []


class TestDelete:
    async def test_what_is_deleted_is_gone_with_all_that_is_its(self, bench: Bench) -> None:
        """A tombstone remembers it: 410."""
        job = await bench.ended(ordering_key="k")

        assert await bench.intake.delete(THE_TENANT, [job.id], ended_by=LATER) == [job.id]

        with pytest.raises(Gone):
            await bench.view(job.id)
        assert await unsound(bench) == {}

    async def test_what_lives_or_is_a_strangers_stays(self, bench: Bench) -> None:
        """It is cancelled before it can be deleted."""
        live, strangers = await bench.submit(), await bench.ended(tenant=a_tenant())

        gone = await bench.intake.delete(THE_TENANT, [live, strangers.id], ended_by=LATER)

        assert gone == []
        assert await bench.pool.fetchval("SELECT count(*) FROM jobs") == 2

    async def test_a_failed_job_that_holds_its_key_stays(self, bench: Bench) -> None:
        """Its key would never go on: it is released or replayed first."""
        job = await bench.ended(Move.FAIL, ordering_key="k", blocks=True)

        assert await bench.intake.delete(THE_TENANT, [job.id], ended_by=LATER) == []
        assert await bench.head("k") == job.id

    async def test_what_ended_later_stays(self, bench: Bench) -> None:
        """As with a replay: only what was meant."""
        before = await bench.operating.now()
        job = await bench.ended(Move.FAIL)

        assert await bench.intake.delete(THE_TENANT, [job.id], ended_by=before) == []
        assert await bench.intake.replay(THE_TENANT, job.id, ended_by=before) is None
        assert await bench.intake.replay(THE_TENANT, job.id, ended_by=LATER) is not None


class TestTallies:
    async def test_live_jobs_are_counted_once_by_state_and_once_by_key(self, bench: Bench) -> None:
        """Those that ended are not."""
        for _ in range(3):
            await bench.submit(ordering_key="k")
        await bench.running(pool="default")
        await bench.ended()
        other = a_tenant()
        await bench.submit(tenant=other, delay=timedelta(hours=1))

        tallies = await bench.operating.tallies()

        mine = [one for one in tallies if one.tenant == THE_TENANT]
        assert {one.state: one.jobs for one in mine if one.state} == {
            State.QUEUED: 3,
            State.RUNNING: 1,
        }
        assert [(one.key, one.jobs, one.waiting) for one in mine if one.key] == [("k", 3, 3)]
        assert [one.state for one in tallies if one.tenant == other] == [State.SCHEDULED]

    async def test_only_the_longest_keys_are_named(
        self, bench: Bench, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """There may be as many keys as jobs."""
        monkeypatch.setattr("shared.store.operating.LONGEST_KEYS", 2)
        for key in ("a", "b", "b", "c", "c", "c"):
            await bench.submit(ordering_key=key)

        keys = [one.key for one in await bench.operating.tallies() if one.key]

        assert sorted(map(str, keys)) == ["b", "c"]

    async def test_the_oldest_is_the_first_that_was_accepted(self, bench: Bench) -> None:
        """By type and pool."""
        first = await bench.view(await bench.submit())
        await bench.submit()

        [tally] = await bench.operating.tallies()

        assert tally.oldest == first.created_at


class TestWorkers:
    async def test_a_worker_lives_while_it_says_so(self, bench: Bench) -> None:
        """Until it leaves, or is silent for a while."""
        register, silent = Register(bench.pool, uuid4()), Register(bench.pool, uuid4())
        for one in (register, silent, register):
            await one.here(pools=["default"], types=["demo.echo"], lacking=[])
        await bench.sql(
            "UPDATE workers SET seen_at = clock_timestamp() - interval '20 s' WHERE id = $1",
            silent._worker,
        )

        assert await bench.operating.workers() == [
            Worker(frozenset({"default"}), frozenset({"demo.echo"}), frozenset())
        ]
        await register.leave()
        assert await bench.operating.workers() == []

    async def test_one_that_died_long_ago_is_forgotten(self, bench: Bench) -> None:
        """By whoever says that it lives."""
        await Register(bench.pool, uuid4()).here(pools=[], types=[], lacking=[])
        await bench.sql("UPDATE workers SET seen_at = clock_timestamp() - interval '2 hours'")

        await Register(bench.pool, uuid4()).here(pools=[], types=[], lacking=[])

        assert len(await bench.sql("SELECT FROM workers")) == 1
