"""Which networks a stranger may not lead us into, whatever an address looks like.

The table is ours, because ``ipaddress.is_global`` lets multicast, site-local and translated
addresses pass. Both services judge by it: the front what an address says, the back what is dialled.
"""

from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_network
from typing import Final

AnyAddress = IPv4Address | IPv6Address

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
        "::ffff:0:0:0/96",  # the same, for translators
        "64:ff9b::/96",
        "64:ff9b:1::/48",
        "2001::/32",
        "2002::/16",
        "fd00:c1::/32",  # metadata
        "fd00:ec2::/32",  # metadata
        "fd20:ce::/32",  # metadata
        "fe80::/10",
        "fec0::/10",
        "ff00::/8",
    )
)

_TUNNEL: Final = 0x5EFE
"""What marks the last 64 bits of an ISATAP address, before the IPv4 address inside."""


def is_never_open(address: AnyAddress) -> bool:
    """Tell link-local, metadata and multicast, and IPv4 in disguise: no setting opens them."""
    return any(address in network for network in _NEVER) or _embeds_another(address)


def is_public(address: AnyAddress) -> bool:
    """Tell an address of the public; this machine may have one of those too."""
    if is_never_open(address) or any(address in network for network in _DENIED):
        return False
    return isinstance(address, IPv4Address) or address in _WORLD


def _embeds_another(address: AnyAddress) -> bool:
    """Tell ``::a.b.c.d``, which some systems dial as IPv4 (loopback looks so, and is not), ISATAP.

    The two bits that ISATAP leaves to the network do not count.
    """
    if isinstance(address, IPv4Address):
        return False
    number = int(address)
    return 1 < number < 2**32 or (number >> 32) & 0xFCFF_FFFF == _TUNNEL
