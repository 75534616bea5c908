"""Large bodies: refused before they are read where that can be known, bounded where not."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.front.desk import Desk, open_desk
from tests.front.peer import connect

FORM = b"Host: localhost\r\nContent-Type: multipart/form-data; boundary=b\r\n"
FILE = b'--b\r\nContent-Disposition: form-data; name="document"; filename="x"\r\n\r\n'


def files_below(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file()]


@pytest.mark.parametrize(
    ("path", "extra", "status"),
    [
        (b"/api/no/such", b"", 404),
        (b"/api/scans/read", b"Idempotency-Key: \xc3\xa4\r\n", 400),
        (b"/api/scans/read", b"Idempotency-Key: a\r\nIdempotency-Key: b\r\n", 400),
    ],
)
async def test_a_form_that_no_file_could_save_is_refused_by_its_head(
    desk: Desk, path: bytes, extra: bytes, status: int
) -> None:
    """The answer is there while not one byte of the body was sent."""
    async with connect(desk.port) as peer:
        await peer.send(b"POST " + path + b" HTTP/1.1\r\n" + FORM + extra)
        await peer.send(b"Content-Length: 1000000\r\n\r\n")

        assert (await peer.answer()).status == status


async def test_a_full_outbox_takes_no_files(desk: Desk) -> None:
    """They would wait on the disk for a job that there will not be."""
    desk.post.waiting = 10**9
    await desk.front.backlog.look()
    async with connect(desk.port) as peer:
        await peer.send(b"POST /api/scans/read HTTP/1.1\r\n" + FORM)
        await peer.send(b"Content-Length: 1000000\r\n\r\n")

        assert (await peer.answer()).status == 503


async def test_the_files_of_a_form_have_one_limit_together(tmp_path: Path) -> None:
    """Sixty-four parts of the largest size would be sixty-four times as much."""

    async def body() -> AsyncIterator[bytes]:  # its length is not announced
        for _ in range(3):
            yield FILE + b"x" * 4_000 + b"\r\n"
        yield b"--b--\r\n"

    async with open_desk(tmp_path / "blobs", max_upload=10_000) as desk:
        media = {"Content-Type": "multipart/form-data; boundary=b"}
        url = f"{desk.url}/api/scans/read"
        async with desk.session.post(url, data=body(), headers=media) as response:
            assert response.status == 413
    assert len(files_below(tmp_path)) <= 2


@pytest.mark.parametrize("path", ["/api/blobs", "/api/scans/read"])
async def test_a_body_at_a_crawl_is_timed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, path: str
) -> None:
    """A byte every nine seconds would hold a line and a file for years."""
    monkeypatch.setattr("front_service.api.bodies._GRACE", 0.0)
    monkeypatch.setattr("front_service.api.bodies._SLOWEST", 10**12)
    monkeypatch.setattr("front_service.api.bodies._PATIENCE", 1.0)
    more = asyncio.Event()

    async def body() -> AsyncIterator[bytes]:
        yield FILE + b"x" * 100
        await more.wait()

    async with open_desk(tmp_path / "blobs") as desk:
        media = {"Content-Type": "multipart/form-data; boundary=b"}
        async with desk.session.post(desk.url + path, data=body(), headers=media) as response:
            assert (response.status, (await response.json())["code"]) == (408, "too_slow")
        more.set()
    assert files_below(tmp_path) == []


async def test_a_body_in_its_time_is_taken_at_any_pace(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A small file over a poor line is no attack."""
    monkeypatch.setattr("front_service.api.bodies._SLOWEST", 10**12)
    async with desk.session.post(f"{desk.url}/api/blobs", data=b"hello") as response:
        assert response.status == 201
