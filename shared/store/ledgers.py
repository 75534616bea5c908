"""Tenants and API keys as an administrator sees and changes them: no service may ask this."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from shared.contract.access import Scope, tenant_id
from shared.store.pool import Pool
from shared.store.quotas import Limits, read_limits
from shared.store.sql import statement


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


@dataclass(frozen=True, slots=True, kw_only=True)
class TenantEntry:
    """One tenant as an administrator sees it."""

    name: str
    limits: Limits
    created_at: datetime


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


class TenantLedger:
    """The tenants as an administrator sees them."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool

    async def set_limits(self, name: str, limits: Limits) -> None:
        """Say what a tenant may use from now on; it becomes known by that."""
        async with self._pool.transaction() as connection:
            await connection.execute(statement("add_tenant"), tenant_id(name), name)
            await connection.execute(
                statement("set_limits"),
                *(tenant_id(name), limits.rate, limits.burst, limits.queued, limits.streams),
            )

    async def entries(self) -> Sequence[TenantEntry]:
        """List all tenants by name."""
        rows = await self._pool.fetch(statement("list_tenants"))
        return [
            TenantEntry(name=row["name"], limits=read_limits(row), created_at=row["created_at"])
            for row in rows
        ]
