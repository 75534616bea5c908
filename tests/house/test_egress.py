"""Whoever goes out on behalf of a stranger goes through one guard."""

import ast
from collections.abc import Iterator
from typing import Final

from tests.house.sources import Source, pretend, sources

WAYS_OUT: Final = frozenset(
    ("ClientSession", "TCPConnector", "create_connection", "open_connection", "sock_connect")
) | {"urlopen"}

GUARD: Final = {
    ("TCPConnector", "back_service.egress"),
    ("ClientSession", "back_service.fetching"),  # over a connector of the guard
    ("ClientSession", "front_service.issuer"),  # dials what the operator names, nobody else
}


def ways_out(source: Source) -> Iterator[str]:
    """Name the calls of *source* by which something could be dialled."""
    for node in ast.walk(source.tree):
        if isinstance(node, ast.Call):
            match node.func:
                case ast.Name(id=name) | ast.Attribute(attr=name) if name in WAYS_OUT:
                    yield name


def test_only_the_guard_opens_a_way_out() -> None:
    """A second client would have to repeat what every case of SSRF is proven against."""
    found = {
        (name, source.module)
        for source in sources("back_service", "front_service", "shared")
        for name in ways_out(source)
    }

    assert found == GUARD


def test_a_second_way_out_is_seen() -> None:
    """By whatever module it is reached."""
    text = "import aiohttp, asyncio\naiohttp.ClientSession()\nasyncio.open_connection('a', 1)"

    assert list(ways_out(pretend("back_service.a", text))) == ["ClientSession", "open_connection"]
