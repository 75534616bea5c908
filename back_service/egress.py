"""Which addresses this project may dial on behalf of a stranger.

Judged is the address that is really dialled, never the text of a URL: names, decimal and octal
notations and names that change their mind all end at a socket. The table is ours, because
``ipaddress.is_global`` lets multicast, site-local and translated addresses pass.
"""

import socket
from collections.abc import Callable, Iterable
from functools import partial
from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address, ip_network
from typing import Any, Final

import aiohttp
from aiohttp.abc import AbstractResolver, ResolveResult

from shared.contract.addresses import PUBLIC_PORTS, EgressRules

_WORLD: Final = IPv6Network("2000::/3")
"""All that IPv6 hands out to the public; beyond are loopback, local, mapped, NAT64, multicast."""

_DENIED: Final = tuple(
    ip_network(text)
    for text in (
        "0.0.0.0/8",  # this host
        "10.0.0.0/8",  # private
        "100.64.0.0/10",  # behind a carrier's NAT
        "127.0.0.0/8",  # loopback
        "169.254.0.0/16",  # link-local, cloud metadata
        "172.16.0.0/12",  # private
        "192.0.0.0/24",  # protocol assignments
        "192.0.2.0/24",  # documentation
        "192.88.99.0/24",  # 6to4 relays
        "192.168.0.0/16",  # private
        "198.18.0.0/15",  # benchmarks
        "198.51.100.0/24",  # documentation
        "203.0.113.0/24",  # documentation
        "224.0.0.0/4",  # multicast
        "240.0.0.0/4",  # reserved, broadcast
        "2001::/23",  # protocol assignments, Teredo among them
        "2001:db8::/32",  # documentation
        "2002::/16",  # 6to4: an IPv4 address inside
        "3fff::/20",  # documentation
    )
)

_NEVER: Final = tuple(
    ip_network(text)
    for text in (
        "0.0.0.0/8",
        "100.100.100.200/32",  # metadata
        "168.63.129.16/32",  # metadata behind a public address
        "169.254.0.0/16",
        "192.0.0.192/32",  # metadata
        "224.0.0.0/4",
        "255.255.255.255/32",
        "::/128",
        "::ffff:0:0/96",  # IPv4 in disguise: say it as IPv4
        "64:ff9b::/96",
        "64:ff9b:1::/48",
        "2001::/32",
        "2002::/16",
        "fd00:ec2::/32",  # metadata
        "fe80::/10",
        "fec0::/10",
        "ff00::/8",
    )
)
"""What no setting opens."""


class AddressDenied(Exception):
    """The address may not be dialled from here."""


class Egress:
    """The judge: *allow* opens private networks, *ports* are those of public addresses.

    Plain http reaches the public only on port 80, and only if that is among the ports.
    """

    def __init__(self, *, allow: Iterable[str] = (), ports: Iterable[int] = PUBLIC_PORTS) -> None:
        self._rules = EgressRules.of(ports=ports, networks=allow)

    def judge(self, text: str, port: int, *, secure: bool) -> None:
        """Raise ``AddressDenied`` unless *text*, a literal address, may be dialled on *port*."""
        address = ip_address(text.partition("%")[0])
        if any(address in network for network in _NEVER) or _embeds_another(address):
            raise AddressDenied(text)
        if self._rules.opens(address):
            return
        if not self._rules.takes(port, secure=secure):
            raise AddressDenied(text)
        if any(address in network for network in _DENIED) or _is_local(address):
            raise AddressDenied(text)
        if _is_ours(text, address):
            raise AddressDenied(text)

    def connector(
        self, resolver: AbstractResolver | None = None, *, secure: bool
    ) -> aiohttp.TCPConnector:
        """Make a connector that dials judged addresses only; call it within a running loop.

        One at a time and without a memory of names, so that what was judged is what is dialled.
        """

        def judged_socket(dialled: tuple[Any, ...]) -> socket.socket:
            family, kind, protocol, _, (host, port, *_) = dialled
            self.judge(host, port, secure=secure)
            return socket.socket(family, kind, protocol)

        judge = partial(self.judge, secure=secure)
        return aiohttp.TCPConnector(
            resolver=_WholeAnswers(judge, resolver or aiohttp.ThreadedResolver()),
            socket_factory=judged_socket,
            use_dns_cache=False,
            happy_eyeballs_delay=None,
            force_close=True,
        )


class _WholeAnswers(AbstractResolver):
    """Asks *inner*; one bad address among the answers condemns them all."""

    def __init__(self, judge: Callable[[str, int], None], inner: AbstractResolver) -> None:
        self._judge, self._inner = judge, inner

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        found = await self._inner.resolve(host, port, family)
        for answer in found:
            self._judge(answer["host"], port)
        return found

    async def close(self) -> None:
        await self._inner.close()


def _is_local(address: IPv4Address | IPv6Address) -> bool:
    return isinstance(address, IPv6Address) and address not in _WORLD


def _embeds_another(address: IPv4Address | IPv6Address) -> bool:
    """Tell ``::a.b.c.d``, which some systems dial as IPv4; loopback looks the same and is not."""
    return isinstance(address, IPv6Address) and 1 < int(address) < 2**32


def _is_ours(text: str, address: IPv4Address | IPv6Address) -> bool:
    """Tell whether a public address is this machine: the kernel would speak to it from itself."""
    family = socket.AF_INET if isinstance(address, IPv4Address) else socket.AF_INET6
    with socket.socket(family, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect((text, 9))  # a datagram socket sends nothing by this
        except OSError:
            return False
        return bool(probe.getsockname()[0] == text)
