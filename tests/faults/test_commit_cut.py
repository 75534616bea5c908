"""Answers that never come: of commits, and of the broker's confirms. Nothing is lost or doubled."""

import asyncio
import json
import os
import random
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field

import pytest

from tests.campaign import results
from tests.support.amqp_cut import AmqpCut
from tests.support.callers import Caller, Reply, open_session, told
from tests.support.dice import chance
from tests.support.endings import all_have_ended
from tests.support.fault_proxy import open_proxy
from tests.support.house import House
from tests.support.postgres_cut import PostgresCut

pytestmark = [
    pytest.mark.faults,
    pytest.mark.servers,
    pytest.mark.timeout(180),
]

_PATH = "/api/probes/step"
_ENDS = """
SELECT count(*) FILTER (WHERE kind IN ('completed', 'failed', 'cancelled', 'expired')) AS ends
  FROM job_events GROUP BY job_id
"""
_SUBMIT = "INSERT INTO jobs ("  # what the commit of a submit carries, and no other


@dataclass(slots=True, kw_only=True)
class Story:
    """What submitters were told; a number names one request, a try of it is one reply."""

    replies: list[Reply] = field(default_factory=list)
    jobs: dict[int, set[str]] = field(default_factory=dict)  # that a 202 named, by number
    tried: set[int] = field(default_factory=set)
    keyed: set[int] = field(default_factory=set)
    refused_at_first: set[int] = field(default_factory=set)
    _next: int = 0

    def number(self) -> int:
        self._next += 1
        return self._next - 1

    def note(self, number: int, reply: Reply) -> bool:
        """Keep *reply*, and say whether it took the request."""
        self.replies.append(reply)
        if reply.status == 202:
            self.jobs.setdefault(number, set()).add(reply.job_id)
        elif number not in self.tried:
            self.refused_at_first.add(number)
        self.tried.add(number)
        return reply.status == 202

    @property
    def refused(self) -> list[Reply]:
        return [reply for reply in self.replies if reply.status != 202]

    @property
    def named(self) -> Counter[str]:
        """How many requests were told of each job."""
        return Counter(job_id for ids in self.jobs.values() for job_id in ids)


async def submit_until(
    is_enough: Callable[[int], bool], caller: Caller, story: Story, *, seed: object
) -> None:
    """Submit one after the other until the next number would be too much; half have a key.

    Such a one is repeated until it is taken, and now and then once more after that.
    """
    dice = random.Random(repr(seed))
    while not is_enough(number := story.number()):
        key = f"key-{number}" if dice.random() < 0.5 else None
        body = {"number": number, "seconds": 0.0}
        is_taken = story.note(number, await caller.submit(_PATH, body, key=key))
        if key is None:
            continue
        story.keyed.add(number)
        again = dice.random() < 0.2
        while not is_taken or again:
            again = again and not is_taken
            is_taken = story.note(number, await caller.submit(_PATH, body, key=key))


@pytest.fixture
def probed(house: House) -> House:
    """A house whose services know the probes."""
    house.extra |= {"UKETSUKE_JOB_TYPES": "tests.support.probes"}
    house.extra |= {"UKETSUKE_HANDLERS": "tests.support.probes"}
    return house


async def numbers_in(house: House) -> dict[str, int]:
    """Say which request each job in the store came from."""
    rows = await house.fetch("SELECT id, request FROM jobs")
    return {str(row["id"]): int(json.loads(row["request"])["number"]) for row in rows}


@pytest.mark.quick
@pytest.mark.parametrize(
    ("before", "reply"), [(0.08, 0.0), (0.0, 0.08), (0.05, 0.05)], ids=["before", "reply", "both"]
)
async def test_f14_a_submit_whose_commit_was_cut_is_one_job_or_a_503(
    probed: House, before: float, reply: float
) -> None:
    """A 202 is a job, once; anything else is an honest 503, and a retry by key finds the truth."""
    story, count, submitters = Story(), 900, 3
    cut = PostgresCut(
        before=chance(before, seed="before"), reply=chance(reply, seed="reply"), carrying=_SUBMIT
    )
    async with open_proxy(probed.database_url, cut.watch) as proxy, open_session() as session:
        front = await probed.front(database_url=proxy.url)
        caller = Caller(session, probed.url(front))
        async with asyncio.TaskGroup() as group:
            for one in range(submitters):
                group.create_task(submit_until(lambda n: n >= count, caller, story, seed=one))
        stored = await numbers_in(probed)
        assert front.exit_code is None
        print(
            f"\n{count} requests, {len(story.keyed)} with a key, {len(story.replies)} tries:"
            f" {len(story.refused)} refused, {len(stored)} jobs"
            f"\n  {cut.commits} commits: {cut.killed} killed before, {cut.swallowed} answers lost;"
            f" {proxy.dialled} connections"
            f"\n  answers {told(story.replies)}"
        )

    assert cut.bitten > 20
    assert cut.bitten / cut.commits >= 0.05
    assert min(cut.killed, cut.swallowed) > 10 or 0.0 in (before, reply)
    assert {r.status for r in story.refused} <= {503}
    assert all(int(r.headers["Retry-After"]) >= 1 for r in story.refused)
    assert bool(story.refused_at_first) is bool(before)  # what did happen, the front finds out
    assert story.keyed <= story.jobs.keys()
    assert max(len(ids) for ids in story.jobs.values()) == 1
    assert max(story.named.values()) == 1
    assert stored == {job_id: number for number, ids in story.jobs.items() for job_id in ids}


@pytest.mark.timeout(600)
async def test_f14_hundreds_of_cut_commits_lose_and_double_nothing(probed: House) -> None:
    """As above, for as many cuts as the promise is to be proven with; and the jobs all end."""
    wanted, story = int(os.environ.get("UKETSUKE_TEST_CUTS", "500")), Story()
    cut = PostgresCut(
        before=chance(0.15, seed="before"), reply=chance(0.2, seed="reply"), carrying=_SUBMIT
    )
    async with open_proxy(probed.database_url, cut.watch) as proxy, open_session() as session:
        front, back = await probed.front(database_url=proxy.url), await probed.back()
        caller = Caller(session, probed.url(front))
        async with asyncio.TaskGroup() as group:
            for one in range(4):
                enough = submit_until(lambda _: cut.bitten >= wanted, caller, story, seed=one)
                group.create_task(enough)
        await all_have_ended(probed, within=60)
        assert (front.exit_code, back.exit_code) == (None, None)

    stored, ends = await numbers_in(probed), await probed.fetch(_ENDS)
    promised = {job_id for job_ids in story.jobs.values() for job_id in job_ids}
    lost, doubled = len(promised - stored.keys()), len(stored) - len(set(stored.values()))
    results.keep(
        "F14-commits-cut",
        bites={"commits cut": cut.bitten, "not sent": cut.killed, "not answered": cut.swallowed},
        counts={
            "asked": len(story.tried),
            "accepted": len(promised),
            "refused": len(story.refused),
            "accepted and lost": lost,
            "not exactly one ending": sum(row["ends"] != 1 for row in ends),
        },
        figures={"cut_and_lost_or_doubled": lost + doubled},
        again=f'UKETSUKE_TEST_CUTS={wanted} make faults ARGS="-k hundreds_of_cut"',
    )
    assert cut.bitten >= wanted
    assert min(cut.killed, cut.swallowed) >= wanted // 5
    assert {r.status for r in story.refused} <= {503}
    assert max(len(ids) for ids in story.jobs.values()) == 1
    assert stored == {job_id: number for number, ids in story.jobs.items() for job_id in ids}
    assert {row["ends"] for row in ends} == {1}


@pytest.mark.quick
@pytest.mark.parametrize(
    ("point", "goes_on"),
    [("before", False), ("before", True), ("reply", False), ("reply", True)],
    ids=["commit not sent", "commit sent", "answer not sent", "answer sent"],
)
async def test_f4_a_front_killed_in_a_submit_leaves_a_whole_job_or_none(
    probed: House, point: str, *, goes_on: bool
) -> None:
    """The caller was told nothing; asking another front with the same key settles it."""
    body, killed = {"number": 7, "seconds": 0.0}, 0

    def kill() -> bool:
        nonlocal killed
        killed += 1
        front.kill()
        return not goes_on

    cut = PostgresCut(**{point: kill}, carrying=_SUBMIT)
    async with open_proxy(probed.database_url, cut.watch) as proxy, open_session() as session:
        front = await probed.front(database_url=proxy.url)
        told_nothing = await Caller(session, probed.url(front)).submit(_PATH, body, key="k")

    other, back = await probed.front(), await probed.back()
    async with open_session() as session:
        caller = Caller(session, probed.url(other))
        tickets = [await caller.submit(_PATH, body, key="k") for _ in range(2)]
    await all_have_ended(probed)

    assert (killed, told_nothing.status) == (1, 0)
    assert [ticket.status for ticket in tickets] == [202, 202]
    assert await numbers_in(probed) == {ticket.job_id: 7 for ticket in tickets}
    assert await probed.fetchval("SELECT count(*) FROM effects") == 1
    assert back.exit_code is None


@pytest.mark.quick
async def test_f23_lost_confirms_delay_jobs_and_double_none(probed: House) -> None:
    """Who never hears of the confirm knocks again: each job is claimed once, and ends."""
    story = Story()
    cuts = {name: AmqpCut(chance(0.3, seed=name)) for name in ("front", "back")}

    def is_enough(number: int) -> bool:  # what waits together is knocked for together: ever less
        return number >= 300 and sum(cut.swallowed for cut in cuts.values()) > 25

    async with (
        open_proxy(probed.amqp_url, cuts["front"].watch) as before_front,
        open_proxy(probed.amqp_url, cuts["back"].watch) as before_back,
        open_session() as session,
    ):
        front = await probed.front(amqp_url=before_front.url, confirm_wait=0.2)
        back = await probed.back(amqp_url=before_back.url)
        caller = Caller(session, probed.url(front))
        async with asyncio.TaskGroup() as group:
            for one in range(8):
                group.create_task(submit_until(is_enough, caller, story, seed=one))
        await all_have_ended(probed, within=60)
        assert (front.exit_code, back.exit_code) == (None, None)

    states = Counter(row["state"] for row in await probed.fetch("SELECT state FROM jobs"))
    runs = await probed.fetchval("SELECT count(*) FROM job_events WHERE kind = 'running'")
    effects = await probed.fetchval("SELECT count(*) FROM effects")
    stored, count = await numbers_in(probed), len(story.tried)
    repeats = sum(worker.logged.count("outbox relayed") for worker in (front, back))
    acks, swallowed = (sum(getattr(c, n) for c in cuts.values()) for n in ("acks", "swallowed"))
    print(
        f"\n{count} requests, {runs} runs, {effects} effects; {acks} acks, {swallowed} swallowed;"
        f" {repeats} turns of the relay\n  answers {told(story.replies)}"
    )

    assert swallowed > 20
    assert swallowed / acks >= 0.2
    assert repeats > 0
    assert {reply.status for reply in story.replies} == {202}
    assert stored == {job_id: number for number, ids in story.jobs.items() for job_id in ids}
    assert states == {"completed": count}
    assert (runs, effects) == (count, count)
