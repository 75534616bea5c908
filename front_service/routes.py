"""The whole API on one screen."""

from functools import partial
from typing import Final

from aiohttp import web

from front_service.api import blobs, health, jobs
from front_service.api.bodies import asked_later
from front_service.api.submit import submit
from front_service.push import sse, websocket

_get: Final = partial(web.get, expect_handler=asked_later)
_post: Final = partial(web.post, expect_handler=asked_later)
_delete: Final = partial(web.delete, expect_handler=asked_later)

ROUTES = (
    _get("/livez", health.livez),
    _get("/readyz", health.readyz),
    _get("/metrics", health.metrics),
    _get("/jobs/{id}", websocket.watch, allow_head=False),
    _get("/api/jobs", jobs.list_jobs),
    _get("/api/jobs/{id}", jobs.status),
    _delete("/api/jobs/{id}", jobs.cancel),
    _post("/api/jobs/{id}/replay", jobs.replay),
    _post("/api/jobs/{id}/release", jobs.release),
    _get("/api/jobs/{id}/events", sse.events, allow_head=False),
    _post("/api/blobs", blobs.upload),
    _get("/api/blobs/{id}", blobs.download),
    _post("/api/{collection}/{action}", submit),
    _get("/api/{collection}/status/{id}", jobs.status),
    _get("/api/{collection}/result/{id}", jobs.result),
    _post("/api/{collection}/cancel/{id}", jobs.cancel),
)

PUBLIC_ROUTES = tuple(route for route in ROUTES if route.path != "/metrics")
"""The API of a front whose figures have a port of their own."""
