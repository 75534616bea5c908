"""Many jobs at once, asked of the real front service over a store in memory."""

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path

import pytest
import pytest_asyncio

from shared.contract.errors import BatchRefused, Invalid, NotUnique, UnknownBatch, UnknownType
from shared.contract.ids import BatchId, JobId
from shared.contract.operating import BulkFilter
from shared.contract.states import State, Status
from tests.front.desk import Desk, open_desk
from tests.support.builders import a_job_id
from uketsuke.client import Client
from uketsuke.many import Entry
from uketsuke.patience import Pace
from uketsuke.submission import Wishes

SOON = Pace(first=timedelta(milliseconds=5))
ECHO = Entry(job_type="demo.echo")
WRONG = Entry(job_type="no.such")


@pytest_asyncio.fixture
async def front(tmp_path: Path) -> AsyncIterator[Desk]:
    async with open_desk(tmp_path / "blobs") as one:
        yield one


@pytest_asyncio.fixture
async def client(front: Desk) -> AsyncIterator[Client]:
    async with Client(front.url, pace=SOON, patience=timedelta(seconds=5)) as one:
        yield one


def end(front: Desk, *job_ids: JobId, state: State = State.COMPLETED) -> None:
    for job_id in job_ids:
        front.store.move(job_id, State.RUNNING)
        front.store.move(job_id, state)


async def test_each_entry_has_its_ticket_or_its_error(front: Desk, client: Client) -> None:
    """In the order in which they were handed in."""
    wishes = Wishes(tags=("a",))

    ticket = await client.submit_batch([ECHO, WRONG, Entry(job_type="demo.echo", wishes=wishes)])

    assert [type(one).__name__ for one in ticket.jobs] == ["Ticket", "UnknownType", "Ticket"]
    assert isinstance(ticket.refused[0], UnknownType)
    assert front.store.submissions[ticket.accepted[1].job_id].tags == ("a",)


async def test_a_batch_of_nothing_good_is_an_error(client: Client) -> None:
    """And so is an atomic one with a mistake."""
    with pytest.raises(BatchRefused):
        await client.submit_batch([WRONG])
    with pytest.raises(BatchRefused):
        await client.submit_batch([ECHO, WRONG], atomic=True)


async def test_a_member_that_is_the_services_is_refused_here(client: Client) -> None:
    """As of a single submit."""
    with pytest.raises(Invalid):
        await client.submit_batch([Entry(job_type="demo.echo", request={"job": {}})])


async def test_the_same_key_is_the_same_batch(client: Client) -> None:
    """Whoever asks again is told so."""
    first = await client.submit_batch([ECHO], idempotency_key="k")

    again = await client.submit_batch([ECHO], idempotency_key="k")

    assert (again.batch_id, again.replayed) == (first.batch_id, True)


async def test_a_batch_is_waited_for(front: Desk, client: Client) -> None:
    """Until every job of it has ended, whichever way."""
    ticket = await client.submit_batch([ECHO, ECHO])
    first, second = (one.job_id for one in ticket.accepted)
    end(front, first)
    assert (await client.batch(ticket.batch_id)).progress == 50

    waiting = asyncio.create_task(client.wait_for_batch(ticket.batch_id))
    end(front, second, state=State.FAILED)
    status = await waiting

    assert (status.has_ended, status.succeeded) == (True, False)
    assert status.counts["failed"] == status.counts["completed"] == 1


@pytest.mark.parametrize("name", [BatchId(a_job_id()), "../jobs"], ids=["unknown", "nonsense"])
async def test_an_unknown_batch_is_one(client: Client, name: BatchId | str) -> None:
    """A word that is no id never becomes part of an address."""
    with pytest.raises(UnknownBatch):
        await client.batch(name)


async def test_a_unique_key_is_the_job_that_is_there(client: Client) -> None:
    """Or an error that names it."""
    first = await client.submit("demo.echo", {}, unique_key="u", unique_for=timedelta(hours=1))

    second = await client.submit("demo.echo", {}, unique_key="u")
    with pytest.raises(NotUnique) as refused:
        await client.submit("demo.echo", {}, unique_key="u", on_conflict="reject")

    assert (second.job_id, second.existing) == (first.job_id, True)
    assert refused.value.members["jobId"] == str(first.job_id)


async def test_a_bulk_change_goes_on_to_its_end(
    front: Desk, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However often the service has to be asked."""
    monkeypatch.setattr("front_service.bulk._LASTS", 0.0)
    monkeypatch.setattr("front_service.bulk._SLICE", 2)
    ids = [await front.submit() for _ in range(5)]

    answer = await client.bulk("cancel", filter=BulkFilter())

    assert (answer.matched, answer.changed, answer.is_complete) == (5, 5, True)
    assert {front.store.views[job_id].status for job_id in ids} == {Status.CANCELLED}


async def test_a_dry_run_only_counts(front: Desk, client: Client) -> None:
    """And ids may be given instead of a filter."""
    job_id = await front.submit()

    answer = await client.bulk("cancel", ids=[str(job_id), str(a_job_id())], dry_run=True)

    assert (answer.matched, answer.changed, answer.unknown) == (1, 0, 1)


async def test_dead_letters_stats_and_types_are_told(front: Desk, client: Client) -> None:
    """As the service tells them."""
    dead, _ = await front.submit(), await front.submit()
    end(front, dead, state=State.FAILED)

    assert [one.job_id async for one in client.jobs(dead=True)] == [dead]
    assert (await client.stats())["queued"] == 1
    assert {one["type"] for one in await client.job_types()} >= {"demo.echo", "orders.fulfil"}
