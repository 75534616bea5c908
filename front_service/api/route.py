"""A row of the route table: where, for whom, what serves it, and what it says of itself."""

from dataclasses import dataclass
from functools import partial
from typing import Final

from aiohttp import hdrs, web
from aiohttp.typedefs import Handler

from front_service.api.bodies import asked_later
from front_service.described.operation import Operation
from shared.contract.access import Scope
from shared.contract.job_types import OURS

_NOT_OURS: Final = f"(?!(?:{'|'.join(sorted(OURS))})/)[^{{}}/]+"


@dataclass(frozen=True, slots=True)
class Route:
    """No route without its description: it is what callers are promised.

    *needs* is the scope of its callers; ``None``: it takes anybody.
    """

    method: str
    path: str
    needs: Scope | None
    handler: Handler
    operation: Operation
    also_head: bool = True  # of a GET

    @property
    def is_stream(self) -> bool:
        return self.operation.channel is not None

    def mount(self, router: web.UrlDispatcher) -> None:
        """Let *router* serve it."""
        path = self.path
        if self.operation.for_each_job_type:  # what is ours is no job type, nor is it allowed there
            path = path.replace("{collection}", f"{{collection:{_NOT_OURS}}}")
        if self.method == hdrs.METH_GET:
            router.add_get(
                path, self.handler, allow_head=self.also_head, expect_handler=asked_later
            )
        else:
            router.add_route(self.method, path, self.handler, expect_handler=asked_later)


get: Final = partial(Route, hdrs.METH_GET)
post: Final = partial(Route, hdrs.METH_POST)
delete: Final = partial(Route, hdrs.METH_DELETE)
