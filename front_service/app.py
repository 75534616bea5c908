"""Build the front service: the one place that constructs its parts and joins them."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial
from ipaddress import ip_address
from typing import Final

from aiohttp import web

from front_service import keys
from front_service.admission import Admission
from front_service.attendance import Attendance
from front_service.backlog import Backlog
from front_service.batching import Batching
from front_service.bucket import Bucket
from front_service.bulk import Bulk
from front_service.control import Control
from front_service.crowd import Crowd
from front_service.described.library import Library
from front_service.ground import Ground, open_ground
from front_service.heads import Heads
from front_service.health import Readiness
from front_service.identity import Doorkeeper
from front_service.keyring import KeyRing
from front_service.lookup import Lookup
from front_service.middleware.edge import edge
from front_service.middleware.entrance import Entrance
from front_service.middleware.traced import traced
from front_service.outlook import Outlook
from front_service.overview import Overview
from front_service.push.batches import BatchStreams
from front_service.push.hub import Hub
from front_service.push.listener import Listener
from front_service.push.stream import Streams
from front_service.quotas import Quotas
from front_service.readers import Readers
from front_service.routes import PUBLIC_ROUTES, ROUTES
from front_service.server import HttpServer
from front_service.tokens import Tokens
from front_service.turnstile import Turnstile
from front_service.uploads import Uploads
from shared.broker.fanout import FanIn
from shared.contract.job_types import Catalogue
from shared.runtime.catalogue import load_job_types
from shared.runtime.clock import Clock, SystemClock
from shared.runtime.metrics import FrontMetrics
from shared.runtime.probes import Probes
from shared.runtime.serving import Service
from shared.runtime.settings import BadSettings, FrontSettings
from shared.runtime.tracing import Tracing, traces

_REQUESTS_SHARE: Final = 0.3  # of the drain, each for finishing requests and for ending them


@dataclass(frozen=True, slots=True, kw_only=True)
class Front:
    """The service between its ground and its clients."""

    app: web.Application
    hub: Hub
    listener: Listener
    batches: BatchStreams
    heads: Heads
    readers: Readers
    crowd: Crowd
    backlog: Backlog
    outlook: Outlook
    key_ring: KeyRing
    quotas: Quotas
    server: HttpServer
    probes: Sequence[Service]

    def hear(self, body: bytes) -> None:
        """Take a message of the fan-out: what workers say of themselves, or of jobs."""
        if not self.outlook.hear(body):
            self.listener.hear(body)
            self.batches.hear(body)

    @property
    def services(self) -> list[Service]:
        """What is to run, in the order of starting."""
        kept = (self.backlog, self.key_ring, self.quotas, self.outlook)
        ours = (self.listener, self.heads, self.readers)
        return [*self.probes, *kept, *ours, self.server]


@asynccontextmanager
async def open_front(settings: FrontSettings) -> AsyncIterator[Sequence[Service]]:
    """Build everything; the services are to be started in their order, stopped in the other."""
    refuse_strangers(settings)
    clock, metrics = SystemClock(), FrontMetrics()
    catalogue = load_job_types(settings.job_type_modules)
    with traces("front", settings.otlp_endpoint) as tracing:
        async with open_ground(
            settings, catalogue, clock=clock, metrics=metrics, tracing=tracing
        ) as (ground, carriers):
            front = build_front(
                settings, catalogue, ground, clock=clock, metrics=metrics, tracing=tracing
            )
            fan_in = FanIn(
                settings.amqp_url.get_secret_value(),
                name="front-ears",
                on_message=front.hear,
                on_reconnect=front.listener.reconnected,
                declare=settings.declare_topology,
            )
            yield [*carriers, fan_in, *front.services]


def build_front(
    settings: FrontSettings,
    catalogue: Catalogue,
    ground: Ground,
    *,
    clock: Clock,
    metrics: FrontMetrics | None = None,
    tracing: Tracing | None = None,
) -> Front:
    """Join the use cases to *ground* and to the routes."""
    outlook = Outlook(ground.reads, catalogue, clock)
    lookup, hub = Lookup(ground.reads), Hub()
    metrics = metrics or FrontMetrics()
    heads, readers = Heads(clock), Readers(clock, tell=metrics.cut)
    backlog = Backlog(ground.outbox_depth, most=settings.max_outbox)
    readiness = Readiness(
        ping=partial(ground.outbox_depth, 1),
        broker_is_up=ground.broker_is_up,
        clock=clock,
    )
    attendance = Attendance()
    key_ring = KeyRing(
        ground.key_rows, clock, is_present=attendance.is_present, on_end=attendance.end
    )
    doorkeeper = Doorkeeper(
        key_ring,
        tokens=ground.tokens,
        required=settings.auth == "required",
        anyone=settings.allow_anonymous,
        allowed_origins=settings.allowed_origins,
    )
    crowd = Crowd(
        most=settings.max_connections,
        most_of_one=settings.max_connections_per_address,
        proxies=settings.proxies,
        tell=metrics.turned_away,
    )
    quotas, tokens = Quotas(ground.quota_rows, clock), Tokens(ground.token_keys)
    entrance = Entrance(doorkeeper, attendance, quotas, tokens, ROUTES)
    guard = edge(entrance, heads=heads, readiness=readiness, metrics=metrics)
    steps = () if tracing is None else (traced(tracing),)
    app = web.Application(middlewares=[guard, *steps])
    app[keys.SETTINGS], app[keys.READINESS], app[keys.LOOKUP] = settings, readiness, lookup
    app[keys.METRICS], app[keys.OUTLOOK] = metrics, outlook
    app[keys.QUOTAS], app[keys.TOKENS] = quotas, tokens
    batches = app[keys.BATCHES] = BatchStreams(ground.batches)
    app[keys.STREAMS] = streams = Streams(
        hub,
        ground.reads,
        clock,
        most=settings.max_streams,
        most_waiting=settings.max_waiting,
    )
    app[keys.UPLOADS] = Uploads(ground.blobs, ground.blob_rows, most_bytes=settings.max_upload)
    app[keys.CONTROL] = Control(
        lookup=lookup, intake=ground.intake, post=ground.post, fan_out=ground.fan_out
    )
    admission = app[keys.ADMISSION] = Admission(
        catalogue=catalogue,
        intake=ground.intake,
        post=ground.post,
        fan_out=ground.fan_out,
        status=lookup.status,
        outlook=outlook,
        backlog=backlog,
        gate=ground.gate,
        bucket=_bucket(settings, clock),
        metrics=metrics,
        clock=clock,
        max_age=settings.max_age,
        egress=settings.egress,
    )
    app[keys.BATCHING] = Batching(
        admission=admission,
        intake=ground.batch_intake,
        reads=ground.batches,
        post=ground.post,
        fan_out=ground.fan_out,
        metrics=metrics,
        clock=clock,
    )
    app[keys.BULK] = Bulk(
        finds=ground.operating,
        intake=ground.intake,
        post=ground.post,
        fan_out=ground.fan_out,
        clock=clock,
    )
    app[keys.OVERVIEW] = Overview(counts=ground.operating, catalogue=catalogue, clock=clock)
    app[keys.LIBRARY] = Library(ROUTES, catalogue)
    for route in ROUTES if settings.probe_port is None else PUBLIC_ROUTES:
        route.mount(app.router)
    turnstile = Turnstile(
        ground.gate, tell=metrics.refused, is_leaving=lambda: readiness.is_draining
    )
    server = HttpServer(
        app,
        host=settings.host,
        port=settings.port,
        reuse_port=settings.reuse_port,
        heads=heads,
        readers=readers,
        crowd=crowd,
        turnstile=turnstile,
        readiness=readiness,
        say_goodbye=partial(_say_goodbye, hub, batches),
        grace=settings.drain * _REQUESTS_SHARE,
    )
    listener = Listener(hub, ground.reads, clock)
    _measure(metrics, hub, streams, server, ground)
    return Front(
        app=app,
        hub=hub,
        listener=listener,
        batches=batches,
        heads=heads,
        readers=readers,
        crowd=crowd,
        backlog=backlog,
        outlook=outlook,
        key_ring=key_ring,
        quotas=quotas,
        server=server,
        probes=_probes(settings, readiness, metrics),
    )


def _probes(
    settings: FrontSettings, readiness: Readiness, metrics: FrontMetrics
) -> Sequence[Service]:
    """Answer probes on a port of their own, where the settings name one, to the very end."""
    if settings.probe_port is None:
        return ()

    async def is_ready() -> bool:
        ready, _ = await readiness.report()
        return ready

    host, port = settings.probe_host, settings.probe_port
    return (Probes(host=host, port=port, metrics=metrics, is_ready=is_ready),)


def _say_goodbye(hub: Hub, batches: BatchStreams) -> None:
    """Send everybody who watches to another replica."""
    hub.drain()
    batches.drain()


def _bucket(settings: FrontSettings, clock: Clock) -> Bucket | None:
    if settings.rate is None:
        return None
    return Bucket(rate=settings.rate, burst=settings.burst, now=clock.monotonic())


def _measure(
    metrics: FrontMetrics, hub: Hub, streams: Streams, server: HttpServer, ground: Ground
) -> None:
    """Show what can be read off at any moment."""
    metrics.gauge("uketsuke_waiting", "Requests that wait for an ending", lambda: streams.waiting)
    metrics.gauge("uketsuke_submit_limit", "Submits that may wait", lambda: ground.gate.limit)
    metrics.gauge("uketsuke_watchers", "Streams that follow a job", lambda: len(hub))
    metrics.gauge("uketsuke_connections", "Open connections", lambda: server.open_connections)
    metrics.gauge(
        "uketsuke_pool_free",
        "Database connections that nobody uses; 0 for long = too few, or the database is slow",
        ground.free_connections,
    )
    metrics.gauge(
        "uketsuke_broker_up",
        "Whether the broker takes knocks; 0 = submits do not wait for confirms",
        ground.broker_is_up,
    )


def refuse_strangers(settings: FrontSettings) -> None:
    """Refuse to start where anybody could reach a service that asks nobody who he is."""
    asks = settings.auth == "required" or settings.oidc_issuer is not None
    if asks or settings.allow_anonymous or settings.host == "localhost":
        return
    try:
        is_ours = ip_address(settings.host).is_loopback
    except ValueError:
        is_ours = False
    if not is_ours:
        raise BadSettings(
            f"UKETSUKE_HOST: {settings.host} can be reached from other machines, and nobody is "
            "asked who he is: everybody who reaches it could submit, read and cancel every job. "
            "Set UKETSUKE_AUTH=required and make a key (uketsuke keys create), or listen on "
            "127.0.0.1, or set UKETSUKE_ALLOW_ANONYMOUS=yes if that is what you want."
        )
