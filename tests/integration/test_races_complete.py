"""Every statement that writes has been raced; and the races that ask more than soundness."""

import asyncio
import re
from typing import Final

import pytest

from shared.contract.errors import IdempotencyMismatch
from shared.store.sql import statement
from tests.house.statements import names
from tests.integration import (
    test_races_batches,
    test_races_claim,
    test_races_finish,
    test_races_operate,
    test_races_submit,
    test_races_unique,
    test_races_upkeep,
)
from tests.integration.bench import Bench, a_bench
from tests.integration.conftest import EMPTY
from tests.integration.races import Given, failed, overdue, run, scripts
from tests.integration.soundness import unsound
from tests.support.builders import a_submission, an_idempotency
from tests.support.interleaving import rehearse

pytestmark = pytest.mark.servers

_WRITES: Final = re.compile(r"\b(INSERT|UPDATE|DELETE|FOR UPDATE|FOR SHARE|FOR KEY SHARE)\b")
_NEVER_RACED: Final[dict[str, str]] = {
    "here": "a row that only its own worker writes; of a silent one it matters not who drops it",
    "leave": "a row that only its own worker writes",
    "note_streams": "a row that only its own replica writes",
    "forget_streams": "a row that only its own replica writes; of a silent one anybody drops it",
    "take_turns": "one statement about one row a tenant; a hundred at once are counted exactly",
    "begin_turns": "an empty row, by whoever is first",
    "used_keys": "a moment, and the later one stays",
    "add_key": "of an administrator: a row of its own",
    "add_tenant": "of an administrator: a row of that name, by whoever is first",
    "set_limits": "of an administrator: the last word counts",
    "revoke_key": "of an administrator: the first moment stays",
}
"""Statements that write and take part in no race, each with the reason why."""


def _all_races() -> list[Given]:
    places = (
        test_races_batches,
        test_races_claim,
        test_races_finish,
        test_races_operate,
        test_races_submit,
        test_races_unique,
        test_races_upkeep,
    )
    return [given for place in places for given in place.RACES]


def _writing() -> set[str]:
    """Name the statements that change or hold rows, whatever their comments and texts say."""
    texts = {name: re.sub(r"--[^\n]*|'[^']*'", "", statement(name)) for name in names()}
    return {name for name, text in texts.items() if _WRITES.search(text)}


async def _asked(bench: Bench, given: Given) -> set[str]:
    """Name what the verbs of a race ask, each alone."""
    asked: set[str] = set()
    await bench.sql_script(EMPTY)
    for name in await given(bench):
        await bench.sql_script(EMPTY)
        for query in await rehearse(bench.pool, (await given(bench))[name]):
            asked.add(query.removeprefix("-- ").partition(":")[0])
    return asked


async def test_every_statement_that_writes_takes_part_in_a_race(bench: Bench) -> None:
    """A new verb without a race is a promise that nobody has tried to break."""
    asked = [await _asked(bench, given) for given in _all_races()]

    assert _writing() - set().union(*asked) == set(_NEVER_RACED)


async def test_a_lease_that_was_renewed_in_time_is_not_rescued(bench: Bench) -> None:
    """S2: whoever was told that its lease goes on must not be doing somebody else's work."""
    given, renewed = test_races_upkeep.rescue_and_renewal, 0
    for order in await scripts(bench, given):
        outcomes = await run(bench, given, order)

        [row] = await bench.sql("SELECT state FROM jobs")
        assert bool(outcomes["renew"]) == (row["state"] == "running"), order
        renewed += bool(outcomes["renew"])
    assert renewed  # else no order has tried it


@pytest.mark.parametrize(
    "given",
    [
        test_races_upkeep.cancel_and_effect,
        test_races_upkeep.expiry_and_effect,
        test_races_upkeep.rescue_and_effect,
    ],
    ids=lambda given: given.__name__,
)
async def test_i4_an_effect_is_either_noted_or_refused(bench: Bench, given: Given) -> None:
    """S4: what was told that it may is in the store; what was not has left nothing there."""
    seen = set()
    for order in await scripts(bench, given):
        outcomes = await run(bench, given, order)

        noted = await bench.sql("SELECT FROM effects")
        assert bool(noted) == (outcomes["effect"] is True), order
        seen.add(outcomes["effect"])
    assert seen == {True, None}


async def test_i4_of_two_that_do_an_effect_at_once_one_is_the_first(bench: Bench) -> None:
    """S3: the name is taken once, whatever the order."""
    given = test_races_upkeep.effect_and_its_double
    for order in await scripts(bench, given):
        outcomes = await run(bench, given, order)

        assert sorted(outcomes.values()) == [False, True], order


async def test_one_of_two_replays_opens_the_run(bench: Bench) -> None:
    """The other one is told that there is nothing to replay."""
    given = test_races_operate.replay_and_replay
    for order in await scripts(bench, given):
        outcomes = await run(bench, given, order)

        assert len([one for one in outcomes.values() if one is not None]) == 1, order
        [row] = await bench.sql("SELECT replays FROM jobs")
        assert row["replays"] == 1, order


async def test_i7_fifty_submits_by_one_name_are_one_job(bench: Bench) -> None:
    """S10: over several connections, each with two of them in one batch."""
    name, fronts = an_idempotency("mine"), [a_bench("", bench.pool).intake for _ in range(5)]

    answers = await asyncio.gather(
        *(fronts[n % 5].admit(a_submission(idempotency=name)) for n in range(50))
    )

    assert len({answer.accepted.job_id for answer in answers}) == 1
    assert [answer.accepted.replayed for answer in answers].count(False) == 1
    assert await bench.pool.fetchval("SELECT count(*) FROM jobs") == 1
    assert await unsound(bench) == {}


async def test_i7_two_requests_by_one_name_in_one_batch_are_told_apart(bench: Bench) -> None:
    """The first is taken; the other one was never a retry of it."""
    same, other = an_idempotency("mine"), an_idempotency("mine", request=b"other")

    answers = await asyncio.gather(
        *(bench.intake.admit(a_submission(idempotency=name)) for name in (same, other, same)),
        return_exceptions=True,
    )

    assert [type(answer) for answer in answers].count(IdempotencyMismatch) == 1
    assert await bench.pool.fetchval("SELECT count(*) FROM jobs") == 1


async def test_i18_batches_in_other_orders_do_not_deadlock(bench: Bench) -> None:
    """S24: of ten submits at once each has the keys in an order of its own."""
    keys = [f"key-{n}" for n in range(12)]
    fronts = [a_bench("", bench.pool).intake for _ in range(6)]

    await asyncio.gather(
        *(
            front.admit(a_submission(ordering_key=key))
            for n, front in enumerate(fronts)
            for key in (keys if n % 2 else reversed(keys))
        )
    )

    assert await bench.pool.fetchval("SELECT count(*) FROM jobs") == 72
    assert await unsound(bench) == {}


async def test_the_checks_of_soundness_can_fail(bench: Bench) -> None:
    """A rule that nothing breaks guards nothing."""
    job_id = await failed(bench, ordering_key="k")
    await bench.intake.replay((await bench.view(job_id)).tenant, job_id)
    await overdue(bench, job_id)
    await bench.sql("DELETE FROM job_events WHERE kind = 'failed'")
    await bench.sql("UPDATE jobs SET token = 0")
    await bench.sql("UPDATE key_heads SET head = NULL, tail = 0")
    await bench.sql("INSERT INTO effects (job_id, name, token) VALUES ($1, 'x', 7)", job_id)
    await bench.sql("INSERT INTO tombstones SELECT tenant, id FROM jobs")

    broken = {rule.partition(":")[0] for rule in await unsound(bench)}

    assert broken == {"I2", "I4", "I5", "I6", "I9"}
