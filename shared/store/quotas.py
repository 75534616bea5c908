"""What tenants may use, and what they use of it, over all replicas together."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from math import inf
from typing import Any
from uuid import UUID

from shared.contract.ids import TenantId
from shared.store.pool import Pool
from shared.store.sql import statement


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What one tenant may use; ``None``: as much as there is."""

    rate: float | None = None  # submits a second
    burst: int | None = None  # submits at once, after a rest; set exactly where there is a rate
    queued: int | None = None  # jobs that have not started
    streams: int | None = None  # open at a time

    @property
    def at_once(self) -> float:
        """How many jobs may ever be handed in by one request: one by one, they may."""
        return max(1, min(most for most in (self.burst, self.queued, inf) if most is not None))


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """What a tenant wants to submit, and what it may."""

    tenant: TenantId
    want: int
    burst: int
    rate: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Grant:
    """How many submits were granted, and by how many seconds the tenant has paid ahead then."""

    granted: int
    ahead: float


class QuotaRows:
    """What the front service asks; *pool* is one whose commits need not wait for the disk."""

    def __init__(self, pool: Pool, replica: UUID) -> None:
        self._pool, self._replica = pool, replica

    async def limits(self, tenants: Collection[TenantId]) -> dict[TenantId, Limits]:
        """Read the limits of those of these tenants that have any."""
        rows = await self._pool.fetch(statement("limits"), list(tenants))
        return {TenantId(row["id"]): read_limits(row) for row in rows}

    async def take(self, wishes: Sequence[Wish]) -> dict[TenantId, Grant]:
        """Grant what the rates allow; at most one wish a tenant."""
        in_order = sorted(wishes, key=lambda wish: wish.tenant)
        found = await self._take(in_order)
        if missing := [wish for wish in in_order if wish.tenant not in found]:
            await self._pool.fetch(statement("begin_turns"), [wish.tenant for wish in missing])
            found |= await self._take(missing)
        return found

    async def _take(self, wishes: Sequence[Wish]) -> dict[TenantId, Grant]:
        rows = await self._pool.fetch(
            statement("take_turns"),
            [wish.tenant for wish in wishes],
            [wish.want for wish in wishes],
            [wish.burst for wish in wishes],
            [1 / wish.rate for wish in wishes],
        )
        return {
            TenantId(row["tenant"]): Grant(granted=row["granted"], ahead=row["ahead"])
            for row in rows
        }

    async def waiting(self, most: Mapping[TenantId, int]) -> dict[TenantId, int]:
        """Count the jobs of tenants that have not started, each up to its number."""
        rows = await self._pool.fetch(
            statement("count_waiting"), list(most), [number + 1 for number in most.values()]
        )
        return {TenantId(row["tenant"]): row["waiting"] for row in rows}

    async def streams(self, mine: Mapping[TenantId, int]) -> dict[TenantId, int]:
        """Note how many streams are open here, and say how many are on other replicas."""
        rows = await self._pool.fetch(
            statement("note_streams"), *_sorted_columns(mine), self._replica
        )
        return {TenantId(row["tenant"]): row["elsewhere"] for row in rows}

    async def forget_streams(self) -> None:
        """Drop what replicas said that are gone."""
        await self._pool.fetch(statement("forget_streams"))


def _sorted_columns(counts: Mapping[TenantId, int]) -> tuple[list[TenantId], list[int]]:
    tenants = sorted(counts)
    return tenants, [counts[tenant] for tenant in tenants]


def read_limits(row: Any) -> Limits:
    """Read what one tenant may use."""
    return Limits(
        rate=row["rate"], burst=row["burst"], queued=row["queued"], streams=row["streams"]
    )
