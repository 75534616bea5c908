"""What a worker tells of its jobs in its log, read on from where one stopped before."""

from typing import Any, Final

import orjson

from tests.support.house import Worker

_ENDED_HERE: Final = frozenset(("job attempt ended", "job fenced", "lease lost"))
_REFUSED: Final = frozenset(("job fenced", "late write refused"))


class Tale:
    """Which jobs run on *worker*, and of which the store has turned a late write down."""

    def __init__(self, worker: Worker) -> None:
        self._log, self._read = worker.log, 0
        self.running: set[str] = set()
        self.refused: list[str] = []

    def hear(self) -> "Tale":
        """Read what is new; a line still being written is left for the next time."""
        with self._log.open("rb") as log:
            log.seek(self._read)
            news = log.read()
        whole = news[: news.rfind(b"\n") + 1]
        self._read += len(whole)
        for line in whole.splitlines():
            if line.startswith(b"{"):
                self._note(orjson.loads(line))
        return self

    def _note(self, line: dict[str, Any]) -> None:
        event = line["event"]
        if event == "job started":
            self.running.add(line["job_id"])
        elif event in _ENDED_HERE:
            self.running.discard(line["job_id"])
        if event in _REFUSED:
            self.refused.append(line["job_id"])
