"""Hold what the service answers against what its OpenAPI document says it answers.

Stricter than the document: a member that it does not name is a mistake here, while a client must
put up with members that are new to it.
"""

import re
from collections.abc import Iterator, Mapping
from datetime import datetime
from functools import lru_cache
from typing import Any, Final
from uuid import UUID

import aiohttp
import orjson
from jsonschema import Draft202012Validator, FormatChecker

_VERBS: Final = frozenset({"DELETE", "GET", "POST", "PUT", "PATCH"})
_BODILESS: Final = frozenset({101, 204, 303, 304})
_STREAMS: Final = frozenset({"text/event-stream"})

formats: Final = FormatChecker(())


@formats.checks("uuid", raises=ValueError)
def _is_uuid(text: object) -> bool:
    return not isinstance(text, str) or str(UUID(text)) == text


@formats.checks("date-time", raises=ValueError)
def _is_instant(text: object) -> bool:
    """RFC 3339 in UTC with ``Z``: what the service promises."""
    return not isinstance(text, str) or (
        text.endswith("Z") and datetime.fromisoformat(text).tzinfo is not None
    )


class Conformance:
    """Judges answers by one *document*."""

    def __init__(self, document: Mapping[str, Any]) -> None:
        self._document = document
        self._components = {
            **document["components"],
            "schemas": {
                name: _closed(name, schema)
                for name, schema in document["components"]["schemas"].items()
            },
        }
        self._patterns = [
            (re.compile(re.sub(r"\\\{\w+\\\}", "[^/]+", re.escape(path))), methods)
            for path, methods in sorted(document["paths"].items(), key=lambda one: "{" in one[0])
        ]
        self._validator = lru_cache(maxsize=None)(self._make_validator)

    def operation(self, method: str, path: str) -> Mapping[str, Any] | None:
        """Find what is asked; what is written out comes before what has a place to fill in."""
        verb = "get" if method == "HEAD" else method.lower()
        for pattern, methods in self._patterns:
            if pattern.fullmatch(path) and verb in methods:
                found: Mapping[str, Any] = methods[verb]
                return found
        return None

    def faults(
        self, method: str, path: str, status: int, headers: Mapping[str, str], body: bytes | None
    ) -> list[str]:
        """List what is wrong with an answer; *body* is ``None`` where there is none to be had."""
        operation = self.operation(method, path)
        if operation is None:  # no place of ours: a problem document all the same
            wanted = {"content": {"application/problem+json": {"schema": _PROBLEM}}}
        else:
            wanted = operation["responses"].get(str(status))
            if wanted is None:
                return [f"{status} is not listed: {(body or b'')[:200]!r}"]
            name = wanted.get("$ref", "").rpartition("/")[2]
            wanted = self._document["components"]["responses"][name] if name else wanted
        faults = list(self._headers(wanted.get("headers", {}), headers))
        if body is None or method == "HEAD" or status in _BODILESS:
            return faults
        return [*faults, *self._body(wanted.get("content", {}), headers, body)]

    def _headers(self, wanted: Mapping[str, Any], given: Mapping[str, str]) -> Iterator[str]:
        for name, header in wanted.items():
            text = given.get(name)
            if text is None:
                if header["required"]:
                    yield f"the header {name} is missing"
                continue
            is_number = header["schema"].get("type") == "integer" and text.isdecimal()
            value = int(text) if is_number else text
            for error in Draft202012Validator(header["schema"]).iter_errors(value):
                yield f"{name}: {error.message}"

    def _body(
        self, wanted: Mapping[str, Any], headers: Mapping[str, str], body: bytes
    ) -> Iterator[str]:
        media = headers.get("Content-Type", "").partition(";")[0]
        if "*/*" in wanted:
            return
        if media not in wanted:
            yield f"{media or 'no type'} is not listed"
        elif media.endswith("json"):
            validator = self._validator(orjson.dumps(wanted[media]["schema"]))
            for error in validator.iter_errors(orjson.loads(body)):
                yield f"{error.json_path}: {error.message[:300]}"

    def _make_validator(self, schema: bytes) -> Draft202012Validator:
        whole = {**orjson.loads(schema), "components": self._components}
        return Draft202012Validator(whole, format_checker=formats)


_PROBLEM: Final = {"$ref": "#/components/schemas/Problem"}


def _closed(name: str, schema: dict[str, Any]) -> dict[str, Any]:
    is_ours = "." not in name and schema.get("type") == "object"
    return {"additionalProperties": False} | schema if is_ours else schema


def watchful(conformance: Conformance) -> aiohttp.TraceConfig:
    """Make a session fail on every answer that is not as *conformance* wants it."""

    async def look(_session: object, _context: object, seen: Any) -> None:
        response: aiohttp.ClientResponse = seen.response
        method, path = seen.method, seen.url.raw_path
        if method not in _VERBS | {"HEAD"}:
            return
        media = response.headers.get("Content-Type", "").partition(";")[0]
        is_told = media.endswith("json") and "Content-Disposition" not in response.headers
        body = await response.read() if is_told else None
        faults = conformance.faults(method, path, response.status, response.headers, body)
        assert faults == [], f"{method} {path}: {response.status} is not as described: {faults}"

    config = aiohttp.TraceConfig()
    config.on_request_end.append(look)
    return config
