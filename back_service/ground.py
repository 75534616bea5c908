"""What the back service stands on: the store, the broker, and the folder of blobs."""

from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import Final

from back_service.telling import Teller
from shared.blobs.opening import open_blobs
from shared.blobs.store import BlobStore
from shared.broker.fanout import FanOut
from shared.broker.publisher import Publisher
from shared.broker.subscriber import Subscriber
from shared.broker.topology import route
from shared.broker.traced import publisher_of
from shared.contract.authoring import Handler
from shared.contract.job_types import Catalogue
from shared.contract.jobs import Priority
from shared.outbox import Post
from shared.runtime.metrics import BackMetrics
from shared.runtime.settings import BackSettings
from shared.runtime.tracing import Tracing, traces
from shared.store.outbox import Outbox
from shared.store.pool import Pool, open_pool
from shared.store.session import SessionCheck
from shared.store.upkeep import UpkeepStore
from shared.store.work import WorkStore

_QUICK: Final = 4  # connections whose commits do not wait for the disk


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What one process is to be."""

    settings: BackSettings
    catalogue: Catalogue
    handlers: Mapping[str, Handler]
    metrics: BackMetrics


@dataclass(frozen=True, slots=True, kw_only=True)
class Ground:
    """The connections of one process, and what reads, writes and speaks over them."""

    pool: Pool
    quick: Pool
    check: SessionCheck
    blobs: BlobStore
    work: WorkStore
    upkeep: UpkeepStore
    outbox: Outbox
    publisher: Publisher
    subscriber: Subscriber
    fan_out: FanOut
    post: Post
    teller: Teller
    tracing: Tracing | None


@asynccontextmanager
async def open_ground(plan: Plan) -> AsyncIterator[Ground]:
    """Open all connections but the broker's, whose parts connect when they run."""
    settings, metrics = plan.settings, plan.metrics
    database = settings.database_url.get_secret_value()
    amqp, makes = settings.amqp_url.get_secret_value(), settings.declare_topology
    async with AsyncExitStack() as stack:
        pool = await stack.enter_async_context(
            open_pool(database, size=settings.pool_size, name="uketsuke back")
        )
        quick = await stack.enter_async_context(
            open_pool(database, size=_QUICK, name="uketsuke back, quick", is_durable=False)
        )
        blobs = await stack.enter_async_context(open_blobs(settings))
        tracing = stack.enter_context(traces("back", settings.otlp_endpoint))
        outbox, pools = Outbox(quick), plan.catalogue.pools
        publisher = publisher_of(
            amqp, name="back-knocks", pools=pools, declare=makes, tracing=tracing
        )
        subscriber = Subscriber(amqp, name="back-jobs", routes=routes(settings), declare=makes)
        fan_out = FanOut(amqp, name="back-news", declare=makes)
        check = SessionCheck(pool, most_sessions=settings.pool_size + _QUICK)
        measure(metrics, pool, publisher, subscriber)
        metrics.watch(dropped=lambda: fan_out.dropped, complaints=lambda: check.count)
        wait, crashes = settings.confirm_wait, settings.max_crashes
        post = Post(outbox, publisher, confirm_wait=wait, confirmed_in=metrics.confirmed)
        yield Ground(
            pool=pool,
            quick=quick,
            check=check,
            blobs=blobs,
            work=WorkStore(
                pool,
                quick=quick,
                types=plan.handlers,
                lease=settings.lease,
                confirm_wait=wait,
                max_crashes=crashes,
                alone=settings.quarantine,
            ),
            upkeep=UpkeepStore(pool, confirm_wait=wait, max_crashes=crashes),
            outbox=outbox,
            publisher=publisher,
            subscriber=subscriber,
            fan_out=fan_out,
            post=post,
            teller=Teller(fan_out, post),
            tracing=tracing,
        )


def routes(settings: BackSettings) -> dict[str, int]:
    """List the queues of this worker, and how many knocks of each it prefetches."""
    return {
        route(pool, priority): settings.prefetch for pool in settings.pools for priority in Priority
    }


def measure(metrics: BackMetrics, pool: Pool, publisher: Publisher, subscriber: Subscriber) -> None:
    """Show what can be read off the connections at any moment."""
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
        lambda: subscriber.is_listening,
    )
