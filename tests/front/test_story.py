"""The story of a job: which frames a client gets of what the store says."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import orjson
from hypothesis import given
from hypothesis import strategies as st

from front_service.push.story import Frame, Look, Story
from shared.contract.events import JobEvent
from shared.contract.ids import THE_TENANT, JobId, TrackId, uuid7
from shared.contract.jobs import JobView
from shared.contract.states import State

START = datetime(2030, 1, 1, tzinfo=UTC)
STATES = (State.QUEUED, State.RUNNING, State.RETRYING)


def a_look(
    sequence: int, events: Sequence[int] = (), *, progress: int = 0, state: State | None = None
) -> Look:
    job = JobView(
        id=JobId(uuid7(1, b"\x01" * 10)),
        tenant=THE_TENANT,
        type="demo.echo",
        state=state or STATES[sequence % 3],
        priority="normal",
        sequence=sequence,
        attempt=1,
        max_attempts=4,
        replays=0,
        progress=progress,
        message=None,
        ordering_key=None,
        tags=(),
        track_id=TrackId("t"),
        created_at=START,
        updated_at=START + timedelta(seconds=sequence, milliseconds=progress),
        started_at=None,
        completed_at=None,
        due=None,
        expires_at=None,
        result=None,
        error_code=None,
        error=None,
    )
    history = [
        JobEvent(sequence=n, kind=STATES[n % 3], at=START, attempt=1, error=None) for n in events
    ]
    return Look(job, history)


def told(frames: Sequence[Frame]) -> list[int]:
    return [orjson.loads(frame.body)["sequence"] for frame in frames]


def test_it_begins_with_the_job_as_it_is() -> None:
    """Whatever happened before is summed up in the snapshot."""
    story = Story()

    assert told(story.begin(a_look(5), None)) == [5]
    assert not story.is_behind


def test_it_resumes_after_the_number_that_was_seen() -> None:
    """Each missed event once, in order."""
    assert told(Story().begin(a_look(5, [3, 4, 5]), 2)) == [3, 4, 5]


def test_progress_is_told_once_and_only_forward() -> None:
    """An older look that comes late says nothing."""
    story = Story()
    story.begin(a_look(2), None)

    frames = story.go_on(a_look(2, progress=40))
    assert orjson.loads(frames[0].body)["progress"] == 40
    assert frames[0].sequence is None
    assert story.go_on(a_look(2, progress=40)) == []
    assert story.go_on(a_look(2, progress=20)) == []
    assert story.go_on(a_look(1, [1])) == []


def test_a_gap_is_not_jumped() -> None:
    """It says that it is behind, and goes on when the gap is filled."""
    story = Story()
    story.begin(a_look(1), None)

    assert story.go_on(a_look(4, [3, 4])) == []
    assert story.is_behind
    assert told(story.go_on(a_look(4, [2, 3, 4]))) == [2, 3, 4]
    assert not story.is_behind


def test_a_job_that_is_ahead_of_its_events_waits_for_them() -> None:
    """The two halves of a look are read one after the other."""
    story = Story()
    story.begin(a_look(1), None)

    assert told(story.go_on(a_look(3, [2], state=State.COMPLETED))) == [2]
    assert story.is_behind
    assert not story.is_over
    assert told(story.go_on(a_look(3, [3], state=State.COMPLETED))) == [3]
    assert story.is_over


def test_one_document_is_written_once_for_all_who_watch() -> None:
    """A thousand watchers of one job cost one encoding."""
    look = a_look(2, [2])

    assert look.body() is look.body()
    assert look.body(look.events[0]) is look.body(look.events[0])


@given(st.data())
def test_i6_whatever_is_lost_doubled_or_late_every_event_is_told_once(data: Any) -> None:
    """A client that counts finds no gap, no double, and the ending last."""
    last = data.draw(st.integers(1, 12))
    story, frames = Story(), []
    after = data.draw(st.none() | st.integers(0, 15))
    first = data.draw(st.integers(1, last))
    start = min(after, first) if after is not None else first
    seen = 0 if after is None else after
    frames += story.begin(a_look(first, range(seen + 1, first + 1)), after)
    for _ in range(data.draw(st.integers(0, 10))):
        known = data.draw(st.integers(1, last))
        lowest = data.draw(st.integers(1, known))
        frames += story.go_on(a_look(known, range(lowest, known + 1)))
    ending = a_look(last, range(story.told + 1, last + 1), state=State.COMPLETED)
    frames += story.go_on(replace(ending))

    numbers = [frame.sequence for frame in frames if frame.sequence is not None]
    expected = range(start if start == first or after is None else start + 1, last + 1)
    assert numbers == list(expected)
