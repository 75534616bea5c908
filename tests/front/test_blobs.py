"""Files: kept whole, handed out harmlessly."""

import hashlib
from collections.abc import AsyncGenerator
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest

from front_service.keys import UPLOADS
from shared.contract.errors import Unavailable
from tests.front.desk import Desk, open_desk, until
from tests.front.peer import connect

CONTENT = bytes(range(256)) * 40


def files_below(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file()]


async def upload(desk: Desk, content: bytes = CONTENT, **headers: str) -> Any:
    given = {name.replace("_", "-"): value for name, value in headers.items()}
    async with desk.session.post(
        desk.url + "/api/blobs", data=BytesIO(content), headers=given
    ) as response:
        assert response.status == 201, await response.text()
        return await response.json()


async def test_a_file_comes_back_as_it_went(desk: Desk) -> None:
    """Byte for byte, with its label and its digest."""
    blob = await upload(
        desk,
        Content_Type="application/pdf",
        Content_Disposition="attachment; filename*=UTF-8''r%C3%A9sum%C3%A9.pdf",
    )
    assert blob["sha256"] == hashlib.sha256(CONTENT).hexdigest()
    assert blob["size"] == len(CONTENT)

    async with desk.session.get(desk.url + blob["url"]) as response:
        assert await response.read() == CONTENT
        assert response.headers["Content-Type"] == "application/pdf"
        assert response.headers["Content-Disposition"] == (
            "attachment; filename*=UTF-8''r%C3%A9sum%C3%A9.pdf"
        )
        assert response.headers["ETag"] == f'"{blob["sha256"]}"'
        assert response.headers["X-Track-ID"]


async def test_a_file_is_never_a_page_of_ours(desk: Desk) -> None:
    """HTML and SVG of strangers must not run under our name."""
    blob = await upload(desk, b"<script>1</script>", Content_Type="text/html")

    async with desk.session.get(desk.url + blob["url"]) as response:
        assert response.headers["X-Content-Type-Options"] == "nosniff"
        assert "sandbox" in response.headers["Content-Security-Policy"]
        assert response.headers["Content-Disposition"].startswith("attachment")


@pytest.mark.parametrize(
    ("wanted", "status", "part"),
    [
        ("bytes=0-9", 206, CONTENT[:10]),
        ("bytes=10-", 206, CONTENT[10:]),
        ("bytes=-10", 206, CONTENT[-10:]),
        ("bytes=0-999999999", 206, CONTENT),
        ("bytes=0-1,5-6", 200, CONTENT),
        ("bytes=" + ",".join(["0-1"] * 1_000), 200, CONTENT),
        ("bytes=9-3", 200, CONTENT),
        ("lines=1-2", 200, CONTENT),
        ("bytes=-", 200, CONTENT),
        ("bytes=x-y", 200, CONTENT),
    ],
)
async def test_ranges(desk: Desk, wanted: str, status: int, part: bytes) -> None:
    """One range is served; several, or nonsense, mean the whole (RFC 9110)."""
    blob = await upload(desk)
    async with desk.session.get(desk.url + blob["url"], headers={"Range": wanted}) as response:
        assert (response.status, await response.read()) == (status, part)
        assert ("Content-Range" in response.headers) == (status == 206)


@pytest.mark.parametrize("wanted", [f"bytes={len(CONTENT)}-", "bytes=999999-1000000", "bytes=-0"])
async def test_a_range_beyond_the_end_is_refused(desk: Desk, wanted: str) -> None:
    """416 with the true size."""
    blob = await upload(desk)
    async with desk.session.get(desk.url + blob["url"], headers={"Range": wanted}) as response:
        assert response.status == 416
        assert response.headers["Content-Range"] == f"bytes */{len(CONTENT)}"


async def test_an_empty_file_is_a_file(desk: Desk) -> None:
    """Nothing to stream, and no error."""
    blob = await upload(desk, b"")
    async with desk.session.get(desk.url + blob["url"]) as response:
        assert (response.status, await response.read()) == (200, b"")


async def test_what_is_known_is_not_sent_again(desk: Desk) -> None:
    """A blob never changes: its digest is its version."""
    blob = await upload(desk)
    known = {"If-None-Match": f'"{blob["sha256"]}"'}
    async with desk.session.get(desk.url + blob["url"], headers=known) as response:
        assert response.status == 304
    other = {"Range": "bytes=0-1", "If-Range": '"other"'}
    async with desk.session.get(desk.url + blob["url"], headers=other) as response:
        assert response.status == 200
    async with desk.session.head(desk.url + blob["url"]) as response:
        assert response.headers["Content-Length"] == str(len(CONTENT))


@pytest.mark.parametrize(
    ("name", "label"),
    [
        ("../../etc/passwd", "passwd"),
        ("C:\\\\temp\\\\a.txt", "a.txt"),
        ("a" * 500, "a" * 200),
        ("", "file"),
    ],
)
async def test_a_name_is_only_a_label(desk: Desk, name: str, label: str) -> None:
    """It never becomes a path, nor anything but a file name in a header."""
    disposition = f'attachment; filename="{name}"'
    blob = await upload(desk, Content_Disposition=disposition)
    async with desk.session.get(desk.url + blob["url"]) as response:
        assert response.headers["Content-Disposition"].endswith("''" + label)


async def test_an_unknown_file_is_not_found(desk: Desk) -> None:
    """Whatever its name looks like."""
    for name in ("0193e1a0-0000-7000-8000-000000000000", "..%2f..", "x"):
        async with desk.session.get(f"{desk.url}/api/blobs/{name}") as response:
            assert (response.status, (await response.json())["code"]) == (404, "unknown_blob")


async def test_a_file_over_the_limit_is_refused(tmp_path: Path) -> None:
    """By its announced length, or as it comes; nothing of it stays."""
    async with open_desk(tmp_path, max_upload=2_048) as desk:
        async with desk.session.post(desk.url + "/api/blobs", data=BytesIO(CONTENT)) as response:
            assert response.status == 413
        async with connect(desk.port) as peer:
            await peer.send(
                b"POST /api/blobs HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n"
            )
            await peer.send(b"1000\r\n" + b"x" * 4_096 + b"\r\n")
            await peer.send(b"0\r\n\r\n")
            assert (await peer.answer()).status == 413
        assert not desk.store.blobs
        assert not files_below(tmp_path)


async def test_a_reader_that_takes_nothing_is_cut(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Downloads that nobody reads would hold files and memory for ever."""
    monkeypatch.setattr("front_service.api.blobs._PATIENCE", 0.3)
    blob = await upload(desk, b"x" * 2**24)
    async with connect(desk.port, receive_buffer=4_096) as slow:
        await slow.send(f"GET {blob['url']} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
        answer_begins = await slow.reader.readline()
        assert b"200" in answer_begins
        assert desk.front.server.open_connections == 2
        await until(lambda: desk.front.server.open_connections == 1)


async def test_a_download_that_breaks_off_ends_without_another_word(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A refusal in the midst of it would be taken for a piece of the file."""

    async def break_off(*_: object) -> AsyncGenerator[bytes, None]:
        yield b"half"
        raise Unavailable("The disk is gone")

    monkeypatch.setattr(desk.front.app[UPLOADS], "read", break_off)
    blob = await upload(desk)
    async with connect(desk.port) as peer:
        await peer.send(f"GET {blob['url']} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
        answer = await peer.reader.read()

    assert answer.endswith(b"\r\n\r\nhalf")


async def test_an_upload_that_breaks_off_leaves_nothing(tmp_path: Path) -> None:
    """Half a file is none."""
    async with open_desk(tmp_path) as desk:
        async with connect(desk.port) as peer:
            await peer.send(
                b"POST /api/blobs HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100\r\n\r\nhalf"
            )
        await desk.submit()
        assert not desk.store.blobs
    assert not files_below(tmp_path)
