"""The way in: who calls, whether his page may, and whether his scopes open this route."""

from collections.abc import Iterable

from aiohttp import hdrs, web
from aiohttp.typedefs import Handler

from front_service.api.route import Route
from front_service.api.waiting import may_wait
from front_service.attendance import Attendance
from front_service.identity import Doorkeeper
from front_service.keys import GRANT, PRINCIPAL, SEAT
from front_service.middleware.scopes import Gates
from front_service.push.reader import token_of
from front_service.quotas import Quotas
from front_service.tokens import Tokens
from shared.contract.errors import Malformed


class Entrance:
    """Lets requests in by the lines of the table *routes*."""

    def __init__(
        self,
        doorkeeper: Doorkeeper,
        attendance: Attendance,
        quotas: Quotas,
        tokens: Tokens,
        routes: Iterable[Route],
    ) -> None:
        self._doorkeeper, self._attendance = doorkeeper, attendance
        self._quotas, self._tokens = quotas, tokens
        self._gates = Gates(routes)

    def check_page(self, request: web.Request) -> None:
        """Raise ``Forbidden`` for a browser's page, or a host name, that may not call here."""
        given = request.headers
        self._doorkeeper.check_page(given.get(hdrs.HOST), given.get(hdrs.ORIGIN))

    async def pass_by(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """Let *request* in to *handler*, or raise why not."""
        gate = self._gates.of(request)
        if gate is not None and gate.needs is None:
            return await handler(request)
        if gate is not None and gate.is_stream and (token := token_of(request)) is not None:
            return await self._let_read(request, handler, token)
        given = request.headers
        principal = await self._doorkeeper.admit(
            given.get(hdrs.HOST), given.get(hdrs.ORIGIN), _shown(request)
        )
        request[PRINCIPAL] = principal
        if gate is None:  # the router refuses it
            return await handler(request)
        if gate.needs is not None:
            principal.check(gate.needs)
        if not gate.is_stream:
            if may_wait(request):
                with self._attendance.seat(principal) as seat:
                    request[SEAT] = seat
                    return await handler(request)
            return await handler(request)
        async with self._quotas.stream(principal.tenant):
            with self._attendance.seat(principal) as seat:
                request[SEAT] = seat
                return await handler(request)

    async def _let_read(
        self, request: web.Request, handler: Handler, token: str
    ) -> web.StreamResponse:
        """Let the holder of a read token on to a stream; which job it is for is judged there."""
        request[GRANT] = grant = self._tokens.read(token)
        async with self._quotas.stream(grant.tenant):
            return await handler(request)


def _shown(request: web.Request) -> str | None:
    shown = request.headers.getall(hdrs.AUTHORIZATION, ())
    if len(shown) > 1:
        raise Malformed("Authorization is given more than once.")
    return shown[0] if shown else None
