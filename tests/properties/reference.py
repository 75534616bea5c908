"""What must become of jobs, in as few lines as it can be said: the model that the store is held to.

It shares no line with what it judges: not the table of moves, not the verdict, no SQL.
"""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

LIVE: Final = frozenset({"scheduled", "queued", "running", "retrying", "cancelling"})
CRASHES: Final = 3
_GIVEN_BACK: Final = frozenset({"snoozed", "interrupted"})
_AFTER: Final = {
    "returned": "completed",
    "refused": "failed",
    "snoozed": "scheduled",
    "interrupted": "queued",
}


@dataclass(slots=True, kw_only=True)
class Life:
    key: str | None
    blocks: bool
    max_attempts: int
    state: str
    attempt: int = 0
    crashes: int = 0
    claims: int = 0  # how many there were: only who holds the last one may write


class Reference:
    """All jobs, and for each key those that still stand in line, the head first."""

    def __init__(self) -> None:
        self.lives: dict[object, Life] = {}
        self.lines: dict[str, list[object]] = defaultdict(list)

    def submit(self, name: object, life: Life) -> None:
        self.lives[name] = life
        if life.key is not None:
            self.lines[life.key].append(name)

    def may_run(self, name: object, *, alone: bool = False) -> bool:
        life = self.lives[name]
        is_suspect = life.crashes >= CRASHES - 1
        is_its_turn = life.key is None or self.lines[life.key][:1] == [name]
        return life.state == "queued" and is_suspect == alone and is_its_turn

    def claim(self, names: Sequence[object], *, alone: bool = False) -> list[object]:
        taken = [name for name in names if self.may_run(name, alone=alone)]
        for name in taken:
            life = self.lives[name]
            life.state, life.attempt, life.claims = "running", life.attempt + 1, life.claims + 1
        return taken

    def holds(self, name: object, claim: int) -> bool:
        """Whether this claim is the one that counts, and its attempt has not ended."""
        life = self.lives[name]
        return claim == life.claims and life.state in ("running", "cancelling")

    def end(self, name: object, claim: int, outcome: str) -> str | None:
        """End an attempt; ``None``: it was not the holder's to end."""
        life = self.lives[name]
        is_stopping = life.state == "cancelling"
        if not self.holds(name, claim):
            return None
        if outcome == "stopped" and not is_stopping:
            return None
        if outcome == "raised":
            tried = life.attempt - life.crashes
            goal = "retrying" if tried < life.max_attempts else "failed"
        else:
            goal = _AFTER.get(outcome, "")
        life.attempt -= outcome in _GIVEN_BACK
        self._move(name, "cancelled" if is_stopping and goal != "completed" else goal)
        return life.state

    def follower(self, name: object) -> object | None:
        """Say who goes on at once when *name* has ended: the new head of its key, if it may run."""
        life = self.lives[name]
        line = self.lines[life.key] if life.key is not None else []
        has_left = life.state not in LIVE and name not in line
        return line[0] if has_left and line and self.may_run(line[0]) else None

    def crash(self, name: object) -> None:
        life = self.lives[name]
        was_stopping = life.state == "cancelling"
        life.crashes += 1
        life.claims += 1  # whoever held it holds nothing any more
        goal = "failed" if life.crashes >= CRASHES else "queued"
        self._move(name, "cancelled" if was_stopping else goal)

    def cancel(self, name: object) -> str | None:
        state = self.lives[name].state
        if state not in LIVE or state == "cancelling":
            return None
        self._move(name, "cancelling" if state == "running" else "cancelled")
        return self.lives[name].state

    def expire(self, name: object) -> None:
        self.lives[name].claims += 1
        self._move(name, "expired")

    def may_replay(self, name: object) -> bool:
        return self.lives[name].state in ("failed", "cancelled", "expired")

    def replay(self, name: object) -> bool:
        life = self.lives[name]
        if not self.may_replay(name):
            return False
        life.state, life.attempt, life.crashes, life.claims = "queued", 0, 0, life.claims + 1
        if life.key is not None and name not in self.lines[life.key]:
            self.lines[life.key].append(name)
        return True

    def blocked(self) -> list[object]:
        """Name the failed jobs that hold up those behind them."""
        heads = (line[0] for line in self.lines.values() if line)
        return [head for head in heads if self.lives[head].state == "failed"]

    def release(self, name: object) -> bool:
        life = self.lives[name]
        if life.key is None or name not in self.blocked():
            return False
        self.lines[life.key].remove(name)
        return True

    def come_due(self) -> None:
        for name, life in self.lives.items():
            if life.state in ("scheduled", "retrying"):
                self._move(name, "queued")

    def _move(self, name: object, goal: str) -> None:
        """Let it leave the line when it has ended, unless it blocks those behind it."""
        life = self.lives[name]
        life.state = goal
        if goal not in LIVE and life.key is not None and not (life.blocks and goal == "failed"):
            self.lines[life.key].remove(name)
