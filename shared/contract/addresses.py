"""What the text of an address gives away before anybody dials it.

Both services judge by this: the front refuses at the submit what the back would never fetch.
Where an address really leads is only known when it is dialled, and judged again there.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import Final
from urllib.parse import urlsplit

from shared.contract.networks import AnyAddress, is_never_open, is_public

PUBLIC_PORTS: Final = (443, 8443)
_USUAL: Final = {"https": 443, "http": 80}
_PLAIN: Final = 80
_LONGEST: Final = 2_048
_LONGEST_HOST: Final = 253
_LOOPBACKS: Final[tuple[AnyAddress, ...]] = (IPv4Address("127.0.0.1"), IPv6Address("::1"))

_LABEL: Final = r"[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?"
_NAME = re.compile(rf"{_LABEL}(?:\.{_LABEL})*\.?", re.ASCII)
_ENDS_IN_A_NUMBER = re.compile(r"(?:.*\.)?(?:[0-9]+|0x[0-9a-f]*)\.?", re.ASCII)
_BLANK = re.compile(r"[\x00-\x20\x7f\\]")


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

    def opens(self, address: AnyAddress) -> bool:
        """Say whether *address* is in a network that is open, and may be in one."""
        return any(address in net for net in self.networks) and not is_never_open(address)

    def takes(self, port: int, *, secure: bool) -> bool:
        """Say whether a public address may be dialled there."""
        return port in self.ports and (secure or port == _PLAIN)

    def fault(self, address: Address) -> str | None:
        """Say why *address* will be refused wherever it leads; ``None``: that is still open."""
        literal = _literal(address.host)
        if literal is None:
            leads_inside = _means_this_machine(address.host)
            may_be_open = any(map(self.opens, _LOOPBACKS)) if leads_inside else bool(self.networks)
        else:
            leads_inside, may_be_open = not is_public(literal), self.opens(literal)
        if may_be_open:
            return None
        if leads_inside:
            return "must not lead into a private, local or reserved network"
        if self.takes(address.port, secure=address.secure):
            return None
        ports = ", ".join(str(port) for port in sorted(self.ports - {_PLAIN}))
        return f"must be an https address, on port {ports}"


def read_address(text: str) -> Address:
    """Read an ``http(s)`` address; raise ``ValueError``, whose text says what it must be.

    A host has one notation here: a name in ASCII, four decimal numbers, or IPv6 without a zone.
    """
    if len(text) > _LONGEST:
        raise ValueError(f"is longer than {_LONGEST} characters")
    if _BLANK.search(text):
        raise ValueError("must not have blanks, control characters or backslashes")
    try:
        parts = urlsplit(text)
        port, host = parts.port, parts.hostname
    except ValueError:
        raise ValueError("is not an address") from None
    if parts.scheme not in _USUAL or not host:
        raise ValueError("must be an http or https address")
    if "@" in parts.netloc or parts.fragment:
        raise ValueError("must have neither user nor fragment")
    _check_host(host, is_bracketed=parts.netloc.startswith("["))
    usual = _USUAL[parts.scheme]
    return Address(host=host, port=usual if port is None else port, secure=parts.scheme == "https")


def _check_host(host: str, *, is_bracketed: bool) -> None:
    """Raise ``ValueError`` for what resolvers and libraries read in more than one way."""
    if is_bracketed:
        if "%" in host or not isinstance(_literal(host), IPv6Address):
            raise ValueError("must have an IPv6 address without a zone in its brackets")
        return
    if _ENDS_IN_A_NUMBER.fullmatch(host):
        if not isinstance(_literal(host), IPv4Address):
            raise ValueError("must have an IPv4 address in four decimal numbers")
        return
    if not _NAME.fullmatch(host) or len(host) > _LONGEST_HOST:
        raise ValueError("must have a host name in ASCII (an international one as xn--…)")


def _means_this_machine(host: str) -> bool:
    name = host.removesuffix(".")
    return name in ("localhost", "localhost.localdomain") or name.endswith(".localhost")


def _literal(host: str) -> AnyAddress | None:
    try:
        return ip_address(host)
    except ValueError:
        return None
