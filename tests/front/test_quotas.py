"""What tenants may use: submits a second, jobs that wait, open streams."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from front_service.quotas import Quotas
from front_service.refusals import QuotaReached
from shared.contract.access import tenant_id
from shared.contract.errors import TooLarge
from tests.front.desk import Desk, open_desk
from tests.front.memory import MemoryQuotas
from tests.front.test_access import bearer
from tests.support.clock import ManualClock

ACME = tenant_id("acme")


def a_replica(rows: MemoryQuotas, clock: ManualClock) -> Quotas:
    rows.now = clock.monotonic
    return Quotas(rows, clock)


async def granted(quotas: Quotas, times: int) -> int:
    """Submit so often at once; say how often that was let through."""
    found = await asyncio.gather(
        *(quotas.submit(ACME) for _ in range(times)), return_exceptions=True
    )
    assert all(one is None or not isinstance(one, BaseException) or _is_quota(one) for one in found)
    return sum(not isinstance(one, BaseException) for one in found)


def _is_quota(error: BaseException) -> bool:
    return isinstance(error, QuotaReached)


class TestTheRate:
    async def test_a_burst_is_taken_and_then_the_rate(self) -> None:
        """Exactly, however many come at once."""
        rows, clock = MemoryQuotas(), ManualClock()
        rows.give("acme", rate=50.0, burst=100)
        quotas = a_replica(rows, clock)

        assert await granted(quotas, 300) == 100
        clock.pass_by(1.0)
        assert await granted(quotas, 300) == 50

    async def test_replicas_share_what_there_is(self) -> None:
        """Three of them give no more than one: what one fetched ahead the others do not have."""
        rows, clock = MemoryQuotas(), ManualClock()
        rows.give("acme", rate=50.0, burst=100)
        replicas = [a_replica(rows, clock) for _ in range(3)]

        taken = sum([await granted(one, 10) for _ in range(20) for one in replicas])
        assert 100 - 3 * 25 <= taken <= 100
        clock.pass_by(2.0)
        for _ in range(10):
            taken += sum([await granted(one, 10) for one in replicas])

        assert taken <= 200

    async def test_a_steady_stream_costs_few_questions(self) -> None:
        """Turns are fetched for a tenth of a second ahead, not one by one."""
        rows, clock = MemoryQuotas(), ManualClock()
        rows.give("acme", rate=1_000.0, burst=1_000)
        quotas = a_replica(rows, clock)
        for _ in range(500):  # the first ones teach how many there are
            await quotas.submit(ACME)
            clock.pass_by(0.002)
        before = rows.questions

        for _ in range(500):
            await quotas.submit(ACME)
            clock.pass_by(0.002)

        assert rows.questions - before <= 20

    async def test_who_is_refused_is_told_when_to_come_again(self) -> None:
        """And then is let in."""
        rows, clock = MemoryQuotas(), ManualClock()
        rows.give("acme", rate=0.5, burst=2)
        quotas = a_replica(rows, clock)
        assert await granted(quotas, 2) == 2

        with pytest.raises(QuotaReached) as refused:
            await quotas.submit(ACME)

        assert refused.value.retry_after == 2
        clock.pass_by(2.0)
        assert await quotas.submit(ACME) is not None

    async def test_many_jobs_at_once_are_as_many_turns(self) -> None:
        """A batch is no way round; one that is larger than any burst can never pass."""
        rows, clock = MemoryQuotas(), ManualClock()
        rows.give("acme", rate=50.0, burst=100)
        quotas = a_replica(rows, clock)

        await quotas.submit(ACME, 80)
        with pytest.raises(QuotaReached):
            await quotas.submit(ACME, 100)
        with pytest.raises(TooLarge):
            await quotas.submit(ACME, 101)
        clock.pass_by(60)
        await quotas.submit(ACME, 100)

    async def test_while_the_database_is_away_a_replica_counts_by_itself(self) -> None:
        """Neither a stop for all nor a door without a keeper."""
        rows, clock = MemoryQuotas(), ManualClock()
        rows.give("acme", rate=50.0, burst=100)
        quotas = a_replica(rows, clock)
        await quotas.refresh()
        await quotas.submit(ACME)
        rows.is_away = True

        assert 99 <= await granted(quotas, 300) <= 100
        clock.pass_by(1.0)
        assert await granted(quotas, 300) == 50

    async def test_a_tenant_without_limits_costs_nothing(self) -> None:
        """One question when he comes, and one a second while he is here."""
        rows, clock = MemoryQuotas(), ManualClock()
        quotas = a_replica(rows, clock)

        for _ in range(1_000):
            assert await quotas.submit(ACME) is None

        assert rows.questions == 1

    async def test_limits_that_are_changed_are_felt(self) -> None:
        """With the next look, within a second or so."""
        rows, clock = MemoryQuotas(), ManualClock()
        quotas = a_replica(rows, clock)
        await quotas.submit(ACME)
        rows.give("acme", rate=1.0, burst=1)

        await quotas.refresh()

        assert await granted(quotas, 10) == 1


class TestWhatWaits:
    async def test_a_full_line_takes_no_more_until_it_is_shorter(self) -> None:
        """Counted in the database now and then, and here in between."""
        rows, clock = MemoryQuotas(), ManualClock()
        rows.give("acme", queued=10)
        rows.counts[ACME] = 7
        quotas = a_replica(rows, clock)

        assert await granted(quotas, 10) == 3
        rows.counts[ACME] = 10
        await quotas.refresh()
        assert await granted(quotas, 10) == 0
        rows.counts[ACME] = 9
        await quotas.refresh()
        assert await granted(quotas, 10) == 1


class TestStreams:
    async def test_streams_are_counted_over_all_replicas(self) -> None:
        """Those of others as they last said."""
        rows, clock = MemoryQuotas(), ManualClock()
        rows.give("acme", streams=3)
        rows.elsewhere[ACME] = 1
        quotas = a_replica(rows, clock)

        async with quotas.stream(ACME), quotas.stream(ACME):
            with pytest.raises(QuotaReached):
                async with quotas.stream(ACME):
                    pass
        async with quotas.stream(ACME):
            pass


@pytest.fixture
async def desk(tmp_path: Path) -> AsyncIterator[Desk]:
    rows = MemoryQuotas()
    rows.give("acme", rate=0.1, burst=2, queued=100, streams=1)
    async with open_desk(tmp_path, auth="required", quotas=rows) as one:
        yield one


async def submit(desk: Desk, headers: dict[str, str]) -> tuple[int, Any, dict[str, Any]]:
    async with desk.session.post(desk.url + "/api/demo/echo", json={}, headers=headers) as response:
        return response.status, response.headers, await response.json()


async def test_a_caller_is_told_how_he_stands(desk: Desk) -> None:
    """In the fields of the IETF draft, on what is taken and on what is refused."""
    caller = bearer(desk.keys.make("acme"))

    status, headers, _ = await submit(desk, caller)
    assert status == 202
    assert headers["RateLimit-Policy"] == ('"submits";q=2;w=20, "queued";q=100, "streams";q=1')
    assert headers["RateLimit"] == '"submits";r=1;t=10, "queued";r=99, "streams";r=1'
    await submit(desk, caller)

    status, headers, problem = await submit(desk, caller)

    assert (status, problem["code"], problem["policy"]) == (429, "over_quota", "submits")
    assert headers["Retry-After"] == "10"
    assert headers["RateLimit"].startswith('"submits";r=0;t=20')


async def test_one_tenants_quota_is_not_anothers(desk: Desk) -> None:
    """Nor is there a word of it for who has none."""
    hers, his = bearer(desk.keys.make("acme")), bearer(desk.keys.make("other"))
    for _ in range(3):
        last, _, _ = await submit(desk, hers)
    assert last == 429

    status, headers, _ = await submit(desk, his)

    assert status == 202
    assert "RateLimit" not in headers


async def test_one_stream_too_many_is_refused_before_it_begins(desk: Desk) -> None:
    """429, and the place is free again when the other one ends."""
    caller = bearer(desk.keys.make("acme"))
    job_id = (await submit(desk, caller))[2]["jobId"]
    events = f"{desk.url}/api/jobs/{job_id}/events"
    async with desk.session.get(events, headers=caller) as open_one:
        await open_one.content.readuntil(b"\n\n")
        async with desk.session.get(events, headers=caller) as response:
            assert response.status == 429
            assert (await response.json())["policy"] == "streams"


async def test_a_batch_counts_as_many_as_it_has_jobs(desk: Desk) -> None:
    """By the rate and by what may wait; and it is told how its tenant stands."""
    caller = bearer(desk.keys.make("acme"))

    def batch(jobs: int) -> Any:
        body = {"jobs": [{"type": "demo.echo", "request": {}}] * jobs}
        return desk.session.post(desk.url + "/api/batches", json=body, headers=caller)

    async with batch(3) as response:
        assert response.status == 413
    async with batch(2) as response:
        assert response.status == 202
        assert response.headers["RateLimit"].startswith('"submits";r=0;t=20, "queued";r=98')
    async with batch(1) as response:
        assert (response.status, (await response.json())["policy"]) == (429, "submits")
    assert len(desk.store.views) == 2


async def test_the_streams_of_a_token_count_for_its_tenant(desk: Desk) -> None:
    """Or whoever may read one job could have as many open as he likes."""
    caller = bearer(desk.keys.make("acme"))
    job_id = (await submit(desk, caller))[2]["jobId"]
    async with desk.session.post(
        f"{desk.url}/api/jobs/{job_id}/tokens", headers=caller
    ) as response:
        token = (await response.json())["token"]
    events = f"{desk.url}/api/jobs/{job_id}/events"
    async with desk.session.get(f"{events}?token={token}") as open_one:
        await open_one.content.readuntil(b"\n\n")
        for more in ({"params": {"token": token}}, {"headers": caller}):
            async with desk.session.get(events, **more) as response:
                assert response.status == 429
