"""The lines of tenants in memory."""

from collections.abc import Callable, Mapping
from datetime import UTC, datetime

from back_service.lines import Lines
from shared.contract.errors import Unavailable
from shared.contract.ids import JobId, TenantId
from shared.runtime.clock import Clock
from shared.store.lines import Line, Place
from tests.unit.back.deliveries import HIGH, LOW, NORMAL

NOW = datetime(2030, 1, 1, tzinfo=UTC)


class FakeLines:
    """Who came last, and what waits; *is_away* makes every question fail."""

    def __init__(self) -> None:
        self.new: set[TenantId] = set()
        self.waiting: dict[Place, list[JobId]] = {}
        self.asked: list[dict[Place, datetime]] = []
        self.is_away = False

    async def newest(self) -> set[TenantId]:
        if self.is_away:
            raise Unavailable
        return set(self.new)

    async def heads(self, since: Mapping[Place, datetime], *, most: int) -> dict[Place, Line]:
        if self.is_away:
            raise Unavailable
        self.asked.append(dict(since))
        return {place: self._head(place, most) for place in since}

    def _head(self, place: Place, most: int) -> Line:
        found = self.waiting.get(place, [])[:most]
        oldest = NOW if found else None
        return Line(jobs=[(one, False) for one in found], oldest=oldest, now=NOW)


def a_lines(
    rows: FakeLines, clock: Clock, *, slots: int, wake: Callable[[], None] = lambda: None
) -> Lines:
    return Lines(rows, (HIGH, NORMAL, LOW), clock, slots=slots, wake=wake, dice=lambda: 0.0)
