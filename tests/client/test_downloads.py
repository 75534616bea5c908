"""Bringing the files of a result to the disk: whole or not at all, and only where wanted."""

from datetime import timedelta
from pathlib import Path

import pytest
from aiohttp import web
from yarl import URL

from shared.contract.errors import UnknownBlob
from tests.client.conftest import Opens
from tests.client.desk import Desk, answers, drips, is_cut
from uketsuke.client import Client
from uketsuke.documents import file_links
from uketsuke.downloads import file_name
from uketsuke.errors import BadAnswer, DeadlinePassed, Unreachable
from uketsuke.patience import SystemClock


def holds(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


async def test_a_file_arrives_whole(desk: Desk, client: Client, tmp_path: Path) -> None:
    """At the very place that was named, and nothing beside it."""
    desk.blobs["1"] = (b"x" * 3_000_000, "attachment")

    place = await client.download("/api/blobs/1", tmp_path / "report.pdf")

    assert place == tmp_path / "report.pdf"
    assert holds(tmp_path) == {"report.pdf": b"x" * 3_000_000}


async def test_in_a_folder_a_file_takes_its_own_name_and_spares_what_is_there(
    desk: Desk, client: Client, tmp_path: Path
) -> None:
    """Nothing is overwritten by what a server chooses to call its file."""
    desk.blobs["1"] = (b"new", 'attachment; filename="report.pdf"')
    (tmp_path / "report.pdf").write_bytes(b"old")

    place = await client.download("/api/blobs/1", tmp_path)

    assert place == tmp_path / "report (2).pdf"
    assert (tmp_path / "report.pdf").read_bytes() == b"old"


@pytest.mark.parametrize(
    ("said", "name"),
    [
        ('attachment; filename="a.pdf"', "a.pdf"),
        ("attachment; filename*=UTF-8''%e2%82%ac%20rates.pdf", "_ rates.pdf"),
        ('attachment; filename="../../etc/passwd"', "passwd"),
        ('attachment; filename="..\\\\..\\\\win.ini"', "win.ini"),
        ('attachment; filename=".."', "file"),
        ('attachment; filename=".bashrc"', "bashrc"),
        ('attachment; filename="a\x00b\x1b[1m.txt"', "a_b__1m.txt"),
        (f'attachment; filename="{"x" * 500}.pdf"', f"{'x' * 120}.pdf"),
        ("attachment", "1"),
        ("", "1"),
    ],
)
async def test_of_a_servers_name_only_a_plain_file_name_is_used(said: str, name: str) -> None:
    """No folder, no hidden file, no control character, no end of the disk."""
    assert file_name(said, URL("http://127.0.0.1/api/blobs/1")) == name


async def test_a_download_that_breaks_off_leaves_nothing(
    desk: Desk, client: Client, tmp_path: Path
) -> None:
    """Half a file must not pass for a file, nor replace a whole one."""

    async def breaks_off(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Length": "1000"})
        await response.prepare(request)
        await response.write(b"half")
        return await is_cut(request)

    desk.script["blob"].append(breaks_off)
    (tmp_path / "report.pdf").write_bytes(b"old")

    with pytest.raises(Unreachable):
        await client.download("/api/blobs/1", tmp_path / "report.pdf")

    assert holds(tmp_path) == {"report.pdf": b"old"}


async def test_a_download_has_a_deadline_if_wanted(
    desk: Desk, open_client: Opens, tmp_path: Path
) -> None:
    """A server that drips does not hold the caller, and leaves nothing behind."""
    client = await open_client(clock=SystemClock())

    desk.script["blob"].append(drips)

    with pytest.raises(DeadlinePassed):
        await client.download("/api/blobs/1", tmp_path, deadline=timedelta(milliseconds=80))

    assert holds(tmp_path) == {}


async def test_a_missing_file_is_an_unknown_blob(client: Client, tmp_path: Path) -> None:
    """And leaves nothing behind."""
    with pytest.raises(UnknownBlob):
        await client.download("/api/blobs/1", tmp_path)

    assert holds(tmp_path) == {}


async def test_a_missing_folder_is_the_callers_own_error(
    desk: Desk, client: Client, tmp_path: Path
) -> None:
    """Trouble with the disk is not called trouble with the network."""
    desk.blobs["1"] = (b"x", "attachment")

    with pytest.raises(FileNotFoundError):
        await client.download("/api/blobs/1", tmp_path / "no" / "such.pdf")


async def test_the_token_goes_to_the_service_and_not_to_its_storage(
    desk: Desk, open_client: Opens, tmp_path: Path
) -> None:
    """A redirect to a presigned address elsewhere is followed without any secret."""
    elsewhere = Desk()
    await elsewhere.open()
    elsewhere.blobs["1"] = (b"presigned", "attachment")
    client = await open_client(token="secret", track_id="mine")
    desk.script["blob"].append(answers(302, Location=f"{elsewhere.url}/api/blobs/1"))
    try:
        place = await client.download("/api/blobs/1", tmp_path)
    finally:
        await elsewhere.close()

    assert place.read_bytes() == b"presigned"
    assert desk.seen[0].headers["Authorization"] == "Bearer secret"
    assert {"Authorization", "X-Track-ID"} & elsewhere.seen[0].headers.keys() == set()


async def test_a_download_does_not_run_in_circles(
    desk: Desk, client: Client, tmp_path: Path
) -> None:
    """Nor does it read files of this machine."""
    desk.script["blob"].extend([answers(302, Location="/api/blobs/1")] * 50)
    with pytest.raises(BadAnswer, match="more than 5"):
        await client.download("/api/blobs/1", tmp_path)

    desk.script["blob"].clear()
    desk.script["blob"].append(answers(302, Location="file:///etc/passwd"))
    with pytest.raises(BadAnswer, match="address"):
        await client.download("/api/blobs/1", tmp_path)


def test_links_to_files_are_found_at_any_depth() -> None:
    """Each with the path of the member that names it; deep nesting is no trouble."""
    deep: object = "/api/blobs/deep"
    for _ in range(5_000):
        deep = [deep]
    results = {
        "report": {"pdf": "/api/blobs/1", "pages": 3},
        "pages": ["/api/blobs/2", "https://example.org/"],
    }

    assert list(file_links(results)) == [
        ("report.pdf", "/api/blobs/1"),
        ("pages[0]", "/api/blobs/2"),
    ]
    assert next(file_links(deep))[1] == "/api/blobs/deep"
