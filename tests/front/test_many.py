"""WebSocket ``/api/socket``: many jobs over one socket."""

import asyncio
from pathlib import Path
from typing import Any

import aiohttp
import orjson
import pytest
from aiohttp import WSMsgType

from front_service.push import socket as push_socket
from shared.contract.ids import JobId
from shared.contract.states import State
from tests.front.desk import Desk, open_desk, until
from tests.front.memory import Loudspeaker, MemoryStore
from tests.front.peer import connect, masked
from tests.support.builders import a_job_id

Socket = aiohttp.ClientWebSocketResponse


def dial(desk: Desk, query: str = "", **options: Any) -> Any:
    return desk.session.ws_connect(f"{desk.url}/api/socket{query}", **options)


async def hear(socket: Socket) -> Any:
    message = await socket.receive(timeout=10)
    assert message.type is WSMsgType.TEXT, message
    return orjson.loads(message.data)


async def closing(socket: Socket) -> int | None:
    message = await socket.receive(timeout=10)
    assert message.type is WSMsgType.CLOSE, message
    return socket.close_code


async def say(socket: Socket, op: str, **members: Any) -> None:
    await socket.send_str(orjson.dumps({"op": op, **members}).decode())


async def subscribe(socket: Socket, *jobs: JobId, **members: Any) -> Any:
    """Subscribe, and give what is answered before the first snapshot."""
    await say(socket, "subscribe", jobs=jobs, **members)
    return await hear(socket)


def step(desk: Desk, job_id: JobId, state: State, **values: object) -> None:
    desk.store.move(job_id, state, **values)
    desk.tell(job_id)


async def is_alive(desk: Desk, socket: Socket) -> bool:
    """A socket that was not closed still answers."""
    job_id = await desk.submit()
    return bool((await subscribe(socket, job_id))["event"] == "subscribed")


class TestTheStory:
    async def test_each_job_is_told_as_on_a_socket_of_its_own(self, desk: Desk) -> None:
        """A snapshot, every event, the ending; and then it is followed no longer."""
        one, two = await desk.submit(), await desk.submit()
        async with dial(desk) as socket:
            answer = await subscribe(socket, one, two, id="first")
            assert answer == {
                "event": "subscribed",
                "jobs": sorted([str(one), str(two)]),
                "id": "first",
            }
            first = {(await hear(socket))["jobId"] for _ in range(2)}
            assert first == {str(one), str(two)}
            step(desk, two, State.RUNNING)
            assert (await hear(socket))["state"] == "running"
            step(desk, two, State.COMPLETED, result=b'{"n":1}')
            last = await hear(socket)
            assert (last["jobId"], last["results"]) == (str(two), {"n": 1})
            step(desk, one, State.RUNNING)
            assert (await hear(socket))["jobId"] == str(one)
            await until(lambda: len(desk.front.hub) == 1)

    async def test_a_frame_is_the_frame_of_the_other_socket(self, desk: Desk) -> None:
        """A client needs one parser for all channels."""
        job_id = await desk.submit()
        async with dial(desk) as many, desk.session.ws_connect(f"{desk.url}/jobs/{job_id}") as one:
            await subscribe(many, job_id)
            assert await hear(many) == await hear(one)

    async def test_each_job_resumes_after_its_own_number(self, desk: Desk) -> None:
        """Nothing twice, and nothing missed; a number of the future is answered as things are."""
        one, two, three = [await desk.submit() for _ in range(3)]
        for job_id in (one, two, three):
            desk.store.move(job_id, State.RUNNING)
            desk.store.move(job_id, State.RETRYING)
        async with dial(desk) as socket:
            await subscribe(socket, one, two, three, after={str(one): 1, str(two): 99})
            told: dict[str, list[int]] = {}
            for _ in range(4):
                frame = await hear(socket)
                told.setdefault(frame["jobId"], []).append(frame["sequence"])
        assert told == {str(one): [2, 3], str(two): [3], str(three): [3]}

    async def test_a_job_that_has_ended_is_told_once(self, desk: Desk) -> None:
        """It takes no place afterwards."""
        job_id = await desk.submit()
        desk.store.move(job_id, State.CANCELLED)
        async with dial(desk) as socket:
            await subscribe(socket, job_id)
            assert (await hear(socket))["status"] == "cancelled"
            await until(lambda: len(desk.front.hub) == 0)
            assert await is_alive(desk, socket)

    async def test_a_tag_stands_for_the_live_jobs_that_bear_it(self, desk: Desk) -> None:
        """Those that have ended are not news."""
        tagged = [await desk.submit(job={"tags": ["t", str(n)]}) for n in range(3)]
        desk.store.move(tagged[0], State.CANCELLED)
        await desk.submit(job={"tags": ["other"]})
        async with dial(desk) as socket:
            await say(socket, "subscribe", tag="t")
            answer = await hear(socket)
        assert answer["jobs"] == sorted(map(str, tagged[1:]))

    async def test_who_unsubscribes_hears_no_more_of_it(self, desk: Desk) -> None:
        """One, or all at once; what was never followed is no mistake."""
        one, two, three = [await desk.submit() for _ in range(3)]
        async with dial(desk) as socket:
            await subscribe(socket, one, two, three)
            for _ in range(3):
                await hear(socket)
            await say(socket, "unsubscribe", jobs=[one, a_job_id()])
            assert await hear(socket) == {"event": "unsubscribed", "jobs": [str(one)]}
            step(desk, one, State.RUNNING)
            step(desk, two, State.RUNNING)
            assert (await hear(socket))["jobId"] == str(two)
            await say(socket, "unsubscribe")
            assert len((await hear(socket))["jobs"]) == 2
            await until(lambda: len(desk.front.hub) == 0)

    async def test_who_subscribes_twice_hears_it_once(self, desk: Desk) -> None:
        """A client that is not sure may ask again."""
        job_id = await desk.submit()
        async with dial(desk) as socket:
            await subscribe(socket, job_id, job_id)
            await hear(socket)
            assert (await subscribe(socket, job_id))["jobs"] == [str(job_id)]
            step(desk, job_id, State.RUNNING)
            assert (await hear(socket))["state"] == "running"
            step(desk, job_id, State.CANCELLED)
            assert (await hear(socket))["state"] == "cancelled"
            assert await is_alive(desk, socket)

    async def test_a_job_can_be_cancelled(self, desk: Desk) -> None:
        """Followed or not: the answer says how far it got."""
        queued, running, ended = [await desk.submit() for _ in range(3)]
        desk.store.move(running, State.RUNNING)
        desk.store.move(ended, State.FAILED, error="no")
        async with dial(desk) as socket:
            await say(socket, "cancel", jobs=[queued, running, ended, a_job_id()], id="c")
            told = [await hear(socket) for _ in range(4)]
        assert [one["event"] for one in told] == ["cancelled", "cancelling", "error", "error"]
        assert [one.get("code") for one in told[2:]] == ["already_ended", "unknown_job"]
        assert {one["id"] for one in told} == {"c"}


class TestBadInput:
    @pytest.mark.parametrize(
        ("said", "code"),
        [
            ("", "malformed"),
            ("no json", "malformed"),
            ("[]", "malformed"),
            ('{"op":"subscribe","jobs":["\\ud800"]}', "malformed"),
            ("{}", "invalid"),
            ('{"op":"dance"}', "invalid"),
            ('{"op":1}', "invalid"),
            ('{"op":"subscribe"}', "invalid"),
            ('{"op":"subscribe","jobs":[]}', "invalid"),
            ('{"op":"subscribe","jobs":"all"}', "invalid"),
            ('{"op":"subscribe","jobs":[1]}', "invalid"),
            ('{"op":"subscribe","jobs":["a"],"tag":"t"}', "invalid"),
            ('{"op":"subscribe","jobs":["a"],"more":1}', "invalid"),
            ('{"op":"subscribe","jobs":["a"],"after":{"a":-1}}', "invalid"),
            ('{"op":"subscribe","jobs":["a"],"after":{"a":"1"}}', "invalid"),
            ('{"op":"subscribe","jobs":["a"],"after":{"a":1e99}}', "invalid"),
            ('{"op":"subscribe","jobs":["a"],"after":{"b":1}}', "invalid"),
            ('{"op":"subscribe","jobs":["a"],"batch":"b"}', "invalid"),
            ('{"op":"subscribe","tag":"a","batch":"b"}', "invalid"),
            ('{"op":"subscribe","batch":["b"]}', "invalid"),
            ('{"op":"subscribe","batch":"../.."}', "unknown_batch"),
            ('{"op":"subscribe","batch":""}', "unknown_batch"),
            ('{"op":"unsubscribe","jobs":["a"],"batch":"b"}', "invalid"),
            ('{"op":"cancel"}', "invalid"),
            ('{"op":"subscribe","jobs":["../.."]}', "unknown_job"),
            ('{"op":"cancel","jobs":["\\u0000"]}', "invalid"),
        ],
    )
    async def test_what_cannot_be_done_is_told_and_no_more(
        self, desk: Desk, said: str, code: str
    ) -> None:
        """An error frame; the socket, and what it follows, stay."""
        async with dial(desk) as socket:
            await socket.send_str(said)
            answer = await hear(socket)
            if answer["event"] == "subscribed":  # nothing of it
                answer = await hear(socket)
            assert (answer["event"], answer["code"]) == ("error", code)
            assert answer["error"]

    async def test_unknown_gone_and_known_jobs_are_told_apart(self, desk: Desk) -> None:
        """What can be followed is; of the others each has its own error."""
        known, gone, unknown = await desk.submit(), await desk.submit(), a_job_id()
        desk.store.forget(gone)
        async with dial(desk) as socket:
            assert (await subscribe(socket, unknown, known, gone))["jobs"] == [str(known)]
            told = [await hear(socket) for _ in range(3)]
        troubles = {one["jobId"]: one["code"] for one in told if one.get("event") == "error"}
        assert troubles == {str(unknown): "unknown_job", str(gone): "gone"}

    async def test_one_socket_follows_a_hundred_jobs(self, desk: Desk) -> None:
        """More are refused, those before stay."""
        jobs = [await desk.submit() for _ in range(101)]
        async with dial(desk) as socket:
            await subscribe(socket, *jobs[:100])
            for _ in range(100):
                await hear(socket)
            assert (await subscribe(socket, jobs[100]))["code"] == "over_quota"
            assert (await subscribe(socket, *jobs))["code"] == "invalid"
            assert len(desk.front.hub) == 100
            await say(socket, "unsubscribe", jobs=jobs[:1])
            await hear(socket)
            assert (await subscribe(socket, jobs[100]))["event"] == "subscribed"

    async def test_trouble_with_the_store_is_told(self, desk: Desk) -> None:
        """The client may ask again; no place is kept meanwhile."""
        job_id = await desk.submit()
        async with dial(desk) as socket:
            desk.store.is_away = True
            assert (await subscribe(socket, job_id))["code"] == "unavailable"
            assert len(desk.front.hub) == 0
            desk.store.is_away = False
            assert (await subscribe(socket, job_id))["event"] == "subscribed"

    @pytest.mark.parametrize(
        ("frame", "code"),
        [(masked(2, b"\0"), 1003), (masked(1, b"\xff"), 1007), (masked(1, b"x" * 65_537), 1009)],
        ids=["binary", "not UTF-8", "too large"],
    )
    async def test_what_is_no_command_at_all_ends_the_socket(
        self, desk: Desk, frame: bytes, code: int
    ) -> None:
        """As on a socket for one job."""
        async with connect(desk.port) as peer:
            assert (await peer.upgrade("/api/socket")).status == 101
            await peer.send(frame)
            opcode, body = await peer.frame()
        assert (opcode, int.from_bytes(body[:2], "big")) == (8, code)

    async def test_a_flood_of_commands_ends_the_socket(self, desk: Desk) -> None:
        """1008 after twenty in a second."""
        async with dial(desk) as socket:
            for _ in range(30):
                await say(socket, "unsubscribe")
            while (message := await socket.receive(timeout=10)).type is WSMsgType.TEXT:
                pass
        assert message.type is WSMsgType.CLOSE
        assert socket.close_code == 1008

    async def test_a_plain_get_is_told_what_is_spoken_here(self, desk: Desk) -> None:
        """426."""
        async with desk.session.get(f"{desk.url}/api/socket") as response:
            assert response.status == 426


class TestReaders:
    async def test_a_token_follows_its_job_and_cancels_nothing(self, desk: Desk) -> None:
        """On this socket too it is for one job, and for reading."""
        mine, other = await desk.submit(), await desk.submit()
        async with desk.session.post(f"{desk.url}/api/jobs/{mine}/tokens") as response:
            token = (await response.json())["token"]
        async with dial(desk, f"?token={token}") as socket:
            assert (await subscribe(socket, other))["code"] == "unknown_job"
            assert (await hear(socket))["jobs"] == []
            await say(socket, "cancel", jobs=[mine])
            assert (await hear(socket))["code"] == "forbidden"
            assert (await subscribe(socket, mine))["jobs"] == [str(mine)]

    async def test_the_socket_closes_when_its_token_ends(self, desk: Desk) -> None:
        """4401."""
        job_id = await desk.submit()
        async with desk.session.post(
            f"{desk.url}/api/jobs/{job_id}/tokens", json={"ttlSeconds": 1}
        ) as response:
            token = (await response.json())["token"]
        async with dial(desk, f"?token={token}") as socket:
            assert await closing(socket) == 4401

    async def test_a_foreign_page_is_refused_before_the_upgrade(self, desk: Desk) -> None:
        """Browsers ask nobody before they open a socket."""
        with pytest.raises(aiohttp.WSServerHandshakeError) as refusal:
            await dial(desk, origin="https://evil.example")
        assert refusal.value.status == 403

    async def test_a_draining_replica_sends_all_to_another(self, tmp_path: Path) -> None:
        """1012, also to whoever follows nothing yet."""
        store, air = MemoryStore(), Loudspeaker()
        async with (
            open_desk(tmp_path, store=store, air=air) as desk,
            dial(desk) as idle,
            dial(desk) as busy,
        ):
            await subscribe(busy, await desk.submit())
            await hear(busy)
            desk.stop.set()
            assert await closing(idle) == 1012
            assert await closing(busy) == 1012

    async def test_a_reader_that_takes_nothing_is_cut_off(
        self, desk: Desk, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """However many of its jobs have news, one frame at a time waits for it."""
        monkeypatch.setattr(push_socket, "_SEND_PATIENCE", 0.3)
        jobs = [await desk.submit() for _ in range(20)]
        async with connect(desk.port, receive_buffer=4_096) as peer:
            await peer.upgrade("/api/socket")
            command = {"op": "subscribe", "jobs": [str(one) for one in jobs]}
            await peer.send(masked(1, orjson.dumps(command)))
            await until(lambda: len(desk.front.hub) == len(jobs))
            async with asyncio.timeout(20):
                while len(desk.front.hub):
                    for job_id in jobs:
                        desk.store.progress(job_id, 1, "x" * 400)
                        desk.tell(job_id)
                    await asyncio.sleep(0)
            assert await peer.is_closed()
