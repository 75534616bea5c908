"""The client and the real services: what each of them promises, together."""

import asyncio
import os
import signal
import sys
from asyncio.subprocess import PIPE
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from uuid import uuid4

import pytest

from shared.contract.errors import (
    AlreadyEnded,
    IdempotencyMismatch,
    Invalid,
    NoResult,
    UnknownJob,
    UnknownType,
)
from tests.client.documents import a_job_id
from tests.client.relay import Relay
from tests.support.house import House
from uketsuke import Client
from uketsuke.client import Status

pytestmark = pytest.mark.acceptance

MINUTE = timedelta(minutes=1)


@pytest.fixture
async def client(pair: str) -> AsyncIterator[Client]:
    async with Client(pair) as client:
        yield client


async def test_what_is_handed_in_comes_back(client: Client) -> None:
    """Submit, wait, result: the whole of it."""
    ticket = await client.submit("demo.echo", {"payload": {"é": [1, None, "x"]}})

    status = await client.wait(ticket.job_id, deadline=MINUTE)

    assert status.succeeded
    assert status.results == {"é": [1, None, "x"]}
    assert await client.result(ticket.job_id) == status.results


async def test_a_watch_tells_every_event_in_order(client: Client) -> None:
    """No gap in the numbers, no step back in the progress, the ending last."""
    ticket = await client.submit("demo.sleep", {"seconds": 1.5, "steps": 5})

    statuses = [status async for status in client.watch(ticket.job_id, deadline=MINUTE)]

    numbers = [status.sequence for status in statuses]
    assert sorted(set(numbers)) == list(range(numbers[0], numbers[-1] + 1))
    assert numbers == sorted(numbers)
    progress = [status.progress for status in statuses]
    assert progress == sorted(progress)
    assert any(0 < percent < 100 for percent in progress)
    assert statuses[-1].results == {"slept": 1.5, "steps": 5}


async def test_the_same_key_is_the_same_job(client: Client) -> None:
    """A repeat is told as one; another request under that key is refused."""
    key = str(uuid4())
    first = await client.submit("demo.echo", {"payload": 1}, idempotency_key=key)
    second = await client.submit("demo.echo", {"payload": 1}, idempotency_key=key)

    assert second.job_id == first.job_id
    assert second.replayed
    assert not first.replayed
    with pytest.raises(IdempotencyMismatch):
        await client.submit("demo.echo", {"payload": 2}, idempotency_key=key)


async def test_refusals_come_back_as_what_they_are(client: Client) -> None:
    """The codes of the service and the errors of the client are one vocabulary."""
    with pytest.raises(UnknownType):
        await client.submit("demo.nothing", {})
    with pytest.raises(Invalid, match="/seconds"):
        await client.submit("demo.sleep", {"seconds": "long"})
    with pytest.raises(UnknownJob):
        await client.wait(a_job_id(), deadline=MINUTE)
    ticket = await client.submit("demo.echo", {}, delay=timedelta(hours=1))
    with pytest.raises(NoResult):
        await client.result(ticket.job_id)
    await client.cancel(ticket.job_id)


async def test_a_cancel_ends_what_waits_and_what_runs(client: Client) -> None:
    """And says so of what has ended."""
    waits = await client.submit("demo.echo", {}, delay=timedelta(hours=1))
    runs = await client.submit("demo.sleep", {"seconds": 600})
    ended = await client.submit("demo.echo", {})
    await client.wait(ended.job_id, deadline=MINUTE)
    async for status in client.watch(runs.job_id, deadline=MINUTE):
        if status.state == "running":
            await client.cancel(runs.job_id)

    assert (await client.cancel(waits.job_id)).status == "cancelled"
    assert (await client.status(runs.job_id)).status == "cancelled"
    with pytest.raises(AlreadyEnded):
        await client.cancel(ended.job_id)


async def test_jobs_of_one_key_end_in_the_order_they_were_accepted(client: Client) -> None:
    """The promise of an ordering key, seen from outside."""
    key = f"order-{uuid4()}"
    tickets = [
        await client.submit("demo.echo", {"payload": n}, ordering_key=key) for n in range(10)
    ]
    endings = [await client.wait(ticket.job_id, deadline=MINUTE) for ticket in tickets]

    moments = [ending.completed_at for ending in endings]
    assert None not in moments
    assert moments == sorted(moment for moment in moments if moment)


async def test_a_list_is_read_over_all_its_pages(client: Client) -> None:
    """Newest first, each once."""
    tag = f"tag-{uuid4()}"
    tickets = [await client.submit("demo.echo", {}, tags=[tag]) for _ in range(7)]

    found = [status.job_id async for status in client.jobs(tag=tag, page=3)]

    assert found == [ticket.job_id for ticket in reversed(tickets)]


async def test_a_watch_survives_cuts_and_a_new_front(house: House) -> None:
    """Broken off twice, then the front is replaced: not one event is missed or told twice."""
    old = await house.front()
    await house.back()
    relay = Relay(house.ports[old.pid])
    await relay.open()
    seen: list[Status] = []
    try:
        async with Client(relay.url) as client:
            ticket = await client.submit("demo.sleep", {"seconds": 8, "steps": 16})
            async for status in client.watch(ticket.job_id, deadline=MINUTE):
                seen.append(status)
                if len(seen) in (2, 4):
                    relay.cut()
                if len(seen) == 6:
                    new = await house.front()
                    relay.turn_to(house.ports[new.pid])
                    old.send(signal.SIGTERM)
    finally:
        await relay.close()

    assert seen[-1].succeeded
    numbers = [status.sequence for status in seen]
    assert numbers == sorted(numbers)
    assert set(numbers) == set(range(numbers[0], numbers[-1] + 1))
    told = [(status.sequence, status.progress) for status in seen]
    assert len(told) == len(set(told))


async def test_a_document_goes_in_and_its_reports_come_back(
    client: Client, pair: str, tmp_path: Path
) -> None:
    """Files along with the submit, links in the result, downloads to the disk."""
    text = tmp_path / "desk.txt"
    text.write_text("A reception desk takes a request at once. It hands out a ticket. " * 20)
    ticket = await client.submit("documents.process", {}, files={"document": text})

    status = await client.wait(ticket.job_id, deadline=MINUTE)

    assert status.succeeded, status.error
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "uketsuke", "result", str(ticket.job_id)),
        *("--save", str(tmp_path / "reports")),
        env=os.environ | {"UKETSUKE_URL": pair},
        stdout=PIPE,
        stderr=PIPE,
    )
    async with asyncio.timeout(30):
        _, err = await process.communicate()
    assert process.returncode == 0, err.decode()
    saved = {path.suffix: path.stat().st_size for path in (tmp_path / "reports").iterdir()}
    assert saved.keys() == {".html", ".pdf"}
    assert all(saved.values())


async def test_submit_and_watch_at_the_command_line(pair: str) -> None:
    """What the README of the project shows first."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "uketsuke", "submit", "demo.sleep"),
        *('{"seconds": 0.5}', "--watch"),
        env=os.environ | {"UKETSUKE_URL": pair},
        stdout=PIPE,
        stderr=PIPE,
    )
    async with asyncio.timeout(60):
        out, err = await process.communicate()

    assert process.returncode == 0, err.decode()
    assert b'"slept": 0.5' in out
    assert b"step 4 of 4" in err or b"completed" in err
