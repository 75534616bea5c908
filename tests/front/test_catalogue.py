"""Everything bad that a stranger may send to the front, case by case, on raw sockets.

The front is a process of its own, as in production. Each case states what is answered and whether
the line is closed, and after each a good request is answered on a new line; see `catalogue`.
"""

import asyncio
from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from typing import Any

import pytest

from tests.front.catalogue import documents, files, framing, lengths, reads, slow, talks
from tests.front.catalogue.case import Case, Talk
from tests.front.catalogue.runner import Served, serve, try_case
from tests.front.catalogue.slow import Slow

AnyCase = Case | Talk | Slow

QUICK: Sequence[AnyCase] = (
    *documents.CASES,
    *files.CASES,
    *framing.CASES,
    *lengths.CASES,
    *reads.CASES,
    *talks.CASES,
)
AGAIN: Sequence[AnyCase] = (*documents.TOO_MUCH, *files.FORMS, *lengths.CHUNKS, *talks.TALKS)
AT_ONCE = 4
LARGE = 50_000  # bytes
MOST_STALL_MS = 50.0
MOST_GROWTH = 5 * 2**20


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What came of the whole catalogue."""

    fell_short: dict[str, str]
    begun: dict[str, Any]
    once: dict[str, Any]
    twice: dict[str, Any]
    ended: dict[str, Any]
    log: str


@pytest.fixture(scope="module")
async def outcome(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Outcome]:
    """Try everything, and the hardest again and again, while the slow take their time."""
    async with serve(tmp_path_factory.mktemp("catalogue")) as front:
        begun = await front.stats()
        dawdling = asyncio.create_task(try_all(front, slow.CASES, at_once=len(slow.CASES)))
        found = await try_all(front, QUICK, at_once=AT_ONCE)
        found |= await try_all(front, AGAIN, at_once=AT_ONCE)
        once = await front.stats()
        found |= await try_all(front, AGAIN, at_once=AT_ONCE)
        twice = await front.stats()
        found |= await dawdling
        ended = await front.settled(begun["connections"])
        yield Outcome(
            fell_short={name: why for name, why in found.items() if why},
            begun=begun,
            once=once,
            twice=twice,
            ended=ended,
            log=front.log(),
        )


async def try_all(front: Served, cases: Iterable[AnyCase], *, at_once: int) -> dict[str, str]:
    """Try *cases*, large ones one by one: what each costs the loop is to be seen."""
    room, large = asyncio.Semaphore(at_once), asyncio.Lock()

    async def try_one(case: AnyCase) -> tuple[str, str]:
        is_large = len(case.sent) > LARGE
        async with room, large if is_large else nullcontext():
            return case.name, await try_case(front, case)

    return dict(await asyncio.gather(*map(try_one, cases)))


def test_every_case_ends_as_it_states(outcome: Outcome) -> None:
    """To the status, the code and the close; no answer is a 5xx."""
    assert outcome.fell_short == {}


def test_nothing_went_wrong_inside(outcome: Outcome) -> None:
    """What a stranger does is no error of ours: no trace, no line of a library."""
    bad = ('"level":"error"', '"level":"warning"', "Traceback", '"event":"library"')

    assert [line for line in outcome.log.splitlines() if any(mark in line for mark in bad)] == []


def test_the_loop_never_stood_still(outcome: Outcome) -> None:
    """Nobody's bytes cost the others more than a twentieth of a second of the processor."""
    worst = max(seen["worst_lag_ms"] for seen in (outcome.once, outcome.twice, outcome.ended))

    assert worst < MOST_STALL_MS


def test_memory_is_flat(outcome: Outcome) -> None:
    """The hardest cases once more take nothing that is not given back."""
    assert outcome.twice["resident_bytes"] - outcome.once["resident_bytes"] < MOST_GROWTH


def test_nobody_is_left(outcome: Outcome) -> None:
    """Every line was closed, or the fixture had waited in vain; and every task has ended."""
    assert outcome.ended["tasks"] <= outcome.begun["tasks"]


def test_there_are_as_many_cases_as_were_promised() -> None:
    """Each has a name of its own."""
    names = [case.name for case in (*QUICK, *slow.CASES)]

    assert len(names) == len(set(names))
    assert len(names) >= 450
