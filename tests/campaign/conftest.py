"""What is said at the end of a run of drills: all of its lines together, against the goals."""

import os
from dataclasses import asdict
from datetime import UTC, datetime

import pytest

from tests.campaign import results
from tests.campaign.goals import sum_up, table


def pytest_sessionfinish(session: pytest.Session) -> None:
    """Fail a run that was made for the goals, and has not shown each of them."""
    is_held_to_them = os.environ.get("UKETSUKE_TEST_GOALS") == "yes"
    if is_held_to_them and not all(found.is_good for found in sum_up(results.kept)):
        session.exitstatus = session.exitstatus or pytest.ExitCode.TESTS_FAILED


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print the sums, and keep them as one line where the command says so."""
    if not results.kept:
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
