"""A desk to call, and the command line to call it with."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

import pytest
from typer.testing import CliRunner

from tests.client.conftest import desk as desk  # noqa: PLC0414  # a fixture, shared by its name
from tests.client.desk import Desk
from uketsuke.cli import build


@dataclass(frozen=True)
class Ran:
    """What a command left behind."""

    code: int
    out: str
    err: str

    @property
    def lines(self) -> list[Any]:
        """Read stdout as one JSON document a line: fails for anything else."""
        return [json.loads(line) for line in self.out.splitlines()]


Runs = Callable[..., Awaitable[Ran]]


@pytest.fixture
def run(desk: Desk) -> Runs:
    """Run a command against the desk, in a thread: it has an event loop of its own."""

    async def runs(*words: str, stdin: bytes | None = None, **environment: str) -> Ran:
        env = {"UKETSUKE_URL": desk.url, "COLUMNS": "200", "NO_COLOR": "1"} | environment
        found = await asyncio.to_thread(
            CliRunner().invoke, build(), list(words), input=stdin, env=env
        )
        if found.exception is not None and not isinstance(found.exception, SystemExit):
            raise found.exception
        return Ran(found.exit_code, found.stdout, found.stderr)

    return runs
