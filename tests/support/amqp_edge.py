"""Make a black hole of single connections to a broker, told apart by the name they give.

A client says its ``connection_name`` when it logs in. What a hole has swallowed is gone, so the
line is of no more use: it is reset when the hole is closed.
"""

from dataclasses import dataclass, field
from typing import Final

from tests.support.fault_proxy import Line, Side

_LABEL: Final = b"\x0fconnection_nameS"
_LENGTH: Final = 4  # bytes that say how long a name is
_BOTH: Final = frozenset(Side)


@dataclass(slots=True)
class AmqpEdges:
    """All lines of a proxy, by name. *swallowed* counts bytes."""

    swallowed: int = 0
    _name: str = ""
    _from: frozenset[Side] = frozenset()
    _struck: set[Line] = field(default_factory=set)

    def watch(self, line: Line) -> "_Session":
        return _Session(self, line)

    def open_hole(self, name: str, sides: frozenset[Side] = _BOTH) -> None:
        """Swallow what comes from *sides* on lines called *name*, those to come as well."""
        self._name, self._from = name, sides

    def close_hole(self) -> None:
        self._name, self._from = "", frozenset()
        for line in self._struck:
            line.reset()
        self._struck.clear()

    def judge(self, line: Line, name: str, side: Side, data: bytes) -> bytes:
        if side not in self._from or name != self._name:
            return data
        self.swallowed += len(data)
        self._struck.add(line)
        return b""


class _Session:
    def __init__(self, edges: AmqpEdges, line: Line) -> None:
        self._edges, self._line = edges, line
        self._begun, self._name = b"", ""

    def up(self, data: bytes) -> bytes:
        if not self._name:
            self._begun += data
            self._name = _name_in(self._begun)
        return self._edges.judge(self._line, self._name, Side.CLIENT, data)

    def down(self, data: bytes) -> bytes:
        return self._edges.judge(self._line, self._name, Side.SERVER, data)


def _name_in(begun: bytes) -> str:
    """Find the name among the properties of Start-Ok; empty while it has not come."""
    _, label, rest = begun.partition(_LABEL)
    size = int.from_bytes(rest[:_LENGTH], "big") if label else 0
    return rest[_LENGTH : _LENGTH + size].decode() if 0 < size <= len(rest) - _LENGTH else ""
