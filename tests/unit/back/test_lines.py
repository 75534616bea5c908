"""When a worker begins to choose between tenants, and when it stops."""

import pytest

from back_service.lines import Lines
from shared.contract.access import tenant_id
from shared.contract.ids import JobId, TenantId
from tests.support.builders import a_job_id
from tests.support.clock import ManualClock
from tests.unit.back.lines import NOW, FakeLines, a_lines

CROWD, SMALL = tenant_id("crowd"), tenant_id("small")


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def rows() -> FakeLines:
    return FakeLines()


@pytest.fixture
def lines(rows: FakeLines, clock: ManualClock) -> Lines:
    return a_lines(rows, clock, slots=4)


def queue(rows: FakeLines, tenant: TenantId, count: int) -> list[JobId]:
    ids = [a_job_id() for _ in range(count)]
    rows.new.add(tenant)
    rows.waiting.setdefault((tenant, "default", "normal"), []).extend(ids)
    return ids


async def test_one_tenant_alone_is_not_looked_at(rows: FakeLines, lines: Lines) -> None:
    """Without tenants nothing is read but whether there are any."""
    queue(rows, CROWD, 1_000)

    await lines.look()

    assert not lines.is_on
    assert rows.asked == []


async def test_i16_a_second_tenant_is_found_behind_a_crowd(rows: FakeLines, lines: Lines) -> None:
    """However long the line of the broker is: it is not asked."""
    queue(rows, CROWD, 1_000)
    [small] = queue(rows, SMALL, 1)
    for _ in range(4):
        lines.started(CROWD)

    await lines.look()

    assert lines.is_on
    assert lines.pick(1).job_ids == [small]


async def test_turns_are_taken_until_nothing_waits(
    rows: FakeLines, lines: Lines, clock: ManualClock
) -> None:
    """What was let go of is in the lines and nowhere else: so they are read to their end."""
    queue(rows, CROWD, 1)
    queue(rows, SMALL, 1)
    await lines.look()
    del rows.waiting[SMALL, "default", "normal"]

    await lines.look()
    assert lines.is_on
    assert lines.pick(9).job_ids
    rows.waiting.clear()
    await lines.look()

    assert not lines.is_on


async def test_the_crowd_has_all_again_when_the_others_have_left(
    rows: FakeLines, lines: Lines, clock: ManualClock
) -> None:
    """Slots are kept free for who was here a moment ago, not for who was here once."""
    queue(rows, CROWD, 100)
    queue(rows, SMALL, 1)
    await lines.look()
    del rows.waiting[SMALL, "default", "normal"]
    rows.new = {CROWD}
    clock.pass_by(29)
    await lines.look()
    assert len(lines.pick(4).job_ids) == 3

    clock.pass_by(2)
    await lines.look()

    assert len(lines.pick(4).job_ids) == 4


async def test_a_look_begins_where_the_last_one_found_something(
    rows: FakeLines, lines: Lines, clock: ManualClock
) -> None:
    """What was run is in the index for a while: to step over it each time would be dear."""
    queue(rows, CROWD, 1)
    queue(rows, SMALL, 1)
    await lines.look()
    await lines.look()

    first, second = (asked[CROWD, "default", "normal"] for asked in rows.asked)
    assert first < second < NOW


async def test_while_the_database_is_away_the_knocks_are_enough(
    rows: FakeLines, lines: Lines
) -> None:
    """As if there were one tenant."""
    queue(rows, CROWD, 1)
    queue(rows, SMALL, 1)
    await lines.look()
    rows.is_away = True

    await lines.look()

    assert not lines.is_on
    assert lines.pick(9).job_ids == []


async def test_a_tenant_of_whom_nothing_is_heard_is_forgotten(
    rows: FakeLines, lines: Lines, clock: ManualClock
) -> None:
    """A list of everybody who ever was would be read in each look."""
    queue(rows, SMALL, 1)
    await lines.look()
    rows.new = {CROWD}
    clock.pass_by(601)

    await lines.look()

    assert set(lines._seen) == {CROWD}


async def test_workers_do_not_all_begin_with_the_same_job(
    rows: FakeLines, clock: ManualClock
) -> None:
    """All but one of them would have picked in vain."""
    queue(rows, CROWD, 60)
    queue(rows, SMALL, 1)
    rolled = Lines(
        rows, ("jobs.default.normal",), clock, slots=4, wake=lambda: None, dice=lambda: 0.5
    )
    usual = a_lines(rows, clock, slots=4)
    for one in (rolled, usual):
        one.started(SMALL)
        await one.look()

    assert rolled.pick(1).job_ids != usual.pick(1).job_ids
