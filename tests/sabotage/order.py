"""Defects of the order within a key: the reference model must notice each of them."""

from functools import partial
from typing import Final

from tests.sabotage.defect import Defect

_SQL: Final = "shared/store/queries/"
_MODEL: Final = (
    "tests/properties/test_store_and_reference.py::test_the_store_does_what_the_reference_does",
)
_IS_HEAD: Final = (
    "j.id = (\n               SELECT h.head FROM key_heads h"
    " WHERE h.tenant = j.tenant AND h.key = j.key))"
)
_ALSO_BEHIND: Final = (
    "j.id IN (\n               SELECT b.id FROM key_heads h JOIN jobs w ON w.id = h.head"
    " JOIN jobs b ON b.tenant = h.tenant AND b.key = h.key"
    " WHERE h.tenant = j.tenant AND h.key = j.key"
    " AND (b.id = h.head OR w.state = 'STATE')))"
)

_noticed: Final = partial(Defect, tests=_MODEL, servers=True)

ORDER: Final = (
    _noticed(
        id="I5m",
        breaks="an ended job is followed by the last of its key, not by the next",
        file=_SQL + "go_on.sql",
        text="ORDER BY j.seq LIMIT 1",
        instead="ORDER BY j.seq DESC LIMIT 1",
    ),
    _noticed(
        id="I5n",
        breaks="a job is claimed whose predecessor has not ended",
        file=_SQL + "claim.sql",
        text=_IS_HEAD,
        instead="j.id IS NOT NULL)",
    ),
    _noticed(
        id="I5o",
        breaks="a job overtakes the head of its key, which waits to be tried again",
        file=_SQL + "claim.sql",
        text=_IS_HEAD,
        instead=_ALSO_BEHIND.replace("STATE", "retrying"),
    ),
    _noticed(
        id="I5p",
        breaks="a job begins beside the head of its key, which was asked to stop and still runs",
        file=_SQL + "claim.sql",
        text=_IS_HEAD,
        instead=_ALSO_BEHIND.replace("STATE", "cancelling"),
    ),
    _noticed(
        id="I5q",
        breaks="the key of a head that was cancelled, or came too late, goes on with its last job",
        file=_SQL + "advance.sql",
        text="ORDER BY j.seq LIMIT 1",
        instead="ORDER BY j.seq DESC LIMIT 1",
    ),
    _noticed(
        id="I5r",
        breaks="a head that a crash, or its due time, has made ready loses its place to the next",
        file=_SQL + "advance.sql",
        text="completed_at IS NOT NULL AND NOT (blocks",
        instead="true AND NOT (blocks",
    ),
    _noticed(
        id="I5s",
        breaks="a replayed job gets the place back that it had, before those accepted meanwhile",
        file=_SQL + "replay.sql",
        text="seq = coalesce((SELECT tail FROM placed), j.seq)",
        instead="seq = j.seq",
    ),
    _noticed(
        id="I5t",
        breaks="a replayed job becomes the head of a key that has one",
        file=_SQL + "replay.sql",
        text="head = coalesce(h.head, hit.id)",
        instead="head = hit.id",
    ),
    _noticed(
        id="I5u",
        breaks="a replayed job that holds its key goes to the end, and those behind are forgotten",
        file=_SQL + "replay.sql",
        text=" AND hit.holds IS NOT TRUE",
        instead="",
    ),
    _noticed(
        id="I5v",
        breaks="a key that is released goes on with its last job",
        file=_SQL + "release.sql",
        text="ORDER BY j.seq LIMIT 1",
        instead="ORDER BY j.seq DESC LIMIT 1",
    ),
    _noticed(
        id="I5w",
        breaks="a job that is accepted becomes the head of a key that has one",
        file=_SQL + "places.sql",
        text="head = coalesce(h.head, excluded.head)",
        instead="head = excluded.head",
    ),
)
