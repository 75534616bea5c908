"""API keys as this replica knows them: read once, looked at again every two seconds.

What was read longer than ``FRESH`` seconds ago is not believed: so a key that was revoked, has
expired, or is the first one of all is felt on every replica within that time, however busy the
database is. A request with a key that is known costs no question.
"""

import asyncio
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from hmac import compare_digest
from typing import Final, Protocol
from uuid import UUID

import structlog

from shared.contract.errors import Unavailable
from shared.runtime.batching import Batcher
from shared.runtime.clock import Clock
from shared.store.access import LiveKey
from shared.store.pool import Rejected

log: Final = structlog.get_logger()

FRESH: Final = 5.0  # seconds
_EVERY: Final = 2.0  # seconds between two looks
_IDLE: Final = 60.0  # seconds after which a key that nobody uses is forgotten here
_NOTE_EVERY: Final = 60.0  # seconds between two notes of what was used
_MOST_AT_ONCE: Final = 100  # keys of one question
_MOST_REFUSED: Final = 10_000  # strange keys that are remembered
_PATIENCE: Final = 1.2  # seconds that a caller waits for the answer about his key


class ReadsKeys(Protocol):
    async def live(self, digests: Collection[bytes]) -> list[LiveKey]:
        """As ``KeyRows.live``."""

    async def is_any(self) -> bool:
        """As ``KeyRows.is_any``."""

    async def used(self, key_ids: Collection[UUID]) -> None:
        """As ``KeyRows.used``."""


@dataclass(slots=True)
class _Known:
    key: LiveKey
    read_at: float
    used_at: float


class KeyRing:
    """A service. *is_present* says of a key that somebody it let in is here still."""

    name = "key ring"

    def __init__(
        self,
        rows: ReadsKeys,
        clock: Clock,
        *,
        is_present: Callable[[UUID], bool] = lambda _: False,
        on_end: Callable[[UUID], None] = lambda _: None,
    ) -> None:
        self._rows, self._clock = rows, clock
        self._is_present, self._on_end = is_present, on_end
        self._known: dict[bytes, _Known] = {}
        self._refused: dict[bytes, float] = {}
        self._is_any, self._any_read_at = False, -FRESH
        self._noted_at = clock.monotonic()
        self._lookups: Batcher[bytes | None, LiveKey | bool | None] = Batcher(
            self._look, most=_MOST_AT_ONCE, patience=_PATIENCE, name="keys"
        )

    @property
    def knows_of_any(self) -> bool:
        """Whether a key was ever made, as far as this replica has heard."""
        return self._is_any

    async def find(self, digest: bytes) -> LiveKey | None:
        """Find the live key of that digest; raise ``Unavailable`` while nobody can tell."""
        now = self._clock.monotonic()
        known = self._known.get(digest)
        if known is not None and now - known.read_at < FRESH:
            known.used_at = now
            return known.key if compare_digest(known.key.digest, digest) else None
        if now - self._refused.get(digest, -FRESH) < _EVERY:
            return None
        key = await self._ask(digest)
        return key if isinstance(key, LiveKey) else None

    async def is_any(self) -> bool:
        """Say whether a key was ever made; raise ``Unavailable`` while nobody can tell."""
        if self._is_any or self._clock.monotonic() - self._any_read_at < FRESH:
            return self._is_any
        return bool(await self._ask(None))

    async def run(self) -> None:
        while True:
            await self.refresh()
            await asyncio.sleep(_EVERY)

    async def refresh(self) -> None:
        """Look again at what is known; what is not answered has ended."""
        now = self._clock.monotonic()
        try:
            if not self._is_any:
                self._is_any, self._any_read_at = await self._rows.is_any(), now
            await self._look_again(now)
            await self._note(now)
        except (Unavailable, Rejected) as error:
            log.warning("keys not read", why=str(error))

    async def _look_again(self, now: float) -> None:
        asked = self._in_use(now)
        if not asked:
            return
        found = {key.digest: key for key in await self._rows.live(asked)}
        for digest in asked:
            known = self._known[digest]
            if digest in found:
                known.key, known.read_at = found[digest], now
            else:
                del self._known[digest]
                self._on_end(known.key.id)
                log.info("key has ended", key_id=str(known.key.id))

    def _in_use(self, now: float) -> list[bytes]:
        """Forget what nobody uses, and list the rest."""
        for digest, known in list(self._known.items()):
            if now - known.used_at > _IDLE and not self._is_present(known.key.id):
                del self._known[digest]
        return list(self._known)

    async def _note(self, now: float) -> None:
        """Note now and then which keys were used since the last note."""
        if now - self._noted_at < _NOTE_EVERY:
            return
        used = [one.key.id for one in self._known.values() if one.used_at >= self._noted_at]
        if used:
            await self._rows.used(used)
        self._noted_at = now

    async def _ask(self, question: bytes | None) -> LiveKey | bool | None:
        try:
            return await self._lookups.submit(question)
        except TimeoutError:
            raise Unavailable("The database does not answer", retry_after=1) from None

    async def _look(self, asked: Sequence[bytes | None]) -> list[LiveKey | bool | None]:
        """Answer questions about keys, and the one whether there is any (``None``)."""
        now = self._clock.monotonic()
        if None in asked:
            self._is_any, self._any_read_at = await self._rows.is_any(), now
        digests = {digest for digest in asked if digest is not None}
        found = {key.digest: key for key in await self._rows.live(digests)} if digests else {}
        for digest in digests:
            if (key := found.get(digest)) is not None:
                self._known[digest] = _Known(key, read_at=now, used_at=now)
                self._refused.pop(digest, None)
            else:
                self._refuse(digest, now)
        return [self._is_any if one is None else found.get(one) for one in asked]

    def _refuse(self, digest: bytes, now: float) -> None:
        if len(self._refused) >= _MOST_REFUSED:
            self._refused.clear()
        self._refused[digest] = now
        self._known.pop(digest, None)
