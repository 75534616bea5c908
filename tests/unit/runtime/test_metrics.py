"""What is counted, and what is kept from being counted."""

import asyncio

import pytest

from shared.contract.states import State
from shared.runtime.metrics import BackMetrics, FrontMetrics, Metrics
from shared.runtime.pulse import Pulse
from tests.support.waiting import until


def value(metrics: Metrics, name: str, **labels: str) -> float | None:
    return metrics.registry.get_sample_value(name, labels)


def test_a_family_shows_what_there_is_now() -> None:
    """And nothing that there was before."""
    metrics = Metrics()
    figures: dict[tuple[str, ...], float] = {("a", "b"): 1.0}
    metrics.family("some_jobs", "Jobs", ("pool", "state"), lambda: figures)

    assert value(metrics, "some_jobs", pool="a", state="b") == 1.0
    figures.clear()
    assert value(metrics, "some_jobs", pool="a", state="b") is None
    assert "# TYPE some_jobs gauge" in metrics.exposition().decode()


def test_failures_are_counted_by_code_whether_they_are_retried_or_not() -> None:
    """And an attempt that did not fail is none."""
    metrics = BackMetrics()
    metrics.ended("t", "retry", seconds=1, fenced=False, code="timeout")
    metrics.ended("t", "fail", seconds=1, fenced=False, code="timeout")
    metrics.ended("t", "complete", seconds=1, fenced=False)

    assert value(metrics, "uketsuke_failures_total", type="t", code="timeout") == 2
    assert value(metrics, "uketsuke_attempts_total", type="t", move="complete") == 1


def test_a_handler_that_invents_codes_does_not_fill_the_memory() -> None:
    """Codes are its author's; past two hundred they are not told apart."""
    metrics = BackMetrics()
    for number in range(1_000):
        metrics.ended("t", "fail", seconds=1, fenced=False, code=f"code {number}")

    assert value(metrics, "uketsuke_failures_total", type="t", code="other") == 800
    assert metrics.exposition().decode().count("uketsuke_failures_total{") == 201


def test_what_alerts_wait_for_counts_from_nought() -> None:
    """The first one of a counter that was not there before would be no increase."""
    metrics = BackMetrics()

    assert value(metrics, "uketsuke_upkeep_moves_total", why="lease", state="failed") == 0
    metrics.tended("lease", {State.FAILED: 2})
    assert value(metrics, "uketsuke_upkeep_moves_total", why="lease", state="failed") == 2
    assert value(metrics, "uketsuke_knocks_not_understood_total", why="unreadable") == 0


def test_frames_and_cut_readers_are_counted_by_what_carries_them() -> None:
    """Server-sent events go out several at a time."""
    metrics = FrontMetrics()
    metrics.pushed_events(3)
    metrics.pushed_socket()
    metrics.cut("socket")

    assert value(metrics, "uketsuke_events_pushed_total", over="events") == 3
    assert value(metrics, "uketsuke_events_pushed_total", over="socket") == 1
    assert value(metrics, "uketsuke_slow_readers_cut_total", over="socket") == 1


async def test_a_loop_that_is_held_up_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever stood in its way: it was asked for a moment, and came later."""
    monkeypatch.setattr("shared.runtime.pulse._EVERY", 0.001)
    lags = list[float]()
    metrics = Metrics()
    metrics.lagged = lags.append
    loop = asyncio.get_running_loop()
    true_time, late = loop.time, [0.0]
    monkeypatch.setattr(loop, "time", lambda: true_time() + late[0])

    async def is_seen() -> bool:
        late[0] += 0.3  # as if something had computed for so long
        return any(lag >= 0.25 for lag in lags)

    pulse = asyncio.create_task(Pulse(metrics).run())
    await until(is_seen, within=5, every=0.002, what="the lag is counted")
    pulse.cancel()
