"""Random walks over all verbs of the real store: after each step it is sound."""

from collections.abc import Awaitable, Callable, Mapping
from datetime import timedelta
from typing import Final

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from shared.contract.ids import THE_TENANT, JobId
from shared.contract.jobs import Job
from shared.contract.states import Move
from tests.integration.bench import Bench
from tests.integration.conftest import EMPTY
from tests.integration.soundness import unsound

pytestmark = pytest.mark.servers

KEYS: Final = ("a", "b", None)


class Walk:
    """What a walk knows: the jobs it has made, and those it believes to run."""

    def __init__(self, bench: Bench) -> None:
        self.bench = bench
        self.ids: list[JobId] = []
        self.held: list[Job] = []

    async def submit(self, dice: int) -> None:
        delay = timedelta(hours=1) if dice % 5 == 0 else None
        key = KEYS[dice % 3]
        self.ids.append(await self.bench.submit(ordering_key=key, delay=delay))

    async def claim(self, dice: int) -> None:
        """Knock on some doors, as a forged or doubled knock might too."""
        some = [job_id for n, job_id in enumerate(self.ids) if (dice >> (n % 8)) & 1]
        self.held += await self.bench.claim(*some)

    async def end(self, dice: int) -> None:
        """End an attempt, or what was one: a zombie says the same."""
        if not self.held:
            return
        moves = (Move.COMPLETE, Move.RETRY, Move.FAIL, Move.SNOOZE, Move.INTERRUPT, Move.STOP)
        job = self.held[dice % len(self.held)]
        finished = await self.bench.finish(job, moves[dice % 6], has_turn=dice % 2 == 0)
        if finished.next is not None:
            self.held.append(finished.next)

    async def cancel(self, dice: int) -> None:
        if self.ids:
            await self.bench.intake.cancel(THE_TENANT, self.ids[dice % len(self.ids)])

    async def crash(self, dice: int) -> None:
        if self.held:
            lost = self.held[dice % len(self.held)].id
            lapse = "UPDATE jobs SET lease_until = now() - interval '1 s'"
            await self.bench.sql(f"{lapse} WHERE id = $1 AND lease_until IS NOT NULL", lost)
            await self.bench.upkeep.rescue()

    async def come_due(self, dice: int) -> None:
        now = "UPDATE jobs SET due = now() WHERE due IS NOT NULL AND get_byte(uuid_send(id), 15)"
        await self.bench.sql(f"{now} % 2 = $1::int", dice % 2)
        await self.bench.upkeep.come_due()

    async def expire(self, dice: int) -> None:
        if self.ids:
            past = "UPDATE jobs SET deadline = now() - interval '1 s' WHERE id = $1"
            await self.bench.sql(past, self.ids[dice % len(self.ids)])
            await self.bench.upkeep.expire()


Verb = Callable[[Walk, int], Awaitable[None]]

VERBS: Final[Mapping[str, Verb]] = {
    "submit": Walk.submit,
    "claim": Walk.claim,
    "end": Walk.end,
    "cancel": Walk.cancel,
    "crash": Walk.crash,
    "come_due": Walk.come_due,
    "expire": Walk.expire,
}
_OFTEN: Final = ["submit", "submit", "claim", "claim", "end", "end", *VERBS]

walks = st.lists(st.tuples(st.sampled_from(_OFTEN), st.integers(0, 255)), min_size=20, max_size=60)


@given(walks)
@settings(
    max_examples=40,
    deadline=None,
    phases=(Phase.explicit, Phase.reuse, Phase.generate),  # a shrunk walk would take minutes
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
async def test_the_store_is_sound_after_every_step(
    bench: Bench, walk: list[tuple[str, int]]
) -> None:
    """All the invariants of the store at once, wherever a walk leads."""
    await bench.sql_script(EMPTY)
    here = Walk(bench)
    for number, (verb, dice) in enumerate(walk):
        await VERBS[verb](here, dice)
        assert await unsound(bench) == {}, walk[: number + 1]

    starts = await bench.sql(
        "SELECT j.key, array_agg(j.seq ORDER BY e.at, e.sequence) AS seqs"
        "  FROM jobs j JOIN job_events e ON e.job_id = j.id"
        " WHERE e.kind = 'running' AND j.key IS NOT NULL GROUP BY j.key"
    )
    for row in starts:  # I5: within a key, jobs begin in the order of their acceptance
        assert row["seqs"] == sorted(row["seqs"]), row["key"]
