"""Make jobs queued whose time has come."""

from functools import partial

from back_service.telling import Teller
from back_service.upkeep.round import Round, announce
from shared.runtime.metrics import BackMetrics
from shared.store.upkeep import AT_ONCE, UpkeepStore


def scheduler(store: UpkeepStore, teller: Teller, metrics: BackMetrics) -> Round:
    count = partial(metrics.tended, "due")

    async def come_due() -> int:
        return announce(teller, await store.come_due(), "job came due", count)

    return Round(name="scheduler", work=come_due, every=0.5, full=AT_ONCE)
