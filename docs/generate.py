"""Write the pages that are derived from the code: ``make docs``.

Each is a function from nothing to text, so that a test can say whether what lies in the folder
is what the code says. Pages written by people are not touched.
"""

import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Final

from docs.logged import logs_page
from docs.measured import metrics_page
from docs.settings_page import settings_page
from shared.contract.states import ENDINGS, MEANING, MOVES, STATUS, Move, State

FOLDER: Final = Path(__file__).parent

_DONE_BY: Final[Mapping[Move, str]] = {
    Move.COME_DUE: "scheduler: its time has come",
    Move.CLAIM: "worker: a slot is free",
    Move.COMPLETE: "worker: the handler returned a result",
    Move.RETRY: "worker: the attempt failed, and there is another one",
    Move.FAIL: "worker: the attempt failed, and there is no other one",
    Move.SNOOZE: "worker: the handler puts the job off; the attempt is given back",
    Move.INTERRUPT: "worker: it is leaving; the attempt is given back",
    Move.STOP: "worker: the handler ended because it was told to stop",
    Move.CANCEL: "caller: cancels",
    Move.RESCUE: "rescuer: the lease ran out",
    Move.CRASH_LOOP: "rescuer: the lease ran out for the third time",
    Move.EXPIRE: "sweeper: a deadline has passed",
    Move.REPLAY: "caller: gives the job a new run",
}

_STATE_MACHINE: Final = """\
# The life of a job

This page is written by `make docs` from the table `MOVES` in
[`shared/contract/states.py`](../shared/contract/states.py); a test compares the two. The SQL
statements are handed their guards from the same table, or a test holds them to it.

A job is accepted as `queued`, or as `scheduled` if it is not due yet. A client sees the coarse
*status*; the *state* is there for whoever wants to know more.

## States

| state | status | meaning | is moved on by |
|---|---|---|---|
{states}

The last four are endings. An ending is final: only a replay, which opens a new run of the job,
leads out of it, and never out of `completed`. The database refuses anything else by itself.

## Moves

| move | who, and why | from → to |
|---|---|---|
{moves}

Once a cancel was asked, an attempt ends the job however it ends itself: only a result that was
there before the handler saw the cancel still counts.

## As a picture

```mermaid
stateDiagram-v2
{picture}
```

Expiry leads from every live state to `expired`, and is left out of the picture.
"""


def state_machine() -> str:
    """Describe states and moves: ``state_machine.md``."""
    return _STATE_MACHINE.format(
        states="\n".join(_rows_of_states()),
        moves="\n".join(_rows_of_moves()),
        picture="\n".join(_arrows()),
    )


PAGES: Final[Mapping[str, Callable[[], str]]] = {
    "state_machine.md": state_machine,
    "metrics.md": metrics_page,
    "logs.md": logs_page,
    "settings.md": settings_page,
}


def _rows_of_states() -> Iterator[str]:
    for state in State:
        leave = [move for move in Move if state in MOVES[move]]
        by = ", ".join(f"`{move}`" for move in leave) or "nothing"
        yield f"| `{state}` | {STATUS[state]} | {MEANING[state]} | {by} |"


def _rows_of_moves() -> Iterator[str]:
    for move in Move:
        ways = ", ".join(f"`{start}` → `{goal}`" for start, goal in MOVES[move].items())
        yield f"| `{move}` | {_DONE_BY[move]} | {ways} |"


def _arrows() -> Iterator[str]:
    yield f"    [*] --> {State.QUEUED}"
    yield f"    [*] --> {State.SCHEDULED}: not due yet"
    labels: dict[tuple[State, State], list[str]] = {}
    for move in Move:
        if move is not Move.EXPIRE:
            for way in MOVES[move].items():
                labels.setdefault(way, []).append(move)
    for (start, goal), moves in labels.items():
        yield f"    {start} --> {goal}: {', '.join(moves)}"
    for state in State:
        if state in ENDINGS:
            yield f"    {state} --> [*]"


def main() -> int:
    for name, page in PAGES.items():
        (FOLDER / name).write_text(page(), encoding="utf-8")
        print(f"wrote docs/{name}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
