"""Judge a drill: what clients know against what the store says. Every rule has a name."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any, Final

import orjson

from tests.campaign.drills import EFFECT, Kind
from tests.campaign.history import Asked, History
from tests.support.house import House
from tests.support.lanes import overlaps

_ENDINGS: Final = frozenset(("completed", "failed", "cancelled", "expired"))
_ILL_FATED: Final = frozenset((Kind.FAIL, Kind.POISON))
_MOST_TOLD: Final = 20
UNJUDGED: Final = 10**9
"""Requests from that number on are none of the crowd's: whoever made them looks after them."""
_LEFT_OVER: Final = {
    "rows in the outbox": "SELECT count(*) FROM outbox",
    "leases": "SELECT count(*) FROM jobs WHERE lease_until IS NOT NULL",
    "heads": "SELECT count(*) FROM key_heads WHERE head IS NOT NULL",
    "jobs without an ending": "SELECT count(*) FROM jobs WHERE completed_at IS NULL",
}


@dataclass(slots=True)
class Ruling:
    """What a drill came to."""

    counts: dict[str, int] = field(default_factory=dict)
    violations: list[str] = field(default_factory=list)

    def blame(self, rule: str, cases: Iterable[object]) -> None:
        """Note each case in which *rule* was broken."""
        found = [f"{rule}: {case}" for case in cases]
        self.counts[rule] = len(found)
        self.violations += found[:_MOST_TOLD]


@dataclass(frozen=True, slots=True)
class _Store:
    jobs: Mapping[str, Any]
    events: Mapping[str, Sequence[Any]]
    effects: Mapping[str, Sequence[Any]]


async def judge(house: House, history: History) -> Ruling:
    """Hold every promise against every job. All work must have come to rest."""
    store, ruling = await _read(house), Ruling()
    asked_for = dict(history.accepted())
    ruling.counts |= _counted(store, history, asked_for)
    ruling.blame("accepted and lost", asked_for.keys() - store.jobs.keys())
    ruling.blame("never asked for", _strangers(store, history))
    ruling.blame("not exactly one ending", filter(None, map(_ending_fault, _lives(store))))
    ruling.blame("another ending than it must have", _wrong_endings(store, asked_for))
    ruling.blame("gap in the events", (i for i, e in store.events.items() if _has_gap(e)))
    ruling.blame("effect of a stale token", _stale_effects(store))
    ruling.blame("completed without its effect", _missing_effects(store))
    ruling.blame("order in a key", _disordered(store))
    ruling.blame("overlap in a key", _overlapping(store))
    ruling.blame("told wrongly", _told_wrongly(store, history))
    ruling.blame("odd answer", history.odd_answers)
    for what, query in _LEFT_OVER.items():
        count = await house.fetchval(query)
        ruling.blame(f"left over: {what}", [count] if count else [])
    return ruling


async def _read(house: House) -> _Store:
    jobs = await house.fetch(
        "SELECT id::text, key, seq, state, type, attempt, crashes, request, completed_at FROM jobs"
    )
    events, effects = defaultdict(list), defaultdict(list)
    for event in await house.fetch(
        "SELECT job_id::text, sequence, kind, token, attempt, at FROM job_events"
        " ORDER BY job_id, sequence"
    ):
        events[event["job_id"]].append(event)
    for effect in await house.fetch("SELECT job_id::text, name, token, at FROM effects"):
        effects[effect["job_id"]].append(effect)
    return _Store({job["id"]: job for job in jobs}, events, effects)


def _counted(store: _Store, history: History, asked_for: Mapping[str, Asked]) -> dict[str, int]:
    kinds = Counter(event["kind"] for events in store.events.values() for event in events)
    return {
        "asked": len(history.asked),
        "accepted": len(asked_for),
        "keyed": sum(asked.key is not None for asked in asked_for.values()),
        "refused": sum(asked.refusals for asked in history.asked),
        "unanswered": sum(asked.unanswered for asked in history.asked),
        "runs": kinds["running"],
        "retries": kinds["retrying"],
        "crashes": sum(job["crashes"] for job in store.jobs.values()),
        "cancelled": kinds["cancelled"],
        "effects": sum(map(len, store.effects.values())),
        "readers": len(history.told),
        "reconnects": history.reconnects,
    }


def _lives(store: _Store) -> Iterable[tuple[Any, Sequence[Any]]]:
    return ((job, store.events[job_id]) for job_id, job in store.jobs.items())


def _strangers(store: _Store, history: History) -> Iterable[str]:
    """Find jobs that no request can explain: one each, if it was accepted or never answered."""
    made: dict[int, list[str]] = defaultdict(list)
    for job_id, job in store.jobs.items():
        made[orjson.loads(job["request"])["number"]].append(job_id)
    for number, job_ids in made.items():
        if number >= UNJUDGED:
            continue
        asked = history.asked[number]
        if len(job_ids) > 1:
            yield f"{job_ids} for request {number}"
        elif not asked.is_accepted and not asked.unanswered and not asked.refusals:
            yield job_ids[0]


def _ending_fault(life: tuple[Any, Sequence[Any]]) -> str | None:
    job, events = life
    endings = [event["kind"] for event in events if event["kind"] in _ENDINGS]
    is_right = endings == [job["state"]] and events[-1]["kind"] == job["state"]
    return None if is_right else f"{job['id']} is {job['state']}, {endings}"


def _wrong_endings(store: _Store, asked_for: Mapping[str, Asked]) -> Iterable[str]:
    for job_id, asked in asked_for.items():
        job = store.jobs.get(job_id)
        if job is None:
            continue
        allowed = {"failed" if asked.kind in _ILL_FATED else "completed"}
        allowed |= {"cancelled"} if asked.is_cancelled else set()
        if job["state"] not in allowed:
            yield f"{job_id} ({asked.kind}) is {job['state']}"


def _has_gap(events: Sequence[Any]) -> bool:
    return [event["sequence"] for event in events] != list(range(1, len(events) + 1))


def _stale_effects(store: _Store) -> Iterable[str]:
    """Find effects that were noted outside the run that their token belongs to."""
    for job_id, effects in store.effects.items():
        spans = {
            event["token"]: (event["at"], following["at"])
            for event, following in pairwise(store.events[job_id])
            if event["kind"] == "running"
        }
        for effect in effects:
            begun, ended = spans.get(effect["token"], (None, None))
            if begun is None or not begun <= effect["at"] <= ended:
                yield f"{effect['name']} of {job_id}"


def _missing_effects(store: _Store) -> Iterable[str]:
    for job_id, job in store.jobs.items():
        if job["state"] == "completed" and job["type"] == "drill.work":
            names = [effect["name"] for effect in store.effects[job_id]]
            if names.count(EFFECT) != 1:
                yield f"{job_id}: {names}"


def _lanes(store: _Store) -> Iterable[Sequence[Any]]:
    lanes = defaultdict(list)
    for job in store.jobs.values():
        if job["key"] is not None:
            lanes[job["key"]].append(job)
    return lanes.values()


def _disordered(store: _Store) -> Iterable[str]:
    """Find jobs that began before one of an earlier place had its ending."""
    for lane in _lanes(store):
        ended_at = None
        for job in sorted(lane, key=lambda job: int(job["seq"])):
            begun = [e["at"] for e in store.events[job["id"]] if e["kind"] == "running"]
            if not begun:
                continue  # cancelled while it waited: it has no place among those that ran
            if ended_at is not None and begun[0] < ended_at:
                yield f"{job['key']} at {job['seq']}"
            ended_at = store.events[job["id"]][-1]["at"]


def _overlapping(store: _Store) -> Iterable[str]:
    return (lane[0]["key"] for lane in _lanes(store) if overlaps(lane, store.events))


def _told_wrongly(store: _Store, history: History) -> Iterable[str]:
    """Hold what readers saw against the stored events: all of them, once, in their order."""
    for told in history.told:
        events = store.events.get(told.job_id, ())
        if told.mistakes:
            yield f"{told.job_id}: {told.mistakes}"
        elif not told.is_over:
            yield f"{told.job_id}: heard {told.sequences} and no ending"
        elif told.sequences != [event["sequence"] for event in events]:
            yield f"{told.job_id}: heard {told.sequences} of {len(events)}"
