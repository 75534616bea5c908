"""The composition root: builds the back service from the ground up, and joins its parts."""

import os
import random
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
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
from back_service.handlers import documents
from back_service.leases import Leases, longest_stall
from back_service.lines import Lines
from back_service.offload import open_offload
from back_service.progress import ProgressBoard
from back_service.quarantine import Quarantine, Suspects
from back_service.register import Presence, warn_of_unhandled
from back_service.runner import Runner
from back_service.telling import Teller
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
from shared.blobs.store import open_blobs
from shared.broker.fanout import FanOut
from shared.broker.publisher import Publisher
from shared.broker.subscriber import Subscriber
from shared.broker.topology import route
from shared.broker.traced import TracedPublisher
from shared.contract.authoring import Handler
from shared.contract.errors import Unavailable
from shared.contract.job_types import Catalogue, Isolation, JobType
from shared.contract.jobs import Job, Priority
from shared.outbox import Post, Relay
from shared.runtime.catalogue import BUILT_IN_HANDLERS, load_handlers, load_job_types
from shared.runtime.clock import SystemClock
from shared.runtime.metrics import BackMetrics
from shared.runtime.probes import Probes
from shared.runtime.pulse import Pulse
from shared.runtime.serving import Afterwards, Service
from shared.runtime.settings import BackSettings
from shared.runtime.tracing import Tracing, traces
from shared.runtime.watchdog import Watchdog
from shared.store.blobs import BlobRows
from shared.store.census import Counts
from shared.store.lines import LineRows
from shared.store.operating import Register
from shared.store.outbox import Outbox
from shared.store.pool import Pool, open_pool
from shared.store.session import SessionCheck
from shared.store.upkeep import UpkeepStore
from shared.store.work import WorkStore

_LAST_KNOCKS: Final = 5.0  # seconds
_QUICK: Final = 4  # connections whose commits do not wait for the disk
_TOLD: Final = 1.0  # seconds for what takes none


@asynccontextmanager
async def open_back(
    settings: BackSettings, *, leave: Callable[[], None]
) -> AsyncIterator[Sequence[Service]]:
    """Build everything; the services are to be started in their order, stopped in the other.

    A quarantine calls *leave* when there is nobody left to be taken in.
    """
    catalogue = load_job_types(settings.job_type_modules)
    handlers = _handlers(settings, catalogue)
    database = settings.database_url.get_secret_value()
    amqp, clock, metrics = settings.amqp_url.get_secret_value(), SystemClock(), BackMetrics()
    async with AsyncExitStack() as stack:
        pool = await stack.enter_async_context(
            open_pool(database, size=settings.pool_size, name="uketsuke back")
        )
        quick = await stack.enter_async_context(
            open_pool(database, size=_QUICK, name="uketsuke back, quick", is_durable=False)
        )
        blobs = await stack.enter_async_context(open_blobs(settings.blob_dir))
        fetcher = await stack.enter_async_context(
            open_fetcher(allow_cidrs=settings.fetch_allow_cidrs, ports=settings.egress_ports)
        )
        offload = await stack.enter_async_context(
            open_offload(
                limits=_limits(settings),
                preload=_preload(settings, catalogue, handlers),
                most_children=settings.concurrency,
            )
        )
        scratch = stack.enter_context(TemporaryDirectory(prefix="uketsuke-"))
        work = WorkStore(
            pool,
            quick=quick,
            types=handlers,
            lease=settings.lease,
            confirm_wait=settings.confirm_wait,
            max_crashes=settings.max_crashes,
            alone=settings.quarantine,
        )
        upkeep = UpkeepStore(
            pool, confirm_wait=settings.confirm_wait, max_crashes=settings.max_crashes
        )
        outbox = Outbox(quick)
        makes = settings.declare_topology
        tracing = stack.enter_context(traces("back", settings.otlp_endpoint))
        publisher = _publisher(amqp, catalogue, tracing, declare=makes)
        fan_out = FanOut(amqp, name="back-news", declare=makes)
        metrics.gauge(
            "uketsuke_news_dropped",
            "News that never left this process; watchers catch up within 15 s",
            lambda: fan_out.dropped,
        )
        post = Post(
            outbox,
            publisher,
            confirm_wait=settings.confirm_wait,
            confirmed_in=metrics.confirmed,
        )
        subscriber = Subscriber(amqp, name="back-jobs", routes=_routes(settings), declare=makes)
        _measure(metrics, pool, publisher, subscriber)
        teller = Teller(fan_out, post)
        board = ProgressBoard(work, teller)
        leases = Leases(work, lease=settings.lease, clock=clock)
        suspects = Suspects(
            work, pools=settings.pools, is_busy=lambda: len(leases) > 0, nobody_left=leave
        )
        tools = Tools(
            work=work,
            board=board,
            blobs=blobs,
            blob_rows=BlobRows(pool),
            offload=offload,
            fetcher=fetcher,
            scratch=Path(scratch),
            child_memory=settings.child_memory,
        )
        lines = Lines(
            LineRows(quick, types=handlers, max_crashes=settings.max_crashes),
            _routes(settings),
            clock,
            slots=settings.concurrency,
            wake=subscriber.news.set,
            dice=random.random,
        )
        runner = _runner(settings, catalogue, handlers, tools, tracing)
        consumer = Consumer(
            work=work,
            runner=runner,
            heard=runner.heard if isinstance(runner, TracedRunner) else None,
            leases=leases,
            finisher=Finisher(work, teller, clock),
            subscriber=suspects if settings.quarantine else subscriber,
            teller=teller,
            catalogue=catalogue,
            clock=clock,
            metrics=metrics,
            concurrency=1 if settings.quarantine else settings.concurrency,
            turn=1 if settings.quarantine else settings.turn,
            drain=settings.drain,
            lines=lines,
        )
        lost_leases = LostLeases(upkeep, teller, lease=settings.lease, clock=clock, metrics=metrics)
        lost_knocks = LostKnocks(upkeep, teller, outbox, subscriber, metrics)
        check = SessionCheck(pool, most_sessions=settings.pool_size + _QUICK)
        ownership = Ownership(upkeep, blobs)
        _complain(metrics, check, ownership)
        quarantine = Quarantine(work, pools=settings.pools, clock=clock)
        announcer = Announcer(
            fan_out,
            pools=settings.pools,
            types=handlers,
            slots=settings.concurrency,
            seconds=metrics.usual_seconds,
        )
        ground: list[Service] = [
            _watchdog(settings),
            Pulse(metrics),
            publisher,
            fan_out,
            Afterwards("last knocks", post.drain, within=_LAST_KNOCKS),
        ]
        if settings.quarantine:
            yield [*ground, leases, board, suspects, consumer]
            return
        upkeep_services: list[Service] = [
            scheduler(upkeep, teller, metrics),
            rescuer_of_leases(lost_leases),
            deadlines(upkeep, teller, metrics),
            batches(upkeep, teller),
            sweeper(upkeep, blobs, ownership),
            strays(upkeep, blobs, ownership, place=os.urandom(1).hex()),  # not always the first
        ]
        if "upkeep" in settings.roles:
            counts = Counts(pool, max_crashes=settings.max_crashes)
            upkeep_services.append(CensusTaker(counts, metrics, clock))
        ground += [Relay(outbox, publisher, relayed=metrics.relayed), check]
        if "work" not in settings.roles:
            probes = _probes(settings, metrics, outbox, publisher.link.up.is_set)
            yield [*ground, *upkeep_services, *probes]
            return
        yield [
            *ground,
            subscriber,
            leases,
            board,
            *(upkeep_services if "upkeep" in settings.roles else ()),
            rescuer_of_knocks(lost_knocks),  # who hears the queues of a pool looks after its knocks
            *_probes(
                settings,
                metrics,
                outbox,
                lambda: subscriber.link.up.is_set() and not subscriber.is_paused,
            ),
            Presence(
                Register(pool, uuid4()),
                pools=settings.pools,
                types=handlers,
                lacking=documents.lacking(),
            ),
            lines,
            quarantine,  # waited for after the consumer, told before it: both drain at once
            consumer,
            Afterwards("quarantine told to leave", quarantine.close, within=_TOLD),
            announcer,  # the first to know that no more is taken
        ]


def _handlers(settings: BackSettings, catalogue: Catalogue) -> Mapping[str, Handler]:
    handlers = load_handlers((*BUILT_IN_HANDLERS, *settings.handlers), catalogue)
    if "work" in settings.roles and not settings.quarantine:
        warn_of_unhandled(catalogue, handlers, settings.pools)
    return handlers


def _complain(metrics: BackMetrics, check: SessionCheck, ownership: Ownership) -> None:
    """Show what is not as it must be, and is not ours to change."""
    metrics.gauge(
        "uketsuke_database_complaints",
        "Settings of the database that are not as we rely on; the log names them",
        lambda: check.count,
    )
    metrics.gauge(
        "uketsuke_blob_folder_contested",
        "1 where the folder of blobs belongs to another database: nothing is deleted there",
        lambda: ownership.is_contested,
    )


def _measure(
    metrics: BackMetrics, pool: Pool, publisher: Publisher, subscriber: Subscriber
) -> None:
    """Show what can be read off at any moment."""
    metrics.gauge(
        "uketsuke_pool_free",
        "Database connections that nobody uses; 0 for long = too few, or the database is slow",
        lambda: pool.free,
    )
    metrics.gauge(
        "uketsuke_broker_up",
        "Whether the broker takes knocks; 0 = they wait in the outbox",
        lambda: not publisher.is_down,
    )
    metrics.gauge(
        "uketsuke_hears_knocks",
        "Whether this worker listens to its queues; 0 = it is cut off, or leaves",
        lambda: subscriber.link.up.is_set() and not subscriber.is_paused,
    )


def _publisher(
    amqp: str, catalogue: Catalogue, tracing: Tracing | None, *, declare: bool
) -> Publisher:
    name, pools = "back-knocks", catalogue.pools
    if tracing is None:
        return Publisher(amqp, name=name, pools=pools, declare=declare)
    return TracedPublisher(amqp, name=name, pools=pools, declare=declare, tracing=tracing)


def _runner(
    settings: BackSettings,
    catalogue: Catalogue,
    handlers: Mapping[str, Handler],
    tools: Tools,
    tracing: Tracing | None,
) -> Runner:
    def opened(job: Job, job_type: JobType) -> AttemptContext:
        return AttemptContext(job, job_type, tools)

    most, clock = settings.max_result, SystemClock()
    if tracing is None:
        return Runner(catalogue, handlers, opened, clock, max_result=most)
    return TracedRunner(catalogue, handlers, opened, clock, max_result=most, tracing=tracing)


def _watchdog(settings: BackSettings) -> Watchdog:
    limit = settings.stall_limit or longest_stall(settings.lease)
    return Watchdog(warn=settings.stall_warning, limit=limit)


def _probes(
    settings: BackSettings, metrics: BackMetrics, outbox: Outbox, hears: Callable[[], bool]
) -> Sequence[Service]:
    """Listen for probes where the settings say so; a back needs database and broker both."""
    if settings.probe_port is None:
        return ()

    async def is_ready() -> bool:
        try:
            await outbox.depth(1)
        except Unavailable:
            return False
        return hears()

    host, port = settings.probe_host, settings.probe_port
    return (Probes(host=host, port=port, metrics=metrics, is_ready=is_ready),)


def _preload(
    settings: BackSettings, catalogue: Catalogue, handlers: Mapping[str, Handler]
) -> Sequence[str]:
    """List what the nursery imports, so that no child has to: handlers that run in children."""
    if not settings.preload:
        return ()
    in_children = {
        handler.__module__
        for name, handler in handlers.items()
        if catalogue[name].isolation is Isolation.PROCESS
    }
    return (*sorted(in_children), *(() if documents.missing() else documents.PRELOAD))


def _limits(settings: BackSettings) -> Limits:
    return Limits(
        memory_bytes=settings.child_memory,
        answer_bytes=settings.max_result,
        niceness=settings.child_niceness,
    )


def _routes(settings: BackSettings) -> dict[str, int]:
    return {
        route(pool, priority): settings.prefetch for pool in settings.pools for priority in Priority
    }
