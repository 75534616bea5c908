"""The page of log lines is whole: no field without a meaning, no meaning without a field."""

import pytest

from docs import logged
from docs.log_fields import EVERYWHERE, MEANINGS


def test_a_field_that_nobody_has_described_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever logs something new says what it is, and in which unit."""
    monkeypatch.setattr(logged, "MEANINGS", {k: v for k, v in MEANINGS.items() if k != "took_ms"})

    with pytest.raises(logged.NotDescribed, match="took_ms"):
        logged.logs_page()


def test_a_meaning_of_what_nobody_logs_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """Somebody would search for it at night."""
    monkeypatch.setattr(logged, "MEANINGS", {**MEANINGS, "mood": "How it feels"})

    with pytest.raises(logged.NotDescribed, match="mood"):
        logged.logs_page()


def test_a_figure_with_a_unit_says_it() -> None:
    """A number without one is a riddle."""
    units = {"_ms": "milliseconds", "_bytes": "ytes", "seconds": "seconds"}

    for name, text in MEANINGS.items():
        for ending, unit in units.items():
            assert unit in text or not name.endswith(ending), name


def test_lines_are_found_however_they_are_written() -> None:
    """With one of two texts, with a name for it, with fields that a function answers."""
    found = {line.event: line for line in logged.lines()}

    for event in ("job fenced", "job attempt ended", "quarantine ended by its job", "job rescued"):
        assert event in found
    assert "message_id" in found["knock rejected"].fields
    assert EVERYWHERE.keys() >= {"event", "level", "service", "timestamp", "track_id"}
