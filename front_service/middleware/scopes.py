"""Which line of the route table a request came by: the scope that stands there is asked for."""

from collections.abc import Iterable

from aiohttp import hdrs, web

from front_service.api.route import Route


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
