"""Several event bodies in one message: frames are what costs, not bytes.

Each body is preceded by its length in four bytes, big-endian.
"""

import struct
from collections.abc import Iterable
from typing import Final

_LENGTH: Final = struct.Struct(">I")


class UnreadablePack(ValueError):
    """The bytes are no pack."""


def pack(bodies: Iterable[bytes]) -> bytes:
    return b"".join(part for body in bodies for part in (_LENGTH.pack(len(body)), body))


def unpack(message: bytes, *, most: int | None = None) -> list[bytes]:
    """Give the bodies in their order; raise `UnreadablePack` rather than some of them.

    More than *most* are no pack of ours: empty ones cost four bytes each, and time here.
    """
    bodies: list[bytes] = []
    at = 0
    while at < len(message):
        if len(bodies) == most:
            raise UnreadablePack(f"it has more than {most} bodies")
        start = at + _LENGTH.size
        if start > len(message):
            raise UnreadablePack("it ends inside a length")
        at = start + _LENGTH.unpack_from(message, at)[0]
        if at > len(message):
            raise UnreadablePack("it ends inside a body")
        bodies.append(message[start:at])
    return bodies
