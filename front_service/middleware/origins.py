"""Let pages of origins that were let in read the answers (CORS)."""

from typing import Final

from aiohttp import hdrs, web

from shared.contract import headers

_METHODS: Final = "DELETE, GET, HEAD, POST"
_MAY_SEND: Final = (
    "Authorization, Content-Disposition, Content-Type, If-None-Match, Last-Event-ID, Prefer, "
    f"Range, {headers.IDEMPOTENCY_KEY}, {headers.TRACEPARENT}, {headers.TRACK_ID}"
)
_MAY_READ: Final = (
    "Content-Disposition, Content-Range, ETag, Location, Preference-Applied, Retry-After, "
    "RateLimit, RateLimit-Policy, WWW-Authenticate, "
    f"{headers.IDEMPOTENT_REPLAYED}, {headers.TRACK_ID}"
)
_REMEMBER: Final = "600"  # seconds that a browser need not ask again


def readable_by(origin: str) -> dict[str, str]:
    """Say on an answer that pages of *origin* may read it."""
    return {
        hdrs.ACCESS_CONTROL_ALLOW_ORIGIN: origin,
        hdrs.ACCESS_CONTROL_EXPOSE_HEADERS: _MAY_READ,
        hdrs.VARY: hdrs.ORIGIN,
    }


def is_preflight(request: web.Request) -> bool:
    """Whether a browser only asks what it might do."""
    given = request.headers
    return (
        request.method == hdrs.METH_OPTIONS
        and hdrs.ORIGIN in given
        and hdrs.ACCESS_CONTROL_REQUEST_METHOD in given
    )


def preflight() -> web.Response:
    """Answer what pages may do here; which of them may is said by the origin."""
    return web.Response(
        status=204,
        headers={
            hdrs.ACCESS_CONTROL_ALLOW_METHODS: _METHODS,
            hdrs.ACCESS_CONTROL_ALLOW_HEADERS: _MAY_SEND,
            hdrs.ACCESS_CONTROL_MAX_AGE: _REMEMBER,
            hdrs.SERVER: "uketsuke",
        },
    )
