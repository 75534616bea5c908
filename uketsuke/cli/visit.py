"""One visit to the front service: run it, and say what went wrong as an exit code.

Every trouble is one line on stderr. Ctrl-C ends the visit, never a job.
"""

import asyncio
import os
import shlex
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from enum import IntEnum
from pathlib import Path
from typing import Final

import typer

from shared.contract.errors import (
    AlreadyEnded,
    Gone,
    NoResult,
    OverQuota,
    UketsukeError,
    Unavailable,
    UnknownBlob,
    UnknownJob,
    UnknownType,
)
from uketsuke.cli.show import Screen
from uketsuke.client import Client
from uketsuke.errors import BadAnswer, DeadlinePassed, Unreachable

DEFAULT_URL: Final = "http://127.0.0.1:8080"
URL_VARIABLE: Final = "UKETSUKE_URL"
QUICK: Final = timedelta(seconds=5)  # somebody sits and waits
PATIENT: Final = timedelta(minutes=1)  # a restart of the service must not end a watch


class ExitCode(IntEnum):
    DONE = 0
    ENDED_OTHERWISE = 1
    WRONG = 2
    UNREACHABLE = 3
    UNKNOWN = 4
    TIME_PASSED = 5
    INTERRUPTED = 130


_CODES: Final[tuple[tuple[type[UketsukeError], ExitCode], ...]] = (
    (DeadlinePassed, ExitCode.TIME_PASSED),
    (UnknownJob, ExitCode.UNKNOWN),
    (UnknownType, ExitCode.UNKNOWN),
    (UnknownBlob, ExitCode.UNKNOWN),
    (Gone, ExitCode.UNKNOWN),
    (NoResult, ExitCode.ENDED_OTHERWISE),
    (AlreadyEnded, ExitCode.ENDED_OTHERWISE),
    (OverQuota, ExitCode.UNREACHABLE),
    (Unavailable, ExitCode.UNREACHABLE),
    (Unreachable, ExitCode.UNREACHABLE),
    (BadAnswer, ExitCode.UNREACHABLE),
)


def code_of(error: UketsukeError) -> ExitCode:
    """Choose the exit code for *error*; a refusal that is not named means a wrong request."""
    return next((code for kind, code in _CODES if isinstance(error, kind)), ExitCode.WRONG)


@dataclass(kw_only=True)
class Visit:
    """Where to go, and what to tell if it is broken off."""

    url: str
    token: str | None
    screen: Screen
    farewells: list[str] = field(default_factory=list)

    @asynccontextmanager
    async def client(self, patience: timedelta = QUICK) -> AsyncIterator[Client]:
        async with Client(self.url, token=self.token, patience=patience) as client:
            yield client

    def command(self, *words: str) -> str:
        """Write a command that goes to the same service."""
        known = os.environ.get(URL_VARIABLE, DEFAULT_URL)
        where = () if self.url == known else ("--url", self.url)
        return shlex.join((*_program(sys.argv[0]), *words, *where))

    def run(self, work: Callable[[], Awaitable[ExitCode]]) -> None:
        """Do *work*, and end the command with what came of it."""
        try:
            code = asyncio.run(_awaited(work))
        except KeyboardInterrupt:
            for line in self.farewells:
                self.screen.note(line)
            code = ExitCode.INTERRUPTED
        except UketsukeError as error:
            self.screen.trouble(error)
            code = code_of(error)
        except OSError as error:
            self.screen.trouble(error)
            code = ExitCode.WRONG
        raise typer.Exit(code)


def _program(started_as: str) -> tuple[str, ...]:
    """Name what a person can type again: the script, where there is one that was started."""
    is_script = Path(started_as).name == "uketsuke"
    return (started_as,) if is_script else (sys.executable, "-m", "uketsuke")


async def _awaited(work: Callable[[], Awaitable[ExitCode]]) -> ExitCode:
    return await work()
