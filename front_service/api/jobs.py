"""Status, result, cancel, replay, release and list of jobs."""

from datetime import UTC, datetime
from typing import Final

from aiohttp import hdrs, web

from front_service.api import waiting
from front_service.api.answers import document, empty, written
from front_service.api.submit import LONGEST_WAIT
from front_service.keys import CONTROL, LOOKUP, OUTLOOK, PRINCIPAL, SETTINGS
from front_service.lookup import read_page, retry_after
from front_service.push.stream import read_after, read_number
from shared.contract.errors import Malformed
from shared.contract.states import State
from shared.contract.status import dump, links, result_document, status_document

_YES: Final = frozenset(("true", "1", "on", "yes"))
_NO: Final = frozenset(("false", "0", "off", "no"))


async def status(request: web.Request) -> web.Response:
    """``GET /api/{collection}/status/{id}`` and ``GET /api/jobs/{id}``."""
    match = request.match_info
    tenant = request[PRINCIPAL].tenant
    to_result = _wants_redirect(request)
    after = read_after(request.query.get("after"))
    if (seconds := request.query.get("wait")) is not None:
        await _wait(request, read_number(seconds, "wait"), after)
    job = await request.app[LOOKUP].job(tenant, match["id"], collection=match.get("collection"))
    if job.state is State.COMPLETED and to_result:
        return empty(303, {hdrs.LOCATION: links(job.type, str(job.id))["result"]})
    prospect = await request.app[OUTLOOK].of(job)
    answered: dict[str, str] = {}
    if not job.has_ended:
        wait = retry_after(job, datetime.now(UTC), prospect.completion)
        answered[hdrs.RETRY_AFTER] = str(wait)
    body = dump(status_document(job) | prospect.members)
    return written(body, headers=answered, known=request.headers.get(hdrs.IF_NONE_MATCH))


async def result(request: web.Request) -> web.Response:
    """``GET /api/{collection}/result/{id}``."""
    match = request.match_info
    job = await request.app[LOOKUP].result(
        request[PRINCIPAL].tenant, match["id"], collection=match["collection"]
    )
    return document(result_document(job))


async def cancel(request: web.Request) -> web.Response:
    """``POST /api/{collection}/cancel/{id}`` and ``DELETE /api/jobs/{id}``."""
    match = request.match_info
    job = await request.app[CONTROL].cancel(
        request[PRINCIPAL].tenant, match["id"], collection=match.get("collection")
    )
    return document(status_document(job), status=200 if job.has_ended else 202)


async def replay(request: web.Request) -> web.Response:
    """``POST /api/jobs/{id}/replay``."""
    job = await request.app[CONTROL].replay(request[PRINCIPAL].tenant, request.match_info["id"])
    return document(status_document(job), status=202)


async def release(request: web.Request) -> web.Response:
    """``POST /api/jobs/{id}/release``."""
    job = await request.app[CONTROL].release(request[PRINCIPAL].tenant, request.match_info["id"])
    return document(status_document(job))


async def list_jobs(request: web.Request) -> web.Response:
    """``GET /api/jobs``."""
    query = request.query
    if len(query) != len(set(query)):
        raise Malformed("A parameter is given more than once.")
    page = read_page(query)
    return document(await request.app[LOOKUP].page(request[PRINCIPAL].tenant, page))


async def _wait(request: web.Request, seconds: int, after: int | None) -> None:
    """Hold the answer until there is news past *after*, for at most *seconds*."""
    app, tenant, name = request.app, request[PRINCIPAL].tenant, request.match_info["id"]
    seen = (await app[LOOKUP].job(tenant, name)).sequence if after is None else after
    if seconds:
        await waiting.wait(request, name, seconds=min(LONGEST_WAIT, seconds), after=seen)


def _wants_redirect(request: web.Request) -> bool:
    wanted = request.query.get("redirect")
    if wanted is None:
        return request.app[SETTINGS].status_redirect
    wanted = wanted.lower()
    if wanted not in _YES | _NO:
        raise Malformed("redirect must be true or false.")
    return wanted in _YES
