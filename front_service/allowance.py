"""How one tenant stands with what it may use, as one replica knows it. No I/O."""

from dataclasses import dataclass
from enum import StrEnum
from math import ceil, floor
from typing import Final

from shared.contract.ids import TenantId
from shared.runtime.clock import Clock
from shared.store.quotas import Grant, Limits, Wish

_LOT: Final = 0.1  # seconds of use that are fetched ahead
_LOT_LASTS: Final = 1.0  # seconds: what is not used by then is no longer had
_MOST_OF_BURST: Final = 4  # a lot is a fourth of the burst at the most: others want some too


class Policy(StrEnum):
    """The names of limits, in headers and refusals."""

    SUBMITS = "submits"
    QUEUED = "queued"
    STREAMS = "streams"
    FRONT = "front"  # of one replica, for all tenants


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """What headers say of limits (draft-ietf-httpapi-ratelimit-headers-10)."""

    policies: str
    left: str
    wait: float  # seconds after which to try again is worth it; 0: at once


class Allowance:
    def __init__(self, tenant: TenantId, clock: Clock) -> None:
        self.tenant, self._clock = tenant, clock
        self.limits = Limits()
        self.read_at, self.seen_at = float("-inf"), clock.monotonic()
        self.admitted = 0  # jobs handed in here since they were last counted
        self.waiting = 0
        self.open = self.elsewhere = 0  # streams
        self._lot, self._lot_until = 0, 0.0
        self._ahead, self._told_at = 0.0, clock.monotonic()
        self._used, self._asked_at = 0, clock.monotonic()
        self._alone_until = 0.0

    def set(self, limits: Limits) -> None:
        if limits != self.limits:
            self.limits, self._lot = limits, 0

    def has_room(self, jobs: int) -> bool:
        """Whether so many more jobs may wait."""
        most = self.limits.queued
        return most is None or self.waiting + self.admitted + jobs <= most

    def count(self, waiting: int, *, counted: int) -> None:
        """Take a new count of what waits, in which *counted* of ours may be."""
        self.waiting = waiting
        self.admitted = max(0, self.admitted - counted)

    def spend(self, jobs: int) -> bool:
        """Take turns out of the lot in hand, if it has them."""
        if self._lot < jobs or self._clock.monotonic() >= self._lot_until:
            return False
        self._lot -= jobs
        self._used += jobs
        return True

    def spend_alone(self, jobs: int) -> bool:
        """Judge by what this replica has seen itself (GCRA); for while nobody can be asked."""
        rate, burst, now = self.limits.rate, self.limits.burst, self._clock.monotonic()
        if rate is None or burst is None:
            return True
        ahead = max(0.0, self._alone_until - now) + jobs / rate
        if ahead > burst / rate:
            return False
        self._alone_until = now + ahead
        return True

    def wish(self, jobs: int) -> Wish | None:
        """Say what to ask for: what is wanted now, and for as much use as there was of late."""
        rate, burst, now = self.limits.rate, self.limits.burst, self._clock.monotonic()
        if rate is None or burst is None:
            return None
        took = max(now - self._asked_at, _LOT)
        ahead = min(round(self._used / took * _LOT), burst // _MOST_OF_BURST)
        self._used, self._asked_at = 0, now
        return Wish(tenant=self.tenant, want=jobs + ahead, burst=burst, rate=rate)

    def receive(self, grant: Grant) -> None:
        now = self._clock.monotonic()
        left = self._lot if now < self._lot_until else 0
        self._lot, self._lot_until = left + grant.granted, now + _LOT_LASTS
        self._ahead, self._told_at = grant.ahead, now

    def seconds_until(self, jobs: int) -> float:
        """Say in how many seconds so many turns may be had, if nobody else takes them."""
        rate, burst = self.limits.rate, self.limits.burst
        if rate is None or burst is None:
            return 0.0
        return max(0.0, self._still_ahead() - (burst - jobs) / rate)

    def standing(self, wait: float) -> Standing:
        """Say how the tenant stands, for the headers of an answer."""
        policies, left = [], []
        rate, burst, queued = self.limits.rate, self.limits.burst, self.limits.queued
        if rate is not None and burst is not None:
            ahead = self._still_ahead()
            free = max(0, floor(burst - ahead * rate + 1e-6)) + self._lot
            policies.append(f'"{Policy.SUBMITS}";q={burst};w={max(1, ceil(burst / rate))}')
            left.append(f'"{Policy.SUBMITS}";r={min(burst, free)};t={ceil(ahead)}')
        if queued is not None:
            policies.append(f'"{Policy.QUEUED}";q={queued}')
            left.append(f'"{Policy.QUEUED}";r={max(0, queued - self.waiting - self.admitted)}')
        if self.limits.streams is not None:
            free = max(0, self.limits.streams - self.open - self.elsewhere)
            policies.append(f'"{Policy.STREAMS}";q={self.limits.streams}')
            left.append(f'"{Policy.STREAMS}";r={free}')
        return Standing(policies=", ".join(policies), left=", ".join(left), wait=wait)

    def _still_ahead(self) -> float:
        return max(0.0, self._ahead - (self._clock.monotonic() - self._told_at))
