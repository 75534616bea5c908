"""A worker whose slots several tenants want."""

from shared.contract.access import tenant_id
from shared.contract.ids import JobId
from shared.contract.states import State
from tests.unit.back.fakes import settle
from tests.unit.back.test_consumer import Works

CROWD, SMALL = tenant_id("crowd"), tenant_id("small")
LINE = (CROWD, "default", "normal")


def waiting(works: Works, ids: list[JobId]) -> list[JobId]:
    """Those of the crowd that nobody has claimed, as the store shows them."""
    return [one for one in ids if works.work.states[one] is State.QUEUED]


async def test_i16_who_comes_after_a_crowd_has_the_next_slot() -> None:
    """His knock is far behind in the broker's queue, and need not be seen."""
    works = Works(slots=4)
    crowd = works.queue(64, tenant=CROWD)
    async with works.open():
        works.knock(*crowd[:32])
        works.knock(*crowd[32:])
        await works.until(lambda: len(works.begun) == 3, "the crowd has the slots")
        [small] = works.queue(1, tenant=SMALL)
        works.rows.new = {CROWD, SMALL}
        works.rows.waiting = {
            LINE: waiting(works, crowd),
            (SMALL, "default", "normal"): [small],
        }

        await works.lines.look()
        works.may_end.set()
        await works.until(lambda: len(works.begun) > 5, "all slots were free once")

        assert small in works.begun[3:6]


async def test_knocks_are_let_go_of_as_their_number_of_jobs_is_claimed() -> None:
    """Else all of them would be read in vain when the crowd is through, and new ones behind."""
    works = Works(slots=4)
    works.may_end.set()
    crowd, small = works.queue(8, tenant=CROWD), works.queue(2, tenant=SMALL)
    works.rows.new = {CROWD, SMALL}
    works.rows.waiting = {LINE: crowd, (SMALL, "default", "normal"): small}
    tags = [works.knock(*crowd[:5]), works.knock(*crowd[5:], *small)]
    await works.lines.look()
    async with works.open():
        await works.until(lambda: len(works.begun) == 10, "all have run")
        await works.until(lambda: works.broker.acked == tags, "both knocks are let go of")

    assert sorted(works.begun) == sorted(crowd + small)
    assert works.work.later == []


async def test_a_long_key_of_one_tenant_lets_another_in() -> None:
    """The next of the key is knocked for, and takes its turn."""
    works = Works(slots=2)
    first = works.work.queue(tenant=CROWD, ordering_key="k")
    works.work.following[first] = works.work.add(tenant=CROWD, ordering_key="k")
    [small] = works.queue(1, tenant=SMALL)
    async with works.open():
        works.knock(first, keyed=True)
        await works.until(lambda: works.begun == [first], "the lane has begun")
        works.rows.new = {CROWD, SMALL}
        works.rows.waiting = {(SMALL, "default", "normal"): [small]}
        await works.lines.look()
        await settle()

        works.may_end.set()
        await works.until(lambda: works.work.batches, "the first has its record")

        assert [ruling.has_turn for ruling in works.work.batches[0]] == [False]
