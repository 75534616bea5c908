"""Tell the world what was committed: news to the fronts, knocks to the broker. Nobody waits.

News are gathered for a moment: of each job only the newest number counts, and a message is
dearer than what it says.
"""

import asyncio
from collections.abc import Sequence
from typing import Final

from shared.broker.fanout import FanOut
from shared.contract.events import MOST_NEWS, News, encode_news
from shared.contract.ids import JobId
from shared.outbox import Knocker
from shared.store.rows import OutboxRow

_EVERY: Final = 0.01  # seconds between two messages; the first one goes at once


class Teller:
    def __init__(self, fan_out: FanOut, knocker: Knocker) -> None:
        self._fan_out, self._knocker = fan_out, knocker
        self._news: dict[JobId, int] = {}
        self._rests = False

    def tell(self, news: Sequence[News] = (), rows: Sequence[OutboxRow] = ()) -> None:
        """Hand over what a commit brought; what gets lost is found again by those who need it."""
        for one in news:
            self._news[one.job_id] = max(one.sequence, self._news.get(one.job_id, 0))
        if self._news and not self._rests:
            self._send()
        if rows:
            self._knocker.send(rows)

    def _send(self) -> None:
        """Send what there is, and then not again for a moment."""
        waiting = [News(job_id, sequence) for job_id, sequence in self._news.items()]
        self._news.clear()
        for start in range(0, len(waiting), MOST_NEWS):
            self._fan_out.offer(encode_news(waiting[start : start + MOST_NEWS]))
        self._rests = bool(waiting)
        if waiting:
            asyncio.get_running_loop().call_later(_EVERY, self._send)
