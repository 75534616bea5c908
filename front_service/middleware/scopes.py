"""A route and the scope that it takes: what stands in the table is what is asked for."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from aiohttp import hdrs, web
from aiohttp.typedefs import Handler

from shared.contract.access import Scope


@dataclass(frozen=True, kw_only=True)
class Route(web.AbstractRouteDef):
    """One line of the table; *needs* is the scope of its callers, ``None``: it takes anybody."""

    method: str
    path: str
    needs: Scope | None
    handler: Handler
    is_stream: bool = False
    kwargs: dict[str, Any] = field(default_factory=dict)

    def register(self, router: web.UrlDispatcher) -> list[web.AbstractRoute]:
        return web.RouteDef(self.method, self.path, self.handler, self.kwargs).register(router)


class Gates:
    """Finds the line of the table that a request came by."""

    def __init__(self, routes: Iterable[Route]) -> None:
        self._routes: dict[tuple[str, str], Route] = {}
        for route in routes:
            self._routes[route.method, route.path] = route
            if route.method == hdrs.METH_GET:
                self._routes.setdefault((hdrs.METH_HEAD, route.path), route)

    def of(self, request: web.Request) -> Route | None:
        """Give the line; ``None``: there is nothing at this address, or not for this method."""
        found = request.match_info.route
        resource = found.resource
        return None if resource is None else self._routes.get((found.method, resource.canonical))
