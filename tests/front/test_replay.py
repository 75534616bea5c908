"""Replay and release over HTTP, and how a replayed job is told to those who follow it."""

from typing import Any

import orjson
import pytest

from shared.contract.ids import JobId
from shared.contract.states import State
from tests.front.desk import Desk, until
from tests.front.test_jobs import UNKNOWN, complete, get, post
from tests.front.test_sse import listening
from tests.front.test_websocket import closing, hear, step, watching


def fail(desk: Desk, job_id: JobId) -> None:
    desk.store.move(job_id, State.RUNNING)
    desk.store.move(job_id, State.FAILED, error="It went wrong", error_code="no_good")


async def a_failed_job(desk: Desk, **members: Any) -> JobId:
    job_id = await desk.submit(**members)
    fail(desk, job_id)
    return job_id


@pytest.mark.parametrize("state", [State.FAILED, State.CANCELLED, State.EXPIRED])
async def test_a_replay_is_202_with_the_status(desk: Desk, state: State) -> None:
    """It waits again: knocked for, and told to whoever watches."""
    job_id = await desk.submit()
    desk.store.move(job_id, state)
    desk.post.sent.clear()

    status, content = await post(desk, f"/api/jobs/{job_id}/replay")

    assert status == 202
    assert (content["status"], content["state"]) == ("pending", "queued")
    assert (content["replays"], content["attempt"], content["sequence"]) == (1, 0, 3)
    assert "completedAt" not in content
    assert [row.job_ids for row in desk.post.sent] == [(job_id,)]


async def test_what_cannot_be_replayed_says_how_it_stands(desk: Desk) -> None:
    """409: it lives, or it has a result."""
    live, done = await desk.submit(), await desk.submit()
    complete(desk, done)

    for job_id, status in ((live, "pending"), (done, "completed")):
        code, content = await post(desk, f"/api/jobs/{job_id}/replay")
        assert (code, content["code"]) == (409, "not_replayable")
        assert content["job"]["status"] == status
    assert len(desk.store.events[done]) == 3


@pytest.mark.parametrize("verb", ["replay", "release"])
async def test_what_is_not_there_is_not_found(desk: Desk, verb: str) -> None:
    """404 for what never was, 410 for what was cleaned up."""
    gone = await a_failed_job(desk)
    desk.store.forget(gone)

    codes = [(await post(desk, f"/api/jobs/{name}/{verb}"))[0] for name in (UNKNOWN, "x", gone)]

    assert codes == [404, 404, 410]


async def test_a_poller_of_a_replayed_job_is_not_told_to_wait_for_its_age(desk: Desk) -> None:
    """How long the run before took says nothing of this one."""
    job_id = await a_failed_job(desk)
    view = desk.store.views[job_id]
    desk.store.age(job_id, days=1)
    await post(desk, f"/api/jobs/{job_id}/replay")

    _, _, headers = await get(desk, f"/api/jobs/{job_id}")

    assert desk.store.views[job_id].created_at < view.created_at
    assert headers["Retry-After"] == "1"


async def test_a_release_is_200_with_the_status(desk: Desk) -> None:
    """The job is as failed as before; the next of its key is knocked for."""
    job_id = await a_failed_job(desk, job={"orderingKey": "k"})
    desk.post.sent.clear()

    status, content = await post(desk, f"/api/jobs/{job_id}/release")

    assert (status, content["status"]) == (200, "failed")
    assert len(desk.post.sent) == 1


async def test_what_holds_no_key_cannot_be_released(desk: Desk) -> None:
    """409 with how it stands; also when it was released already."""
    free, held = await a_failed_job(desk), await a_failed_job(desk, job={"orderingKey": "k"})
    await post(desk, f"/api/jobs/{held}/release")

    for job_id in (free, held):
        status, content = await post(desk, f"/api/jobs/{job_id}/release")
        assert (status, content["code"]) == (409, "holds_no_key")
        assert content["job"]["status"] == "failed"


async def test_whoever_resumes_after_the_old_ending_hears_the_new_run(desk: Desk) -> None:
    """The stream ends with the ending of the last run."""
    job_id = await a_failed_job(desk)
    await post(desk, f"/api/jobs/{job_id}/replay")
    async with watching(desk, job_id, "?after=3") as socket:
        first = await hear(socket)
        assert (first["sequence"], first["state"], first["replays"]) == (4, "queued", 1)
        step(desk, job_id, State.RUNNING)
        assert (await hear(socket))["state"] == "running"
        step(desk, job_id, State.COMPLETED, result=b"1")
        last = await hear(socket)
        assert (last["sequence"], last["status"]) == (6, "completed")
        assert await closing(socket) == 1000


async def test_the_whole_story_tells_the_old_ending_as_an_old_one(desk: Desk) -> None:
    """It bears its own error and time, and says that it was not the last word."""
    job_id = await a_failed_job(desk)
    ended_at = desk.store.views[job_id].completed_at
    await post(desk, f"/api/jobs/{job_id}/replay")
    desk.store.move(job_id, State.RUNNING)
    async with watching(desk, job_id, "?after=0") as socket:
        frames = [await hear(socket) for _ in range(5)]

    assert [frame["state"] for frame in frames] == [
        *("queued", "running", "failed", "queued", "running")
    ]
    assert [frame.get("replays", 0) for frame in frames] == [0, 0, 0, 1, 1]
    assert [frame.get("replayed", False) for frame in frames] == [False] * 2 + [True] + [False] * 2
    assert ended_at is not None
    assert frames[2]["error"] == "It went wrong"
    assert frames[2]["completedAt"] == ended_at.isoformat().replace("+00:00", "Z")


async def test_a_watcher_who_missed_the_ending_hears_it_and_goes_on(desk: Desk) -> None:
    """Both happened before anybody looked: the socket stays open."""
    job_id = await desk.submit()
    async with watching(desk, job_id) as socket:
        await hear(socket)
        fail(desk, job_id)
        await post(desk, f"/api/jobs/{job_id}/replay")
        desk.tell(job_id)
        assert [(await hear(socket))["state"] for _ in range(3)] == ["running", "failed", "queued"]
        step(desk, job_id, State.CANCELLED)
        assert (await hear(socket))["state"] == "cancelled"
        assert await closing(socket) == 1000


async def test_an_event_source_that_heard_the_old_ending_is_not_sent_away(desk: Desk) -> None:
    """204 would tell it never to ask again."""
    job_id = await a_failed_job(desk)
    async with listening(desk, job_id, Last_Event_ID="3") as source:
        assert source.response.status == 204
    await post(desk, f"/api/jobs/{job_id}/replay")

    async with listening(desk, job_id, Last_Event_ID="3") as source:
        assert source.response.status == 200
        number, document = await source.event()
        assert (number, document["state"]) == ("4", "queued")
        step(desk, job_id, State.FAILED)
        number, document = await source.event()
        assert (number, document["status"]) == ("5", "failed")
        assert await source.event() == (None, None)


async def test_who_waits_with_a_long_poll_hears_of_a_replay(desk: Desk) -> None:
    """Whoever saw the old ending asks for what comes after it."""
    job_id = await a_failed_job(desk)
    await post(desk, f"/api/jobs/{job_id}/replay")
    await until(lambda: len(desk.front.hub) == 0)

    async with desk.session.get(f"{desk.url}/api/jobs/{job_id}?wait=30&after=3") as response:
        content = orjson.loads(await response.read())

    assert (content["sequence"], content["state"]) == (4, "queued")
