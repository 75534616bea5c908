"""Operate: many jobs at once, the dead letters, what goes on, and what could be run."""

from typing import Final

from aiohttp import web
from pydantic import ValidationError

from front_service.api.answers import document
from front_service.api.bodies import Kind, kind_of, read_small
from front_service.bodies import read_object
from front_service.keys import BULK, LOOKUP, OVERVIEW, PRINCIPAL, SETTINGS
from front_service.lookup import read_page
from front_service.vetting import told
from shared.contract.errors import Invalid, Malformed, UnsupportedMedia
from shared.contract.operating import BulkRequest
from shared.contract.states import State

_DEAD: Final = frozenset((State.FAILED,))


async def bulk(request: web.Request) -> web.Response:
    """``POST /api/jobs/bulk``."""
    if kind_of(request) is not Kind.JSON:
        raise UnsupportedMedia("Send application/json in UTF-8.")
    body = read_object(await read_small(request, request.app[SETTINGS].max_body))
    try:
        wish = BulkRequest.model_validate(body)
    except ValidationError as error:
        raise Invalid(told(error, body)) from None
    answer = await request.app[BULK].do(request[PRINCIPAL].tenant, wish)
    return document(answer.model_dump(mode="json", by_alias=True, exclude_none=True))


async def dead_letters(request: web.Request) -> web.Response:
    """``GET /api/dead-letters``: the list of jobs that failed for good."""
    query = request.query
    if len(query) != len(set(query)):
        raise Malformed("A parameter is given more than once.")
    page = read_page(query, only=_DEAD)
    return document(await request.app[LOOKUP].page(request[PRINCIPAL].tenant, page))


async def stats(request: web.Request) -> web.Response:
    """``GET /api/stats``."""
    return document(await request.app[OVERVIEW].stats(request[PRINCIPAL].tenant))


async def job_types(request: web.Request) -> web.Response:
    """``GET /api/job-types``."""
    return document(await request.app[OVERVIEW].job_types())
