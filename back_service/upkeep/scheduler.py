"""Make jobs queued whose time has come."""

from back_service.telling import Teller
from back_service.upkeep.round import Round, announce
from shared.store.upkeep import AT_ONCE, UpkeepStore


def scheduler(store: UpkeepStore, teller: Teller) -> Round:
    async def come_due() -> int:
        return announce(teller, await store.come_due(), "job came due")

    return Round(name="scheduler", work=come_due, every=0.5, full=AT_ONCE)
