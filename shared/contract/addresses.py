"""What the text of an address gives away before anybody dials it.

Both services judge by this: the front refuses at the submit what the back would never fetch.
Where an address really leads is only known when it is dialled, and judged again there.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import Final
from urllib.parse import urlsplit

PUBLIC_PORTS: Final = (443, 8443)
_USUAL: Final = {"https": 443, "http": 80}
_PLAIN: Final = 80
_LONGEST: Final = 2_048


@dataclass(frozen=True, slots=True, kw_only=True)
class Address:
    """Where a text says that something is to be had."""

    host: str
    port: int
    secure: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class EgressRules:
    """What the operator lets the back service dial.

    *ports* are those of the public; plain http reaches it on port 80 only, and only if that is
    among them. *networks* are private ones that are open on every port.
    """

    ports: frozenset[int] = frozenset(PUBLIC_PORTS)
    networks: tuple[IPv4Network | IPv6Network, ...] = ()

    @classmethod
    def of(cls, *, ports: Iterable[int], networks: Iterable[str]) -> "EgressRules":
        """Read *networks*; raise ``ValueError`` for one that is none."""
        return cls(ports=frozenset(ports), networks=tuple(ip_network(text) for text in networks))

    def opens(self, address: IPv4Address | IPv6Address) -> bool:
        return any(address in network for network in self.networks)

    def takes(self, port: int, *, secure: bool) -> bool:
        """Say whether a public address may be dialled there."""
        return port in self.ports and (secure or port == _PLAIN)

    def fault(self, address: Address) -> str | None:
        """Say why *address* will be refused wherever it leads; ``None``: that is still open."""
        literal = _literal(address.host)
        may_be_open = bool(self.networks) if literal is None else self.opens(literal)
        if may_be_open or self.takes(address.port, secure=address.secure):
            return None
        ports = ", ".join(str(port) for port in sorted(self.ports - {_PLAIN}))
        return f"must be an https address, on port {ports}"


def read_address(text: str) -> Address:
    """Read an ``http(s)`` address; raise ``ValueError``, whose text says what it must be."""
    if len(text) > _LONGEST:
        raise ValueError(f"is longer than {_LONGEST} characters")
    try:
        parts = urlsplit(text)
        port, host = parts.port, parts.hostname
    except ValueError:
        raise ValueError("is not an address") from None
    if parts.scheme not in _USUAL or not host:
        raise ValueError("must be an http or https address")
    if "@" in parts.netloc or parts.fragment:
        raise ValueError("must have neither user nor fragment")
    usual = _USUAL[parts.scheme]
    return Address(host=host, port=usual if port is None else port, secure=parts.scheme == "https")


def _literal(host: str) -> IPv4Address | IPv6Address | None:
    try:
        return ip_address(host.partition("%")[0])
    except ValueError:
        return None
