"""A client that knows nothing but the two documents: made while it runs, for any service.

An operation is a name, and what it takes are names; where each of them goes, which body it has
and what may come back is read from the document. So is where an answer leads: its links.
"""

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

import aiohttp
import orjson
from jsonschema import Draft202012Validator

from tests.support.conformance import Conformance, formats


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def content(self) -> Any:
        return orjson.loads(self.body)


@dataclass(frozen=True, slots=True)
class Place:
    method: str
    path: str
    said: Mapping[str, Any]


class Stranger:
    """Calls operations by their names; refuses to send or to take what is not described."""

    def __init__(self, session: aiohttp.ClientSession, document: Mapping[str, Any]) -> None:
        self._session, self._document = session, document
        self._conformance = Conformance(document)
        self.places = {
            said["operationId"]: Place(method.upper(), path, said)
            for path, methods in document["paths"].items()
            for method, said in methods.items()
        }
        self.answered: dict[str, set[int]] = defaultdict(set)

    async def call(self, name: str, body: Any = None, **given: Any) -> Reply:
        """Call operation *name*; a *body* that is no bytes is sent as JSON."""
        place = self.places[name]
        url, query, headers = self._placed(place, given)
        content = self._body(place, body, headers)
        async with self._session.request(
            place.method, url, params=query, headers=headers, data=content, allow_redirects=False
        ) as response:
            raw = await response.read()
            reply = Reply(status=response.status, headers=response.headers, body=raw)
        faults = self._conformance.faults(place.method, url, reply.status, reply.headers, raw)
        assert faults == [], f"{name}: {faults}"
        self.answered[name].add(reply.status)
        return reply

    async def follow(self, name: str, reply: Reply, link: str) -> Reply:
        """Go where *reply*, an answer of operation *name*, leads by *link*."""
        said = self.places[name].said["responses"][str(reply.status)]["links"][link]
        given = {key: _evaluated(value, reply) for key, value in said["parameters"].items()}
        return await self.call(said["operationId"], **given)

    def example(self, name: str) -> Any:
        """Give the first example of what operation *name* takes as JSON."""
        schema = self.places[name].said["requestBody"]["content"]["application/json"]["schema"]
        return self._resolved(schema)["examples"][0]

    def _placed(
        self, place: Place, given: Mapping[str, Any]
    ) -> tuple[str, dict[str, str], dict[str, str]]:
        by_place: dict[str, dict[str, str]] = {"path": {}, "query": {}, "header": {}}
        described = {one["name"]: one for one in place.said["parameters"]}
        for key, value in given.items():
            one = described[key]
            self._check(one["schema"], value)
            by_place[one["in"]][key] = str(value)
        path = {key: quote(value, safe="") for key, value in by_place["path"].items()}
        return place.path.format(**path), by_place["query"], by_place["header"]

    def _body(self, place: Place, body: Any, headers: dict[str, str]) -> bytes | None:
        if body is None:
            return None
        content = place.said["requestBody"]["content"]
        if isinstance(body, bytes):
            assert "*/*" in content
            return body
        self._check(content["application/json"]["schema"], body)
        headers["Content-Type"] = "application/json"
        return orjson.dumps(body)

    def _check(self, schema: Mapping[str, Any], value: object) -> None:
        whole = {**schema, "components": self._document["components"]}
        Draft202012Validator(whole, format_checker=formats).validate(value)

    def _resolved(self, schema: Mapping[str, Any]) -> Any:
        node: Any = self._document
        for step in schema["$ref"].removeprefix("#/").split("/"):
            node = node[step]
        return node


def _evaluated(expression: str, reply: Reply) -> Any:
    """Read a runtime expression of OpenAPI: a constant, or a member of the answer's body."""
    begin = "$response.body#"
    if not expression.startswith(begin):
        return expression
    node = reply.content
    for step in expression.removeprefix(begin).lstrip("/").split("/"):
        node = node[step]
    return node
