"""Know who is connected, and turn away whoever would be one too many.

A line costs memory and a file; there is a bound for all of them, and a lower one for those of one
address, so that nobody can have the whole desk. Proxies stand for many: they are bounded together
with all others alone.
"""

from collections import Counter
from collections.abc import Callable, Sequence
from enum import StrEnum
from ipaddress import IPv4Network, IPv6Address, IPv6Network, ip_address
from typing import Final

Network = IPv4Network | IPv6Network

_HOME: Final = 64  # bits of an IPv6 address: the rest one customer has to himself


class Full(StrEnum):
    """Which bound was reached."""

    ALL = "all"
    ADDRESS = "address"


class Crowd:
    """The open connections, by the address they come from."""

    def __init__(
        self,
        *,
        most: int,
        most_of_one: int,
        proxies: Sequence[Network],
        tell: Callable[[Full], None],
    ) -> None:
        self._most, self._most_of_one, self._proxies = most, most_of_one, proxies
        self._tell = tell
        self._of: Counter[str] = Counter()
        self._size = 0

    def __len__(self) -> int:
        return self._size

    def enter(self, address: str) -> Full | None:
        """Let one in from *address*, and answer ``None``; or refuse it, tell and say why."""
        home = self._home(address)
        full = self._full(home)
        if full is not None:
            self._tell(full)
            return full
        self._size += 1
        if home is not None:
            self._of[home] += 1
        return None

    def leave(self, address: str) -> None:
        """Forget one that was let in from *address*."""
        self._size -= 1
        home = self._home(address)
        if home is not None:
            self._of[home] -= 1
            if not self._of[home]:
                del self._of[home]

    def _full(self, home: str | None) -> Full | None:
        if self._size >= self._most:
            return Full.ALL
        if home is not None and self._of[home] >= self._most_of_one:
            return Full.ADDRESS
        return None

    def _home(self, address: str) -> str | None:
        """Name what is counted as one; ``None`` for what stands for many."""
        try:
            found = ip_address(address.partition("%")[0])
        except ValueError:  # a socket that is a file: whoever may open it is trusted
            return None
        if isinstance(found, IPv6Address):
            found = found.ipv4_mapped or found
        if any(found in network for network in self._proxies):
            return None
        if isinstance(found, IPv6Address):
            return str(IPv6Network((found, _HOME), strict=False))
        return str(found)
