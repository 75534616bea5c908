"""API keys as the front service sees them."""

from collections.abc import Collection
from dataclasses import dataclass
from uuid import UUID

from asyncpg import Record

from shared.contract.access import Scope
from shared.contract.ids import TenantId
from shared.store.pool import Pool
from shared.store.sql import statement


@dataclass(frozen=True, slots=True, kw_only=True)
class LiveKey:
    """A key that may be used now."""

    id: UUID
    digest: bytes
    tenant: TenantId
    name: str
    scopes: frozenset[Scope]


class KeyRows:
    """The keys as the front service sees them."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool

    async def live(self, digests: Collection[bytes]) -> list[LiveKey]:
        """Read those of these keys that are neither revoked nor expired."""
        rows = await self._pool.fetch(statement("live_keys"), list(digests))
        return [_live_key(row) for row in rows]

    async def is_any(self) -> bool:
        """Say whether a key was ever made: a revoked one counts, lest its end open the door."""
        return bool(await self._pool.fetchval(statement("any_key")))

    async def used(self, key_ids: Collection[UUID]) -> None:
        """Note that these keys were used in the last minute."""
        await self._pool.fetch(statement("used_keys"), list(key_ids))


def _live_key(row: Record) -> LiveKey:
    return LiveKey(
        id=row["id"],
        digest=row["digest"],
        tenant=TenantId(row["tenant"]),
        name=row["name"],
        scopes=frozenset(Scope(one) for one in row["scopes"] if one in set(Scope)),
    )
