"""What the front service stands on: the stores, the broker, and whoever vouches for callers."""

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import Final, Protocol
from uuid import uuid4

from front_service.admission import Admits, Posts
from front_service.batching import AdmitsBatches, ReadsStates
from front_service.bulk import ChangesMany, Finds
from front_service.control import Sends, Tells
from front_service.gate import Gate
from front_service.identity import ReadsTokens
from front_service.keyring import ReadsKeys
from front_service.outlook import ReadsLine
from front_service.overview import Counts
from front_service.push.stream import Reads as Readable
from front_service.quotas import KnowsQuotas
from front_service.token_keys import token_keys
from front_service.uploads import KeepsBytes, KnowsBlobs
from shared.blobs.opening import open_blobs
from shared.broker.fanout import FanOut
from shared.broker.traced import publisher_of
from shared.contract.job_types import Catalogue
from shared.outbox import Post, Relay
from shared.runtime.clock import Clock
from shared.runtime.metrics import FrontMetrics
from shared.runtime.pulse import Pulse
from shared.runtime.serving import Afterwards, Service
from shared.runtime.settings import BadSettings, FrontSettings
from shared.runtime.tracing import Tracing
from shared.store.access import KeyRows
from shared.store.batch_intake import BatchIntake
from shared.store.batch_rows import BatchRows
from shared.store.blobs import BlobRows
from shared.store.intake import Intake
from shared.store.operating import Operating
from shared.store.outbox import Outbox
from shared.store.pool import Pool, open_pool
from shared.store.quotas import QuotaRows
from shared.store.reads import Reads
from shared.store.session import SessionCheck

_PATIENCE: Final = 1.2  # seconds for one question to the database: a caller waits for it
_LAST_WRITES: Final = 5.0  # seconds


class Takes(Admits, ChangesMany, Protocol):
    """As ``Intake``."""


class Looks(Readable, ReadsLine, Protocol):
    """As ``Reads``."""


class Operates(Finds, Counts, Protocol):
    """As ``Operating``."""


class Carries(Posts, Sends, Protocol):
    """As ``Post``."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ground:
    """What the service stands on: the real stores and the broker, or those of a test."""

    intake: Takes
    gate: Gate
    reads: Looks
    batch_intake: AdmitsBatches
    batches: ReadsStates
    operating: Operates
    post: Carries
    fan_out: Tells
    blobs: KeepsBytes
    blob_rows: KnowsBlobs
    key_rows: ReadsKeys
    quota_rows: KnowsQuotas
    tokens: ReadsTokens | None = None
    broker_is_up: Callable[[], bool]
    outbox_depth: Callable[[int], Awaitable[int]]
    free_connections: Callable[[], int]
    token_keys: Sequence[bytes]


@asynccontextmanager
async def open_ground(
    settings: FrontSettings,
    catalogue: Catalogue,
    *,
    clock: Clock,
    metrics: FrontMetrics,
    tracing: Tracing | None,
) -> AsyncIterator[tuple[Ground, Sequence[Service]]]:
    """Open the real ground, and name the services that carry it, in the order of starting."""
    amqp, wait = settings.amqp_url.get_secret_value(), settings.confirm_wait
    async with AsyncExitStack() as stack:
        pool = await stack.enter_async_context(_pool(settings, settings.pool_size))
        looks = await stack.enter_async_context(_pool(settings, settings.read_pool_size, "reads"))
        blobs = await stack.enter_async_context(open_blobs(settings))
        tokens, issuers = await _outside_issuer(settings, clock, stack)
        outbox = Outbox(pool)
        makes = settings.declare_topology
        publisher = publisher_of(
            amqp, name="front-knocks", pools=catalogue.pools, declare=makes, tracing=tracing
        )
        fan_out = FanOut(amqp, name="front-news", declare=makes)
        check = SessionCheck(pool, most_sessions=settings.pool_size + settings.read_pool_size)
        metrics.watch(dropped=lambda: fan_out.dropped, complaints=lambda: check.count)
        post = Post(outbox, publisher, confirm_wait=wait, confirmed_in=metrics.confirmed)
        gate = Gate(clock, lambda: intake.waiting, most=settings.max_submits)
        intake = Intake(pool, confirm_wait=wait, on_commit=gate.committed)

        async def drain() -> None:
            await intake.drain()
            await post.drain()

        ground = Ground(
            intake=intake,
            gate=gate,
            batch_intake=BatchIntake(pool, confirm_wait=wait),
            reads=Reads(looks),  # apart: no crowd of readers holds up a submit
            batches=BatchRows(looks),
            operating=Operating(looks),
            post=post,
            fan_out=fan_out,
            blobs=blobs,
            blob_rows=BlobRows(pool),
            key_rows=KeyRows(pool),
            quota_rows=QuotaRows(pool, uuid4()),
            tokens=tokens,
            broker_is_up=lambda: not publisher.is_down,
            outbox_depth=outbox.depth,
            free_connections=lambda: pool.free,
            token_keys=token_keys(settings),
        )
        yield (
            ground,
            (
                Pulse(metrics),
                publisher,
                fan_out,
                Afterwards("last writes", drain, within=_LAST_WRITES),
                Relay(outbox, publisher, relayed=metrics.relayed),
                check,
                *issuers,
            ),
        )


async def _outside_issuer(
    settings: FrontSettings, clock: Clock, stack: AsyncExitStack
) -> tuple[ReadsTokens | None, Sequence[Service]]:
    """Take tokens of an outside issuer where the settings name one."""
    if settings.oidc_issuer is None:
        return None, ()
    try:
        from front_service.oidc import open_tokens  # noqa: PLC0415  an extra, where it is wanted
    except ImportError as error:
        raise BadSettings("UKETSUKE_OIDC_ISSUER: this needs pip install uketsuke[oidc]") from error
    tokens, issuer = await stack.enter_async_context(open_tokens(settings, clock))
    return tokens, (issuer,)


@asynccontextmanager
async def _pool(settings: FrontSettings, size: int, *use: str) -> AsyncIterator[Pool]:
    url, name = settings.database_url.get_secret_value(), ", ".join(("uketsuke front", *use))
    async with open_pool(url, size=size, name=name, patience=_PATIENCE) as pool:
        yield pool
