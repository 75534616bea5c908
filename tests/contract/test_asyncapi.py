"""The AsyncAPI document: valid, and of the very streams that are served."""

import json
from hashlib import sha256
from pathlib import Path
from typing import Any, Final

import orjson
import pytest
from aiohttp import WSMsgType
from jsonschema import Draft7Validator, Draft202012Validator

from front_service.described.asyncapi import AsyncApi
from front_service.routes import ROUTES
from shared.contract.states import State
from tests.front.conftest import desk as desk  # noqa: PLC0414  # a fixture, shared by its name
from tests.front.desk import Desk
from tests.support.conformance import formats

VENDOR: Final = Path(__file__).parent / "vendor"
SCHEMA: Final = json.loads((VENDOR / "asyncapi-3.0.0.json").read_text("utf-8"))
DOCUMENT: Final = orjson.loads(orjson.dumps(AsyncApi(ROUTES).document()))


def test_the_document_is_valid() -> None:
    """By the official schema of AsyncAPI 3.0."""
    assert [error.message for error in Draft7Validator(SCHEMA).iter_errors(DOCUMENT)] == []


def test_an_invalid_document_is_seen() -> None:
    """A check that cannot fail guards nothing."""
    wrong = orjson.loads(orjson.dumps(DOCUMENT))
    wrong["operations"]["sendJobSocket"]["action"] = "shout"

    assert list(Draft7Validator(SCHEMA).iter_errors(wrong)) != []


def test_the_official_schema_is_as_it_was_published() -> None:
    """One that was bent to fit would prove nothing."""
    _, line = (VENDOR / "MANIFEST").read_text("utf-8").splitlines()
    digest = sha256((VENDOR / "asyncapi-3.0.0.json").read_bytes()).hexdigest()

    assert digest in line.split()


def test_every_reference_leads_somewhere() -> None:
    """The schema of AsyncAPI does not follow them."""
    found = list(references(DOCUMENT))

    assert len(found) > 10
    for reference in found:
        node: Any = DOCUMENT
        for step in reference.removeprefix("#/").split("/"):
            node = node[step]


def references(node: object) -> list[str]:
    match node:
        case dict():
            own = [node["$ref"]] if isinstance(node.get("$ref"), str) else []
            return own + [found for below in node.values() for found in references(below)]
        case list():
            return [found for below in node for found in references(below)]
        case _:
            return []


async def test_every_stream_that_serves_is_described(desk: Desk) -> None:
    """And nothing else is: who reads the document may dial what it says."""
    async with desk.session.get(f"{desk.url}/asyncapi.json") as response:
        document = await response.json()

    assert document == DOCUMENT
    assert {channel["address"] for channel in document["channels"].values()} == {
        *("/jobs/{id}", "/api/jobs/{id}/events"),
        "/api/socket",
        *("/batches/{id}", "/api/batches/{id}/events"),
    }


async def test_what_flows_is_as_described(desk: Desk) -> None:
    """By socket and by events: each document is what the channel's message says, no more."""
    job_id = await desk.submit(payload=1)
    desk.store.move(job_id, State.RUNNING)
    desk.store.move(job_id, State.COMPLETED)
    told: list[Any] = []
    async with desk.session.ws_connect(f"{desk.url}/jobs/{job_id}?after=0") as socket:
        told += [message.json() async for message in socket if message.type is WSMsgType.TEXT]
    async with desk.session.get(f"{desk.url}/api/jobs/{job_id}/events?after=0") as response:
        text = await response.text()
        told += [json.loads(line[6:]) for line in text.splitlines() if line.startswith("data: ")]

    assert len(told) == 6
    for document in told:
        assert faults(document) == []
    assert faults({**told[-1], "progress": 101}) != []


def faults(document: object) -> list[str]:
    schemas = DOCUMENT["components"]["schemas"]
    frame = {"additionalProperties": False} | schemas["Frame"]
    whole = {**frame, "components": DOCUMENT["components"]}
    validator = Draft202012Validator(whole, format_checker=formats)
    return [error.message for error in validator.iter_errors(document)]


@pytest.mark.parametrize("channel", DOCUMENT["channels"].values(), ids=lambda one: one["title"])
def test_a_channel_names_what_its_address_needs(channel: dict[str, Any]) -> None:
    """A place in an address that nobody explains cannot be filled."""
    for name in channel["parameters"]:
        assert f"{{{name}}}" in channel["address"]
    assert channel["address"].count("{") == len(channel["parameters"])
