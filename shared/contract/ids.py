"""Identities as types, and the one form in which they are read and written.

UUID version 7 (RFC 9562, section 5.7): sortable by the time of making, so that new rows land
at one edge of an index. Pure: the moment and the entropy are handed in.
"""

import re
from typing import Final, NewType
from uuid import UUID

JobId = NewType("JobId", UUID)
BlobId = NewType("BlobId", UUID)
BatchId = NewType("BatchId", UUID)
TenantId = NewType("TenantId", UUID)
TrackId = NewType("TrackId", str)

THE_TENANT: Final = TenantId(UUID(int=0))
"""Whose everything is as long as nobody has configured tenants."""

_CANONICAL = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}", re.ASCII)
_TRACK_ID = re.compile(r"[A-Za-z0-9._-]{1,64}", re.ASCII)


def uuid7(unix_ms: int, entropy: bytes) -> UUID:
    """Make a version 7 UUID from milliseconds since 1970 and ten random bytes."""
    tail = int.from_bytes(entropy[:10], "big")
    rand_a, rand_b = (tail >> 62) & 0xFFF, tail & 0x3FFF_FFFF_FFFF_FFFF
    return UUID(int=(unix_ms & 0xFFFF_FFFF_FFFF) << 80 | 7 << 76 | rand_a << 64 | 2 << 62 | rand_b)


def parse_uuid(text: str) -> UUID | None:
    """Read the canonical lower-case form; ``None`` for anything else, however UUID-like."""
    return UUID(text) if _CANONICAL.fullmatch(text) else None


def parse_track_id(text: str | None) -> TrackId | None:
    """Take a caller's TrackID if it is 1 to 64 of ``[A-Za-z0-9._-]``; else ``None``."""
    return TrackId(text) if text is not None and _TRACK_ID.fullmatch(text) else None
