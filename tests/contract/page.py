"""The page for callers, as its tests read it."""

import re
from typing import Final

from tests.house.sources import ROOT

PAGE: Final = (ROOT / "docs" / "http_api.md").read_text("utf-8")
BASE: Final = "http://127.0.0.1:8080"
"""Where its examples look for the service."""


def blocks(kind: str) -> list[str]:
    return re.findall(rf"^```{kind}\n(.*?)^```", PAGE, re.DOTALL | re.MULTILINE)
