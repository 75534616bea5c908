"""One attempt, and how it ended: whatever a handler does, an outcome comes out."""

import asyncio
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from pydantic import BaseModel, ConfigDict

from back_service.leases import Cause, Fenced, Held, Leases
from back_service.runner import LeaseLost, Runner
from shared.contract.authoring import ChildDied, Fail, Retry, Snooze
from shared.contract.job_types import Catalogue, Isolation, JobType
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
from tests.support.builders import a_job
from tests.support.clock import ManualClock
from tests.unit.back.fakes import FakeContext, FakeWork, settle

Handling = Callable[[Any, Any], Any]


class Request(BaseModel):
    model_config = ConfigDict(extra="forbid")

    text: str = ""


class Result(BaseModel):
    pages: int


class Attempt:
    """A runner with one handler, and the lease of one job."""

    def __init__(self, handler: Handling, *, max_result: int = 1_000, **statements: Any) -> None:
        job_type = JobType(name="letters.print", request=Request, **statements)
        self.clock = ManualClock()
        self.context = FakeContext(lambda handler, request: handler(self.context, request))
        self.leases = Leases(FakeWork().as_store, lease=timedelta(seconds=10), clock=self.clock)
        self.held: Held | None = None
        self.runner = Runner(
            Catalogue([job_type]),
            {"letters.print": handler},
            lambda *_: self.context.as_context,
            self.clock,
            max_result=max_result,
        )

    async def run(self, job: Job | None = None, *, told: Cause | None = None) -> Outcome:
        job = job or a_job(type="letters.print")
        with self.leases.hold(job, asked_at=self.clock.now) as self.held:
            if told is not None:
                self.held.stop(told, self.clock.now)
            return await self.runner.run(job, self.held)

    async def stopped(self, cause: Cause) -> Outcome:
        """Run it, tell it to stop when it waits, and give its outcome."""
        task = asyncio.create_task(self.run())
        await settle()
        assert self.held is not None
        self.held.stop(cause, self.clock.now)
        return await task


def code(outcome: Outcome) -> str:
    assert isinstance(outcome, Raised | Refused)
    return outcome.failure.code


async def wait(*_: object) -> None:
    await asyncio.Event().wait()


def raising(error: BaseException) -> Handling:
    async def handler(*_: object) -> None:
        raise error

    return handler


def returning(value: object) -> Handling:
    async def handler(*_: object) -> object:
        return value

    return handler


async def test_a_result_comes_out_as_json() -> None:
    """What the type promises: a model, or anything that JSON can say."""
    assert await Attempt(returning({"pages": 3})).run() == Returned(result=b'{"pages":3}')
    assert await Attempt(returning(None)).run() == Returned(result=b"null")
    assert await Attempt(returning(Result(pages=3)), result=Result).run() == Returned(
        result=b'{"pages":3}'
    )


async def test_the_request_is_the_types_own_model() -> None:
    """As it was judged when it was accepted."""

    async def handler(_: object, request: Request) -> str:
        return request.text

    outcome = await Attempt(handler).run(a_job(type="letters.print", request=b'{"text":"hello"}'))

    assert outcome == Returned(result=b'"hello"')


async def test_a_result_of_the_wrong_form_fails_for_good() -> None:
    """The handler is wrong, and would be wrong again."""
    assert (
        code(await Attempt(returning({"pages": "many"}), result=Result).run()) == "result_invalid"
    )
    assert await Attempt(returning({"pages": 3}), result=Result).run() == Returned(
        result=b'{"pages":3}'
    )


def a_cycle() -> list[object]:
    cycle: list[object] = []
    cycle.append(cycle)
    return cycle


@pytest.mark.parametrize(
    "value",
    [object(), b"bytes", {1, 2}, {1: 2}, "\ud800", a_cycle(), 2**70],
    ids=["object", "bytes", "set", "number as key", "surrogate", "cycle", "huge number"],
)
async def test_a_result_that_json_cannot_say_fails_for_good(value: object) -> None:
    """It is found out here, and not by whoever reads it."""
    assert code(await Attempt(returning(value)).run()) == "result_invalid"


async def test_a_result_that_is_too_large_fails_for_good() -> None:
    """It belongs into a blob."""
    attempt = Attempt(returning("x" * 100), max_result=50)

    outcome = await attempt.run()

    assert code(outcome) == "result_too_large"
    assert isinstance(outcome, Refused)
    assert "50" in outcome.failure.message


async def test_a_request_that_the_type_no_longer_takes_fails_for_good() -> None:
    """The type has changed since: nobody can make it right by trying again."""
    job = a_job(type="letters.print", request=b'{"gone": 1}')

    assert code(await Attempt(returning(None)).run(job)) == "request_invalid"


async def test_retry_is_an_attempt_that_failed() -> None:
    """With the handler's own words, and its own wish."""
    outcome = await Attempt(raising(Retry("busy", after=timedelta(seconds=5)))).run()

    assert isinstance(outcome, Raised)
    assert (outcome.failure.code, outcome.failure.message) == ("retry", "busy")
    assert outcome.after == timedelta(seconds=5)


async def test_fail_is_final() -> None:
    """With the code and the words of the handler."""
    outcome = await Attempt(raising(Fail("no_such_page", "There is no page 9"))).run()

    assert isinstance(outcome, Refused)
    assert (outcome.failure.code, outcome.failure.message) == ("no_such_page", "There is no page 9")


async def test_snooze_puts_the_job_off() -> None:
    """A wish to go back in time means now."""
    later = timedelta(minutes=1)

    assert await Attempt(raising(Snooze(later))).run() == Snoozed(delay=later)
    assert await Attempt(raising(Snooze(-later))).run() == Snoozed(delay=timedelta(0))


@pytest.mark.parametrize(
    "error", [ValueError("canary-4711"), KeyError("canary-4711"), RecursionError("canary-4711")]
)
async def test_an_unforeseen_error_is_told_without_its_details(error: Exception) -> None:
    """They may hold anything: they go to the log alone."""
    outcome = await Attempt(raising(error)).run()

    assert code(outcome) == "handler_error"
    assert "canary" not in repr(outcome)


async def test_a_child_that_died_is_an_attempt_that_failed() -> None:
    """Out of memory, or a crash: another try may have better luck."""
    assert code(await Attempt(raising(ChildDied("signal 9"))).run()) == "child_died"


@pytest.mark.parametrize(
    "error", [Fail("a\x00b\ud800", "x\x1b[31m\x00\ud800"), Retry("\x00\ud800")]
)
async def test_words_of_a_handler_can_be_stored_and_shown(error: Exception) -> None:
    """No control characters, no halves of characters, and not endless."""
    outcome = await Attempt(raising(error)).run()

    assert isinstance(outcome, Raised | Refused)
    for text in (outcome.failure.code, outcome.failure.message):
        assert text.encode()
        assert "\x00" not in text
        assert "\x1b" not in text


async def test_words_without_end_are_cut() -> None:
    """They are stored with the job, and shown with each status."""
    outcome = await Attempt(raising(Fail("c" * 10_000, "m" * 10_000_000))).run()

    assert isinstance(outcome, Refused)
    assert len(outcome.failure.code) <= 64
    assert len(outcome.failure.message) <= 2_001


@pytest.mark.parametrize(
    ("cause", "outcome"), [(Cause.CANCEL, Stopped()), (Cause.DRAIN, Interrupted())]
)
async def test_a_handler_that_is_told_to_stop_ends_as_it_was_told(
    cause: Cause, outcome: Outcome
) -> None:
    """By a caller, or because its worker leaves."""
    assert await Attempt(wait).stopped(cause) == outcome


async def test_an_attempt_that_takes_too_long_has_failed() -> None:
    """It may be tried again: the next one may be quicker."""
    attempt = Attempt(wait, timeout=timedelta(seconds=90))

    outcome = await attempt.stopped(Cause.TIMEOUT)

    assert isinstance(outcome, Raised)
    assert outcome.failure.code == "timeout"
    assert "90 s" in outcome.failure.message


async def test_its_time_runs_from_when_it_begins() -> None:
    """Held by the lease's own clock: one look for all attempts."""
    attempt = Attempt(wait, timeout=timedelta(seconds=90))
    task = asyncio.create_task(attempt.run())
    await settle()
    assert attempt.held is not None

    assert attempt.held.times_out_at == attempt.clock.now + 90

    attempt.held.stop(Cause.CANCEL, attempt.clock.now)
    await task


async def test_what_a_lost_attempt_came_to_is_nobodys_business() -> None:
    """The job is somebody else's: nothing may be written."""
    with pytest.raises(LeaseLost):
        await Attempt(wait).stopped(Cause.LOST)


async def test_a_lost_lease_goes_before_a_cancel() -> None:
    """Whatever it was told first."""
    attempt = Attempt(wait)
    task = asyncio.create_task(attempt.run())
    await settle()
    assert attempt.held is not None
    attempt.held.stop(Cause.CANCEL, attempt.clock.now)
    attempt.held.stop(Cause.LOST, attempt.clock.now)

    with pytest.raises(LeaseLost):
        await task


async def test_a_result_that_was_there_before_the_cancel_counts() -> None:
    """The work is done: to throw it away would help nobody."""

    async def stubborn(*_: object) -> str:
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            return "done"
        return "never"

    assert await Attempt(stubborn).stopped(Cause.CANCEL) == Returned(result=b'"done"')


async def test_an_error_while_cleaning_up_is_an_error() -> None:
    """The store knows that a cancel was asked, and makes an end of it."""

    async def clumsy(*_: object) -> None:
        try:
            await asyncio.Event().wait()
        finally:
            raise ValueError("while cleaning up")

    assert code(await Attempt(clumsy).stopped(Cause.CANCEL)) == "handler_error"


@pytest.mark.parametrize(
    ("cause", "outcome"), [(Cause.CANCEL, Stopped()), (Cause.DRAIN, Interrupted())]
)
async def test_i8_a_job_that_was_told_before_it_began_never_begins(
    cause: Cause, outcome: Outcome
) -> None:
    """It may have waited for its turn of a limited type."""
    begun: list[object] = []

    async def handler(*_: object) -> None:
        begun.append(_)

    assert await Attempt(handler).run(told=cause) == outcome
    assert begun == []


async def test_what_stopped_one_attempt_does_not_reach_the_next_of_its_lane() -> None:
    """The same task goes on with another job: no cancel may be left in it."""

    async def stubborn(*_: object) -> str:
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            return "done"
        return "never"

    attempt = Attempt(stubborn)

    async def lane() -> tuple[int, Outcome]:
        await attempt.run()
        task = asyncio.current_task()
        assert task is not None
        await asyncio.sleep(0)  # whatever is left of a cancel would come here
        giving_up = Attempt(raising(asyncio.CancelledError()))
        return task.cancelling(), await giving_up.run()

    task = asyncio.create_task(lane())
    await settle()
    assert attempt.held is not None
    attempt.held.stop(Cause.CANCEL, attempt.clock.now)

    cancelling, outcome = await task
    assert cancelling == 0
    assert code(outcome) == "handler_error"


async def test_a_handler_that_gives_up_by_itself_has_failed() -> None:
    """Nobody told it to stop: some library of its own did."""
    assert code(await Attempt(raising(asyncio.CancelledError())).run()) == "handler_error"


async def test_an_attempt_whose_write_was_refused_ends_as_stopped() -> None:
    """The store knows whether the job was cancelled or is somebody else's."""
    assert await Attempt(raising(Fenced())).run() == Stopped()


async def test_the_house_going_down_is_not_an_outcome() -> None:
    """It is passed on: the lane itself is to end."""
    attempt = Attempt(wait)
    task = asyncio.create_task(attempt.run())
    await settle()

    task.cancel()

    with pytest.raises(asyncio.CancelledError):
        await task
    assert attempt.context.is_closed


@pytest.mark.parametrize("handler", [returning(None), raising(ValueError()), raising(Fenced())])
async def test_what_an_attempt_used_is_let_go(handler: Handling) -> None:
    """Its folder, its unsaid progress: however it ended."""
    attempt = Attempt(handler)

    await attempt.run()

    assert attempt.context.is_closed


async def test_a_type_may_limit_how_many_run_at_once() -> None:
    """A licence for two, or a neighbour that bears no more."""
    running, most = 0, 0

    async def handler(*_: object) -> None:
        nonlocal running, most
        running += 1
        most = max(most, running)
        await asyncio.sleep(0)
        running -= 1

    attempt = Attempt(handler, concurrency=2)

    await asyncio.gather(*(attempt.run() for _ in range(6)))

    assert most == 2


async def test_work_for_a_child_is_handed_to_one() -> None:
    """The handler itself is a plain function there."""

    async def plain(*_: object) -> str:
        return "from a child"

    outcome = await Attempt(plain, isolation=Isolation.PROCESS).run()

    assert outcome == Returned(result=b'"from a child"')
