"""What a process counts, for Prometheus. Labels have few fixed values: never an id, a key or input.

One process, one registry, one ``/metrics``.
"""

import asyncio
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cache
from typing import Final

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    disable_created_metrics,
)
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest
from prometheus_client.gc_collector import GCCollector
from prometheus_client.platform_collector import PlatformCollector
from prometheus_client.process_collector import ProcessCollector
from prometheus_client.registry import Collector

from shared.contract.states import Move, State

CONTENT_TYPE: Final = CONTENT_TYPE_LATEST

_SHORT: Final = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0)
_NEWEST: Final = 0.1  # of a usual time is what the newest attempt says, once there were ten
_MOST_CODES: Final = 200  # pairs of type and code that are told apart: handlers name codes freely
_OTHER: Final = "other"
_LONG: Final = (0.01, 0.05, 0.1, 0.5, 1, 5, 15, 60, 300, 1_800, 7_200)


class Metrics:
    """The registry of a process; what it is asked about itself comes for nothing."""

    def __init__(self) -> None:
        quietly: Callable[[], None] = disable_created_metrics  # the library says no types
        quietly()  # a series more for each, that no query of ours asks for
        self.registry = CollectorRegistry()
        ProcessCollector(registry=self.registry)
        PlatformCollector(registry=self.registry)
        GCCollector(registry=self.registry)
        self.gauge(
            "uketsuke_tasks", "Tasks of the event loop; that it only ever grows is a leak", _tasks
        )
        self._lag = Histogram(
            "uketsuke_loop_lag_seconds",
            "How much later than asked the event loop did something, four times a second",
            registry=self.registry,
            buckets=_SHORT,
        )
        self._confirm = Histogram(
            "uketsuke_confirm_seconds",
            "From a publish to the broker's confirm, of fresh knocks",
            registry=self.registry,
            buckets=_SHORT,
        )
        self._relayed = Counter(
            "uketsuke_outbox_relayed_total",
            "Knocks that nobody had confirmed in time and that the relay brought out",
            registry=self.registry,
        )
        self.lagged: Callable[[float], None] = self._lag.observe
        self.confirmed: Callable[[float], None] = self._confirm.observe

    def gauge(self, name: str, text: str, read: Callable[[], float]) -> None:
        """Show what *read* answers whenever somebody looks."""
        Gauge(name, text, registry=self.registry).set_function(read)

    def watch(self, *, dropped: Callable[[], int], complaints: Callable[[], int]) -> None:
        """Show what either service loses, or finds wrong and may not change."""
        self.gauge(
            "uketsuke_news_dropped",
            "News that never left this process; watchers catch up within 15 s",
            dropped,
        )
        self.gauge(
            "uketsuke_database_complaints",
            "Settings of the database that are not as we rely on; the log names them",
            complaints,
        )

    def family(
        self,
        name: str,
        text: str,
        labels: Sequence[str],
        read: Callable[[], Mapping[tuple[str, ...], float]],
    ) -> None:
        """Show what *read* answers, by the values of *labels*; what it leaves out is not there."""
        self.registry.register(_Family(name, text, labels, read))

    def relayed(self, rows: int) -> None:
        self._relayed.inc(rows)

    def exposition(self) -> bytes:
        """Write everything in Prometheus' text format."""
        return generate_latest(self.registry)


class _Family(Collector):
    """Gauges that are read when somebody looks."""

    def __init__(
        self,
        name: str,
        text: str,
        labels: Sequence[str],
        read: Callable[[], Mapping[tuple[str, ...], float]],
    ) -> None:
        self._name, self._text, self._labels, self._read = name, text, labels, read

    def describe(self) -> Iterator[GaugeMetricFamily]:
        yield GaugeMetricFamily(self._name, self._text, labels=self._labels)

    def collect(self) -> Iterator[GaugeMetricFamily]:
        family = GaugeMetricFamily(self._name, self._text, labels=self._labels)
        for values, figure in self._read().items():
            family.add_metric(values, figure)
        yield family


def _tasks() -> int:
    try:
        return len(asyncio.all_tasks())
    except RuntimeError:  # asked outside of a loop
        return 0


class FrontMetrics(Metrics):
    def __init__(self) -> None:
        super().__init__()
        self._accepted = Counter(
            "uketsuke_jobs_accepted_total",
            "Submits answered 202, by job type and by whether the broker confirmed in time: `yes`, "
            "`no`, or `not needed`, for what waits for its time or its turn",
            ("type", "confirmed"),
            registry=self.registry,
        )
        self._accept = Histogram(
            "uketsuke_accept_seconds",
            "From a vetted request to its 202",
            registry=self.registry,
            buckets=_SHORT,
        )
        self._refused = Counter(
            "uketsuke_requests_refused_total",
            "Requests answered with a problem document, by its code",
            ("code",),
            registry=self.registry,
        )

        self._turned_away = Counter(
            "uketsuke_connections_refused_total",
            "Connections that were one too many, by which bound was reached",
            ("bound",),
            registry=self.registry,
        )
        self._pushed = Counter(
            "uketsuke_events_pushed_total",
            "Frames that were sent to streams, by what carries them",
            ("over",),
            registry=self.registry,
        )
        self._cut = Counter(
            "uketsuke_slow_readers_cut_total",
            "Readers cut off for taking nothing, by what they were reading",
            ("over",),
            registry=self.registry,
        )
        self.pushed_socket: Callable[[], None] = self._pushed.labels("socket").inc
        self.pushed_events: Callable[[float], None] = self._pushed.labels("events").inc

        self._accepted_of = cache(self._find_accepted)

    def _find_accepted(self, job_type: str, confirmed: bool | None) -> Counter:  # noqa: FBT001  a label
        told = {True: "yes", False: "no", None: "not needed"}[confirmed]
        return self._accepted.labels(job_type, told)

    def accepted(self, job_type: str, *, confirmed: bool | None, seconds: float) -> None:
        self._accepted_of(job_type, confirmed).inc()
        self._accept.observe(seconds)

    def refused(self, code: str) -> None:
        self._refused.labels(code).inc()

    def cut(self, over: str) -> None:
        self._cut.labels(over).inc()

    def turned_away(self, bound: str) -> None:
        self._turned_away.labels(bound).inc()


class BackMetrics(Metrics):
    def __init__(self) -> None:
        super().__init__()
        self._attempts = Counter(
            "uketsuke_attempts_total",
            "Attempts that ended, by job type and by the move that followed: `complete`, `retry`, "
            "`fail`, …",
            ("type", "move"),
            registry=self.registry,
        )
        self._failures = Counter(
            "uketsuke_failures_total",
            "Attempts that failed, retried or not, by job type and code; `other` for codes past "
            "the two hundredth",
            ("type", "code"),
            registry=self.registry,
        )
        self._upkeep = Counter(
            "uketsuke_upkeep_moves_total",
            "Jobs that upkeep moved, by why (`due`, `lease`, `deadline`) and the new state",
            ("why", "state"),
            registry=self.registry,
        )
        self._unclaimed = Counter(
            "uketsuke_claims_put_off_total",
            "Claims that the database did not answer",
            registry=self.registry,
        )
        self._fenced = Counter(
            "uketsuke_stale_writes_refused_total",
            "Verdicts that the store refused, for their token was old",
            registry=self.registry,
        )
        self._misread = Counter(
            "uketsuke_knocks_not_understood_total",
            "Knocks of a newer version, let go; and what is no knock, sent to the dead letters",
            ("why",),
            registry=self.registry,
        )
        self._unheard = Counter(
            "uketsuke_jobs_unheard_total",
            "Jobs knocked for again: their knock was lost, or no worker that heard it knew them",
            registry=self.registry,
        )
        self._waited = Histogram(
            "uketsuke_queue_wait_seconds",
            "From being queued to the claim, by job type",
            ("type",),
            registry=self.registry,
            buckets=_LONG,
        )
        self._ran = Histogram(
            "uketsuke_run_seconds",
            "From the start of an attempt to its record, by job type",
            ("type",),
            registry=self.registry,
            buckets=_LONG,
        )

        for why in ("newer", "unreadable"):  # from nought, or the first one is no increase
            self._misread.labels(why)
        self._upkeep.labels("lease", State.FAILED)

        # finding a child by its labels costs more than counting: few values, so each is kept
        self._waited_of, self._ran_of = cache(self._waited.labels), cache(self._ran.labels)
        self._attempts_of = cache(self._attempts.labels)
        self._failures_of: dict[tuple[str, str], Counter] = {}
        self.unclaimed: Callable[[], None] = self._unclaimed.inc
        self.usual_seconds: dict[str, float] = {}  # an attempt takes that completes, by type
        self._completed: dict[str, int] = {}

    def started(self, job_type: str, *, waited_ms: int) -> None:
        self._waited_of(job_type).observe(waited_ms / 1000)

    def ended(
        self, job_type: str, move: str, *, seconds: float, fenced: bool, code: str | None = None
    ) -> None:
        self._attempts_of(job_type, move).inc()
        self._ran_of(job_type).observe(seconds)
        if code is not None:
            self._failed(job_type, code)
        if fenced:
            self._fenced.inc()
        elif move == Move.COMPLETE:
            self._completed[job_type] = count = self._completed.get(job_type, 0) + 1
            usual = self.usual_seconds.get(job_type, seconds)
            self.usual_seconds[job_type] = usual + (seconds - usual) * max(1 / count, _NEWEST)

    def _failed(self, job_type: str, code: str) -> None:
        counter = self._failures_of.get((job_type, code))
        if counter is None:
            named = code if len(self._failures_of) < _MOST_CODES else _OTHER
            counter = self._failures.labels(job_type, named)
            if named is not _OTHER:
                self._failures_of[job_type, code] = counter
        counter.inc()

    def tended(self, why: str, states: Mapping[State, int]) -> None:
        """Count what upkeep moved into each state."""
        for state, jobs in states.items():
            self._upkeep.labels(why, state).inc(jobs)

    def misread(self, *, newer: bool) -> None:
        self._misread.labels("newer" if newer else "unreadable").inc()

    def unheard(self, jobs: int) -> None:
        self._unheard.inc(jobs)
