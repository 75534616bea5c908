"""The history of one ordering key, judged."""

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any


def is_out_of_order(lane: Sequence[Any], events: Mapping[Any, Sequence[Any]]) -> bool:
    """Say whether a job of a key first ran before one that was accepted earlier."""
    in_order = sorted(lane, key=lambda job: job["seq"])
    assert [job["seq"] for job in in_order] == list(range(1, len(lane) + 1))
    begun = [next(e["at"] for e in events[job["id"]] if e["kind"] == "running") for job in in_order]
    return begun != sorted(begun)


def overlaps(lane: Sequence[Any], events: Mapping[Any, Sequence[Any]]) -> int:
    """Count the runs of a key that began while another still had its token."""
    runs = []
    for job in lane:
        for event, following in pairwise(events[job["id"]]):
            if event["kind"] == "running":
                runs.append((event["at"], following["at"]))
    runs.sort()
    return sum(begun < ended for (_, ended), (begun, _) in pairwise(runs))
