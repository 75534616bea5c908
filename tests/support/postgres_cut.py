"""Cut a line to PostgreSQL around a commit: just before it is asked for, or before its answer.

Protocol 3.0, as in the manual's "Message Formats". A commit is a COMMIT, or a lone statement
outside any transaction; it is asked for by Query or Sync, and done when ReadyForQuery says idle.
"""

import struct
from collections.abc import Iterator
from typing import Final

from tests.support.dice import Dice, never
from tests.support.fault_proxy import Cut, Line

_WISHES: Final = frozenset((80877103, 80877104))  # SSLRequest, GSSENCRequest
_IDLE, _IN_TRANSACTION = b"I", b"T"
_BEGIN: Final = frozenset(("BEGIN", "START"))
_COMMIT: Final = frozenset(("COMMIT", "END"))


class PostgresCut:
    """Counts the commits of all lines, and cuts those the dice choose.

    *before* is rolled when a commit is asked for: the server never hears of it. *reply* is
    rolled when it succeeded: the client never hears of that. Only transactions in which a
    statement contains *carrying* are looked at.
    """

    def __init__(self, *, before: Dice = never, reply: Dice = never, carrying: str = "") -> None:
        self.before, self.reply, self.carrying = before, reply, carrying
        self.commits = 0  # asked for by clients
        self.killed = 0  # of these, not sent to the server
        self.swallowed = 0  # of these, done and not answered

    @property
    def bitten(self) -> int:
        return self.killed + self.swallowed

    def watch(self, line: Line) -> "_Session":
        return _Session(self, line)


class _Session:
    """One line: what was said since it was last idle, and whether a commit is under way."""

    def __init__(self, cut: PostgresCut, line: Line) -> None:
        self._cut, self._line = cut, line
        self._opening: bytes | None = b""  # what came of the first packet, which has no type
        self._asked, self._told = _Messages(), _Messages()
        self._statements: dict[bytes, str] = {}
        self._portals: dict[bytes, str] = {}
        self._said: list[str] = []
        self._status = _IDLE
        self._commits = False
        self._has_failed = False

    def up(self, data: bytes) -> bytes:
        if self._opening is not None:
            return self._open(data)
        for kind, body in self._asked.feed(data):
            self._hear(kind, body)
        return data

    def down(self, data: bytes) -> bytes:
        for kind, body in self._told.feed(data):
            if kind == b"E":
                self._has_failed = True
            elif kind == b"Z":
                self._be(body)
        return data

    def _open(self, data: bytes) -> bytes:
        """Refuse to encrypt, in the server's name: who cannot read cannot cut."""
        self._opening = (self._opening or b"") + data
        while len(self._opening) >= struct.calcsize("!ii"):
            size, code = struct.unpack_from("!ii", self._opening)
            if len(self._opening) < size:
                break
            packet, rest = self._opening[:size], self._opening[size:]
            if code not in _WISHES:
                self._opening = None
                return packet + self.up(rest)
            self._line.answer(b"N")
            self._opening = rest
        return b""

    def _hear(self, kind: bytes, body: bytes) -> None:
        match kind:
            case b"P":
                name, text, _ = body.split(b"\0", 2)
                self._statements[name] = _text(text)
            case b"B":
                portal, name, _ = body.split(b"\0", 2)
                self._portals[portal] = self._statements.get(name, "")
            case b"E":
                self._said.append(self._portals.get(body.split(b"\0", 1)[0], ""))
            case b"Q":
                self._said.append(_text(body.rstrip(b"\0")))
                self._ask()
            case b"S":
                self._ask()

    def _ask(self) -> None:
        self._commits = self._asks_for_a_commit()
        if self._commits:
            self._cut.commits += 1
            if self._cut.before():
                self._cut.killed += 1
                raise Cut

    def _asks_for_a_commit(self) -> bool:
        if not any(self._cut.carrying in text for text in self._said):
            return False
        verb = self._said[-1].strip(" \t\r\n;").partition(" ")[0].upper()
        if self._status == _IDLE:
            return verb not in _BEGIN
        return self._status == _IN_TRANSACTION and verb in _COMMIT

    def _be(self, status: bytes) -> None:
        self._status = status
        is_done = status == _IDLE and self._commits and not self._has_failed
        self._commits = self._has_failed = False
        if status == _IDLE:
            self._said.clear()
        if is_done and self._cut.reply():
            self._cut.swallowed += 1
            raise Cut


class _Messages:
    """Puts messages together again: a type of one byte, a length that counts itself, a body."""

    def __init__(self) -> None:
        self._rest = b""

    def feed(self, data: bytes) -> Iterator[tuple[bytes, bytes]]:
        self._rest += data
        while len(self._rest) >= struct.calcsize("!ci"):
            kind, size = struct.unpack_from("!ci", self._rest)
            if len(self._rest) <= size:
                return
            body, self._rest = self._rest[5 : size + 1], self._rest[size + 1 :]
            yield kind, body


def _text(raw: bytes) -> str:
    return raw.decode("utf-8", "replace")
