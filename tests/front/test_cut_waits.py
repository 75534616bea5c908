"""A request that waits, waits no longer than what let its caller in."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from uuid import UUID

import pytest

from shared.contract.ids import JobId
from shared.contract.states import State
from tests.front.desk import Desk, open_desk, until
from tests.front.test_access import answer, bearer, submit


@pytest.fixture
async def guarded(tmp_path: Path) -> AsyncIterator[Desk]:
    async with open_desk(tmp_path, auth="required") as desk:
        yield desk


async def test_a_status_that_waits_is_refused_when_its_key_ends(guarded: Desk) -> None:
    """401 as soon as a socket is closed; with another key one asks again."""
    old, new = guarded.keys.make("acme"), guarded.keys.make("acme")
    job_id = await submit(guarded, old)
    path = f"/api/jobs/{job_id}?wait=60&after=1"
    cut, kept = [
        asyncio.create_task(answer(guarded, "GET", path, bearer(one))) for one in (old, new)
    ]
    await until(lambda: len(guarded.front.hub) == 2)

    guarded.keys.end(old)
    await guarded.front.key_ring.refresh()

    status, problem, challenge = await asyncio.wait_for(cut, 10)
    assert (status, problem["code"]) == (401, "unauthenticated")
    assert 'error="invalid_token"' in challenge
    await until(lambda: len(guarded.front.hub) == 1)
    assert not kept.done()
    end(guarded, job_id)
    assert (await asyncio.wait_for(kept, 10))[0] == 200


async def test_a_key_that_ended_before_the_wait_began_is_noticed(guarded: Desk) -> None:
    """Between the door and the wait the store is asked, which may take its time."""
    shown = guarded.keys.make("acme")
    job_id = await submit(guarded, shown)

    async def ends() -> None:
        guarded.keys.end(shown)
        await guarded.front.key_ring.refresh()

    asked: list[asyncio.Task[None]] = []
    guarded.store.after_history = lambda: asked.append(asyncio.create_task(ends()))
    path = f"/api/jobs/{job_id}?wait=60&after=1"

    async with asyncio.timeout(10):
        assert (await answer(guarded, "GET", path, bearer(shown)))[0] == 401
    assert asked


async def test_a_submit_that_waits_has_its_ticket_when_its_key_ends(guarded: Desk) -> None:
    """The job is stored: a refusal would say that it is not. Its result is not shown."""
    shown = guarded.keys.make("acme")
    wait = bearer(shown) | {"Prefer": "wait=60"}
    asking = asyncio.create_task(
        guarded.session.post(guarded.url + "/api/demo/echo", json={}, headers=wait)
    )
    await until(lambda: len(guarded.front.hub) == 1)

    guarded.keys.end(shown)
    await guarded.front.key_ring.refresh()

    async with asyncio.timeout(10), await asking as response:
        assert response.status == 202
        assert response.headers["Preference-Applied"] == "respond-async"
        assert "results" not in await response.json()
    await until(lambda: len(guarded.front.hub) == 0)


async def test_a_key_that_ends_after_the_wait_disturbs_nobody(guarded: Desk) -> None:
    """The seat is given up with the answer."""
    shown = guarded.keys.make("acme")
    job_id = await submit(guarded, shown)
    end(guarded, job_id)
    status, _, _ = await answer(guarded, "GET", f"/api/jobs/{job_id}?wait=60", bearer(shown))

    guarded.keys.end(shown)
    await guarded.front.key_ring.refresh()

    assert status == 200
    assert (await answer(guarded, "GET", "/livez", {}))[0] == 200


def end(desk: Desk, job_id: str) -> None:
    found = JobId(UUID(job_id))
    desk.store.move(found, State.CANCELLED)
    desk.tell(found)
