"""The commands about many jobs at once, over the real front service and a store in memory."""

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest_asyncio
from typer.testing import CliRunner

from shared.contract.states import State
from tests.cli.conftest import Ran
from tests.front.desk import Desk, open_desk
from uketsuke.cli import build

GOOD, BAD = '{"type": "demo.echo"}', '{"type": "no.such"}'


@pytest_asyncio.fixture
async def front(tmp_path: Path) -> AsyncIterator[Desk]:
    async with open_desk(tmp_path / "blobs") as one:
        yield one


async def run(front: Desk, *words: str, stdin: str | None = None) -> Ran:
    env = {"UKETSUKE_URL": front.url, "COLUMNS": "200", "NO_COLOR": "1"}
    found = await asyncio.to_thread(CliRunner().invoke, build(), list(words), input=stdin, env=env)
    if found.exception is not None and not isinstance(found.exception, SystemExit):
        raise found.exception
    return Ran(found.exit_code, found.stdout, found.stderr)


def told(ran: Ran) -> list[Any]:
    """Read the documents on stdout: the front, in the same process, logs there too."""
    return [json.loads(line) for line in ran.out.splitlines() if line.startswith("{")]


async def test_a_batch_is_handed_in_line_by_line(front: Desk) -> None:
    """What is refused is named by its line; the exit code says that something was."""
    ran = await run(front, "batch", "-", stdin=f"{GOOD}\n{BAD}\n{GOOD}\n")

    assert ran.code == 1
    assert "accepted  2" in ran.out
    assert "2: refused: " in ran.err
    assert len(front.store.views) == 2


async def test_an_atomic_batch_is_all_or_nothing(front: Desk, tmp_path: Path) -> None:
    """A mistake is exit code 2, and nothing was kept."""
    path = tmp_path / "jobs.ndjson"
    path.write_text(f"{GOOD}\n{BAD}\n")

    ran = await run(front, "batch", f"@{path}", "--atomic")

    assert ran.code == 2
    assert front.store.views == {}


async def test_a_batch_may_be_waited_for(front: Desk) -> None:
    """Until its jobs have ended; the exit code says whether they are well."""
    waiting = asyncio.create_task(run(front, "batch", "-", "--wait", "--json", stdin=GOOD))
    async with asyncio.timeout(10):
        while not front.store.views:  # noqa: ASYNC110  the command announces nothing
            await asyncio.sleep(0.01)
    [job_id] = front.store.views
    front.store.move(job_id, State.RUNNING)
    front.store.move(job_id, State.COMPLETED)

    ran = await waiting

    assert ran.code == 0
    assert [line["status"] for line in told(ran)] == ["processing", "completed"]


async def test_bulk_says_what_it_did(front: Desk) -> None:
    """And, on a dry run, what it would do."""
    for _ in range(12):
        await front.submit()

    dry = await run(front, "bulk", "cancel", "--status", "pending", "--dry-run", "--json")
    wet = await run(front, "bulk", "cancel", "--status", "pending")

    assert (told(dry)[0]["matched"], told(dry)[0]["changed"]) == (12, 0)
    assert "changed  12" in wet.out
    assert "and 2 more" in wet.err


async def test_bulk_wants_to_be_told_which(front: Desk) -> None:
    """Nothing, or two things at once, is a slip: everything must be said with --all."""
    await front.submit()

    codes = [
        (await run(front, "bulk", "cancel", *words)).code
        for words in ((), ("--all", "--tag", "a"), ("--batch", "7"))
    ]

    assert codes == [2, 2, 2]
    assert (await run(front, "bulk", "cancel", "--all")).code == 0


async def test_dead_letters_stats_and_types_are_shown(front: Desk) -> None:
    """For a person by lines, for a program as JSON."""
    dead, _ = await front.submit(), await front.submit(job={"orderingKey": "k"})
    front.store.move(dead, State.RUNNING)
    front.store.move(dead, State.FAILED)

    letters = await run(front, "dead-letters")
    stats = await run(front, "stats")
    types = await run(front, "types", "--json")

    assert str(dead) in letters.out
    assert "type\tdemo.echo\t1 queued\t0 running" in stats.out
    assert "orderingKey\tk\t1 queued" in stats.out
    assert {line["type"] for line in told(types)} >= {"demo.echo"}


async def test_a_unique_job_is_said_to_have_been_there(front: Desk) -> None:
    """The ticket is of the job that holds the key."""
    words: list[Any] = ["submit", "demo.echo", json.dumps({}), "--unique", "u"]
    await run(front, *words)

    again = await run(front, *words)
    refused = await run(front, *words, "--on-conflict", "reject")
    slip = await run(front, "submit", "demo.echo", "--on-conflict", "reject")

    assert "was there before" in again.out
    assert (refused.code, slip.code) == (2, 2)
