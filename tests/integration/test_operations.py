"""The queries of the runbooks run on the real schema, and find what they are there for."""

import re
from typing import Final

import pytest

from shared.contract.states import Move
from tests.house.sources import ROOT
from tests.integration.bench import Bench, crash

pytestmark = pytest.mark.servers

_PAGE: Final = (ROOT / "docs" / "operations.md").read_text("utf-8")
QUERIES: Final = re.findall(r"^```sql\n(.*?)^```", _PAGE, re.MULTILINE | re.DOTALL)


def the_query(words: str) -> str:
    """Find the one query that has these words in it."""
    [query] = [query for query in QUERIES if words in query]
    return str(query)


@pytest.mark.parametrize("query", QUERIES, ids=lambda query: query.split(maxsplit=4)[1])
async def test_a_query_of_the_page_runs(bench: Bench, query: str) -> None:
    """Also on a database in which something is the matter."""
    await bench.ended(Move.FAIL, ordering_key="k", blocks=True)
    await bench.submit(ordering_key="k")

    await bench.sql(query)


def test_the_page_has_queries() -> None:
    """Else nothing was tested above."""
    assert len(QUERIES) >= 10


async def test_a_key_that_is_stuck_is_found(bench: Bench) -> None:
    """With the job that holds it, why, and how many wait."""
    holder = await bench.ended(Move.FAIL, ordering_key="k", blocks=True)
    await bench.submit(ordering_key="k")
    await bench.submit(ordering_key="k")

    [found] = await bench.sql(the_query("AS waiting"))

    assert (found["head"], found["state"], found["error_code"]) == (holder.id, "failed", "no_good")
    assert (found["blocks"], found["waiting"]) == (True, 2)
    assert await bench.sql(the_query("LEFT JOIN jobs j ON j.id = h.head")) == []


async def test_a_head_that_does_not_run_is_found(bench: Bench) -> None:
    """It would be a bug of ours; here it is made by hand."""
    ended = await bench.ended(ordering_key="k")
    await bench.sql("UPDATE key_heads SET head = $1", ended.id)

    [found] = await bench.sql(the_query("LEFT JOIN jobs j ON j.id = h.head"))

    assert (found["head"], found["state"]) == (ended.id, "completed")


async def test_suspects_and_the_condemned_are_found(bench: Bench) -> None:
    """Who waits for a process of his own, and who had one."""
    suspect, condemned = await bench.submit(), await bench.submit()
    await bench.submit()
    await crash(bench, suspect, 2)
    await crash(bench, condemned, 3)

    found = await bench.sql(the_query("crash_loop"))

    assert {(row["id"], row["state"]) for row in found} == {
        (suspect, "queued"),
        (condemned, "failed"),
    }
