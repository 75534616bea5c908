"""The census, over a real database: each reason to wait is brought about and told apart."""

from datetime import timedelta

import pytest

from shared.contract.ids import THE_TENANT
from shared.contract.states import Move
from shared.store.census import Census, Counts
from tests.integration.bench import Bench, crash

pytestmark = pytest.mark.servers


async def census(bench: Bench) -> Census:
    return await Counts(bench.pool).census()


async def waits(bench: Bench) -> dict[str, int]:
    return {group.waits: group.jobs for group in (await census(bench)).groups}


async def test_an_empty_house_has_nothing_to_tell(bench: Bench) -> None:
    """No group, no worker, and noughts."""
    found = await census(bench)

    assert (found.groups, found.workers) == ([], [])
    assert (found.longest_line, found.keys_held, found.outbox_rows, found.outbox_late) == (
        *(0, 0, 0),
        0.0,
    )


async def test_each_reason_to_wait_is_told_apart(bench: Bench) -> None:
    """Early, failed once, behind a head, suspected, ready, at work, and told to stop."""
    await bench.submit(delay=timedelta(hours=1))
    await bench.finish(await bench.running(), Move.RETRY)
    head = await bench.running(ordering_key="k", blocks=True)
    await bench.submit(ordering_key="k")
    await bench.submit(ordering_key="k")
    suspect = await bench.submit()
    await crash(bench, suspect, 2)
    await bench.submit()
    stopping = await bench.running()
    await bench.intake.cancel(THE_TENANT, stopping.id)

    assert await waits(bench) == {
        "scheduled": 1,
        "retrying": 1,
        "behind": 2,
        "suspect": 1,
        "ready": 1,
        "running": 1,
        "cancelling": 1,
    }
    assert (await census(bench)).longest_line == 3

    await bench.finish(head, Move.FAIL)
    assert (await census(bench)).keys_held == 1
    assert (await waits(bench))["behind"] == 2


async def test_lateness_counts_from_when_a_job_could_have_gone_on(bench: Bench) -> None:
    """Nothing is late before its time, while its lease lasts, or without a knock."""
    early, ready = await bench.submit(delay=timedelta(hours=1)), await bench.submit()
    running = await bench.running()
    late = {group.waits: group.late for group in (await census(bench)).groups}
    assert late["scheduled"] == late["running"] == 0
    assert 0 <= late["ready"] < 60

    await bench.let_lapse(running.id)
    await bench.sql("UPDATE jobs SET due = clock_timestamp() - interval '9 s' WHERE id = $1", early)
    await bench.sql(
        "UPDATE jobs SET knocked_at = clock_timestamp() - interval '90 s' WHERE id = $1", ready
    )
    late = {group.waits: group.late for group in (await census(bench)).groups}
    assert late["running"] >= 1
    assert late["scheduled"] >= 9
    assert late["ready"] >= 90


async def test_what_waits_for_the_broker_is_counted_with_its_age(bench: Bench) -> None:
    """A row stays until the broker has confirmed its knock."""
    await bench.submit()
    await bench.sql("UPDATE outbox SET at = at - interval '1 minute'")
    await bench.submit()
    found = await census(bench)

    assert found.outbox_rows == 2
    assert found.outbox_late >= 60
