"""The lines of tenants in the database, and knocks that were lost among them."""

from datetime import timedelta

import pytest

from shared.contract.access import tenant_id
from shared.contract.ids import JobId, TenantId
from shared.store.lines import FROM_THE_START, LineRows
from tests.integration.bench import Bench

pytestmark = pytest.mark.servers

CROWD, SMALL = tenant_id("crowd"), tenant_id("small")
SECOND = timedelta(seconds=1)


def rows(bench: Bench) -> LineRows:
    return LineRows(bench.pool, types=["demo.echo"])


async def queue(bench: Bench, tenant: TenantId, count: int, **wishes: object) -> list[JobId]:
    return [await bench.submit(tenant=tenant, **wishes) for _ in range(count)]


async def test_a_line_shows_the_oldest_that_may_run(bench: Bench) -> None:
    """Of each tenant so many; a job behind the head of its key is not among them."""
    crowd = await queue(bench, CROWD, 5)
    small = await queue(bench, SMALL, 2, ordering_key="k")
    await queue(bench, SMALL, 1, delay=timedelta(hours=1))
    places = [(CROWD, "default", "normal"), (SMALL, "default", "normal"), (SMALL, "other", "low")]

    found = await rows(bench).heads(dict.fromkeys(places, FROM_THE_START), most=3)

    assert [found[place].jobs for place in places] == [
        [(one, False) for one in crowd[:3]],
        [(small[0], True)],
        [],
    ]
    assert found[places[2]].oldest is None
    later = {places[0]: found[places[0]].now}
    assert (await rows(bench).heads(later, most=3))[places[0]].jobs == []


async def test_who_came_last_is_known_whether_or_not_it_runs(bench: Bench) -> None:
    """Nobody has to have been claimed to be seen."""
    await queue(bench, CROWD, 3)
    await queue(bench, SMALL, 1)

    assert await rows(bench).newest() == {CROWD, SMALL}


async def test_who_takes_his_turn_earlier_makes_nobodys_knock_a_lost_one(bench: Bench) -> None:
    """The crowd's are older and still wait: that is as it should be, and no reason to knock."""
    crowd = await queue(bench, CROWD, 2)
    [small] = await queue(bench, SMALL, 1)
    await bench.sql("UPDATE jobs SET knocked_at = now() - interval '9 s' WHERE tenant = $1", CROWD)
    await bench.claim(small)

    assert await unheard(bench) == []

    await bench.sql("UPDATE jobs SET knocked_at = now() WHERE id = $1", crowd[1])
    await bench.claim(crowd[1])
    assert await unheard(bench) == [crowd[0]]


async def unheard(bench: Bench) -> list[JobId]:
    found = await bench.upkeep.unheard("default", "normal", is_empty=False, older=5 * SECOND)
    return [job_id for row in found for job_id in row.job_ids]
