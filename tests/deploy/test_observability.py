"""Alert rules and the dashboard parse, ring as tested, and speak of what is counted."""

import shutil
from pathlib import Path
from typing import Any, Final

import pytest
import yaml

from deploy.check import observability as check
from deploy.local.promtool import HOW, find_promtool
from tests.support.needs import missing

FIRING: Final = 'count by (alertname) (ALERTS{alertstate="firing"})'


@pytest.fixture
def promtool() -> str:
    return find_promtool() or missing(HOW)


def test_all_that_lies_there_is_sound(promtool: str) -> None:
    """As ``make deploy-check`` says it."""
    assert promtool
    assert [str(one) for one in check.check_observability() if one.is_wrong] == []


def test_every_alert_is_made_to_ring_by_a_scene() -> None:
    """An alert that nobody has ever heard may be mute."""
    scenes = yaml.safe_load(check.RULES_TEST.read_text("utf-8"))["tests"]
    rung = {
        sample["labels"].removeprefix('{alertname="').removesuffix('"}')
        for scene in scenes
        for test in scene["promql_expr_test"]
        if test["expr"] == FIRING
        for sample in test["exp_samples"]
    }

    assert rung == {alert["alert"] for alert in check.alerts()}
    assert len(rung) > 15


def test_a_rule_that_has_changed_does_not_pass(promtool: str, tmp_path: Path) -> None:
    """The scenes hold the thresholds: a check that cannot fail guards nothing."""
    shutil.copy(check.RULES_TEST, tmp_path)
    text = check.RULES.read_text("utf-8")
    (tmp_path / "rules.yaml").write_text(
        text.replace("uketsuke:outbox_oldest_seconds > 60", "uketsuke:outbox_oldest_seconds > 600")
    )
    assert check.asked(promtool, "test", "rules", str(tmp_path / "rules_test.yaml"))


def test_every_alert_says_how_grave_it_is_and_what_it_means() -> None:
    """Whoever is woken reads this first."""
    for alert in check.alerts():
        assert alert["labels"]["severity"] in {"page", "ticket"}, alert["alert"]
        assert {"summary", "description", "runbook_url"} == set(alert["annotations"])


@pytest.mark.parametrize(
    "annotations",
    [{}, {"runbook_url": "docs/operations.md#nowhere"}, {"runbook_url": "docs/no.md#caps"}],
)
def test_a_runbook_that_is_not_there_is_seen(annotations: dict[str, Any]) -> None:
    """A link that leads nowhere at night is worse than none."""
    assert check.lost_runbooks([{"alert": "A", "annotations": annotations}])


@pytest.mark.parametrize(
    "query",
    [
        "max(uketsuke_nonsense)",
        "sum by (colour) (rate(uketsuke_attempts_total[5m]))",
        'uketsuke_attempts_total{colour="red"}',
        "uketsuke:nonsense > 3",
        "rate(uketsuke_accept_seconds[5m])",
        "process_nonsense",
    ],
)
def test_a_query_about_what_nobody_counts_is_seen(query: str) -> None:
    """Names of metrics, of their series, of labels, and of recorded rules."""
    assert check.strange([query])


def test_a_query_that_does_not_parse_is_seen(promtool: str) -> None:
    """Whatever its names."""
    assert check.unparsed(promtool, ["sum by (type) (rate(uketsuke_attempts_total))"])
    assert not check.unparsed(promtool, ["rate(uketsuke_attempts_total[$__rate_interval])"])


def test_a_legend_names_labels_that_its_query_keeps() -> None:
    """Else every line of a panel has the same name."""
    for query, labels in check.dashboard_legends():
        assert {label for label in labels if f"{label}" not in query} == set(), query
