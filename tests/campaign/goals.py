"""Add up the lines of a run, and hold the sums against what the promise is to show.

A figure that no line of the run has is *not shown*: neither kept nor broken.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

Line = Mapping[str, Any]
_OUTAGE: Final = 120  # seconds: a shorter one does not show it


@dataclass(frozen=True, slots=True, kw_only=True)
class Tally:
    """All lines of a run together: sums of what was counted, extremes of what was measured."""

    lines: int
    counts: Mapping[str, int]
    bites: Mapping[str, int]
    worst: Mapping[str, float]  # the largest of each figure
    total: Mapping[str, float]  # the sum of each figure

    @classmethod
    def of(cls, lines: Sequence[Line]) -> "Tally":
        counts, bites = Counter[str](), Counter[str]()
        worst: dict[str, float] = {}
        total: dict[str, float] = {}
        for line in lines:
            counts.update(line["counts"])
            bites.update(line["bites"])
            for name, value in line["figures"].items():
                worst[name] = max(worst.get(name, value), value)
                total[name] = total.get(name, 0) + value
        return cls(lines=len(lines), counts=counts, bites=bites, worst=worst, total=total)


@dataclass(frozen=True, slots=True, kw_only=True)
class Goal:
    """What one figure may be at *most*, and how much there must have been for it to mean much."""

    text: str
    most: float
    got: Callable[[Tally], float | None]  # ``None``: no line has it
    of: Callable[[Tally], float] | None = None
    at_least: float = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """What became of one goal."""

    text: str
    goal: str
    got: str
    verdict: str  # kept, BROKEN, too few, not shown

    @property
    def is_good(self) -> bool:
        return self.verdict == "kept"


def _sum(*names: str) -> Callable[[Tally], float | None]:
    return lambda tally: sum(tally.counts.get(name, 0) for name in names) if tally.lines else None


def _worst(name: str) -> Callable[[Tally], float | None]:
    return lambda tally: tally.worst.get(name)


def _count(name: str) -> Callable[[Tally], float]:
    return lambda tally: tally.counts.get(name, 0)


def _bites(name: str) -> Callable[[Tally], float]:
    return lambda tally: tally.bites.get(name, 0)


def _total(name: str) -> Callable[[Tally], float]:
    return lambda tally: tally.total.get(name, 0)


GOALS: Final = (
    Goal(
        text="accepted jobs lost",
        most=0,
        got=_sum("accepted and lost"),
        of=_count("accepted"),
        at_least=100_000,
    ),
    Goal(
        text="jobs with other than exactly one ending",
        most=0,
        got=_sum("not exactly one ending", "left over: jobs without an ending"),
        of=_count("accepted"),
        at_least=100_000,
    ),
    Goal(
        text="effects of stale tokens, of stale tries refused",
        most=0,
        got=_sum("effect of a stale token"),
        of=_total("stale_writes_refused"),
        at_least=200,
    ),
    Goal(
        text="order or overlap violations in a key, of keyed jobs",
        most=0,
        got=_sum("order in a key", "overlap in a key"),
        of=_count("keyed"),
        at_least=50_000,
    ),
    Goal(
        text="event gaps, or events after the ending, over reconnects",
        most=0,
        got=_sum("gap in the events", "told wrongly"),
        of=_count("reconnects"),
        at_least=5_000,
    ),
    Goal(
        text="dead worker to rerun elsewhere, p99 in s, of orphans",
        most=12,
        got=_worst("dead_to_rerun_p99_s"),
        of=_total("dead_to_rerun_n"),
        at_least=100,
    ),
    Goal(
        text="resumed to last handler stopped, s, of paused jobs",
        most=1,
        got=_worst("resumed_to_stopped_s"),
        of=_bites("jobs paused"),
        at_least=40,
    ),
    Goal(
        text="resumed to last write refused, s",
        most=1,
        got=_worst("resumed_to_refused_s"),
        of=_bites("jobs paused"),
        at_least=40,
    ),
    Goal(
        text="answers other than 202 in 2 minutes without the broker, of submits",
        most=0,
        got=lambda tally: (
            tally.worst.get("not_202_in_the_outage")
            if tally.worst.get("outage_s", 0) >= _OUTAGE
            else None
        ),
        of=_bites("submits meanwhile"),
        at_least=1_000,
    ),
    Goal(
        text="broker back to first delivery, s, of restarts",
        most=5,
        got=_worst("broker_back_to_delivery_s"),
        of=_bites("restarts"),
        at_least=30,
    ),
    Goal(text="PostgreSQL back to first 202, s", most=3, got=_worst("database_back_to_202_s")),
    Goal(
        text="jobs lost or doubled by cut commits, of cuts",
        most=0,
        got=_worst("cut_and_lost_or_doubled"),
        of=_bites("commits cut"),
        at_least=500,
    ),
    Goal(
        text="longest pause with one of three brokers gone, s, of nodes lost",
        most=10,
        got=_worst("cluster_pause_s"),
        of=_bites("nodes lost"),
        at_least=4,
    ),
    Goal(text="requests failed in a rolling restart", most=0, got=_worst("failed_requests")),
    Goal(text="attempts burnt in a rolling restart", most=0, got=_worst("burnt_attempts")),
    Goal(
        text="jobs unfinished after the broker lost its data",
        most=0,
        got=_worst("unfinished_after_loss"),
    ),
    Goal(
        text="alarm of the broker over to 202 again, s, of refusals at the cap",
        most=15,
        got=_worst("alarm_over_to_202_s"),
        of=_bites("refused at the cap"),
        at_least=1,
    ),
)


def sum_up(lines: Sequence[Line]) -> list[Found]:
    """Hold every goal against all *lines* of a run together."""
    tally = Tally.of(lines)
    return [_found(goal, tally) for goal in GOALS]


def _found(goal: Goal, tally: Tally) -> Found:
    got = goal.got(tally)
    volume = goal.of(tally) if goal.of is not None else None
    wanted = f"≤ {goal.most:g}" + (f" of ≥ {goal.at_least:,.0f}" if goal.of else "")
    if got is None:
        return Found(text=goal.text, goal=wanted, got="-", verdict="not shown")
    told = f"{got:g}" + (f" of {volume:,.0f}" if volume is not None else "")
    verdict = "kept" if got <= goal.most else "BROKEN"
    if verdict == "kept" and volume is not None and volume < goal.at_least:
        verdict = "too few"
    return Found(text=goal.text, goal=wanted, got=told, verdict=verdict)


def table(found: Iterable[Found]) -> list[str]:
    """Write what was found for a person to read."""
    rows = [("figure", "goal", "got", "")]
    rows += [(one.text, one.goal, one.got, one.verdict) for one in found]
    widths = [max(len(row[place]) for row in rows) for place in range(3)]
    return [
        "  ".join([*(text.ljust(width) for text, width in zip(row, widths, strict=False)), row[3]])
        for row in rows
    ]
