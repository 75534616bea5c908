"""What a person sees, or a program reads.

Answers go to stdout, everything about the way there to stderr. Colours and bars appear on a
terminal only; text of a server is cleaned before it reaches one, and is never taken for markup.
"""

import json
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Final, Self

import orjson
import typer
from rich.console import Console
from rich.progress import (
    BarColumn,
    Progress,
    TaskID,
    TaskProgressColumn,
    TextColumn,
    TimeElapsedColumn,
)
from rich.table import Column, Table
from rich.text import Text

from shared.contract.states import State
from shared.contract.status import dump
from uketsuke.cli.show_many import ManyShown
from uketsuke.client import Client, Status, Ticket
from uketsuke.documents import file_links
from uketsuke.errors import BadAnswer, Unreachable, clean

_STYLES: Final = {
    "completed": "green",
    "failed": "bold red",
    "cancelled": "yellow",
    "expired": "yellow",
    "processing": "cyan",
}
_COLUMNS: Final = ("job", "type", "status", "progress", "created", "key", "tags")
_MAY_BE_EMPTY: Final = frozenset({"key", "tags"})
_UNCUT: Final = frozenset({"job", "status", "progress"})
_WIDE: Final = 100  # columns of a terminal where a time fits on one line


class Screen(ManyShown):
    """Where a command writes; *as_json*: for a program."""

    def __init__(self, *, as_json: bool) -> None:
        self.as_json = as_json
        self._out, self._err = Console(highlight=False), Console(stderr=True, highlight=False)

    def document(self, document: Any) -> None:
        """Write one JSON document as one line."""
        try:
            line = dump(document)
        except orjson.JSONEncodeError as error:
            raise BadAnswer(f"the answer cannot be shown: {error}") from error
        typer.echo(line)

    def note(self, text: str) -> None:
        self._err.print(Text(text), soft_wrap=True)

    def trouble(self, error: Exception) -> None:
        said = Text.assemble(("error: ", "bold red"), clean(error))
        for note in getattr(error, "__notes__", ()):
            said.append(f"  [{clean(note)}]", style="dim")
        if isinstance(error, Unreachable):
            said.append("  (another address: --url, or UKETSUKE_URL)", style="dim")
        self._err.print(said, soft_wrap=True)

    def ticket(self, ticket: Ticket, client: Client) -> None:
        if self.as_json:
            self.document(ticket.document)
            return
        rows = {"job": str(ticket.job_id), "status": client.address(ticket.status_url)}
        if ticket.replayed:
            rows["note"] = "this key was used before: this is the job of then"
        elif ticket.existing:
            rows["note"] = "this job was there before, and holds the unique key"
        elif ticket.queue_position is not None:
            rows["place"] = f"{ticket.queue_position} in the queue"
        self._rows(rows)

    def status(self, status: Status) -> None:
        if self.as_json:
            self.document(status.document)
            return
        rows = {
            "job": str(status.job_id),
            "type": status.type,
            "status": _standing(status),
            "message": status.message,
            "error": status.error,
            "attempt": _of(status.attempt, status.max_attempts),
            "created": _time(status.created_at),
            "completed": _time(status.completed_at),
            "due": _time(status.scheduled_for),
            "key": status.ordering_key,
            "tags": ", ".join(status.tags),
            "TrackID": status.track_id,
        }
        self._rows({name: value for name, value in rows.items() if value}, status.status)

    def ending(self, status: Status, client: Client) -> None:
        """Tell how a job ended, what it resulted in and where its files are."""
        if self.as_json:
            return  # the last line that was written said it all
        rows = {"job": str(status.job_id), "status": _standing(status)}
        if status.error:
            rows["error"] = status.error
        self._rows(rows, status.status)
        if "results" in status.document:
            self.results(status.results)
            self.links(status.results, client)
        elif status.result_url:
            self._rows({"result": client.address(status.result_url)})

    def result(self, job_id: str, results: Any, files: Sequence[Mapping[str, str]]) -> None:
        """Print a result; on stdout nothing but it, so that it can be piped on."""
        if self.as_json:
            self.document({"jobId": job_id, "results": results, "files": files})
            return
        self.results(results)
        for file in files:
            self.note(f"{file['member'] or 'file'}  {file.get('path') or file['url']}")

    def results(self, results: Any) -> None:
        try:
            text = json.dumps(results, indent=2, ensure_ascii=False)
        except RecursionError as error:
            raise BadAnswer("the result is nested too deeply to be shown") from error
        typer.echo("".join(c if c.isprintable() or c == "\n" else f"\\u{ord(c):04x}" for c in text))

    def links(self, results: Any, client: Client) -> None:
        """Print what the result links to as whole addresses."""
        found = {name or "file": client.address(url) for name, url in file_links(results)}
        self._rows(found)

    def jobs(self, statuses: Sequence[Status]) -> None:
        if self.as_json:
            for status in statuses:
                self.document(status.document)
            return
        rows = [_columns(status) for status in statuses]
        if not self._out.is_terminal:
            for row in rows:
                typer.echo("\t".join(clean(cell) for cell in row))
            return
        self._out.print(_table(rows, self._out.width) if rows else Text("no jobs", style="dim"))

    def bars(self) -> "Bars":
        return Bars(self._err, self)

    def _rows(self, rows: dict[str, Any], status: str = "") -> None:
        width = max(map(len, rows), default=0)
        for name, value in rows.items():
            style = _STYLES.get(status, "") if name in ("status", "error") else ""
            label = Text(f"{clean(name):<{width}}  ", style="dim")
            self._out.print(label.append(clean(value, 2_000), style=style), soft_wrap=True)


class Bars:
    """How several jobs get on: live bars on a terminal, else a line for each change."""

    def __init__(self, console: Console, screen: Screen) -> None:
        self._console, self._screen = console, screen
        self._is_live = console.is_terminal and not screen.as_json
        self._tasks: dict[str, TaskID] = {}
        self._progress = Progress(
            TextColumn("{task.fields[job]}", style="dim"),
            BarColumn(bar_width=16),
            TaskProgressColumn(),
            TimeElapsedColumn(),
            TextColumn("{task.description}", markup=False, table_column=Column(overflow="fold")),
            console=console,
            disable=not self._is_live,
        )

    def __enter__(self) -> Self:
        self._progress.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._progress.stop()

    def show(self, status: Status) -> None:
        if self._screen.as_json:
            self._screen.document(status.document)
        elif self._is_live:
            self._move(status)
        else:
            said = (str(status.job_id), _standing(status), _said(status))
            self._console.print(Text("  ".join(said).rstrip()), soft_wrap=True)

    def _move(self, status: Status) -> None:
        name = str(status.job_id)
        if name not in self._tasks:
            self._tasks[name] = self._progress.add_task("", total=100, job=name)
        described = f"{_standing(status, percent=False)}  {_said(status, 80)}"
        self._progress.update(
            self._tasks[name], completed=status.progress, description=described.rstrip()
        )


def _standing(status: Status, *, percent: bool = True) -> str:
    fine = f" ({status.state})" if status.state not in ("", status.status, "running") else ""
    share = f" {status.progress:.0f}%" if percent and not status.has_ended else ""
    return clean(f"{status.status}{fine}{share}", 60)


def _said(status: Status, longest: int = 500) -> str:
    """Tell the newest of a job: what it said last, or why it has to begin again."""
    if status.state != State.RETRYING or not status.error:
        return clean(status.message or "", longest)
    return clean(f"attempt {_of(status.attempt, status.max_attempts)}: {status.error}", longest)


def _table(rows: Sequence[Sequence[str]], width: int) -> Table:
    """Lay *rows* out so that an id is never cut: who reads it wants to copy it."""
    uncut = _UNCUT | {"created"} if width >= _WIDE else _UNCUT
    shown = [
        at
        for at, name in enumerate(_COLUMNS)
        if name not in _MAY_BE_EMPTY or any(row[at] for row in rows)
    ]
    columns = (
        Column(
            _COLUMNS[at],
            no_wrap=_COLUMNS[at] in uncut,
            overflow="fold",
            min_width=36 if _COLUMNS[at] == "job" else None,
        )
        for at in shown
    )
    table = Table(*columns, box=None, header_style="dim", pad_edge=False)
    for row in rows:
        table.add_row(*(Text(clean(row[at])) for at in shown), style=_STYLES.get(row[2], ""))
    return table


def _columns(status: Status) -> tuple[str, ...]:
    return (
        str(status.job_id),
        status.type,
        status.status,
        f"{status.progress:.0f}%",
        _time(status.created_at),
        status.ordering_key or "",
        ",".join(status.tags),
    )


def _of(number: int, most: int | None) -> str:
    return "" if not number else f"{number} of {most}" if most else str(number)


def _time(moment: datetime | None) -> str:
    return "" if moment is None else f"{moment.astimezone():%Y-%m-%d %H:%M:%S}"
