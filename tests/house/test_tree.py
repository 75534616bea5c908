"""What must not lie about in the tree."""

import re
import subprocess
from pathlib import Path
from typing import Final

import pytest

from tests.house.sources import ROOT

_TEXT: Final = frozenset((".py", ".sql", ".md", ".toml", ".yaml", ".yml", ".js", ".mjs", ".sh"))
_UNFINISHED = re.compile(r"\b(TODO|FIXME|XXX|HACK)\b(?!.*#\d+)")
_SELF: Final = Path(__file__)


def tracked() -> list[Path]:
    """List what the project has written, as its version control knows it: nothing vendored."""
    listed = subprocess.run(
        ["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    if listed.returncode != 0:
        pytest.skip("not a working copy")
    paths = [ROOT / name for name in listed.stdout.split("\0") if name and "/vendor/" not in name]
    return [path for path in paths if path.suffix in _TEXT and path.is_file() and path != _SELF]


def lines_that_say(pattern: re.Pattern[str]) -> list[str]:
    return [
        f"{path.relative_to(ROOT)}:{number}"
        for path in tracked()
        for number, line in enumerate(path.read_text("utf-8").splitlines(), 1)
        if pattern.search(line)
    ]


def test_nothing_unfinished_lies_about_without_an_issue() -> None:
    """What is still to be done has a number, or is done."""
    assert lines_that_say(_UNFINISHED) == []


def test_nothing_names_a_place_on_somebodys_machine() -> None:
    """It would work there alone."""
    assert lines_that_say(re.compile(r"/home/[a-z]+/|/Users/[a-z]+/|/work/")) == []


@pytest.mark.parametrize("lock", sorted((ROOT / "requirements").glob("*.lock")), ids=str)
def test_a_lock_names_no_host_and_hashes_everything(lock: Path) -> None:
    """Where packages come from is the business of whoever installs; what they are is not."""
    text = lock.read_text("utf-8")
    pins = re.findall(r"^[a-z0-9][^\s=]*==\S+.*$", text, re.MULTILINE | re.IGNORECASE)

    assert "://" not in text
    assert "--index-url" not in text
    assert pins
    assert [pin for pin in pins if not pin.endswith("\\")] == []
    assert text.count("--hash=sha256:") >= len(pins)
