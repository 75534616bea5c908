"""The page on handlers shows code that runs, and names that exist."""

import re
from pathlib import Path
from typing import Final

import pytest

import uketsuke
from shared.contract import authoring
from shared.contract.job_types import JobType

ROOT: Final = Path(__file__).parents[2]
PAGE: Final = (ROOT / "docs" / "topics" / "handlers.md").read_text(encoding="utf-8")
SOURCES: Final = "\n".join(
    path.read_text(encoding="utf-8") for path in (ROOT / "examples" / "invoices").glob("*.py")
)


@pytest.mark.parametrize("block", re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL))
def test_each_piece_of_code_is_from_the_example(block: str) -> None:
    """Code that nobody runs goes wrong unnoticed."""
    squeezed = re.sub(r"[ \t]+", " ", SOURCES)

    assert re.sub(r"[ \t]+", " ", block).strip() in squeezed


def test_the_table_of_a_job_type_names_its_members() -> None:
    """A policy that was renamed must not live on in the manual."""
    rows = re.findall(r"^\| (`[a-z_`, ]+`) \|", PAGE, re.MULTILINE)
    names = {name for row in rows for name in re.findall(r"`([a-z_]+)`", row)}

    assert len(names) > 7
    assert names <= set(JobType.__dataclass_fields__)


def test_every_call_of_the_context_exists() -> None:
    """And so does everything a handler may raise."""
    calls = set(re.findall(r"context\.([a-z_]+)", PAGE))
    raised = set(re.findall(r"^\| `([A-Z][a-z]+)\(", PAGE, re.MULTILINE))

    assert calls <= set(vars(authoring.Context)) | {"checkpoint"}
    assert raised == {"Retry", "Fail", "Snooze"}
    assert raised <= set(uketsuke.__all__)


def test_links_lead_somewhere() -> None:
    """A page that was moved is noticed."""
    for target in re.findall(r"\]\(([^)]+)\)", PAGE):
        assert (ROOT / "docs" / "topics" / target).resolve().exists(), target
