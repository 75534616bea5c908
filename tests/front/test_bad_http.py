"""HTTP as it should not be: a clear answer, a closed line, and nothing kept."""

import asyncio
from pathlib import Path

import pytest

from front_service.heads import Heads
from shared.runtime.clock import SystemClock
from tests.front.desk import Desk, open_desk
from tests.front.peer import connect

HEAD = b"POST /api/demo/echo HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"

MULTIPART = b"Content-Type: multipart/form-data; boundary=b\r\nExpect: 100-continue\r\n"


@pytest.mark.parametrize(
    "request_bytes",
    [
        HEAD + b"Content-Length: 2\r\nContent-Length: 2\r\n\r\n{}",
        HEAD + b"Content-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n{}",
        HEAD + b"Content-Length: +2\r\n\r\n{}",
        HEAD + b"Content-Length: 1_0\r\n\r\n{}",
        HEAD + b"Content-Length : 2\r\n\r\n{}",
        HEAD + b"X: a\x00b\r\nContent-Length: 2\r\n\r\n{}",
        HEAD + b"X: a\r\n folded\r\nContent-Length: 2\r\n\r\n{}",
        HEAD + b"Transfer-Encoding: xchunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"\r\n\r\n",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        b"GET /" + b"a" * 10_000 + b" HTTP/1.1\r\nHost: localhost\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: localhost\r\nX: " + b"a" * 10_000 + b"\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: localhost\r\n" + b"X: y\r\n" * 200 + b"\r\n",
        b"nonsense\r\n\r\n",
    ],
)
async def test_broken_framing_is_a_400_and_the_end(desk: Desk, request_bytes: bytes) -> None:
    """After it nobody knows where the next request begins."""
    async with connect(desk.port) as peer:
        await peer.send(request_bytes)
        answer = await peer.answer()

        assert 400 <= answer.status < 500
        assert answer.code == "malformed"
        assert answer.headers["x-track-id"]
        assert "aiohttp" not in answer.headers.get("server", "")
        assert await peer.is_closed()
    assert not desk.store.views


@pytest.mark.parametrize(
    ("extra", "status"),
    [
        (b"Content-Type: application/json\r\n", 400),
        (b"Idempotency-Key: a\r\nIdempotency-Key: b\r\n", 400),
        (b"Host: other\r\n", 400),
    ],
)
async def test_headers_that_must_be_single_are(desk: Desk, extra: bytes, status: int) -> None:
    """Two readers would each believe another one."""
    async with connect(desk.port) as peer:
        await peer.send(HEAD + extra + b"Content-Length: 2\r\n\r\n{}")

        assert (await peer.answer()).status == status


async def test_a_request_without_a_host_is_refused(desk: Desk) -> None:
    """Nothing says that it was meant for us."""
    async with connect(desk.port) as peer:
        await peer.send(b"GET /api/jobs HTTP/1.1\r\n\r\n")

        assert (await peer.answer()).status in (400, 403)


@pytest.mark.parametrize(
    ("request_bytes", "status"),
    [
        (b"GET http://evil.example/api/jobs HTTP/1.1\r\nHost: localhost\r\n\r\n", 421),
        (b"GET http://localhost/livez HTTP/1.1\r\nHost: localhost\r\n\r\n", 200),
        (b"CONNECT evil.example:443 HTTP/1.1\r\nHost: localhost\r\n\r\n", 405),
        (b"TRACE /livez HTTP/1.1\r\nHost: localhost\r\n\r\n", 405),
        (b"OPTIONS * HTTP/1.1\r\nHost: localhost\r\n\r\n", 404),
        (HEAD.replace(b"1.1", b"1.0") + b"Content-Length: 2\r\n\r\n{}", 202),
        (
            HEAD.replace(b"1.1", b"1.0")
            + b"Transfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n",
            400,
        ),
        (b"GET //api/jobs HTTP/1.1\r\nHost: localhost\r\n\r\n", 404),
        (b"GET /api/jobs?tag=%ff HTTP/1.1\r\nHost: localhost\r\n\r\n", 400),
        (b"GET /api/jobs?tag=%ed%a0%80 HTTP/1.1\r\nHost: localhost\r\n\r\n", 400),
        (b"GET /api/jobs/%ff HTTP/1.1\r\nHost: localhost\r\n\r\n", 404),
    ],
)
async def test_odd_requests_get_what_they_ask_for(
    desk: Desk, request_bytes: bytes, status: int
) -> None:
    """Legal HTTP that means another server, a proxy, or an older time."""
    async with connect(desk.port) as peer:
        await peer.send(request_bytes)
        answer = await peer.answer()

    assert answer.status == status
    assert answer.headers["x-track-id"]


class TestExpect:
    async def test_a_small_body_is_asked_for(self, desk: Desk) -> None:
        """As curl does: it waits for the 100 before it sends."""
        async with connect(desk.port) as peer:
            await peer.send(HEAD + b"Content-Length: 2\r\nExpect: 100-continue\r\n\r\n")
            assert (await peer.answer()).status == 100
            await peer.send(b"{}")
            assert (await peer.answer()).status == 202

    @pytest.mark.parametrize(
        ("extra", "status"),
        [
            (b"Content-Length: 99999999999\r\nExpect: 100-continue\r\n", 413),
            (b"Content-Length: 2\r\nExpect: 200-maybe\r\n", 417),
            (b"Content-Length: 2\r\nContent-Encoding: gzip\r\nExpect: 100-continue\r\n", 415),
        ],
    )
    async def test_a_body_that_would_be_refused_is_not_asked_for(
        self, desk: Desk, extra: bytes, status: int
    ) -> None:
        """The client keeps its gigabytes."""
        async with connect(desk.port) as peer:
            await peer.send(HEAD + extra + b"\r\n")
            answer = await peer.answer()

            assert answer.status == status
            assert answer.headers["x-track-id"]
            assert await peer.is_closed()

    @pytest.mark.parametrize(
        ("request_line", "extra", "status"),
        [
            (b"POST /api/blobs", b"Content-Length: 99999999999\r\nExpect: 100-continue\r\n", 413),
            (b"POST /api/demo/echo", MULTIPART + b"Content-Length: 99999999999\r\n", 413),
            (b"POST /api/blobs", b"Content-Length: 2\r\nExpect: 200-maybe\r\n", 417),
            (b"GET /api/jobs", b"Expect: 200-maybe\r\n", 417),
            (b"GET /nowhere", b"Expect: 200-maybe\r\n", 417),
            (b"PUT /api/jobs", b"Expect: 200-maybe\r\n", 417),
            (
                b"POST /api/blobs",
                b"Origin: https://evil.example\r\nContent-Length: 2\r\nExpect: 100-continue\r\n",
                403,
            ),
        ],
    )
    async def test_no_address_asks_for_what_it_would_refuse(
        self, desk: Desk, request_line: bytes, extra: bytes, status: int
    ) -> None:
        """And the refusal is a problem document with a TrackID, wherever it is made."""
        async with connect(desk.port) as peer:
            await peer.send(
                request_line + b" HTTP/1.1\r\nHost: localhost\r\nX-Track-ID: t-1\r\n" + extra
            )
            await peer.send(b"\r\n")
            answer = await peer.answer()

            assert answer.status == status
            assert answer.headers["content-type"] == "application/problem+json"
            assert answer.headers["x-track-id"] == "t-1"
            assert await peer.is_closed()

    async def test_a_file_is_asked_for(self, desk: Desk) -> None:
        """As curl does with every upload of some size."""
        async with connect(desk.port) as peer:
            await peer.send(b"POST /api/blobs HTTP/1.1\r\nHost: localhost\r\n")
            await peer.send(b"Content-Length: 2\r\nExpect: 100-continue\r\n\r\n")
            assert (await peer.answer()).status == 100
            await peer.send(b"hi")
            assert (await peer.answer()).status == 201


async def test_a_chunked_body_obeys_the_same_limit(tmp_path: Path) -> None:
    """Its length is not announced: it is counted as it comes."""
    async with open_desk(tmp_path, max_body=4_096) as desk, connect(desk.port) as peer:
        await peer.send(HEAD + b"Transfer-Encoding: chunked\r\n\r\n")
        await peer.send(b"1000\r\n" + b" " * 4_096 + b"\r\n" + b"1000\r\n" + b" " * 4_096 + b"\r\n")

        assert (await peer.answer()).status == 413
        assert await peer.is_closed()


async def test_a_body_in_single_bytes_is_taken(desk: Desk) -> None:
    """Slow and small is no crime, while it lasts less than the limit."""
    async with connect(desk.port) as peer:
        await peer.send(HEAD + b"Transfer-Encoding: chunked\r\n\r\n")
        for byte in b'{"payload": 1}':
            await peer.send(b"1\r\n" + bytes((byte,)) + b"\r\n")
        await peer.send(b"0\r\n\r\n")

        assert (await peer.answer()).status == 202


async def test_a_body_that_never_comes_is_timed(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    """408, and the line is free again."""
    monkeypatch.setattr("front_service.api.bodies._PATIENCE", 0.1)
    async with connect(desk.port) as peer:
        await peer.send(HEAD + b"Content-Length: 10\r\n\r\n{")
        answer = await peer.answer()

        assert (answer.status, answer.code) == (408, "too_slow")
        assert await peer.is_closed()


async def test_a_client_that_leaves_in_its_body_leaves_nothing(desk: Desk) -> None:
    """Half a request is none; and the next client is served."""
    async with connect(desk.port) as peer:
        await peer.send(HEAD + b"Content-Length: 10\r\n\r\n{")
    job_id = await desk.submit()

    assert list(desk.store.views) == [job_id]


@pytest.mark.parametrize("start", [b"", b"GET", b"GET / HTTP/1.1\r\nHost: local"])
async def test_half_a_head_does_not_hold_a_line(
    desk: Desk, start: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Thousands of such lines would be a cheap way to close the desk."""
    monkeypatch.setattr(desk.front.heads, "_patience", 0.05)
    async with connect(desk.port) as peer:
        await peer.send(start)

        assert await peer.is_closed(within=2)


async def test_a_line_that_spoke_once_is_left_to_its_keep_alive(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Only the first head is timed here: a client may pause between requests."""
    monkeypatch.setattr(desk.front.heads, "_patience", 0.0)
    async with connect(desk.port) as peer:
        await peer.send(b"GET /livez HTTP/1.1\r\nHost: localhost\r\n\r\n")
        await peer.answer()
        desk.front.heads.sweep()
        await peer.send(b"GET /livez HTTP/1.1\r\nHost: localhost\r\n\r\n")

        assert (await peer.answer()).status == 200


def test_a_sweep_closes_the_late_and_only_them() -> None:
    """Judged by a clock that is handed in, the oldest first."""

    class Line:
        closed = False

        def force_close(self) -> None:
            self.closed = True

    class Stopped(SystemClock):
        now = 0.0

        def monotonic(self) -> float:
            return self.now

    clock = Stopped()
    heads, old, young, spoke = Heads(clock, patience=5.0), Line(), Line(), Line()
    heads.begun(old)
    heads.begun(spoke)
    clock.now = 3.0
    heads.begun(young)
    heads.done(spoke)
    clock.now = 5.0

    heads.sweep()

    assert (old.closed, young.closed, spoke.closed) == (True, False, False)


async def test_pipelined_requests_are_answered_in_turn(desk: Desk) -> None:
    """Memory is bounded: they are read as they are answered."""
    async with connect(desk.port) as peer:
        sending = asyncio.create_task(
            peer.send(b"GET /livez HTTP/1.1\r\nHost: localhost\r\n\r\n" * 1_000)
        )
        for _ in range(1_000):
            assert (await peer.answer()).status == 200
        await sending
