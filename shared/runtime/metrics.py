"""What a process counts, for Prometheus. Labels have few fixed values: never an id, a key or input.

One process, one registry, one ``/metrics``.
"""

import asyncio
from collections.abc import Callable
from functools import cache
from typing import Final

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest
from prometheus_client.gc_collector import GCCollector
from prometheus_client.platform_collector import PlatformCollector
from prometheus_client.process_collector import ProcessCollector

from shared.contract.states import Move

CONTENT_TYPE: Final = CONTENT_TYPE_LATEST

_SHORT: Final = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0)
_NEWEST: Final = 0.1  # of a usual time is what the newest attempt says, once there were ten
_LONG: Final = (0.01, 0.05, 0.1, 0.5, 1, 5, 15, 60, 300, 1_800, 7_200)


class Metrics:
    """The registry of a process; what it is asked about itself comes for nothing."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        ProcessCollector(registry=self.registry)
        PlatformCollector(registry=self.registry)
        GCCollector(registry=self.registry)
        self.gauge("uketsuke_tasks", "Tasks of the event loop", _tasks)

    def gauge(self, name: str, text: str, read: Callable[[], float]) -> None:
        """Show what *read* answers whenever somebody looks."""
        Gauge(name, text, registry=self.registry).set_function(read)

    def exposition(self) -> bytes:
        """Write everything in Prometheus' text format."""
        return generate_latest(self.registry)


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
            "Submits answered 202, by job type and by whether the broker confirmed in time",
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

        self._accepted_of = cache(self._find_accepted)

    def _find_accepted(self, job_type: str, confirmed: bool | None) -> Counter:  # noqa: FBT001  a label
        told = {True: "yes", False: "no", None: "not needed"}[confirmed]
        return self._accepted.labels(job_type, told)

    def accepted(self, job_type: str, *, confirmed: bool | None, seconds: float) -> None:
        self._accepted_of(job_type, confirmed).inc()
        self._accept.observe(seconds)

    def refused(self, code: str) -> None:
        self._refused.labels(code).inc()

    def turned_away(self, bound: str) -> None:
        self._turned_away.labels(bound).inc()


class BackMetrics(Metrics):
    def __init__(self) -> None:
        super().__init__()
        self._attempts = Counter(
            "uketsuke_attempts_total",
            "Attempts that ended, by job type and by the move that followed",
            ("type", "move"),
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

        # finding a child by its labels costs more than counting: few values, so each is kept
        self._waited_of, self._ran_of = cache(self._waited.labels), cache(self._ran.labels)
        self._attempts_of = cache(self._attempts.labels)
        self.usual_seconds: dict[str, float] = {}  # an attempt takes that completes, by type
        self._completed: dict[str, int] = {}

    def started(self, job_type: str, *, waited_ms: int) -> None:
        self._waited_of(job_type).observe(waited_ms / 1000)

    def ended(self, job_type: str, move: str, *, seconds: float, fenced: bool) -> None:
        self._attempts_of(job_type, move).inc()
        self._ran_of(job_type).observe(seconds)
        if fenced:
            self._fenced.inc()
        elif move == Move.COMPLETE:
            self._completed[job_type] = count = self._completed.get(job_type, 0) + 1
            usual = self.usual_seconds.get(job_type, seconds)
            self.usual_seconds[job_type] = usual + (seconds - usual) * max(1 / count, _NEWEST)

    def misread(self, *, newer: bool) -> None:
        self._misread.labels("newer" if newer else "unreadable").inc()

    def unheard(self, jobs: int) -> None:
        self._unheard.inc(jobs)
