"""Read what a person types: durations, requests, files."""

import re
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

import orjson
import typer

from uketsuke.uploads import Upload

_UNITS: Final = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3_600.0, "d": 86_400.0}
_DURATION = re.compile(r"(\d{1,9}(?:\.\d{1,6})?)(ms|s|m|h|d)?", re.ASCII)


def duration(text: str) -> timedelta:
    """Read ``90``, ``90s``, ``1.5h``, ``2d``: a number without a unit is seconds."""
    found = _DURATION.fullmatch(text.strip())
    if found is None:
        raise typer.BadParameter(f"{text!r} is no duration: write 90, 90s, 5m, 2h or 1d")
    try:
        return timedelta(seconds=float(found[1]) * _UNITS[found[2] or "s"])
    except OverflowError:
        raise typer.BadParameter(f"{text!r} is longer than there is time") from None


def instant(text: str) -> datetime:
    """Read an ISO 8601 time; without an offset it is of this machine's zone."""
    try:
        return datetime.fromisoformat(text).astimezone(UTC)
    except (ValueError, OverflowError) as error:
        raise typer.BadParameter(f"{text!r} is no time: write 2030-01-31T12:00:00Z") from error


def expiry(text: str) -> datetime | timedelta:
    """Read when something is to end: a duration from now, or a time to come."""
    if "-" in text:
        moment = instant(text)
        if moment <= datetime.now(UTC):
            raise typer.BadParameter(f"{text!r} has passed already")
        return moment
    span = duration(text)
    if not span:
        raise typer.BadParameter("no time at all is of no use")
    return span


def request(text: str) -> dict[str, Any]:
    """Read the request: JSON as it stands, ``@file``, or ``-`` for what comes in."""
    try:
        raw = _raw(text)
    except OSError as error:
        raise typer.BadParameter(f"{text}: {error.strerror or error}") from error
    try:
        document = orjson.loads(raw)
    except orjson.JSONDecodeError as error:
        raise typer.BadParameter(f"the request is not JSON: {error}") from error
    if not isinstance(document, dict):
        raise typer.BadParameter("the request must be a JSON object: {…}")
    return document


def lines(text: str) -> bytes:
    """Read what is handed on as it is: ``@file``, or ``-`` for what comes in."""
    try:
        raw = _raw(text)
    except OSError as error:
        raise typer.BadParameter(f"{text}: {error.strerror or error}") from error
    return raw if isinstance(raw, bytes) else raw.encode()


def _raw(text: str) -> str | bytes:
    if text == "-":
        return sys.stdin.buffer.read()
    return Path(text[1:]).read_bytes() if text.startswith("@") else text


def files(pairs: list[str]) -> dict[str, Upload | list[Upload]]:
    """Read ``member=path``; a member that is named again becomes a list."""
    found: dict[str, list[Upload]] = {}
    for pair in pairs:
        member, equals, path = pair.partition("=")
        if not (member and equals and path):
            raise typer.BadParameter(f"{pair!r}: write --file member=path")
        if not Path(path).is_file():
            raise typer.BadParameter(f"there is no file {path!r}")
        found.setdefault(member, []).append(Path(path))
    return {member: paths[0] if len(paths) == 1 else paths for member, paths in found.items()}
