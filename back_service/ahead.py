"""Jobs that came ahead of their knock: heard early, claimed, and known again when it arrives.

Pure but for decoding. Nothing here is relied on: what is forgotten, the real knock brings.
"""

from collections import deque
from collections.abc import Iterable
from typing import Final

from shared.broker.early import Heard
from shared.contract.ids import JobId
from shared.contract.messages import Knock, UnreadableKnock, decode_knock

_MOST_KNOWN: Final = 256


class Ahead:
    """*heard* are early knocks, oldest first, as the broker brings them."""

    def __init__(self, heard: deque[Heard]) -> None:
        self._heard = heard
        self._claimed: dict[str, frozenset[JobId]] = {}

    def next(self) -> tuple[str, Knock] | None:
        """Take the oldest early knock; what cannot be read is dropped: the real one is judged."""
        while self._heard:
            message_id, body = self._heard.popleft()
            try:
                return message_id, decode_knock(body)
            except UnreadableKnock:
                continue
        return None

    def note(self, message_id: str, claimed: Iterable[JobId]) -> None:
        """Remember which jobs of a knock were claimed; the oldest such are forgotten."""
        self._claimed[message_id] = frozenset(claimed)
        if len(self._claimed) > _MOST_KNOWN:
            del self._claimed[next(iter(self._claimed))]

    def has_claimed(self, message_id: str | None, knock: Knock) -> bool:
        """Tell whether all of *knock* was claimed when it was heard early, and forget about it.

        It is known by the row it was published for: a later knock for the same job is another.
        """
        claimed = self._claimed.pop(message_id or "", frozenset[JobId]())
        return claimed.issuperset(knock.job_ids)
