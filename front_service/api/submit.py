"""``POST /api/{collection}/{action}``: take a request in, hand out a ticket."""

import re
from typing import Any, Final

from aiohttp import hdrs, web

from front_service.allowance import Standing
from front_service.api import waiting
from front_service.api.answers import document, rate_limits
from front_service.api.bodies import Inflow, Kind, kind_of, read_small, single
from front_service.api.multipart import read_form
from front_service.bodies import read_object
from front_service.keys import (
    ADMISSION,
    LOOKUP,
    PRINCIPAL,
    QUOTAS,
    SETTINGS,
    TRACE,
    TRACK_ID,
    UPLOADS,
)
from front_service.vetting import Ask
from shared.contract import headers
from shared.contract.access import Scope
from shared.contract.errors import UketsukeError
from shared.contract.ids import TrackId
from shared.contract.status import status_document

PREFERENCE_APPLIED: Final = "Preference-Applied"
_RESPOND_ASYNC: Final = "respond-async"

LONGEST_WAIT: Final = 60

_WAIT = re.compile(r"(?:^|[,;\s])wait\s*=\s*\"?([0-9]{1,9})(?=$|[,;\s\"])", re.IGNORECASE)
_ASYNC = re.compile(r"(?:^|[,;\s])respond-async(?:$|[,;\s])", re.IGNORECASE)


async def submit(request: web.Request) -> web.Response:
    """Answer 202 once the job is durable; 200 if it ends within what ``Prefer: wait`` allows."""
    ask, standing = await _ask(request)
    ticket = await request.app[ADMISSION].submit(ask)
    content = ticket.document
    answered: dict[str, str] = {hdrs.LOCATION: content["statusUrl"]}
    if standing is not None:
        answered |= rate_limits(standing)
    if ticket.replayed:
        answered[headers.IDEMPOTENT_REPLAYED] = "true"
    if (wishes := request.headers.get(waiting.PREFER)) is not None:
        may_read = Scope.READ in request[PRINCIPAL].scopes
        wait = _wait(wishes) if may_read else 0
        ended = await _ended(request, content["jobId"], wait) if wait else None
        if ended is not None:
            answered[PREFERENCE_APPLIED] = f"wait={wait}"
            return document(ended, headers=answered)
        if wait or _ASYNC.search(wishes):
            answered[PREFERENCE_APPLIED] = _RESPOND_ASYNC
    answered[hdrs.RETRY_AFTER] = "1"
    return document(content, status=202, headers=answered)


def _wait(wishes: str) -> int:
    """Read how many seconds the caller would wait; 0 if it said nothing that can be read."""
    found = _WAIT.search(wishes)
    return 0 if found is None else min(LONGEST_WAIT, int(found[1]))


async def _ended(request: web.Request, job_id: str, wait: int) -> dict[str, Any] | None:
    """Wait for the ending; ``None`` if it does not come in time. The job is safe either way.

    So it is if the caller's key ends meanwhile: he has the ticket at once, and no result.
    """
    try:
        await waiting.wait(request, job_id, seconds=wait)
        job = await request.app[LOOKUP].job(request[PRINCIPAL].tenant, job_id)
    except UketsukeError:
        return None
    return status_document(job) if job.has_ended else None


async def _ask(request: web.Request) -> tuple[Ask, Standing | None]:
    """Read the request, once its caller's quotas have room for it."""
    principal, match = request[PRINCIPAL], request.match_info
    name = f"{match['collection']}.{match['action']}"
    idempotency_key = single(request, headers.IDEMPOTENCY_KEY)
    request.app[ADMISSION].check(name, idempotency_key)
    standing = await request.app[QUOTAS].submit(principal.tenant)
    members, digests = await _members(request)
    ask = Ask(
        tenant=principal.tenant,
        caller=principal.name,
        type=name,
        members=members,
        track_id=TrackId(request[TRACK_ID]),
        traceparent=request.get(TRACE, request.headers.get(headers.TRACEPARENT)),
        idempotency_key=idempotency_key,
        digests=digests,
    )
    return ask, standing


async def _members(request: web.Request) -> tuple[dict[str, Any], dict[str, str]]:
    """Read the request's members and the digests of the files that came along."""
    app = request.app
    most = app[SETTINGS].max_body
    if kind_of(request) is Kind.JSON:
        return read_object(await read_small(request, most)), {}
    inflow = Inflow(request, app[SETTINGS].max_upload)
    tenant = request[PRINCIPAL].tenant
    form = await read_form(request, inflow, app[UPLOADS], tenant, most_bytes=most)
    return form.filled()
