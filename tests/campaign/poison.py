"""A job that ends every worker that runs it: it is found guilty, and its neighbours end well."""

import asyncio
from collections.abc import Sequence
from typing import Final

from tests.campaign.drills import Kind
from tests.campaign.fault import Fault
from tests.campaign.history import Asked
from tests.campaign.scene import Scene, Stage
from tests.support.waiting import until

_POISONS: Final = 2
_GUILTY: Final = "SELECT count(*) FROM jobs WHERE error_code = 'crash_loop'"


async def poison_the_workers(scene: Scene, _seconds: float) -> None:
    """F20: whoever dies is replaced, as a supervisor would, until the guilty ones are found."""
    asked = [await scene.crowd.ask(Kind.POISON, seconds=0.5) for _ in range(_POISONS)]

    async def are_found() -> bool:
        await _replace_the_dead(scene)
        return await scene.house.fetchval(_GUILTY) == _POISONS

    await until(are_found, within=120, what="the poisonous jobs are found")
    scene.bite("found guilty", await _found(scene, asked))


async def see_the_innocent(scene: Scene) -> None:
    """Count who crashed beside a poisonous job; the checker says that all ended as they must."""
    beside = await scene.house.fetchval(
        "SELECT count(*) FROM jobs WHERE crashes > 0 AND error_code IS DISTINCT FROM 'crash_loop'"
    )
    most = await scene.house.fetchval(
        "SELECT max(crashes) FROM jobs WHERE error_code IS DISTINCT FROM 'crash_loop'"
    )
    scene.figures |= {"innocents_crashed": int(str(beside)), "their_most_crashes": int(str(most))}


async def _replace_the_dead(scene: Scene) -> None:
    for back in [back for back in scene.backs if back.exit_code is not None]:
        scene.backs.remove(back)
        scene.gone.append(back)
        scene.bite("workers ended")
        await asyncio.shield(scene.add_back())


async def _found(scene: Scene, asked: Sequence[Asked]) -> int:
    ids = [job_id for one in asked for job_id in one.job_ids]
    rows = await scene.house.fetch(
        "SELECT id FROM jobs WHERE id = ANY($1::uuid[]) AND error_code = 'crash_loop'", ids
    )
    return len(rows)


FAULTS: Final[Sequence[Fault]] = (
    Fault(
        number="F20",
        name="poison",
        harm=poison_the_workers,
        bites={"workers ended": 2, "found guilty": _POISONS},
        marks={"crashes": 3},
        look=see_the_innocent,
        limits={"their_most_crashes": 2},
        stage=Stage(back={"max_crashes": 3}),
    ),
)
