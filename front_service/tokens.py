"""Read tokens: whoever holds one may follow one job for a while, and nothing else.

For browsers and other programs that must not hold an API key. A token is signed, not stored:
every replica with the same key reads it, nobody can take it back, and so it is short-lived.
"""

import hashlib
import hmac
import struct
import time
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field
from pydantic.alias_generators import to_camel

from front_service.refusals import BadToken
from shared.contract.errors import OverQuota
from shared.contract.ids import JobId, TenantId

LONGEST_LIFE: Final = 900
"""Seconds."""

MARK: Final = "uktr1_"
"""How every token begins, so that whoever finds one knows what it is."""

_MOST_STREAMS: Final = 20  # of one token, in one process
_CONTENT: Final = struct.Struct(">16s16sQ")
_PURPOSE: Final = b"uketsuke read token 1\0"


class TokenRequest(BaseModel):
    """What may be asked of a read token."""

    model_config = ConfigDict(frozen=True, extra="forbid", alias_generator=to_camel)

    ttl_seconds: int = Field(default=LONGEST_LIFE, ge=1, le=LONGEST_LIFE, strict=True)


@dataclass(frozen=True, slots=True, kw_only=True)
class Grant:
    """What a token allows: to read *job_id* of *tenant* until then (seconds since 1970)."""

    tenant: TenantId
    job_id: JobId
    until: int

    @property
    def expires_at(self) -> datetime:
        return datetime.fromtimestamp(self.until, UTC)


class Tokens:
    """Mints with the first of its keys, and reads what was minted with any of them."""

    def __init__(self, keys: Sequence[bytes], now: Callable[[], float] = time.time) -> None:
        self._keys, self._now = keys, now
        self._streams: Counter[Grant] = Counter()

    def mint(self, tenant: TenantId, job_id: JobId, seconds: int) -> tuple[str, Grant]:
        """Make a token that lives for *seconds*."""
        grant = Grant(tenant=tenant, job_id=job_id, until=int(self._now()) + seconds)
        content = _CONTENT.pack(tenant.bytes, job_id.bytes, grant.until)
        signed = content + _signature(self._keys[0], content)
        return MARK + urlsafe_b64encode(signed).decode("ascii"), grant

    def read(self, text: str) -> Grant:
        """Read a token; raise ``BadToken`` for one that is not ours, or that has expired."""
        grant = self._verified(_bytes_of(text))
        if grant is None or grant.until <= self._now():
            raise BadToken
        return grant

    def seconds_left(self, grant: Grant) -> float:
        return max(0.0, grant.until - self._now())

    @contextmanager
    def stream(self, grant: Grant) -> Iterator[None]:
        """Count one open stream while inside; raise ``OverQuota`` above what one token may have."""
        if self._streams[grant] >= _MOST_STREAMS:
            raise OverQuota("This token follows its job often enough already.", retry_after=10)
        self._streams[grant] += 1
        try:
            yield
        finally:
            self._streams[grant] -= 1
            if not self._streams[grant]:
                del self._streams[grant]

    def _verified(self, signed: bytes) -> Grant | None:
        content, signature = signed[: _CONTENT.size], signed[_CONTENT.size :]
        if len(content) != _CONTENT.size:
            return None
        known = [hmac.compare_digest(_signature(key, content), signature) for key in self._keys]
        if not any(known):
            return None
        tenant, job_id, until = _CONTENT.unpack(content)
        return Grant(
            tenant=TenantId(UUID(bytes=tenant)), job_id=JobId(UUID(bytes=job_id)), until=until
        )


def _signature(key: bytes, content: bytes) -> bytes:
    return hmac.new(key, _PURPOSE + content, hashlib.sha256).digest()


def _bytes_of(text: str) -> bytes:
    """Undo the writing of a token, in its one form; nothing for anything else."""
    body = text.removeprefix(MARK)
    try:
        signed = urlsafe_b64decode(body.encode("ascii"))
    except ValueError:
        return b""
    is_canonical = text == MARK + urlsafe_b64encode(signed).decode("ascii")
    return signed if is_canonical else b""
