"""Tenants and API keys: what the front asks of them, and what an administrator does to them."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from asyncpg import Record

from shared.contract.access import Scope, tenant_id
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


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyEntry:
    """One key as an administrator sees it: never the key itself."""

    id: UUID
    tenant: str
    name: str
    scopes: tuple[str, ...]
    created_at: datetime
    expires_at: datetime | None
    revoked_at: datetime | None
    last_used_at: datetime | None
    is_live: bool


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


class KeyLedger:
    """The keys as an administrator sees them."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool

    async def add(
        self,
        key_id: UUID,
        digest: bytes,
        *,
        tenant: str,
        name: str,
        scopes: Collection[Scope],
        expires: datetime | timedelta | None = None,
    ) -> None:
        """Note a new key, and its tenant if it is the first one of that name."""
        moment = expires if isinstance(expires, datetime) else None
        span = expires if isinstance(expires, timedelta) else None
        async with self._pool.transaction() as connection:
            await connection.execute(statement("add_tenant"), tenant_id(tenant), tenant)
            await connection.execute(
                statement("add_key"),
                *(key_id, tenant_id(tenant), name, digest, sorted(scopes), moment, span),
            )

    async def entries(self, tenant: str | None = None) -> Sequence[KeyEntry]:
        """List the keys of *tenant*, or of all, oldest first."""
        wanted = None if tenant is None else tenant_id(tenant)
        rows = await self._pool.fetch(statement("list_keys"), wanted)
        return [KeyEntry(**{**row, "scopes": tuple(row["scopes"])}) for row in rows]

    async def revoke(self, key_id: UUID) -> bool:
        """End a key for good; ``False`` if there is none of that id. To repeat it is harmless."""
        return await self._pool.fetchval(statement("revoke_key"), key_id) is not None


def _live_key(row: Record) -> LiveKey:
    return LiveKey(
        id=row["id"],
        digest=row["digest"],
        tenant=TenantId(row["tenant"]),
        name=row["name"],
        scopes=frozenset(Scope(one) for one in row["scopes"] if one in set(Scope)),
    )
