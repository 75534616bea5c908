"""Waiting for an answer: ``Prefer: wait`` on a submit, ``?wait=`` on a status."""

import asyncio
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from shared.contract.ids import JobId
from shared.contract.states import State
from tests.front.desk import Desk, open_desk, until


async def submitting(desk: Desk, prefer: str) -> tuple[int, Any, Any]:
    async with desk.session.post(
        desk.url + "/api/demo/echo", json={}, headers={"Prefer": prefer}
    ) as response:
        return response.status, await response.json(), response.headers


async def status(desk: Desk, job_id: JobId, query: str) -> tuple[int, Any]:
    async with desk.session.get(f"{desk.url}/api/jobs/{job_id}?{query}") as response:
        return response.status, await response.json()


async def somebody_watches(desk: Desk) -> JobId:
    await until(lambda: len(desk.front.hub) == 1)
    return next(iter(desk.store.views))


def step(desk: Desk, job_id: JobId, state: State, **values: object) -> None:
    desk.store.move(job_id, state, **values)
    desk.tell(job_id)


class TestSubmit:
    async def test_a_job_that_ends_in_time_is_answered_with_its_result(self, desk: Desk) -> None:
        """A quick job needs no second request."""
        asking = asyncio.create_task(submitting(desk, "respond-async, wait=20"))
        job_id = await somebody_watches(desk)
        step(desk, job_id, State.RUNNING)
        step(desk, job_id, State.COMPLETED, result=b'"done"')
        code, content, headers = await asking

        assert (code, content["results"]) == (200, "done")
        assert headers["Preference-Applied"] == "wait=20"
        assert "Retry-After" not in headers

    async def test_a_job_that_takes_longer_is_a_202_as_usual(self, desk: Desk) -> None:
        """The ticket, and word that it was not waited to the end."""
        code, content, headers = await submitting(desk, "wait=1")

        assert (code, content["status"]) == (202, "pending")
        assert headers["Preference-Applied"] == "respond-async"
        assert headers["Retry-After"] == "1"
        assert len(desk.front.hub) == 0

    @pytest.mark.parametrize("prefer", ["wait=-1", "wait=abc", "wait=", "wait=0", "waiting=5", ""])
    async def test_a_wish_that_cannot_be_read_is_no_wish(self, desk: Desk, prefer: str) -> None:
        """RFC 7240: what is not understood is ignored."""
        async with asyncio.timeout(2):
            code, _, headers = await submitting(desk, prefer)

        assert code == 202
        assert "Preference-Applied" not in headers

    async def test_nobody_waits_longer_than_a_minute(
        self, desk: Desk, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Whatever is wished."""
        monkeypatch.setattr("front_service.api.submit.LONGEST_WAIT", 1)
        async with asyncio.timeout(5):
            code, _, _ = await submitting(desk, "wait=999")

        assert code == 202

    async def test_a_database_that_goes_away_meanwhile_costs_no_ticket(self, desk: Desk) -> None:
        """The job is stored: the answer cannot be an error any more."""
        asking = asyncio.create_task(submitting(desk, "wait=1"))
        await somebody_watches(desk)
        desk.store.is_away = True

        assert (await asking)[0] == 202

    async def test_a_client_that_goes_away_cancels_nothing(self, desk: Desk) -> None:
        """The job goes on, and nobody waits for nobody."""
        asking = asyncio.create_task(submitting(desk, "wait=20"))
        job_id = await somebody_watches(desk)
        asking.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asking

        assert desk.store.views[job_id].state is State.QUEUED


class TestStatus:
    async def test_a_poller_hears_of_the_next_event_at_once(self, desk: Desk) -> None:
        """Long polling: as quick as a socket, as simple as a GET."""
        job_id = await desk.submit()
        asking = asyncio.create_task(status(desk, job_id, "wait=20&after=1"))
        await somebody_watches(desk)
        step(desk, job_id, State.RUNNING)

        assert (await asking)[1]["state"] == "running"

    async def test_what_happened_since_is_answered_at_once(self, desk: Desk) -> None:
        """Nothing is missed between two polls."""
        job_id = await desk.submit()
        desk.store.move(job_id, State.RUNNING)
        async with asyncio.timeout(2):
            code, content = await status(desk, job_id, "wait=20&after=1")

        assert (code, content["sequence"]) == (200, 2)

    async def test_an_ended_job_is_answered_at_once(self, desk: Desk) -> None:
        """There will be no next event."""
        job_id = await desk.submit()
        desk.store.move(job_id, State.CANCELLED)
        async with asyncio.timeout(2):
            for query in ("wait=20&after=2", "wait=20", "wait=20&after=99"):
                assert (await status(desk, job_id, query))[1]["state"] == "cancelled"

    async def test_time_that_is_up_is_answered_with_the_job_as_it_is(self, desk: Desk) -> None:
        """200, and the poller asks again."""
        job_id = await desk.submit()

        assert (await status(desk, job_id, "wait=1"))[1]["state"] == "queued"

    @pytest.mark.parametrize("query", ["wait=x", "wait=-1", "wait=", "wait=5&after=x"])
    async def test_nonsense_is_malformed(self, desk: Desk, query: str) -> None:
        """A poller that is answered at once would poll in a circle."""
        job_id = await desk.submit()

        assert (await status(desk, job_id, query))[0] == 400

    async def test_an_unknown_job_is_not_waited_for(self, desk: Desk) -> None:
        """404 at once."""
        unknown = JobId("0193e1a0-0000-7000-8000-000000000000")  # type: ignore[arg-type]  # as text, as a client writes it
        async with asyncio.timeout(2):
            assert (await status(desk, unknown, "wait=20"))[0] == 404

    async def test_too_many_who_wait_are_answered_at_once(self, tmp_path: Path) -> None:
        """Not refused: they learn how the job stands and may ask again."""
        async with open_desk(tmp_path, max_waiting=0) as desk:
            job_id = await desk.submit()
            async with asyncio.timeout(2):
                assert (await status(desk, job_id, "wait=20"))[0] == 200

    async def test_a_draining_replica_answers_who_waits(self, desk: Desk) -> None:
        """Requests under way are finished, not cut."""
        job_id = await desk.submit()
        async with aiohttp.ClientSession() as session:
            url = f"{desk.url}/api/jobs/{job_id}?wait=30"
            asking = asyncio.create_task(session.get(url))
            await somebody_watches(desk)
            desk.stop.set()
            async with asyncio.timeout(5), await asking as response:
                assert response.status == 200
                assert response.headers["Connection"] == "close"
