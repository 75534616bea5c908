"""The whole API on one screen."""

from functools import partial
from typing import Any, Final

from aiohttp import hdrs
from aiohttp.typedefs import Handler

from front_service.api import blobs, health, jobs
from front_service.api.bodies import asked_later
from front_service.api.submit import submit
from front_service.middleware.scopes import Route
from front_service.push import sse, websocket
from shared.contract.access import Scope

ANYBODY: Final = None
SUBMIT: Final = Scope.SUBMIT
READ: Final = Scope.READ
CANCEL: Final = Scope.CANCEL
OPERATE: Final = Scope.OPERATE


def _route(
    method: str,
    path: str,
    needs: Scope | None,
    handler: Handler,
    *,
    is_stream: bool = False,
    **kwargs: Any,
) -> Route:
    return Route(
        method=method,
        path=path,
        needs=needs,
        handler=handler,
        is_stream=is_stream,
        kwargs={"expect_handler": asked_later} | kwargs,
    )


_get: Final = partial(_route, hdrs.METH_GET)
_post: Final = partial(_route, hdrs.METH_POST)
_delete: Final = partial(_route, hdrs.METH_DELETE)
_stream: Final = partial(_route, hdrs.METH_GET, is_stream=True, allow_head=False)

ROUTES = (
    _get("/livez", ANYBODY, health.livez),
    _get("/readyz", ANYBODY, health.readyz),
    _get("/metrics", OPERATE, health.metrics),
    _stream("/jobs/{id}", READ, websocket.watch),
    _get("/api/jobs", READ, jobs.list_jobs),
    _get("/api/jobs/{id}", READ, jobs.status),
    _delete("/api/jobs/{id}", CANCEL, jobs.cancel),
    _post("/api/jobs/{id}/replay", OPERATE, jobs.replay),
    _post("/api/jobs/{id}/release", OPERATE, jobs.release),
    _stream("/api/jobs/{id}/events", READ, sse.events),
    _post("/api/blobs", SUBMIT, blobs.upload),
    _get("/api/blobs/{id}", READ, blobs.download),
    _post("/api/{collection}/{action}", SUBMIT, submit),
    _get("/api/{collection}/status/{id}", READ, jobs.status),
    _get("/api/{collection}/result/{id}", READ, jobs.result),
    _post("/api/{collection}/cancel/{id}", CANCEL, jobs.cancel),
)
"""Each with the scope that its callers need."""
