"""No stranger leads us inside: every case ends in a clear refusal, and no socket is connected.

There are two rings. The text of an address is judged first, by front and back alike; whatever it
says, the address that is about to be dialled is judged again. Each is tried without the other.
The proof is the interpreter's own: an audit hook that hears of every connect.
"""

import asyncio
import socket
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from aiohttp.abc import AbstractResolver

from back_service import egress as egress_module
from back_service.egress import AddressDenied, Egress
from back_service.fetching import Patience, open_fetcher
from shared.contract.addresses import EgressRules, read_address
from shared.contract.authoring import Fail
from shared.contract.files import FileReference
from tests.fetching.dials import Names, noted
from tests.fetching.notations import every_notation

OPEN = ("0.0.0.0/0", "::/0")
HURRIED = Patience(
    total=timedelta(seconds=2), connect=timedelta(seconds=1), idle=timedelta(seconds=1)
)

INSIDE = ["127.0.0.1", "10.0.0.1", "172.16.0.1", "192.168.1.1", "100.64.0.1"]
NEVER = ["169.254.169.254", "0.0.0.0"]  # noqa: S104  # nothing is bound to it
LITERALS = dict(every_notation(*INSIDE, *NEVER))

OTHERS = {
    "ipv6 loopback": "https://[::1]/",
    "ipv6 loopback, long": "https://[0:0:0:0:0:0:0:1]/",
    "ipv6 nothing": "https://[::]/",
    "unique local": "https://[fd12:3456:789a::1]/",
    "unique local, unassigned": "https://[fc00::1]/",
    "link-local": "https://[fe80::1]/",
    "link-local with a zone": "https://[fe80::1%25lo]/",
    "link-local with a bare zone": "https://[fe80::1%lo]/",
    "loopback with a zone": "https://[::1%25lo]/",
    "public with a zone": "https://[2606:2800:220:1::1%25lo]/",
    "site-local": "https://[fec0::1]/",
    "multicast": "https://[ff02::1]/",
    "discard": "https://[100::1]/",
    "documentation": "https://[2001:db8::1]/",
    "segment routing": "https://[5f00::1]/",
    "not handed out": "https://[4000::1]/",
    "metadata of aws": "https://[fd00:ec2::254]/",
    "metadata of google": "https://[fd20:ce::254]/",
    "metadata of oracle": "https://[fd00:c1::a9fe:a9fe]/",
    "metadata of oracle, ipv4": "https://192.0.0.192/",
    "metadata of azure": "https://168.63.129.16/",
    "metadata of alibaba": "https://100.100.100.200/",
    "carrier": "https://100.127.255.255/",
    "benchmark": "https://198.19.255.255/",
    "reserved": "https://240.0.0.1/",
    "broadcast": "https://255.255.255.255/",
    "all systems": "https://224.0.0.1/",
    "future literal": "https://[v1.x]/",
    "no literal": "https://[localhost]/",
    "half a bracket": "https://[::1/",
    "localhost": "https://localhost/",
    "localhost in capitals": "https://LOCALHOST/",
    "localhost with a dot": "https://localhost./",
    "localhost with two dots": "https://localhost../",
    "below localhost": "https://files.localhost/",
    "localdomain": "https://localhost.localdomain/",
    "letters in circles": "https://ⓛⓞⓒⓐⓛⓗⓞⓢⓣ/",
    "wide letters": "https://ｌｏｃａｌｈｏｓｔ/",  # noqa: RUF001
    "long s": "https://localhoſt/",  # noqa: RUF001
    "an international name": "https://bücher.example/",
    "a look-alike": "https://ехаmple.com/",  # noqa: RUF001
    "right to left": "https://\u202eelpmaxe.com/",
    "zero width": "https://local\u200bhost/",
    "user": "https://user@93.184.216.34/",
    "user and word": "https://user:word@93.184.216.34/",
    "a name as user": "https://files.example@127.0.0.1/",
    "a name and port as user": "https://files.example:443@127.0.0.1/",
    "empty user": "https://@127.0.0.1/",
    "two users": "https://a@b@127.0.0.1/",
    "user behind a backslash": "https://files.example\\@127.0.0.1/",
    "name behind a backslash": "https://127.0.0.1\\.files.example/",
    "name behind a slash": "https://127.0.0.1%2f.files.example/",
    "name behind a hash": "https://127.0.0.1%23.files.example/",
    "name behind a question": "https://127.0.0.1%3f.files.example/",
    "name behind NUL": "https://127.0.0.1%00.files.example/",
    "name behind a line feed": "https://127.0.0.1%0a.files.example/",
    "tab in the scheme": "ht\ttps://127.0.0.1/",
    "line feed in the host": "https://127.0.\n0.1/",
    "carriage return in the path": "https://127.0.0.1/\rHost: files.example",
    "blank before": " https://127.0.0.1/",
    "blank in the host": "https://127.0.0.1 .files.example/",
    "fragment": "https://93.184.216.34/#part",
    "fragment with a user": "https://127.0.0.1#@files.example/",
    "no slashes": "https:127.0.0.1/",
    "one slash": "https:/127.0.0.1/",
    "three slashes": "https:///127.0.0.1/",
    "backslashes": "https:\\\\127.0.0.1\\",
    "no scheme": "//127.0.0.1/",
    "only a host": "127.0.0.1",
    "nothing": "",
    "file": "file:///etc/passwd",
    "file of a host": "file://127.0.0.1/etc/passwd",
    "ftp": "ftp://93.184.216.34/x",
    "gopher": "gopher://127.0.0.1:6379/_FLUSHALL",
    "dict": "dict://127.0.0.1:11211/stat",
    "ldap": "ldap://127.0.0.1/",
    "jar": "jar:https://127.0.0.1/!/",
    "data": "data:text/plain,x",
    "unix": "unix:///run/docker.sock",
    "http over unix": "http+unix://%2frun%2fdocker.sock/",
    "websocket": "wss://127.0.0.1/",
    "script": "javascript:alert(1)",
    "view-source": "view-source:https://127.0.0.1/",
    "plain http": "http://93.184.216.34/",
    "plain http on 443": "http://93.184.216.34:443/",
    "port of ssh": "https://93.184.216.34:22/",
    "port of mail": "https://93.184.216.34:25/",
    "port of redis": "https://files.example:6379/",
    "port zero": "https://93.184.216.34:0/",
    "port too large": "https://93.184.216.34:65979/",
    "port below zero": "https://93.184.216.34:-443/",
    "port of many": "https://93.184.216.34:443:22/",
    "port in wide digits": "https://93.184.216.34:４４３/",  # noqa: RUF001
    "port with a sign": "https://93.184.216.34:+443/",
    "label too long": f"https://{'a' * 64}.example/",
    "name too long": f"https://{'a.' * 130}example/",
    "a dash before": "https://-a.example/",
    "only a dot": "https://./",
    "too long": "https://files.example/" + "a" * 2_048,
}
ADDRESSES = {name: f"https://{host}/latest/" for name, host in LITERALS.items()} | OTHERS

BAD = [
    *INSIDE,
    *("169.254.169.254", "192.0.0.8", "192.0.2.1", "198.18.0.1", "224.0.0.1", "240.0.0.1"),
    *("::1", "fe80::1", "fd12::1", "ff02::1", "::ffff:127.0.0.1", "64:ff9b::7f00:1"),
    *("2002:7f00:1::", "2001:0:4136:e378:8000:63bf:3fff:fdd2", "fec0::1", "::127.0.0.1"),
]
GOOD = ["93.184.216.34", "2606:2800:220:1::1"]


@pytest.fixture(autouse=True)
def dials() -> Iterator[list[tuple[Any, ...]]]:
    with noted() as dialled:
        yield dialled


@pytest.fixture
def lookups(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Say which names were looked up; numbers are read as the system does, the rest is unknown."""
    asked: list[str] = []
    look_up = socket.getaddrinfo

    def numeric(host: str, port: int, *how: int) -> Any:
        asked.append(host)
        family, kind, protocol, flags = how
        return look_up(host, port, family, kind, protocol, flags | socket.AI_NUMERICHOST)

    monkeypatch.setattr(socket, "getaddrinfo", numeric)
    return asked


async def refusal(url: str, path: Path, resolver: AbstractResolver | None = None) -> str:
    """Fetch *url*, which must be refused for good; answer what the caller is told."""
    async with open_fetcher(patience=HURRIED, resolver=resolver) as fetcher:
        with pytest.raises(Fail) as raised:
            await fetcher.fetch(url, path, most_bytes=10)
    assert raised.value.code == "file_refused"
    assert not path.exists()  # noqa: ASYNC240  # a look at one file
    return str(raised.value)


async def dial(url: str, egress: Egress, resolver: AbstractResolver | None = None) -> Exception:
    """Go to *url* past the judge of texts; answer what stopped that."""
    connector = egress.connector(resolver, secure=url.startswith("https"))
    async with aiohttp.ClientSession(connector=connector) as session:
        with pytest.raises(Exception) as raised:  # noqa: PT011  # which one it is, is the answer
            await session.get(url, allow_redirects=False)
    return raised.value


def told_at_the_submit(url: str) -> str | None:
    try:
        return EgressRules().fault(read_address(FileReference.check(url)))
    except ValueError as error:
        return str(error)


@pytest.mark.parametrize("url", ADDRESSES.values(), ids=ADDRESSES.keys())
async def test_an_address_is_refused_by_what_it_says(
    url: str, tmp_path: Path, lookups: list[str], dials: list[Any]
) -> None:
    """The refusal says what an address must be; nothing was looked up, nothing dialled."""
    assert "address " in await refusal(url, tmp_path / "x")
    assert (lookups, dials) == ([], [])


def test_the_front_says_so_at_the_submit() -> None:
    """Who sends such an address is told at once, and not by a job that fails."""
    told = {name: told_at_the_submit(url) for name, url in ADDRESSES.items()}

    assert [name for name, fault in told.items() if not fault] == []


@pytest.mark.parametrize("host", LITERALS.values(), ids=LITERALS.keys())
async def test_a_notation_that_slips_by_ends_at_the_socket(
    host: str, lookups: list[str], dials: list[Any]
) -> None:
    """Whatever a library or the system makes of it is judged once more before it is dialled."""
    error = await dial(f"https://{host}/", Egress())

    assert isinstance(error, (AddressDenied, aiohttp.ClientConnectorDNSError, aiohttp.InvalidURL))
    assert all(map(str.isascii, lookups))
    assert dials == []


@pytest.mark.parametrize(
    "host", [host for name, host in LITERALS.items() if name.startswith(NEVER[0])]
)
async def test_metadata_is_closed_where_all_networks_are_open(
    host: str, lookups: list[str], dials: list[Any]
) -> None:
    """A generous setting does not hand out the credentials of the machine."""
    error = await dial(f"https://{host}/", Egress(allow=OPEN))

    assert isinstance(error, (AddressDenied, aiohttp.ClientConnectorDNSError, aiohttp.InvalidURL))
    assert all(map(str.isascii, lookups))
    assert dials == []


@pytest.mark.parametrize("bad", BAD)
@pytest.mark.parametrize(
    "place", [lambda bad: [bad], lambda bad: [*GOOD, bad], lambda bad: [bad, *GOOD]]
)
async def test_a_name_is_refused_for_one_bad_answer(
    bad: str, place: Any, tmp_path: Path, dials: list[Any]
) -> None:
    """Alone, behind good ones or before them: none of the answers is dialled."""
    told = await refusal("https://files.example/", tmp_path / "x", Names(place(bad)))

    assert "may not be fetched from" in told
    assert dials == []


@pytest.mark.parametrize("host", ["files.example", "files.example.", "FILES.example", "intranet"])
async def test_the_systems_own_answers_are_judged(
    host: str, tmp_path: Path, dials: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A name that somebody points inside, a search domain, an alias: it ends in an address."""

    def inside(_host: str, port: int, *_: Any) -> Any:
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "inside.example", ("10.0.0.1", port))]

    monkeypatch.setattr(socket, "getaddrinfo", inside)

    await refusal(f"https://{host}/", tmp_path / "x")
    assert dials == []


@pytest.mark.parametrize("bad", BAD)
async def test_a_name_may_not_change_its_mind(bad: str, tmp_path: Path, dials: list[Any]) -> None:
    """Rebinding: what was good a moment ago is asked and judged again at each fetch."""
    names = Names(["127.0.0.1"], [bad])
    with socket.socket() as nobody:  # bound and deaf: it is dialled, and refuses
        nobody.bind(("127.0.0.1", 0))
        port = nobody.getsockname()[1]
        egress = Egress(allow=("127.0.0.1/32",))
        first = await dial(f"http://files.example:{port}/", egress, names)
        assert isinstance(first, aiohttp.ClientConnectorError)
        assert dials == [("127.0.0.1", port)]
        if bad != "127.0.0.1":
            second = await dial(f"http://files.example:{port}/", egress, names)
            assert isinstance(second, AddressDenied)
    assert dials == [("127.0.0.1", port)]


@pytest.mark.parametrize("code", [301, 302, 303, 307, 308])
@pytest.mark.parametrize(
    "where", ["http://169.254.169.254/", "//127.0.0.1:1/", "file:///etc/passwd"]
)
async def test_a_redirect_leads_nowhere(
    code: int, where: str, tmp_path: Path, dials: list[Any]
) -> None:
    """The one dial is that of the address that was judged."""

    async def answer(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(
            f"HTTP/1.1 {code} x\r\nLocation: {where}\r\nContent-Length: 0\r\n\r\n".encode()
        )
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1")
    async with server, open_fetcher(allow_cidrs=("127.0.0.1/32",), patience=HURRIED) as fetcher:
        port = server.sockets[0].getsockname()[1]
        with pytest.raises(Fail, match="elsewhere"):
            await fetcher.fetch(f"http://127.0.0.1:{port}/", tmp_path / "x", most_bytes=10)

    assert dials == [("127.0.0.1", port)]


def test_an_address_of_our_own_is_denied(monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine may have a public address: behind it listen services meant for itself."""
    monkeypatch.setattr(egress_module, "is_public", lambda _: True)

    with pytest.raises(AddressDenied):
        Egress().judge("127.0.0.1", 443, secure=True)


def test_there_are_as_many_cases_as_were_promised() -> None:
    """Of those that are told apart by their text; the second ring counts once more."""
    assert len(set(ADDRESSES.values())) >= 300
