"""The runbooks speak of what is there: nobody can tell a slip of the pen at night."""

import re
from typing import Final

import pytest

from shared.runtime.settings import PREFIX, BackSettings, FrontSettings
from tests.house.sources import ROOT

PAGES: Final = (
    "operations.md",
    "topics/shutdown.md",
    "topics/delivery.md",
    "topics/why_not_running.md",
)
PAGE: Final = "\n".join((ROOT / "docs" / name).read_text("utf-8") for name in PAGES)
SOURCES: Final = "\n".join(
    path.read_text("utf-8")
    for folder in ("front_service", "back_service", "shared")
    for path in sorted((ROOT / folder).rglob("*.py"))
)


def test_every_metric_is_listed_and_every_named_metric_exists() -> None:
    """An alarm on a name that nobody counts never rings."""
    known = set(re.findall(r'"(uketsuke_[a-z_]+)"', SOURCES))
    listed = (ROOT / "docs" / "metrics.md").read_text("utf-8")

    assert set(re.findall(r"^\| `(uketsuke_[a-z_]+)`", listed, re.MULTILINE)) == known
    assert set(re.findall(r"`(uketsuke_[a-z_]+)", PAGE)) - known == set()
    assert len(known) > 10


def test_every_setting_that_is_named_exists() -> None:
    """What nobody reads helps nobody."""
    known = {
        PREFIX + name.upper()
        for kind in (FrontSettings, BackSettings)
        for name in kind.model_fields
    }

    assert set(re.findall(rf"\b{PREFIX}[A-Z_]+\b", PAGE)) - known == set()


def test_every_log_line_that_is_named_is_written_somewhere() -> None:
    """Whoever searches the log for it must be able to find it."""
    named = set(re.findall(r"`([a-z]+(?: [a-z]+)+)`", PAGE))

    assert {words for words in named if f'"{words}"' not in SOURCES} == set()
    assert len(named) > 10


@pytest.mark.parametrize(
    "sign", ["outbox", "crash_loop", "jobs.dead", "memory alarm", "backup", "kill -9", "skew"]
)
def test_every_alarming_state_has_its_chapter(sign: str) -> None:
    """What is not there must be found out at night."""
    assert sign in PAGE
