"""How the lines of a campaign are added up, and what a soak takes for growth."""

from collections.abc import Mapping

import pytest

from tests.campaign.goals import Found, sum_up, table
from tests.campaign.vitals import growth
from tests.support.amqp_edge import AmqpEdges, _name_in

_LOST = "accepted jobs lost"
_DEAD = "dead worker to rerun elsewhere, p99 in s, of orphans"


def a_line(
    counts: Mapping[str, int] | None = None, figures: Mapping[str, float] | None = None
) -> Mapping[str, object]:
    return {"counts": counts or {}, "bites": {}, "figures": figures or {}}


def found(text: str, *lines: Mapping[str, object]) -> Found:
    return next(one for one in sum_up(lines) if one.text == text)


def test_counts_are_added_over_all_drills() -> None:
    """Neither line alone has the number that is asked for."""
    lines = [a_line({"accepted": 60_000, "accepted and lost": 0})] * 2

    assert found(_LOST, *lines).verdict == "kept"
    assert found(_LOST, lines[0]).verdict == "too few"


def test_one_lost_job_breaks_the_goal_however_many_were_kept() -> None:
    """The goal is none at all."""
    lines = [a_line({"accepted": 200_000}), a_line({"accepted": 1, "accepted and lost": 1})]

    assert found(_LOST, *lines).verdict == "BROKEN"


def test_the_worst_of_a_figure_counts() -> None:
    """A good second run does not heal a bad first one."""
    lines = [
        a_line(figures={"dead_to_rerun_p99_s": p99, "dead_to_rerun_n": 100}) for p99 in (12.5, 9.0)
    ]

    assert found(_DEAD, *lines).verdict == "BROKEN"
    assert found(_DEAD, lines[1]).verdict == "kept"


def test_a_figure_that_nobody_measured_is_not_kept() -> None:
    """It is not broken either: the table says that it was not shown."""
    assert found(_DEAD, a_line()).verdict == "not shown"
    assert not found(_DEAD, a_line()).is_good


def test_the_table_has_a_row_for_every_goal() -> None:
    """And one of headings."""
    rows = table(sum_up([a_line()]))

    assert len(rows) == len(sum_up([])) + 1
    assert any(_LOST in row and "not shown" not in row for row in rows)


@pytest.mark.parametrize(
    ("samples", "more"),
    [([90, 10, 10, 10, 10, 10], 0), ([10, 10, 10, 20, 20, 30], 10), ([1, 2, 3] * 3, 0)],
    ids=["the first third is warming up", "it grows", "it only swings"],
)
def test_growth_is_the_last_third_over_the_second(samples: list[float], more: float) -> None:
    """By their medians, so that one odd sample says nothing."""
    assert growth(samples) == more


def test_growth_needs_samples() -> None:
    """Two are no trend."""
    with pytest.raises(ValueError, match="too few"):
        growth([1, 2])


def test_a_connection_is_known_by_the_name_it_gives() -> None:
    """Also when it comes in pieces; without one it has none."""
    said = b"\x0fconnection_nameS\x00\x00\x00\x09back-jobs\x07productS"

    assert _name_in(b"AMQP\x00\x00\x09\x01" + said) == "back-jobs"
    assert _name_in(said[:-12]) == ""
    assert _name_in(b"nothing of the kind") == ""
    assert AmqpEdges().swallowed == 0
