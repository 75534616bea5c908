"""Following a job: nothing twice, nothing missed, and the last word is the ending."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import aclosing
from datetime import timedelta
from typing import Any

import pytest
from aiohttp import web

from shared.contract.errors import Gone, UnknownJob
from tests.client.conftest import Opens
from tests.client.desk import (
    Desk,
    Ends,
    Reply,
    answers,
    is_cut,
    refuses,
    says,
    stalls,
    stays_silent,
)
from tests.client.documents import a_history, a_job_id, a_status
from tests.client.stated import StatedClock
from uketsuke.client import Client, Status
from uketsuke.errors import BadAnswer, DeadlinePassed, OtherProblem, Unreachable
from uketsuke.patience import Pace, SystemClock


async def told(statuses: AsyncIterator[Status]) -> list[tuple[int, float]]:
    return [(status.sequence, status.progress) async for status in statuses]


def a_long_history(job_id: str) -> list[dict[str, Any]]:
    return [
        a_status(job_id, 1, "queued"),
        a_status(job_id, 2, "running"),
        a_status(job_id, 3, "retrying"),
        a_status(job_id, 4, "running"),
        a_status(job_id, 5, "completed"),
    ]


async def test_a_watch_tells_the_history_and_ends_with_the_ending(
    desk: Desk, client: Client
) -> None:
    """One socket, every event in order, and no poll beside it."""
    job_id = desk.tells(*a_history(results={"text": "ok"}))

    statuses = [status async for status in client.watch(job_id)]

    assert [status.state for status in statuses] == ["queued", "running", "completed"]
    assert statuses[-1].results == {"text": "ok"}
    assert len(desk.watched(job_id)) == 1
    assert desk.polled(job_id) == []


async def test_an_ending_that_was_replayed_is_not_the_last_word(desk: Desk, client: Client) -> None:
    """Whoever asks for the whole history is told of it, and goes on to the last run's end."""
    job_id = a_job_id()
    failed = a_status(job_id, 2, "failed", replayed=True)
    desk.tells(a_status(job_id, 1, "queued"), failed, a_status(job_id, 3, "queued", replays=1))
    desk.jobs[job_id].append(a_status(job_id, 4, "completed", replays=1))

    statuses = [status async for status in client.watch(job_id, after=0)]

    assert [status.state for status in statuses] == ["queued", "failed", "queued", "completed"]
    assert [status.has_ended for status in statuses] == [False, False, False, True]


async def test_wait_answers_the_ending(desk: Desk, client: Client) -> None:
    """Whichever it is: a failed job is an answer, not an exception."""
    job_id = a_job_id()
    desk.tells(a_status(job_id, 1, "queued"), a_status(job_id, 2, "failed", error="no such page"))

    status = await client.wait(job_id)

    assert status.has_ended
    assert not status.succeeded
    assert status.error == "no such page"


@pytest.mark.parametrize("code", [1012, 1001, 1011, 4408, 1000, None])
async def test_a_dropped_socket_is_resumed_where_it_was(
    desk: Desk, client: Client, code: int | None
) -> None:
    """However often and however it drops: no event is missed and none is told twice."""
    job_id = desk.tells(*a_long_history(a_job_id()))
    desk.sockets.extend([Ends(2, code), Ends(1, code), Ends(1, code)])

    assert await told(client.watch(job_id)) == [(1, 0), (2, 0), (3, 0), (4, 0), (5, 100)]
    assert [seen.query for seen in desk.watched(job_id)] == [
        {},
        {"after": "2"},
        {"after": "3"},
        {"after": "4"},
    ]
    assert desk.polled(job_id) == []


async def test_a_socket_that_cannot_be_opened_for_a_moment_is_tried_again(
    desk: Desk, client: Client
) -> None:
    """A replica that restarts costs a pause, not the stream."""
    job_id = desk.tells(*a_history())
    desk.sockets.extend([Ends(1, 1012), is_cut, Ends(9, 1000)])

    assert await told(client.watch(job_id)) == [(1, 0), (2, 0), (3, 100)]
    assert desk.polled(job_id) == []


async def test_what_a_server_repeats_is_told_once(desk: Desk, client: Client) -> None:
    """Doubled, stale and overtaken frames do not reach the caller."""
    job_id = a_job_id()
    one, two = a_status(job_id, 1, "queued"), a_status(job_id, 2)
    half, more = a_status(job_id, 2, progress=50), a_status(job_id, 2, progress=70)
    end = a_status(job_id, 3, "completed")
    desk.tells(one, two, end)
    desk.sockets.append(says(one, one, two, half, half, one, more, half, two, end, end))

    assert await told(client.watch(job_id)) == [(1, 0), (2, 0), (2, 50), (2, 70), (3, 100)]


async def test_a_message_is_news_though_the_progress_stands(desk: Desk, client: Client) -> None:
    """A step that takes long still says what it does."""
    job_id = a_job_id()
    first = a_status(job_id, 2, progress=50, message="reading")
    second = a_status(job_id, 2, progress=50, message="writing")
    desk.tells(first, a_status(job_id, 3, "completed"))
    desk.sockets.append(says(first, second, a_status(job_id, 3, "completed")))

    messages = [status.message async for status in client.watch(job_id)]

    assert messages == ["reading", "writing", None]


async def test_a_watch_may_begin_after_what_was_seen(desk: Desk, client: Client) -> None:
    """A program that was restarted goes on where it was."""
    job_id = desk.tells(*a_long_history(a_job_id()))

    assert await told(client.watch(job_id, after=3)) == [(4, 0), (5, 100)]
    assert desk.watched(job_id)[0].query == {"after": "3"}


async def test_a_watch_after_the_end_still_tells_the_ending(desk: Desk, client: Client) -> None:
    """Whoever asks for the ending gets it, also when it was told before."""
    job_id = desk.tells(*a_history())
    desk.sockets.append(says(code=1000))

    assert await told(client.watch(job_id, after=3)) == [(3, 100)]


@pytest.mark.parametrize(
    "refusal",
    [
        pytest.param(answers(426), id="no upgrade here"),
        pytest.param(answers(200, "<html>"), id="a page instead"),
        pytest.param(refuses(503, "unavailable"), id="draining"),
        pytest.param(refuses(429, "over_quota"), id="too many streams"),
        pytest.param(answers(302, Location="http://192.0.2.1/"), id="a redirect elsewhere"),
        pytest.param(answers(404, "a proxy that knows no sockets"), id="unknown to a proxy"),
    ],
)
async def test_without_a_socket_a_watch_polls(desk: Desk, client: Client, refusal: Reply) -> None:
    """A proxy that lets no WebSocket through costs promptness and nothing else."""
    job_id = desk.tells(*a_history())
    desk.sockets.append(refusal)

    assert await told(client.watch(job_id)) == [(1, 0), (2, 0), (3, 100)]
    assert len(desk.watched(job_id)) == 1


@pytest.mark.parametrize("code", [1008, 4401, 1002])
async def test_a_socket_closed_for_cause_is_not_opened_again(
    desk: Desk, client: Client, code: int
) -> None:
    """The next one would end the same; asking says what is wrong, or goes on."""
    job_id = desk.tells(*a_history())
    desk.sockets.append(Ends(1, code))

    assert await told(client.watch(job_id)) == [(1, 0), (2, 0), (3, 100)]
    assert len(desk.watched(job_id)) == 1


async def test_sockets_that_tell_nothing_new_give_way_to_polls(desk: Desk, client: Client) -> None:
    """Something between that kills every socket cannot keep a watch turning in circles."""
    job_id = desk.tells(*a_history())
    desk.sockets.extend([Ends(0, None)] * 3)

    assert await told(client.watch(job_id)) == [(1, 0), (2, 0), (3, 100)]
    assert len(desk.watched(job_id)) == 3


@pytest.mark.parametrize(
    ("error", "is_gone"), [pytest.param(UnknownJob, False), pytest.param(Gone, True)]
)
async def test_an_unknown_or_gone_job_ends_the_watch_at_once(
    desk: Desk, client: Client, clock: StatedClock, error: type[Exception], *, is_gone: bool
) -> None:
    """404 and 410 are answers: there is nothing to wait for."""
    job_id = a_job_id()
    if is_gone:
        desk.gone.add(job_id)

    with pytest.raises(error) as refused:
        await client.wait(job_id)

    assert refused.value.__notes__ == ["TrackID track-9"]
    assert clock.pauses == []


async def test_a_job_that_goes_while_it_is_polled_ends_the_watch(
    desk: Desk, client: Client
) -> None:
    """Cleaned up between two polls: the watch says so and stops."""
    job_id = desk.tells(a_status(a_job_id(), 1, "queued"))
    desk.sockets.append(answers(426))
    desk.script["status"].append(answers(200, desk.jobs[job_id][0]))
    desk.script["status"].append(refuses(410, "gone"))

    with pytest.raises(Gone):
        await client.wait(job_id)


async def test_what_is_no_job_id_is_unknown_without_asking(desk: Desk, client: Client) -> None:
    """Text of a stranger never becomes part of an address."""
    for text in ("../../etc", "", "0193", "0193AAAA-0000-7000-8000-000000000000", "a/b?c#d"):
        with pytest.raises(UnknownJob):
            await client.status(text)

    assert desk.seen == []


async def test_polls_come_ever_more_rarely(desk: Desk, client: Client, clock: StatedClock) -> None:
    """1 s, then times 1.5, never above 30 s; these dice show half of each."""
    job_id = a_job_id()
    desk.tells(*[a_status(job_id, 1, "queued")] * 12, a_status(job_id, 2, "completed"))
    desk.sockets.append(answers(426))

    await client.wait(job_id)

    assert clock.pauses == [
        *(0.5, 0.75, 1.125, 1.688, 2.531, 3.797, 5.695, 8.543, 12.814),
        *(15, 15, 15),
    ]


async def test_the_jitter_falls_between_half_of_a_pause_and_all_of_it() -> None:
    """A thousand clients that began together do not ask together."""
    pace = Pace()

    assert pace.pause(3, 0.0) == timedelta(seconds=1.125)
    assert pace.pause(3, 0.999) < timedelta(seconds=2.25)
    assert pace.pause(10_000, 0.999) < timedelta(seconds=30)


async def test_polls_obey_retry_after_within_reason(
    desk: Desk, client: Client, clock: StatedClock
) -> None:
    """Never earlier than told; a lie of years, of nothing or of letters is not believed."""
    job_id = a_job_id()
    waiting = a_status(job_id, 1, "queued")
    desk.tells(waiting, a_status(job_id, 2, "completed"))
    desk.sockets.append(answers(426))
    for said in ("7", "99999999999999999999", "0", "-5", "soon"):
        desk.script["status"].append(answers(200, waiting, Retry_After=said))

    await client.wait(job_id)

    assert clock.pauses[:5] == [7, 300, 0.5, 1.688, 2.531]


async def test_a_deadline_ends_the_polls(desk: Desk, client: Client, clock: StatedClock) -> None:
    """It is a TimeoutError too; the job goes on without us."""
    job_id = desk.tells(a_status(a_job_id(), 1, "queued"))
    desk.sockets.append(answers(426))

    with pytest.raises(TimeoutError) as passed:
        await client.wait(job_id, deadline=timedelta(seconds=10))

    assert isinstance(passed.value, DeadlinePassed)
    assert clock.slept == pytest.approx(10)


async def test_a_deadline_ends_a_silent_socket(desk: Desk, open_client: Opens) -> None:
    """A server that takes the socket and says nothing holds nobody."""
    client = await open_client(clock=SystemClock())
    job_id = desk.tells(a_status(a_job_id(), 1, "queued"))
    desk.sockets.append(stays_silent())

    with pytest.raises(DeadlinePassed):
        await client.wait(job_id, deadline=timedelta(milliseconds=50))


async def test_a_deadline_ends_a_stalled_upgrade(desk: Desk, open_client: Opens) -> None:
    """Nor does one that never answers the upgrade."""
    client = await open_client(clock=SystemClock())
    job_id = desk.tells(a_status(a_job_id(), 1, "queued"))
    desk.sockets.append(stalls)

    with pytest.raises(DeadlinePassed):
        await client.wait(job_id, deadline=timedelta(milliseconds=50))


async def test_a_peer_that_answers_no_ping_is_left(desk: Desk, open_client: Opens) -> None:
    """A half-open connection is noticed by its silence, and the stream resumed elsewhere."""
    client = await open_client(pace=Pace(heartbeat=timedelta(milliseconds=60)))
    job_id = desk.tells(*a_history())

    async def is_deaf(request: web.Request) -> web.StreamResponse:
        socket = web.WebSocketResponse(autoping=False)
        await socket.prepare(request)
        await asyncio.Event().wait()
        return socket

    desk.sockets.append(is_deaf)

    assert await told(client.watch(job_id)) == [(1, 0), (2, 0), (3, 100)]
    assert len(desk.watched(job_id)) == 2


async def test_with_a_deadline_trouble_is_endured(
    desk: Desk, client: Client, clock: StatedClock
) -> None:
    """Whoever waits an hour lives through ten minutes of a service that is down."""
    job_id = desk.tells(*a_history())
    desk.sockets.append(answers(426))
    desk.script["status"].extend([refuses(503, "unavailable", retry_after=30)] * 20)

    status = await client.wait(job_id, deadline=timedelta(hours=1))

    assert status.succeeded
    assert clock.slept > 600


async def test_with_a_deadline_endless_trouble_ends_as_the_deadline(
    desk: Desk, client: Client, clock: StatedClock
) -> None:
    """What the caller set is what the caller gets, with the trouble as its cause."""
    job_id = desk.tells(a_status(a_job_id(), 1, "queued"))
    desk.sockets.append(answers(426))
    desk.script["status"].extend([is_cut] * 100)

    with pytest.raises(DeadlinePassed) as passed:
        await client.wait(job_id, deadline=timedelta(seconds=40))

    assert isinstance(passed.value.__cause__, Unreachable)
    assert clock.slept == pytest.approx(40)


async def test_without_a_deadline_trouble_lasts_as_long_as_patience(
    open_client: Opens, clock: StatedClock, unused_tcp_port: int
) -> None:
    """A service that went away for good is an error, not an endless loop."""
    url = f"http://127.0.0.1:{unused_tcp_port}"
    client = await open_client(url, patience=timedelta(seconds=30))

    with pytest.raises(Unreachable):
        await client.wait(a_job_id())

    assert clock.slept < 40


@pytest.mark.parametrize(
    ("frame", "said"),
    [
        pytest.param("not json", "not JSON", id="not JSON"),
        pytest.param("[1, 2]", "no JSON object", id="an array"),
        pytest.param("null", "no JSON object", id="null"),
        pytest.param("[" * 100_000, "not JSON", id="endless nesting"),
        pytest.param(b"\x00\x01", "binary", id="binary"),
        pytest.param('{"status": "completed"}', "jobId", id="no id"),
        pytest.param(a_status(a_job_id(), 1, "completed"), "told of", id="another job"),
        pytest.param('"' + "x" * 2_000_000 + '"', "frame", id="huge"),
    ],
)
async def test_a_frame_that_is_no_status_is_one_clear_error(
    desk: Desk, client: Client, frame: dict[str, Any] | str | bytes, said: str
) -> None:
    """A broken or lying server is named as such; nothing of it is believed."""
    job_id = desk.tells(*a_history())
    desk.sockets.append(says(frame))

    with pytest.raises(BadAnswer, match=said):
        await client.wait(job_id)


@pytest.mark.parametrize(
    ("member", "value"),
    [
        ("status", 7),
        ("status", None),
        ("progress", "half"),
        ("sequence", "x"),
        ("sequence", [1]),
        ("message", {"a": 1}),
        ("tags", "a"),
        ("createdAt", "yesterday"),
        ("error", ["x"]),
    ],
)
async def test_a_member_of_another_type_is_named(
    desk: Desk, client: Client, member: str, value: Any
) -> None:
    """The error says which member is not as the contract has it."""
    job_id = desk.tells(*a_history())
    desk.sockets.append(says(a_status(job_id, 1) | {member: value}))

    with pytest.raises(BadAnswer, match=member):
        await client.wait(job_id)


async def test_members_that_are_not_known_yet_do_no_harm(desk: Desk, client: Client) -> None:
    """A newer service may say more; an older one may leave out."""
    job_id = a_job_id()
    desk.tells(
        {"jobId": job_id, "status": "simmering", "sequence": 1, "mood": "fine"},
        {"jobId": job_id, "status": "completed", "sequence": 2},
    )

    statuses = [status async for status in client.watch(job_id)]

    assert [status.status for status in statuses] == ["simmering", "completed"]
    assert statuses[0].document["mood"] == "fine"


async def test_a_watch_left_early_lets_go_and_cancels_nothing(desk: Desk, client: Client) -> None:
    """Looking away is not the same as not wanting."""
    job_id = desk.tells(a_status(a_job_id(), 1, "queued"))
    left = asyncio.Event()
    first = desk.jobs[job_id][0]

    async def tells_one_and_stays(request: web.Request) -> web.StreamResponse:
        socket = web.WebSocketResponse()
        await socket.prepare(request)
        await socket.send_json(first)
        await socket.receive()
        left.set()
        return socket

    desk.sockets.append(tells_one_and_stays)
    async with aclosing(client.watch(job_id)) as statuses:
        async for _ in statuses:
            break

    await asyncio.wait_for(left.wait(), 5)
    assert desk.of("DELETE") == []


async def test_a_refused_token_is_an_error_and_no_loop(desk: Desk, open_client: Opens) -> None:
    """The socket carries the token; where it is refused, the refusal is what is raised."""
    client = await open_client(token="secret")
    job_id = desk.tells(*a_history())
    desk.sockets.append(refuses(401, "unauthenticated"))
    desk.script["status"].append(refuses(401, "unauthenticated"))

    with pytest.raises(OtherProblem, match="unauthenticated, HTTP 401"):
        await client.wait(job_id)

    assert desk.watched(job_id)[0].headers["Authorization"] == "Bearer secret"


async def test_a_status_that_redirects_to_the_result_is_an_ending(
    desk: Desk, client: Client
) -> None:
    """A service set to redirect completed jobs serves this client too."""
    job_id = desk.tells(*a_history())
    desk.sockets.append(answers(426))
    desk.script["status"].append(answers(303, Location=f"/api/demo/result/{job_id}"))

    status = await client.wait(job_id)

    assert status.succeeded
    assert status.results == {"n": 1}
