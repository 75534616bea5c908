"""The command for whoever runs the services: examine what they would meet here."""

import asyncio
import sys
from pathlib import Path
from typing import Annotated

import typer

from uketsuke.cli.commands import AsJson


def doctor(
    *,
    policies: Annotated[
        str | None,
        typer.Option(
            metavar="FILE|-", help="What `rabbitmqctl list_policies --formatter json` said."
        ),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Look at database, broker and machine by the services' settings, and say what to change.

    Exit code 1 if something is wrong.
    """
    from shared.doctor import examine, report  # noqa: PLC0415  only who runs services has it all

    listed = None if policies is None else _read(policies)
    found = asyncio.run(examine(listed))
    raise typer.Exit(report(found, as_json=as_json))


def _read(name: str) -> bytes:
    return sys.stdin.buffer.read() if name == "-" else Path(name).read_bytes()
