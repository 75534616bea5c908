"""What is said at the end of a run of drills: all of its lines together, against the goals.

A plugin of pytest, named by the commands that run drills. Where several workers share the drills,
each hands its lines over when it ends.
"""

import os
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Any

import pytest

from tests.campaign import results
from tests.campaign.goals import sum_up, table

_HANDED_OVER = "lines of drills"


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any) -> None:
    """Take the lines of a worker that has ended; one that crashed has none to give."""
    results.kept.extend(getattr(node, "workeroutput", {}).get(_HANDED_OVER, ()))


def output_of(config: pytest.Config) -> dict[str, Any] | None:
    """Give what a worker hands over when it ends; ``None`` where there are no workers."""
    return getattr(config, "workeroutput", None)


def pytest_sessionfinish(session: pytest.Session) -> None:
    """Fail a run that was made for the goals, and has not shown each of them."""
    if (output := output_of(session.config)) is not None:
        output[_HANDED_OVER] = results.kept
        return
    is_held_to_them = os.environ.get("UKETSUKE_TEST_GOALS") == "yes"
    if is_held_to_them and not all(found.is_good for found in sum_up(results.kept)):
        session.exitstatus = session.exitstatus or pytest.ExitCode.TESTS_FAILED


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print the sums, and keep them as one line where the command says so."""
    if not results.kept or output_of(terminalreporter.config) is not None:
        return
    found = sum_up(results.kept)
    terminalreporter.section("figures of this run, all drills together")
    for line in table(found):
        terminalreporter.write_line(line)
    if path := os.environ.get("UKETSUKE_TEST_SUMS"):
        sums = {
            "at": datetime.now(UTC).isoformat(timespec="seconds"),
            "commit": results.commit(),
            "drills": len(results.kept),
            "goals": [asdict(one) for one in found],
        }
        results.append(sums, path)
