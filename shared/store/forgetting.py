"""Clean ended jobs up, for whoever may: upkeep in time, an operator at once."""

from collections.abc import Sequence
from typing import Any

from shared.contract.ids import JobId
from shared.store.pool import Connection
from shared.store.sql import statement


async def forget_jobs(connection: "Connection[Any]", ids: Sequence[JobId]) -> int:
    """Clean *ids* up, and with the last job of a key its head: nobody would come back for it.

    The keys are held, or two replicas with a job each of one key would leave its head to the other.
    """
    await connection.execute(statement("names_of"), ids)
    await connection.execute(statement("lock"), ids)
    gone = await connection.fetch(statement("forget"), ids)
    lanes = [(row["tenant"], row["key"]) for row in gone if row["key"] is not None]
    if lanes:
        await connection.fetch(statement("forget_heads"), *map(list, zip(*lanes, strict=True)))
    if gone:
        await connection.execute(statement("drop_names"), [row["id"] for row in gone])
    return len(gone)
