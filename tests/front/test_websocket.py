"""WebSocket ``/jobs/{id}``: nothing is missed, nobody is waited for."""

import asyncio
from functools import partial
from pathlib import Path
from typing import Any

import aiohttp
import orjson
import pytest
from aiohttp import WSMsgType, WSServerHandshakeError

from front_service.push import socket as push_socket
from shared.contract.ids import THE_TENANT, JobId
from shared.contract.states import State
from tests.front.desk import Desk, open_desk, until
from tests.front.memory import Loudspeaker, MemoryStore
from tests.front.peer import connect, masked

Socket = aiohttp.ClientWebSocketResponse
TEXT, BINARY, CLOSE, PING, PONG = 1, 2, 8, 9, 10


def watching(desk: Desk, job_id: JobId, query: str = "", **options: Any) -> Any:
    return desk.session.ws_connect(f"{desk.url}/jobs/{job_id}{query}", **options)


async def hear(socket: Socket) -> Any:
    """Take one frame as a status document."""
    message = await socket.receive(timeout=10)
    assert message.type is WSMsgType.TEXT, message
    return orjson.loads(message.data)


async def closing(socket: Socket) -> int | None:
    """Wait for the end; answer its code."""
    message = await socket.receive(timeout=10)
    assert message.type is WSMsgType.CLOSE, message
    return socket.close_code


def step(desk: Desk, job_id: JobId, state: State, **values: object) -> None:
    """Let a worker bring the job on and tell so."""
    desk.store.move(job_id, state, **values)
    desk.tell(job_id)


def is_handed_out(desk: Desk, job_id: JobId) -> bool:
    watched = desk.front.hub.get(THE_TENANT, job_id)
    return watched is not None and watched.sequence == desk.store.views[job_id].sequence


class TestTheStory:
    async def test_a_watcher_sees_a_job_from_its_ticket_to_its_result(self, desk: Desk) -> None:
        """A snapshot, a frame for each event, the result in the last, and 1000."""
        job_id = await desk.submit()
        async with watching(desk, job_id) as socket:
            assert (await hear(socket))["state"] == "queued"
            step(desk, job_id, State.RUNNING)
            assert (await hear(socket))["state"] == "running"
            desk.store.progress(job_id, 65, "half way")
            desk.tell(job_id)
            progress = await hear(socket)
            assert (progress["progress"], progress["message"]) == (65, "half way")
            step(desk, job_id, State.COMPLETED, result=b'{"n":1}')
            last = await hear(socket)
            assert (last["status"], last["results"]) == ("completed", {"n": 1})
            assert await closing(socket) == 1000

    async def test_every_frame_is_the_status_document(self, desk: Desk) -> None:
        """A client needs one parser for all channels. What changes without an event is not told."""
        job_id = await desk.submit()
        async with watching(desk, job_id) as socket:
            frame = await hear(socket)
        async with desk.session.get(f"{desk.url}/api/jobs/{job_id}") as response:
            status = await response.json()
        assert status.pop("queuePosition") == 1
        assert frame == status

    async def test_a_job_that_has_ended_is_told_at_once(self, desk: Desk) -> None:
        """The final frame and 1000: a client that comes late needs no other way."""
        job_id = await desk.submit()
        desk.store.move(job_id, State.RUNNING)
        desk.store.move(job_id, State.FAILED, error_code="broken", error="It broke.")

        async with watching(desk, job_id) as socket:
            frame = await hear(socket)
            assert (frame["status"], frame["error"]) == ("failed", "It broke.")
            assert await closing(socket) == 1000

    async def test_events_that_come_in_one_go_are_told_one_by_one(self, desk: Desk) -> None:
        """Conflation is for progress only."""
        job_id = await desk.submit()
        async with watching(desk, job_id) as socket:
            await hear(socket)
            for state in (State.RUNNING, State.RETRYING, State.QUEUED, State.RUNNING):
                desk.store.move(job_id, state)
            desk.tell(job_id)

            frames = [await hear(socket) for _ in range(4)]

        assert [f["state"] for f in frames] == ["running", "retrying", "queued", "running"]
        assert [f["sequence"] for f in frames] == [2, 3, 4, 5]

    async def test_doubled_stale_and_forged_news_tell_nothing(self, desk: Desk) -> None:
        """What is shown is read from the store, whatever a message says."""
        job_id = await desk.submit()
        async with watching(desk, job_id) as socket:
            await hear(socket)
            step(desk, job_id, State.RUNNING)
            assert (await hear(socket))["sequence"] == 2
            for news in (
                desk.store.news(job_id),
                b'{"v":1,"news":[["%b",99]]}' % str(job_id).encode(),
                b'{"v":1,"news":[["%b",1]]}' % str(job_id).encode(),
                b'{"v":1,"news":[["nobody",1],[1]]}',
                b"\xff",
                b"[]",
            ):
                desk.air.offer(news)
            step(desk, job_id, State.COMPLETED)

            assert (await hear(socket))["sequence"] == 3


class TestNothingIsMissed:
    async def test_i6_what_happens_during_the_first_read_is_told(self, desk: Desk) -> None:
        """Subscribe first, then read: the other order has a gap in between."""
        job_id = await desk.submit()

        def meanwhile() -> None:
            desk.store.after_history = lambda: None
            step(desk, job_id, State.RUNNING)

        desk.store.after_history = meanwhile
        async with watching(desk, job_id) as socket:
            assert (await hear(socket))["sequence"] == 1
            assert (await hear(socket))["sequence"] == 2

    async def test_i6_lost_news_are_made_up_for_by_the_next(self, desk: Desk) -> None:
        """The fan-out may lose what it likes."""
        job_id = await desk.submit()
        async with watching(desk, job_id) as socket:
            await hear(socket)
            desk.store.move(job_id, State.RUNNING)  # nobody tells
            step(desk, job_id, State.RETRYING)

            assert [(await hear(socket))["sequence"] for _ in range(2)] == [2, 3]

    async def test_i6_a_reconnect_to_the_broker_reads_everything_again(self, desk: Desk) -> None:
        """Whatever happened while nothing was heard."""
        job_id = await desk.submit()
        async with watching(desk, job_id) as socket:
            await hear(socket)
            desk.store.move(job_id, State.RUNNING)
            desk.front.listener.reconnected()

            assert (await hear(socket))["state"] == "running"

    async def test_i6_silence_reads_again(
        self, desk: Desk, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Even if the very last message is the one that was lost."""
        monkeypatch.setattr("front_service.push.listener._SILENCE", 0.0)
        monkeypatch.setattr("front_service.push.listener._TICK", 0.02)
        job_id = await desk.submit()
        async with watching(desk, job_id) as socket:
            await hear(socket)
            desk.store.move(job_id, State.CANCELLED)

            assert (await hear(socket))["state"] == "cancelled"
            assert await closing(socket) == 1000

    async def test_i6_a_database_that_comes_back_is_caught_up_with(
        self, desk: Desk, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """The socket stays; what happened meanwhile is told."""
        monkeypatch.setattr("front_service.push.listener._PAUSE", 0.02)
        job_id = await desk.submit()
        async with watching(desk, job_id) as socket:
            await hear(socket)
            desk.store.move(job_id, State.RUNNING)
            desk.store.is_away, asked = True, desk.store.questions
            desk.tell(job_id)
            await until(lambda: desk.store.questions > asked)
            desk.store.is_away = False

            assert (await hear(socket))["state"] == "running"

    async def test_every_replica_tells_every_event(self, tmp_path: Path) -> None:
        """A cancel on one is seen by those who watch on another."""
        store, air = MemoryStore(), Loudspeaker()
        async with (
            open_desk(tmp_path, store=store, air=air) as one,
            open_desk(tmp_path, store=store, air=air) as two,
        ):
            job_id = await one.submit()
            async with watching(two, job_id) as socket:
                await hear(socket)
                await one.session.delete(f"{one.url}/api/jobs/{job_id}")

                assert (await hear(socket))["state"] == "cancelled"

    async def test_several_watchers_see_the_same(self, desk: Desk) -> None:
        """Each from where it came in, and one question serves them all."""
        job_id = await desk.submit()
        async with watching(desk, job_id) as one, watching(desk, job_id) as two:
            await hear(one)
            await hear(two)
            asked = desk.store.questions
            step(desk, job_id, State.RUNNING)
            assert await hear(one) == await hear(two)
            assert desk.store.questions == asked + 1
            await one.close()
            step(desk, job_id, State.COMPLETED)
            assert (await hear(two))["state"] == "completed"


class TestResume:
    async def test_a_client_that_lost_its_line_misses_nothing(self, desk: Desk) -> None:
        """It says the last number it saw and gets what came after, once and in order."""
        job_id = await desk.submit()
        for state in (State.RUNNING, State.RETRYING, State.QUEUED):
            desk.store.move(job_id, state)

        async with watching(desk, job_id, "?after=2") as socket:
            assert [(await hear(socket))["sequence"] for _ in range(2)] == [3, 4]
            step(desk, job_id, State.RUNNING)
            assert (await hear(socket))["sequence"] == 5

    @pytest.mark.parametrize("after", ["1", "2", "99", "9999999999999"])
    async def test_nothing_new_means_the_job_as_it_is(self, desk: Desk, after: str) -> None:
        """Also for a number of the future: it cannot hide what comes."""
        job_id = await desk.submit()
        async with watching(desk, job_id, f"?after={after}") as socket:
            assert (await hear(socket))["sequence"] == 1
            step(desk, job_id, State.RUNNING)
            assert (await hear(socket))["sequence"] == 2

    async def test_an_ended_job_is_replayed_to_its_end(self, desk: Desk) -> None:
        """The line broke just before the ending."""
        job_id = await desk.submit()
        desk.store.move(job_id, State.RUNNING)
        desk.store.move(job_id, State.COMPLETED, result=b"7")

        async with watching(desk, job_id, "?after=1") as socket:
            assert [(await hear(socket))["state"] for _ in range(2)] == ["running", "completed"]
            assert await closing(socket) == 1000

    @pytest.mark.parametrize("after", ["-1", "x", "", "1.0", "%00", "9" * 19])
    async def test_a_bad_number_is_refused_before_the_upgrade(self, desk: Desk, after: str) -> None:
        """Starting somewhere else would look like a gap."""
        job_id = await desk.submit()

        with pytest.raises(WSServerHandshakeError) as refusal:
            await watching(desk, job_id, f"?after={after}")
        assert refusal.value.status == 400


class TestTheDoor:
    async def test_an_unknown_job_is_refused_before_the_upgrade(self, desk: Desk) -> None:
        """404, as everywhere."""
        with pytest.raises(WSServerHandshakeError) as refusal:
            await watching(desk, JobId("0193e1a0-0000-7000-8000-000000000000"))  # type: ignore[arg-type]  # as text, as a client writes it
        assert refusal.value.status == 404

    async def test_a_job_cleaned_up_is_refused_before_the_upgrade(self, desk: Desk) -> None:
        """410, as everywhere."""
        job_id = await desk.submit()
        desk.store.forget(job_id)

        with pytest.raises(WSServerHandshakeError) as refusal:
            await watching(desk, job_id)
        assert refusal.value.status == 410

    @pytest.mark.parametrize("origin", ["https://evil.example", "null"])
    async def test_a_foreign_page_is_refused_before_the_upgrade(
        self, desk: Desk, origin: str
    ) -> None:
        """Browsers send sockets anywhere and only tell whence."""
        job_id = await desk.submit()

        with pytest.raises(WSServerHandshakeError) as refusal:
            await watching(desk, job_id, origin=origin)
        assert refusal.value.status == 403

    async def test_a_subprotocol_nobody_speaks_is_refused(self, desk: Desk) -> None:
        """A browser would drop a socket that does not answer with it, without a word."""
        job_id = await desk.submit()

        with pytest.raises(WSServerHandshakeError) as refusal:
            await watching(desk, job_id, protocols=["chat"])
        assert refusal.value.status == 400

    async def test_a_plain_get_is_told_what_is_spoken_here(self, desk: Desk) -> None:
        """426, not a confusing 400."""
        job_id = await desk.submit()
        async with desk.session.get(f"{desk.url}/jobs/{job_id}") as response:
            assert (response.status, (await response.json())["code"]) == (426, "upgrade_required")

    async def test_the_upgrade_bears_the_track_id(self, desk: Desk) -> None:
        """It is on every response."""
        job_id = await desk.submit()
        async with connect(desk.port) as peer:
            answer = await peer.upgrade(f"/jobs/{job_id}")

        assert (answer.status, len(answer.headers["x-track-id"])) == (101, 24)


class TestHardPeers:
    async def test_what_a_client_says_is_ignored(self, desk: Desk) -> None:
        """There is nothing to say on this socket."""
        job_id = await desk.submit()
        async with watching(desk, job_id) as socket:
            await hear(socket)
            await socket.send_str("hello")
            await socket.ping()
            step(desk, job_id, State.RUNNING)

            assert (await hear(socket))["state"] == "running"

    @pytest.mark.parametrize(
        ("frames", "code"),
        [
            (masked(TEXT, b"x") * 100, 1008),
            (masked(PING, b"x") * 100, 1008),
            (masked(TEXT, b"", final=False) + masked(0, b"", final=False) * 5_000, 1008),
            (masked(0x0A, b"") * 5_000, 1008),
            (masked(BINARY, b"x"), 1003),
            (masked(TEXT, b"x" * 65_537), 1009),
            (masked(TEXT, b"\xff"), 1007),
            (masked(3, b"x"), 1002),
            (masked(PING, b"x" * 126), 1002),
        ],
    )
    async def test_a_peer_that_says_too_much_is_closed(
        self, desk: Desk, frames: bytes, code: int
    ) -> None:
        """Each message costs us more than it costs him."""
        job_id = await desk.submit()
        async with connect(desk.port) as peer:
            await peer.upgrade(f"/jobs/{job_id}")
            await peer.send(frames)
            opcode, payload = await peer.frame()
            while opcode != CLOSE:
                opcode, payload = await peer.frame()

            assert int.from_bytes(payload[:2], "big") == code
            assert await peer.is_closed()
        await until(lambda: len(desk.front.hub) == 0)

    async def test_a_ping_is_answered(self, desk: Desk) -> None:
        """Proxies and clients look whether we are there."""
        job_id = await desk.submit()
        async with connect(desk.port) as peer:
            await peer.upgrade(f"/jobs/{job_id}")
            await peer.frame()
            await peer.send(masked(PING, b"there?"))

            assert await peer.frame() == (PONG, b"there?")

    async def test_a_silent_line_is_asked_for_a_sign_of_life(
        self, desk: Desk, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """And cut if there is none: half-open lines would pile up."""
        monkeypatch.setattr(push_socket, "_HEARTBEAT", 0.05)
        monkeypatch.setattr(push_socket, "_SILENCE", 0.5)
        job_id = await desk.submit()
        async with connect(desk.port) as peer:
            await peer.upgrade(f"/jobs/{job_id}")
            assert (await peer.frame())[0] == TEXT
            assert (await peer.frame())[0] == PING

            assert await peer.is_closed()
        await until(lambda: len(desk.front.hub) == 0)

    async def test_a_listener_that_only_listens_is_not_cut(
        self, desk: Desk, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """However much it is told meanwhile: its pongs are enough."""
        monkeypatch.setattr(push_socket, "_HEARTBEAT", 0.25)
        monkeypatch.setattr(push_socket, "_SILENCE", 0.8)
        job_id = await desk.submit()
        async with watching(desk, job_id) as socket:
            await hear(socket)
            began = asyncio.get_running_loop().time()
            while asyncio.get_running_loop().time() < began + 1.5:
                desk.store.progress(job_id, 50)
                desk.tell(job_id)
                await hear(socket)

    async def test_a_slow_reader_is_cut_and_nobody_waits_for_it(
        self, desk: Desk, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Its place is free again, and another watcher saw everything in time."""
        monkeypatch.setattr(push_socket, "_SEND_PATIENCE", 0.3)
        job_id = await desk.submit()
        message = "x" * 20_000
        async with (
            connect(desk.port, receive_buffer=4_096) as slow,
            watching(desk, job_id) as quick,
        ):
            await slow.upgrade(f"/jobs/{job_id}")
            assert (await hear(quick))["sequence"] == 1
            step(desk, job_id, State.RUNNING)
            await hear(quick)
            for percent in range(1, 41):
                desk.store.progress(job_id, percent, message)
                desk.tell(job_id)
                assert (await hear(quick))["progress"] == percent
            await until(lambda: len(desk.front.hub) == 1)

            assert await slow.is_closed()

    async def test_a_reader_that_lags_catches_up_from_the_store(
        self, desk: Desk, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Its buffer is bounded; events are never lost with it."""
        monkeypatch.setattr("front_service.push.hub._MOST_LOOKS", 2)
        job_id = await desk.submit()
        async with connect(desk.port, receive_buffer=4_096) as slow:
            await slow.upgrade(f"/jobs/{job_id}")
            assert orjson.loads((await slow.frame())[1])["sequence"] == 1
            for turn in range(20):
                state = State.RUNNING if turn % 2 == 0 else State.QUEUED
                step(desk, job_id, state, message="x" * 5_000)
                await until(partial(is_handed_out, desk, job_id))

            told = [orjson.loads((await slow.frame())[1])["sequence"] for _ in range(20)]

        assert told == list(range(2, 22))


class TestTheEnd:
    async def test_a_client_that_leaves_frees_its_place(self, desk: Desk) -> None:
        """Closed or cut: nothing of it stays."""
        job_id = await desk.submit()
        async with watching(desk, job_id) as socket:
            await hear(socket)
            await socket.close()
        async with connect(desk.port) as peer:
            await peer.upgrade(f"/jobs/{job_id}")
            await peer.frame()

        await until(lambda: len(desk.front.hub) == 0)

    @pytest.mark.parametrize("path", ["/jobs/{job_id}", "/api/socket"])
    async def test_who_dials_a_draining_replica_is_sent_to_another(
        self, desk: Desk, path: str
    ) -> None:
        """Over a line that was open already: 1012, as for all others, and no refusal."""
        job_id = await desk.submit()
        async with connect(desk.port) as peer:
            desk.stop.set()
            await until(lambda: desk.front.hub.is_draining)
            answer = await peer.upgrade(path.format(job_id=job_id))
            frame = await peer.frame()

        assert answer.status == 101
        assert frame == (8, (1012).to_bytes(2, "big") + b"come back")

    async def test_a_draining_replica_sends_its_watchers_away(self, desk: Desk) -> None:
        """1012: come back, to another; and the process ends in time."""
        job_id = await desk.submit()
        async with watching(desk, job_id) as socket:
            await hear(socket)
            desk.stop.set()

            assert await closing(socket) == 1012
        async with asyncio.timeout(5):
            await desk.served
