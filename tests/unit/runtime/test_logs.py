"""Log lines: one event each, with fields, on behalf of somebody."""

import asyncio
import logging
import os
import sys
from collections.abc import Callable, Iterator
from datetime import datetime
from io import TextIOWrapper
from typing import Any

import orjson
import pytest
import structlog
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from shared.runtime.logs import LogFormat, configure
from shared.runtime.track import fresh_track_id, tracking

Lines = Callable[[], list[dict[str, Any]]]


@pytest.fixture
def lines(capfd: pytest.CaptureFixture[str]) -> Iterator[Lines]:
    """Write JSON to standard output, as in production; gives what was written since."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    configure(service="test", log_format="json", level="info")
    yield lambda: [orjson.loads(line) for line in capfd.readouterr().out.split("\n") if line]
    structlog.reset_defaults()
    root.handlers[:] = handlers
    root.setLevel(level)


def log() -> Any:
    return structlog.get_logger()


def test_a_line_says_what_when_where_and_how_grave(lines: Lines) -> None:
    """One JSON object a line: what a collector expects."""
    log().info("job claimed", attempt=1)

    [line] = lines()
    assert line.pop("timestamp").endswith("Z")
    assert line == {"event": "job claimed", "attempt": 1, "service": "test", "level": "info"}


def test_a_line_bears_the_track_id(lines: Lines) -> None:
    """One id joins the lines of both services that belong to a request."""
    track_id = fresh_track_id()
    with tracking(track_id):
        log().info("inside")
    log().info("outside")

    inside, outside = lines()
    assert inside["track_id"] == track_id
    assert "track_id" not in outside


def test_a_line_may_be_on_behalf_of_another(lines: Lines) -> None:
    """Upkeep moves the jobs of many, a line each."""
    with tracking(fresh_track_id()):
        log().info("job rescued", track_id="theirs")

    assert lines()[0]["track_id"] == "theirs"


def test_what_is_below_the_level_is_not_written(lines: Lines) -> None:
    """Nor worked out."""
    log().debug("noise")

    assert lines() == []


def test_over_long_text_is_cut_and_marked(lines: Lines) -> None:
    """It comes from outside, and is as long as it likes."""
    log().info("x" * 5_000, why="y" * 10_000, short="z")

    [line] = lines()
    assert line["event"] == "x" * 2_000 + "…"
    assert line["why"] == "y" * 2_000 + "…"
    assert line["short"] == "z"


def a_fault(depth: int = 3) -> None:
    if depth == 0:
        raise ValueError("the very cause")
    a_fault(depth - 1)


def test_an_exception_is_told_with_its_way(lines: Lines) -> None:
    """Whoever mends it needs both: where it came from, and what it was."""
    try:
        a_fault()
    except ValueError:
        log().exception("lane failed")

    [line] = lines()
    assert line["level"] == "error"
    assert line["exception"].count("in a_fault") >= 3
    assert line["exception"].endswith("ValueError: the very cause")


def test_an_exception_of_any_length_makes_no_endless_line(lines: Lines) -> None:
    """A handler may put its whole input into its error."""
    log().warning("handler raised", exc_info=ValueError("x" * 1_000_000))

    [line] = lines()
    assert len(orjson.dumps(line)) < 50_000
    assert line["exception"].startswith("ValueError: x")
    assert "…" in line["exception"]


@given(
    st.dictionaries(
        st.text(st.characters(exclude_categories=()), max_size=20).map(lambda name: "f" + name),
        st.recursive(
            st.none()
            | st.integers()
            | st.floats()
            | st.binary()
            | st.datetimes()
            | st.text(st.characters(exclude_categories=())),
            lambda below: (
                st.lists(below, max_size=3)
                | st.dictionaries(st.text() | st.integers(), below, max_size=3)
            ),
            max_leaves=5,
        ),
        max_size=4,
    )
)
@settings(max_examples=50, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_a_line_never_breaks_what_it_tells_of(lines: Lines, fields: dict[str, Any]) -> None:
    """Lone surrogates, huge numbers, odd keys: it is written somehow, and on one line."""
    log().info("odd", **fields)

    [line] = lines()
    assert line["event"] == "odd"
    assert line["level"] == "info"


def test_an_object_that_cannot_be_shown_does_no_harm(lines: Lines) -> None:
    """Not even one whose own text raises."""

    class Shy:
        def __repr__(self) -> str:
            raise RuntimeError("do not look at me")

        __str__ = __repr__

    log().info("odd", shy=Shy())

    assert lines()[0]["event"] == "odd"


def test_an_error_with_a_lone_surrogate_can_be_told(lines: Lines) -> None:
    """A handler that fails on odd text says so, and its job ends as it should."""
    log().warning("handler raised", exc_info=ValueError("\ud800"))

    assert "ValueError" in lines()[0]["exception"]


def test_line_breaks_do_not_forge_lines(lines: Lines) -> None:
    """Nor do the marks that terminals obey: all of it is escaped."""
    log().info('a\n{"event": "forged"}', why="\x1b[31mred\r\n")

    assert len(lines()) == 1


def test_what_libraries_log_has_the_same_form(lines: Lines) -> None:
    """With the TrackID of what they were doing."""
    track_id = fresh_track_id()
    with tracking(track_id):
        logging.getLogger("aiormq.connection").warning("lost %s", "it")

    [line] = lines()
    assert line["library"] == "aiormq.connection"
    assert line["text"] == "lost it"
    assert (line["level"], line["track_id"]) == ("warning", track_id)


def test_the_chatter_of_libraries_is_left_out(lines: Lines) -> None:
    """Whatever level we speak at."""
    logging.getLogger("asyncio").info("chatter")

    assert lines() == []


async def test_lines_of_one_moment_are_written_together_and_in_order(lines: Lines) -> None:
    """No line is kept back for longer than the turn of the loop it was said in."""
    log().info("first")
    log().info("second")
    assert lines() == []

    await asyncio.sleep(0)
    await asyncio.sleep(0)

    assert [line["event"] for line in lines()] == ["first", "second"]


async def test_a_grave_line_is_written_at_once_with_all_before_it(lines: Lines) -> None:
    """The process may not live for long after it."""
    log().info("first")
    log().error("second")

    assert [line["event"] for line in lines()] == ["first", "second"]


@pytest.mark.parametrize("log_format", ["json", "console"])
@pytest.mark.usefixtures("lines")
async def test_a_line_that_nobody_reads_any_more_breaks_nothing(
    log_format: LogFormat, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The reader of the pipe was ended first: what is left of the work must still be done."""
    reader, writer = os.pipe()
    os.close(reader)
    troubles: list[dict[str, Any]] = []
    loop = asyncio.get_running_loop()
    loop.set_exception_handler(lambda _, trouble: troubles.append(trouble))
    with os.fdopen(writer, "wb", buffering=0) as pipe:
        monkeypatch.setattr(sys, "stdout", TextIOWrapper(pipe, write_through=True))
        configure(service="test", log_format=log_format, level="info")
        log().error("at once")
        log().info("a moment later")
        for _ in range(3):
            await asyncio.sleep(0)
    loop.set_exception_handler(None)

    assert troubles == []


def test_a_person_gets_lines_to_read(capfd: pytest.CaptureFixture[str]) -> None:
    """With the time of the place, and no JSON."""
    configure(service="test", log_format="console", level="info")
    try:
        log().info("job claimed", attempt=1)
    finally:
        structlog.reset_defaults()
        logging.getLogger().handlers.clear()

    said = capfd.readouterr().out
    assert "job claimed" in said
    assert "attempt" in said
    assert datetime.now().astimezone().strftime("%H:") in said
