"""A worker says at its start which jobs it will pass over."""

from pathlib import Path
from typing import Any, Final

import pytest
from structlog.testing import capture_logs

from back_service.app import open_back
from shared.runtime.settings import BackSettings, read_settings

TRIALS: Final = "tests.support.trials"


async def warnings(monkeypatch: pytest.MonkeyPatch, folder: Path, **settings: str) -> list[Any]:
    """Build a back service that reaches nobody, and give what it says of its handlers."""
    settings = {
        "database_url": "postgresql://nobody@127.0.0.1:9/none",
        "amqp_url": "amqp://nobody@127.0.0.1:9/",
        "blob_dir": str(folder),
        "preload": "no",
        "job_types": TRIALS,
    } | settings
    for name, value in settings.items():
        monkeypatch.setenv(f"UKETSUKE_{name.upper()}", value)
    with capture_logs() as lines:
        async with open_back(read_settings(BackSettings), leave=lambda: None):
            pass
    return [line for line in lines if line["event"] == "job types without a handler"]


async def test_types_without_a_handler_are_named_in_one_line(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """A slip in UKETSUKE_HANDLERS would else show as jobs that wait for ever."""
    (line,) = await warnings(monkeypatch, tmp_path)

    assert line["log_level"] == "warning"
    assert line["types"] == ["trials.try"]


@pytest.mark.parametrize(
    "settings",
    [{"handlers": TRIALS}, {"pools": "elsewhere"}, {"roles": "upkeep"}, {"quarantine": "yes"}],
    ids=str,
)
async def test_what_is_somebody_elses_work_is_no_reason_to_warn(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, settings: dict[str, str]
) -> None:
    """A warning that is always there is read by nobody."""
    assert await warnings(monkeypatch, tmp_path, **settings) == []
