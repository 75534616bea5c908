"""What a service has said of itself, read from its log."""

import json
from collections import Counter
from datetime import datetime
from typing import Any

from tests.support.house import Worker

_OF_JOBS = frozenset(("job accepted", "job started", "job attempt ended", "job rescued"))


def lines(worker: Worker) -> list[dict[str, Any]]:
    """Read the log, which is one JSON object a line; a line still being written is left out."""
    whole = [line for line in worker.logged.splitlines(keepends=True) if line.endswith("\n")]
    return [json.loads(line) for line in whole if line.startswith("{")]


def most_in_a_second(worker: Worker, begun: datetime, ended: datetime) -> int:
    """Count the lines of the busiest second between two moments, but for those of single jobs."""
    seconds = Counter(
        line["timestamp"][:19]
        for line in lines(worker)
        if line["event"] not in _OF_JOBS
        and begun <= datetime.fromisoformat(line["timestamp"]) <= ended
    )
    return max(seconds.values(), default=0)
