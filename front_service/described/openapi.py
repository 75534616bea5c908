"""Write the OpenAPI 3.1 document of the route table.

Refusals are described by the very classes that are raised: status, code and title are theirs.
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from copy import deepcopy
from http import HTTPStatus
from typing import Any, Final

from front_service.described import common
from front_service.described.models import Problem
from front_service.described.operation import Answer, Described, Header, Operation, Parameter
from front_service.described.schemas import Schemas
from front_service.refusals import NoSuchPlace
from shared.contract.access import Scope
from shared.contract.errors import UketsukeError
from shared.contract.job_types import Catalogue, JobType

_BEARER: Final = "bearer"
_IN_PATH = re.compile(r"\{(\w+)\}")
_RESPONSES: Final = "#/components/responses/"


class OpenApi:
    """Makes one document; used once."""

    def __init__(self, table: Iterable[Described], catalogue: Catalogue) -> None:
        self._table, self._catalogue = table, catalogue
        self._schemas = Schemas()
        self._responses: dict[str, Any] = {}

    def document(self) -> dict[str, Any]:
        """Answer the whole document; raise ``ValueError`` for a route that is not described."""
        paths: dict[str, dict[str, Any]] = {}
        tags = set[str]()
        for route in self._table:
            tags.add(route.operation.tag)
            for path, written in self._written(route):
                paths.setdefault(path, {})[route.method.lower()] = written
        return {
            "openapi": "3.1.0",
            "info": {
                "title": "Uketsuke",
                "version": common.VERSION,
                "summary": "Take a request at once, hand out a ticket, tell when it is done.",
                "description": common.INTRODUCTION,
                "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
            },
            "servers": [{"url": "/"}],
            "tags": [
                {"name": tag, "description": text}
                for tag, text in common.TAGS.items()
                if tag in tags
            ],
            "paths": paths,
            "components": {
                "schemas": dict(sorted(self._schemas.components.items())),
                "responses": dict(sorted(self._responses.items())),
                "securitySchemes": {_BEARER: common.BEARER},
            },
        }

    def _written(self, route: Described) -> Iterator[tuple[str, dict[str, Any]]]:
        """Give the route's paths, each with its description: one, or one for each job type."""
        operation, path = route.operation, route.path
        if not operation.for_each_job_type:
            yield path, self._operation(operation, path, route.needs)
            return
        for job_type in self._catalogue.values():
            place = path.replace("{collection}", job_type.collection)
            place = place.replace("{action}", job_type.action)
            yield place, self._submit(operation, place, route.needs, job_type)

    def _submit(
        self, operation: Operation, path: str, needs: Scope | None, job_type: JobType
    ) -> dict[str, Any]:
        body, result = self._schemas.of_job_type(job_type)
        written = self._operation(operation, path, needs)
        about = [job_type.description, operation.text]
        content: dict[str, Any] = {"application/json": {"schema": body}}
        if "file-reference" in repr(self._schemas.components[f"{job_type.name}.submit"]):
            content["multipart/form-data"] = common.form(body)
        written |= {
            "operationId": f"{operation.name}_{job_type.collection}_{job_type.action}",
            "summary": f"Submit {job_type.name}",
            "description": "\n\n".join(filter(None, about)),
            "requestBody": {"required": True, "content": content},
        }
        place_of_result = written["responses"]["202"]["links"]["result"]
        place_of_result["parameters"] |= {"collection": job_type.collection}
        if result is not None:
            media = written["responses"]["200"]["content"]["application/json"]
            media["schema"] = {
                "allOf": [media["schema"], {"properties": {"results": result}}],
            }
        return written

    def _operation(self, operation: Operation, path: str, needs: Scope | None) -> dict[str, Any]:
        written: dict[str, Any] = {
            "operationId": operation.name,
            "summary": operation.summary,
            "description": operation.text,
            "tags": [operation.tag],
            "parameters": [_parameter(one) for one in self._parameters(operation, path)],
            "responses": self._answers(operation, path, needs),
            "security": [] if needs is None else [{_BEARER: [needs]}, {}],
        }
        if operation.body is not None:
            written["requestBody"] = {
                "description": operation.body.text,
                "required": operation.body.required,
                "content": self._schemas.taken(operation.body.content),
            }
        return written

    def _parameters(self, operation: Operation, path: str) -> Iterator[Parameter]:
        named = _IN_PATH.findall(path)
        known = {one.name for one in operation.parameters if one.place == "path"}
        if "collection" in named:
            yield common.collection(job_type.collection for job_type in self._catalogue.values())
        if known != set(named) - {"collection"}:
            raise ValueError(f"{operation.name}: {path} and its description name other parameters")
        yield from (*operation.parameters, *common.ON_ANY_REQUEST)

    def _answers(self, operation: Operation, path: str, needs: Scope | None) -> dict[str, Any]:
        written = {str(answer.status): self._answer(answer) for answer in operation.answers}
        refusals: dict[int, dict[str, type[UketsukeError]]] = {}
        anywhere = common.ANY_ROUTE_REFUSES
        if needs is not None:
            anywhere += common.ENTRANCE_REFUSES
        if _IN_PATH.search(path):
            anywhere += (NoSuchPlace,)  # for braces, which fill no place
        for error in (*operation.refusals, *anywhere):
            refusals.setdefault(error.status, {})[error.code] = error
        for status, errors in sorted(refusals.items()):
            if str(status) in written:
                raise ValueError(f"{operation.name}: {status} is both an answer and a refusal")
            written[str(status)] = {"$ref": _RESPONSES + self._refusal(status, errors)}
        return dict(sorted(written.items()))

    def _answer(self, answer: Answer) -> dict[str, Any]:
        written: dict[str, Any] = {
            "description": answer.text,
            "headers": _headers((*answer.headers, *common.ON_ANY_ANSWER)),
        }
        if answer.content:
            written["content"] = self._schemas.answered(answer.content)
        if answer.links:
            written["links"] = {name: deepcopy(link) for name, link in answer.links.items()}
        return written

    def _refusal(self, status: int, errors: Mapping[str, type[UketsukeError]]) -> str:
        """Describe the problem documents of one status, and name the description."""
        name = "-or-".join(sorted(errors))
        codes = {"code": {"enum": sorted(errors)}, "status": {"const": status}}
        schema = {"allOf": [self._schemas.of(Problem), {"properties": codes}]}
        titles = [f"`{code}`: {errors[code].title}" for code in sorted(errors)]
        self._responses[name] = {
            "description": f"{HTTPStatus(status).phrase}. {'; '.join(titles)}.",
            "headers": _headers((*common.OF_A_REFUSAL.get(status, ()), *common.ON_ANY_ANSWER)),
            "content": {common.PROBLEM: {"schema": schema, "examples": _examples(errors)}},
        }
        return name


def _parameter(one: Parameter) -> dict[str, Any]:
    return {
        "name": one.name,
        "in": one.place,
        "required": one.place == "path",
        "description": one.text,
        "schema": dict(one.schema),
    }


def _headers(headers: Iterable[Header]) -> dict[str, Any]:
    return {
        one.name: {"description": one.text, "required": one.always, "schema": dict(one.schema)}
        for one in headers
    }


def _examples(errors: Mapping[str, type[UketsukeError]]) -> dict[str, Any]:
    return {
        code: {
            "value": {
                "type": f"urn:uketsuke:problem:{code}",
                "title": error.title,
                "status": error.status,
                "detail": error.title,
                "code": code,
                "trackId": "01a210b9e87577bbb838",
                "error": error.title,
            }
        }
        for code, error in sorted(errors.items())
    }
