"""The composition root: builds the back service from the ground up, and joins its parts."""

import os
import random
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final
from uuid import uuid4

from back_service.announcing import Announcer
from back_service.child import Limits
from back_service.consumer import Consumer
from back_service.context import AttemptContext, Tools
from back_service.fetching import open_fetcher
from back_service.finishing import Finisher
from back_service.ground import Ground, Plan, open_ground, routes
from back_service.handlers import documents
from back_service.leases import Leases, longest_stall
from back_service.lines import Lines
from back_service.offload import open_offload
from back_service.progress import ProgressBoard
from back_service.quarantine import Quarantine, Suspects
from back_service.register import Presence, warn_of_unhandled
from back_service.runner import Runner
from back_service.traced import TracedRunner
from back_service.upkeep.census import CensusTaker
from back_service.upkeep.ownership import Ownership
from back_service.upkeep.rescuer import (
    LostKnocks,
    LostLeases,
    rescuer_of_knocks,
    rescuer_of_leases,
)
from back_service.upkeep.scheduler import scheduler
from back_service.upkeep.sweeper import batches, deadlines, strays, sweeper
from shared.contract.errors import Unavailable
from shared.contract.job_types import Isolation, JobType
from shared.contract.jobs import Job
from shared.outbox import Relay
from shared.runtime.catalogue import BUILT_IN_HANDLERS, load_handlers, load_job_types
from shared.runtime.clock import SystemClock
from shared.runtime.metrics import BackMetrics
from shared.runtime.probes import Probes
from shared.runtime.pulse import Pulse
from shared.runtime.serving import Afterwards, Service
from shared.runtime.settings import BackSettings
from shared.runtime.tracing import Tracing
from shared.runtime.watchdog import Watchdog
from shared.store.blobs import BlobRows
from shared.store.census import Counts
from shared.store.lines import LineRows
from shared.store.operating import Register

_LAST_KNOCKS: Final = 5.0  # seconds
_TOLD: Final = 1.0  # seconds for what takes none


@dataclass(frozen=True, slots=True, kw_only=True)
class _Crew:
    """Who runs the jobs of one process."""

    leases: Leases
    suspects: Suspects
    lines: Lines
    consumer: Consumer


@asynccontextmanager
async def open_back(
    settings: BackSettings, *, leave: Callable[[], None]
) -> AsyncIterator[Sequence[Service]]:
    """Build everything; the services are to be started in their order, stopped in the other.

    A quarantine calls *leave* when there is nobody left to be taken in.
    """
    plan = _plan(settings)
    async with open_ground(plan) as ground, _open_tools(plan, ground) as tools:
        crew = _crew(plan, ground, tools, leave=leave)
        carriers: list[Service] = [
            _watchdog(settings),
            Pulse(plan.metrics),
            ground.publisher,
            ground.fan_out,
            Afterwards("last knocks", ground.post.drain, within=_LAST_KNOCKS),
        ]
        if settings.quarantine:
            yield [*carriers, crew.leases, tools.board, crew.suspects, crew.consumer]
            return
        carriers += [
            Relay(ground.outbox, ground.publisher, relayed=plan.metrics.relayed),
            ground.check,
        ]
        upkeep = _upkeep(plan, ground)
        if "work" not in settings.roles:
            yield [*carriers, *upkeep, *_probes(plan, ground, ground.publisher.link.up.is_set)]
            return
        yield [
            *carriers,
            ground.subscriber,
            crew.leases,
            tools.board,
            *(upkeep if "upkeep" in settings.roles else ()),
            *_work(plan, ground, crew),
        ]


def _plan(settings: BackSettings) -> Plan:
    catalogue = load_job_types(settings.job_type_modules)
    handlers = load_handlers((*BUILT_IN_HANDLERS, *settings.handlers), catalogue)
    if "work" in settings.roles and not settings.quarantine:
        warn_of_unhandled(catalogue, handlers, settings.pools)
    return Plan(settings=settings, catalogue=catalogue, handlers=handlers, metrics=BackMetrics())


@asynccontextmanager
async def _open_tools(plan: Plan, ground: Ground) -> AsyncIterator[Tools]:
    settings = plan.settings
    async with (
        open_fetcher(
            allow_cidrs=settings.fetch_allow_cidrs, ports=settings.egress_ports
        ) as fetcher,
        open_offload(
            limits=_limits(settings), preload=_preload(plan), most_children=settings.concurrency
        ) as offload,
    ):
        with TemporaryDirectory(prefix="uketsuke-") as scratch:
            yield Tools(
                work=ground.work,
                board=ProgressBoard(ground.work, ground.teller),
                blobs=ground.blobs,
                blob_rows=BlobRows(ground.pool),
                offload=offload,
                fetcher=fetcher,
                scratch=Path(scratch),
                child_memory=settings.child_memory,
            )


def _crew(plan: Plan, ground: Ground, tools: Tools, *, leave: Callable[[], None]) -> _Crew:
    settings, clock = plan.settings, SystemClock()
    leases = Leases(ground.work, lease=settings.lease, clock=clock)
    suspects = Suspects(
        ground.work, pools=settings.pools, is_busy=lambda: len(leases) > 0, nobody_left=leave
    )
    lines = Lines(
        LineRows(ground.quick, types=plan.handlers, max_crashes=settings.max_crashes),
        routes(settings),
        clock,
        slots=settings.concurrency,
        wake=ground.subscriber.news.set,
        dice=random.random,
    )
    runner = _runner(plan, tools, ground.tracing)
    consumer = Consumer(
        work=ground.work,
        runner=runner,
        heard=runner.heard if isinstance(runner, TracedRunner) else None,
        leases=leases,
        finisher=Finisher(ground.work, ground.teller, clock),
        subscriber=suspects if settings.quarantine else ground.subscriber,
        teller=ground.teller,
        catalogue=plan.catalogue,
        clock=clock,
        metrics=plan.metrics,
        concurrency=1 if settings.quarantine else settings.concurrency,
        turn=1 if settings.quarantine else settings.turn,
        drain=settings.drain,
        lines=lines,
    )
    return _Crew(leases=leases, suspects=suspects, lines=lines, consumer=consumer)


def _runner(plan: Plan, tools: Tools, tracing: Tracing | None) -> Runner:
    def opened(job: Job, job_type: JobType) -> AttemptContext:
        return AttemptContext(job, job_type, tools)

    most, clock = plan.settings.max_result, SystemClock()
    if tracing is None:
        return Runner(plan.catalogue, plan.handlers, opened, clock, max_result=most)
    return TracedRunner(
        plan.catalogue, plan.handlers, opened, clock, max_result=most, tracing=tracing
    )


def _upkeep(plan: Plan, ground: Ground) -> Sequence[Service]:
    """List what looks after the jobs of all workers; any number of processes may run it."""
    upkeep, teller, metrics, clock = ground.upkeep, ground.teller, plan.metrics, SystemClock()
    ownership = Ownership(upkeep, ground.blobs)
    metrics.gauge(
        "uketsuke_blob_folder_contested",
        "1 where the folder of blobs belongs to another database: nothing is deleted there",
        lambda: ownership.is_contested,
    )
    lease = plan.settings.lease
    services: list[Service] = [
        scheduler(upkeep, teller, metrics),
        rescuer_of_leases(LostLeases(upkeep, teller, lease=lease, clock=clock, metrics=metrics)),
        deadlines(upkeep, teller, metrics),
        batches(upkeep, teller),
        sweeper(upkeep, ground.blobs, ownership),
        strays(upkeep, ground.blobs, ownership, place=os.urandom(1).hex()),  # not always the first
    ]
    if "upkeep" in plan.settings.roles:
        counts = Counts(ground.pool, max_crashes=plan.settings.max_crashes)
        services.append(CensusTaker(counts, metrics, clock))
    return services


def _work(plan: Plan, ground: Ground, crew: _Crew) -> Sequence[Service]:
    """List what hears knocks and runs jobs, and says so to probes and fronts."""
    settings, metrics = plan.settings, plan.metrics
    lost_knocks = LostKnocks(
        ground.upkeep, ground.teller, ground.outbox, ground.subscriber, metrics
    )
    presence = Presence(
        Register(ground.pool, uuid4()),
        pools=settings.pools,
        types=plan.handlers,
        lacking=documents.lacking(),
    )
    quarantine = Quarantine(ground.work, pools=settings.pools, clock=SystemClock())
    announcer = Announcer(
        ground.fan_out,
        pools=settings.pools,
        types=plan.handlers,
        slots=settings.concurrency,
        seconds=metrics.usual_seconds,
    )
    return (
        rescuer_of_knocks(lost_knocks),  # who hears the queues of a pool looks after its knocks
        *_probes(plan, ground, lambda: ground.subscriber.is_listening),
        presence,
        crew.lines,
        quarantine,  # waited for after the consumer, told before it: both drain at once
        crew.consumer,
        Afterwards("quarantine told to leave", quarantine.close, within=_TOLD),
        announcer,  # the first to know that no more is taken
    )


def _watchdog(settings: BackSettings) -> Watchdog:
    limit = settings.stall_limit or longest_stall(settings.lease)
    return Watchdog(warn=settings.stall_warning, limit=limit)


def _probes(plan: Plan, ground: Ground, hears: Callable[[], bool]) -> Sequence[Service]:
    """Listen for probes where the settings say so; a back needs database and broker both."""
    if plan.settings.probe_port is None:
        return ()

    async def is_ready() -> bool:
        try:
            await ground.outbox.depth(1)
        except Unavailable:
            return False
        return hears()

    host, port = plan.settings.probe_host, plan.settings.probe_port
    return (Probes(host=host, port=port, metrics=plan.metrics, is_ready=is_ready),)


def _preload(plan: Plan) -> Sequence[str]:
    """List what the nursery imports, so that no child has to: handlers that run in children."""
    if not plan.settings.preload:
        return ()
    in_children = {
        handler.__module__
        for name, handler in plan.handlers.items()
        if plan.catalogue[name].isolation is Isolation.PROCESS
    }
    return (*sorted(in_children), *(() if documents.missing() else documents.PRELOAD))


def _limits(settings: BackSettings) -> Limits:
    return Limits(
        memory_bytes=settings.child_memory,
        answer_bytes=settings.max_result,
        niceness=settings.child_niceness,
    )
