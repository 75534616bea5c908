"""Count the frames that a WebSocket peer sends, before anybody looks into them.

aiohttp shows whole messages only: a flood of empty fragments never becomes one.
"""

from collections.abc import Callable
from typing import Final, Protocol

from front_service.push.pace import Pace

_MOST_FRAMES: Final = 60  # a second: messages, pings, pongs and fragments together
_MASK: Final = 4  # bytes
_MASKED: Final = 0x80


class Parses(Protocol):
    """What aiohttp puts behind a connection after its upgrade."""

    def feed_eof(self) -> None: ...

    def feed_data(self, data: bytes) -> tuple[bool, bytes]: ...


class FrameMeter:
    """Passes bytes on to *parser* until there are too many frames a second, or one has no mask.

    Then it passes on nothing any more, and calls *on_flood* or *on_unmasked* once.
    """

    def __init__(self, parser: Parses) -> None:
        self._parser = parser
        self._pace = Pace(_MOST_FRAMES)
        self._head = bytearray()  # of a frame that has not wholly arrived
        self._left = 0  # bytes of the present frame still to come
        self._is_over = False
        self.on_flood: Callable[[], None] = lambda: None
        self.on_unmasked: Callable[[], None] = lambda: None

    def feed_eof(self) -> None:
        self._parser.feed_eof()

    def feed_data(self, data: bytes) -> tuple[bool, bytes]:
        if self._is_over:
            return False, b""
        frames, all_masked = self._count(data)
        is_flood = not all(self._pace.allows() for _ in range(frames))
        if all_masked and not is_flood:
            return self._parser.feed_data(data)
        self._is_over = True
        (self.on_flood if is_flood else self.on_unmasked)()
        return False, b""

    def _count(self, data: bytes) -> tuple[int, bool]:
        """Say how many heads of frames end in *data*, and whether all have a mask (RFC 6455, 5)."""
        frames, at, all_masked = 0, 0, True
        while at < len(data):
            if self._left:
                step = min(self._left, len(data) - at)
                self._left -= step
                at += step
                continue
            self._head.append(data[at])
            at += 1
            size = _size_behind(self._head)
            if size is not None:
                frames += 1
                all_masked &= bool(self._head[1] & _MASKED)
                self._left = size
                self._head.clear()
        return frames, all_masked


def _size_behind(head: bytearray) -> int | None:
    """Read how much follows a whole head; ``None`` while it is not whole."""
    if len(head) < 2:  # noqa: PLR2004  the two bytes that every frame has
        return None
    code = head[1] & 0x7F
    extra = {126: 2, 127: 8}.get(code, 0)
    if len(head) < 2 + extra:
        return None
    size = int.from_bytes(head[2 : 2 + extra], "big") if extra else code
    return size + (_MASK if head[1] & _MASKED else 0)
