"""Refuse the plain submits of a flood where they come in: in a few microseconds, unread.

To be refused by the routes costs a request a good part of what it costs to be accepted; five
times of what a process can do would leave it no time to accept anything. So while the gate is shut
the bytes of a submit are answered at once. Only those whose end is beyond doubt: all that is
unusual in its head goes the usual way, and is refused there if it is a submit.
"""

import re
from collections.abc import Callable
from functools import cache
from typing import Final

from aiohttp import hdrs

from front_service.api.answers import problem
from front_service.gate import Gate
from shared.contract import headers
from shared.contract.errors import Unavailable
from shared.runtime.track import fresh_track_id

_SUBMIT: Final = re.compile(
    rb"POST /api/(?!jobs/|batches/|blobs/)[a-zA-Z0-9._-]+/[a-zA-Z0-9._-]+ HTTP/1\.1\r\n"
)
_LENGTH: Final = re.compile(rb"\r\ncontent-length([^\r\n]*)")
_PLAIN_LENGTH: Final = re.compile(rb":[ ]?[0-9]{1,9}")
_UNUSUAL: Final = re.compile(
    rb"\r\n(?:[ \t]|transfer-encoding|upgrade|expect|origin|x-track-id"
    rb"|connection(?!: ?keep-alive(?:\r|\Z)))"
    rb"|\r(?!\n)|(?<!\r)\n|\0"
)
_NO_ID: Final = "0" * 24


class Turnstile:
    """Has an answer for plain submits that the gate turns away."""

    def __init__(
        self, gate: Gate, *, tell: Callable[[str], None], is_leaving: Callable[[], bool]
    ) -> None:
        self._gate, self._tell, self._is_leaving = gate, tell, is_leaving

    def answer(self, data: bytes) -> bytes | None:
        """Refuse *data* if it is one whole submit, and nothing else; ``None`` lets it through."""
        if not self._gate.is_flooded or self._is_leaving() or not is_plain_submit(data):
            return None
        if not self._gate.turns_away():
            return None
        refusal = self._gate.refusal()
        self._tell(refusal.code)
        return _written(refusal)


def is_plain_submit(data: bytes) -> bool:
    """Tell whether *data* is a submit from its first byte to its last, without any doubt."""
    if _SUBMIT.match(data) is None:
        return False
    head, end, body = data.partition(b"\r\n\r\n")
    head = head.lower()
    lengths = _LENGTH.findall(head)
    if not end or len(lengths) != 1 or _PLAIN_LENGTH.fullmatch(lengths[0]) is None:
        return False
    return int(lengths[0][1:]) == len(body) and _UNUSUAL.search(head) is None


def _written(refusal: Unavailable) -> bytes:
    template = _template(refusal.detail, refusal.retry_after)
    return template.replace(_NO_ID.encode(), fresh_track_id().encode())


@cache
def _template(detail: str, retry_after: int | None) -> bytes:
    response = problem(Unavailable(detail, retry_after=retry_after), _NO_ID)
    body = response.body if isinstance(response.body, bytes) else b""
    fields = {
        **response.headers,
        headers.TRACK_ID: _NO_ID,
        hdrs.CONTENT_LENGTH: str(len(body)),
    }
    head = "".join(f"{name}: {value}\r\n" for name, value in fields.items())
    return f"HTTP/1.1 {response.status} {response.reason}\r\n{head}\r\n".encode() + body
