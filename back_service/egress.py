"""Which addresses this project may dial on behalf of a stranger.

Judged is the address that is really dialled, never the text of a URL: names, decimal and octal
notations and names that change their mind all end at a socket. What is judged by is the table
of ``shared.contract.networks``.
"""

import socket
from collections.abc import Callable, Iterable
from functools import partial
from ipaddress import IPv4Address, ip_address
from typing import Any

import aiohttp
from aiohttp.abc import AbstractResolver, ResolveResult

from shared.contract.addresses import PUBLIC_PORTS, Address, EgressRules
from shared.contract.networks import AnyAddress, is_public


class AddressDenied(Exception):
    """The address may not be dialled from here."""


class Egress:
    """The judge: *allow* opens private networks, *ports* are those of public addresses.

    Plain http reaches the public only on port 80, and only if that is among the ports.
    """

    def __init__(self, *, allow: Iterable[str] = (), ports: Iterable[int] = PUBLIC_PORTS) -> None:
        self._rules = EgressRules.of(ports=ports, networks=allow)

    def fault(self, address: Address) -> str | None:
        """Say why *address* is refused by its text alone; ``None``: the dial will tell."""
        return self._rules.fault(address)

    def judge(self, text: str, port: int, *, secure: bool) -> None:
        """Raise ``AddressDenied`` unless *text*, a literal address, may be dialled on *port*."""
        address = ip_address(text.partition("%")[0])
        if self._rules.opens(address):
            return
        if not self._rules.takes(port, secure=secure):
            raise AddressDenied(text)
        if not is_public(address) or _is_ours(text, address):
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


def _is_ours(text: str, address: AnyAddress) -> bool:
    """Tell whether a public address is this machine: the kernel would speak to it from itself."""
    family = socket.AF_INET if isinstance(address, IPv4Address) else socket.AF_INET6
    with socket.socket(family, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect((text, 9))  # a datagram socket sends nothing by this
        except OSError:
            return False
        return bool(probe.getsockname()[0] == text)
