"""What a tenant may use: submits a second, jobs that wait, open streams; all replicas together.

A submit of a tenant without limits costs one look into a dictionary. One with a rate takes its
turns out of a lot in hand, and a lot is fetched from the database ahead of need: some a second,
however many submits there are. While the database is slow a replica goes on by itself, at the
tenant's whole rate. What waits, and what streams are open elsewhere, is known to the second.
"""

import asyncio
from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Final, Protocol

import structlog

from front_service.allowance import Allowance, Policy, Standing
from front_service.refusals import QuotaReached
from shared.contract.errors import TooLarge, Unavailable
from shared.contract.ids import TenantId
from shared.runtime.batching import Batcher
from shared.runtime.clock import Clock
from shared.store.pool import Rejected
from shared.store.quotas import Grant, Limits, Wish

log: Final = structlog.get_logger()

_EVERY: Final = 1.0  # seconds between two looks
_FRESH: Final = 5.0  # seconds that limits and counts are believed
_IDLE: Final = 60.0  # seconds after which a tenant who does nothing is forgotten
_PATIENCE: Final = 0.25  # seconds that a submit waits for the database to say yes or no
_MOST_AT_ONCE: Final = 1_000
_FORGET_EVERY: Final = 60.0
_TROUBLE: Final = (Unavailable, Rejected, TimeoutError)


class KnowsQuotas(Protocol):
    """As ``QuotaRows``."""

    async def limits(self, tenants: Collection[TenantId]) -> dict[TenantId, Limits]: ...

    async def take(self, wishes: Sequence[Wish]) -> dict[TenantId, Grant]: ...

    async def waiting(self, most: Mapping[TenantId, int]) -> dict[TenantId, int]: ...

    async def streams(self, mine: Mapping[TenantId, int]) -> dict[TenantId, int]: ...

    async def forget_streams(self) -> None: ...


class Quotas:
    """A service that keeps what is known of the tenants who are here."""

    name = "quotas"

    def __init__(self, rows: KnowsQuotas, clock: Clock) -> None:
        self._rows, self._clock = rows, clock
        self._known: dict[TenantId, Allowance] = {}
        self._forgot_at = clock.monotonic()
        self._turns: Batcher[tuple[Allowance, int], bool] = Batcher(
            self._take, most=_MOST_AT_ONCE, patience=_PATIENCE, name="turns"
        )
        self._looks: Batcher[TenantId, None] = Batcher(
            self._look, most=_MOST_AT_ONCE, patience=_PATIENCE, name="limits"
        )

    async def submit(self, tenant: TenantId, jobs: int = 1) -> Standing | None:
        """Let a tenant hand in so many jobs, and say how he stands then; ``None``: no limits.

        Raises ``QuotaReached``, or ``TooLarge`` for more than he may ever hand in at once.
        """
        allowance = await self._allowance(tenant)
        limits = allowance.limits
        if jobs > limits.at_once:
            raise TooLarge(f"This tenant may hand in {limits.at_once} jobs at once, not {jobs}.")
        if limits.queued is not None and not allowance.has_room(jobs):
            raise QuotaReached(
                Policy.QUEUED, "Too many jobs of this tenant wait already.", allowance.standing(5.0)
            )
        if limits.rate is not None:
            await self._pay(allowance, jobs)
        allowance.admitted += jobs
        return None if limits.rate is None and limits.queued is None else allowance.standing(0)

    @asynccontextmanager
    async def stream(self, tenant: TenantId) -> AsyncIterator[None]:
        """Count an open stream while inside; raise ``QuotaReached`` for one too many."""
        allowance = await self._allowance(tenant)
        most = allowance.limits.streams
        if most is not None and allowance.open + allowance.elsewhere >= most:
            raise QuotaReached(
                Policy.STREAMS,
                "Too many streams of this tenant are open already.",
                allowance.standing(10.0),
            )
        allowance.open += 1
        try:
            yield
        finally:
            allowance.open -= 1

    async def run(self) -> None:
        while True:
            await asyncio.sleep(_EVERY)
            await self.refresh()

    async def refresh(self) -> None:
        """Look again at the limits and the counts of the tenants who are here."""
        now = self._clock.monotonic()
        for tenant, allowance in list(self._known.items()):
            if now - allowance.seen_at > _IDLE and not allowance.open:
                del self._known[tenant]
        if not self._known:
            return
        try:
            await self._look(list(self._known))
            if now - self._forgot_at > _FORGET_EVERY:
                await self._rows.forget_streams()
                self._forgot_at = now
        except _TROUBLE as error:
            log.warning("quotas not read", why=str(error))

    async def _allowance(self, tenant: TenantId) -> Allowance:
        """Find what is known; ask first if that is nothing, or too old."""
        now = self._clock.monotonic()
        allowance = self._known.get(tenant)
        if allowance is None:
            allowance = self._known[tenant] = Allowance(tenant, self._clock)
        allowance.seen_at = now
        if now - allowance.read_at >= _FRESH:
            try:
                await self._looks.submit(tenant)
            except _TROUBLE as error:  # no reason to refuse: what cannot be stored is not taken
                log.warning("quotas not read", why=str(error))
        return allowance

    async def _look(self, tenants: Sequence[TenantId]) -> list[None]:
        """Read limits, and the counts of those who have them."""
        now = self._clock.monotonic()
        here = {t: self._known[t] for t in dict.fromkeys(tenants) if t in self._known}
        limits = await self._rows.limits(list(here))
        for tenant, allowance in here.items():
            allowance.set(limits.get(tenant, Limits()))
        queued = {t: one.limits.queued for t, one in here.items()}
        most = {t: number for t, number in queued.items() if number is not None}
        if most:
            before = {t: here[t].admitted for t in most}
            for tenant, waiting in (await self._rows.waiting(most)).items():
                here[tenant].count(waiting, counted=before[tenant])
        mine = {t: one.open for t, one in here.items() if one.limits.streams is not None}
        if mine:
            for tenant, elsewhere in (await self._rows.streams(mine)).items():
                here[tenant].elsewhere = elsewhere
        for allowance in here.values():
            allowance.read_at = now
        return [None] * len(tenants)

    async def _pay(self, allowance: Allowance, jobs: int) -> None:
        """Take turns in hand, or fetch some; raise ``QuotaReached``."""
        if allowance.spend(jobs):
            return
        try:
            granted = await self._turns.submit((allowance, jobs))
        except _TROUBLE:
            granted = allowance.spend_alone(jobs)
        if not granted:
            raise QuotaReached(
                Policy.SUBMITS,
                "This tenant submits faster than it may.",
                allowance.standing(allowance.seconds_until(jobs)),
            )

    async def _take(self, asked: Sequence[tuple[Allowance, int]]) -> list[bool]:
        """Fetch turns for all who wait, and some ahead for each tenant."""
        wanted: dict[TenantId, int] = {}
        allowances = {allowance.tenant: allowance for allowance, _ in asked}
        for allowance, jobs in asked:
            wanted[allowance.tenant] = wanted.get(allowance.tenant, 0) + jobs
        wishes = [
            wish
            for tenant, allowance in allowances.items()
            if (wish := allowance.wish(wanted[tenant])) is not None
        ]
        for tenant, grant in (await self._rows.take(wishes)).items():
            allowances[tenant].receive(grant)
        return [allowance.spend(jobs) for allowance, jobs in asked]
