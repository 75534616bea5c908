"""The outermost layer: a TrackID for every request, and a problem document for every refusal.

What was raised on purpose is told (RFC 9457); anything else is a bug: logged in full, and told
as a bare 500.
"""

from typing import Final

import structlog
from aiohttp import hdrs, web
from aiohttp.typedefs import Handler, Middleware

from front_service.api.answers import problem
from front_service.heads import Heads
from front_service.health import Readiness
from front_service.keys import MARKS, TRACK_ID
from front_service.middleware.entrance import Entrance
from front_service.middleware.forms import check_form
from front_service.middleware.origins import is_preflight, preflight, readable_by
from front_service.refusals import Bug, Misframed, NoSuchPlace, WrongMethod
from shared.contract import headers
from shared.contract.errors import Refusal, TooLarge, UketsukeError
from shared.contract.ids import parse_track_id
from shared.runtime.metrics import FrontMetrics
from shared.runtime.track import follow, fresh_track_id

log: Final = structlog.get_logger()


def edge(
    entrance: Entrance,
    *,
    heads: Heads,
    readiness: Readiness,
    metrics: FrontMetrics,
) -> Middleware:
    """Make the one middleware of the application."""

    def refuse(request: web.Request, error: UketsukeError) -> web.Response:
        metrics.refused(error.code)
        _check_that_nothing_was_sent(request, error)
        return _told(request, error)

    @web.middleware
    async def around(request: web.Request, handler: Handler) -> web.StreamResponse:
        heads.done(request.protocol)
        given = request.headers
        track_id = parse_track_id(given.get(headers.TRACK_ID)) or fresh_track_id()
        follow(track_id)  # each request has a task of its own
        request[TRACK_ID] = track_id
        marks: dict[str, str] = {headers.TRACK_ID: track_id}
        request[MARKS] = marks
        try:
            check_form(request)
            origin = given.get(hdrs.ORIGIN)
            entrance.check_page(request)
            if origin is not None:
                marks |= readable_by(origin)
            response = (
                preflight() if is_preflight(request) else await entrance.pass_by(request, handler)
            )
        except UketsukeError as error:
            response = refuse(request, error)
        except web.HTTPException as error:
            response = refuse(request, _ours(error))
        except ConnectionError:
            raise  # the client is gone: there is nobody to tell
        except Exception:  # this is where bugs end
            log.exception("request failed", method=request.method, route=_route(request))
            response = refuse(request, Bug())
        if not response.prepared:  # else it has them already
            response.headers.update(marks)
            if readiness.is_draining or _is_the_last(request):
                response.force_close()
        return response

    return around


def _told(request: web.Request, error: UketsukeError) -> web.Response:
    response = problem(error, request[TRACK_ID])
    if hdrs.EXPECT in request.headers or isinstance(error, Misframed):
        response.force_close()  # the next bytes may be the body, or another request
    return response


def _is_the_last(request: web.Request) -> bool:
    """Tell a request after whose refusal the parser takes nothing for HTTP any more."""
    return hdrs.UPGRADE in request.headers or request.method == hdrs.METH_CONNECT


def _check_that_nothing_was_sent(request: web.Request, error: UketsukeError) -> None:
    """Drop the line if an answer has begun: a second one would be read as a piece of it."""
    if request.writer.output_size > 0:
        log.warning("answer broke off", route=_route(request), why=error.detail)
        raise ConnectionError("the answer has begun")


def _ours(error: web.HTTPException) -> UketsukeError:
    """Say in our words what the library refuses by itself."""
    match error:
        case web.HTTPNotFound():
            return NoSuchPlace()
        case web.HTTPMethodNotAllowed():
            return WrongMethod(error.allowed_methods)
        case web.HTTPRequestEntityTooLarge():
            return TooLarge()
        case _:
            return Refusal(error.reason)


def _route(request: web.Request) -> str:
    resource = request.match_info.route.resource
    return "unknown" if resource is None else resource.canonical
