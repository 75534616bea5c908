"""The rules of the SQL files: one promise each, asked by name, and nobody's rows but one's own."""

from collections.abc import Mapping
from typing import Any, Final

import pytest

from shared.store.sql import FOLDER, statement
from tests.house.statements import forgets_the_tenant, names, used

OF_ANY_TENANT: Final[Mapping[str, str]] = {
    "accepted": "the ids were made by this very process, a moment ago",
    "advance": "of a worker: keys of jobs that it has just ended",
    "close_batches": "of whoever has just ended jobs of these, or upkeep",
    "cancelling": "of a worker: jobs that it holds",
    "alive": "of workers, which run the jobs of all tenants",
    "checkpoint": "of a worker: the token is its proof",
    "claim": "of a worker: it runs the jobs of all tenants",
    "come_due": "upkeep",
    "drop_names": "upkeep: unique keys of jobs that it has just deleted",
    "due": "upkeep",
    "effect": "of a worker: the token is its proof",
    "expire": "upkeep",
    "finish": "of a worker: the token is its proof",
    "forget": "upkeep",
    "forget_batches": "upkeep",
    "forget_blobs": "upkeep",
    "forget_tombstones": "upkeep",
    "go_on": "of a worker: keys of jobs that it has just ended",
    "hold_blobs": "upkeep",
    "line": "it is counted: a caller learns its own place, and a time",
    "knock": "of whoever has just moved these jobs; a knock tells nothing of them",
    "lapsed": "upkeep",
    "newest_tenants": "of a worker: it runs the jobs of all tenants",
    "lock": "of whoever is about to move these jobs; it answers nothing",
    "names_of": "upkeep; it answers nothing",
    "open_batches": "upkeep",
    "orphan_blobs": "upkeep",
    "outlived": "upkeep",
    "overdue": "upkeep",
    "progress": "of a worker: the token is its proof",
    "renew": "of a worker: the token is its proof",
    "replace": "jobs whose unique keys this very transaction has taken, by tenant and type",
    "rescue": "upkeep",
    "stats": "counted for all tenants at once; each is shown what is its own",
    "suspects": "of a worker: it runs the jobs of all tenants",
    "take": "of the relay: a knock tells nothing of the jobs it names",
    "unheard": "upkeep",
    "unknown_blobs": "upkeep",
    "written": "of a worker: the token is its proof",
}
"""Statements over the rows of all tenants, each with the reason why that is right."""


@pytest.mark.parametrize("name", names())
def test_a_statement_begins_with_its_promise(name: str) -> None:
    """Whoever sees it in the log of the database finds the file, and what it is for."""
    first, *rest = statement(name).splitlines()

    assert first.startswith(f"-- {name}: ")
    assert len(first) > len(f"-- {name}: ") + 10
    assert rest
    assert statement(name).endswith(";\n")


def test_every_statement_is_asked_for_by_its_name() -> None:
    """A file nobody uses misleads; a name put together at run time hides who uses what."""
    assert sorted(used()) == names()


def test_only_the_store_asks() -> None:
    """All SQL of the project is behind its verbs."""
    places = {place.partition(":")[0] for found in used().values() for place in found}

    assert {place for place in places if not place.startswith(str(_relative()))} == set()


def _relative() -> str:
    return "/".join(FOLDER.parts[-3:-1])


@pytest.mark.parametrize("name", names())
def test_i11_a_statement_names_the_tenant_or_says_why_not(name: str) -> None:
    """S15: a forgotten condition shows a stranger's jobs, and no test of one tenant sees it."""
    assert name in OF_ANY_TENANT or not forgets_the_tenant(statement(name))


def test_i11_no_reason_outlives_its_statement() -> None:
    """A list of exceptions must stay short to be read."""
    assert set(OF_ANY_TENANT) <= set(names())


@pytest.mark.parametrize(
    ("name", "condition"),
    [
        ("job", "tenant = $1::uuid AND "),
        ("list", "tenant = $1::uuid\n   AND "),
        ("blob", "tenant = $1::uuid AND "),
        ("cancel", "tenant = $1::uuid AND "),
        ("tombstone", "tenant = $1::uuid AND "),
        ("use_blobs", " AND b.tenant = asked.tenant"),
    ],
)
def test_i11_a_condition_that_is_dropped_is_seen(name: str, condition: str) -> None:
    """A lint that cannot fail guards nothing."""
    whole = statement(name)

    assert condition in whole
    assert forgets_the_tenant(whole.replace(condition, ""))


@pytest.mark.servers
@pytest.mark.parametrize("name", names())
async def test_postgresql_understands_every_statement(schema: Any, name: str) -> None:
    """Every table, column and type it speaks of is there."""
    prepared = await schema.prepare(statement(name))

    numbers = range(1, len(prepared.get_parameters()) + 1)
    assert all(f"${number}" in statement(name) for number in numbers)
