"""Swallow what a broker confirms: the publisher's message is safe, and it never hears so.

AMQP 0-9-1, as in its specification, 2.3.5 "Frame Details"; confirms as RabbitMQ extends it. A
broker sends basic.ack on publishers' channels alone.
"""

import struct
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final

from tests.support.dice import Dice
from tests.support.fault_proxy import Line

_FRAME: Final = struct.Struct("!BHI")  # type, channel, size; after the payload one byte more
_METHOD, _END = 1, 0xCE
_OUTCOME: Final = struct.Struct("!HHQB")  # class, method, delivery tag, flags
_ACK: Final = struct.pack("!HH", 60, 80)
_NACK: Final = struct.pack("!HH", 60, 120)
_OPENED: Final = struct.pack("!HH", 20, 11)
_MULTIPLE: Final = 1


class AmqpCut:
    """Counts the acks of all lines, one for each message, and swallows those the dice choose."""

    def __init__(self, swallow: Dice) -> None:
        self.swallow = swallow
        self.acks = 0
        self.swallowed = 0

    def watch(self, _line: Line) -> "_Session":
        return _Session(self)


@dataclass(slots=True)
class _Channel:
    """Which delivery tags have had their outcome: all up to *floor*, and some beyond."""

    floor: int = 0
    beyond: set[int] = field(default_factory=set)

    def settle(self, tag: int, *, multiple: bool) -> list[int]:
        """Note an outcome, and give the tags that it is the first for."""
        if not multiple:
            self.beyond.add(tag)
            return [tag]
        tags = [t for t in range(self.floor + 1, tag + 1) if t not in self.beyond]
        self.floor, self.beyond = tag, {t for t in self.beyond if t > tag}
        return tags


class _Session:
    def __init__(self, cut: AmqpCut) -> None:
        self._cut = cut
        self._rest = b""
        self._channels: dict[int, _Channel] = defaultdict(_Channel)

    def up(self, data: bytes) -> bytes:
        return data

    def down(self, data: bytes) -> bytes:
        self._rest += data
        return b"".join(self._judge(frame) for frame in self._frames())

    def _frames(self) -> Iterator[bytes]:
        while len(self._rest) >= _FRAME.size:
            size = _FRAME.unpack_from(self._rest)[2] + _FRAME.size + 1
            if len(self._rest) < size:
                return
            frame, self._rest = self._rest[:size], self._rest[size:]
            yield frame

    def _judge(self, frame: bytes) -> bytes:
        """Say what becomes of *frame*: itself, nothing, or an ack for each message it spared."""
        kind, number, _ = _FRAME.unpack_from(frame)
        verb = frame[_FRAME.size : _FRAME.size + 4] if kind == _METHOD else b""
        if verb == _OPENED:
            self._channels[number] = _Channel()  # its tags begin anew
        if verb not in (_ACK, _NACK):
            return frame
        _, _, tag, flags = _OUTCOME.unpack_from(frame, _FRAME.size)
        tags = self._channels[number].settle(tag, multiple=bool(flags & _MULTIPLE))
        if verb == _NACK:
            return frame
        return b"".join(_ack(number, tag) for tag in tags if self._spares())

    def _spares(self) -> bool:
        self._cut.acks += 1
        is_swallowed = self._cut.swallow()
        self._cut.swallowed += is_swallowed
        return not is_swallowed


def _ack(channel: int, tag: int) -> bytes:
    """Make the ack of one message: one of many would confirm what was swallowed before it."""
    payload = _ACK + struct.pack("!QB", tag, 0)
    return _FRAME.pack(_METHOD, channel, len(payload)) + payload + bytes((_END,))
