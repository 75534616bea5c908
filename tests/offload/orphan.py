"""A service in small, to be killed: it has children that would never end by themselves."""

import asyncio
import sys
import tempfile
from pathlib import Path

from back_service.child import Limits
from back_service.offload import open_offload
from tests.offload import deeds
from tests.offload.facts import some_facts


async def tell(_percent: float, message: str) -> None:
    sys.stdout.write(message + "\n")
    sys.stdout.flush()


async def ignore(_data: object) -> None:
    pass


async def main() -> None:
    facts = some_facts(Path(tempfile.gettempdir()))
    async with open_offload(limits=Limits()) as offload, asyncio.TaskGroup() as group:
        for handler in (deeds.hang_with_family, deeds.burn):
            group.create_task(offload.handle(handler, facts, None, tell, ignore))


asyncio.run(main())
