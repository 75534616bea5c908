"""The page for callers: what it says of addresses, answers and codes is so."""

import json
import re
from typing import Any, Final

import pytest
from jsonschema import Draft202012Validator

from front_service.described.openapi import OpenApi
from front_service.routes import ROUTES
from shared.runtime.catalogue import BUILT_IN_JOB_TYPES, load_job_types
from tests.contract.page import PAGE, blocks
from tests.support.conformance import formats

DOCUMENT: Final = OpenApi(ROUTES, load_job_types(BUILT_IN_JOB_TYPES)).document()
BEYOND: Final = {"method_not_allowed", "unknown_job_type"}
"""Codes of addresses that are not described: nobody who keeps to the document sees them."""


@pytest.mark.parametrize(
    ("number", "model"), list(enumerate(["Ticket", "JobStatus", "Problem"])), ids=str
)
def test_every_answer_that_is_shown_is_one(number: int, model: str) -> None:
    """By the schema of the service itself, and without a member that it does not have."""
    shown: dict[str, Any] = json.loads(blocks("json")[number])
    schema = DOCUMENT["components"]["schemas"][model] | {"components": DOCUMENT["components"]}
    faults = Draft202012Validator(schema, format_checker=formats).iter_errors(shown)

    assert [error.message for error in faults] == []
    assert set(shown) <= set(schema["properties"])
    assert len(blocks("json")) == 3


def test_every_code_is_in_the_table() -> None:
    """Each that can come, and none that cannot."""
    rows = re.findall(r"^\| [0-9, ]+ \| ([^|]+) \|", PAGE, re.MULTILINE)
    told = {code for row in rows for code in re.findall(r"`(\w+)`", row)}
    responses = DOCUMENT["components"]["responses"]

    assert told == {code for name in responses for code in name.split("-or-")} | BEYOND


def test_every_option_of_a_job_is_in_the_table() -> None:
    """By the name it has on the wire."""
    table = PAGE[PAGE.index("| member |") : PAGE.index("## Follow")]
    told = {
        name
        for row in re.findall(r"^\| (`[^|]+`) \|", table, re.MULTILINE)
        for name in re.findall(r"`(\w+)`", row)
    }

    assert told == set(DOCUMENT["components"]["schemas"]["JobOptions"]["properties"])


def test_every_address_is_on_the_page() -> None:
    """Of those that callers need; what a supervisor asks is told to operators."""
    for path in DOCUMENT["paths"]:
        is_a_callers = not path.startswith(("/livez", "/readyz", "/metrics", "/docs/"))
        if is_a_callers and "/release" not in path and path.count("/") > 1:
            is_submit = "{" not in path and path not in ("/api/jobs", "/api/blobs")
            assert path in PAGE or is_submit, path
