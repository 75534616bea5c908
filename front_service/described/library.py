"""The written descriptions, made when somebody first asks for them."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import Any

from front_service.described.asyncapi import AsyncApi
from front_service.described.openapi import OpenApi
from front_service.described.operation import Described
from shared.contract.job_types import Catalogue
from shared.contract.status import dump


@dataclass(frozen=True, slots=True)
class Paper:
    """A document as bytes, and the name of this very content."""

    body: bytes
    etag: str


class Library:
    """Knows the descriptions of one service; they do not change while it runs."""

    def __init__(self, table: Sequence[Described], catalogue: Catalogue) -> None:
        self._writers: Mapping[str, Callable[[], dict[str, Any]]] = {
            "openapi": lambda: OpenApi(table, catalogue).document(),
            "asyncapi": lambda: AsyncApi(table).document(),
        }
        self._papers: dict[str, Paper] = {}

    def paper(self, name: str) -> Paper:
        """Give the paper *name*; the first time it takes some milliseconds to write."""
        if name not in self._papers:
            body = dump(self._writers[name]())
            self._papers[name] = Paper(body, f'"{sha256(body).hexdigest()[:32]}"')
        return self._papers[name]
