"""One attempt: whatever its handler does, an outcome comes out, and the lane can go on."""

import asyncio
import sys
from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Any

import pytest
from pydantic import BaseModel

from back_service.leases import Cause, Held
from back_service.runner import LeaseLost, Runner
from shared.contract.authoring import Retry, Snooze
from shared.contract.job_types import Catalogue, JobType
from shared.contract.outcomes import Interrupted, Outcome, Raised, Returned
from tests.support.builders import a_job
from tests.support.clock import ManualClock

Handler = Callable[[Any, Any], Awaitable[object]]


class Anything(BaseModel):
    """A request that says nothing."""


ECHO = JobType(name="demo.echo", request=Anything)


class NoContext:
    """A context of which nothing is asked."""

    async def tell_last(self) -> None:
        pass

    async def close(self) -> None:
        """There is nothing to let go of."""


def a_runner(handler: Handler) -> Runner:
    def open_context(*_: object) -> Any:
        return NoContext()

    handlers = {ECHO.name: handler}
    return Runner(Catalogue([ECHO]), handlers, open_context, ManualClock(), max_result=1_000)


def held_here() -> Held:
    return Held(a_job(), {}, ends_at=10, now=0)


async def outcome_of(handler: Handler) -> Outcome:
    return await a_runner(handler).run(a_job(), held_here())


async def test_a_handler_that_exits_has_failed() -> None:
    """Else ``sys.exit`` deep in a library would end the worker with all that runs in it."""

    async def leave(*_: object) -> object:
        sys.exit(0)

    outcome = await outcome_of(leave)

    assert isinstance(outcome, Raised)
    assert outcome.failure.code == "handler_error"


@pytest.mark.parametrize("slip", [Snooze, lambda five: Retry("busy", after=five)])
async def test_a_bare_number_of_seconds_fails_where_it_was_written(
    slip: Callable[[Any], Exception],
) -> None:
    """It would end the lane instead, and pass for a worker that crashed."""

    async def misspell(*_: object) -> object:
        raise slip(5)

    outcome = await outcome_of(misspell)

    assert isinstance(outcome, Raised)
    assert outcome.failure.code == "handler_error"


async def test_an_attempt_stopped_before_it_began_does_not_begin() -> None:
    """It may have waited for a place of its type; what it would do is not wanted any more."""
    begun = []

    async def note(*_: object) -> object:
        begun.append(True)
        return None

    held = held_here()
    held.stop(Cause.DRAIN, 0)
    outcome = await a_runner(note).run(a_job(), held)
    await asyncio.sleep(0)  # the record follows: no cancel may be left for it

    assert outcome == Interrupted()
    assert not begun


async def test_a_lease_lost_before_the_attempt_is_told() -> None:
    """Its outcome is nobody's business."""

    async def answer(*_: object) -> object:
        return None

    held = held_here()
    held.stop(Cause.LOST, 0)

    with pytest.raises(LeaseLost):
        await a_runner(answer).run(a_job(), held)


async def test_a_swallowed_cancel_does_not_mark_the_next_job_of_the_lane() -> None:
    """The same task runs it: time limits and task groups in it ask whether it was cancelled."""
    held = held_here()

    async def shrug(*_: object) -> object:
        held.stop(Cause.TIMEOUT, 0)
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            return "anyway"
        return "never"

    outcome = await a_runner(shrug).run(a_job(), held)

    task = asyncio.current_task()
    assert outcome == Returned(result=b'"anyway"')
    assert task is not None
    assert task.cancelling() == 0


async def test_a_handler_that_was_told_to_stop_may_clean_up() -> None:
    """Being told every quarter of a second would cut each ``await`` of its ``finally`` short."""
    held, cleaned = held_here(), []

    async def tidy(*_: object) -> object:
        held.stop(Cause.DRAIN, 1.0)
        try:
            await asyncio.sleep(60)
        finally:
            held.stop(Cause.DRAIN, 1.25)
            await asyncio.sleep(0)
            cleaned.append(True)
        return None

    outcome = await a_runner(tidy).run(a_job(), held)

    assert outcome == Interrupted()
    assert cleaned


async def test_a_handler_that_does_not_listen_is_told_again() -> None:
    """Its slot is wanted, and its lease will not last."""
    held = held_here()

    async def go_on(*_: object) -> object:
        for now in (1.0, 3.0):
            held.stop(Cause.DRAIN, now)
            try:
                await asyncio.sleep(60)
            except asyncio.CancelledError:
                if now > 1:
                    raise
        return None

    assert await a_runner(go_on).run(a_job(), held) == Interrupted()


async def test_the_wishes_of_a_handler_are_kept() -> None:
    """A real duration is what it was."""

    async def wait(*_: object) -> object:
        raise Retry("busy", after=timedelta(seconds=5))

    outcome = await outcome_of(wait)

    assert isinstance(outcome, Raised)
    assert outcome.after == timedelta(seconds=5)
