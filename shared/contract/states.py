"""The life of a job as a table: its states, what clients see of them, and every allowed move.

``finish`` and ``cancel`` are handed their guards from here; the SQL of the other moves spells its
states out, and a test holds it to this table. ``docs/state_machine.md`` is generated from here.
"""

from collections.abc import Mapping
from enum import StrEnum


class State(StrEnum):
    SCHEDULED = "scheduled"
    QUEUED = "queued"
    RUNNING = "running"
    RETRYING = "retrying"
    CANCELLING = "cancelling"
    COMPLETED = "completed"
    FAILED = "failed"
    CANCELLED = "cancelled"
    EXPIRED = "expired"


class Status(StrEnum):
    """The coarse view on the wire: enough for a client that knows nothing of the fine one."""

    PENDING = "pending"
    PROCESSING = "processing"
    COMPLETED = "completed"
    FAILED = "failed"
    CANCELLED = "cancelled"
    EXPIRED = "expired"


class Move(StrEnum):
    COME_DUE = "come_due"
    CLAIM = "claim"
    COMPLETE = "complete"
    RETRY = "retry"
    FAIL = "fail"
    SNOOZE = "snooze"
    INTERRUPT = "interrupt"
    STOP = "stop"
    CANCEL = "cancel"
    RESCUE = "rescue"
    CRASH_LOOP = "crash_loop"
    EXPIRE = "expire"
    REPLAY = "replay"


ENDINGS = frozenset({State.COMPLETED, State.FAILED, State.CANCELLED, State.EXPIRED})

STATUS: Mapping[State, Status] = {
    State.SCHEDULED: Status.PENDING,
    State.QUEUED: Status.PENDING,
    State.RUNNING: Status.PROCESSING,
    State.RETRYING: Status.PENDING,
    State.CANCELLING: Status.PROCESSING,
    State.COMPLETED: Status.COMPLETED,
    State.FAILED: Status.FAILED,
    State.CANCELLED: Status.CANCELLED,
    State.EXPIRED: Status.EXPIRED,
}

MOVES: Mapping[Move, Mapping[State, State]] = {
    Move.COME_DUE: {State.SCHEDULED: State.QUEUED, State.RETRYING: State.QUEUED},
    Move.CLAIM: {State.QUEUED: State.RUNNING},
    # Once a cancel was asked, an attempt ends the job however it ends itself.
    Move.COMPLETE: {State.RUNNING: State.COMPLETED, State.CANCELLING: State.COMPLETED},
    Move.RETRY: {State.RUNNING: State.RETRYING, State.CANCELLING: State.CANCELLED},
    Move.FAIL: {State.RUNNING: State.FAILED, State.CANCELLING: State.CANCELLED},
    Move.SNOOZE: {State.RUNNING: State.SCHEDULED, State.CANCELLING: State.CANCELLED},
    Move.INTERRUPT: {State.RUNNING: State.QUEUED, State.CANCELLING: State.CANCELLED},
    Move.STOP: {State.CANCELLING: State.CANCELLED},
    Move.CANCEL: {
        State.SCHEDULED: State.CANCELLED,
        State.QUEUED: State.CANCELLED,
        State.RETRYING: State.CANCELLED,
        State.RUNNING: State.CANCELLING,
    },
    Move.RESCUE: {State.RUNNING: State.QUEUED, State.CANCELLING: State.CANCELLED},
    Move.CRASH_LOOP: {State.RUNNING: State.FAILED, State.CANCELLING: State.CANCELLED},
    Move.EXPIRE: dict.fromkeys(
        (State.SCHEDULED, State.QUEUED, State.RETRYING, State.RUNNING, State.CANCELLING),
        State.EXPIRED,
    ),
    Move.REPLAY: dict.fromkeys((State.FAILED, State.CANCELLED, State.EXPIRED), State.QUEUED),
}

MEANING: Mapping[State, str] = {
    State.SCHEDULED: "not due yet: delayed, asked for a later time, or snoozed by its handler",
    State.QUEUED: "may run as soon as a slot is free and its ordering key has come to it",
    State.RUNNING: "claimed by a worker that holds its lease",
    State.RETRYING: "an attempt failed; waits for its backoff",
    State.CANCELLING: "a cancel was asked while it ran; its handler is being told",
    State.COMPLETED: "its result is stored",
    State.FAILED: "failed for good; on the list of dead letters, can be replayed",
    State.CANCELLED: "never ran, or was stopped; can be replayed",
    State.EXPIRED: "its start deadline or its deadline passed before it came to an end",
}


def edges(*moves: Move) -> tuple[list[str], list[str], list[str]]:
    """List (move, from, to) of *moves* as three columns: the guard of an UPDATE."""
    rows = [(move, start, end) for move in moves for start, end in MOVES[move].items()]
    return [str(r[0]) for r in rows], [str(r[1]) for r in rows], [str(r[2]) for r in rows]
