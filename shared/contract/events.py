"""The numbered history of a job, and the news of it that travel between processes.

News carry identity only: which job, up to which number. What is shown to a client is always
read from the store, so that forged, lost or doubled news can neither lie nor hide anything.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Final

import orjson

from shared.contract.ids import JobId, parse_uuid

ACCEPTED = "accepted"
MOST_NEWS: Final = 1_000
"""Of how many jobs one message may tell."""

_VERSION: Final = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class JobEvent:
    """One line of a job's history. *kind* is ``accepted`` or the state that was entered."""

    sequence: int
    kind: str
    at: datetime
    attempt: int
    error: str | None
    replays: int = 0  # of which run it is


@dataclass(frozen=True, slots=True)
class News:
    """Something was stored about *job_id*: events up to *sequence*, or progress after it."""

    job_id: JobId
    sequence: int


def encode_news(news: list[News]) -> bytes:
    return orjson.dumps({"v": _VERSION, "news": [[str(n.job_id), n.sequence] for n in news]})


def decode_news(body: bytes) -> list[News]:
    """Read what another process published; whatever is not news, or too many, is passed over.

    So are news of another version: what they tell of is found when the store is read again.
    """
    try:
        message = orjson.loads(body)
        rows = message["news"] if message["v"] == _VERSION else ()
        pairs = [(parse_uuid(row[0]), int(row[1])) for row in rows[:MOST_NEWS]]
    except (ValueError, TypeError, KeyError, IndexError):
        return []
    return [News(JobId(job_id), sequence) for job_id, sequence in pairs if job_id is not None]
