"""Load the statements: one ``.sql`` file each, its first line the promise.

What moves a row asks ``clock_timestamp()``, which also counts the wait for its lock. What only
looks for rows asks ``statement_timestamp()``: an index can be searched by it, while for the
other, which may change from row to row, every row would have to be read.
"""

from functools import cache
from pathlib import Path
from typing import Final

FOLDER: Final = Path(__file__).parent / "queries"


@cache
def statement(name: str) -> str:
    """Read ``queries/<name>.sql``; raise ``FileNotFoundError`` for a name that is none."""
    return (FOLDER / f"{name}.sql").read_text(encoding="utf-8")
