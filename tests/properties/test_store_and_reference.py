"""The store and the verdict against a small model: order, attempts, tokens and endings."""

import asyncio
from collections.abc import Callable, Coroutine, Sequence
from datetime import timedelta
from typing import Any, Final, TypeVar

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    initialize,
    invariant,
    multiple,
    precondition,
    rule,
    run_state_machine_as_test,
)

from back_service.verdict import verdict
from shared.contract.ids import THE_TENANT, JobId
from shared.contract.jobs import Job
from shared.contract.outcomes import (
    Interrupted,
    Outcome,
    Raised,
    Refused,
    Returned,
    Snoozed,
    Stopped,
)
from shared.contract.retries import Retries
from shared.store.work import Finished, Ruling
from tests.integration.bench import FAILURE, Bench, alone, open_bench
from tests.integration.conftest import EMPTY
from tests.integration.soundness import unsound
from tests.properties.reference import LIVE, Life, Reference

pytestmark = pytest.mark.servers

T = TypeVar("T")
Do = Callable[[Coroutine[Any, Any, T]], T]

DICE: Final = st.integers(0, 59)
MINUTE: Final = timedelta(minutes=1)
OUTCOMES: Final[dict[str, Outcome]] = {
    "returned": Returned(result=b"1"),
    "raised": Raised(failure=FAILURE, after=MINUTE),
    "refused": Refused(failure=FAILURE),
    "snoozed": Snoozed(delay=MINUTE),
    "interrupted": Interrupted(),
    "stopped": Stopped(),
}
EVENTS: Final = (*OUTCOMES, "refused", "is cancelled", "crashes", "expires", "goes on")
WISHES: Final = ("cancel", "expire", "replay", "release")
KEYS: Final = ("a", "b")
LINE: Final = 4  # behind a head there must be two, or the first and the last are the same
ROWS: Final = "SELECT id, state, attempt, crashes, token FROM jobs"
HEADS: Final = "SELECT key, head FROM key_heads WHERE head IS NOT NULL"


class Held:
    """A claim, as a worker keeps it: also long after it has lost it."""

    def __init__(self, job: Job, claim: int) -> None:
        self.job, self.claim = job, claim

    def __repr__(self) -> str:
        return f"claim {self.claim} of {str(self.job.id)[-4:]}"


class StoreAndReference(RuleBasedStateMachine):
    """Each rule does the same to both; after each, both must tell the same."""

    bench: Bench
    do: Callable[[Coroutine[Any, Any, Any]], Any]

    tickets = Bundle("tickets")
    holds = Bundle("holds")

    def __init__(self) -> None:
        super().__init__()
        self.model = Reference()
        self.do(self.bench.sql_script(EMPTY))
        self.tokens: dict[object, int] = {}
        self.latest: dict[object, Held] = {}

    @initialize(target=tickets)
    def begin(self) -> Any:
        return multiple(*self._line_up())

    def _line_up(self) -> list[JobId]:
        """Let some stand in line for each key, and those who wait for their time be due."""
        lines = self.model.lines
        missing = [key for key in KEYS for _ in range(LINE - len(lines[key]))]
        self.come_due()
        return [self._submit(key, True, False, 2) for key in missing]

    @rule(
        target=tickets,
        key=st.sampled_from([*KEYS, KEYS[0], None]),
        blocks=st.booleans(),
        waits=st.integers(0, 5).map(lambda n: n == 0),
        most=st.integers(1, 3),
        count=st.integers(1, 4),
    )
    def submit(self, *, key: str | None, blocks: bool, waits: bool, most: int, count: int) -> Any:
        return multiple(*(self._submit(key, blocks, waits, most) for _ in range(count)))

    def _submit(self, key: str | None, blocks: bool, waits: bool, most: int) -> JobId:  # noqa: FBT001  drawn
        wishes = {"ordering_key": key, "blocks": blocks, "max_attempts": most}
        delay = timedelta(hours=1) if waits else None
        job_id: JobId = self.do(self.bench.submit(delay=delay, **wishes))
        state = "scheduled" if waits else "queued"
        self.model.submit(job_id, Life(key=key, blocks=blocks, max_attempts=most, state=state))
        return job_id

    @rule(target=holds, names=st.lists(tickets, min_size=1, max_size=3, unique=True))
    def claim_some(self, names: list[JobId]) -> Any:
        return multiple(*self._claim(names))

    def _claim(self, names: list[Any]) -> list[Held]:
        jobs: list[Job] = self.do(self.bench.claim(*names))
        assert {job.id for job in jobs} == set(self.model.claim(names))
        return [self._held(job) for job in jobs]

    @rule(target=holds, name=tickets)
    def claim_alone(self, name: JobId) -> Any:
        claimed = self.do(alone(self.bench).claim([name], keyed=True))
        assert [job.id for job in claimed.jobs] == self.model.claim([name], alone=True)
        return multiple(*(self._held(job) for job in claimed.jobs))

    @rule(target=holds, held=holds, what=st.sampled_from(EVENTS), turn=st.booleans())
    def befall_any(self, held: Held, what: str, *, turn: bool) -> Any:
        """Let something happen to what was claimed once; who has lost it changes nothing."""
        return multiple(*self._befall(held, what, turn=turn))

    @rule(
        target=holds,
        dice=DICE,
        what=st.sampled_from(EVENTS),
        stops=st.sampled_from([False, False, True]),
        turn=st.booleans(),
    )
    def befall(self, dice: int, what: str, *, stops: bool, turn: bool) -> Any:
        """Knock on every door, let something happen to one that runs, and knock again."""
        held = self._claim(list(self.tokens))
        if not self.running():
            self._line_up()
            self.both_tell_the_same()
            held += self._claim(list(self.tokens))
        if running := self.running():
            one = one_of([r for r in running if r.job.ordering_key] or running, dice)
            if stops:
                self.cancel(one.job.id)
            held += self._befall(one, what, turn=turn)
            self.both_tell_the_same()
            held += self._claim(list(self.tokens))
        return multiple(*held)

    def _befall(self, held: Held, what: str, *, turn: bool) -> list[Held]:
        """Let *what* happen; an outcome is written as its handler ended it."""
        if what in OUTCOMES:
            return self._end(held, what, turn=turn)
        if what == "is cancelled":
            self.cancel(held.job.id)
        if what == "crashes":
            self.crash(held)
        if what == "expires":
            self.expire(held.job.id)
        return []

    @precondition(lambda self: self.model.blocked())
    @rule(dice=DICE, again=st.booleans(), turn=st.booleans())
    def go_on_behind_a_failure(self, dice: int, *, again: bool, turn: bool) -> None:
        name: Any = one_of(self.model.blocked(), dice)
        self.replay(name) if again else self.release(name)
        self.work_off(str(self.model.lives[name].key), turn=turn)

    @rule(key=st.sampled_from(KEYS), turn=st.booleans())
    def work_off_any(self, key: str, *, turn: bool) -> None:
        self.work_off(key, turn=turn)

    def work_off(self, key: str, *, turn: bool) -> None:
        """Run the next two jobs of a key, if they may run: so its order is seen."""
        for head in self.model.lines[key][:2]:
            if not self.is_running(head):
                self._claim([head])
            if not self.is_running(head):
                return
            self._end(self.latest[head], "returned", turn=turn)
            self.both_tell_the_same()

    def running(self) -> list[Held]:
        """List the claims that count: most others have been lost since."""
        return [held for name, held in self.latest.items() if self.is_running(name)]

    def is_running(self, name: object) -> bool:
        held = self.latest.get(name)
        return held is not None and self.model.holds(name, held.claim)

    def _end(self, held: Held, outcome: str, *, turn: bool) -> list[Held]:
        ruling = verdict(OUTCOMES[outcome], held.job, Retries(), 0.5)
        asked = [Ruling(job=held.job, verdict=ruling, has_turn=turn)]
        [finished] = self.do(self.bench.work.finish(asked)).finished
        became = self.model.end(held.job.id, held.claim, outcome)
        assert finished.state == became
        return self._go_on(held, finished, turn=turn and became is not None)

    def _go_on(self, held: Held, finished: Finished, *, turn: bool) -> list[Held]:
        follower = self.model.follower(held.job.id) if turn else None
        assert (finished.next.id if finished.next else None) == follower
        if finished.next is None:
            return []
        self.model.claim([follower])
        return [self._held(finished.next)]

    @rule(name=tickets, wish=st.sampled_from(WISHES))
    def wish(self, name: JobId, wish: str) -> None:
        getattr(self, wish)(name)

    def cancel(self, name: JobId) -> None:
        changed = self.do(self.bench.intake.cancel(THE_TENANT, name))
        assert (changed.state if changed else None) == self.model.cancel(name)

    def crash(self, held: Held) -> None:
        name = held.job.id
        if self.model.lives[name].state in ("running", "cancelling"):
            self.do(self.bench.let_lapse(name))
            self.model.crash(name)
        self.do(self.bench.upkeep.rescue())

    @rule()
    def come_due(self) -> None:
        self.do(self.bench.sql("UPDATE jobs SET due = now() WHERE due IS NOT NULL"))
        self.do(self.bench.upkeep.come_due())
        self.model.come_due()

    def expire(self, name: JobId) -> None:
        if self.model.lives[name].state in LIVE:
            self.do(self.bench.use_up(name))
            self.model.expire(name)
        self.do(self.bench.upkeep.expire())

    @precondition(lambda self: self.ended())
    @rule(dice=DICE)
    def replay_what_ended(self, dice: int) -> None:
        self.replay(one_of(self.ended(), dice))

    def ended(self) -> list[Any]:
        return [name for name in self.model.lives if self.model.may_replay(name)]

    def replay(self, name: JobId) -> None:
        assert bool(self.do(self.bench.intake.replay(THE_TENANT, name))) == self.model.replay(name)

    def release(self, name: JobId) -> None:
        released = self.do(self.bench.intake.release(THE_TENANT, name))
        assert (released is not None) == self.model.release(name)

    @invariant()
    def both_tell_the_same(self) -> None:
        rows = self.do(self.bench.sql(ROWS))
        told = {row["id"]: (row["state"], row["attempt"], row["crashes"]) for row in rows}
        lives = self.model.lives
        assert told == {n: (one.state, one.attempt, one.crashes) for n, one in lives.items()}
        heads = {row["key"]: row["head"] for row in self.do(self.bench.sql(HEADS))}
        assert heads == {key: line[0] for key, line in self.model.lines.items() if line}
        tokens = {row["id"]: row["token"] for row in rows}
        assert all(tokens[name] >= token for name, token in self.tokens.items())
        self.tokens = tokens

    def teardown(self) -> None:
        assert self.do(unsound(self.bench)) == {}

    def _held(self, job: Job) -> Held:
        assert job.token > self.tokens[job.id], "no two claims bear the same token"
        held = self.latest[job.id] = Held(job, self.model.lives[job.id].claims)
        return held


def one_of(some: Sequence[T], dice: int) -> T:
    return some[dice % len(some)]


def test_the_store_does_what_the_reference_does(database: str) -> None:
    """Whatever workers, callers, crashes and time do to jobs, in whatever order."""
    with asyncio.Runner() as runner:
        stack = open_bench(database)
        bench = runner.run(stack.__aenter__())

        class Here(StoreAndReference):
            def __init__(self) -> None:
                self.bench, self.do = bench, runner.run
                super().__init__()

        run_state_machine_as_test(
            Here,
            settings=settings(
                max_examples=25,
                stateful_step_count=60,
                deadline=None,
                phases=(Phase.explicit, Phase.reuse, Phase.generate),  # shrinking takes minutes
                suppress_health_check=list(HealthCheck),
            ),
        )
        runner.run(stack.__aexit__(None, None, None))
