"""The OpenAPI document: valid, whole, and of the very routes, errors and models that serve."""

import tomllib
from collections.abc import Iterator
from dataclasses import replace
from typing import Annotated, Any, Final, Literal

import pytest
from jsonschema import Draft202012Validator
from openapi_spec_validator import OpenAPIV31SpecValidator
from pydantic import BaseModel, ConfigDict, Field, RootModel

from front_service import refusals
from front_service.api.route import get
from front_service.described.common import VERSION
from front_service.described.jobs import LIST
from front_service.described.openapi import OpenApi
from front_service.lookup import read_page
from front_service.routes import READ, ROUTES
from shared.contract import errors
from shared.contract.errors import Malformed, UketsukeError
from shared.contract.job_types import Catalogue, JobType
from shared.runtime.catalogue import BUILT_IN_JOB_TYPES, load_job_types
from tests.front.conftest import desk as desk  # noqa: PLC0414  # a fixture, shared by its name
from tests.front.desk import Desk
from tests.front.job_types import CATALOGUE
from tests.house.sources import ROOT

DOCUMENT: Final = OpenApi(ROUTES, load_job_types(BUILT_IN_JOB_TYPES)).document()
NOT_TOLD: Final = {
    "error": "the root, never raised itself",
    "method_not_allowed": "of what has no description",
    "unknown_job_type": "each job type that is known has its own address",
    "wrong_state": "the root of its kind, never raised itself",
}


def operations(document: dict[str, Any]) -> Iterator[tuple[str, str, dict[str, Any]]]:
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            yield method, path, operation


def test_the_document_is_valid() -> None:
    """By the rules of OpenAPI 3.1, for any tool that reads it."""
    assert list(OpenAPIV31SpecValidator(DOCUMENT).iter_errors()) == []


async def test_every_route_that_serves_is_described(desk: Desk) -> None:
    """By address and method. HEAD goes without saying where there is GET."""
    served = {
        (route.method.lower(), place)
        for route in desk.front.app.router.routes()
        if route.method != "HEAD" and route.resource is not None
        for place in written_out(route.resource.canonical)
    }
    async with desk.session.get(f"{desk.url}/openapi.json") as response:
        document = await response.json()

    assert {(method, path) for method, path, _ in operations(document)} == served


def written_out(path: str) -> list[str]:
    if "{action}" not in path:
        return [path]
    return [f"/api/{job_type.collection}/{job_type.action}" for job_type in CATALOGUE.values()]


def test_a_route_without_a_description_cannot_be_made() -> None:
    """Nobody has to remember."""
    with pytest.raises(TypeError, match="operation"):
        get("/api/stats", READ, _never)  # type: ignore[call-arg]


def test_a_description_that_does_not_fit_its_path_is_refused() -> None:
    """A place to fill in that nobody explains, or one that is explained and not there."""
    with pytest.raises(ValueError, match="name other parameters"):
        OpenApi([get("/api/stats/{pool}", READ, _never, LIST)], CATALOGUE).document()


async def _never(_: Any) -> Any:
    raise AssertionError("nobody asks")


def test_every_operation_has_a_name_of_its_own() -> None:
    """A generated client makes a method of each."""
    names = [operation["operationId"] for _, _, operation in operations(DOCUMENT)]

    assert sorted(set(names)) == sorted(names)


def test_every_error_is_described_somewhere() -> None:
    """By its code; those that cannot reach a caller of a described route have their reason."""
    told = set[str]()
    for response in DOCUMENT["components"]["responses"].values():
        schema = response["content"]["application/problem+json"]["schema"]
        told |= set(schema["allOf"][1]["properties"]["code"]["enum"])
    known = {
        value.code
        for module in (errors, refusals)
        for value in vars(module).values()
        if isinstance(value, type) and issubclass(value, UketsukeError)
    }

    assert known - told == set(NOT_TOLD)
    assert told <= known


def test_the_filters_of_the_list_are_those_that_it_takes() -> None:
    """One that is told and refused, or taken and not told, would be a lie."""
    path = DOCUMENT["paths"]["/api/jobs"]["get"]
    told = {one["name"]: one["schema"] for one in path["parameters"] if one["in"] == "query"}
    fitting = {
        "status": "failed",
        "state": "queued",
        "createdAfter": "2030-01-31T12:00:00Z",
        "createdBefore": "2030-01-31T12:00:00Z",
        "limit": "7",
        "cursor": "A" * 22,
        "batch": "01985e6c-3b7a-7c4e-8f21-5d0e9a6b7c11",
    }

    for name in told:
        read_page({name: fitting.get(name, "x")})
    with pytest.raises(Malformed):
        read_page({"other": "x"})
    assert set(told) == {*fitting, "type", "orderingKey", "tag"}


def test_a_submit_takes_the_request_and_what_any_submit_may_have() -> None:
    """The model's own members, closed if it is, beside ``callbackUrl`` and ``job``."""
    schema = body_of("/api/demo/sleep", DOCUMENT)

    assert faults(schema, DOCUMENT, {"seconds": 2, "job": {"tags": ["a"]}}) == []
    assert faults(schema, DOCUMENT, {"seconds": 2, "callbackUrl": None, "job": None}) == []
    assert faults(schema, DOCUMENT, {"second": 2}) != []
    assert faults(schema, DOCUMENT, {"job": {"priority": "highest"}}) != []


def test_a_request_that_is_one_of_several_keeps_its_choice() -> None:
    """Each of the models takes our members, and none takes another's."""

    class Cat(BaseModel):
        model_config = ConfigDict(extra="forbid")
        kind: Literal["cat"]
        lives: int

    class Dog(BaseModel):
        model_config = ConfigDict(extra="forbid")
        kind: Literal["dog"]

    class Pet(RootModel[Annotated[Cat | Dog, Field(discriminator="kind")]]):
        pass

    document = OpenApi(ROUTES, Catalogue([JobType(name="pets.feed", request=Pet)])).document()
    schema = body_of("/api/pets/feed", document)

    assert list(OpenAPIV31SpecValidator(document).iter_errors()) == []
    assert faults(schema, document, {"kind": "cat", "lives": 9, "job": {}}) == []
    assert faults(schema, document, {"kind": "dog", "lives": 9}) != []


def test_models_of_one_name_do_not_mix() -> None:
    """Authors do not know each other's names, nor ours."""

    class Problem(BaseModel):
        riddle: str

    first = JobType(name="riddles.solve", request=Problem)
    document = OpenApi(ROUTES, Catalogue([first, replace(first, name="riddles.ask")])).document()

    assert "riddle" in document["components"]["schemas"]["riddles.solve.Problem"]["properties"]
    assert "riddle" not in document["components"]["schemas"]["Problem"]["properties"]


def test_a_job_with_a_result_model_tells_it() -> None:
    """Who waits for the ending with ``Prefer: wait`` knows what is in it."""
    told = DOCUMENT["paths"]["/api/demo/sleep"]["post"]["responses"]["200"]
    schema = told["content"]["application/json"]["schema"]

    assert schema["allOf"][1]["properties"]["results"]["$ref"].endswith("/demo.sleep.SleepResult")


def test_every_example_is_one() -> None:
    """Examples are what readers copy first."""
    seen = 0
    for schema in every_schema(DOCUMENT):
        for example in schema.get("examples", ()):
            assert faults(schema, DOCUMENT, example) == [], example
            seen += 1
    for response in DOCUMENT["components"]["responses"].values():
        content = response["content"]["application/problem+json"]
        for example in content["examples"].values():
            assert faults(content["schema"], DOCUMENT, example["value"]) == []
            seen += 1
    assert seen > 30


def test_every_tag_is_explained() -> None:
    """The page of the API groups by them."""
    used = {tag for _, _, operation in operations(DOCUMENT) for tag in operation["tags"]}

    assert {tag["name"] for tag in DOCUMENT["tags"]} == used


def test_the_version_is_the_projects() -> None:
    """It is told in the document, and stated once more in pyproject.toml."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]

    assert project["version"] == VERSION


def body_of(path: str, document: dict[str, Any]) -> dict[str, Any]:
    content = document["paths"][path]["post"]["requestBody"]["content"]
    schema: dict[str, Any] = content["application/json"]["schema"]
    return schema


def faults(schema: dict[str, Any], document: dict[str, Any], value: object) -> list[str]:
    whole = {**schema, "components": document["components"]}
    return [error.message for error in Draft202012Validator(whole).iter_errors(value)]


def every_schema(node: object) -> Iterator[dict[str, Any]]:
    match node:
        case dict():
            if "type" in node or "$ref" in node or "allOf" in node:
                yield node
            for below in node.values():
                yield from every_schema(below)
        case list():
            for below in node:
                yield from every_schema(below)
