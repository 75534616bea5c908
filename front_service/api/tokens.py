"""``POST /api/jobs/{id}/tokens``: let somebody without an API key follow one job for a while."""

from typing import Final

from aiohttp import web
from pydantic import ValidationError

from front_service.api.answers import document
from front_service.api.bodies import Kind, kind_of, read_small
from front_service.bodies import read_object
from front_service.keys import LOOKUP, PRINCIPAL, TOKENS
from front_service.pointers import mistake
from front_service.tokens import TokenRequest
from shared.contract.errors import Invalid, UnsupportedMedia
from shared.contract.status import links

_LARGEST: Final = 1_024  # bytes


async def mint(request: web.Request) -> web.Response:
    """Answer 201 with the token and the addresses that it opens."""
    tenant = request[PRINCIPAL].tenant
    wanted = await _wanted(request)
    job = await request.app[LOOKUP].job(tenant, request.match_info["id"])
    token, grant = request.app[TOKENS].mint(tenant, job.id, wanted.ttl_seconds)
    places = links(job.type, str(job.id))
    content = {
        "jobId": str(job.id),
        "token": token,
        "expiresAt": grant.expires_at,
        "_links": {name: f"{places[name]}?token={token}" for name in ("events", "socket")},
    }
    return document(content, status=201)


async def _wanted(request: web.Request) -> TokenRequest:
    """Read the body; none at all means what is usual."""
    if not request.body_exists:
        return TokenRequest()
    if kind_of(request) is not Kind.JSON:
        raise UnsupportedMedia("Send application/json in UTF-8.")
    body = await read_small(request, _LARGEST)
    try:
        return TokenRequest.model_validate(read_object(body))
    except ValidationError as error:
        raise Invalid(
            [mistake(one["loc"], one["msg"]) for one in error.errors(include_url=False)]
        ) from None
