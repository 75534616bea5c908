"""What the fetcher promises: the file, or a clear refusal, and never a step aside."""

import asyncio
import socket
from collections.abc import AsyncIterator, Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from aiohttp import web

from back_service.fetching import Fetcher, Patience, open_fetcher
from shared.contract.authoring import Fail, Retry
from tests.fetching.dials import Names, dialled, noted

LOOPBACK = ("127.0.0.0/8",)
BODY = bytes(range(256)) * 10_000
HURRIED = Patience(
    total=timedelta(seconds=1), connect=timedelta(seconds=1), idle=timedelta(seconds=0.2)
)

trickling = asyncio.Event()


@pytest.fixture(autouse=True)
def _no_dials_yet() -> Iterator[None]:
    with noted():
        yield


async def _whole(_request: web.Request) -> web.Response:
    return web.Response(body=BODY)


async def _status(request: web.Request) -> web.Response:
    code = int(request.match_info["code"])
    headers = {"Location": "/whole", "Retry-After": "17"}
    return web.Response(status=code, headers=headers)


async def _unsized(request: web.Request) -> web.StreamResponse:
    response = web.StreamResponse()
    await response.prepare(request)
    for _ in range(10):
        await response.write(BODY[:100_000])
    return response


async def _endless(request: web.Request) -> web.StreamResponse:
    response = web.StreamResponse()
    await response.prepare(request)
    while True:
        await response.write(b"x" * 65_536)


async def _stalls(request: web.Request) -> web.StreamResponse:
    response = web.StreamResponse()
    await response.prepare(request)
    await response.write(b"x")
    await asyncio.sleep(60)
    return response


async def _trickles(request: web.Request) -> web.StreamResponse:
    response = web.StreamResponse()
    await response.prepare(request)
    while True:
        await response.write(b"x")
        trickling.set()
        await asyncio.sleep(0.05)


async def _breaks_off(request: web.Request) -> web.StreamResponse:
    response = web.StreamResponse(headers={"Content-Length": "1000"})
    await response.prepare(request)
    await response.write(b"x" * 10)
    if request.transport is not None:
        request.transport.abort()
    return response


async def _compressed(_request: web.Request) -> web.Response:
    return web.Response(body=b"\x1f\x8b", headers={"Content-Encoding": "gzip"})


async def _said(request: web.Request) -> web.Response:
    return web.json_response(dict(request.headers))


@pytest.fixture(scope="module")
async def port() -> AsyncIterator[int]:
    app = web.Application()
    routes = {"whole": _whole, "unsized": _unsized, "endless": _endless, "stalls": _stalls}
    routes |= {"trickles": _trickles, "breaks-off": _breaks_off, "gzip": _compressed}
    app.add_routes([web.get(f"/{name}", answer) for name, answer in routes.items()])
    app.add_routes([web.get("/status/{code}", _status), web.get("/said", _said)])
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    yield runner.addresses[0][1]
    await runner.cleanup()


@pytest.fixture(scope="module")
async def fetcher() -> AsyncIterator[Fetcher]:
    async with open_fetcher(allow_cidrs=LOOPBACK, patience=HURRIED) as opened:
        yield opened


async def failure(fetcher: Fetcher, url: str, path: Path) -> str:
    with pytest.raises(Fail) as raised:
        await fetcher.fetch(url, path, most_bytes=10**7)
    return raised.value.code


async def test_a_file_is_brought(fetcher: Fetcher, port: int, tmp_path: Path) -> None:
    """The plain case."""
    for name, size in (("whole", len(BODY)), ("unsized", 1_000_000)):
        await fetcher.fetch(f"http://127.0.0.1:{port}/{name}", tmp_path / name, most_bytes=10**7)

        assert (tmp_path / name).stat().st_size == size


async def test_a_name_is_looked_up_and_judged(fetcher: Fetcher, port: int, tmp_path: Path) -> None:
    """An open network may be reached by name as well."""
    await fetcher.fetch(f"http://localhost:{port}/whole", tmp_path / "x", most_bytes=10**7)

    assert (tmp_path / "x").read_bytes() == BODY


async def test_we_say_little_about_ourselves(
    fetcher: Fetcher, port: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No cookie, no credential, no proxy: a fetch carries nothing that a stranger could use."""
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")

    await fetcher.fetch(f"http://127.0.0.1:{port}/said", tmp_path / "x", most_bytes=10**7)

    said = (tmp_path / "x").read_text()
    assert "Cookie" not in said
    assert "Authorization" not in said
    assert dialled == [("127.0.0.1", port)]


@pytest.mark.parametrize(
    "url",
    [
        "http://127.0.0.1/",
        "https://127.0.0.1/",
        "https://127.1/",
        "https://2130706433/",
        "https://0x7f000001/",
        "https://0177.0.0.1/",
        "https://0/",
        "https://0.0.0.0/",
        "https://①②⑦.0.0.1/",
        "https://localhost/",
        "https://localhost./",
        "https://[::1]/",
        "https://[::]/",
        "https://[::ffff:127.0.0.1]/",
        "https://[::ffff:7f00:1]/",
        "https://[::127.0.0.1]/",
        "https://[fe80::1%25lo]/",
        "https://[64:ff9b::7f00:1]/",
        "https://[2002:7f00:1::]/",
        "https://169.254.169.254/latest/meta-data/",
        "https://2852039166/",
        "https://0xA9FEA9FE/",
        "https://0251.0376.0251.0376/",
        "https://[::ffff:169.254.169.254]/",
        "https://[fd00:ec2::254]/",
        "https://10.0.0.1:8443/",
        "https://192.168.0.1/",
        "https://93.184.216.34:22/",
        "http://93.184.216.34/",
        "http://93.184.216.34:443/",
        "ftp://93.184.216.34/x",
        "file:///etc/passwd",
        "gopher://93.184.216.34/",
        "https:///x",
        "https://user:word@93.184.216.34/",
        "https://user@93.184.216.34/",
        "https://93.184.216.34/#part",
        "https://93.184.216.34:99999/",
        "https://[::1/",
    ],
)
async def test_no_denied_address_is_ever_dialled(url: str, tmp_path: Path) -> None:
    """Every notation ends at the same judge; the proof is that no socket was connected."""
    async with open_fetcher(patience=HURRIED) as fetcher:
        with pytest.raises((Fail, Retry)) as raised:  # Retry: a name that does not exist
            await fetcher.fetch(url, tmp_path / "x", most_bytes=10)

    assert getattr(raised.value, "code", "file_refused") == "file_refused"
    assert dialled == []
    assert not (tmp_path / "x").exists()


@pytest.mark.parametrize("url", ["http://169.254.169.254/", "http://[::ffff:127.0.0.1]/"])
async def test_an_open_loopback_opens_nothing_else(url: str, tmp_path: Path) -> None:
    """Development is generous, but not with the metadata of the machine."""
    async with open_fetcher(allow_cidrs=LOOPBACK, patience=HURRIED) as fetcher:
        assert await failure(fetcher, url, tmp_path / "x") == "file_refused"

    assert dialled == []


@pytest.mark.parametrize(
    "answer",
    [
        ["127.0.0.1"],
        ["93.184.216.34", "127.0.0.1"],
        ["93.184.216.34", "169.254.169.254"],
        ["::1"],
        ["2606:2800:220:1::1", "fd00::1"],
    ],
    ids=str,
)
async def test_one_bad_address_condemns_a_name(answer: list[str], tmp_path: Path) -> None:
    """A mixed answer is an attack in the making: none of it is dialled."""
    async with open_fetcher(patience=HURRIED, resolver=Names(answer)) as fetcher:
        assert await failure(fetcher, "https://files.example/", tmp_path / "x") == "file_refused"

    assert dialled == []


async def test_a_name_that_changes_its_mind_gains_nothing(port: int, tmp_path: Path) -> None:
    """Rebinding: each fetch asks anew, and what it was told is judged and dialled."""
    names = Names(["127.0.0.1"], ["169.254.169.254"])
    async with open_fetcher(allow_cidrs=LOOPBACK, patience=HURRIED, resolver=names) as fetcher:
        url = f"http://files.example:{port}/whole"
        await fetcher.fetch(url, tmp_path / "first", most_bytes=10**7)

        assert await failure(fetcher, url, tmp_path / "second") == "file_refused"

    assert dialled == [("127.0.0.1", port)]


async def test_the_socket_is_judged_even_if_the_name_was_not(tmp_path: Path) -> None:
    """Whatever comes between the look-up and the dial, the dial has its own judge."""
    async with open_fetcher(patience=HURRIED) as fetcher:
        connector = fetcher._egress.connector(secure=True)
        make = connector._socket_factory
        await connector.close()

    assert make is not None
    with pytest.raises(Exception, match=r"127\.0\.0\.1"):
        make((socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", 443)))


@pytest.mark.parametrize("code", [301, 302, 303, 307, 308, 300, 304])
async def test_a_redirect_is_not_followed(
    fetcher: Fetcher, port: int, tmp_path: Path, code: int
) -> None:
    """The address that was judged is the one that answers."""
    url = f"http://127.0.0.1:{port}/status/{code}"

    assert await failure(fetcher, url, tmp_path / "x") == "file_refused"
    assert len(dialled) == 1


@pytest.mark.parametrize(
    ("code", "expected"),
    [(404, "file_not_found"), (410, "file_not_found"), (204, "file_not_found")]
    + [(status, "file_refused") for status in (201, 206, 400, 401, 403, 418, 451)],
)
async def test_an_answer_that_will_not_change_fails(
    fetcher: Fetcher, port: int, tmp_path: Path, code: int, expected: str
) -> None:
    """Asking again would not help."""
    url = f"http://127.0.0.1:{port}/status/{code}"

    assert await failure(fetcher, url, tmp_path / "x") == expected


@pytest.mark.parametrize("code", [408, 425, 429, 500, 502, 503, 504])
async def test_an_answer_that_may_change_is_asked_again(
    fetcher: Fetcher, port: int, tmp_path: Path, code: int
) -> None:
    """A server in trouble costs a retry, after the time that it asked for."""
    with pytest.raises(Retry) as raised:
        await fetcher.fetch(f"http://127.0.0.1:{port}/status/{code}", tmp_path / "x", most_bytes=9)

    assert raised.value.after == timedelta(seconds=17)


@pytest.mark.parametrize("name", ["whole", "unsized", "endless"])
async def test_a_file_over_the_cap_is_refused(
    fetcher: Fetcher, port: int, tmp_path: Path, name: str
) -> None:
    """Whether it says its size, or never ends."""
    with pytest.raises(Fail) as raised:
        await fetcher.fetch(f"http://127.0.0.1:{port}/{name}", tmp_path / "x", most_bytes=999_999)

    assert raised.value.code == "file_too_large"


@pytest.mark.parametrize("name", ["stalls", "trickles", "breaks-off"])
async def test_a_server_that_does_not_finish_is_left(
    fetcher: Fetcher, port: int, tmp_path: Path, name: str
) -> None:
    """A byte a second would otherwise hold a slot for as long as somebody likes."""
    with pytest.raises(Retry):
        await asyncio.wait_for(
            fetcher.fetch(f"http://127.0.0.1:{port}/{name}", tmp_path / "x", most_bytes=10**7), 5
        )


async def test_a_compressed_answer_is_refused(fetcher: Fetcher, port: int, tmp_path: Path) -> None:
    """We unpack nothing that a stranger packed."""
    assert await failure(fetcher, f"http://127.0.0.1:{port}/gzip", tmp_path / "x") == "file_refused"


async def test_nobody_there_is_asked_again(fetcher: Fetcher, tmp_path: Path) -> None:
    """A server that restarts is back in a moment."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        with pytest.raises(Retry):
            await fetcher.fetch(
                f"http://127.0.0.1:{taken.getsockname()[1]}/", tmp_path / "x", most_bytes=9
            )


async def test_a_cancelled_fetch_ends(fetcher: Fetcher, port: int, tmp_path: Path) -> None:
    """A cancel of the job does not wait for a stranger's server."""
    trickling.clear()
    work = asyncio.create_task(
        fetcher.fetch(f"http://127.0.0.1:{port}/trickles", tmp_path / "x", most_bytes=10**7)
    )
    await asyncio.wait_for(trickling.wait(), 5)

    work.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asyncio.wait_for(work, 1)
