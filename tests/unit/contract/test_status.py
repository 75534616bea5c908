"""The status document: one job as clients see it, now and after each of its events."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import orjson
import pytest

from shared.contract.events import JobEvent
from shared.contract.jobs import JobView
from shared.contract.states import ENDINGS, STATUS, State
from shared.contract.status import (
    MOST_INLINE,
    dump,
    frame,
    result_document,
    status_document,
    ticket,
)
from tests.support.builders import START, a_view, an_event

ALWAYS: Final = frozenset(
    {"jobId", "type", "status", "state", "progress", "sequence", "attempt", "maxAttempts"}
    | {"createdAt", "updatedAt", "priority", "trackId", "statusUrl", "_links"}
)


def in_state(state: State, **facts: Any) -> JobView:
    """A job in *state*, with all that such a job has."""
    has_run = state not in (State.SCHEDULED, State.QUEUED)
    failed = state in (State.FAILED, State.RETRYING, State.EXPIRED)
    usual: dict[str, Any] = {
        "state": state,
        "attempt": int(has_run),
        "started_at": START if has_run else None,
        "completed_at": START if state in ENDINGS else None,
        "expires_at": START + timedelta(days=1) if state in ENDINGS else None,
        "due": START if state in (State.SCHEDULED, State.RETRYING) else None,
        "result": b'{"pages": 3}' if state is State.COMPLETED else None,
        "error_code": "no_good" if failed else None,
        "error": "It went wrong" if failed else None,
    }
    return a_view(**usual | facts)


@pytest.mark.parametrize(
    ("state", "extra"),
    [
        (State.SCHEDULED, {"scheduledFor"}),
        (State.QUEUED, set()),
        (State.RUNNING, {"startedAt"}),
        (State.RETRYING, {"startedAt", "scheduledFor", "error", "problem"}),
        (State.CANCELLING, {"startedAt"}),
        (State.COMPLETED, {"startedAt", "completedAt", "expiresAt", "results", "resultUrl"}),
        (State.FAILED, {"startedAt", "completedAt", "expiresAt", "error", "problem"}),
        (State.CANCELLED, {"startedAt", "completedAt", "expiresAt"}),
        (State.EXPIRED, {"startedAt", "completedAt", "expiresAt", "error", "problem"}),
    ],
)
def test_members_that_do_not_apply_are_left_out(state: State, extra: set[str]) -> None:
    """A member that is there means something; `null` never has to be told from nothing."""
    document = status_document(in_state(state))

    assert document.keys() == ALWAYS | extra
    assert None not in document.values()
    assert document["status"] == STATUS[state]


@pytest.mark.parametrize(
    ("fact", "member"),
    [
        ({"message": "page 3 of 7"}, "message"),
        ({"ordering_key": "acme"}, "orderingKey"),
        ({"tags": ("a",)}, "tags"),
        ({"replays": 1}, "replays"),
    ],
)
def test_members_that_apply_are_there(fact: dict[str, Any], member: str) -> None:
    """In whatever state the job is."""
    assert member in status_document(in_state(State.RUNNING, **fact))


@pytest.mark.parametrize("state", [State.QUEUED, State.RUNNING, State.CANCELLING])
def test_the_error_of_an_earlier_attempt_is_not_this_ones(state: State) -> None:
    """A job that is under way again has not failed."""
    document = status_document(in_state(state, error_code="no_good", error="It went wrong"))

    assert "error" not in document
    assert "problem" not in document


def test_a_completed_job_is_at_a_hundred() -> None:
    """Whether its handler said so or not."""
    assert status_document(in_state(State.COMPLETED, progress=40))["progress"] == 100
    assert status_document(in_state(State.RUNNING, progress=40))["progress"] == 40


@pytest.mark.parametrize(
    ("size", "is_inline"), [(1, True), (MOST_INLINE, True), (MOST_INLINE + 1, False)]
)
def test_a_result_is_inline_up_to_a_limit(size: int, is_inline: bool) -> None:  # noqa: FBT001  a column of the table
    """A status is asked for often; its address is always there."""
    document = status_document(in_state(State.COMPLETED, result=b"1" * size))

    assert ("results" in document) is is_inline
    assert document["resultUrl"] == document["_links"]["result"]


def test_a_result_that_the_store_kept_back_is_not_inline() -> None:
    """It is there all the same: its address says where."""
    document = status_document(in_state(State.COMPLETED, result=None))

    assert "results" not in document
    assert "resultUrl" in document


def test_results_are_passed_on_untouched() -> None:
    """What the handler wrote: not read, not rounded, not sorted."""
    written = b'{ "n": 1.00000000000000000001, "a": [] }'

    assert written in dump(status_document(in_state(State.COMPLETED, result=written)))
    assert written in dump(result_document(in_state(State.COMPLETED, result=written)))


def test_a_result_document_has_the_result_and_little_else() -> None:
    """However large it is."""
    document = result_document(in_state(State.COMPLETED, result=b"null"))

    assert document.keys() == {"jobId", "status", "results", "completedAt"}
    assert orjson.loads(dump(document))["results"] is None


def test_instants_are_written_in_utc_with_a_z() -> None:
    """One form, to the microsecond of the database."""
    job = a_view(created_at=datetime(2030, 1, 1, 5, 30, 0, 7, tzinfo=UTC))

    written = orjson.loads(dump(status_document(job)))

    assert written["createdAt"] == "2030-01-01T05:30:00.000007Z"


def test_a_ticket_leads_to_everything_else() -> None:
    """All that a client of few words needs is in the answer to its submit."""
    document = ticket("letters.print", "0193", datetime(2030, 1, 1, tzinfo=UTC))

    assert document["status"] == "pending"
    assert document["statusUrl"] == "/api/letters/status/0193"
    assert document["resultUrl"] == "/api/letters/result/0193"
    assert document["_links"]["events"] == "/api/jobs/0193/events"
    assert document["_links"]["socket"] == "/jobs/0193"


STORY: Final = (
    ("accepted", State.SCHEDULED, 0),
    ("queued", State.QUEUED, 0),
    ("running", State.RUNNING, 1),
    ("retrying", State.RETRYING, 1),
    ("queued", State.QUEUED, 1),
    ("running", State.RUNNING, 2),
    ("failed", State.FAILED, 2),
    ("queued", State.QUEUED, 0),
    ("running", State.RUNNING, 1),
    ("cancelling", State.CANCELLING, 1),
    ("cancelled", State.CANCELLED, 1),
    ("queued", State.QUEUED, 0),
)
"""What can happen to a job, as the kinds of its events, its states, and its attempts."""

_NOT_OF_THE_MOMENT: Final = frozenset({"progress", "message"})
"""Reports between two events are no part of the history."""


def a_story() -> Iterator[tuple[JobEvent, JobView]]:
    """Tell each event of a job, and how the job was right after it."""
    started_at, replays = None, 0
    for number, (kind, state, attempt) in enumerate(STORY, 1):
        at = START + timedelta(minutes=number)
        if number > 1 and STORY[number - 2][1] in ENDINGS:
            started_at, replays = None, replays + 1
        started_at = started_at or (at if state is State.RUNNING else None)
        failed = state in (State.RETRYING, State.FAILED)
        job = in_state(
            state,
            sequence=number,
            attempt=attempt,
            updated_at=at,
            started_at=started_at,
            completed_at=at if state in ENDINGS else None,
            replays=replays,
            due=at if state in (State.SCHEDULED, State.RETRYING) else None,
            error="It went wrong" if failed else None,
            error_code="no_good" if failed else None,
            progress=40 if state in (State.CANCELLING, State.CANCELLED) else 0,
        )
        told = {"at": at, "attempt": attempt, "error": job.error, "replays": replays}
        yield an_event(number, kind, **told), job


@pytest.mark.parametrize("now", range(1, len(STORY) + 1))
def test_a_frame_says_nothing_that_was_not_so(now: int) -> None:
    """A client that comes back is told the story as it happened, not the end at every step."""
    story = list(a_story())[:now]
    _, job_now = story[-1]

    for event, job_then in story:
        told, was = frame(job_now, event), status_document(job_then)
        assert told.pop("replayed", False) is (event.sequence < now and job_then.has_ended)
        compared = told.keys() - _NOT_OF_THE_MOMENT
        if event.sequence == 1 < now:
            compared -= {"state"}  # nobody knows any more whether it had to wait
        assert {name: told[name] for name in compared} == {
            name: was.get(name) for name in compared
        }, event
        assert told.keys() >= ALWAYS


def test_the_last_frame_is_the_job_as_it_is() -> None:
    """With its result: whoever waits for the end needs no other question."""
    job = in_state(State.COMPLETED, sequence=3)

    assert dump(frame(job, an_event(3, "completed"))) == dump(status_document(job))


def test_progress_does_not_go_back_while_a_cancel_takes_its_time() -> None:
    """The attempt is the same: the bar stays where it was."""
    job = in_state(State.CANCELLED, sequence=4, attempt=1, progress=65)

    assert frame(job, an_event(3, "cancelling", attempt=1))["progress"] == 65
    assert frame(job, an_event(2, "running", attempt=1))["progress"] == 0


def test_the_progress_of_one_run_is_not_anothers() -> None:
    """The bar of a run that is over shows nothing of the one that goes on."""
    job = in_state(State.RUNNING, sequence=6, attempt=1, progress=65, replays=1)

    assert frame(job, an_event(3, "cancelling", attempt=1, replays=0))["progress"] == 0


def test_a_job_that_was_accepted_to_run_at_once_was_never_scheduled() -> None:
    """That it now waits for its next try is another story."""
    job = replace(in_state(State.RETRYING, sequence=3), due=START + timedelta(hours=1))

    assert frame(job, an_event(1, "accepted"))["state"] is State.QUEUED
