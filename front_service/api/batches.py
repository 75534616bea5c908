"""Batches: hand many jobs in at once, ask how far they are, follow them."""

from typing import Final

from aiohttp import hdrs, web

from front_service.api.answers import document, rate_limits
from front_service.api.bodies import Kind, kind_of, single, stream
from front_service.batch_bodies import Asked, read_document, read_lines
from front_service.batching import BatchAsk
from front_service.keys import (
    BATCHES,
    BATCHING,
    PRINCIPAL,
    QUOTAS,
    SETTINGS,
    TRACE,
    TRACK_ID,
)
from front_service.push import sse, websocket
from shared.contract import headers
from shared.contract.batches import batch_document
from shared.contract.errors import Malformed, UnsupportedMedia
from shared.contract.ids import TrackId

_LINES: Final = frozenset(
    ("application/x-ndjson", "application/ndjson", "application/jsonl", "application/x-jsonlines")
)
_ATOMIC: Final = {"true": True, "false": False, None: False}


async def submit(request: web.Request) -> web.Response:
    """``POST /api/batches``: 202 once all that is accepted is durable."""
    idempotency_key = single(request, headers.IDEMPOTENCY_KEY)
    batching, principal = request.app[BATCHING], request[PRINCIPAL]
    with batching.room(idempotency_key):
        raw, asked = await _read(request)
        batching.check_size(asked)
        standing = await request.app[QUOTAS].submit(principal.tenant, len(asked.entries))
        answer = await batching.submit(
            BatchAsk(
                tenant=principal.tenant,
                caller=principal.name,
                asked=asked,
                raw=raw,
                track_id=TrackId(request[TRACK_ID]),
                traceparent=request.get(TRACE, request.headers.get(headers.TRACEPARENT)),
                idempotency_key=idempotency_key,
            )
        )
    answered: dict[str, str] = {
        hdrs.LOCATION: answer.document["statusUrl"],
        hdrs.RETRY_AFTER: "1",
    }
    if standing is not None:
        answered |= rate_limits(standing)
    if answer.replayed:
        answered[headers.IDEMPOTENT_REPLAYED] = "true"
    return document(answer.document, status=202, headers=answered)


async def status(request: web.Request) -> web.Response:
    """``GET /api/batches/{id}``."""
    batch = await request.app[BATCHING].batch(request[PRINCIPAL].tenant, request.match_info["id"])
    answered: dict[str, str] = {} if batch.has_ended else {hdrs.RETRY_AFTER: "1"}
    return document(batch_document(batch), headers=answered)


async def events(request: web.Request) -> web.StreamResponse:
    """``GET /api/batches/{id}/events``: as the events of a job."""
    return await sse.stream_events(request, request.app[BATCHES])


async def watch(request: web.Request) -> web.StreamResponse:
    """``GET /batches/{id}``, upgraded: as the socket of a job."""
    return await websocket.stream_frames(request, request.app[BATCHES])


async def _read(request: web.Request) -> tuple[bytes, Asked]:
    """Read the body: one document, or one submission a line."""
    settings = request.app[SETTINGS]
    if _is_lines(request):
        atomic = _atomic(request)
        raw = await _gathered(request)
        return raw, await read_lines(raw, atomic=atomic, most_bytes=settings.max_body)
    if kind_of(request) is not Kind.JSON:
        raise UnsupportedMedia("Send application/json or application/x-ndjson in UTF-8.")
    raw = await _gathered(request)
    return raw, await read_document(raw, most_bytes=settings.max_body)


async def _gathered(request: web.Request) -> bytes:
    """Take the body piece by piece: it may be too large for the time that a small one has."""
    pieces = stream(request, request.app[SETTINGS].max_batch)
    return b"".join([piece async for piece in pieces])


def _is_lines(request: web.Request) -> bool:
    if hdrs.CONTENT_ENCODING in request.headers:
        raise UnsupportedMedia("Send the body as it is, without Content-Encoding.")
    media = (single(request, hdrs.CONTENT_TYPE) or "").partition(";")[0]
    return media.strip().lower() in _LINES


def _atomic(request: web.Request) -> bool:
    """Read ``?atomic=true``: a batch of lines has no place of its own for it."""
    try:
        return _ATOMIC[request.query.get("atomic")]
    except KeyError:
        raise Malformed("atomic must be true or false.") from None
