"""Write responses: JSON documents, and problem documents (RFC 9457)."""

from collections.abc import Mapping
from hashlib import blake2b
from typing import Any, Final

from aiohttp import hdrs, web
from multidict import CIMultiDict

from front_service.allowance import Standing
from front_service.refusals import (
    BadRange,
    OutOfScope,
    QuotaReached,
    Unauthenticated,
    WrongMethod,
    problem_document,
)
from shared.contract.errors import UketsukeError
from shared.contract.status import dump

NO_STORE: Final = "no-store"
RATE_LIMIT: Final = "RateLimit"
RATE_LIMIT_POLICY: Final = "RateLimit-Policy"
_STOPS_READING: Final = frozenset((408, 413, 415, 417))
"""What is refused before its body was read: the rest of it would be taken for a request."""

_JSON: Final = CIMultiDict(
    {
        hdrs.CONTENT_TYPE: "application/json",
        hdrs.CACHE_CONTROL: NO_STORE,
        hdrs.SERVER: "uketsuke",
        "X-Content-Type-Options": "nosniff",
    }
)
_PROBLEM: Final = CIMultiDict(_JSON)
_PROBLEM[hdrs.CONTENT_TYPE] = "application/problem+json"


def document(
    content: Mapping[str, Any], *, status: int = 200, headers: Mapping[str, str] | None = None
) -> web.Response:
    """Answer *content* as JSON, never to be cached."""
    given = CIMultiDict(_JSON)
    if headers is not None:
        given.update(headers)
    return web.Response(body=dump(content), status=status, headers=given)


def written(body: bytes, *, headers: Mapping[str, str], known: str | None = None) -> web.Response:
    """Answer a document that is JSON already, with a strong ``ETag``; 304 if it is the *known* one.

    *known* is what the caller says in ``If-None-Match``.
    """
    etag = f'"{blake2b(body, digest_size=12).hexdigest()}"'
    told = {**headers, hdrs.ETAG: etag}
    if _is_known(etag, known):
        return empty(304, told)
    given = CIMultiDict(_JSON)
    given.update(told)
    return web.Response(body=body, headers=given)


def _is_known(etag: str, if_none_match: str | None) -> bool:
    if if_none_match is None:
        return False
    known = (one.strip().removeprefix("W/") for one in if_none_match.split(","))
    return if_none_match.strip() == "*" or etag in known


def rate_limits(standing: Standing) -> dict[str, str]:
    """Write the headers of a caller's quotas (draft-ietf-httpapi-ratelimit-headers-10)."""
    return {RATE_LIMIT_POLICY: standing.policies, RATE_LIMIT: standing.left}


def empty(status: int, headers: Mapping[str, str]) -> web.Response:
    given = CIMultiDict(_JSON)
    del given[hdrs.CONTENT_TYPE]
    given.update(headers)
    return web.Response(status=status, headers=given)


def problem(error: UketsukeError, track_id: str) -> web.Response:
    """Tell *error* to a stranger, with the headers that belong to it."""
    content = problem_document(error, track_id)
    headers = CIMultiDict(_PROBLEM)
    if error.retry_after is not None:
        headers[hdrs.RETRY_AFTER] = str(error.retry_after)
    match error:
        case WrongMethod():
            headers[hdrs.ALLOW] = ", ".join(error.allowed)
        case Unauthenticated() | OutOfScope():
            headers[hdrs.WWW_AUTHENTICATE] = error.challenge
        case QuotaReached():
            headers.update(rate_limits(error.standing))
        case BadRange():
            headers[hdrs.CONTENT_RANGE] = f"bytes */{error.size_bytes}"
        case _:
            pass
    response = web.Response(body=dump(content), status=error.status, headers=headers)
    if error.status in _STOPS_READING:
        response.force_close()
    return response
