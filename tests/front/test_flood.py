"""A flood of submits: refused at once and unread, on lines that stay open and in step."""

import pytest

from front_service.turnstile import is_plain_submit
from tests.front.desk import Desk
from tests.front.peer import connect

BODY = b'{"payload": 1}'


def request(*fields: str, path: str = "/api/demo/echo", body: bytes = BODY) -> bytes:
    lines = [f"POST {path} HTTP/1.1", "Host: 127.0.0.1", "Content-Type: application/json", *fields]
    return "\r\n".join([*lines, "", ""]).encode() + body


LENGTH = f"Content-Length: {len(BODY)}"
SUBMIT = request(LENGTH)
CANCEL = b"POST /api/demo/cancel/x HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 0\r\n\r\n"
STATUS = b"GET /livez HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"


def flood(desk: Desk) -> None:
    desk.store.waiting = 10_000
    desk.gate.is_flooded = True


def calm(desk: Desk) -> None:
    desk.store.waiting = 0
    desk.gate.is_flooded = False


@pytest.mark.parametrize("fields", [(), ("Connection: close",), ("Origin: http://127.0.0.1",)])
async def test_a_submit_in_a_flood_is_refused_and_told_when_to_come_back(
    desk: Desk, fields: tuple[str, ...]
) -> None:
    """On whichever of the ways; and nothing is kept of it."""
    flood(desk)
    async with connect(desk.port) as peer:
        await peer.send(request(LENGTH, *fields))
        answer = await peer.answer()

    assert (answer.status, answer.code) == (503, "unavailable")
    assert answer.headers["retry-after"] in {"1", "2", "3"}
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.headers["x-track-id"].encode() in answer.body
    assert desk.store.views == {}


async def test_a_refused_line_goes_on_in_step(desk: Desk) -> None:
    """Refused at the turnstile or not, each request on a line has one answer, in its turn."""
    async with connect(desk.port) as peer:
        for is_flooded in (False, True, True, False, True, False):
            (flood if is_flooded else calm)(desk)
            await peer.send(SUBMIT)
            assert (await peer.answer()).status == (503 if is_flooded else 202)
            await peer.send(STATUS)
            assert (await peer.answer()).status == 200


async def test_what_is_no_submit_is_served_in_a_flood(desk: Desk) -> None:
    """Whoever wants to know or to cancel takes load away; and probes must see a live process."""
    flood(desk)
    async with connect(desk.port) as peer:
        await peer.send(STATUS)
        assert (await peer.answer()).status == 200
        await peer.send(CANCEL)
        assert (await peer.answer()).status == 404


@pytest.mark.parametrize("before", [b"", STATUS])
async def test_a_body_that_looks_like_a_submit_is_a_body(desk: Desk, before: bytes) -> None:
    """However it is cut into pieces, on a line of its own or behind another request."""
    outer = request(f"Content-Length: {len(SUBMIT)}", path="/api/nobody/knows", body=b"")
    async with connect(desk.port) as peer:
        await peer.send(before + outer)
        if before:
            assert (await peer.answer()).status == 200
        flood(desk)
        await peer.send(SUBMIT)

        assert (await peer.answer()).status in {404, 503}  # one answer, to all of it
        await peer.send(STATUS)
        assert (await peer.answer()).status == 200


async def test_the_rest_of_a_head_is_no_request_of_its_own(desk: Desk) -> None:
    """It may begin like a submit, behind a request that was whole."""
    flood(desk)
    async with connect(desk.port) as peer:
        await peer.send(STATUS + STATUS[:-2] + b"X-A: ")
        assert (await peer.answer()).status == 200
        await peer.send(SUBMIT)

        assert (await peer.answer()).status == 400


@pytest.mark.parametrize(
    "data",
    [
        SUBMIT[:-1],
        SUBMIT + b"x",
        SUBMIT + SUBMIT,
        request(LENGTH, LENGTH),
        request("Content-Length: 3", LENGTH),
        request("Content-Length : 14"),
        request("Content-Length: +14"),
        request("Content-Length: 14, 14"),
        request(LENGTH, "Transfer-Encoding: chunked"),
        request(LENGTH, "Expect: 100-continue"),
        request(LENGTH, "Upgrade: websocket"),
        request(LENGTH, "Connection: close"),
        request(LENGTH, "Connection: keep-alive, upgrade"),
        request(LENGTH, "Origin: http://example.com"),
        request(LENGTH, "X-Track-ID: mine"),
        request(LENGTH, "X: a\nTransfer-Encoding: chunked"),
        request(LENGTH, "X: a\rTransfer-Encoding: chunked"),
        request(LENGTH, "X: a", " folded"),
        request(LENGTH, "X: \0"),
        request(LENGTH, path="/api/jobs/bulk"),
        request(LENGTH, path="/api/demo/cancel/x"),
        request(LENGTH, path="/api/batches"),
        request(LENGTH, path="/api/demo/echo?x=1"),
        request(LENGTH).replace(b"HTTP/1.1", b"HTTP/1.0"),
        request(LENGTH).replace(b"POST", b"GET"),
        request(LENGTH).replace(b"\r\n", b"\n"),
        b"",
    ],
)
def test_doubt_goes_the_usual_way(data: bytes) -> None:
    """Where a request ends is never guessed, and no other route is shut."""
    assert not is_plain_submit(data)


@pytest.mark.parametrize(
    "data",
    [
        SUBMIT,
        request("content-length:14"),
        request(LENGTH, "Connection: keep-alive", "Authorization: Bearer x"),
        request(LENGTH, "Idempotency-Key: a"),
        request("Content-Length: 0", body=b""),
    ],
)
def test_a_submit_as_most_send_it_is_plain(data: bytes) -> None:
    """Else the turnstile would be of no use."""
    assert is_plain_submit(data)
