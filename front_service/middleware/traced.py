"""What callers change is a step of their trace, and what they submit goes on from it."""

from typing import Final

from aiohttp import hdrs, web
from aiohttp.typedefs import Handler, Middleware

from front_service.keys import TRACE
from shared.contract.headers import TRACEPARENT
from shared.runtime.tracing import Tracing

_READS: Final = frozenset({hdrs.METH_GET, hdrs.METH_HEAD, hdrs.METH_OPTIONS})


def traced(tracing: Tracing) -> Middleware:
    """Make the middleware inside ``edge``; reads and streams, which are many, are no steps."""

    @web.middleware
    async def around(request: web.Request, handler: Handler) -> web.StreamResponse:
        if request.method in _READS:
            return await handler(request)
        resource = request.match_info.route.resource
        route = "unknown" if resource is None else resource.canonical
        given = request.headers.get(TRACEPARENT)
        with tracing.span(f"{request.method} {route}", "server", parent=given) as span:
            span.note("http.request.method", request.method)
            span.note("http.route", route)
            request[TRACE] = span.traceparent
            response = await handler(request)
            span.note("http.response.status_code", response.status)
            return response

    return around
